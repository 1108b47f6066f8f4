"""Inference of the frequency of a table from its timestamps."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from swt_time.data.frequency import Anchor, Frequency, RowCount, parse_frequency, weekday
from swt_time.data.zones import DAY, microseconds, most_frequent, nominal_wall
from swt_time.errors import TableError

AT_ONCE = 2**18
"""Rows that are compared in one call; they fit into the cache of a core."""


def infer_frequency(
    times: pd.Index,
    starts: Sequence[int] | np.ndarray = (0,),
    *,
    where: Callable[[int], str] | None = None,
) -> str:
    """Infer the frequency of a table as a pandas alias.

    Missing timestamps are allowed as long as at least half of all neighbours are one step apart. Irregular timestamps
    are not.

    Parameters
    ----------
    times : pd.Index
        Timestamps of all series, concatenated; ascending and without duplicates within each series.
    starts : sequence of int
        Position in ``times`` of the first timestamp of each series.
    where : callable, optional
        Describes a position in ``times`` for the error message.

    Returns
    -------
    str
        Canonical alias such as ``h``, ``15min``, ``D``, ``W-TUE``, ``B``, ``MS``, ``QE-DEC``.

    Raises
    ------
    TableError
        If no series has two timestamps, or the timestamps are irregular.
    """
    inner = np.ones(max(len(times) - 1, 0), dtype=bool)
    cuts = np.asarray(starts, dtype=np.int64)
    inner[cuts[(cuts > 0) & (cuts < len(times))] - 1] = False
    if not inner.any():
        raise TableError(
            "the frequency cannot be inferred from a single row per series; "
            "provide more rows or set data.frequency, for example to D"
        )
    wall = nominal_wall(times, starts)
    for candidate in _candidates(times, wall, inner):
        ordinals, fits = candidate.ordinals(times, wall)
        if fits.all() and _is_step(ordinals, inner, candidate.step):
            return candidate.alias
    raise TableError(_irregular(times, inner, where))


def fit_frequency(times: pd.Index, codes: np.ndarray, grid: Frequency | None = None) -> tuple[Frequency, int] | None:
    """Find the frequency of the series of a table, in any order of rows, and count the missing timestamps.

    Parameters
    ----------
    times : pd.Index
    codes : (n,) int array
        Series index of each row.
    grid : Frequency, optional
        The frequency, if it is known; inferred by default.

    Returns
    -------
    frequency : Frequency
    missing : int
        Timestamps that are missing between the first and the last one of each series.

    None is returned if the timestamps are irregular or do not fit.
    """
    order = np.lexsort((microseconds(times, wall=False), codes))
    times, codes = times[order], codes[order]
    stamps = microseconds(times, wall=False)
    first = np.append(True, (np.diff(stamps) != 0) | (np.diff(codes) != 0))
    times, codes = times[first], codes[first]
    starts = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))
    if grid is None:
        try:
            grid = parse_frequency(infer_frequency(times, starts))
        except TableError:
            return None
    ordinals, fits, inner = *place_rows(times, codes, grid, starts), np.diff(codes) == 0
    return (grid, int((np.diff(ordinals)[inner] // grid.step - 1).sum())) if fits.all() else None


def place_rows(
    times: pd.Index, codes: np.ndarray, grid: Frequency | RowCount, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ordinals of sorted rows on a grid, and a mask of the rows that fit it.

    Parameters
    ----------
    times : pd.Index
        Timestamps of all series, concatenated; ascending within each series.
    codes : (n,) int array
        Series index of each row.
    grid : Frequency or RowCount
    starts : (N,) int array
        Position of the first row of each series.
    """
    wall = nominal_wall(times, starts)
    ordinals, fits = grid.ordinals(times, wall)
    inner = codes[1:] == codes[:-1]
    if not all_steps_equal(ordinals, inner, grid.step):
        fits[1:] &= ~inner | (np.diff(ordinals) % grid.step == 0)
    if grid.kind in ("day", "business", "month"):
        fits[1:] &= ~inner | (np.diff(wall % DAY) == 0)
    return ordinals, fits


def _candidates(times: pd.Index, wall: np.ndarray, inner: np.ndarray) -> list[Frequency]:
    """Frequencies to test, the longest unit first."""
    found: list[Frequency] = []
    if not all_steps_equal(wall, inner, 0, DAY):
        return [Frequency("elapsed", _usual_step(microseconds(times, wall=False), inner))]
    days = wall // DAY
    day_step = _usual_step(days, inner)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    month_step = _usual_step(months, inner)
    if month_step > 0 and day_step >= 28:
        anchors: tuple[Anchor, ...] = ("start", "end", "business start", "business end")
        for anchor in anchors:
            size = 12 if month_step % 12 == 0 else 3 if month_step % 3 == 0 else 1
            phase = None if size == 1 else int(months[0] % size)
            found.append(Frequency("month", month_step, anchor, phase))
    if day_step % 7 == 0:
        found.append(Frequency("day", day_step, phase=int(weekday(days[:1])[0])))
    if (weekday(days) < 5).all() and (np.diff((days + 3) // 7)[inner] > 0).any():
        found.append(Frequency("business", 1))
    found.append(Frequency("day", day_step))
    return found


def all_steps_equal(values: np.ndarray, inner: np.ndarray, step: int, modulus: int | None = None) -> bool:
    """Whether all neighbours of one series differ by a step.

    Decided part by part, so that a large regular table needs no array of all steps, and another one ends it early.

    Parameters
    ----------
    values : (n,) int array
    inner : (n - 1,) bool array
        Whether each value is followed by one of its series.
    step : int
    modulus : int, optional
        Compare the remainders of the values.
    """
    for begin in range(0, len(inner), AT_ONCE):
        part = values[begin : begin + AT_ONCE + 1]
        if modulus is not None:
            part = part % modulus
        if (inner[begin : begin + AT_ONCE] & (np.diff(part) != step)).any():
            return False
    return True


def _usual_step(values: np.ndarray, inner: np.ndarray) -> int:
    """Return the most frequent difference of neighbours of one series."""
    first = int(np.argmax(inner))
    step = int(values[first + 1] - values[first])
    return step if all_steps_equal(values, inner, step) else most_frequent(np.diff(values)[inner])


def _is_step(values: np.ndarray, inner: np.ndarray, step: int) -> bool:
    """Whether all neighbours of one series differ by multiples of the step and at least half by the step itself."""
    if step <= 0 or all_steps_equal(values, inner, step):
        return step > 0
    steps = np.diff(values)[inner]
    return 2 * int(np.count_nonzero(steps == step)) >= len(steps) and not (steps % step).any()


def _irregular(times: pd.Index, inner: np.ndarray, where: Callable[[int], str] | None) -> str:
    """Error message that names the first irregular step."""
    steps = np.diff(microseconds(times, wall=False))
    usual = max(most_frequent(steps[inner]), 1)
    odd = inner & (steps % usual != 0)
    sparse = not odd.any()
    if sparse:
        odd = inner & (steps != usual)
    first = int(np.flatnonzero(odd)[0])
    place = f" ({where(first + 1)})" if where else ""
    remedy = (
        "remove or correct the odd rows, resample the table to one step, or set data.frequency to none to count rows "
        "and ignore their times"
    )
    if sparse:
        remedy = f"if rows are missing, set data.frequency and data.fill; otherwise {remedy}"
    if usual >= 28 * DAY:
        remedy = "date months, quarters and years on the first or the last (business) day of a month"
    return (
        f"irregular timestamps: the usual step is {pd.Timedelta(usual, 'us')}, but {times[first]} "
        f"is followed by {times[first + 1]}{place}; {remedy}"
    )
