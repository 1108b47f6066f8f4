"""The training loop, its events, its pace, and its state.

- ``loop``: one visible loop over windows, from the first step to the best weights restored;
- ``optimising``, ``pace``, ``signals``, ``compiled``: what a step is, how many there are, how a run is stopped, and
  the step as one compiled graph;
- ``events``, ``state``: what a run reports, and what it resumes from;
- ``fitting``: a configuration and the parts of a table to a trained model.
"""

from swt_time.training.events import Event, Plan, Solved, Step, TrainingResult, Validation
from swt_time.training.fitting import fit_model, seeded, train_model
from swt_time.training.loop import train
from swt_time.training.state import TrainingState

__all__ = [
    "Event",
    "Plan",
    "Solved",
    "Step",
    "TrainingResult",
    "TrainingState",
    "Validation",
    "fit_model",
    "seeded",
    "train",
    "train_model",
]
