"""Train a model from a configuration and the parts of a table."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

import torch

from swt_time.config import Config, TrainingConfig
from swt_time.data.parts import Parts
from swt_time.data.windows import Windows
from swt_time.machine import resolve_device
from swt_time.model import SWTTime, build_model
from swt_time.training.compiled import CompiledModel
from swt_time.training.events import Event, TrainingResult
from swt_time.training.loop import Trainable, train
from swt_time.training.optimising import Objective
from swt_time.training.state import TrainingState


@contextlib.contextmanager
def seeded(config: TrainingConfig) -> Iterator[torch.device]:
    """Seed PyTorch's generators for a run, and restore their states on exit.

    Yields
    ------
    torch.device
        The device of the run.

    Raises
    ------
    ConfigError
        The device is not available.
    """
    device = resolve_device(config.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        yield device


def train_model(
    model: SWTTime,
    windows: Windows,
    validation: Windows | None,
    config: TrainingConfig,
    *,
    resume: TrainingState | None = None,
    report: Callable[[Event], None] = lambda event: None,
    save_best: Callable[[TrainingResult], None] = lambda result: None,
    save_state: Callable[[TrainingState], None] = lambda state: None,
) -> TrainingResult:
    """Train an `SWTTime` model with its penalty, closed-form part and gate, compiled if ``training.compile`` is set.

    Parameters, result and errors are those of `train`.
    """
    trainable: Trainable = CompiledModel(model) if config.compile else model
    return train(
        trainable,
        windows,
        validation,
        config,
        objective=Objective(config.loss, model.penalty, config.reconstruction_weight),
        solve=partial(model.solve, windows, validation),
        gate=model.gate,
        resume=resume,
        report=report,
        save_best=save_best,
        save_state=save_state,
    )


def fit_model(
    config: Config, parts: Parts, *, report: Callable[[Event], None] = lambda event: None
) -> tuple[SWTTime, TrainingResult]:
    """Build the model of a configuration and train it.

    Raises
    ------
    ConfigError, BackboneError, TableError, SWTTimeError
        As `build_model` and `train` do.
    """
    with seeded(config.training) as device:
        model = build_model(config).to(device)
        return model, train_model(model, parts.train, parts.validation, config.training, report=report)
