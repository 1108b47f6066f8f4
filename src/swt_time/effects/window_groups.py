"""What is known before a forecast and not after it, as features of its origin: past covariates, and static ones.

A window is described by means over stretches of lags: single lags as far as a short season, then stretches that double
in length, the approximations of Haar wavelets.

Shapes: ``M`` origins, ``T`` context, ``K`` stretches, ``C`` columns of a coded covariate, ``p`` features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, TypeAdapter

from swt_time.data.covariates import Covariate
from swt_time.data.series import SeriesTable
from swt_time.effects.groups import Finite, check_numbers, level_codes, mean_and_deviation, ranked_levels

MOST_SINGLE = 24
"""Longest season of which each lag is a stretch of its own."""

MOST_LEVELS = 12
"""Most levels of a category that have effects, the most frequent ones."""

FARTHEST = 10.0
"""Largest coded number, in standard deviations."""

LONGEST = 2**10
"""Longest window of a checkpoint, which may be a stranger's; those that are learned are shorter."""

Edge = Annotated[int, Field(ge=0, le=LONGEST)]


def stretches(context: int, season: int) -> tuple[int, ...]:
    """Return the lags after which a stretch ends and the next one begins, (K + 1,), from 0 to ``context``.

    Examples
    --------
    >>> stretches(40, 7)
    (0, 1, 2, 3, 4, 5, 6, 7, 14, 28, 40)
    """
    edges = list(range(min(season if season <= MOST_SINGLE else 1, context) + 1))
    while edges[-1] < context:
        edges.append(min(2 * edges[-1], context))
    return tuple(edges)


def averages(edges: Sequence[int]) -> np.ndarray:
    """Return the map from a window to its means over stretches, (T, K)."""
    found = np.zeros((edges[-1], len(edges) - 1))
    for number, (first, last) in enumerate(pairwise(edges)):
        found[edges[-1] - last : edges[-1] - first, number] = 1 / (last - first)
    return found


def own_windows(table: SeriesTable, pairs: np.ndarray, edges: Sequence[int]) -> np.ndarray:
    """Means over stretches of the series themselves, relative to the mean of the window, (M, K)."""
    found = np.zeros((len(pairs), edges[-1]))
    for row, (index, origin) in zip(found, pairs.tolist(), strict=True):
        known = table.context(index, origin, min(edges[-1], origin))
        row[len(row) - len(known) :] = known - known.mean()
    means: np.ndarray = found @ averages(edges)
    return means


@dataclass(frozen=True)
class Coding:
    """Cells as numbers: a number in standard deviations, or a column of zeros and ones for each level of a category.

    Attributes
    ----------
    levels : tuple of str
        Those with effects; empty for numbers.
    mean, deviation : float
        Of numbers.
    """

    levels: tuple[str, ...] = ()
    mean: Finite = 0.0
    deviation: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    @property
    def width(self) -> int:
        """``C``."""
        return max(len(self.levels), 1)

    def encode(self, cells: np.ndarray, name: str) -> np.ndarray:
        """Code cells, (n, C); missing ones, and unknown levels, are zeros."""
        if self.levels:
            codes = level_codes(cells, {level: code for code, level in enumerate(self.levels)})
            dummies: np.ndarray = (codes[:, None] == np.arange(self.width)).astype(np.float64)
            return dummies
        check_numbers(cells, name)
        coded = np.clip((cells - self.mean) / self.deviation, -FARTHEST, FARTHEST)
        return np.where(np.isfinite(coded), coded, 0.0)[:, None]

    @classmethod
    def fit(cls, cells: np.ndarray) -> Self | None:
        """Learn a coding; None for a constant."""
        if cells.dtype == object:
            ranked = ranked_levels(cells)
            return cls(tuple(ranked[:MOST_LEVELS])) if len(ranked) > 1 else None
        found = mean_and_deviation(cells[np.isfinite(cells)])
        return None if found is None else cls((), *found)


