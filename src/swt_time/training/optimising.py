"""Parts of an optimisation step: learning rate, loss, optimiser, and advice when memory is exhausted."""

import contextlib
import math
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swt_time.config import Config, Loss, Schedule, TrainingConfig
from swt_time.config.choices import QUANTILES
from swt_time.errors import ConfigError
from swt_time.machine import resolve_device, total_memory

FLOAT_BYTES = 4
"""Bytes of a trained weight, and of a number of a patch token."""


def learning_rate(step: int, total_steps: int, peak: float, schedule: Schedule) -> float:
    """Return the learning rate of a step.

    Parameters
    ----------
    step : int
        Counted from 0.
    total_steps : int
        Steps of the whole run; may change during the run.
    peak : float
        Highest learning rate.
    schedule : {"one_cycle", "cosine"}
        ``one_cycle`` rises from ``peak / 25`` over the first 30 % of the steps and then falls to ``peak / 250000``,
        both along a half cosine (Smith and Topin, arXiv 1708.07120), as PyTorch's ``OneCycleLR`` with its defaults.
        ``cosine`` falls from the peak to 0 along a half cosine.
    """
    if schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * min(step / total_steps, 1.0)))
    start, end = peak / 25, peak / 25 / 1e4
    turn = 0.3 * total_steps - 1
    if step <= turn:
        return start + (peak - start) * 0.5 * (1 - math.cos(math.pi * step / turn)) if turn > 0 else peak
    progress = min((step - turn) / max(total_steps - 1 - turn, 1), 1.0)
    return end + (peak - end) * 0.5 * (1 + math.cos(math.pi * progress))


def pinball_loss(forecast: Tensor, target: Tensor) -> Tensor:
    """Return the pinball loss, averaged over `QUANTILES` and summed over all points.

    Parameters
    ----------
    forecast : Tensor, (..., Q) or (...)
        Quantiles; a forecast without them counts as all of them.
    target : Tensor, (...)

    Notes
    -----
    Of a quantile ``q`` for the probability ``p`` it is ``p (y - q)`` above and ``(1 - p) (q - y)`` below the quantile,
    and lowest in expectation at the true one. Source: Koenker and Bassett, "Regression Quantiles", 1978.
    """
    if forecast.dim() == target.dim():
        forecast = forecast.unsqueeze(-1)
    above = target.unsqueeze(-1) - forecast
    probabilities = torch.tensor(QUANTILES, dtype=forecast.dtype, device=forecast.device)
    return torch.maximum(probabilities * above, (probabilities - 1) * above).mean(dim=-1).sum()


class Objective:
    """The function that training minimises: the loss over all points plus an optional weighted penalty.

    Parameters
    ----------
    loss : {"mse", "mae", "huber", "quantile"}
        The delta of the Huber loss is 1, one standard deviation of the scaled series. For ``quantile`` see
        `pinball_loss`.
    penalty : callable, optional
        Returns a scalar that is added to the loss, or None.
    weight : float
        Factor of the penalty.
    """

    def __init__(self, loss: Loss, penalty: Callable[[], Tensor | None] | None = None, weight: float = 1.0):
        errors: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
            "mse": partial(F.mse_loss, reduction="sum"),
            "mae": partial(F.l1_loss, reduction="sum"),
            "huber": partial(F.huber_loss, reduction="sum"),
            "quantile": pinball_loss,
        }
        self._error = errors[loss]
        self._penalty = penalty
        self._weight = weight

    def error(self, forecast: Tensor, target: Tensor) -> Tensor:
        """Sum of the loss over all points that were observed: targets that are not NaN.

        The forecast has the shape of the target, or quantiles as one more axis.
        """
        known = ~target.isnan()
        if not known.all():
            forecast, target = forecast[known], target[known]
        return self._error(forecast, target)

    def penalty(self) -> Tensor | None:
        """Return the weighted penalty, or None."""
        value = None if self._penalty is None else self._penalty()
        return None if value is None else self._weight * value


def make_optimizer(parameters: Iterable[nn.Parameter], config: TrainingConfig) -> torch.optim.AdamW:
    """Return AdamW over the parameters that require a gradient; weight decay applies to those with two or more axes."""
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.learning_rate, fused=True)


def windows_at_once(config: TrainingConfig) -> int:
    """Return the number of windows in one forward pass: the micro-batch, at most the batch."""
    return min(config.micro_batch or config.batch_size, config.batch_size)


def check_memory(config: Config, windows: int) -> None:
    """Refuse sizes whose training on some windows cannot fit into memory, before anything is allocated.

    Counted are the weights and the copy of the best ones; of those that are not solved in closed form also gradients
    and two moments of the optimiser; and the patch tokens of one forward pass with their gradients. A model needs more:
    one that is not refused may still run out of memory, see `memory_advice`.

    Raises
    ------
    ConfigError
    """
    if config.training.max_steps == 0:
        return
    d_model, windows = config.embedding.d_model, min(windows_at_once(config.training), windows)
    solved = config.data.steps * config.data.horizon if config.model.skip == "ridge" else 0
    least = FLOAT_BYTES * (5 * config.least_weights - 3 * solved + 2 * windows * config.n_patches * d_model)
    device = resolve_device(config.training.device)
    memory = total_memory(device)
    if least > memory:
        raise ConfigError(
            f"training needs at least {least / 2**30:,.1f} GiB of memory, the {device.type} has {memory / 2**30:,.1f}; "
            f"lower embedding.d_model (now {d_model:,}) or training.micro_batch (now {windows:,} windows)"
        )


@contextlib.contextmanager
def memory_advice(config: TrainingConfig) -> Iterator[None]:
    """Turn an out-of-memory error into one that names the option to lower; other errors pass unchanged.

    Raises
    ------
    ConfigError
        Memory was exhausted within the context.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # PyTorch's CPU allocator raises a plain RuntimeError.
        if isinstance(error, RuntimeError) and not re.search("out of memory|not enough memory|allocate", str(error)):
            raise
        size = windows_at_once(config)
        remedy = (
            f"set training.micro_batch to {size // 2} (the result stays the same) or less"
            if size > 1
            else "set model.n_prototypes, embedding.d_model or backbone.layers to a lower value"
        )
        raise ConfigError(f"out of memory with {size} windows at once; {remedy}") from error
