"""Training: the loop, its events, its plan and its state.

- ``loop``: the training loop;
- ``optimising``, ``pace``, ``tracking``, ``signals``: learning rate, loss and optimiser; number of steps and
  validations; best weights; stopping on a signal;
- ``compiled``: the training step as one compiled graph;
- ``events``, ``state``: what a run reports, and the state that it resumes from;
- ``gradients``, ``sharing``: the gradient of a batch in one process or several; a state given to the others;
- ``fitting``: training a model from a configuration and the parts of a table;
- ``solving``: solving a closed form alone, without the loop.
"""

from typing import TYPE_CHECKING

from swt_time.lazily import exports
from swt_time.training.events import Compared, Event, Plan, Run, Solved, Step, TrainingResult, Validation
from swt_time.training.signals import raise_as_usual
from swt_time.training.solving import leave_unsolved, solve_alone, solves_alone

if TYPE_CHECKING:
    from swt_time.training.fitting import (
        fit_model,
        initial_weights,
        leave_untrained,
        reduce_model,
        seeded,
        train_model,
    )
    from swt_time.training.loop import train
    from swt_time.training.optimising import check_memory
    from swt_time.training.state import TrainingState

__all__ = [
    "Compared",
    "Event",
    "Plan",
    "Run",
    "Solved",
    "Step",
    "TrainingResult",
    "TrainingState",
    "Validation",
    "check_memory",
    "fit_model",
    "initial_weights",
    "leave_unsolved",
    "leave_untrained",
    "raise_as_usual",
    "reduce_model",
    "seeded",
    "solve_alone",
    "solves_alone",
    "train",
    "train_model",
]

# The loop needs PyTorch, the events and the result do not.
__getattr__ = exports(
    __name__,
    {
        "fit_model": "fitting",
        "initial_weights": "fitting",
        "leave_untrained": "fitting",
        "reduce_model": "fitting",
        "seeded": "fitting",
        "train_model": "fitting",
        "train": "loop",
        "check_memory": "optimising",
        "TrainingState": "state",
    },
)