@dataclass(frozen=True)
class PastGroup:
    """The window of a past covariate before an origin: one more channel beside that of the series."""

    name: str
    coding: Coding
    edges: tuple[Edge, ...]

    @property
    def width(self) -> int:
        """``p``."""
        return self.coding.width * (len(self.edges) - 1)

    def features(self, table: SeriesTable, pairs: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Features of origins, (M, p); no row from the origin on is read. Rows before the series count as average."""
        context, found = self.edges[-1], np.zeros((len(pairs), self.edges[-1], self.coding.width))
        cells = table.covariates[self.name].values
        coded = {i: self.coding.encode(cells[i], self.name) for i in np.unique(pairs[:, 0]).tolist()}
        for row, (index, origin) in zip(found, pairs.tolist(), strict=True):
            known = coded[index][max(origin - context, 0) : origin]
            row[context - len(known) :] = known
        means = np.einsum("mtc,tk->mck", found, self._averages, optimize=True)
        columns: np.ndarray = means.reshape(len(pairs), -1)
        return columns

    @cached_property
    def _averages(self) -> np.ndarray:
        return averages(self.edges)

    def record(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"kind": "past", **asdict(self)}


@dataclass(frozen=True)
class StaticGroup:
    """What is known of a series as a whole: a change of each step, and of what follows from the own window.

    Attributes
    ----------
    name : str
    coding : Coding
    stretches : int
        ``K`` of the own window.
    values : mapping of str to str or float
        Of the series of the training; a table with the covariate has its own.
    """

    name: str
    coding: Coding
    stretches: Annotated[int, Field(ge=1, le=2**10)]
    values: Mapping[str, str | float]

    @property
    def width(self) -> int:
        """``p``."""
        return self.coding.width * (1 + self.stretches)

    def features(self, table: SeriesTable, pairs: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Features of origins, (M, p); zeros where nothing is known of a series."""
        coded = np.zeros((len(table.ids), self.coding.width))
        for index in np.unique(pairs[:, 0]).tolist():
            cell = self.cell(table, index)
            if cell is not None:
                cells = np.array([cell], dtype=object if isinstance(cell, str) else np.float64)
                coded[index] = self.coding.encode(cells, self.name)[0]
        shown = np.concatenate([np.ones((len(pairs), 1)), own], axis=1)
        columns: np.ndarray = (coded[pairs[:, 0]][:, :, None] * shown[:, None, :]).reshape(len(pairs), -1)
        return columns

    def cell(self, table: SeriesTable, index: int) -> str | float | None:
        """Return the value of a series; None if it is not known."""
        if self.name in table.covariates:
            found = table.covariates[self.name].values[index][0]
            return found if isinstance(found, str) else float(found)
        return self.values.get(table.ids[index])

    def record(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"kind": "static", **asdict(self)}


WindowGroup = PastGroup | StaticGroup

KINDS: dict[str, Any] = {"past": PastGroup, "static": StaticGroup}
"""Classes of groups by the ``kind`` of their record."""


def restore_window_group(record: Mapping[str, Any]) -> WindowGroup:
    """Restore a group from its record, which may be a stranger's.

    Raises
    ------
    ValueError, KeyError, TypeError
        It is no such record.
    """
    values = dict(record)
    group: WindowGroup = TypeAdapter(KINDS[values.pop("kind")]).validate_python(values)
    return group


def window_groups(table: SeriesTable, rows: Sequence[int], edges: tuple[int, ...]) -> list[WindowGroup]:
    """Return the groups of the past and static covariates of a table, learned from the first rows of each series."""
    cut, found = table.covariates.cut(rows), list[WindowGroup]()

    def coding(column: Covariate) -> Coding | None:
        return Coding.fit(np.concatenate(column.values))

    for column in cut.of("past"):
        if (one := coding(column)) is not None:
            found.append(PastGroup(column.name, one, edges))
    for column in cut.of("static"):
        if (one := coding(column)) is not None:
            cells = [cell[0] if column.is_text else float(cell[0]) for cell in column.values]
            found.append(StaticGroup(column.name, one, len(edges) - 1, dict(zip(table.ids, cells, strict=True))))
    return found
