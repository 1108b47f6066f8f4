"""Training runs of 12 steps with a validation every 4, that can be stopped, and resumed."""

import os
import signal

import pytest

from swt_time import Forecaster
from swt_time.training import Step

OPTIONS = {
    "horizon": 12,
    "context": 48,
    "backbone": "none",
    "wavelet": "haar",
    "level": 1,
    "d_model": 8,
    "validation_windows": 16,
    "max_steps": 12,
    "validate_every": 4,
    "model": {"skip": "linear"},
}


def make(**changes):
    return Forecaster(**{**OPTIONS, **changes})


def interrupt(step):
    """Return a function of events that sends Ctrl-C to this process after a step."""
    return lambda event: os.kill(os.getpid(), signal.SIGINT) if isinstance(event, Step) and event.step == step else None


def fit_and_stop(table, step, **how):
    """Fit a forecaster, interrupted after a step."""
    forecaster = make()
    with pytest.raises(KeyboardInterrupt):
        forecaster.fit(table, report=interrupt(step), **how)
    return forecaster
