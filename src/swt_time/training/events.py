"""What a training run reports while it goes on, and what it leaves behind."""

from dataclasses import dataclass, field
from typing import Literal

from swt_time.model.closed_form import Solution


@dataclass(frozen=True)
class Plan:
    """How long the run will take: estimated after the first steps, and fitted into the time budget."""

    total_steps: int
    seconds: float


@dataclass(frozen=True)
class Solved:
    """The linear part, solved in closed form before the first step."""

    solution: Solution
    seconds: float


@dataclass(frozen=True)
class Step:
    """One optimisation step, as reported while training runs."""

    step: int
    total_steps: int
    loss: float
    windows_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Validation:
    """One row of the loss history; losses are means over all points, on scaled data."""

    step: int
    epoch: float
    train_loss: float
    validation_loss: float | None
    learning_rate: float
    gate: float | None
    windows_per_second: float
    seconds: float
    best: bool


Event = Plan | Solved | Step | Validation

Ending = Literal["finished", "early stopping", "time budget", "interrupted"]


@dataclass
class TrainingResult:
    """What `train` leaves behind, beside the model with its best weights restored."""

    steps: int
    best_step: int
    best_loss: float | None
    ended: Ending | Literal["running"]
    seconds: float
    history: list[Validation] = field(default_factory=list)
