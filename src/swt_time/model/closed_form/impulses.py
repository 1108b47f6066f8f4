"""The stationary wavelet transform as one matrix for each band, with NumPy alone: what it makes of unit impulses.

`swt_time.wavelets` computes the same transform of any signal, with PyTorch; the boundaries are defined there.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from swt_time.wavelets.boundaries import Boundary, check_level, origin
from swt_time.wavelets.names import named_filters, turn_to_newest


def band_matrices(context: int, wavelet: str, level: int, boundary: Boundary) -> list[np.ndarray]:
    """Return the matrix of each band in [A_J, D_J, ..., D_1], each of shape (T, T): a band of ``x`` is ``S_k x``.

    Parameters
    ----------
    context : int
        ``T``.
    wavelet : str
        Name of a discrete wavelet.
    level : int
        ``J``.
    boundary : Boundary
        Of the normalised transform, see `swt_time.wavelets.swt` with ``norm=True``.

    Raises
    ------
    ValueError
        There is no such wavelet, or ``2**J`` exceeds ``T``.
    """
    check_level(level, context)
    low, high = (_correlation(taps, boundary) for taps in named_filters(wavelet)[:2])
    middle = origin(len(low), boundary)
    approximation, before = np.ones(1), 0
    details = []
    for j in range(level):
        d = 2**j
        before += d * middle
        details.append(_matrix(np.convolve(approximation, _spread(high, d)), before, context, boundary))
        approximation = np.convolve(approximation, _spread(low, d))
    return [_matrix(approximation, before, context, boundary), *reversed(details)]


def _correlation(taps: tuple[float, ...], boundary: Boundary) -> np.ndarray:
    """Return a normalised analysis filter as a correlation with the samples from old to new."""
    filter_ = np.array(taps) / math.sqrt(2)
    if boundary == "causal":
        turned, lead = turn_to_newest(taps)
        filter_ = np.roll(filter_[::-1] if turned else filter_, -lead)
    return filter_[::-1]


def _spread(taps: np.ndarray, spacing: int) -> np.ndarray:
    found = np.zeros((len(taps) - 1) * spacing + 1)
    found[::spacing] = taps
    return found


def _matrix(taps: np.ndarray, before: int, context: int, boundary: Boundary) -> np.ndarray:
    """Return the matrix of a correlation whose first tap lies ``before`` samples back, of an extended signal."""
    after = len(taps) - 1 - before
    padded = np.pad(taps, context - 1)
    rows = sliding_window_view(padded, context + before + after)[::-1]  # row n: taps at n, n + 1, ...
    if boundary == "zero":
        return rows[:, before : before + context]
    mode = {"periodic": "wrap", "reflect": "reflect", "replicate": "edge", "causal": "edge"}[boundary]
    sample = np.pad(np.arange(context), (before, after), mode=mode)  # type: ignore[call-overload]  # the stubs ask for a literal
    order = np.argsort(sample, kind="stable")
    return np.add.reduceat(rows[:, order], np.searchsorted(sample[order], np.arange(context)), axis=1)
