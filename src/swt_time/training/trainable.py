"""A model as the training loop sees it: its forecast is what the loss is computed of."""

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor, nn

from swt_time.model import SWTTime


class Trainable(Protocol):
    """A model that `train` can train: `SWTTime`, or a baseline."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over all parameters."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Iterate over all parameters with their names."""

    def train(self, mode: bool = True) -> Any:
        """Set the mode of training, or that of evaluation."""

    def eval(self) -> Any:
        """Set the mode of evaluation."""

    def trained_state(self) -> dict[str, Tensor]:
        """Return the trained weights by name, which are saved and restored."""

    def __call__(self, context: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """Forecast windows: ``(B, T, N)`` to ``(B, H, N)``, or to quantiles ``(B, H, N, Q)``.

        ``observed`` is given for windows that are padded.
        """


class TrainableModel:
    """Forecast all quantiles of a model that has them, and otherwise as the model does.

    Parameters
    ----------
    model : SWTTime
        Its weights are shared.
    """

    def __init__(self, model: SWTTime):
        self.model = model

    def __call__(self, context: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """Forecast ``(B, T, N)`` to ``(B, H, N)``, or to quantiles ``(B, H, N, Q)``."""
        if self.model.has_quantiles:
            return self.model.quantiles(context, observed=observed)
        forecast: Tensor = self.model(context, observed=observed)
        return forecast

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters of the model."""
        return self.model.parameters()

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Return the parameters of the model by name."""
        return self.model.named_parameters()

    def train(self, mode: bool = True) -> None:
        """Set the model to training mode, or to eval mode."""
        self.model.train(mode)

    def eval(self) -> None:
        """Set the model to eval mode."""
        self.model.eval()

    def trained_state(self) -> dict[str, Tensor]:
        """Return the trained weights of the model by name."""
        return self.model.trained_state()
