"""Pictures of forecasts, backtests, calibration, wavelet bands and ablations; drawing needs the extra ``plot``.

All have one style (`swt_time.pictures.style`) and are written as what the suffix of their file names: .svg, .pdf, .png.
"""

from swt_time.pictures.ablations import plot_differences
from swt_time.pictures.backtests import plot_calibration, plot_folds
from swt_time.pictures.bands import plot_bands
from swt_time.pictures.forecasts import ForecastPanel, plot_forecast, plot_forecasts, series_panels
from swt_time.pictures.style import MOST_PANELS, check_picture

__all__ = [
    "MOST_PANELS",
    "ForecastPanel",
    "check_picture",
    "plot_bands",
    "plot_calibration",
    "plot_differences",
    "plot_folds",
    "plot_forecast",
    "plot_forecasts",
    "series_panels",
]
