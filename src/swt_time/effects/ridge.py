"""Which covariates have effects, and how strongly they are shrunk: chosen on folds that are left out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from swt_time.effects.sums import Sums

STRENGTHS = tuple(10.0**e for e in (-5, -4, -3.5, -3, -2.5, -2, -1.5, -1, 0))
"""Strengths of the ridge that are tried, in units of the number of rows."""

ROUGHNESS = (1.0, 10.0, 100.0)
"""How much more strongly effects are shrunk that vary with the season."""

LEAST_GAIN = 0.002
"""Share of the error on the folds that a covariate must gain to be kept."""

DOUBT = 2.0
"""Standard errors over the folds that a gain must exceed: on few rows a covariate without effect gains by chance."""

MARGIN = 0.01
"""Share of the error on the folds that all effects together must gain, and multiplicative ones over additive ones."""


@dataclass(frozen=True)
class Fit:
    """Coefficients that were chosen on folds.

    Attributes
    ----------
    kept : tuple of int
        Groups that are used.
    beta : (p,) or (p, S) array
        Of all features; zero for those of other groups.
    out_of_fold : (K, p) or (K, p, S) array
        Of all folds but one; of all where that one has no rows.
    errors : array
        Mean squared error of each fold that has rows, with the coefficients of the others.
    gains : dict of int to float
        Share of the error that each kept group gains; of each other one, what it would gain beside those.
    """

    kept: tuple[int, ...]
    beta: np.ndarray
    out_of_fold: np.ndarray
    errors: np.ndarray
    gains: dict[int, float]

    @property
    def score(self) -> float:
        """Mean log error over the folds."""
        return float(log_errors(self.errors).mean())


@dataclass(frozen=True)
class Problem:
    """Sums by fold (K,), with the group of each feature (p,) and which features are rough (p,).

    A fold may have no rows: the context of the first origins can take all of it, and so can an outage. It has no error,
    and counts neither in a mean over the folds nor in its standard error.
    """

    sums: Sequence[Sums]
    group: np.ndarray
    rough: np.ndarray

    @cached_property
    def total(self) -> Sums:
        """Sums over all folds."""
        total = self.sums[0]
        for one in self.sums[1:]:
            total = total + one
        return total

    @cached_property
    def folds(self) -> list[int]:
        """The folds that have rows."""
        return [number for number, one in enumerate(self.sums) if one.points]

    @cached_property
    def others(self) -> list[Sums]:
        """For each of `folds` the sums over all others."""
        return [self.total - self.sums[number] for number in self.folds]

    def solve(self, sums: Sums, used: np.ndarray, strength: float, roughness: float) -> np.ndarray:
        """Ridge regression on the used features."""
        if not len(used):
            return np.empty((0, *sums.products.shape[1:]))
        penalty = strength * max(sums.points, 1) * np.where(self.rough[used], roughness, 1.0)
        return np.asarray(np.linalg.solve(sums.gram[np.ix_(used, used)] + np.diag(penalty), sums.products[used]))

    def errors(self, kept: Sequence[int], strength: float, roughness: float) -> np.ndarray:
        """Mean squared error of each of `folds` by the coefficients of the others."""
        used = np.flatnonzero(np.isin(self.group, kept))
        pairs = zip((self.sums[number] for number in self.folds), self.others, strict=True)
        return np.array([one.mse(self.solve(rest, used, strength, roughness), used) for one, rest in pairs])

    def logs(self, kept: Sequence[int], strength: float, roughness: float) -> np.ndarray:
        """Log error of each fold."""
        return log_errors(self.errors(kept, strength, roughness))

    def score(self, kept: Sequence[int], strength: float, roughness: float) -> float:
        """Mean log error over the folds."""
        return float(self.logs(kept, strength, roughness).mean())

    def strengths(self, kept: Sequence[int]) -> tuple[float, float]:
        """Return the strength and the roughness with the lowest error on the folds."""
        used = np.isin(self.group, kept)
        ratios = ROUGHNESS if self.rough[used].any() else ROUGHNESS[:1]
        return min(((s, r) for s in STRENGTHS for r in ratios), key=lambda one: self.score(kept, *one))

    def choose(self, kept: Sequence[int] | None = None, always: Sequence[int] = ()) -> Fit:
        """Leave out, one after the other, groups without a sure gain of `LEAST_GAIN`.

        Parameters
        ----------
        kept : sequence of int, optional
            Groups that are used; none of them is left out.
        always : sequence of int
            Groups that are not left out before others.
        """
        groups = list(range(int(self.group.max()) + 1))
        left = list(groups if kept is None else kept)
        strength = self.strengths(left)
        logs = self.logs(left, *strength)
        while kept is None and set(left) > set(always):
            tried = {
                one: self.logs([g for g in left if g != one], *strength) - logs for one in left if one not in always
            }
            least = min(tried, key=lambda one: sure_gain(tried[one]))
            if sure_gain(tried[least]) >= LEAST_GAIN:
                break
            left.remove(least)
            strength = self.strengths(left)
            logs = self.logs(left, *strength)
        return self._fit(left, groups, strength, float(logs.mean()))

    def _fit(self, left: list[int], groups: list[int], strength: tuple[float, float], score: float) -> Fit:
        used, width = np.flatnonzero(np.isin(self.group, left)), len(self.group)
        shape = (width, *self.total.products.shape[1:])
        beta, folds = np.zeros(shape), np.zeros((len(self.sums), *shape))
        if len(used):
            beta[used] = self.solve(self.total, used, *strength)
            folds[:, used] = beta[used]
            for number, rest in zip(self.folds, self.others, strict=True):
                folds[number, used] = self.solve(rest, used, *strength)
        gains = {}
        for one in groups:
            other = self.score([g for g in left if g != one] if one in left else sorted([*left, one]), *strength)
            gains[one] = 1 - math.exp(score - other if one in left else other - score)
        return Fit(tuple(left), beta, folds, self.errors(left, *strength), gains)


def log_errors(errors: np.ndarray) -> np.ndarray:
    """Logarithms of mean squared errors, which may be zero."""
    return np.asarray(np.log(np.maximum(errors, np.finfo(float).tiny)))


def sure_gain(gains: np.ndarray) -> float:
    """Return a gain that is exceeded in spite of its standard error over the folds."""
    return float(gains.mean() - DOUBT * gains.std(ddof=1) / math.sqrt(len(gains)))
