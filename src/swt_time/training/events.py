"""Events that a training run reports, and its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from swt_time.config import Config
from swt_time.model.closed_form import Solution


@dataclass(frozen=True)
class Plan:
    """Estimated length of the run, from the time of its first steps; within the time budget, if there is one.

    Attributes
    ----------
    total_steps : int
    seconds : float
        Estimated time of the whole run.
    """

    total_steps: int
    seconds: float


@dataclass(frozen=True)
class Solved:
    """The closed-form part of the model was solved, before the first step; ``seconds`` is the time it took."""

    solution: Solution
    seconds: float


@dataclass(frozen=True)
class Step:
    """One optimisation step was taken.

    Attributes
    ----------
    step, total_steps : int
        Steps taken, and steps planned.
    loss : float
        Mean loss of the batch.
    windows_per_second : float
    seconds_left : float
        Estimated time until the end of the run.
    """

    step: int
    total_steps: int
    loss: float
    windows_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Validation:
    """A validation, one row of the loss history. Losses are means over all points of scaled data.

    Attributes
    ----------
    step : int
        Steps taken before it.
    epoch : float
        Steps divided by the steps of an epoch.
    train_loss : float
        Mean over the training windows since the last validation.
    validation_loss : float or None
        None without a validation part.
    learning_rate : float
        Of the last step.
    gate : float or None
        The factor of the language-model branch; None for a model without a gate.
    windows_per_second : float
    seconds : float
        Training time so far.
    best : bool
        Whether the validation loss is the lowest so far.
    """

    step: int
    epoch: float
    train_loss: float
    validation_loss: float | None
    learning_rate: float
    gate: float | None
    windows_per_second: float
    seconds: float
    best: bool


@dataclass(frozen=True)
class Compared:
    """A candidate was judged on held-out blocks, before training; see `swt_time.selection`.

    Attributes
    ----------
    candidate : str
    error : float
        Mean absolute error in units of the seasonal naive error of each series.
    seconds : float
    """

    candidate: str
    error: float
    seconds: float


@dataclass(frozen=True)
class Run:
    """A training run begins, or is resumed, after everything that was open has been chosen.

    Attributes
    ----------
    id : str
        Time of its first start and random digits, such as ``20261126-150848-1a2b3c4d``; the same when it is resumed.
    config : Config
        With the values that were chosen in place of ``auto``.
    provenance : mapping
        Versions, commit, seed, hash and size of the table, time and machine.
    series, train_windows, validation_windows : int
        Their numbers.
    steps : int
        Steps taken before; 0 in a new run.
    history : tuple of Validation
        Validations before; empty in a new run.
    """

    id: str
    config: Config
    provenance: Mapping[str, Any]
    series: int
    train_windows: int
    validation_windows: int
    steps: int = 0
    history: tuple[Validation, ...] = ()

    @property
    def resumed(self) -> bool:
        """Whether a state of the run was saved before, from which it continues."""
        return self.steps > 0 or bool(self.history)


Event = Run | Plan | Compared | Solved | Step | Validation

Ending = Literal["finished", "early stopping", "time budget", "interrupted"]


@dataclass
class TrainingResult:
    """Result of a training run; the trained weights are in the model.

    Attributes
    ----------
    steps : int
        Steps taken.
    best_step : int
        Step of the best validation.
    best_loss : float or None
        Lowest validation loss; None without a validation part.
    ended : str
        Why the run ended; ``running`` until then. What callbacks are told may also be ``failed``.
    seconds : float
        Training time, over all parts of a run that was stopped and resumed.
    history : list of Validation
    signal : int or None
        The signal that interrupted the run.
    closed_form : dict, optional
        The form of the closed-form part and what its parts gained; see `swt_time.model.closed_form.Solution.record`.
    """

    steps: int
    best_step: int
    best_loss: float | None
    ended: Ending | Literal["running", "failed"]
    seconds: float
    history: list[Validation] = field(default_factory=list)
    signal: int | None = None
    closed_form: dict[str, Any] | None = None
