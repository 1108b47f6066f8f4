"""A linear correction of the Theta forecast, learned from all series of a panel.

For each step, the difference between target and Theta forecast is regressed on features of the history (distances of
recent means, of the same phase of earlier seasons and of the dynamic optimised Theta forecast from the smoothed
level). Ridge regression pulls the coefficients to zero, so that with an infinite strength the forecast is that of the
Theta method. Iteratively reweighted least squares minimise absolute instead of squared errors.

Shapes: ``W`` windows, ``H`` horizon, ``F`` features and a constant.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swt_time.panel.history import Scale

BATCH = 512
"""Rows in one product of matrices. NumPy computes products of that size on one thread, larger ones on all: where other
programs use the CPU too, threads that wait for each other take many times the time of the arithmetic."""

ITERATIONS = 4
SMALLEST_ERROR = 0.2
"""Errors below this part of their median are weighted alike."""

LARGEST_FEATURE = 8.0
"""Features are clipped at this many standard deviations."""

CONSTANT = 10.0
"""Strength for the constant, relative to the others: it is a growth that all series share, which often does not
last."""

WINDOWS = 10.0
"""Part of the penalty that does not grow with the number of windows, so that few windows correct little."""


@dataclass(frozen=True)
class Pooled:
    """Coefficients of the correction.

    Attributes
    ----------
    coefficients : ndarray (H, F)
    deviation : ndarray (F,)
        Root mean square of each feature in the training windows.
    """

    coefficients: np.ndarray
    deviation: np.ndarray

    def forecast(self, scale: Scale) -> np.ndarray:
        """Return forecasts (W, H) on the original scale."""
        design = with_constant(scale.features) / self.deviation
        np.clip(design, -LARGEST_FEATURE, LARGEST_FEATURE, out=design)
        correction = np.einsum("whf,hf->wh", design, self.coefficients)
        return scale.restore(scale.theta + correction * scale.spread[:, None])


def with_constant(features: np.ndarray) -> np.ndarray:
    """Append a feature that is one everywhere."""
    return np.concatenate([features, np.ones((*features.shape[:2], 1))], axis=2)


def fit_pooled(scale: Scale, targets: np.ndarray, windows: np.ndarray, strengths: Sequence[float]) -> list[Pooled]:
    """Fit the correction for several strengths of the penalty.

    Parameters
    ----------
    scale : Scale
    targets : ndarray (W, H)
        On the original scale; NaN where unknown.
    windows : ndarray of bool (W,)
        Windows to use.
    strengths : sequence of float
    """
    chosen = np.flatnonzero(windows)
    design = with_constant(scale.features[chosen])
    goals = ((scale.adjust(targets) - scale.theta) / scale.spread[:, None])[chosen]
    known = np.isfinite(goals)
    goals = np.where(known, goals, 0.0)
    horizon, count = design.shape[1:]
    total = known.sum()
    deviation = np.sqrt(np.einsum("whf,wh->f", design**2, known) / max(total, 1))
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    design /= deviation
    np.clip(design, -LARGEST_FEATURE, LARGEST_FEATURE, out=design)
    coefficients = np.zeros((len(strengths), horizon, count))
    penalty = np.eye(count)
    penalty[-1, -1] = CONSTANT
    ridge = RobustRidge(len(chosen), count)
    for step in range(horizon):
        rows = known[:, step]
        if not rows.any():
            coefficients[:, step] = coefficients[:, max(step - 1, 0)]
            continue
        ridge.load(design[rows, step], goals[rows, step])
        solution = np.zeros(count)
        for position, strength in enumerate(strengths):
            solution = ridge.solve(strength * penalty, solution, ITERATIONS if position == 0 else 2)
            coefficients[position, step] = solution
    return [Pooled(one, deviation) for one in coefficients]


class RobustRidge:
    """A penalised least-absolute-error regression by iteratively reweighted least squares.

    Its arrays are kept from one system of equations to the next: to allocate them takes longer than the arithmetic.

    Parameters
    ----------
    rows : int
        Rows of the largest system.
    features : int
        ``F``.
    """

    def __init__(self, rows: int, features: int) -> None:
        self._size = max(min(BATCH, rows), 1)
        batches = -(-rows // self._size)
        self._x, self._weighted = np.zeros((2, batches, features, self._size))
        self._y, self._weights = np.zeros((2, batches, self._size))
        self._rows = 0

    def load(self, x: np.ndarray, y: np.ndarray) -> None:
        """Take the rows (N, F) and the values (N,) of a system."""
        self._rows = len(x)
        for batch, begin in enumerate(range(0, len(x), self._size)):
            some = x[begin : begin + self._size]
            self._x[batch, :, : len(some)] = some.T
        self._y.ravel()[: len(y)] = y

    def solve(self, penalty: np.ndarray, start: np.ndarray, iterations: int) -> np.ndarray:
        """Return the solution (F,).

        Parameters
        ----------
        penalty : ndarray (F, F)
        start : ndarray (F,)
            First solution, whose errors give the first weights.
        iterations : int
        """
        rows, batches = self._rows, -(-self._rows // self._size)
        x, y, weights, weighted = (one[:batches] for one in (self._x, self._y, self._weights, self._weighted))
        weights.ravel()[rows:] = 0.0  # rows of an earlier system behind the end
        solution = start
        for _ in range(iterations):
            errors = np.abs(y - solution @ x).ravel()[:rows]
            middle = median(errors) or errors.mean()
            if middle == 0:
                break
            weights.ravel()[:rows] = middle / np.maximum(errors, SMALLEST_ERROR * middle)
            np.multiply(x, weights[:, None, :], out=weighted)
            squares = (weighted @ x.transpose(0, 2, 1)).sum(axis=0)
            products = (weighted @ y[:, :, None]).sum(axis=0)[:, 0]
            solution = np.linalg.solve(squares + penalty * (weights.sum() + WINDOWS), products)
        return solution


def median(values: np.ndarray) -> float:
    """Return the median of finite values; `numpy.median` takes several times as long for few of them."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    parted = np.partition(values, (low, high))
    return float(parted[low] + parted[high]) / 2
