"""The winner or a convex combination of candidates, judged on held-out windows.

Shapes: ``C`` candidates, ``W`` windows, ``H`` horizon.
"""

import numpy as np

ADDED = 12
"""Candidates that the greedy search adds, one at a time and with repetition."""

PRIOR = 8
"""Weight of the prior weights, in candidates."""

SHARPNESSES = (0.0, 1.0, 2.0, 4.0)
"""Powers of a series' own relative errors in its weights; with 0 all series have the same weights."""

SMALLEST = 1e-3
"""Smallest error of a window, in units of its spread, in the comparison of candidates on one series."""


def window_errors(forecasts: np.ndarray, targets: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the mean absolute error of each window in units of its spread.

    Parameters
    ----------
    forecasts : ndarray (..., W, H)
    targets : ndarray (W, H)
        NaN where unknown; every window has a known target.
    spread : ndarray (W,)

    Returns
    -------
    ndarray (..., W)
    """
    known = ~np.isnan(targets)
    differences = np.where(known, np.abs(forecasts - np.where(known, targets, 0.0)), 0.0)
    return np.asarray(differences.sum(axis=-1) / known.sum(axis=-1) / spread)


def greedy_weights(forecasts: np.ndarray, targets: np.ndarray, spread: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Return the weights of a convex combination with a small mean error: each addition lowers it most.

    Source: Caruana et al., "Ensemble selection from libraries of models", ICML 2004.

    Parameters
    ----------
    forecasts : ndarray (C, W, H)
    targets : ndarray (W, H)
    spread : ndarray (W,)
    prior : ndarray (C,)
        Weights that sum to one, which count as `PRIOR` additions.
    """
    counts = PRIOR * prior
    total = np.tensordot(counts, forecasts, 1)
    for _ in range(ADDED):
        size = counts.sum() + 1
        means = [window_errors((total + one) / size, targets, spread).mean() for one in forecasts]
        best = int(np.argmin(means))
        counts[best] += 1
        total = total + forecasts[best]
    return np.asarray(counts / counts.sum())


def relative_errors(errors: np.ndarray, series: np.ndarray, count: int) -> np.ndarray:
    """Return the log error of each candidate on each series, minus its mean over candidates: (C, count).

    Parameters
    ----------
    errors : ndarray (C, W)
        Errors of windows.
    series : ndarray of int (W,)
        Series of each window. Series without a window have zeros.
    count : int
        Number of series.
    """
    sums = np.stack([np.bincount(series, weights=one, minlength=count) for one in errors])
    logs = np.log(sums / np.maximum(np.bincount(series, minlength=count), 1) + SMALLEST)
    return np.asarray(logs - logs.mean(axis=0))


def weights_of_series(weights: np.ndarray, relative: np.ndarray, sharpness: float) -> np.ndarray:
    """Return weights (C, S) for each series: common weights times a power of its own relative errors."""
    own = weights[:, None] * np.exp(-sharpness * relative)
    return np.asarray(own / own.sum(axis=0))


def find_sharpness(
    candidates: np.ndarray,
    targets: np.ndarray,
    spread: np.ndarray,
    weights: np.ndarray,
    *,
    series: np.ndarray,
    cut: np.ndarray,
) -> float:
    """Choose how much the weights of a series follow its own errors at origins a horizon or more earlier.

    Parameters
    ----------
    candidates : ndarray (C, W, H)
    targets : ndarray (W, H)
    spread : ndarray (W,)
    weights : ndarray (C,)
    series, cut : ndarray of int (W,)
        Series of each window, and the number of values after its origin.
    """
    errors = window_errors(candidates, targets, spread)
    losses = np.zeros(len(SHARPNESSES))
    for now in sorted(set(cut.tolist())):
        here, before = cut == now, cut >= now + targets.shape[1]
        if not before.any():
            continue
        relative = relative_errors(errors[:, before], series[before], series.max() + 1)[:, series[here]]
        for position, sharpness in enumerate(SHARPNESSES):
            own = weights_of_series(weights, relative, sharpness)
            combined = np.einsum("cw,cwh->wh", own, candidates[:, here])
            losses[position] += window_errors(combined, targets[here], spread[here]).sum()
    return SHARPNESSES[int(losses.argmin())]


def choose(errors: np.ndarray, naive: np.ndarray, margin: float) -> int:
    """Return the position of the winner among candidates and, last, their combination.

    A combination varies less than its parts, so another candidate must be better than it by the margin, unless that
    candidate is naive: then the combination must be better by the margin.

    Parameters
    ----------
    errors : ndarray (C + 1,)
    naive : ndarray of bool (C + 1,)
    margin : float

    Examples
    --------
    >>> import numpy as np
    >>> naive = np.array([True, False, False])
    >>> choose(np.array([1.0, 0.985, 0.995]), naive, margin=0.02)
    0
    >>> choose(np.array([1.0, 0.94, 0.95]), naive, margin=0.02)
    2
    """
    handicap = np.where(naive, 1 - margin, 1 + margin)
    handicap[-1] = 1.0
    return int((errors * handicap).argmin())
