"""Sums from which the coefficients of effects are solved.

A forecaster ``W`` maps the values before an origin to those after it. With effects it sees the values without their
effects, and the effects of the rows after the origin are added to its forecast. Its errors are then

    additive:        ``y_after - W y_before - (F_after - W F_before) b``
    multiplicative:  ``y_after - m_after W (y_before / m_before)``,  ``m = exp(F b)``

which is linear in the coefficients ``b``, or linearised around the former ones (Gauss-Newton). So ``b`` is a
regression of the errors of the forecaster on features that went through the same forecaster (Frisch and Waugh, 1933;
Lovell, 1963), and effects are those that lower the errors of forecasts, whatever the forecaster knows already.

Shapes: ``M`` origins, ``T`` context, ``S`` steps, ``p`` features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from swt_time.data.series import SeriesTable
from swt_time.effects.clock import Clock
from swt_time.effects.groups import Group

Link = Literal["additive", "multiplicative"]

LARGEST_LOG = 3.0
"""Multiplicative effects lie between ``exp(-3)`` and ``exp(3)``."""

MOST_CELLS = 2**24
"""Most features of a series that are kept at once; of longer ones those of each window are computed."""

CHUNK = 2**14
"""Rows of the regression that are added to the sums at once."""


@dataclass(frozen=True)
class Sums:
    """Second moments of a regression: ``gram`` (p, p), ``products`` (p,), sum of squared targets, and their number.

    Of ``S`` targets at once ``products`` are (p, S), and ``squares`` is the mean of their sums.
    """

    gram: np.ndarray
    products: np.ndarray
    squares: float
    points: int

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.gram + other.gram,
            self.products + other.products,
            self.squares + other.squares,
            self.points + other.points,
        )

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(
            self.gram - other.gram,
            self.products - other.products,
            self.squares - other.squares,
            self.points - other.points,
        )

    def mse(self, beta: np.ndarray, used: np.ndarray) -> float:
        """Mean squared error with coefficients of the ``used`` features, (p,) or (p, S)."""
        targets = 1 if self.products.ndim == 1 else self.products.shape[1]
        explained = 2 * np.vdot(self.products[used], beta) - np.vdot(beta, self.gram[np.ix_(used, used)] @ beta)
        return float(max(self.squares - explained / targets, 0.0)) / max(self.points, 1)

    @classmethod
    def zero(cls, width: int) -> "Sums":
        """Return the sums over nothing."""
        return cls(np.zeros((width, width)), np.zeros(width), 0.0, 0)


@dataclass(frozen=True)
class Filter:
    """A linear forecaster of the values themselves: ``steps`` (S,) of the horizon, and ``weight`` (S, T)."""

    steps: np.ndarray
    weight: np.ndarray

    @property
    def context(self) -> int:
        """``T``."""
        return int(self.weight.shape[1])


class Features:
    """The features of all groups of the rows of a table, and effects of them."""

    def __init__(self, table: SeriesTable, groups: Sequence[Group]) -> None:
        self.table, self.groups, self.clock = table, tuple(groups), Clock(table)
        self.width = sum(group.width for group in groups)

    def rows(self, index: int, start: int, stop: int) -> np.ndarray:
        """Features of rows of a series, (stop - start, p)."""
        found = [group.features(self.table, self.clock, index, start, stop) for group in self.groups]
        return np.concatenate(found, axis=1)

    def combine(self, index: int, start: int, stop: int, beta: np.ndarray) -> np.ndarray:
        """``F b`` of rows of a series, (stop - start,); memory does not grow with their number."""
        if not self.groups:
            return np.zeros(stop - start)
        size = max(MOST_CELLS // max(self.width, 1), 1)
        parts = [self.rows(index, row, min(row + size, stop)) @ beta for row in range(start, stop, size)]
        return np.concatenate(parts) if parts else np.empty(0)


def sum_up(
    features: Features,
    scales: np.ndarray,
    pairs: np.ndarray,
    folds: np.ndarray,
    count: int,
    *,
    by: Filter,
    link: Link,
    beta: np.ndarray,
) -> list[Sums]:
    """Sum over the windows of each fold.

    Parameters
    ----------
    features : Features
    scales : (N,) array
        Errors are in these units of each series.
    pairs : (M, 2) int array
        Series index and known rows of each origin, ordered by series.
    folds : (M,) int array
        Fold of each origin.
    count : int
        Number of folds.
    by : Filter
    link : {"additive", "multiplicative"}
    beta : (p,) array
        Coefficients around which the multiplicative link is linearised.

    Returns
    -------
    list of ``count`` Sums
        Of the regression whose solution is ``b`` itself, not its change.
    """
    totals = [Sums.zero(features.width) for _ in range(count)]
    for fold in range(len(totals)):
        buffer: list[tuple[np.ndarray, np.ndarray]] = []
        held = 0
        for index in np.unique(pairs[folds == fold, 0]).tolist():
            origins = pairs[(folds == fold) & (pairs[:, 0] == index), 1]
            for design, target in _designs(features, index, float(scales[index]), origins, by=by, link=link, beta=beta):
                buffer.append((design, target))
                held += len(target)
                if held >= CHUNK:
                    totals[fold] += _moments(buffer)
                    buffer, held = [], 0
        if buffer:
            totals[fold] += _moments(buffer)
    return totals


def _moments(buffer: list[tuple[np.ndarray, np.ndarray]]) -> Sums:
    design = np.concatenate([one for one, _ in buffer]).astype(np.float64)
    target = np.concatenate([one for _, one in buffer])
    return Sums(design.T @ design, design.T @ target, float(target @ target), len(target))


def _designs(
    features: Features, index: int, scale: float, origins: np.ndarray, *, by: Filter, link: Link, beta: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield design (S, p) and target (S,) of each origin; steps that were not observed are left out."""
    table, last = features.table, int(by.steps[-1]) + 1
    weight = by.weight.astype(np.float32)
    first = int(origins.min()) - by.context
    stop = int(origins.max()) + last
    whole = (stop - first) * features.width <= MOST_CELLS
    block = features.rows(index, first, stop).astype(np.float32) if whole else None
    for origin in origins.tolist():
        begin, end = origin - by.context, origin + last
        own = block[begin - first : end - first] if block is not None else features.rows(index, begin, end)
        before, after = own[: by.context], own[by.context + by.steps]
        known = table.context(index, origin, by.context) / scale
        rows = origin + by.steps
        truth, observed = table.values[index][rows] / scale, table.observed[index][rows]
        if link == "additive":
            design = after - weight @ before.astype(np.float32)
            target = truth - by.weight @ known
        else:
            logs = np.clip(own.astype(np.float64) @ beta, -LARGEST_LOG, LARGEST_LOG)
            rest = known / np.exp(logs[: by.context])
            factor, plain = np.exp(logs[by.context + by.steps]), by.weight @ rest
            design = after * plain[:, None] - weight @ (before * rest[:, None]).astype(np.float32)
            design *= factor[:, None]
            target = truth - factor * plain + design @ beta
        yield (design, target) if observed.all() else (design[observed], target[observed])
