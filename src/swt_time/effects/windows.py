"""Effects of what is known before a forecast and not after it: past covariates, and static ones.

The forecast of ``S`` steps from an origin is changed by ``B' g``, where ``g`` are features of the origin. ``B`` is a
ridge regression of the errors of the closed form on ``g`` and on the own window of the series, for all steps at once:
without the own window, a covariate that only repeats it would seem to have an effect.

Shapes: ``M`` origins, ``H`` horizon, ``p`` features.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np

from swt_time.data.series import SeriesTable
from swt_time.effects.ridge import MARGIN, Problem, log_errors
from swt_time.effects.sums import Filter, Sums
from swt_time.effects.window_groups import LONGEST, PastGroup, WindowGroup, own_windows, restore_window_group
from swt_time.intervals import Residuals

CHUNK = 2**11
"""Origins whose features are computed at once."""


@dataclass(frozen=True)
class WindowEffects:
    """Changes of forecasts by what stands before them.

    Attributes
    ----------
    groups : tuple of WindowGroup
    edges : tuple of int
        Stretches of the own window, see `swt_time.effects.window_groups.stretches`.
    beta : (p, H) array
        Of the own window and of the groups, in standard deviations of a series.
    gains : mapping of str to float
        Share of the squared error on held-out folds that each group gains.
    left_out : mapping of str to float
        Covariates without effects, and what they would gain.
    error : float
        Squared error on the folds with the effects, as a share of that without.
    """

    groups: tuple[WindowGroup, ...]
    edges: tuple[int, ...]
    beta: np.ndarray
    gains: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, float] = field(default_factory=dict)
    error: float = 1.0

    def features(self, table: SeriesTable, pairs: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Features of origins, (M, p); ``units`` (M,) are those of their series."""
        own = own_windows(table, pairs, self.edges) / units[:, None]
        return np.concatenate([own, *(group.features(table, pairs, own) for group in self.groups)], axis=1)

    def change(
        self, table: SeriesTable, pairs: np.ndarray, units: np.ndarray, beta: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the changes of the forecasts from origins, (M, H), in the units of the table.

        Parameters
        ----------
        table : SeriesTable
            Without the effects of known covariates.
        pairs : (M, 2) int array
            Series index and known rows of each origin.
        units : (M,) array
            Standard deviations of their series.
        beta : (M, p, H) or (p, H) array, optional
            Other coefficients.
        """
        beta = self.beta if beta is None else beta
        found = np.zeros((len(pairs), beta.shape[-1]))
        for row in range(0, len(pairs) if self.groups else 0, CHUNK):
            part = slice(row, row + CHUNK)
            found[part] = self.features(table, pairs[part], units[part]) @ beta * units[part, None]
        return found

    def record(self) -> dict[str, Any]:
        """Plain values, for a checkpoint; ``beta`` is an array beside them."""
        return {
            "groups": [group.record() for group in self.groups],
            "edges": list(self.edges),
            "gains": dict(self.gains),
            "left_out": dict(self.left_out),
            "error": self.error,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], beta: np.ndarray) -> Self:
        """Restore effects, which may be a stranger's.

        Raises
        ------
        ValueError, KeyError, TypeError, AttributeError
            They are damaged.
        """
        groups, beta = tuple(restore_window_group(one) for one in record["groups"]), np.asarray(beta, np.float64)
        edges = tuple(int(one) for one in record["edges"])
        gains, left_out = ({str(k): float(v) for k, v in record[one].items()} for one in ("gains", "left_out"))
        rising = len(edges) > 1 and edges[0] == 0 and all(a < b for a, b in pairwise(edges))
        alike = all(
            group.edges == edges if isinstance(group, PastGroup) else group.stretches == len(edges) - 1
            for group in groups
        )
        width = len(edges) - 1 + sum(group.width for group in groups)
        if not (rising and alike and edges[-1] <= LONGEST and beta.shape[:-1] == (width,) and np.isfinite(beta).all()):
            raise ValueError("effects of windows have impossible shapes or values")
        return cls(groups, edges, beta, gains, left_out, float(record["error"]))


@dataclass(frozen=True)
class FittedWindows:
    """Effects, and what they are on each fold with the coefficients of the others.

    Attributes
    ----------
    effects : WindowEffects
    table : SeriesTable
        Without the effects of known covariates.
    units, rows : (N,) arrays
        Standard deviation of each series, and its rows that were learned from.
    folds : (F, p, H) array
    """

    effects: WindowEffects
    table: SeriesTable
    units: np.ndarray
    rows: np.ndarray
    folds: np.ndarray

    def beside(self, residuals: Residuals) -> "FittedWindows":
        """Return the effects, without groups if they do not lower the errors of the forecast that was chosen as well.

        They were learned on the errors of a closed form, which another forecast need not make. They must lower those on
        every held-out block, by `MARGIN` on average.
        """
        if not self.effects.groups:
            return self
        changed, seen = self.residuals(residuals).values, np.isfinite(residuals.values).any(axis=1)
        blocks = np.unique(residuals.block[seen])  # a block in which nothing was observed has no error
        errors = [
            [float(np.nanmean(values[residuals.block == block] ** 2)) for block in blocks]
            for values in (residuals.values, changed)
        ]
        before, after = (log_errors(np.array(one)) for one in errors)
        if (after < before).all() and float((before - after).mean()) > -math.log(1 - MARGIN):
            return self
        gain = 1 - math.exp(float((after - before).mean()))
        left_out = {**self.effects.left_out, **{group.name: gain for group in self.effects.groups}}
        width = len(self.effects.edges) - 1
        effects = replace(self.effects, groups=(), beta=np.zeros_like(self.effects.beta[:width]), gains={}, error=1.0,
                          left_out=left_out)  # fmt: skip
        return replace(self, effects=effects, folds=self.folds[:, :width])

    def residuals(self, residuals: Residuals) -> Residuals:
        """Residuals with the effects from those without."""
        pairs = residuals.pairs
        values, fold = residuals.values.copy(), pairs[:, 1] * len(self.folds) // self.rows[pairs[:, 0]]
        for number in np.unique(fold).tolist():
            chosen = fold == number
            beta = self.folds[number] if number < len(self.folds) else self.effects.beta
            units = self.units[pairs[chosen, 0]]
            values[chosen] -= self.effects.change(self.table, pairs[chosen], units, beta)
        return replace(residuals, values=values)


def fit_windows(
    table: SeriesTable,
    rows: Sequence[int],
    groups: Sequence[WindowGroup],
    *,
    edges: tuple[int, ...],
    units: np.ndarray,
    origins: tuple[np.ndarray, np.ndarray, int],
    solve: Callable[[], Filter],
) -> FittedWindows:
    """Learn the effects of groups on the first rows of each series.

    Parameters
    ----------
    table : SeriesTable
        Without the effects of known covariates, and of these rows only.
    rows : sequence of N int
    groups : sequence of WindowGroup
    edges : tuple of int
    units : (N,) array
        Standard deviations of the series.
    origins : (M, 2) int array, (M,) int array, int
        Forecast origins, the fold of each, and the number of folds.
    solve : callable
        Gives the linear forecast of all steps.

    Returns
    -------
    FittedWindows
        Without groups where none earns its place on held-out folds.
    """
    pairs, fold, count = origins
    names = [group.name for group in groups]

    def result(kept: Sequence[int], used: np.ndarray, beta: np.ndarray, folds: np.ndarray, *,
               gains: Mapping[int, float], share: float) -> FittedWindows:  # fmt: skip
        effects = WindowEffects(
            tuple(groups[i] for i in kept),
            edges,
            beta[used],
            {names[i]: gains[i + 1] for i in kept},
            {names[i]: gains.get(i + 1, 0.0) for i in range(len(groups)) if i not in kept},
            share,
        )
        return FittedWindows(effects, table, units, np.asarray(rows), folds[:, used])

    number = np.repeat(np.arange(len(groups) + 1), [len(edges) - 1, *(group.width for group in groups)])
    nothing = np.flatnonzero(number == 0)
    by = solve() if len(pairs) else None
    horizon = 1 if by is None else len(by.steps)
    whole = np.array([table.observed[i][row : row + horizon].all() for i, row in pairs.tolist()], dtype=bool)
    pairs, fold = pairs[whole], fold[whole]
    if by is None or len(np.unique(fold)) < 2:
        return result(
            (), nothing, np.zeros((len(number), horizon)), np.zeros((1, len(number), horizon)), gains={}, share=1.0
        )
    design = WindowEffects(tuple(groups), edges, np.empty(0)).features(table, pairs, units[pairs[:, 0]])
    targets = np.stack([
        (table.values[i][row : row + horizon] - by.weight @ table.context(i, row, by.context)) / units[i]
        for i, row in pairs.tolist()
    ])  # fmt: skip
    sums = [_moments(design[fold == one], targets[fold == one]) for one in range(count)]
    problem = Problem(sums, number, np.zeros(len(number), dtype=bool))
    fit = problem.choose(always=(0,))
    without = problem.choose((0,))
    plain = problem.score((), 1.0, 1.0)
    share = math.exp(fit.score - min(without.score, plain))
    if fit.kept == (0,) or share > 1 - MARGIN:
        return result((), nothing, np.zeros_like(fit.beta), np.zeros((1, *fit.beta.shape)), gains=fit.gains, share=1.0)
    kept = [one - 1 for one in fit.kept if one]
    return result(
        kept, np.flatnonzero(np.isin(number, fit.kept)), fit.beta, fit.out_of_fold, gains=fit.gains, share=share
    )


def _moments(design: np.ndarray, targets: np.ndarray) -> Sums:
    squares = float((targets**2).sum()) / targets.shape[1]
    return Sums(design.T @ design, design.T @ targets, squares, len(design))
