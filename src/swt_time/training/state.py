"""All that the rest of a run depends on, as plain values and tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from swt_time.training.events import Validation


@dataclass(frozen=True)
class TrainingState:
    """How far a run has come: plain values, and tensors by name."""

    progress: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Progress:
    """The part of a run's state that is plain values; `TrainingState` holds it beside the tensors.

    Times are there because plans are made of them: ``seconds`` are those of training, over all of its parts.
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
