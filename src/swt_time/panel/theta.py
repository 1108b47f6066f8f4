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
        return self.level + self.weight * self.intercept * (1 - self.alpha) ** self.lengths

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


def fit_theta(rows: Rows, dynamic: bool = False) -> Theta:
    """Fit the standard Theta method, or the dynamic optimised one, to series without a season.

    Parameters
    ----------
    rows : Rows
        Seasonally adjusted series of at least two values.
    dynamic : bool
    """
    intercept, slope = lines(rows, dynamic)
    time = np.arange(rows.values.shape[1])
    weights = np.where(rows.observed, np.where(time < WARM_UP, FAINT, 1.0), 0.0)
    low, high = ALPHAS
    gap = (high - low) / (COARSE - 1)
    grid = np.linspace(low, high, COARSE)[None]  # the same for all series
    best = np.full(len(rows), np.inf)
    alpha, initial, weight = np.empty((3, len(rows)))
    for _ in range(3):
        levels, ws, errors = solve(moments(rows.values, weights, intercept, slope, grid, free=dynamic))
        at = errors.argmin(axis=1)[:, None]
        found = np.take_along_axis(errors, at, axis=1)[:, 0]
        better = found < best
        best = np.where(better, found, best)
        tried = np.broadcast_to(grid, errors.shape)
        alpha = np.where(better, np.take_along_axis(tried, at, axis=1)[:, 0], alpha)
        initial = np.where(better, np.take_along_axis(levels, at, axis=1)[:, 0], initial)
        weight = np.where(better, np.take_along_axis(ws, at, axis=1)[:, 0], weight)
        grid = np.clip(alpha[:, None] + gap * np.array([-2 / 3, -1 / 3, 1 / 3, 2 / 3]), low, high)
        gap /= 3
    return with_states(rows, alpha, initial, weight, best / np.maximum(weights.sum(axis=1), FAINT), dynamic)


def lines(rows: Rows, dynamic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return intercept and slope of the least-squares line over ``t = 1, 2, ...``.

    Arrays (M, L): at each value, the line through the values up to it (``dynamic``) or through the whole series.
    """
    n = np.arange(1, rows.values.shape[1] + 1)
    first = rows.values[:, :1]
    deviation = rows.values - first
    mean = np.cumsum(deviation, axis=1) / n
    moment = np.cumsum(deviation * n, axis=1) / n
    slope = np.where(n > 1, 6 * (2 * moment - (n + 1) * mean) / np.maximum(n * n - 1, 1), 0.0)
    intercept = first + mean - slope * (n + 1) / 2
    if dynamic:
        return intercept, slope
    last = rows.lengths[:, None] - 1
    shape = rows.values.shape
    return (
        np.broadcast_to(np.take_along_axis(intercept, last, axis=1), shape),
        np.broadcast_to(np.take_along_axis(slope, last, axis=1), shape),
    )


def moments(
    values: np.ndarray, weights: np.ndarray, intercept: np.ndarray, slope: np.ndarray, alpha: np.ndarray, free: bool
) -> tuple[np.ndarray, ...]:
    """Return weighted sums of products of ``r``, ``p``, ``g``, the parts of the one-step errors ``r - l_{-1} p - w g``.

    Returns
    -------
    rr, rp, pp, rg, pg, gg : ndarray (M, G)
        Unless ``w`` is free, ``r`` is reduced by its half of ``g``, and the last three are left out.
    """
    # Series are the last axis, so that every operation runs over contiguous values.
    alpha, values, weights, intercept, slope = (one.T.copy() for one in (alpha, values, weights, intercept, slope))
    keep = 1 - alpha
    inverse = 1 / alpha
    power = np.ones_like(alpha)
    shape = len(alpha), values.shape[1]
    smooth, r, g, weighted, product = np.zeros((5, *shape))
    sums = np.zeros((6 if free else 3, *shape))
    unweighted = (weights == 1).all(axis=1)  # nearly all steps, where nothing is missing
    for t, (value, weight) in enumerate(zip(values, weights, strict=True)):
        if t:
            smooth *= keep
            np.multiply(alpha, values[t - 1], out=product)
            smooth += product
            power *= keep
        line = max(t - 1, 0)
        np.subtract(value, smooth, out=r)
        np.multiply((1 - power * keep) * inverse, slope[line], out=g)
        np.multiply(power, intercept[line], out=product)
        g += product
        if not free:
            g *= STANDARD
            r -= g
        times_r = r if unweighted[t] else np.multiply(weight, r, out=weighted)
        sums[0] += np.multiply(times_r, r, out=product)
        sums[1] += np.multiply(times_r, power, out=product)
        if free:
            sums[3] += np.multiply(times_r, g, out=product)
        times_power = power if unweighted[t] else np.multiply(weight, power, out=weighted)
        sums[2] += times_power * power
        if free:
            sums[4] += np.multiply(times_power, g, out=product)
            g *= g
            if not unweighted[t]:
                g *= weight
            sums[5] += g
    return tuple(one.T for one in sums)


def solve(sums: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return initial level, weight and error that minimise the sum of squares for each alpha; arrays (M, G)."""
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
    rows: Rows, alpha: np.ndarray, initial: np.ndarray, weight: np.ndarray, error: np.ndarray, dynamic: bool
) -> Theta:
    """Run the recursions with given parameters to the end of each series."""
    level = initial
    keep = 1 - alpha
    for t, values in enumerate(rows.values.T.copy()):
        level = np.where(t < rows.lengths, alpha * values + keep * level, level)
    intercept, slope = (np.take_along_axis(one, rows.lengths[:, None] - 1, axis=1)[:, 0] for one in lines(rows, True))
    mean = rows.values.sum(axis=1) / rows.lengths
    return Theta(alpha, initial, weight, error, level, mean, intercept, slope, rows.lengths, dynamic)
