"""Cutoffs and other times that stand outside the table, read as the times of the table are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from swt_time.data.dates import CLOCKS, DATES, ISO, TimeForm, parse, take_apart
from swt_time.data.zones import localize
from swt_time.errors import TableError


def read_cutoff(text: str, form: TimeForm, times: Sequence[pd.Index]) -> Any:
    """Read a cutoff.

    Parameters
    ----------
    text : str
        A time in the format of the table or in ISO 8601. Without an offset it is in the time zone of the table; an
        hour that occurs twice is the later one.
    form : TimeForm
        How the times of the table were read.
    times : sequence of pd.Index
        Times of each series.

    Returns
    -------
    pd.Timestamp or int

    Raises
    ------
    TableError
        If the text is not a time, or lies after the last time of every series.
    """
    last = max(one[-1] for one in times)
    moment = _read_integer(text) if form.counts else _read_time(text.strip(), form, times[0])
    if moment is None:
        raise TableError(
            f"cutoff {text!r} is not a time; expected one in the format of the table, such as {form.example(last)}"
        )
    if moment > last:
        raise TableError(
            f"cutoff {text!r} lies after the end of every series; expected a time up to {form.example(last)}"
        )
    return moment


def _read_integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _read_time(text: str, form: TimeForm, like: pd.Index) -> pd.Timestamp | None:
    try:
        moment = read_moments([text], form, like)[0]
    except TableError as error:
        raise TableError(f"cutoff {text!r}: {error}") from None
    return None if pd.isna(moment) else moment


def read_moments(texts: Sequence[str], form: TimeForm, like: pd.Index) -> pd.DatetimeIndex:
    """Read times that stand outside the table in the format of the table or in ISO 8601; NaT where a text is neither.

    Parameters
    ----------
    texts : sequence of str
        Without an offset they are in the time zone of the table; an hour that occurs twice is the later one.
    form : TimeForm
        How the times of the table were read.
    like : pd.Index
        Times of the table.

    Raises
    ------
    TableError
        If only some of them have a time zone, or they have one and the table has none.
    """
    parts = take_apart(texts)
    walls = np.full(len(texts), np.datetime64("NaT", "us"))
    for one in _formats(form):
        left = np.flatnonzero(np.isnat(walls))
        if len(left):
            walls[left] = parse([parts.dates[i] for i in left], one)
    unread = np.isnat(walls)
    wall = pd.DatetimeIndex(np.where(unread, np.datetime64(0, "us"), walls))
    zone, moments = getattr(like, "tz", None), parts.times(wall)
    moments = parts.utc(wall) if moments is None else moments
    if form.wall:
        moments = wall
    if zone is not None:
        # the later of two ambiguous hours, so that both are kept
        moments = localize(moments, zone, later=True) if moments.tz is None else moments.tz_convert(zone)
    elif moments.tz is not None:
        raise TableError("it has a time zone, the table has none; give it without a time zone")
    return pd.DatetimeIndex(moments.where(~unread))


def _formats(form: TimeForm) -> list[str]:
    """Return the format of the table, the same dates with and without a time of day, and ISO 8601."""
    if form.format is None:
        return [ISO]
    date = next((date for date in DATES if form.format.startswith(date)), None)
    return [form.format, *(date + clock for clock in CLOCKS if date is not None), ISO]
