"""Covariates of series: what is known of them beside their values.

A *known* covariate is known in advance (a weather forecast, a promotion), so its rows reach past the end of the series.
A *past* one is known as far as the series, and a *static* one (`swt_time.data.static`) has one value for each series.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.config import Fill
from swt_time.data.columns import is_missing, numeric_values
from swt_time.data.frequency import NO_FREQUENCY, parse_frequency
from swt_time.data.titles import Titles
from swt_time.data.told import Told
from swt_time.data.zones import microseconds, nominal_wall
from swt_time.errors import TableError

Role = Literal["known", "past", "static"]


@dataclass(frozen=True)
class Covariate:
    """One column.

    Attributes
    ----------
    name : str
    values : tuple of N arrays
        Of each series: float64, or text (object) for categories. A known covariate starts with the series and may reach
        past its end, where NaN and None are missing values; a past one has the rows of the series, a static one has
        one.
    role : {"known", "past", "static"}
    """

    name: str
    values: tuple[np.ndarray, ...]
    role: Role = "known"

    @property
    def is_text(self) -> bool:
        """Whether the values are categories."""
        return bool(self.values) and self.values[0].dtype == object


@dataclass(frozen=True)
class Covariates:
    """The covariates of a table of ``N`` series."""

    columns: tuple[Covariate, ...] = ()
    told: Told | None = None
    """What is known in words about times."""
    titles: Titles | None = None
    """What is known in words about each series."""

    def __getitem__(self, name: str) -> Covariate:
        for one in self.columns:
            if one.name == name:
                return one
        raise TableError(f"the table has no covariate {name!r}; add the column, and name it as in training")

    def __contains__(self, name: str) -> bool:
        return any(one.name == name for one in self.columns)

    @property
    def empty(self) -> bool:
        """Whether nothing is known beside the values."""
        return not self.columns and self.told is None and self.titles is None

    def select(self, indices: Sequence[int]) -> "Covariates":
        """Return those of the series with these indices."""
        columns = tuple(replace(one, values=tuple(one.values[i] for i in indices)) for one in self.columns)
        return replace(self, columns=columns, titles=None if self.titles is None else self.titles.select(indices))

    def of(self, role: Role) -> tuple[Covariate, ...]:
        """Return the covariates of a role."""
        return tuple(one for one in self.columns if one.role == role)

    def cut(self, rows: Sequence[int]) -> "Covariates":
        """Keep the first rows of each series."""

        def shortened(one: Covariate) -> Covariate:
            if one.role == "static":
                return one
            return replace(one, values=tuple(v[:n] for v, n in zip(one.values, rows, strict=True)))

        return replace(self, columns=tuple(shortened(one) for one in self.columns))


NO_COVARIATES = Covariates()


@dataclass(frozen=True)
class Rows:
    """Rows of a table, of which covariates are read.

    Attributes
    ----------
    table : nw.DataFrame
    numbers : (R,) int array
        Row numbers for messages.
    times : pd.Index
        ``R`` times.
    codes : (R,) int array
        Series of each row; -1 for a series that is not read. None if every row is one of all series.
    """

    table: nw.DataFrame[Any]
    numbers: np.ndarray
    times: pd.Index
    codes: np.ndarray | None


def read_covariates(
    names: Sequence[str],
    rows: Rows,
    ahead: Rows | None,
    ids: Sequence[str],
    times: Sequence[pd.Index],
    *,
    frequency: str,
    fill: Fill | None,
    role: Role = "known",
) -> list[Covariate]:
    """Align the covariates of a table with its series.

    Parameters
    ----------
    names : sequence of str
    rows : Rows
        Of the table, those after the end of the series included.
    ahead : Rows, optional
        More rows with the same columns. Those within the series are ignored.
    ids : sequence of N str
    times : sequence of N pd.Index
        The times of each series.
    frequency : str
    fill : str or None
        How missing cells within the series are filled; refused by default.
    role : {"known", "past"}
        Rows of past covariates after the end of a series are not read.

    Raises
    ------
    TableError
        A cell within a series is missing and ``fill`` is None, or a column mixes text and numbers.
    """
    if not names:
        return []
    places = _Places(rows, ids, times, frequency)
    later = None if ahead is None else _Places(ahead, ids, times, frequency)
    found = []
    for name in names:
        cells = read_cells(rows.table[name], rows.numbers)
        more = read_cells(ahead.table[name], ahead.numbers) if ahead is not None else None
        if more is not None and len(more) and more.dtype != cells.dtype:
            cells, more = _alike(cells, more, name)
        values = []
        for index, series_times in enumerate(times):
            length = len(series_times)
            at, which = places.of(index)
            own = _placed(cells, at, which, length)
            if later is not None and more is not None:
                at, which = later.of(index)
                own = _extended(own, more, at, which, length)
            own = own[:length] if role == "past" else own
            _complete(own, length, fill, name=name, series=ids[index], times=series_times)
            values.append(own)
        found.append(Covariate(name, tuple(values), role))
    return found


class _Places:
    """Positions of rows in the grid of their series, counted from its first row."""

    def __init__(self, rows: Rows, ids: Sequence[str], times: Sequence[pd.Index], frequency: str) -> None:
        self.rows, self.times, self.frequency = rows, times, frequency
        self.stamps = microseconds(rows.times, wall=False)
        self.shared: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        if rows.codes is not None:
            order = np.argsort(rows.codes, kind="stable")
            bounds = np.searchsorted(rows.codes[order], np.arange(len(ids) + 1))
            self.order, self.bounds = order, bounds

    def of(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions (from 0, of rows that lie in the grid and not before it), and the rows that are there."""
        if self.rows.codes is not None:
            which = self.order[self.bounds[index] : self.bounds[index + 1]]
            return self._find(which, self.times[index])
        key = id(self.times[index])
        if key not in self.shared:
            self.shared[key] = self._find(np.arange(len(self.stamps)), self.times[index])
        return self.shared[key]

    def _find(self, which: np.ndarray, times: pd.Index) -> tuple[np.ndarray, np.ndarray]:
        which = which[np.argsort(self.stamps[which], kind="stable")]
        known = microseconds(times, wall=False)
        if self.frequency == NO_FREQUENCY:  # rows are counted
            inside = np.searchsorted(known, self.stamps[which])
            exact = (inside < len(known)) & (known[np.minimum(inside, len(known) - 1)] == self.stamps[which])
            after = np.cumsum(self.stamps[which] > known[-1]) - 1 + len(known)
            at = np.where(exact, inside, np.where(self.stamps[which] > known[-1], after, -1))
            return at[at >= 0], which[at >= 0]
        grid = parse_frequency(self.frequency)
        first, _ = grid.ordinals(times[:1], nominal_wall(times)[:1])
        ordinals, fits = grid.ordinals(self.rows.times[which])
        at, rest = np.divmod(ordinals - first[0], grid.step)
        kept = fits & (rest == 0) & (at >= 0)
        return at[kept], which[kept]


