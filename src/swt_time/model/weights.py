"""List the trained weights of a model by name, and load them: tensors in a model, arrays in a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from swt_time.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor, nn


class HasTrainedState(Protocol):
    """A model that returns its trained weights by name."""

    def trained_state(self) -> dict[str, Tensor]:
        """Return the trained weights by name."""


def trained_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that require a gradient, by name."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def load_trained_state(model: HasTrainedState, weights: Mapping[str, Tensor | np.ndarray]) -> None:
    """Copy trained weights into a model, as `copy_weights` into its trained state."""
    copy_weights(model.trained_state(), weights)


def copy_weights(own: Mapping[str, Tensor], weights: Mapping[str, Tensor | np.ndarray]) -> None:
    """Copy weights into tensors of the same names, shapes and dtypes.

    Raises
    ------
    CheckpointError
        As `check_weights`; nothing is copied.
    """
    import torch

    check_weights(own, weights)
    with torch.no_grad():
        for name, parameter in own.items():
            weight = weights[name]
            # a copy, since the arrays of a file cannot be written to
            parameter.copy_(torch.tensor(weight, device="cpu") if isinstance(weight, np.ndarray) else weight)


def to_arrays(weights: Mapping[str, Tensor] | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Copy weights into arrays, for a checkpoint."""
    return {
        name: np.array(one if isinstance(one, np.ndarray) else one.detach().cpu().numpy())
        for name, one in weights.items()
    }


def check_weights(
    own: Mapping[str, Tensor] | Mapping[str, np.ndarray], weights: Mapping[str, Tensor | np.ndarray]
) -> None:
    """Check that weights can be copied into others.

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
        f"{name} holds {_kind(weights[name])}, expected {_kind(p)}"
        for name, p in own.items()
        if name in weights and _kind(weights[name]) != _kind(p)
    ]
    wrong += [
        f"{name} holds values that are not finite"
        for name, p in own.items()
        if name in weights and _kind(weights[name]) == _kind(p) and not _is_finite(weights[name])
    ]
    if wrong:
        raise CheckpointError(
            f"the weights do not fit the configuration: {'; '.join(wrong[:3])}{'; ...' if len(wrong) > 3 else ''}"
        )


def _kind(weight: Tensor | np.ndarray) -> str:
    return str(weight.dtype).removeprefix("torch.")


def _is_finite(weight: Tensor | np.ndarray) -> bool:
    return bool(np.isfinite(weight).all() if isinstance(weight, np.ndarray) else weight.isfinite().all())
