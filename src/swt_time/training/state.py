"""The state of a training run, as plain values and tensors that can be saved and restored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from swt_time.errors import CheckpointError
from swt_time.training.events import Validation


@dataclass(frozen=True)
class TrainingState:
    """Everything that the rest of a run depends on: plain values (`Progress`), and tensors by name (`StateTensors`)."""

    progress: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Progress:
    """The plain values of a run's state.

    Attributes
    ----------
    steps, best_step : int
        Steps so far, and the step of the best validation.
    best_loss : float or None
        Lowest validation loss.
    bad_rounds : int
        Validations since the last improvement.
    loss_sum, loss_windows
        Sum of the training loss over windows, and number of windows, since the last validation.
    learning_rate : float
        Of the last step.
    total_steps, validate_every, validation_seconds, step_seconds
        The plan and the times that it is made from; see `swt_time.training.pace.Pace`.
    seconds : float
        Time of training so far, over all parts of a run that was stopped and resumed.
    history : list of Validation
    closed_form : dict, optional
        See `swt_time.training.events.TrainingResult`.
    """

    steps: int
    best_step: int
    best_loss: float | None
    bad_rounds: int
    loss_sum: float
    loss_windows: int
    learning_rate: float
    total_steps: int
    validate_every: int
    validation_seconds: float
    step_seconds: list[float]
    seconds: float
    history: list[Validation]
    closed_form: dict[str, Any] | None = None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "Progress":
        """Check plain values, as read from a file.

        Raises
        ------
        CheckpointError
            A value is missing or of the wrong type.
        """
        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise CheckpointError(f"the training state is damaged: {where}: {first['msg']}") from None


@dataclass(frozen=True)
class StateTensors:
    """The tensors of a run's state, sorted by kind.

    Attributes
    ----------
    weights, best : dict of str to Tensor
        Trained weights and best weights, by name.
    moments : dict of str to dict of str to Tensor
        The optimiser's state by parameter: ``moments[name][key]``.
    random : dict of str to Tensor
        States of PyTorch's generators: ``cpu``, and ``cuda`` if the run was on a GPU.
    """

    weights: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    moments: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    random: dict[str, Tensor] = field(default_factory=dict)

    def flatten(self) -> dict[str, Tensor]:
        """Return all tensors by name: ``weights/*``, ``best/*``, ``optimizer/<key>/*`` and ``random/*``."""
        flat = {f"weights/{name}": weight for name, weight in self.weights.items()}
        flat |= {f"best/{name}": weight for name, weight in self.best.items()}
        for name, moments in self.moments.items():
            flat |= {f"optimizer/{key}/{name}": moment for key, moment in moments.items()}
        return flat | {f"random/{name}": state for name, state in self.random.items()}

    @classmethod
    def parse(
        cls,
        flat: Mapping[str, Tensor],
        weights: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        device: torch.device,
    ) -> "StateTensors":
        """Sort the result of `flatten`, and move all but the generators' states to a device.

        Parameters
        ----------
        flat : mapping of str to Tensor
        weights, parameters : mapping of str to Tensor
            Trained weights of the model, and parameters of the optimiser. The tensors must have their names and shapes.
        device : torch.device

        Raises
        ------
        CheckpointError
            A tensor has an unknown name or another shape.
        """
        found = cls()
        for key, tensor in flat.items():
            kind, _, name = key.rpartition("/")
            if kind == "random":
                found.random[name] = tensor
                continue
            known = {"weights": weights, "best": weights}.get(kind, parameters if kind.startswith("optimizer/") else {})
            if name not in known or tensor.shape not in (known[name].shape, ()):
                raise CheckpointError(f"the training state does not fit this model: {key} is unknown or misshapen")
            moved = tensor.to(device)
            if kind == "weights":
                found.weights[name] = moved
            elif kind == "best":
                found.best[name] = moved
            else:
                found.moments.setdefault(name, {})[kind.removeprefix("optimizer/")] = moved
        return found


def optimizer_moments(
    optimizer: torch.optim.Optimizer, parameters: Iterable[tuple[str, nn.Parameter]]
) -> dict[str, dict[str, Tensor]]:
    """Return the optimiser's state by parameter; see `StateTensors`."""
    return {name: dict(optimizer.state[parameter]) for name, parameter in parameters if parameter in optimizer.state}
