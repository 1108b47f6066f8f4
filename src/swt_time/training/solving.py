"""Fit a closed form alone, with the events and the result of a training run of zero steps."""

import math
import time
from collections.abc import Callable

import numpy as np

from swt_time.config import Config
from swt_time.data.parts import Parts
from swt_time.data.windows import Windows, evenly
from swt_time.errors import TableError
from swt_time.model.alone import ClosedForm, check_levels, is_alone, prior_of
from swt_time.model.closed_form import solve
from swt_time.processes import ALONE, Processes
from swt_time.training.events import Event, Solved, TrainingResult, Validation

NO_WINDOW = "the training part holds no window; lower data.context or data.horizon, or provide more rows"


def solves_alone(config: Config) -> bool:
    """Whether a configuration is fitted here, without PyTorch: a closed form alone, on the CPU.

    What is reported of the validation part is its mean squared error.
    """
    training = config.training
    return is_alone(config) and training.loss == "mse" and training.device in ("auto", "cpu")


def leave_unsolved(config: Config) -> tuple[ClosedForm, TrainingResult]:
    """Return the map of zeros, where the forecast of the closed form has no weight."""
    weight = np.zeros((config.data.horizon, config.data.steps), dtype=np.float32)
    return ClosedForm(weight), TrainingResult(0, 0, None, "finished", 0.0)


def solve_alone(
    config: Config,
    parts: Parts,
    report: Callable[[Event], None] = lambda event: None,
    processes: Processes = ALONE,
    *,
    begin: Callable[[TrainingResult], None] = lambda so_far: None,
) -> tuple[ClosedForm, TrainingResult]:
    """Solve the closed form of a configuration (`swt_time.model.alone`) on the parts of a table.

    It calls ``begin`` and ``report`` as `swt_time.training.train` does.

    Raises
    ------
    TableError
        There is no training window.
    ConfigError
        The transform of the prior needs a longer context.
    """
    if len(parts.train) == 0:
        raise TableError(NO_WINDOW)
    check_levels(config)
    begin(TrainingResult(0, 0, None, "running", 0.0))
    began, data, training = time.monotonic(), config.data, config.training
    solution = solve(
        parts.train,
        parts.validation,
        data.steps,
        prior_of(config.embedding),
        config.model.closed_form,
        processes=processes,
    )
    solved = time.monotonic() - began
    report(Solved(solution, solved))
    found = ClosedForm(solution.weight.astype(np.float32))
    loss = _validation_loss(found, parts.validation, training.validation_windows)
    row = Validation(
        step=0,
        epoch=0.0,
        train_loss=solution.train_mse,
        validation_loss=loss,
        learning_rate=training.learning_rate,
        gate=0.0,
        windows_per_second=0.0,
        seconds=solved,
        best=True,
    )
    report(row)
    seconds = time.monotonic() - began
    return found, TrainingResult(0, 0, loss, "finished", seconds, [row], closed_form=solution.record())


def _validation_loss(found: ClosedForm, validation: Windows | None, most: int) -> float | None:
    """Mean squared error on at most ``most`` validation windows, evenly spaced; None without any."""
    if validation is None or not len(validation):
        return None
    total, points = 0.0, 0
    indices = evenly(len(validation), most)
    for some in np.array_split(indices, -(-len(indices) // 512)):
        context, target = validation.gather(some)
        errors = target - found.forecast_windows(context)
        total += float(np.nansum(np.square(errors)))
        points += int((~np.isnan(errors)).sum())
    return total / points if points else math.inf
