"""The state of a training run, as plain values and tensors that can be saved and restored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from swt_time.errors import CheckpointError
from swt_time.model.weights import check_weights
from swt_time.training.events import Validation

MOMENTS = {"step", "exp_avg", "exp_avg_sq"}
"""What AdamW keeps of each parameter: the number of its steps, and two averages of its shape."""

DAMAGED, REMEDY = "the training state is damaged", "start a new run with overwrite=True"

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, le=1e10)]


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

    steps: Count
    best_step: Count
    best_loss: float | None
    bad_rounds: Count
    loss_sum: float
    loss_windows: Count
    learning_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    total_steps: Count
    validate_every: Count
    validation_seconds: Seconds
    step_seconds: list[Seconds]
    seconds: Seconds
    history: list[Validation]
    closed_form: dict[str, Any] | None = None

    @classmethod
    def parse(cls, values: Mapping[str, Any], most_steps: int) -> "Progress":
        """Check plain values, as read from a file.

        Parameters
        ----------
        values : mapping
        most_steps : int
            Most steps that the configuration of the run allows.

        Raises
        ------
        CheckpointError
            A value is missing, of the wrong type, or contradicts another one or the configuration.
        """
        try:
            found = TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise CheckpointError(f"{DAMAGED}: {where}: {first['msg']}; {REMEDY}") from None
        validated = [row.step for row in found.history]
        for name, value, most in (
            ("total_steps", found.total_steps, most_steps),
            ("steps", found.steps, found.total_steps),
            ("best_step", found.best_step, found.steps),
            ("bad_rounds", found.bad_rounds, len(validated)),
            ("history", max(validated, default=0), found.steps),
        ):
            if value > most:
                raise CheckpointError(f"{DAMAGED}: {name}: expected at most {most}, got {value}; {REMEDY}")
        return found


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
            A tensor is missing, or has an unknown name or another shape or dtype.
        """
        found = cls()
        for key, tensor in flat.items():
            kind, _, name = key.rpartition("/")
            if kind == "random":
                found.random[name] = tensor
            elif kind == "weights":
                found.weights[name] = tensor.to(device)
            elif kind == "best":
                found.best[name] = tensor.to(device)
            elif kind.startswith("optimizer/") and name in parameters:
                found.moments.setdefault(name, {})[kind.removeprefix("optimizer/")] = tensor.to(device)
            else:
                raise CheckpointError(f"the training state does not fit this model: {key} is unknown; {REMEDY}")
        check_weights(weights, found.weights)
        if found.best:
            check_weights(weights, found.best)
        for name, moments in found.moments.items():
            _check_moments(name, moments, parameters[name])
        return found


def _check_moments(name: str, moments: Mapping[str, Tensor], parameter: Tensor) -> None:
    shapes = {key: () if key == "step" else tuple(parameter.shape) for key in MOMENTS}
    plain = {key: tuple(moment.shape) for key, moment in moments.items()} == shapes
    plain = plain and all(moment.dtype == torch.float32 for moment in moments.values())
    if not plain or not 1 <= moments["step"].item() <= 2**31:
        raise CheckpointError(
            f"the training state does not fit this model: optimizer/*/{name} is not what AdamW keeps of a parameter of "
            f"shape {tuple(parameter.shape)}; {REMEDY}"
        )


def optimizer_moments(
    optimizer: torch.optim.Optimizer, parameters: Iterable[tuple[str, nn.Parameter]]
) -> dict[str, dict[str, Tensor]]:
    """Return the optimiser's state by parameter; see `StateTensors`."""
    return {name: dict(optimizer.state[parameter]) for name, parameter in parameters if parameter in optimizer.state}
