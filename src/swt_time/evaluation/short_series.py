"""Which series of a table are forecast, and notes on those that are left out, forecast otherwise, or mostly zeros."""

import warnings

import numpy as np

from swt_time.data.columns import listed
from swt_time.data.series import SeriesTable, too_short
from swt_time.errors import SWTTimeWarning, TableError
from swt_time.evaluation.trained import Trained


def forecastable(trained: Trained, series: SeriesTable, *, strict: bool = False) -> SeriesTable:
    """Select the series that a model can forecast; the others are left out with a warning.

    Parameters
    ----------
    trained : Trained
    series : SeriesTable
    strict : bool
        Raise an error instead of leaving a series out.

    Raises
    ------
    TableError
        No series is long enough, or ``strict`` and one is not, or was left out when the table was read.
    """
    if strict and series.left_out:
        raise TableError(
            f"series {series.left_out[0]!r} was left out, because most of its values are missing; add them or remove "
            "the series"
        )
    notes: list[str] = []
    short = [i for i, rows in enumerate(series.lengths) if rows < trained.least_rows]
    if short:
        reason = f"the model needs at least {trained.least_rows} rows (its context) to forecast"
        if strict or len(short) == len(series.ids):
            first = short[0]
            raise TableError(
                f"series {series.ids[first]!r} has {series.lengths[first]} rows, {reason}; provide more history, or "
                "set data.short to naive or pad"
            )
        notes.append(too_short(series, short, reason))
        series = series.select([i for i in range(len(series.ids)) if i not in set(short)])
    for note in [*notes, *_on_short(trained, series), *_on_ended(trained, series), *_on_zeros(series)]:
        warnings.warn(note, SWTTimeWarning, stacklevel=4)
    return series


def _on_short(trained: Trained, series: SeriesTable) -> list[str]:
    """Name the series that are not forecast as the others, if that was asked for."""
    short = [one for one, rows in zip(series.ids, series.lengths, strict=True) if rows < trained.context]
    if not short or trained.checkpoint.config.data.short is None:
        return []
    others = "by Theta, seasonal naive or their last value" if trained.blend is None else "by the panel"
    if trained.blend is not None and trained.blend.weekly is not None:
        others = "without the closed form"
    return [
        f"{len(short)} of {len(series.ids)} series are shorter than the context ({trained.context} rows) and forecast "
        f"{'in padded windows' if trained.short == 'pad' else others}: {listed(short)}"
    ]


def _on_ended(trained: Trained, series: SeriesTable) -> list[str]:
    """Name the series that ended more than a horizon before the others."""
    last = series.last
    latest = np.flatnonzero(last == last.max())
    times = series.times[latest[int(np.argmax(series.lengths[latest]))]]
    later = len(times) - times.searchsorted(last, side="right")
    ended = [one for one, rows in zip(series.ids, later, strict=True) if rows > trained.checkpoint.config.data.horizon]
    if not ended:
        return []
    return [
        f"{len(ended)} of {len(series.ids)} series ended more than a horizon before the others; their forecasts begin "
        f"after their own ends: {listed(ended)}"
    ]


def _on_zeros(series: SeriesTable) -> list[str]:
    """Name the series that are never negative and mostly zero, as demand that occurs now and then."""
    rare = []
    for one, values, observed in zip(series.ids, series.values, series.observed, strict=True):
        known = values[observed]
        if known.min() >= 0 and 2 * np.count_nonzero(known) < len(known) and known.any():
            rare.append(one)
    if not rare:
        return []
    return [
        f"{len(rare)} of {len(series.ids)} series are mostly zeros (intermittent): {listed(rare)}; a forecast with "
        "small absolute errors is near zero there, so do not add its steps up to an expected total"
    ]
