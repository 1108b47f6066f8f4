"""Train a model from a configuration and the parts of a table."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

import torch

from swt_time.config import Config, TrainingConfig
from swt_time.config.branch import without_branch
from swt_time.data.parts import Parts
from swt_time.data.windows import Windows
from swt_time.machine import resolve_device, torch_defaults
from swt_time.model import SWTTime, build_model
from swt_time.model.closed_form import RidgeSkip
from swt_time.model.heads import LinearSkip
from swt_time.processes import ALONE, Processes
from swt_time.training.compiled import CompiledModel
from swt_time.training.events import Event, TrainingResult
from swt_time.training.loop import train
from swt_time.training.optimising import Objective, check_memory
from swt_time.training.random_state import RandomState
from swt_time.training.state import TrainingState
from swt_time.training.trainable import TrainableModel


@contextlib.contextmanager
def seeded(config: TrainingConfig) -> Iterator[RandomState]:
    """Start the random numbers of a run, under PyTorch's own defaults (`swt_time.machine.torch_defaults`).

    Yields
    ------
    RandomState
        With the device of the run.

    Raises
    ------
    ConfigError
        The device is not available.
    """
    device = resolve_device(config.device)
    with torch_defaults():
        yield RandomState(device, config.seed)


@contextlib.contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Draw the initial weights of layers on the CPU as a run with this seed does; the host's generator is unchanged."""
    with RandomState(torch.device("cpu"), seed).active():
        yield


def train_model(
    model: SWTTime,
    windows: Windows,
    validation: Windows | None,
    config: TrainingConfig,
    *,
    random: RandomState | None = None,
    resume: TrainingState | None = None,
    begin: Callable[[TrainingResult], None] = lambda so_far: None,
    report: Callable[[Event], None] = lambda event: None,
    save_best: Callable[[TrainingResult], None] = lambda result: None,
    save_state: Callable[[TrainingState], None] = lambda state: None,
    processes: Processes = ALONE,
) -> TrainingResult:
    """Train an `SWTTime` model with its penalty, closed-form part and gate, compiled if ``training.compile`` is set.

    Parameters, result and errors are those of `train`.
    """
    return train(
        CompiledModel(model) if config.compile else TrainableModel(model),
        windows,
        validation,
        config,
        objective=Objective(config.loss, model.penalty, config.reconstruction_weight),
        solve=partial(model.solve, windows, validation, processes),
        gate=model.gate,
        random=random,
        resume=resume,
        begin=begin,
        report=report,
        save_best=save_best,
        save_state=save_state,
        processes=processes,
    )


def leave_untrained(config: Config) -> tuple[SWTTime, TrainingResult]:
    """Build the model of a configuration without training it, where its forecast has no weight."""
    with seeded(config.training) as random, random.active():
        return build_model(config).to(random.device), TrainingResult(0, 0, None, "finished", 0.0)


def reduce_model(model: SWTTime, config: Config) -> SWTTime:
    """Build the network without its branch, in eval mode: its forecasts are those of the linear forecast alone.

    Parameters
    ----------
    model : SWTTime
        Trained, with a gate.
    config : Config
        Its configuration, for which `swt_time.config.branch.has_branch` is true.
    """
    reduced, _ = leave_untrained(without_branch(config))
    with torch.no_grad():
        if isinstance(model.skip, RidgeSkip):
            assert isinstance(reduced.skip, RidgeSkip)
            reduced.skip.weight.copy_(model.skip.weight)
        else:
            assert isinstance(model.skip, LinearSkip)
            reduced.embed.load_state_dict(model.embed.state_dict())
            reduced.head.linear.load_state_dict(model.skip.linear.state_dict())
    return reduced.eval()


def fit_model(
    config: Config,
    parts: Parts,
    *,
    start: Callable[[SWTTime, Config], None] | None = None,
    begin: Callable[[TrainingResult], None] = lambda so_far: None,
    report: Callable[[Event], None] = lambda event: None,
    processes: Processes = ALONE,
) -> tuple[SWTTime, TrainingResult]:
    """Build the model of a configuration, change its initial weights by ``start``, and train it; see `train`.

    Raises
    ------
    ConfigError, BackboneError, TableError, SWTTimeError
        As `build_model` and `train` do.
    """
    check_memory(config, len(parts.train))
    with seeded(config.training) as random:
        with random.active():
            model = build_model(config).to(random.device)
        if start is not None:
            start(model, config)
        result = train_model(
            model,
            parts.train,
            parts.validation,
            config.training,
            random=random,
            begin=begin,
            report=report,
            processes=processes,
        )
    return model, result
