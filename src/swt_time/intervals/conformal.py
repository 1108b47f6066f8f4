"""Quantiles of residuals with the correction for their number that makes them exact for the next residual.

Shapes: ``n`` residuals, ``K`` columns, ``P`` probabilities.
"""

import numpy as np
from numpy.typing import ArrayLike

ROUNDING = 1e-9
"""Ranks that are whole numbers but for rounding count as such."""


def conformal_quantiles(residuals: ArrayLike, probabilities: ArrayLike) -> np.ndarray:
    """Return values which the next residual stays below with the given probabilities.

    Parameters
    ----------
    residuals : (n, K) array_like
        NaN where there is none.
    probabilities : (P,) array_like
        Between 0 and 1.

    Returns
    -------
    (P, K) ndarray
        Ascending in the probability; NaN where the residuals of a column are too few, see `widest_level`.

    Notes
    -----
    The quantile ``p`` is the residual of rank ``p (n + 1)``, interpolated between neighbouring ranks. If the next
    residual is exchangeable with the ``n`` known ones, it is equally likely to fall between any two of them or outside,
    so it stays below the residual of rank ``k`` with probability ``k / (n + 1)``. Source: Vovk, Gammerman and Shafer,
    "Algorithmic Learning in a Random World", 2005; the interpolation is that of Weibull's plotting positions.

    Examples
    --------
    >>> conformal_quantiles([[1.0], [2.0], [4.0]], [0.25, 0.5, 0.625, 0.9]).ravel()
    array([ 1.,  2.,  3., nan])
    """
    return quantiles_of_sorted(np.sort(np.asarray(residuals, np.float64), axis=0), probabilities)


def quantiles_of_sorted(known: np.ndarray, probabilities: ArrayLike) -> np.ndarray:
    """Compute `conformal_quantiles` of residuals whose columns are sorted already, NaN last."""
    counts = (~np.isnan(known)).sum(axis=0)
    ranks = conformal_ranks(np.asarray(probabilities)[:, None], counts)
    if not len(known):
        return ranks
    enough, ranks = ~np.isnan(ranks), np.nan_to_num(ranks, nan=1.0)
    below = np.clip(np.floor(ranks), 1, np.maximum(counts, 1)).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(counts, 1))
    lower, upper = (np.take_along_axis(known, one - 1, axis=0) for one in (below, above))
    return np.where(enough, lower + (ranks - below) * (upper - lower), np.nan)


def conformal_ranks(probabilities: ArrayLike, counts: ArrayLike) -> np.ndarray:
    """Return the rank ``p (n + 1)`` of the quantile ``p`` among ``n`` residuals; NaN where it is no rank of them.

    Examples
    --------
    >>> conformal_ranks([0.1, 0.25, 0.9], 9)
    array([1. , 2.5, 9. ])
    >>> conformal_ranks(0.95, 9)
    array(nan)
    """
    counts = np.asarray(counts)
    ranks = np.asarray(probabilities, np.float64) * (counts + 1)
    whole = np.round(ranks)
    ranks = np.where(np.abs(ranks - whole) <= ROUNDING * (counts + 1), whole, ranks)
    return np.where((ranks >= 1) & (ranks <= counts), ranks, np.nan)


def widest_level(count: int) -> float:
    """Return the widest central interval, in percent, that a number of residuals allows: from the least to the largest.

    Examples
    --------
    >>> widest_level(39)
    95.0
    """
    return 100.0 * (count - 1) / (count + 1) if count > 1 else 0.0
