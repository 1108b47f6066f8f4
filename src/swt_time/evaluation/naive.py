"""Seasonal naive as a baseline, which needs no fit.

Shapes: ``M`` windows of one series each, ``T`` context, ``H`` horizon.
"""

from dataclasses import dataclass

import numpy as np

from swt_time.data.series import SeriesTable
from swt_time.panel.naive import repeat_season


@dataclass(frozen=True)
class SeasonalNaive:
    """Seasonal naive: repeat the last season; a season of 1 repeats the last value.

    Attributes
    ----------
    season, horizon : int
    """

    season: int
    horizon: int

    @property
    def history(self) -> int:
        """Values before the forecast that are needed, however short the context is."""
        return self.season

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Map contexts (M, T) to forecasts (M, H); where the series starts less than a season ago, the last value."""
        return repeat_season(contexts, self.season, self.horizon)


def naive_forecasts(series: SeriesTable, pairs: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Seasonal naive from what was known at each origin, (M, H), in the units of the table.

    Parameters
    ----------
    series : SeriesTable
    pairs : (M, 2) int array
        Series index and known rows of each forecast.
    season, horizon : int
    """
    contexts = np.full((len(pairs), season), np.nan)
    for row, (index, origin) in zip(contexts, pairs.tolist(), strict=True):
        known = series.context(index, origin, min(season, origin))
        row[season - len(known) :] = known
    return repeat_season(contexts, season, horizon)
