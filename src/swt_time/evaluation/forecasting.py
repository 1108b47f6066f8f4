"""The interface of forecasters that can be scored."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from swt_time.data.parts import PartWindows
from swt_time.training import TrainingResult

if TYPE_CHECKING:
    from torch import nn


class WindowForecaster(Protocol):
    """Anything that forecasts scaled windows: a trained model or a baseline.

    An integer attribute ``history`` asks for that many values before the forecast, if they are more than ``T``; values
    before the start of a series are NaN.
    """

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Map scaled contexts (M, T) to forecasts (M, H)."""
        ...


@runtime_checkable
class PartForecaster(Protocol):
    """A forecaster of windows that needs more than their contexts: the whole series before them, in its units."""

    def forecast_part(self, part: PartWindows, indices: np.ndarray) -> np.ndarray:
        """Forecast the windows with indices (B,) of a part: (B, H), scaled as the part is."""
        ...


@dataclass(frozen=True)
class TrainedModel:
    """A trained network: the model or a baseline.

    Attributes
    ----------
    model : Module
        With the weights of the best validation.
    result : TrainingResult
    """

    model: "nn.Module"
    result: TrainingResult

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Map scaled contexts (M, T) to forecasts (M, H)."""
        from swt_time.model.inference import forecast_windows

        return forecast_windows(self.model, contexts)
