"""Training: one visible loop over windows, from the first step to the best weights restored."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from swt_time.config import TrainingConfig
from swt_time.data.batches import ShuffledBatches
from swt_time.data.windows import Windows, evenly
from swt_time.errors import CheckpointError, SWTTimeError, TableError
from swt_time.model.closed_form import Solution
from swt_time.model.weights import load_trained_state
from swt_time.training.events import Ending, Event, Plan, Solved, Step, TrainingResult, Validation
from swt_time.training.optimising import Objective, learning_rate, make_optimizer, memory_advice, windows_at_once
from swt_time.training.pace import RECENT_STEPS, Pace
from swt_time.training.signals import stop_on_signals
from swt_time.training.state import Progress, TrainingState


class Trainable(Protocol):
    """What can be trained here: our model, and the baselines that are to have the same loop."""

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...

    def train(self, mode: bool = True) -> Any: ...

    def eval(self) -> Any: ...

    def trained_state(self) -> dict[str, Tensor]:
        """The trained weights by name: what is saved, and restored."""

    def __call__(self, context: Tensor) -> Tensor:
        """Forecast windows ``(B, T, N)``: ``(B, H, N)``."""


def train(
    model: Trainable,
    windows: Windows,
    validation: Windows | None,
    config: TrainingConfig,
    *,
    objective: Objective | None = None,
    solve: Callable[[], Solution | None] = lambda: None,
    gate: Tensor | None = None,
    resume: TrainingState | None = None,
    report: Callable[[Event], None] = lambda event: None,
    save_best: Callable[[TrainingResult], None] = lambda result: None,
    save_state: Callable[[TrainingState], None] = lambda state: None,
) -> TrainingResult:
    """Train a model in place and leave it with its best weights.

    Parameters
    ----------
    model : Trainable
        On its device already; its frozen parts stay frozen.
    windows, validation : Windows
        Without a validation part the last weights are the best ones.
    config : TrainingConfig
    objective : Objective, optional
        By default the configuration's loss, without a penalty.
    solve : callable
        Called before the first step: sets what has a closed form, and returns how good it is, if there is such a part.
    gate : Tensor, optional
        A scalar of the model that every validation reports.
    resume : TrainingState, optional
        What ``save_state`` was given by a run of the same model, windows and configuration: go on from there.
    report : callable
        Told of the plan, of every step and of every validation.
    save_best : callable
        Called with the model holding weights better than all before.
    save_state : callable
        Called with all that the rest of the run depends on, every ``checkpoint_every`` steps (by default at every
        validation, after ``save_best``) and when a signal stops the run. It is to keep the state at once, since the
        tensors in it are those that training goes on with.

    Raises
    ------
    TableError
        There is no window.
    CheckpointError
        The state is not one of this model.

    Notes
    -----
    The caller seeds the global generator (dropout); the order of windows is a function of the seed and the epoch.
    Ctrl-C and SIGTERM end the loop after the step at hand; the best weights so far are kept.

    On one machine and one number of threads, a run on the CPU that was stopped anywhere and resumed ends with the
    weights and losses of a run that was not stopped, bit for bit. With a time budget no two runs are equal, since the
    clock decides on their steps: the budget then counts the time of training in all parts of the run together.
    """
    if len(windows) == 0:
        raise TableError("the training part holds no window; use a shorter context or horizon, or a longer table")
    objective = Objective(config.loss) if objective is None else objective
    run = _Run(model, windows, validation, config, objective, gate, report, save_best, save_state)
    if resume is not None:
        run.restore(resume)
    with stop_on_signals() as stop:
        return run.loop(solve, stop)


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        model: Trainable,
        windows: Windows,
        validation: Windows | None,
        config: TrainingConfig,
        objective: Objective,
        gate: Tensor | None,
        report: Callable[[Event], None],
        save_best: Callable[[TrainingResult], None],
        save_state: Callable[[TrainingState], None],
    ):
        self.model, self.windows, self.config = model, windows, config
        self.validation = validation if validation is not None and len(validation) else None
        self.objective, self.gate = objective, gate
        self.report, self.save_best, self.save_state = report, save_best, save_state
        self.device = next(p for p in model.parameters() if p.requires_grad).device
        self.optimizer = make_optimizer(model.parameters(), config)
        self.batches = ShuffledBatches(len(windows), config.batch_size, config.seed)
        self.pace = Pace(config, len(self.batches), len(windows))
        self.result = TrainingResult(0, 0, None, "running", 0.0)
        self.best_weights: dict[str, Tensor] = {}
        self.bad_rounds = 0
        self.loss_sum, self.loss_windows = 0.0, 0

    def loop(self, solve: Callable[[], Solution | None], stop: threading.Event) -> TrainingResult:
        """Step until the plan is fulfilled, the budget is spent, patience ends or a signal comes."""
        step = self.result.steps
        if step == 0 and not self.result.history:
            self._solve(solve, stop)
        while True:
            # Due validations are taken here, so that a run stopped within one makes up for it when it is resumed.
            if self.pace.validation_due(step) and not self._validated(step):
                self._validate(step, stop)
            ended = self._ended(step, stop)
            if ended is not None:
                break
            if self._state_due(step):
                self.save_state(self.state())
            self._step(step)
            step += 1
            self.result.steps = step
            if self.pace.measured(step):
                self._plan(step)
            self.pace.fit_budget(step)
        if ended == "interrupted":
            self.save_state(self.state())
        elif not self._validated(step):
            self._validate(step, stop)
        self.result.ended = ended
        self._restore_best()
        self.result.seconds = self.pace.seconds
        return self.result

    def _solve(self, solve: Callable[[], Solution | None], stop: threading.Event) -> None:
        """Solve what has a closed form, before the first step, and see how good it is alone."""
        began = time.monotonic()
        solution = solve()
        if solution is not None:
            self.report(Solved(solution, time.monotonic() - began))
            self.loss_sum, self.loss_windows = solution.train_mse, 1
            self._validate(0, stop)

    def _ended(self, step: int, stop: threading.Event) -> Ending | None:
        """Why the run ends before another step, if it does."""
        if self.config.patience and self.bad_rounds >= self.config.patience:
            return "early stopping"
        if step >= self.pace.total_steps and self._validated(step):
            return "finished"
        if stop.is_set():
            return "interrupted"
        return "time budget" if self.pace.out_of_time() else None

    def state(self) -> TrainingState:
        """All that the rest of the run depends on, beside what the caller made it of."""
        result, pace = self.result, self.pace
        progress = Progress(
            steps=result.steps,
            best_step=result.best_step,
            best_loss=result.best_loss,
            bad_rounds=self.bad_rounds,
            loss_sum=self.loss_sum,
            loss_windows=self.loss_windows,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            total_steps=pace.total_steps,
            validate_every=pace.validate_every,
            validation_seconds=pace.validation_seconds,
            step_seconds=pace.step_seconds[-RECENT_STEPS - 1 :],
            seconds=pace.seconds,
            history=list(result.history),
        )
        tensors = {f"weights/{name}": weight for name, weight in self.model.trained_state().items()}
        tensors |= {f"best/{name}": weight for name, weight in self.best_weights.items()}
        for name, parameter in self._trained():
            for key, moment in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{key}/{name}"] = moment
        tensors["random/cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random/cuda"] = torch.cuda.get_rng_state(self.device)
        return TrainingState(asdict(progress), tensors)

    def restore(self, state: TrainingState) -> None:
        """Go on from a state instead of the beginning.

        Raises
        ------
        CheckpointError
            It is not one of this model.
        """
        try:
            progress = TypeAdapter(Progress).validate_python(state.progress)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise CheckpointError(f"the training state is damaged: {where}: {first['msg']}") from None
        parameters, own = dict(self._trained()), self.model.trained_state()
        kinds: dict[str, dict[str, Tensor]] = {"weights": {}, "best": {}, "random": {}}
        for key, tensor in state.tensors.items():
            kind, _, name = key.rpartition("/")
            known = parameters if kind.startswith("optimizer/") else own
            if kind != "random" and (name not in known or tensor.shape not in (known[name].shape, ())):
                raise CheckpointError(f"the training state is not one of this model: {key} is unknown or misshapen")
            kinds.setdefault(kind, {})[name] = tensor if kind == "random" else tensor.to(self.device)
        load_trained_state(self.model, kinds.pop("weights"))
        self.best_weights, random = kinds.pop("best"), kinds.pop("random")
        for kind, moments in kinds.items():
            for name, moment in moments.items():
                self.optimizer.state[parameters[name]][kind.removeprefix("optimizer/")] = moment
        for group in self.optimizer.param_groups:
            group["lr"] = progress.learning_rate
        self.result = TrainingResult(
            progress.steps, progress.best_step, progress.best_loss, "running", progress.seconds, progress.history
        )
        self.bad_rounds, self.loss_sum, self.loss_windows = (
            progress.bad_rounds,
            progress.loss_sum,
            progress.loss_windows,
        )
        self.pace.restore(progress)
        if "cpu" in random:
            torch.set_rng_state(random["cpu"])
        if "cuda" in random and self.device.type == "cuda":
            torch.cuda.set_rng_state(random["cuda"], self.device)
        if self.pace.validate_every and self.pace.step_seconds:
            self.report(Plan(self.pace.total_steps, progress.seconds + self.pace.seconds_left(progress.steps)))

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]

    def _validated(self, step: int) -> bool:
        return bool(self.result.history) and self.result.history[-1].step == step

    def _state_due(self, step: int) -> bool:
        if self.config.checkpoint_every is None:
            return self._validated(step)
        return step > 0 and step % self.config.checkpoint_every == 0

    def _step(self, step: int) -> None:
        began = time.monotonic()
        config = self.config
        rate = learning_rate(step, self.pace.total_steps, config.learning_rate, config.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        indices = self.batches.batch(*divmod(step, len(self.batches)))
        self.optimizer.zero_grad(set_to_none=True)
        value, points, observed = 0.0, 0, 0
        for forecast, target in self._forecasts(self.windows, indices):
            part = self.objective.error(forecast, target) / (len(indices) * target[0].numel())
            value += part.item()
            if not math.isfinite(value):
                raise SWTTimeError(
                    f"the training loss became {value} at step {step + 1}; lower training.learning_rate "
                    f"(now {config.learning_rate:g}) or set backbone.precision to float32"
                )
            points += target.numel()
            observed += int((~target.isnan()).sum())
            with memory_advice(config):
                part.backward()
        if observed < points:
            value *= points / max(observed, 1)
        penalty = self.objective.penalty()
        if penalty is not None:
            penalty.backward()
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_((p for g in self.optimizer.param_groups for p in g["params"]), config.clip_norm)
        self.optimizer.step()
        self.loss_sum += value * len(indices)
        self.loss_windows += len(indices)
        pace = self.pace
        pace.step_seconds.append(time.monotonic() - began)
        self.report(Step(step + 1, pace.total_steps, value, pace.windows_per_second, pace.seconds_left(step + 1)))

    def _forecasts(self, windows: Windows, indices: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        """Forecast and target, both (M, H, 1), of as many windows at a time as memory is to hold."""
        for begin in range(0, len(indices), windows_at_once(self.config)):
            part = indices[begin : begin + windows_at_once(self.config)]
            context, target = (torch.from_numpy(array).unsqueeze(-1) for array in windows.gather(part))
            with memory_advice(self.config):
                forecast = self.model(context.to(self.device))
            yield forecast, target.to(self.device)

    @torch.no_grad()
    def _validation_loss(self, indices: np.ndarray, stop: threading.Event | None) -> float | None:
        """Mean loss over the given validation windows; None if a signal came meanwhile."""
        assert self.validation is not None
        self.model.eval()
        total, points = 0.0, 0
        for begin in range(0, len(indices), self.config.batch_size):
            if stop is not None and stop.is_set():
                return None
            batch = indices[begin : begin + self.config.batch_size]
            for forecast, target in self._forecasts(self.validation, batch):
                total += self.objective.error(forecast, target).item()
                points += int((~target.isnan()).sum())
        return total / points if points else math.inf

    def _validate(self, step: int, stop: threading.Event) -> None:
        began = time.monotonic()
        loss = None
        if self.validation is not None:
            loss = self._validation_loss(self._validation_indices(), stop)
            if loss is None:
                return
            self.pace.validation_seconds = time.monotonic() - began
        best = loss is None or self.result.best_loss is None or loss < self.result.best_loss
        row = Validation(
            step=step,
            epoch=round(step / len(self.batches), 4),
            train_loss=self.loss_sum / max(self.loss_windows, 1),
            validation_loss=loss,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            gate=None if self.gate is None else self.gate.item(),
            windows_per_second=self.pace.windows_per_second,
            seconds=self.pace.seconds,
            best=best,
        )
        self.loss_sum, self.loss_windows = 0.0, 0
        self.result.history.append(row)
        self.bad_rounds = 0 if best else self.bad_rounds + 1
        if best:
            self.result.best_step, self.result.best_loss = step, loss
            self.best_weights = {name: p.clone() for name, p in self.model.trained_state().items()}
            self.result.seconds = self.pace.seconds
            self.save_best(self.result)
        self.report(row)

    def _validation_indices(self) -> np.ndarray:
        """Windows spread evenly over the validation part, the same ones every time."""
        assert self.validation is not None
        return evenly(len(self.validation), self.config.validation_windows)

    def _plan(self, step: int) -> None:
        """Plan the run from its first steps and from the time that a batch of validation windows takes."""
        if self.validation is not None:
            began = time.monotonic()
            indices = self._validation_indices()
            self._validation_loss(indices[: self.config.batch_size], None)
            batches = math.ceil(len(indices) / self.config.batch_size)
            self.pace.validation_seconds = (time.monotonic() - began) * batches
        self.pace.plan(step)
        self.report(Plan(self.pace.total_steps, self.pace.seconds + self.pace.seconds_left(step)))

    def _restore_best(self) -> None:
        with torch.no_grad():
            for name, parameter in self.model.trained_state().items():
                if name in self.best_weights:
                    parameter.copy_(self.best_weights[name])
        self.model.eval()
