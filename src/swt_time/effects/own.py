"""Effects of single series around the pooled ones.

The coefficients of a series are ``b + d`` with the pooled ``b``; ``d`` is a ridge regression on that series alone::

    d = argmin sum |r - F (b + d)|^2 + strength * n * |d|^2

so that a strong ridge leaves the pooled effects, and a weak one gives each series its own. One strength for all series
is chosen on folds that are left out, and used if it gains.

Shapes: ``N`` series, ``K`` folds, ``p`` features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swt_time.effects.ridge import LEAST_GAIN, MARGIN, ROUGHNESS, STRENGTHS, log_errors, sure_gain
from swt_time.effects.sums import Sums

MOST_CELLS = 2**24
"""Most numbers in the sums by series and fold; tables with more have pooled effects only."""


@dataclass(frozen=True)
class OwnFit:
    """Coefficients of each series, (N, p), and those without each fold, (N, K, p); and the share of the error left."""

    beta: np.ndarray
    out_of_fold: np.ndarray
    error: float


def fits_in_memory(series: int, folds: int, width: int) -> bool:
    """Whether a table is small enough for effects of its series."""
    return series * folds * width**2 <= MOST_CELLS


def fit_own(sums: Sequence[Sequence[Sums]], beta: np.ndarray, folds: np.ndarray, rough: np.ndarray) -> OwnFit | None:
    """Learn coefficients of single series.

    Parameters
    ----------
    sums : N times K Sums
        Of each series and fold.
    beta : (p,) array
        Pooled coefficients.
    folds : (K, p) array
        Pooled coefficients without each fold.
    rough : (p,) bool array
        Features that are shrunk more than the others.

    Returns
    -------
    OwnFit or None
        None if they do not surely gain on the folds.
    """
    gram = np.array([[one.gram for one in row] for row in sums])
    products = np.array([[one.products for one in row] for row in sums])
    points = np.array([[one.points for one in row] for row in sums], np.float64)
    squares = np.array([[one.squares for one in row] for row in sums])
    present = points.sum(axis=0) > 0

    def solve(gram: np.ndarray, products: np.ndarray, points: np.ndarray, around: np.ndarray, *,
              strength: float, roughness: float) -> np.ndarray:  # fmt: skip
        penalty = strength * np.maximum(points, 1.0)[..., None] * np.where(rough, roughness, 1.0)
        left = products - (gram @ around[..., None])[..., 0]
        change = np.linalg.solve(gram + penalty[..., None] * np.eye(len(beta)), left[..., None])[..., 0]
        return np.asarray(around + change)

    def logs(found: np.ndarray) -> np.ndarray:
        """Log error of each fold with coefficients (N, K, p)."""
        explained = 2 * (products * found).sum(axis=-1) - (found * (gram @ found[..., None])[..., 0]).sum(axis=-1)
        errors = np.maximum(squares - explained, 0.0).sum(axis=0) / np.maximum(points.sum(axis=0), 1.0)
        return log_errors(errors[present])

    pooled = np.broadcast_to(folds, products.shape)
    base = logs(pooled)
    others = gram.sum(axis=1, keepdims=True) - gram, products.sum(axis=1, keepdims=True) - products
    rest = points.sum(axis=1, keepdims=True) - points
    ratios = ROUGHNESS if rough.any() else ROUGHNESS[:1]
    tried = {(s, r): solve(*others, rest, pooled, strength=s, roughness=r) for s in STRENGTHS for r in ratios}
    best = min(tried, key=lambda one: float(logs(tried[one]).mean()))
    gains = base - logs(tried[best])
    if len(gains) < 2 or sure_gain(gains) < LEAST_GAIN or float(gains.mean()) < -math.log(1 - MARGIN):
        return None
    final = solve(gram.sum(axis=1), products.sum(axis=1), points.sum(axis=1),
                  np.broadcast_to(beta, (len(sums), len(beta))), strength=best[0], roughness=best[1])  # fmt: skip
    return OwnFit(final, tried[best], math.exp(-float(gains.mean())))
