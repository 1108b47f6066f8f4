"""Seasonal adjustment: the seasonality test of the Theta method and classical decomposition, for a block of series.

Shapes: ``M`` series, ``L`` values, ``m`` the season length.
"""

from dataclasses import dataclass

import numpy as np

from swt_time.panel.rows import Rows

CRITICAL = 1.6448536269514722
"""Two-sided 90 % quantile of the normal distribution."""

FEW_LAGS = 64
"""Lags up to which products are summed for each lag; Fourier transforms take less time for more of them."""

SMALLEST_INDEX = 0.01
"""A multiplicative index below it makes the decomposition additive, as in statsforecast."""


@dataclass(frozen=True)
class Season:
    """Seasonal indices of a block.

    Attributes
    ----------
    index : ndarray (M, m)
        The index of each phase; phase 0 is that of a series' first value. Without a season 0 (additive) or 1.
    multiplicative : ndarray of bool (M,)
    seasonal : ndarray of bool (M,)
        Whether the series passed the test.
    """

    index: np.ndarray
    multiplicative: np.ndarray
    seasonal: np.ndarray

    def at(self, steps: np.ndarray) -> np.ndarray:
        """Return the indices (M, S) at time steps (M, S) or (S,), counted from each series' first value."""
        phases = np.broadcast_to(steps % self.index.shape[1], (len(self.index), steps.shape[-1]))
        return np.take_along_axis(self.index, phases, axis=1)

    def remove(self, values: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Adjust values (M, S) at time steps."""
        index = self.at(steps)
        by_division = values / np.where(self.multiplicative[:, None], index, 1.0)
        return np.where(self.multiplicative[:, None], by_division, values - index)

    def restore(self, values: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Undo `remove`."""
        index = self.at(steps)
        restored: np.ndarray = np.where(self.multiplicative[:, None], values * index, values + index)
        return restored


def find_season(rows: Rows, season: int, additive: bool = False) -> Season:
    """Test each series for a season and decompose those that have one.

    A series of at least two seasons is seasonal if ``|r_m| > 1.645 sqrt((1 + 2 sum_{k<m} r_k^2) / n)`` with its
    autocorrelations ``r`` (Fiorucci et al. 2016). The indices are those of the classical decomposition: means of each
    phase after division by (or subtraction of) a centred moving average.

    Parameters
    ----------
    rows : Rows
    season : int
    additive : bool
        Decompose all series additively. Otherwise only those with values that are not positive.
    """
    count = len(rows)
    none = Season(np.zeros((count, max(season, 1))), np.zeros(count, dtype=bool), np.zeros(count, dtype=bool))
    if season < 2 or rows.values.shape[1] < 2 * season:
        return none
    seasonal = is_seasonal(rows, season)
    if not seasonal.any():
        return none
    trend, known = moving_average(rows, season)
    positive = np.where(rows.inside, rows.values, np.inf).min(axis=1) > 0
    multiplicative = seasonal & positive & (not additive)
    divided = np.where(known & positive[:, None], rows.values / np.where(trend > 0, trend, 1.0), 1.0)
    ratio = phase_means(divided, known, season)
    ratio /= np.where(seasonal, ratio.mean(axis=1), 1.0)[:, None]
    multiplicative &= (ratio >= SMALLEST_INDEX).all(axis=1)
    difference = phase_means(rows.values - trend, known, season)
    difference -= difference.mean(axis=1, keepdims=True)
    index = np.where(multiplicative[:, None], ratio, np.where(seasonal[:, None], difference, 0.0))
    return Season(index, multiplicative, seasonal)


def is_seasonal(rows: Rows, season: int) -> np.ndarray:
    """Return which series pass the seasonality test at 90 %, as a boolean array (M,)."""
    inside = rows.inside
    mean = rows.values.sum(axis=1) / rows.lengths
    deviation = np.where(inside, rows.values - mean[:, None], 0.0)
    variance = np.einsum("ml,ml->m", deviation, deviation)
    largest = np.abs(rows.values).max(axis=1)
    varies = variance > rows.lengths * (1e-12 * largest) ** 2
    variance = np.where(varies, variance, 1.0)
    correlations = autocovariances(deviation, season) / variance[:, None]
    squares = (correlations[:, :-1] ** 2).sum(axis=1)
    limit = CRITICAL * np.sqrt((1 + 2 * squares) / rows.lengths)
    return np.asarray(varies & (rows.lengths >= 2 * season) & (np.abs(correlations[:, -1]) > limit))


def autocovariances(deviation: np.ndarray, most: int) -> np.ndarray:
    """Return the sums of products of values (M, L) that lie 1 to ``most`` steps apart, (M, most)."""
    if most <= FEW_LAGS:
        lags = range(1, most + 1)
        return np.stack([np.einsum("ml,ml->m", deviation[:, :-lag], deviation[:, lag:]) for lag in lags], axis=1)
    length = 1 << (deviation.shape[1] + most - 1).bit_length()
    found = np.empty((len(deviation), most))
    for row, values in zip(found, deviation, strict=True):  # one by one, so that a row is the same in any company
        spectrum = np.fft.rfft(values, length)
        row[:] = np.fft.irfft(spectrum * spectrum.conj(), length)[1 : most + 1]
    return found


def moving_average(rows: Rows, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the centred moving average over a season (M, L), and where it is known."""
    half = season // 2
    known = rows.inside.copy()
    known[:, :half] = False
    known &= np.arange(rows.values.shape[1]) < rows.lengths[:, None] - half
    sums = np.cumsum(np.pad(rows.values, ((0, 0), (1, 0))), axis=1)
    total = np.zeros_like(rows.values)
    width = 2 * half + 1
    inner = slice(half, rows.values.shape[1] - half)
    total[:, inner] = sums[:, width:] - sums[:, :-width]
    if season % 2 == 0:
        total[:, inner] -= 0.5 * (rows.values[:, : -2 * half] + rows.values[:, 2 * half :])
    return np.where(known, total / season, 0.0), known


def phase_means(values: np.ndarray, known: np.ndarray, season: int) -> np.ndarray:
    """Return the mean of the known values of each phase (M, m); 0 where none is known."""
    seasons = -(-values.shape[1] // season)
    extra = ((0, 0), (0, seasons * season - values.shape[1]))
    shape = (len(values), seasons, season)
    weights = np.pad(known, extra).reshape(shape)
    sums = (np.pad(values, extra).reshape(shape) * weights).sum(axis=1)
    return np.asarray(sums / np.maximum(weights.sum(axis=1), 1))
