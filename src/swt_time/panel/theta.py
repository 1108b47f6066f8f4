"""The Theta method and the dynamic optimised Theta method for a block of series at once.

Source: Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler, "Models for optimising the theta method and their
relationship to state space models", International Journal of Forecasting 32 (2016). With ``q = 1 - alpha``, the
one-step forecast of ``y_t`` (``t`` from 0) is

    ``mu_t = l_{t-1} + w (A_{t-1} q^t + B_{t-1} (1 - q^{t+1}) / alpha)``,  ``l_t = alpha y_t + q l_{t-1}``,

where ``A`` and ``B`` are intercept and slope of a straight line: through the whole series and ``w = 1/2`` in the
standard method, through the values so far and ``w = 1 - 1/theta`` free in the dynamic optimised one. The parameters
minimise the sum of squared one-step errors from the fourth value on. For a given ``alpha`` these errors are linear in
``l_{-1}`` and ``w``, which are therefore solved in closed form; only ``alpha`` is searched, in all series at once.

Shapes: ``M`` series, ``L`` values, ``G`` values of alpha, ``S`` steps.
"""

from dataclasses import dataclass

import numpy as np

from swt_time.panel.rows import Rows

ALPHAS = (0.1, 0.99)
"""Bounds of alpha, as in statsforecast and forecTheta."""

STANDARD = 0.5
"""Weight ``w`` of the line in the standard method, whose theta is 2."""

WARM_UP = 3
"""One-step errors that are not part of the sum of squares."""

FAINT = 1e-6
"""Weight of the warm-up errors: it decides the initial level where the others leave it undetermined."""

COARSE = 12
"""Values of alpha in the first search; two further searches of four values each refine it."""


@dataclass(frozen=True)
class Theta:
    """Fitted parameters and final states of a block; each is an array (M,).

    Attributes
    ----------
    alpha, initial, weight : ndarray
        ``alpha``, ``l_{-1}`` and ``w``.
    error : ndarray
        Mean squared one-step error.
    level, mean, intercept, slope : ndarray
        The level, the mean of the values, and the line after the last value.
    lengths : ndarray of int
    dynamic : bool
    """

    alpha: np.ndarray
    initial: np.ndarray
    weight: np.ndarray
    error: np.ndarray
    level: np.ndarray
    mean: np.ndarray
    intercept: np.ndarray
    slope: np.ndarray
    lengths: np.ndarray
    dynamic: bool

    @property
    def flat(self) -> np.ndarray:
        """The next one-step forecast (M,) without the slope of the line: a level that is shifted with the series."""
        flat: np.ndarray = self.level + self.weight * self.intercept * (1 - self.alpha) ** self.lengths
        return flat

    def forecast(self, steps: int) -> np.ndarray:
        """Forecast ``steps`` values after the last one: (M, steps)."""
        level, mean, intercept, slope = self.level, self.mean, self.intercept, self.slope
        keep = 1 - self.alpha
        power = keep**self.lengths
        out = np.empty((len(level), steps))
        for step in range(steps):
            at = self.lengths + step
            value = level + self.weight * (intercept * power + slope * (1 - power * keep) / self.alpha)
            if self.dynamic:
                slope = ((at - 1) * slope + 6 * (value - mean) / (at + 1)) / (at + 2)
                mean = (at * mean + value) / (at + 1)
                intercept = mean - slope * (at + 2) / 2
            level = self.alpha * value + keep * level
            power = power * keep
            out[:, step] = value
        return out


def fit_theta(rows: Rows, dynamic: bool = False, through: tuple[np.ndarray, np.ndarray] | None = None) -> Theta:
    """Fit the standard Theta method, or the dynamic optimised one, to series without a season.

    Parameters
    ----------
    rows : Rows
        Seasonally adjusted series of at least two values.
    dynamic : bool
    through : tuple of ndarray, optional
        Their `lines`, if they are known already.
    """
    through = lines(rows) if through is None else through
    intercept, slope = (one[rows.lengths - 1, np.arange(len(rows))] for one in through)
    known = through if dynamic else (intercept[None], slope[None])
    errors = OneStepErrors.of(rows, known, free=dynamic)
    low, high = ALPHAS
    gap = (high - low) / (COARSE - 1)
    grid = np.linspace(low, high, COARSE)[:, None]  # the same for all series
    best = np.full(len(rows), np.inf)
    alpha, initial, weight = np.empty((3, len(rows)))
    for _ in range(3):
        levels, ws, sums = solve(errors.moments(grid))
        at = sums.argmin(axis=0)[None]
        found = np.take_along_axis(sums, at, axis=0)[0]
        better = found < best
        best = np.where(better, found, best)
        tried = np.broadcast_to(grid, sums.shape)
        alpha = np.where(better, np.take_along_axis(tried, at, axis=0)[0], alpha)
        initial = np.where(better, np.take_along_axis(levels, at, axis=0)[0], initial)
        weight = np.where(better, np.take_along_axis(ws, at, axis=0)[0], weight)
        grid = np.clip(alpha + gap * np.array([-2 / 3, -1 / 3, 1 / 3, 2 / 3])[:, None], low, high)
        gap /= 3
    error = best / np.maximum(errors.weights.sum(axis=0), FAINT)
    return with_states(
        rows, (intercept, slope), alpha=alpha, initial=initial, weight=weight, error=error, dynamic=dynamic
    )


