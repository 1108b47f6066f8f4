"""Groups of features: what a covariate may do to a series, as columns of numbers for each row.

A group belongs to one covariate and earns its place as a whole. Any class with the interface of `Group` can be one.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Protocol, Self

import numpy as np
import pandas as pd
from pydantic import Field, TypeAdapter

from swt_time.data.covariates import Covariate
from swt_time.data.series import SeriesTable
from swt_time.effects.calendar import DERIVED, derived_labels
from swt_time.effects.clock import Clock, day_of_year
from swt_time.effects.notes import NOTES, NotesGroup
from swt_time.effects.titles import TITLES, TitleGroup
from swt_time.errors import TableError

KNOTS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles of a number at which its effect may bend."""

HARMONICS = 3
"""Waves of the season with which the effect of a number may vary."""

YEARLY = 4
"""Waves of the year."""

MOST_LEVELS = 32
"""Most levels of a category that have effects, the most frequent ones."""

MOST_CROSSED = 96
"""Most features of a category at the phases of the season; of more, its effect varies in `HARMONICS` waves."""

MOST_OFFSETS = 4
"""Most levels of a category that have effects on the rows before and after them."""


Season = Annotated[int, Field(ge=1, le=2**20)]
Offset = Annotated[int, Field(ge=-(2**20), le=2**20)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Group(Protocol):
    """Features of one covariate."""

    @property
    def name(self) -> str:
        """Name of the covariate; no two groups have the same."""

    @property
    def width(self) -> int:
        """Number of features, ``p``."""

    @property
    def rough(self) -> np.ndarray:
        """Features that are shrunk more than the others, (p,) bool: effects that vary with the season."""

    def features(self, table: SeriesTable, clock: Clock, index: int, start: int, stop: int) -> np.ndarray:
        """Features of rows ``start`` to ``stop`` of a series, (stop - start, p) float64.

        Rows may lie after the end of the series, as far as the covariate is known. What it is at later rows than
        ``stop`` may be used only where it is known in advance.

        Raises
        ------
        TableError
            The covariate is not known at such a row.
        """
        ...

    def record(self) -> dict[str, Any]:
        """Plain values for a checkpoint, with a ``kind`` of `KINDS`, from which `restore_group` restores the group."""
        ...


def cells_at(table: SeriesTable, clock: Clock, name: str, index: int, stop: int) -> np.ndarray:
    """Return the values of a covariate up to row ``stop`` of a series at least; later ones as far as they are known.

    Raises
    ------
    TableError
        It is not known at some row before ``stop``; names the first one.
    """
    column: Covariate = table.covariates[name]
    cells = column.values[index]
    rows = len(table.values[index])
    after = cells[rows:stop]
    unknown = np.asarray(pd.isna(after)) if after.dtype == object else ~np.isfinite(after)
    if len(cells) < stop or unknown.any():
        first = rows + (int(np.argmax(unknown)) if unknown.any() else len(after))
        raise TableError(
            f"covariate {name!r} of series {table.ids[index]!r} has no value at {clock.time(index, first)}; a forecast "
            "needs its rows up to the horizon: add them to the table, with an empty target, or pass future=..."
        )
    later = cells[stop:]
    unknown = np.asarray(pd.isna(later)) if later.dtype == object else ~np.isfinite(later)
    return cells[: stop + int(np.argmax(unknown))] if unknown.any() else cells


@dataclass(frozen=True)
class NumberGroup:
    """A number: a bent effect, that of the row before and of the last season, and one that varies with the season.

    Attributes
    ----------
    name : str
    mean, deviation : float
    knots : tuple of float
        In units of ``deviation`` around ``mean``.
    season : int
        Rows of a season; 1 for none.
    """

    name: str
    mean: Finite
    deviation: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    knots: tuple[Finite, ...]
    season: Season

    @property
    def _waves(self) -> int:
        return min(HARMONICS, self.season // 2)

    @property
    def width(self) -> int:
        """``p``."""
        return 3 + len(self.knots) + 2 * self._waves

    @property
    def rough(self) -> np.ndarray:
        """Which features vary with the season."""
        return np.arange(self.width) >= 3 + len(self.knots)

    def features(self, table: SeriesTable, clock: Clock, index: int, start: int, stop: int) -> np.ndarray:
        """See `Group`."""
        cells = cells_at(table, clock, self.name, index, stop)
        check_numbers(cells, self.name)
        trail = max(self.season, 2)
        begin = max(start - trail, 0)
        values = (cells[begin:stop] - self.mean) / self.deviation
        values = np.clip(values, -10, 10)  # what is far away from everything in training has no larger effect
        sums = np.concatenate([[0.0], np.cumsum(values)])
        rows = np.arange(start - begin, stop - begin)
        first = np.maximum(rows - trail + 1, 0)
        now = values[rows]
        columns = [now, values[np.maximum(rows - 1, 0)], (sums[rows + 1] - sums[first]) / (rows + 1 - first)]
        columns += [np.maximum(now - knot, 0.0) for knot in self.knots]
        angle = 2 * np.pi * clock.phase(index, start, stop) / self.season
        columns += [now * wave(k * angle) for k in range(1, self._waves + 1) for wave in (np.sin, np.cos)]
        return np.stack(columns, axis=1)

    def record(self) -> dict[str, Any]:
        """See `Group`."""
        return {"kind": "number", **asdict(self), "knots": list(self.knots)}

    @classmethod
    def fit(cls, column: Covariate, season: int) -> Self | None:
        """Learn mean, deviation and knots of a covariate; None for a constant."""
        values = np.concatenate(column.values)
        values = values[np.isfinite(values)]
        found = mean_and_deviation(values)
        if found is None:
            return None
        mean, deviation = found
        knots = np.unique(np.round((np.quantile(values, KNOTS) - mean) / deviation, 6))
        inner = knots[(knots > (values.min() - mean) / deviation) & (knots < (values.max() - mean) / deviation)]
        return cls(column.name, mean, deviation, tuple(inner.tolist()), season)


@dataclass(frozen=True)
class LevelsGroup:
    """A boolean or a category: an effect of each level, at each phase of the season, and before and after it.

    Attributes
    ----------
    name : str
    levels : tuple of str
        Those with effects; any other cell has none.
    season : int
    offsets : tuple of int
        Rows to look ahead (positive) and back.
    """

    name: str
    levels: tuple[str, ...]
    season: Season
    offsets: tuple[Offset, ...] = ()
    codes: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", {level: code for code, level in enumerate(self.levels)})

    @property
    def _crossed(self) -> int:
        """Features for each level that vary with the season."""
        if self.season == 1 or 2 * len(self.levels) > MOST_CROSSED:
            return 0
        if len(self.levels) * self.season <= MOST_CROSSED:
            return self.season
        return 2 * min(HARMONICS, MOST_CROSSED // (2 * len(self.levels)), self.season // 2)

    @property
    def width(self) -> int:
        """``p``."""
        return len(self.levels) * (1 + len(self.offsets) + self._crossed)

    @property
    def rough(self) -> np.ndarray:
        """Which features vary with the season."""
        return np.arange(self.width) >= len(self.levels) * (1 + len(self.offsets))

    def features(self, table: SeriesTable, clock: Clock, index: int, start: int, stop: int) -> np.ndarray:
        """See `Group`."""
        back, ahead = max([0, *(-one for one in self.offsets)]), max([0, *self.offsets])
        begin = max(start - back, 0)
        if self.name.startswith(DERIVED):
            cells = derived_labels(self.name, clock, index, begin, stop + ahead)
        else:
            cells = cells_at(table, clock, self.name, index, stop)[begin : stop + ahead]
        codes = level_codes(cells, self.codes)
        shown = (codes[:, None] == np.arange(len(self.levels))).astype(np.float64)
        rows = np.arange(start - begin, stop - begin)
        last = len(cells) - 1
        now = shown[rows]
        parts = [now, *(shown[np.clip(rows + one, 0, last)] for one in self.offsets)]
        if self._crossed:
            phase = clock.phase(index, start, stop)
            if self._crossed == self.season:
                basis = (phase[:, None] == np.arange(self.season)).astype(np.float64)
            else:
                angle = 2 * np.pi * phase[:, None] * np.arange(1, self._crossed // 2 + 1) / self.season
                basis = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
            parts.append((now[:, :, None] * basis[:, None, :]).reshape(len(now), -1))
        return np.concatenate(parts, axis=1)

    def record(self) -> dict[str, Any]:
        """See `Group`."""
        return {
            "kind": "levels",
            "name": self.name,
            "levels": list(self.levels),
            "season": self.season,
            "offsets": list(self.offsets),
        }

    @classmethod
    def fit(cls, column: Covariate, season: int, day: int) -> Self | None:
        """Learn the levels of a covariate; the most frequent one is the base and has no effect.

        None if there is one level.
        """
        levels = tuple(ranked_levels(np.concatenate(column.values))[1 : MOST_LEVELS + 1])
        if not levels:
            return None
        offsets: tuple[int, ...] = ()
        if len(levels) <= MOST_OFFSETS:
            offsets = (-1, 1) if day == 1 else (-1, 1, -day, day)
        return cls(column.name, levels, season, offsets)


@dataclass(frozen=True)
class YearGroup:
    """The time of the year, in waves."""

    name: str = f"{DERIVED}year"

    @property
    def width(self) -> int:
        """``p``."""
        return 2 * YEARLY

    @property
    def rough(self) -> np.ndarray:
        """None."""
        return np.zeros(self.width, dtype=bool)

    def features(self, table: SeriesTable, clock: Clock, index: int, start: int, stop: int) -> np.ndarray:
        """See `Group`."""
        angle = 2 * np.pi * day_of_year(clock.wall(index, stop)[start:])[:, None] * np.arange(1, YEARLY + 1)
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)

    def record(self) -> dict[str, Any]:
        """See `Group`."""
        return {"kind": "year", "name": self.name}


KINDS: dict[str, Any] = {"number": NumberGroup, "levels": LevelsGroup, "year": YearGroup}
"""Classes of groups by the ``kind`` of their record."""

READ: dict[str, type[NotesGroup] | type[TitleGroup]] = {NOTES: NotesGroup, TITLES: TitleGroup}
"""Those whose texts were read by a language model; they have arrays beside their record."""


def restore_group(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Group:
    """Restore a group from its record and the arrays of all groups, which may be a stranger's.

    Raises
    ------
    ValueError, KeyError, TypeError
        It is not what `Group.record` gives.
    """
    values = dict(record)
    if values["kind"] in READ:
        return READ[values["kind"]].restore(values, arrays)
    group: Group = TypeAdapter(KINDS[values.pop("kind")]).validate_python(values)
    return group


def as_level(cell: Any) -> str:
    """Return a cell as the name of a level: 1, 1.0 and True are the same."""
    return cell if isinstance(cell, str) else f"{float(cell):g}"


def ranked_levels(cells: np.ndarray) -> list[str]:
    """Return the levels of a category, the most frequent first."""
    counts = pd.Series(cells).dropna().map(as_level).value_counts()
    return [str(level) for level, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def level_codes(cells: np.ndarray, codes: Mapping[str, int]) -> np.ndarray:
    """Code of the level of each cell, -1 for a missing cell and for a level without a code."""
    found, distinct = pd.factorize(cells)
    of = np.array([codes.get(as_level(one), -1) for one in distinct] or [-1], dtype=np.int64)
    return np.where(found >= 0, of[found], -1)


def check_numbers(cells: np.ndarray, name: str) -> None:
    """Raise if a covariate that held numbers in training holds text."""
    if cells.dtype == object:
        raise TableError(f"covariate {name!r} holds text; it held numbers in training")


def mean_and_deviation(values: np.ndarray) -> tuple[float, float] | None:
    """Mean and standard deviation of finite numbers; None if they are constant, or there are none."""
    if not len(values):
        return None
    mean, deviation = float(values.mean()), float(values.std())
    return (mean, deviation) if deviation > 1e-12 * max(abs(mean), 1e-300) else None
