"""Training: one visible loop over windows, from the first step to the best weights restored."""

import contextlib
import math
import re
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from swt_time.checkpoint import load_trained_state
from swt_time.compiled import CompiledModel
from swt_time.config import TrainingConfig
from swt_time.data.windows import ShuffledBatches, evenly
from swt_time.errors import CheckpointError, ConfigError, SWTTimeError, TableError
from swt_time.model import SWTTime
from swt_time.prompt_cache import Prompt
from swt_time.ridge import Solution, Windows
from swt_time.training_state import TrainingState

MEASURED_STEPS = 5
"""Steps whose time is taken before the length of the run is foretold; the first one, a warm-up, is left out."""

VALIDATIONS = 10
"""Validations of a run, evenly spread, unless ``validate_every`` says otherwise."""

RECENT_STEPS = 20
"""Steps whose median is the time of a step."""

VALIDATION_SHARE = 0.25
"""Most of a time budget that validations may take."""


class Trainable(Protocol):
    """What can be trained here: `swt_time.model.SWTTime`, and rivals that are to have the same loop."""

    @property
    def gate(self) -> Tensor | None:
        """What the loss history reports of a gated skip; None without one."""

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...

    def train(self, mode: bool = True) -> Any: ...

    def eval(self) -> Any: ...

    def write_prompt(self, context: Tensor) -> Prompt | None: ...

    def penalty(self) -> Tensor | None: ...

    def solve(self, windows: Windows, validation: Windows | None) -> Solution | None:
        """Set what has a closed form, before the first step; None where nothing has."""

    def trained_state(self) -> dict[str, Tensor]: ...

    def __call__(self, context: Tensor, prompt: Prompt | None) -> Tensor: ...


@dataclass(frozen=True)
class Plan:
    """How long the run will take: foretold after the first steps, and fitted into the time budget."""

    total_steps: int
    seconds: float


@dataclass(frozen=True)
class Solved:
    """The linear part, solved in closed form before the first step."""

    solution: Solution
    seconds: float


@dataclass(frozen=True)
class Step:
    """One optimisation step, as reported while training runs."""

    step: int
    total_steps: int
    loss: float
    windows_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Validation:
    """One row of the loss history; losses are means over all points, on scaled data."""

    step: int
    epoch: float
    train_loss: float
    validation_loss: float | None
    learning_rate: float
    gate: float | None
    windows_per_second: float
    seconds: float
    best: bool


Event = Plan | Solved | Step | Validation

Ending = Literal["finished", "early stopping", "time budget", "interrupted"]


@dataclass
class TrainingResult:
    """What `train` leaves behind, beside the model with its best weights restored."""

    steps: int
    best_step: int
    best_loss: float | None
    ended: Ending | Literal["running"]
    seconds: float
    history: list[Validation] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """The part of a run's state that is plain values; `TrainingState` holds it beside the tensors.

    Times are there because plans are made of them: ``seconds`` are those of training, over all of its parts.
    """

    steps: int
    best_step: int
    best_loss: float | None
    bad_rounds: int
    loss_sum: float
    loss_windows: int
    learning_rate: float
    total_steps: int
    validate_every: int
    validation_seconds: float
    step_seconds: list[float]
    seconds: float
    history: list[Validation]


def learning_rate(step: int, total_steps: int, peak: float, schedule: Literal["one_cycle", "cosine"]) -> float:
    """The learning rate of a step (counted from 0), a pure function so that a plan can change while running.

    ``one_cycle`` rises from ``peak / 25`` over the first 30 % of the steps and falls to ``peak / 250000``, both along
    a half cosine (Smith and Topin, arXiv 1708.07120; the constants are PyTorch's). ``cosine`` falls from the peak to 0.
    """
    if schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * min(step / total_steps, 1.0)))
    start, end = peak / 25, peak / 25 / 1e4
    turn = 0.3 * total_steps - 1
    if step <= turn:
        return start + (peak - start) * 0.5 * (1 - math.cos(math.pi * step / turn)) if turn > 0 else peak
    progress = min((step - turn) / max(total_steps - 1 - turn, 1), 1.0)
    return end + (peak - end) * 0.5 * (1 + math.cos(math.pi * progress))