def read_cells(column: nw.Series[Any], numbers: np.ndarray) -> np.ndarray:
    """Cells as float64 with NaN, or as text with None."""
    if column.dtype == nw.Boolean:
        return np.array([np.nan if cell is None else float(cell) for cell in column.to_list()])
    if column.dtype.is_numeric() or column.is_null().all():
        return numeric_values(column, numbers)[0]
    cells = column.to_list()
    kinds = {isinstance(cell, bool | np.bool_) for cell in cells if not is_missing(cell)}
    if kinds == {True}:
        return np.array([np.nan if is_missing(cell) else float(cell) for cell in cells])
    try:
        values = numeric_values(column, numbers)[0]
    except TableError:
        values = np.full(len(cells), np.nan)
    if np.isnan(values).all():
        return np.array([_level(cell) for cell in cells], dtype=object)
    return values


def _level(cell: object) -> str | None:
    """Return a cell of a category; words for a missing value, such as none, are levels like any others."""
    text = cell.strip() if isinstance(cell, str) else None if is_missing(cell) else str(cell)
    return text or None


def _alike(cells: np.ndarray, more: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Two parts of a column as the same type: one without any value takes that of the other."""

    def empty(some: np.ndarray) -> bool:
        return all(is_missing(cell) for cell in some.tolist())

    def blank(some: np.ndarray, like: np.ndarray) -> np.ndarray:
        return np.full(len(some), None if like.dtype == object else np.nan, dtype=like.dtype)

    if empty(more):
        return cells, blank(more, cells)
    if empty(cells):
        return blank(cells, more), more
    raise TableError(
        f"covariate {name!r} holds text in one table and numbers in the other; expected the same kind of values in the "
        "table and in its future rows"
    )


def _placed(cells: np.ndarray, at: np.ndarray, which: np.ndarray, length: int) -> np.ndarray:
    """Cells by position, from the first row of the series to the last row that is there."""
    rows = max(length, int(at.max(initial=-1)) + 1)
    rows = min(rows, 2 * length + len(at))  # a time far away does not take memory
    found = np.full(rows, None if cells.dtype == object else np.nan, dtype=cells.dtype)
    inside = at < rows
    found[at[inside]] = cells[which[inside]]
    return found


def _extended(own: np.ndarray, more: np.ndarray, at: np.ndarray, which: np.ndarray, length: int) -> np.ndarray:
    """Rows after the end of a series from another table; those of the first table remain where it has any."""
    later = (at >= length) & (at < 2 * length + len(at) + len(own))
    at, which = at[later], which[later]
    rows = max(len(own), int(at.max(initial=-1)) + 1)
    found = np.full(rows, None if own.dtype == object else np.nan, dtype=own.dtype)
    found[at] = more[which]
    kept = ~_missing(own)
    found[: len(own)][kept] = own[kept]
    return found


def _missing(values: np.ndarray) -> np.ndarray:
    return np.asarray(pd.isna(values))


def _complete(values: np.ndarray, length: int, fill: Fill | None, *, name: str, series: str, times: pd.Index) -> None:
    """Fill missing cells within the series in place, as its values are filled."""
    missing = _missing(values[:length])
    if values.dtype != object:
        missing |= np.isinf(values[:length])
    if not missing.any():
        return
    if fill is None:
        raise TableError(
            f"covariate {name!r} has no value at {times[int(np.argmax(missing))]} of series {series!r} "
            f"({int(missing.sum())} such rows); set data.fill to linear, ffill or zero, or correct the table"
        )
    known = np.flatnonzero(~missing)
    if not len(known):
        raise TableError(f"covariate {name!r} has no value in series {series!r}; add them or leave the column out")
    gaps = np.flatnonzero(missing)
    if fill == "zero" and values.dtype != object:
        values[gaps] = 0.0
    else:  # the last value before the gap, which is known at every later time; at the start the first one
        values[gaps] = values[known[np.maximum(np.searchsorted(known, gaps) - 1, 0)]]
