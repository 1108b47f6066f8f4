"""Whatever forecasts scaled windows, and can therefore be scored."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import nn

from swt_time.model.inference import forecast_windows
from swt_time.training import TrainingResult


class WindowForecaster(Protocol):
    """Whatever can be scored: a trained model, or a baseline."""

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Scaled contexts (M, T) to forecasts (M, H)."""
        ...


@dataclass(frozen=True)
class TrainedModel:
    """A trained network, ours or a baseline's.

    Attributes
    ----------
    model : Module
        With the weights that were best on validation.
    result : TrainingResult
    """

    model: nn.Module
    result: TrainingResult

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Scaled contexts (M, T) to forecasts (M, H), float32."""
        return forecast_windows(self.model, contexts)
