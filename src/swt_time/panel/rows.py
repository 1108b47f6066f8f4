"""A panel as rectangular blocks: series of any length, left-aligned, with their unobserved values filled.

Shapes: ``M`` series, ``L`` the length of the longest series of a block.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from swt_time.errors import ConfigError, TableError

CELLS = 1 << 19
"""Most values of a block, which bounds the memory of every method; enough that a call of NumPy costs less than its
arithmetic."""


@dataclass(frozen=True)
class Rows:
    """Series that are computed together.

    Attributes
    ----------
    values : ndarray (M, L)
        Each series from its first to its last observed value, then zeros. Values between them that were not observed
        are interpolated.
    observed : ndarray of bool (M, L)
        False where a value was interpolated or lies behind the end of its series.
    lengths : ndarray of int (M,)
        Values of each series, interpolated ones included.
    gaps : ndarray of int (M,)
        Unobserved values after the last observed one. A forecast begins after them.
    """

    values: np.ndarray
    observed: np.ndarray
    lengths: np.ndarray
    gaps: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def inside(self) -> np.ndarray:
        """Boolean (M, L): True up to the end of each series."""
        return np.arange(self.values.shape[1]) < self.lengths[:, None]

    def latest(self, most: int) -> "Rows":
        """Return at most the latest ``most`` values of each series."""
        if self.values.shape[1] <= most:
            return self
        lengths = np.minimum(self.lengths, most)
        position = np.arange(most)
        at = np.minimum((self.lengths - lengths)[:, None] + position, self.values.shape[1] - 1)
        inside = position < lengths[:, None]
        values, observed = (np.take_along_axis(one, at, axis=1) for one in (self.values, self.observed))
        return Rows(np.where(inside, values, 0.0), observed & inside, lengths, self.gaps)


def check_panel(panel: Sequence[ArrayLike]) -> list[np.ndarray]:
    """Return the series of a panel as float64 arrays.

    Raises
    ------
    TableError
        The panel is empty, or a series is not one-dimensional, holds an infinite value, or has no observed value.
    """
    if not len(panel):
        raise TableError("the panel has no series; expected a list of one-dimensional arrays")
    series = [np.asarray(one, dtype=np.float64) for one in panel]
    for position, one in enumerate(series):
        if one.ndim != 1:
            raise TableError(f"series {position} of the panel has shape {one.shape}; expected one dimension")
        if np.isinf(one).any():
            raise TableError(f"series {position} of the panel holds an infinite value; expected finite values or NaN")
        if np.isnan(one).all():
            raise TableError(f"series {position} of the panel has no observed value; expected at least one, drop it")
    return series


def check_steps(season: int, horizon: int) -> None:
    """Raise if a season length or a horizon is not a positive integer.

    Raises
    ------
    ConfigError
    """
    for name, value in (("season", season), ("horizon", horizon)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} is {value!r}; expected an integer of at least 1")


def blocks(series: Sequence[np.ndarray], season: int) -> Iterator[tuple[np.ndarray, Rows]]:
    """Group series of similar length into blocks of at most ``CELLS`` values.

    Parameters
    ----------
    series : sequence of ndarray
        As `check_panel` returns them.
    season : int
        Season length, for the interpolation.

    Yields
    ------
    positions : ndarray of int (M,)
        The positions of the block's series.
    rows : Rows
    """
    lengths = np.array([len(one) for one in series])
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = 2 * max(lengths[order[start]], 16)
        stop = start + 1
        while (
            stop < len(order) and (length := lengths[order[stop]]) <= longest and (stop + 1 - start) * length <= CELLS
        ):
            stop += 1
        positions = order[start:stop]
        yield positions, as_rows([series[p] for p in positions], season)
        start = stop


def as_rows(series: Sequence[np.ndarray], season: int) -> Rows:
    """Return series as one block."""
    kept, gaps = [], []
    for one in series:
        seen = np.flatnonzero(~np.isnan(one))
        kept.append(one[seen[0] : seen[-1] + 1])
        gaps.append(len(one) - 1 - seen[-1])
    lengths = np.array([len(one) for one in kept])
    values = np.zeros((len(kept), lengths.max()))
    observed = np.zeros(values.shape, dtype=bool)
    for row, one in enumerate(kept):
        seen = ~np.isnan(one)
        observed[row, : len(one)] = seen
        values[row, : len(one)] = one if seen.all() else interpolate(one, season)
    return Rows(values, observed, lengths, np.array(gaps))


def interpolate(series: np.ndarray, season: int) -> np.ndarray:
    """Fill unobserved values between the values of the same phase of the season, else between their neighbours.

    Parameters
    ----------
    series : ndarray (L,)
        The first and the last value are observed.
    season : int

    Examples
    --------
    >>> import numpy as np
    >>> interpolate(np.array([1.0, np.nan, 3.0]), season=1)
    array([1., 2., 3.])
    >>> interpolate(np.array([1.0, 10.0, 1.0, np.nan, 1.0, 20.0]), season=2)
    array([ 1., 10.,  1., 15.,  1., 20.])
    """
    filled = series.copy()
    for phase in np.unique(np.flatnonzero(np.isnan(series)) % season) if season < len(series) else ():
        part = filled[phase::season]
        seen = np.flatnonzero(~np.isnan(part))
        if len(seen) > 1:
            between = np.arange(seen[0], seen[-1] + 1)
            part[between] = np.interp(between, seen, part[seen])
    seen = np.flatnonzero(~np.isnan(filled))
    whole: np.ndarray = np.interp(np.arange(len(series)), seen, filled[seen])
    return whole