def point_loss(forecast: Tensor, target: Tensor, kind: Literal["mse", "mae", "huber"]) -> Tensor:
    """Sum of a loss over all points; Huber's delta is 1 standard deviation."""
    if kind == "mse":
        return F.mse_loss(forecast, target, reduction="sum")
    if kind == "mae":
        return F.l1_loss(forecast, target, reduction="sum")
    return F.huber_loss(forecast, target, reduction="sum")


def resolve_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU.

    Raises
    ------
    ConfigError
        Unknown device, or one that this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used here ({reason}); expected auto, cpu or cuda") from None
    return device


def make_optimizer(model: Trainable, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW over the trained weights; matrices decay, biases, gates and positions do not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.learning_rate, fused=True)


def windows_at_once(config: TrainingConfig) -> int:
    """Windows that go through the model together."""
    return min(config.micro_batch or config.batch_size, config.batch_size)


@contextlib.contextmanager
def memory_advice(config: TrainingConfig) -> Iterator[None]:
    """Turn the end of memory into an error that names the setting to lower.

    Raises
    ------
    ConfigError
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # The CPU's allocator raises a plain RuntimeError.
        if isinstance(error, RuntimeError) and not re.search("out of memory|not enough memory|allocate", str(error)):
            raise
        size = windows_at_once(config)
        remedy = (
            f"set training.micro_batch to {size // 2} (the result stays the same) or less"
            if size > 1
            else "set model.n_prototypes, embedding.d_model or backbone.layers lower"
        )
        raise ConfigError(f"out of memory with {size} windows at once; {remedy}") from error


def train(
    model: Trainable,
    windows: Windows,
    validation: Windows | None,
    config: TrainingConfig,
    *,
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
    run = _Run(model, windows, validation, config, report, save_best, save_state)
    if resume is not None:
        run.restore(resume)
    with _stop_on_signals() as stop:
        return run.loop(stop)


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        model: Trainable,
        windows: Windows,
        validation: Windows | None,
        config: TrainingConfig,
        report: Callable[[Event], None],
        save_best: Callable[[TrainingResult], None],
        save_state: Callable[[TrainingState], None],
    ):
        self.model, self.windows, self.config = model, windows, config
        self.validation = validation if validation is not None and len(validation) else None
        self.forecast = CompiledModel(model) if config.compile and isinstance(model, SWTTime) else model
        self.report, self.save_best, self.save_state = report, save_best, save_state
        self.device = next(p for p in model.parameters() if p.requires_grad).device
        self.optimizer = make_optimizer(model, config)
        self.batches = ShuffledBatches(len(windows), config.batch_size, config.seed)
        self.total_steps = config.epochs * len(self.batches) if config.max_steps is None else config.max_steps
        self.longest = self.total_steps
        self.validate_every = config.validate_every or 0  # 0: not planned yet
        self.step_seconds: list[float] = []
        self.validation_seconds = 0.0
        self.began = time.monotonic()
        self.result = TrainingResult(0, 0, None, "running", 0.0)
        self.best_weights: dict[str, Tensor] = {}
        self.bad_rounds = 0
        self.loss_sum, self.loss_windows = 0.0, 0

    def loop(self, stop: threading.Event) -> TrainingResult:
        """Step until the plan is fulfilled, the budget is spent, patience ends or a signal comes."""
        step = self.result.steps
        if step == 0 and not self.result.history:
            self._solve(stop)
        while True:
            # Due validations are taken here, so that a run stopped within one makes up for it when it is resumed.
            if self._validation_due(step) and not self._validated(step):
                self._validate(step, stop)
            ended = self._ended(step, stop)
            if ended is not None:
                break
            if self._state_due(step):
                self.save_state(self.state())
            self._step(step)
            step += 1
            self.result.steps = step
            if step == min(MEASURED_STEPS, self.total_steps):
                self._make_plan(step)
            self._fit_budget(step)
        if ended == "interrupted":
            self.save_state(self.state())
        elif not self._validated(step):
            self._validate(step, stop)
        self.result.ended = ended
        self._restore_best()
        self.result.seconds = time.monotonic() - self.began
        return self.result

    def _solve(self, stop: threading.Event) -> None:
        """Solve what has a closed form, before the first step, and see how good it is alone."""
        began = time.monotonic()
        solution = self.model.solve(self.windows, self.validation)
        if solution is not None:
            self.report(Solved(solution, time.monotonic() - began))
            self.loss_sum, self.loss_windows = solution.train_mse, 1
            self._validate(0, stop)

    def _ended(self, step: int, stop: threading.Event) -> Ending | None:
        """Why the run ends before another step, if it does."""
        if self.config.patience and self.bad_rounds >= self.config.patience:
            return "early stopping"
        if step >= self.total_steps and self._validated(step):
            return "finished"
        if stop.is_set():
            return "interrupted"
        return "time budget" if self._out_of_time() else None

    def state(self) -> TrainingState:
        """All that the rest of the run depends on, beside what the caller made it of."""
        result = self.result
        progress = Progress(
            steps=result.steps,
            best_step=result.best_step,
            best_loss=result.best_loss,
            bad_rounds=self.bad_rounds,
            loss_sum=self.loss_sum,
            loss_windows=self.loss_windows,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            total_steps=self.total_steps,
            validate_every=self.validate_every,
            validation_seconds=self.validation_seconds,
            step_seconds=self.step_seconds[-RECENT_STEPS - 1 :],
            seconds=time.monotonic() - self.began,
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
        self.total_steps, self.validate_every = progress.total_steps, progress.validate_every
        self.validation_seconds, self.step_seconds = progress.validation_seconds, list(progress.step_seconds)
        self.began = time.monotonic() - progress.seconds
        if "cpu" in random:
            torch.set_rng_state(random["cpu"])
        if "cuda" in random and self.device.type == "cuda":
            torch.cuda.set_rng_state(random["cuda"], self.device)
        if self.validate_every and self.step_seconds:
            self.report(Plan(self.total_steps, progress.seconds + self._seconds_left(progress.steps)))

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
        rate = learning_rate(step, self.total_steps, config.learning_rate, config.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        numbers = self.batches.batch(*divmod(step, len(self.batches)))
        self.optimizer.zero_grad(set_to_none=True)
        value = 0.0
        for forecast, target in self._forecasts(self.windows, numbers):
            part = point_loss(forecast, target, config.loss) / (len(numbers) * target[0].numel())
            value += part.item()
            if not math.isfinite(value):
                raise SWTTimeError(
                    f"the training loss became {value} at step {step + 1}; lower training.learning_rate "
                    f"(now {config.learning_rate:g}) or set backbone.precision to float32"
                )
            with memory_advice(config):
                part.backward()
        penalty = self.model.penalty()
        if penalty is not None:
            (config.reconstruction_weight * penalty).backward()
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_((p for g in self.optimizer.param_groups for p in g["params"]), config.clip_norm)
        self.optimizer.step()
        self.loss_sum += value * len(numbers)
        self.loss_windows += len(numbers)
        self.step_seconds.append(time.monotonic() - began)
        self.report(Step(step + 1, self.total_steps, value, self._windows_per_second(), self._seconds_left(step + 1)))

    def _forecasts(self, windows: Windows, numbers: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        """Forecast and target, both (M, H, 1), of as many windows at a time as memory is to hold."""
        for begin in range(0, len(numbers), windows_at_once(self.config)):
            part = numbers[begin : begin + windows_at_once(self.config)]
            context, target = (torch.from_numpy(array).unsqueeze(-1) for array in windows.gather(part))
            prompt = self.model.write_prompt(context)
            with memory_advice(self.config):
                prompt = None if prompt is None else prompt.to(self.device)
                forecast = self.forecast(context.to(self.device), prompt)
            yield forecast, target.to(self.device)

    @torch.no_grad()
    def _validation_loss(self, numbers: np.ndarray, stop: threading.Event | None) -> float | None:
        """Mean loss over the given validation windows; None if a signal came meanwhile."""
        assert self.validation is not None
        self.model.eval()
        total, points = 0.0, 0
        for begin in range(0, len(numbers), self.config.batch_size):
            if stop is not None and stop.is_set():
                return None
            batch = numbers[begin : begin + self.config.batch_size]
            for forecast, target in self._forecasts(self.validation, batch):
                total += point_loss(forecast, target, self.config.loss).item()
                points += target.numel()
        return total / points

    def _validate(self, step: int, stop: threading.Event) -> None:
        began = time.monotonic()
        loss = None
        if self.validation is not None:
            loss = self._validation_loss(self._validation_numbers(), stop)
            if loss is None:
                return
            self.validation_seconds = time.monotonic() - began
        best = loss is None or self.result.best_loss is None or loss < self.result.best_loss
        gate = self.model.gate
        row = Validation(
            step=step,
            epoch=round(step / len(self.batches), 4),
            train_loss=self.loss_sum / max(self.loss_windows, 1),
            validation_loss=loss,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            gate=None if gate is None else gate.item(),
            windows_per_second=self._windows_per_second(),
            seconds=time.monotonic() - self.began,
            best=best,
        )
        self.loss_sum, self.loss_windows = 0.0, 0
        self.result.history.append(row)
        self.bad_rounds = 0 if best else self.bad_rounds + 1
        if best:
            self.result.best_step, self.result.best_loss = step, loss
            self.best_weights = {name: p.clone() for name, p in self.model.trained_state().items()}
            self.result.seconds = time.monotonic() - self.began
            self.save_best(self.result)
        self.report(row)

    def _validation_numbers(self) -> np.ndarray:
        """Windows spread evenly over the validation part, the same ones every time."""
        assert self.validation is not None
        return evenly(len(self.validation), self.config.validation_windows)

    def _validation_due(self, step: int) -> bool:
        if step == 0:
            return self.total_steps == 0
        every = self.config.validate_every or math.ceil(self.total_steps / VALIDATIONS)
        return step == self.total_steps or step % (self.validate_every or every) == 0

    def _make_plan(self, step: int) -> None:
        """Foretell the run from its first steps and, with a time budget, fit steps and validations into it."""
        validations = VALIDATIONS
        if self.validation is not None:
            began = time.monotonic()
            numbers = self._validation_numbers()
            self._validation_loss(numbers[: self.config.batch_size], None)
            batches = math.ceil(len(numbers) / self.config.batch_size)
            self.validation_seconds = (time.monotonic() - began) * batches
        if self.config.max_seconds is not None:
            left = self.config.max_seconds - (time.monotonic() - self.began)
            if self.validation_seconds > 0:
                affordable = int(VALIDATION_SHARE * left / self.validation_seconds)
                validations = max(1, min(VALIDATIONS, affordable))
            steps = int((left - validations * self.validation_seconds) / self._seconds_per_step())
            self.total_steps = min(self.total_steps, step + max(steps, 0))
        self.validate_every = self.config.validate_every or math.ceil(self.total_steps / validations)
        self.report(Plan(self.total_steps, time.monotonic() - self.began + self._seconds_left(step)))

    def _fit_budget(self, step: int) -> None:
        """Fit the steps that are left into the time that is left, as the machine turns out to be faster or slower."""
        if self.config.max_seconds is None or not self.validate_every:
            return
        left = self.config.max_seconds - (time.monotonic() - self.began)
        per_step = self._seconds_per_step() + self.validation_seconds / self.validate_every
        # The last validation is a whole one, however few steps lie before it.
        steps = int((left - self.validation_seconds) / per_step)
        self.total_steps = min(self.longest, max(step + steps, step))

    def _seconds_per_step(self) -> float:
        recent = self.step_seconds[1:] or self.step_seconds
        return statistics.median(recent[-RECENT_STEPS:])

    def _windows_per_second(self) -> float:
        if not self.step_seconds:
            return 0.0
        return min(self.config.batch_size, len(self.windows)) / self._seconds_per_step()

    def _seconds_left(self, step: int) -> float:
        rounds = (self.total_steps - step) / max(self.validate_every, 1)
        return (self.total_steps - step) * self._seconds_per_step() + rounds * self.validation_seconds

    def _out_of_time(self) -> bool:
        """Whether the budget leaves no time for another step and the validation that must follow it."""
        if self.config.max_seconds is None or not self.step_seconds:
            return False
        spent = time.monotonic() - self.began
        return spent + self._seconds_per_step() + self.validation_seconds > self.config.max_seconds

    def _restore_best(self) -> None:
        with torch.no_grad():
            for name, parameter in self.model.trained_state().items():
                if name in self.best_weights:
                    parameter.copy_(self.best_weights[name])
        self.model.eval()


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Turn the first SIGINT or SIGTERM into a wish to stop; a second one acts as usual."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    former: dict[int, Any] = {}

    def wish(number: int, frame: Any) -> None:
        stop.set()
        restore()

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        former[number] = signal.signal(number, wish)
    try:
        yield stop
    finally:
        restore()
