"""List the trained weights of a model by name, and load them."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from swt_time.errors import CheckpointError


class HasTrainedState(Protocol):
    """A model that returns its trained weights by name."""

    def trained_state(self) -> dict[str, Tensor]: ...


def trained_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that require a gradient, by name."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def load_trained_state(model: HasTrainedState, weights: Mapping[str, Tensor]) -> None:
    """Copy trained weights into a model, as `copy_weights` into its trained state."""
    copy_weights(model.trained_state(), weights)


def copy_weights(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Copy weights into tensors of the same names, shapes and dtypes.

    Raises
    ------
    CheckpointError
        As `check_weights`; nothing is copied.
    """
    check_weights(own, weights)
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(weights[name])


def check_weights(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Check that weights can be copied into tensors.

    Raises
    ------
    CheckpointError
        Names, shapes or dtypes differ, or a value is not finite. The message lists the first three problems.
    """
    wrong = [f"missing {name}" for name in own if name not in weights]
    wrong += [f"unknown {name}" for name in weights if name not in own]
    wrong += [
        f"{name} has shape {tuple(weights[name].shape)}, expected {tuple(p.shape)}"
        for name, p in own.items()
        if name in weights and weights[name].shape != p.shape
    ]
    wrong += [
        f"{name} holds {weights[name].dtype}, expected {p.dtype}".replace("torch.", "")
        for name, p in own.items()
        if name in weights and weights[name].dtype != p.dtype
    ]
    wrong += [
        f"{name} holds values that are not finite"
        for name, p in own.items()
        if name in weights and weights[name].dtype == p.dtype and not torch.isfinite(weights[name]).all()
    ]
    if wrong:
        raise CheckpointError(
            f"the weights do not fit the configuration: {'; '.join(wrong[:3])}{'; ...' if len(wrong) > 3 else ''}"
        )
