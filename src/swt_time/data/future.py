"""Timestamps that follow the end of each series."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from swt_time.data.frequency import NO_FREQUENCY, Frequency, parse_frequency
from swt_time.data.zones import DAY, from_microseconds, microseconds, nominal_wall
from swt_time.errors import TableError

LARGEST_INTEGER = 2**63 - 1
"""Largest count of rows."""


def continue_series(times: Sequence[pd.Index], frequency: str, horizon: int) -> pd.Index:
    """Compute the ``horizon`` times that follow the end of each of ``N`` series.

    Parameters
    ----------
    times : sequence of pd.Index
        Times of each series: timestamps, or integers that count rows.
    frequency : str
        Pandas alias, or ``none``. With ``none`` the times continue with the median step of each series, since rows are
        counted and no calendar is known: integers with the following integers, timestamps by a step of elapsed time, or
        of calendar days if it is a multiple of a day.
    horizon : int
        Number of times per series, ``H``.

    Returns
    -------
    pd.Index
        ``N * H`` times, series after series, in the time zone of ``times``.

    Raises
    ------
    TableError
        If a time lies beyond the year 9999, or an integer beyond 64 bits.

    Examples
    --------
    >>> continue_series([pd.Index([8, 9, 10])], "none", 2).tolist()
    [11, 12]
    """
    if frequency == NO_FREQUENCY:
        steps = median_steps(times)
        ahead = [_by_steps(one, step, horizon) for one, step in zip(times, steps, strict=True)]
        return ahead[0].append(ahead[1:])
    distinct = {id(one): one for one in times}  # many series share one index
    place = {key: number for number, key in enumerate(distinct)}
    series = np.array([place[id(one)] for one in times])
    last = np.array([microseconds(one, wall=False)[-1] for one in distinct.values()])[series]
    walls = np.array([nominal_wall(one)[-1] for one in distinct.values()])[series]
    return future_times(from_microseconds(last, times[0]), frequency, horizon, walls)


def median_steps(times: Sequence[pd.Index]) -> list[int]:
    """Median step of each series: microseconds, or the difference of integers; of all series where one has one row.

    Between two steps the median is the smaller one, so that it is a step of the table.
    """
    found: dict[int, int | None] = {}
    for one in times:
        if id(one) not in found:
            steps = np.diff(microseconds(one, wall=False))
            found[id(one)] = max(_median(steps), 1) if len(steps) else None
    known = [step for step in found.values() if step is not None]
    common = _median(np.array(known)) if known else DAY if isinstance(times[0], pd.DatetimeIndex) else 1
    return [found[id(one)] or common for one in times]


def note_median_step(times: Sequence[pd.Index]) -> list[str]:
    """Return a note on the times of forecasts, unless the times of all series are regular."""
    if all(len(np.unique(np.diff(microseconds(one, wall=True)))) < 2 for one in {id(t): t for t in times}.values()):
        return []
    steps = sorted(set(median_steps(times)))
    shown = f"of {pd.Timedelta(steps[0], 'us')}" if len(steps) == 1 else "of each series"
    return [
        f"data.frequency is {NO_FREQUENCY}: rows are counted and their times ignored; the times of a forecast continue "
        f"with the median step {shown}, whatever the calendar"
    ]


def _median(steps: np.ndarray) -> int:
    return int(np.sort(steps)[(len(steps) - 1) // 2])


def _by_steps(times: pd.Index, step: int, horizon: int) -> pd.Index:
    last = times[-1:]
    if isinstance(times, pd.DatetimeIndex):
        grid = Frequency("elapsed", step) if step % DAY else Frequency("day", step // DAY)
        return _ahead(grid, last, nominal_wall(times)[-1:], horizon)
    start = int(last[0])
    if start + step * horizon > LARGEST_INTEGER:
        raise TableError(
            f"the rows count up to {start:,} in steps of {step:,}, so that {horizon:,} more do not fit into 64 bits; "
            "lower data.horizon, or correct the counts"
        )
    counts: pd.Index = from_microseconds(start + step * np.arange(1, horizon + 1), last)
    return counts


def future_times(
    last: pd.DatetimeIndex, frequency: str, horizon: int, wall: np.ndarray | None = None
) -> pd.DatetimeIndex:
    """Compute the ``horizon`` timestamps that follow the last timestamp of each series.

    Parameters
    ----------
    last : pd.DatetimeIndex
        Last known timestamp of each of ``N`` series.
    frequency : str
        Pandas alias; the last timestamps must fit it.
    horizon : int
        Number of timestamps per series, ``H``.
    wall : (N,) int64 array, optional
        Wall-clock times that ``last`` stands for (`swt_time.data.zones.nominal_wall`).

    Returns
    -------
    pd.DatetimeIndex
        ``N * H`` timestamps in microseconds, series after series, in the time zone of ``last``.

    Examples
    --------
    >>> future_times(pd.DatetimeIndex(["2024-01-31"]), "ME", 2).strftime("%Y-%m-%d").tolist()
    ['2024-02-29', '2024-03-31']
    """
    return _ahead(parse_frequency(frequency), last, microseconds(last, wall=True) if wall is None else wall, horizon)


def _ahead(grid: Frequency, last: pd.Index, wall: np.ndarray, horizon: int) -> pd.DatetimeIndex:
    ordinals, _ = grid.ordinals(last, wall)
    grid.check_reach(int(np.max(ordinals, initial=0)) + grid.step * horizon)  # 64 bits may be too few for the times
    ahead = (ordinals[:, None] + grid.step * np.arange(1, horizon + 1)).reshape(-1)
    return grid.stamps_at(ahead, np.repeat(wall % DAY, horizon), last)
