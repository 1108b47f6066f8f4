"""The interface of forecasters that can be scored."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from swt_time.config.choices import QUANTILES
from swt_time.data.parts import PartWindows
from swt_time.training import TrainingResult

if TYPE_CHECKING:
    from torch import nn

    from swt_time.model import SWTTime


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


Scorable = WindowForecaster | PartForecaster
"""What can be scored on the windows of a part."""


@runtime_checkable
class SpreadForecaster(Protocol):
    """A forecaster that may give a spread of its own around its forecasts."""

    def spread_windows(self, contexts: np.ndarray) -> np.ndarray | None:
        """Return the distances from the median to the first and to the last decile after scaled contexts (M, T).

        They have the shape (2, M, H); None if there are no quantiles.
        """
        ...


def forecast_part(forecaster: Scorable, part: PartWindows, indices: np.ndarray) -> np.ndarray:
    """Forecast the windows with indices (B,) of a part: (B, H), scaled as the part is."""
    if isinstance(forecaster, PartForecaster):
        return forecaster.forecast_part(part, indices)
    return forecaster.forecast_windows(part.contexts(indices, getattr(forecaster, "history", 0)))


def spread_part(forecaster: Scorable, part: PartWindows, indices: np.ndarray) -> np.ndarray | None:
    """Return the forecaster's own spread below and above the forecasts of windows of a part.

    It has the shape (2, B, H), in the units of the table; None if the forecaster has no spread.
    """
    spread = forecaster.spread_windows(part.contexts(indices)) if isinstance(forecaster, SpreadForecaster) else None
    return None if spread is None else spread * part.scaler.std[part.series_of(indices), None]


def quantile_spread(model: "nn.Module", contexts: np.ndarray) -> np.ndarray:
    """Run a network that was trained to quantiles; see `SpreadForecaster.spread_windows`."""
    from swt_time.model.inference import forecast_windows

    quantiles = forecast_windows(model, contexts, quantiles=True)
    low, median, high = (quantiles[..., QUANTILES.index(p)] for p in (0.1, 0.5, 0.9))
    return np.stack([median - low, high - median])


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

    @property
    def network(self) -> "SWTTime | None":
        """The model, if it is no baseline."""
        from swt_time.model import SWTTime

        return self.model if isinstance(self.model, SWTTime) else None

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Map scaled contexts (M, T) to forecasts (M, H)."""
        from swt_time.model.inference import forecast_windows

        return forecast_windows(self.model, contexts)

    def spread_windows(self, contexts: np.ndarray) -> np.ndarray | None:
        """See `SpreadForecaster`."""
        network = self.network
        has_spread = network is not None and network.has_quantiles and not network.is_closed_form
        return quantile_spread(self.model, contexts) if has_spread else None
