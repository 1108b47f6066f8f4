"""Intervals, quantiles and sample paths around forecasts, from the errors of forecasts of rows that were held out.

A forecast ``yhat`` of step ``h`` has the quantile ``yhat + sigma * q``. The scale ``sigma`` is that of the series
before the forecast (`scale`), or the spread that the forecaster itself gives below and above the forecast, or their
geometric mean. ``q`` is a quantile of the residuals of step ``h``, each divided by the scale of its own window
(`conformal`). `fit_calibration` learns both from residuals.
"""

from swt_time.intervals.calibration import Calibration
from swt_time.intervals.conformal import conformal_quantiles, conformal_ranks, widest_level
from swt_time.intervals.fitting import fit_calibration
from swt_time.intervals.residuals import Residuals
from swt_time.intervals.scale import reach

__all__ = [
    "Calibration",
    "Residuals",
    "conformal_quantiles",
    "conformal_ranks",
    "fit_calibration",
    "reach",
    "widest_level",
]
