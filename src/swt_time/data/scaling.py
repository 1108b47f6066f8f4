"""Standardization of series, fitted on train rows only. Pure NumPy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

OTHER_UNIT = 1e3
"""Factor between the spread of a series now and in training above which it is taken to be in another unit."""

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation per series, ``(N,)`` float64 arrays."""

    mean: np.ndarray
    std: np.ndarray

    def apply(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Scale ``N`` series, float64; values that overflow become infinite."""
        with np.errstate(over="ignore"):
            return [(one - m) / s for one, m, s in zip(values, self.mean, self.std, strict=True)]

    def apply_to_windows(self, values: np.ndarray, series: np.ndarray) -> np.ndarray:
        """Scale windows.

        Parameters
        ----------
        values : (B, T) array
        series : (B,) int array
            Series index of each window.

        Returns
        -------
        (B, T) float64 array
            Values that overflow become infinite.
        """
        with np.errstate(over="ignore"):
            return (values - self.mean[series][:, None]) / self.std[series][:, None]

    def invert(self, values: np.ndarray, series: np.ndarray) -> np.ndarray:
        """Undo the scaling of windows.

        Parameters
        ----------
        values : (B, H) array
        series : (B,) int array
            Series index of each window.

        Returns
        -------
        (B, H) float64 array
        """
        return np.asarray(values, np.float64) * self.std[series][:, None] + self.mean[series][:, None]

    def prefer(
        self, scales: Mapping[str, tuple[float, float]], ids: Sequence[str], values: Sequence[np.ndarray]
    ) -> tuple["Scaler", list[str]]:
        """Replace the scales of series that have another one, such as that of training.

        A series whose interquartile range differs from that std by more than `OTHER_UNIT` is in another unit and keeps
        its own scale. (A single value far away changes the std, but not the interquartile range.)

        Parameters
        ----------
        scales : mapping of str to pair of float
            Mean and std by id. Blanks around ids do not matter, as where the columns of a table are chosen.
        ids : sequence of N str
        values : sequence of N arrays
            The values that this scaler was fitted on.

        Returns
        -------
        scaler : Scaler
        other : list of str
            Series in another unit.
        """
        mean, std, other = self.mean.copy(), self.std.copy(), []
        known = {name.strip(): scale for name, scale in scales.items()}
        for i, (name, one) in enumerate(zip(ids, values, strict=True)):
            scale = known.get(name.strip())
            if scale is None:
                continue
            low, high = np.quantile(one, [0.25, 0.75])
            if high > low and not 1 / OTHER_UNIT < (high - low) / scale[1] < OTHER_UNIT:
                other.append(name)
            else:
                mean[i], std[i] = scale
        return Scaler(mean, std), other


def fit_scaler(
    values: Sequence[np.ndarray], stops: Sequence[int], observed: Sequence[np.ndarray] | None = None
) -> Scaler:
    """Compute the mean and population standard deviation of the first ``stops[i]`` rows of each series.

    Only observed rows count, where ``observed`` is given: filled ones may have been computed from later values.

    A series that is constant up to rounding gets std 1, as in scikit-learn's ``StandardScaler``. A series without train
    rows gets mean 0 and std 1. No finite input overflows.

    Examples
    --------
    >>> fit_scaler([np.array([1.0, 3.0, 100.0])], [2])
    Scaler(mean=array([2.]), std=array([1.]))
    """
    rows = [np.asarray(one[:stop], np.float64) for one, stop in zip(values, stops, strict=True)]
    if observed is not None:
        rows = [one[known[: len(one)]] for one, known in zip(rows, observed, strict=True)]
    pairs = [_mean_and_std(one) for one in rows]
    return Scaler(np.array([mean for mean, _ in pairs]), np.array([std for _, std in pairs]))


def _mean_and_std(values: np.ndarray) -> tuple[float, float]:
    if len(values) == 0:
        return 0.0, 1.0
    # scaling by a power of two is exact, and keeps the squares of 1e300 and 1e-300 in the range of float64
    _, exponent = np.frexp(np.abs(values).max())
    exponent = min(max(int(exponent), -1000), 1000)
    scaled = np.ldexp(values, -exponent)
    mean = float(scaled.mean())
    variance = float(np.mean((scaled - mean) ** 2))
    rounding = len(values) * EPSILON * variance + (len(values) * mean * EPSILON) ** 2
    if variance <= rounding:
        return float(np.ldexp(mean, exponent)), 1.0
    # a std that underflows to 0 is treated as that of a constant series
    return float(np.ldexp(mean, exponent)), float(np.ldexp(np.sqrt(variance), exponent)) or 1.0
