"""Forecasts of short series without a fit: Theta, seasonal naive, or the last value."""

from swt_time.panel.candidates import only
from swt_time.panel.fitted import FittedPanel


def ladder(season: int, horizon: int) -> FittedPanel:
    """Return a forecaster that takes what the length of a series allows, see the notes of `FittedPanel.forecast`.

    Parameters
    ----------
    season, horizon : int

    Examples
    --------
    >>> ladder(season=1, horizon=2).forecast([[3.0], [1.0, 2.0]])
    array([[3., 3.],
           [2., 2.]])
    """
    return FittedPanel(season, horizon, "theta", {}, 0.0, 0, only("theta"), 0.0, (0.0, 0.0), {})
