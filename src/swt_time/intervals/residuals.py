"""Errors of forecasts of rows that were held out."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Residuals:
    """What was observed minus what was forecast, in the units of the series.

    Attributes
    ----------
    pairs : (M, 2) int array
        Forecast origins: index of the series in the table, and number of its known rows.
    values : (M, H) float64 array
        NaN where nothing was observed.
    block : (M,) int array
        The held-out block of each origin: those of one block were forecast by the same model.
    source : str
        Where they come from, as ``info`` says it: ``held-out blocks``, ``out-of-fold blocks``, ``validation part``.
    spread : (2, M, H) float64 array, optional
        The spread below and above each forecast, as the forecaster itself gives it; None if it gives none.
    """

    pairs: np.ndarray
    values: np.ndarray
    block: np.ndarray
    source: str
    spread: np.ndarray | None = None

    @property
    def independent(self) -> int:
        """Number of origins of which no two of one series lie within one horizon, about."""
        horizon = self.values.shape[1]
        return len(np.unique(np.stack([self.pairs[:, 0], self.pairs[:, 1] // horizon], axis=1), axis=0))
