"""The gradient of the training loss of one batch, a micro-batch at a time, in one process or over several."""

import contextlib
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from swt_time.config import TrainingConfig
from swt_time.data.windows import Windows
from swt_time.errors import ConfigError
from swt_time.model.inference import call
from swt_time.processes import Processes
from swt_time.training.optimising import Objective, memory_advice, windows_at_once
from swt_time.training.trainable import Trainable


class BatchGradient:
    """The gradient of a batch in one process.

    Parameters
    ----------
    model : Trainable
    objective : Objective
    config : TrainingConfig
    device : torch.device
    """

    def __init__(self, model: Trainable, objective: Objective, config: TrainingConfig, device: torch.device):
        self.model, self.objective, self.config, self.device = model, objective, config, device

    def add(self, windows: Windows, indices: np.ndarray) -> float:
        """Add the gradient of the mean loss over some windows, and of the penalty, to that of the parameters.

        Returns
        -------
        float
            Mean loss over the observed points.
        """
        value, points, observed = self._add(windows, indices)
        return value * points / max(observed, 1) if observed < points else value

    def _add(self, windows: Windows, indices: np.ndarray) -> tuple[float, float, float]:
        """Return the loss summed over observed points and divided by all points; all and observed points."""
        value, points, observed = 0.0, 0, 0
        for forecast, target in self.forecasts(windows, indices):
            part = self.objective.error(forecast, target) / (len(indices) * target[0].numel())
            value += part.item()
            points += target.numel()
            observed += int((~target.isnan()).sum())
            with memory_advice(self.config):
                part.backward()
        penalty = self.objective.penalty()
        if penalty is not None:
            penalty.backward()
        return value, points, observed

    def close(self) -> None:
        """Release what is held for other processes."""

    def forecasts(self, windows: Windows, indices: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield forecasts (M, H, 1), or quantiles (M, H, 1, Q), and targets (M, H, 1), a micro-batch at a time."""
        for context, target in self.batches(windows, indices):
            with memory_advice(self.config):
                forecast = call(self.model, context)
            yield forecast, target

    def batches(self, windows: Windows, indices: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield contexts (M, T, 1) and targets (M, H, 1) on the device, a micro-batch at a time."""
        for begin in range(0, len(indices), windows_at_once(self.config)):
            part = indices[begin : begin + windows_at_once(self.config)]
            context, target = (torch.from_numpy(array).unsqueeze(-1) for array in windows.gather(part))
            yield context.to(self.device), target.to(self.device)


class SharedBatchGradient(BatchGradient):
    """The gradient of a batch whose windows are divided among processes: in each of them, that of the whole batch.

    Parameters
    ----------
    processes : Processes

    Raises
    ------
    ConfigError
        There are more processes than windows in a batch, or this process has no GPU of its own.
    """

    def __init__(
        self,
        model: Trainable,
        objective: Objective,
        config: TrainingConfig,
        device: torch.device,
        processes: Processes,
    ):
        super().__init__(model, objective, config, device)
        self.processes = processes
        if config.batch_size < processes.size:
            raise ConfigError(
                f"training.batch_size {config.batch_size} is divided among the processes, and there are "
                f"{processes.size}; set it to {processes.size} or more, or start fewer processes"
            )
        if device.type == "cuda" and device.index not in (None, processes.local):
            raise ConfigError(
                f"training.device is cuda:{device.index} in every process; set it to auto or cuda, so that each "
                "process takes the GPU of its number"
            )
        if device.type == "cuda" and processes.local >= torch.cuda.device_count():
            raise ConfigError(
                f"there are more processes than GPUs on this machine ({torch.cuda.device_count()}); start as many, or "
                "set training.device to cpu"
            )

    @cached_property
    def _shared(self) -> DistributedDataParallel:
        return DistributedDataParallel(_Loss(self.model, self.objective))

    def close(self) -> None:
        """Release DDP before the process group is destroyed: freed later, it was seen to wait for its own threads."""
        self.__dict__.pop("_shared", None)

    def _add(self, windows: Windows, indices: np.ndarray) -> tuple[float, float, float]:
        own = self.processes.part(indices)
        used = own if len(own) else indices[:1]  # every process takes part; a window that is not its own counts zero
        left, value, points, observed = -(-len(used) // windows_at_once(self.config)), 0.0, 0, 0
        for context, target in self.batches(windows, used):
            left -= 1
            # DDP takes the mean of the gradients of the processes, and their sum is that of the batch
            weight = self.processes.size / (len(indices) * target[0].numel()) if len(own) else 0.0
            with contextlib.nullcontext() if left == 0 else self._shared.no_sync(), memory_advice(self.config):
                loss, error = self._shared(context, target, weight, left == 0)
                loss.backward()
            if len(own):
                value += error.item() / (len(indices) * target[0].numel())
                points += target.numel()
                observed += int((~target.isnan()).sum())
        return self.processes.sum(value, points, observed)  # type: ignore[return-value]  # as many numbers as are given


class _Loss(nn.Module):
    """The weighted loss of some windows, with the penalty if asked; of the parameters it holds those that are trained.

    So DDP neither sends nor compares the frozen weights, which every process reads itself.
    """

    def __init__(self, model: Trainable, objective: Objective):
        super().__init__()
        self.trained = nn.ParameterList(p for p in model.parameters() if p.requires_grad)
        self._unregistered = model, objective

    def forward(self, context: Tensor, target: Tensor, weight: float, penalised: bool) -> tuple[Tensor, Tensor]:
        model, objective = self._unregistered
        error = objective.error(call(model, context), target)
        penalty = objective.penalty() if penalised else None
        return error * weight + (0.0 if penalty is None else penalty), error.detach()
