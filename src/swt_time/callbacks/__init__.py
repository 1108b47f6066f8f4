"""What is told about a training run while it lasts, in Python, to TensorBoard and to MLflow.

- ``callback``: the base class of callbacks, and the outcome of a run;
- ``calling``: the events of a run as calls of its callbacks;
- ``scores``: what is recorded of a run, as plain numbers and texts by name;
- ``tensorboard``, ``mlflow``: the two adapters, each with its extra.

``Forecaster.fit(table, callbacks=[...])`` takes any number of them.
"""

from swt_time.callbacks.callback import Callback, Outcome
from swt_time.callbacks.calling import Calls
from swt_time.callbacks.mlflow import MLflowCallback
from swt_time.callbacks.tensorboard import TensorBoardCallback
from swt_time.training import Run, Validation

__all__ = [
    "Callback",
    "Calls",
    "MLflowCallback",
    "Outcome",
    "Run",
    "TensorBoardCallback",
    "Validation",
]
