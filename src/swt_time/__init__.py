"""swt-time: forecasting time series with a frozen language model and a stationary wavelet view."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swt_time.forecaster import Forecaster

__version__ = "0.1.0"
__all__ = ["Forecaster", "__version__"]


def __getattr__(name: str) -> object:
    # The forecaster needs torch and pandas; importing the package alone stays light.
    if name == "Forecaster":
        from swt_time.forecaster import Forecaster

        return Forecaster
    raise AttributeError(f"module 'swt_time' has no attribute {name!r}")
