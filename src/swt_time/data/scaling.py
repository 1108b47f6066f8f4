"""Standardization of series, fitted on train rows only. Pure NumPy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

OTHER_UNIT = 1e3
"""Factor between the spread of a series now and in training above which it is taken to be in another unit."""

EPSILON = float(np.finfo(np.float64).eps)

TOGETHER = 2**17
"""Values of series of equal length that are computed at once; they fit into the cache of a core."""


@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation per series, ``(N,)`` float64 arrays."""

    mean: np.ndarray
    std: np.ndarray

    def apply(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Scale ``N`` series, float64; values that overflow become infinite."""
        with np.errstate(over="ignore"):
            found = [one - m for one, m in zip(values, self.mean, strict=True)]
            for one, s in zip(found, self.std, strict=True):
                one /= s  # in place, since a long series takes longer to allocate than to divide
            return found

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
            scaled: np.ndarray = (values - self.mean[series][:, None]) / self.std[series][:, None]
            return scaled

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
        unscaled: np.ndarray = np.asarray(values, np.float64) * self.std[series][:, None] + self.mean[series][:, None]
        return unscaled

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
        known = {name.strip(): scale for name, scale in scales.items()}
        found = [known.get(name.strip()) for name in ids]
        used = [i for i, scale in enumerate(found) if scale is not None]
        mean, std, spread = self.mean.copy(), self.std.copy(), np.zeros(len(ids))
        mean[used], std[used] = np.array([found[i] for i in used]).reshape(-1, 2).T
        for indices, rows in equally_long([values[i] for i in used]):
            low, high = np.quantile(rows, [0.25, 0.75], axis=1)
            spread[np.array(used)[indices]] = high - low
        other = [i for i in used if spread[i] > 0 and not 1 / OTHER_UNIT < spread[i] / std[i] < OTHER_UNIT]
        mean[other], std[other] = self.mean[other], self.std[other]
        return Scaler(mean, std), [ids[i] for i in other]


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
        known = [part[: len(one)] for one, part in zip(rows, observed, strict=True)]
        rows = [one if part.all() else one[part] for one, part in zip(rows, known, strict=True)]
    mean, std = np.zeros(len(rows)), np.ones(len(rows))
    for indices, together in equally_long(rows):
        if together.shape[1]:
            mean[indices], std[indices] = _mean_and_std(together)
    return Scaler(mean, std)


def equally_long(series: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield series of equal lengths together: their indices (M,), and their values as one array (M, n).

    The sums over a row are the same, to the last bit, in whatever company it is.
    """
    lengths = np.array([len(one) for one in series], dtype=np.int64)
    order = np.argsort(lengths, kind="stable")
    for alike in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1) if len(order) else []:
        most = max(TOGETHER // max(int(lengths[alike[0]]), 1), 1)
        for begin in range(0, len(alike), most):
            indices = alike[begin : begin + most]
            # a long series is not copied
            yield indices, np.stack([series[i] for i in indices]) if len(indices) > 1 else series[indices[0]][None]


def _mean_and_std(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of rows (M, n)."""
    # scaling by a power of two is exact, and keeps the squares of 1e300 and 1e-300 in the range of float64
    largest = np.maximum(values.max(axis=1), -values.min(axis=1))
    exponent = np.clip(np.frexp(largest)[1], -1000, 1000)
    scaled = values * np.ldexp(1.0, -exponent)[:, None]
    mean = scaled.mean(axis=1)
    scaled -= mean[:, None]
    variance = np.mean(np.square(scaled, out=scaled), axis=1)
    count = values.shape[1]
    constant = variance <= count * EPSILON * variance + (count * mean * EPSILON) ** 2
    std = np.ldexp(np.sqrt(variance), exponent)
    # a std that underflows to 0 is treated as that of a constant series
    return np.ldexp(mean, exponent), np.where(constant | (std == 0), 1.0, std)
