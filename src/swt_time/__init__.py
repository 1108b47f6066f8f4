"""swt-time: forecasting time series with a frozen language model and a stationary wavelet view."""

from typing import TYPE_CHECKING

from swt_time.errors import (
    BackboneError,
    CheckpointError,
    ConfigError,
    DownloadError,
    HubError,
    InputError,
    MissingDependencyError,
    ProcessError,
    SaveError,
    SWTTimeError,
    SWTTimeWarning,
    TableError,
)

if TYPE_CHECKING:
    from swt_time.config import Config
    from swt_time.forecaster import Forecaster

__version__ = "0.1.0"
__all__ = [
    "BackboneError",
    "CheckpointError",
    "Config",
    "ConfigError",
    "DownloadError",
    "Forecaster",
    "HubError",
    "InputError",
    "MissingDependencyError",
    "ProcessError",
    "SWTTimeError",
    "SWTTimeWarning",
    "SaveError",
    "TableError",
    "__version__",
]


def __getattr__(name: str) -> object:
    # The forecaster needs pandas, the configuration pydantic; importing the package alone stays light.
    if name == "Forecaster":
        from swt_time.forecaster import Forecaster

        return Forecaster
    if name == "Config":
        from swt_time.config import Config

        return Config
    raise AttributeError(f"module 'swt_time' has no attribute {name!r}")
