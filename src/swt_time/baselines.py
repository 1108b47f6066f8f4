"""Forecasts without training, on the same windows as the model: what every result is held against."""

from dataclasses import dataclass

import numpy as np

SEASON_LENGTHS = {"h": 24, "D": 7, "B": 5, "W": 52, "M": 12, "Q": 4, "Y": 1}
"""Steps of the usual season by unit of frequency: a day of hours, a week of days, a year of weeks, ..."""


@dataclass(frozen=True)
class SeasonalNaive:
    """Repeat the last season of the context; season 1 repeats the last value.

    Attributes
    ----------
    season, horizon : int
    """

    season: int
    horizon: int

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Contexts (M, T) to forecasts (M, H)."""
        season = min(self.season, contexts.shape[1])
        last = contexts[:, contexts.shape[1] - season :]
        return np.tile(last, (1, -(-self.horizon // season)))[:, : self.horizon]


def season_length(frequency: str) -> int:
    """Steps in the usual season of a pandas frequency: ``h`` 24, ``15min`` 96, ``D`` 7, ``W-SUN`` 52, ``MS`` 12.

    Frequencies without a usual season (``10D``, ``6MS``) give 1.
    """
    digits = len(frequency) - len(frequency.lstrip("0123456789"))
    multiple, unit = int(frequency[:digits] or 1), frequency[digits:].partition("-")[0]
    seconds = {"s": 1, "min": 60, "h": 3600}.get(unit)
    if seconds is not None:
        return 86400 // (seconds * multiple) if 86400 % (seconds * multiple) == 0 and seconds * multiple < 86400 else 1
    if multiple != 1:
        return 1
    return SEASON_LENGTHS.get(unit[:1] if unit not in ("BMS", "BME", "BQS", "BQE", "BYS", "BYE") else unit[1], 1)
