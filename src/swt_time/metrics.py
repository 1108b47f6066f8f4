"""Forecast errors as sums over all points, never means of batch means. Pure NumPy.

Shapes: ``B`` windows, ``H`` horizon, ``C`` channels.
"""

import numpy as np
from numpy.typing import ArrayLike


def mse(forecast: ArrayLike, target: ArrayLike) -> float:
    """Mean squared error over all points."""
    return float(np.mean(_errors(forecast, target) ** 2))


def mae(forecast: ArrayLike, target: ArrayLike) -> float:
    """Mean absolute error over all points."""
    return float(np.mean(np.abs(_errors(forecast, target))))


def rmse(forecast: ArrayLike, target: ArrayLike) -> float:
    """Root of the mean squared error over all points."""
    return float(np.sqrt(mse(forecast, target)))


def smape(forecast: ArrayLike, target: ArrayLike) -> float:
    """Symmetric mean absolute percentage error, 0 to 200 (as in M4); a point where both are 0 counts 0."""
    errors = np.abs(_errors(forecast, target))
    size = np.abs(np.asarray(forecast, np.float64)) + np.abs(np.asarray(target, np.float64))
    return float(200 * np.mean(np.divide(errors, size, out=np.zeros_like(errors), where=size > 0)))


def seasonal_scale(train: ArrayLike, season: int = 1) -> float:
    """Mean absolute error of the seasonal naive forecast inside a training series: the unit of MASE.

    Parameters
    ----------
    train : (T,) array
        Must be longer than ``season``.
    season : int
        Length of a season in rows; 1 is the plain naive forecast.

    Raises
    ------
    ValueError
        If the series is not longer than a season.
    """
    values = np.asarray(train, np.float64)
    if values.ndim != 1 or not 1 <= season < len(values):
        raise ValueError(f"expected a series longer than the season {season}, got shape {values.shape}")
    return float(np.mean(np.abs(values[season:] - values[:-season])))


def mase(forecast: ArrayLike, target: ArrayLike, train: ArrayLike, season: int = 1) -> float:
    """Mean absolute scaled error (Hyndman and Koehler 2006); NaN where a season repeats without error."""
    scale = seasonal_scale(train, season)
    return mae(forecast, target) / scale if scale > 0 else float("nan")


def _errors(forecast: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Differences in float64; equal shapes only, since broadcasting would hide a mistake."""
    one, other = np.asarray(forecast, np.float64), np.asarray(target, np.float64)
    if one.shape != other.shape or one.size == 0:
        raise ValueError(f"expected forecast and target of one non-empty shape, got {one.shape} and {other.shape}")
    return one - other


class ErrorSums:
    """Errors of many batches, kept as sums for each channel and each step of the horizon.

    Parameters
    ----------
    horizon : int
        Steps ``H`` of each forecast.
    channels : int
        Number of series ``C``.
    """

    def __init__(self, horizon: int, channels: int = 1) -> None:
        self.squared = np.zeros((channels, horizon))
        self.absolute = np.zeros((channels, horizon))
        self.relative = np.zeros((channels, horizon))
        self.counts = np.zeros(channels, dtype=np.int64)

    def update(self, forecast: ArrayLike, target: ArrayLike, channel: ArrayLike = 0) -> None:
        """Add a batch.

        Parameters
        ----------
        forecast, target : (B, H) arrays
        channel : int or (B,) int array
            Which series each window belongs to.
        """
        errors = _errors(forecast, target)
        if errors.ndim != 2 or errors.shape[1] != self.squared.shape[1]:
            raise ValueError(f"expected batches of shape (B, {self.squared.shape[1]}), got {errors.shape}")
        where = np.broadcast_to(np.asarray(channel, np.int64), errors.shape[:1])
        size = np.abs(np.asarray(forecast, np.float64)) + np.abs(np.asarray(target, np.float64))
        absolute = np.abs(errors)
        np.add.at(self.squared, where, errors**2)
        np.add.at(self.absolute, where, absolute)
        np.add.at(self.relative, where, np.divide(absolute, size, out=np.zeros_like(errors), where=size > 0))
        np.add.at(self.counts, where, 1)

    @property
    def windows(self) -> int:
        """Windows seen so far, over all channels."""
        return int(self.counts.sum())

    def _mean(self, sums: np.ndarray) -> float:
        if self.windows == 0:
            raise ValueError("no window was added yet")
        return float(sums.sum() / (self.windows * sums.shape[1]))

    @property
    def mse(self) -> float:
        """Mean squared error over all points."""
        return self._mean(self.squared)

    @property
    def mae(self) -> float:
        """Mean absolute error over all points."""
        return self._mean(self.absolute)

    @property
    def rmse(self) -> float:
        """Root mean squared error over all points."""
        return float(np.sqrt(self.mse))

    @property
    def smape(self) -> float:
        """Symmetric mean absolute percentage error over all points, 0 to 200."""
        return 200 * self._mean(self.relative)

    def per_step(self) -> dict[str, np.ndarray]:
        """``mse`` and ``mae`` of each step of the horizon, ``(H,)``."""
        return {"mse": self.squared.sum(0) / self.windows, "mae": self.absolute.sum(0) / self.windows}

    def per_channel(self) -> dict[str, np.ndarray]:
        """``mse`` and ``mae`` of each channel, ``(C,)``; NaN for a channel without windows."""
        points = np.where(self.counts > 0, self.counts * self.squared.shape[1], np.nan)
        return {"mse": self.squared.sum(1) / points, "mae": self.absolute.sum(1) / points}