def lines(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return intercept and slope of the least-squares line over ``t = 1, 2, ...`` through the values up to each one.

    Arrays (L, M): series are the last axis, so that every operation of the methods runs over contiguous values.
    """
    values = rows.values.T
    n = np.arange(1, len(values) + 1)[:, None]
    deviation = values - values[0]
    mean = np.cumsum(deviation, axis=0) / n
    deviation *= n
    slope = np.cumsum(deviation, axis=0) / n
    slope *= 2
    slope -= (n + 1) * mean
    slope *= np.where(n > 1, 6 / np.maximum(n * n - 1, 1), 0.0)
    intercept = mean
    intercept -= slope * (n + 1) / 2
    intercept += values[0]
    return intercept, slope


@dataclass(frozen=True)
class OneStepErrors:
    """The one-step errors ``r - l_{-1} p - w g`` of a block, as sums of products of their parts.

    With ``q = 1 - alpha``, ``p_t = q^t`` and ``r_t = q r_{t-1} + y_t - y_{t-1}``. For a line that stays the same
    ``g_t = q g_{t-1} + slope`` too, and a weight that is not free is included in ``r``.

    Attributes
    ----------
    changes : ndarray (L, M)
        What is added to ``r`` at each step.
    weights : ndarray (L, M)
    unweighted : ndarray of bool (L,)
        Steps where all weights are one: nearly all, where nothing is missing.
    intercept, slope : ndarray (L, M)
        The line before each value; used if the weight is free.
    free : bool
        Whether ``w`` is free.
    """

    changes: np.ndarray
    weights: np.ndarray
    unweighted: np.ndarray
    intercept: np.ndarray
    slope: np.ndarray
    free: bool

    @classmethod
    def of(cls, rows: Rows, known: tuple[np.ndarray, np.ndarray], free: bool) -> "OneStepErrors":
        """Prepare the errors of a block with intercepts and slopes (L, M), or with (1, M) for all values."""
        intercept, slope = known
        changes = rows.values.T.copy()
        changes[1:] -= rows.values.T[:-1]
        if not free:
            changes[0] -= STANDARD * intercept[0]
            changes -= STANDARD * slope
        weights = rows.observed.T.astype(np.float64, order="C")
        weights[:WARM_UP] *= FAINT
        return cls(changes, weights, (weights == 1).all(axis=1), intercept, slope, free)

    def moments(self, alpha: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return weighted sums of products of ``r``, ``p`` and ``g`` for values of alpha (G, M), or (G, 1) for all.

        Returns
        -------
        rr, rp, pp, rg, pg, gg : ndarray (G, M)
            Unless ``w`` is free, the last three are left out.
        """
        keep = 1 - alpha
        power, geometric = np.ones_like(alpha), np.ones_like(alpha)
        shape = len(alpha), self.changes.shape[1]
        r, g, weighted, product = np.zeros((4, *shape))
        sums = np.zeros((6 if self.free else 3, *shape))
        for t, (change, weight) in enumerate(zip(self.changes, self.weights, strict=True)):
            if t:
                r *= keep
                power *= keep
            r += change
            times_r = r if self.unweighted[t] else np.multiply(weight, r, out=weighted)
            sums[0] += np.multiply(times_r, r, out=product)
            sums[1] += np.multiply(times_r, power, out=product)
            if self.free:
                if t:
                    geometric *= keep
                    geometric += 1
                np.multiply(geometric, self.slope[max(t - 1, 0)], out=g)
                g += np.multiply(power, self.intercept[max(t - 1, 0)], out=product)
                sums[3] += np.multiply(times_r, g, out=product)
            times_power = power if self.unweighted[t] else np.multiply(weight, power, out=weighted)
            sums[2] += times_power * power
            if self.free:
                sums[4] += np.multiply(times_power, g, out=product)
                g *= g
                if not self.unweighted[t]:
                    g *= weight
                sums[5] += g
        return tuple(sums)


def solve(sums: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return initial level, weight and error that minimise the sum of squares for each alpha; arrays (G, M)."""
    if len(sums) == 3:
        rr, rp, pp = sums
        return rp / pp, np.full_like(rr, STANDARD), np.maximum(rr - rp**2 / pp, 0.0)
    rr, rp, pp, rg, pg, gg = sums
    # With the level solved for, the error is a parabola in the weight, so that its bounds are met by clipping.
    curvature = gg - pg**2 / pp
    weight = (rg - rp * pg / pp) / np.where(curvature > 1e-12 * gg, curvature, np.inf)
    weight = np.clip(weight, 0.0, 1.0)
    level = (rp - weight * pg) / pp
    error = rr + level**2 * pp + weight**2 * gg - 2 * level * rp - 2 * weight * rg + 2 * level * weight * pg
    return level, weight, np.maximum(error, 0.0)


def with_states(
    rows: Rows,
    line: tuple[np.ndarray, np.ndarray],
    *,
    alpha: np.ndarray,
    initial: np.ndarray,
    weight: np.ndarray,
    error: np.ndarray,
    dynamic: bool,
) -> Theta:
    """Run the recursions with given parameters to the end of each series; ``line`` goes through all values."""
    level = initial.astype(np.float64)
    gain = np.where(rows.inside.T, alpha, 0.0)
    change = np.empty_like(level)
    for values, part in zip(rows.values.T.copy(), gain, strict=True):
        np.subtract(values, level, out=change)
        change *= part
        level += change
    mean = rows.values.sum(axis=1) / rows.lengths
    return Theta(alpha, initial, weight, error, level, mean, *line, rows.lengths, dynamic)
