"""Training: the loop, its events, its plan and its state.

- ``loop``: the training loop;
- ``optimising``, ``pace``, ``tracking``, ``signals``: learning rate, loss and optimiser; number of steps and
  validations; best weights; stopping on a signal;
- ``compiled``: the training step as one compiled graph;
- ``events``, ``state``: what a run reports, and the state that it resumes from;
- ``fitting``: training a model from a configuration and the parts of a table.
"""

from swt_time.training.events import Compared, Event, Plan, Solved, Step, TrainingResult, Validation
from swt_time.training.fitting import fit_model, leave_untrained, reduce_model, seeded, train_model
from swt_time.training.loop import train
from swt_time.training.optimising import check_memory
from swt_time.training.signals import raise_as_usual
from swt_time.training.state import TrainingState

__all__ = [
    "Compared",
    "Event",
    "Plan",
    "Solved",
    "Step",
    "TrainingResult",
    "TrainingState",
    "Validation",
    "check_memory",
    "fit_model",
    "leave_untrained",
    "raise_as_usual",
    "reduce_model",
    "seeded",
    "train",
    "train_model",
]
