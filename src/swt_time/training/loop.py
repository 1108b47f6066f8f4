"""The training loop, from the first step until the best weights are restored."""

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from swt_time.config import TrainingConfig
from swt_time.data.batches import ShuffledBatches
from swt_time.data.windows import Windows, evenly
from swt_time.errors import SWTTimeError, TableError
from swt_time.model.closed_form import Solution
from swt_time.model.weights import load_trained_state
from swt_time.processes import ALONE, Processes
from swt_time.training.events import Ending, Event, Plan, Solved, Step, TrainingResult, Validation
from swt_time.training.gradients import BatchGradient, SharedBatchGradient
from swt_time.training.optimising import Objective, learning_rate, make_optimizer
from swt_time.training.pace import RECENT_STEPS, Pace
from swt_time.training.random_state import RandomState, step_seed
from swt_time.training.sharing import share_state
from swt_time.training.signals import StopRequest, stop_on_signals
from swt_time.training.solving import NO_WINDOW
from swt_time.training.state import Progress, StateTensors, TrainingState, optimizer_moments
from swt_time.training.tracking import BestWeights, RunningMean
from swt_time.training.trainable import Trainable


def train(  # noqa: PLR0913  public, with an option for each part that can be replaced
    model: Trainable,
    windows: Windows,
    validation: Windows | None,
    config: TrainingConfig,
    *,
    objective: Objective | None = None,
    solve: Callable[[], Solution | None] = lambda: None,
    gate: Tensor | None = None,
    random: RandomState | None = None,
    resume: TrainingState | None = None,
    begin: Callable[[TrainingResult], None] = lambda so_far: None,
    report: Callable[[Event], None] = lambda event: None,
    save_best: Callable[[TrainingResult], None] = lambda result: None,
    save_state: Callable[[TrainingState], None] = lambda state: None,
    processes: Processes = ALONE,
) -> TrainingResult:
    """Train a model in place and leave it with its best weights.

    Parameters
    ----------
    model : Trainable
        The model, already on its device. Only parameters that require a gradient are trained.
    windows : Windows
        Training windows.
    validation : Windows, optional
        Validation windows. Without them the latest weights count as the best ones.
    config : TrainingConfig
    objective : Objective, optional
        By default the configuration's loss, without a penalty.
    solve : callable
        Called before the first step of a new run. It solves the closed-form part of the model and returns the
        solution, or None if there is no such part.
    gate : Tensor, optional
        A scalar of the model that is recorded with every validation.
    random : RandomState, optional
        The random numbers of the run; by default they start from the present state of PyTorch's generators.
    resume : TrainingState, optional
        A state that ``save_state`` received in a run with the same model, windows and configuration; that run is
        resumed.
    begin : callable
        Called before anything is computed, with what a run that is resumed has done so far.
    report : callable
        Called with every event: the plan, the closed-form solution, every step and every validation.
    save_best : callable
        Called after every validation that improved, while the model holds the best weights.
    save_state : callable
        Called with the state of the run every ``checkpoint_every`` steps (by default after every validation, after
        ``save_best``) and when a signal stops the run. It must copy or write the tensors before it returns, since
        training modifies them in place.
    processes : Processes
        The processes that train this model together, each with this call. The windows of a step, and those of a
        validation, are divided among them; weights, losses and the end of the run are the same in all. A state to
        resume is given by the first one.

    Returns
    -------
    TrainingResult

    Raises
    ------
    TableError
        There is no training window.
    CheckpointError
        The state to resume is damaged or of another model.
    ConfigError
        There is not enough memory, or there are more processes than windows in a batch.
    ProcessError
        Another process has ended.
    SWTTimeError
        The training loss or a weight is not finite.

    Notes
    -----
    Dropout draws from ``random``; in several processes from numbers that depend on seed, step and rank. The order of
    the windows depends on the seed of the configuration and the epoch only, and which of them are those of a process on
    its rank and the number of processes too. SIGINT (Ctrl-C) and SIGTERM stop the run after the current step; the best
    weights so far are restored.

    On the CPU, with the same machine and number of threads, a run that was stopped anywhere and resumed ends with the
    same weights and losses, bit for bit, as a run that was not stopped. This does not hold with a time budget, where
    the number of steps depends on measured times. The budget applies to the training time of all parts of the run
    together.
    """
    if len(windows) == 0:
        raise TableError(NO_WINDOW)
    resume = share_state(resume, processes)
    run = _Run(
        model,
        windows,
        validation,
        config,
        objective=Objective(config.loss) if objective is None else objective,
        gate=gate,
        random=random,
        report=report,
        save_best=save_best,
        save_state=save_state,
        processes=processes,
    )
    if resume is not None:
        run.restore(resume)
    begin(run.result)
    with stop_on_signals(once=processes.alone) as stop:
        try:
            return run.loop(solve, stop)
        finally:
            run.gradient.close()


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        model: Trainable,
        windows: Windows,
        validation: Windows | None,
        config: TrainingConfig,
        *,
        objective: Objective,
        gate: Tensor | None,
        random: RandomState | None,
        report: Callable[[Event], None],
        save_best: Callable[[TrainingResult], None],
        save_state: Callable[[TrainingState], None],
        processes: Processes,
    ):
        self.model, self.windows, self.config = model, windows, config
        self.validation = validation if validation is not None and len(validation) else None
        self.gate, self.processes = gate, processes
        self.report, self.save_best, self.save_state = report, save_best, save_state
        self.device = next(p for p in model.parameters() if p.requires_grad).device
        self.random = RandomState(self.device) if random is None else random
        if processes.alone:
            self.gradient = BatchGradient(model, objective, config, self.device)
        else:
            self.gradient = SharedBatchGradient(model, objective, config, self.device, processes)
        self.learning_rate = config.learning_rate
        self.batches = ShuffledBatches(len(windows), config.batch_size, config.seed)
        self.pace = Pace(config, len(self.batches), len(windows), processes.clock)
        self.result = TrainingResult(0, 0, None, "running", 0.0)
        self.best, self.train_loss = BestWeights(), RunningMean()

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        """Made for the first step: PyTorch loads its compiler with the first optimiser, which takes a second."""
        return make_optimizer(self.model.parameters(), self.config)

    def loop(self, solve: Callable[[], Solution | None], stop: StopRequest) -> TrainingResult:
        """Train until the planned steps are done, the time budget or the patience is used up, or a signal arrives."""
        step = self.result.steps
        if step == 0 and not self.result.history:
            self._solve(solve, stop)
        while True:
            # Validating at the start of an iteration makes a run that was stopped during it validate when resumed.
            if self.pace.validation_due(step) and not self._validated(step):
                self._validate(step, stop)
            ended = self._ended(step, stop)
            if ended is not None:
                break
            if self._state_due(step):
                self.save_state(self.state())
            with self.random.active():
                if not self.processes.alone:
                    torch.manual_seed(step_seed(self.config.seed, step, self.processes.rank))
                self._step(step)
            step += 1
            self.result.steps = step
            if self.pace.measured(step):
                self._plan(step)
            self.pace.fit_budget(step)
        if ended == "interrupted":
            self.save_state(self.state())
            self.result.signal = stop.signal
        elif not self._validated(step):
            self._validate(step, stop)
        self.result.ended = ended
        self.best.restore(self.model.trained_state())
        self.model.eval()
        self.result.seconds = self.pace.seconds
        return self.result

    def _solve(self, solve: Callable[[], Solution | None], stop: StopRequest) -> None:
        """Solve the closed-form part of the model, if there is one, and validate it before the first step."""
        clock = self.processes.clock
        began = clock()
        solution = solve()
        self.processes.share_weights(self.model.trained_state())
        if solution is not None:
            self.report(Solved(solution, clock() - began))
            self.result.closed_form = solution.record()
            self.train_loss = RunningMean(solution.train_mse, 1)
            self._validate(0, stop)

    def _ended(self, step: int, stop: StopRequest) -> Ending | None:
        """Return why the run ends before the next step, or None if it continues."""
        if self.config.patience and self.best.bad_rounds >= self.config.patience:
            return "early stopping"
        if step >= self.pace.total_steps and self._validated(step):
            return "finished"
        stopped, late = self.processes.sum(stop.is_set(), self.pace.out_of_time())
        if stopped:
            return "interrupted"
        return "time budget" if late else None

    def state(self) -> TrainingState:
        """Return everything that the rest of the run depends on, except for the arguments of `train`."""
        result, pace = self.result, self.pace
        progress = Progress(
            steps=result.steps,
            best_step=result.best_step,
            best_loss=result.best_loss,
            bad_rounds=self.best.bad_rounds,
            loss_sum=self.train_loss.total,
            loss_windows=self.train_loss.count,
            learning_rate=self.learning_rate,
            total_steps=pace.total_steps,
            validate_every=pace.validate_every,
            validation_seconds=pace.validation_seconds,
            step_seconds=pace.step_seconds[-RECENT_STEPS - 1 :],
            seconds=pace.seconds,
            history=list(result.history),
            closed_form=result.closed_form,
        )
        tensors = StateTensors(
            self._weights(),
            self.best.weights,
            optimizer_moments(self.optimizer, self._trained()) if self.result.steps else {},
            self.random.states(),
        )
        return TrainingState(asdict(progress), tensors.flatten())

    def restore(self, state: TrainingState) -> None:
        """Continue from a state.

        Raises
        ------
        CheckpointError
            The state is damaged or of another model.
        """
        progress, parameters = Progress.parse(state.progress, self.pace.most_steps), dict(self._trained())
        tensors = StateTensors.parse(state.tensors, self.model.trained_state(), parameters, self.device)
        load_trained_state(self.model, tensors.weights)
        for name, moments in tensors.moments.items():
            self.optimizer.state[parameters[name]].update(moments)
        self.learning_rate = progress.learning_rate
        self.best = BestWeights(progress.best_loss, tensors.best, progress.bad_rounds)
        self.train_loss = RunningMean(progress.loss_sum, progress.loss_windows)
        self.result = TrainingResult(
            progress.steps, progress.best_step, progress.best_loss, "running", progress.seconds, progress.history
        )
        self.result.closed_form = progress.closed_form
        self.pace.restore(progress)
        self.random.restore(tensors.random)
        if self.pace.validate_every and self.pace.step_seconds:
            self.report(Plan(self.pace.total_steps, progress.seconds + self.pace.seconds_left(progress.steps)))

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]

    def _weights(self) -> dict[str, Tensor]:
        """Return the trained weights, to keep or to save; raise if one is not finite."""
        weights = self.model.trained_state()
        bad = next((name for name, weight in weights.items() if not torch.isfinite(weight).all()), None)
        if bad is not None:
            raise SWTTimeError(f"the weights of {bad} are not finite after step {self.result.steps}; {self._remedy()}")
        return weights

    def _remedy(self) -> str:
        config = self.config
        return (
            f"lower training.learning_rate (now {config.learning_rate:g}), training.weight_decay (now "
            f"{config.weight_decay:g}) or training.reconstruction_weight (now {config.reconstruction_weight:g}), or "
            "set backbone.precision to float32"
        )

    def _validated(self, step: int) -> bool:
        return bool(self.result.history) and self.result.history[-1].step == step

    def _state_due(self, step: int) -> bool:
        if self.config.checkpoint_every is None:
            return self._validated(step)
        return step > 0 and step % self.config.checkpoint_every == 0

    def _step(self, step: int) -> None:
        clock, config = self.processes.clock, self.config
        began = clock()
        self.learning_rate = learning_rate(step, self.pace.total_steps, config.learning_rate, config.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate
        self.model.train()
        indices = self.batches.batch(*divmod(step, len(self.batches)))
        self.optimizer.zero_grad(set_to_none=True)
        value = self.gradient.add(self.windows, indices)
        if not math.isfinite(value):
            raise SWTTimeError(f"the training loss became {value} at step {step + 1}; {self._remedy()}")
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_((p for g in self.optimizer.param_groups for p in g["params"]), config.clip_norm)
        self.optimizer.step()
        self.train_loss.add(value, len(indices))
        pace = self.pace
        pace.step_seconds.append(clock() - began)
        self.report(Step(step + 1, pace.total_steps, value, pace.windows_per_second, pace.seconds_left(step + 1)))

    @torch.no_grad()
    def _validation_loss(self, indices: np.ndarray, stop: StopRequest | None) -> float | None:
        """Return the mean loss over the given validation windows, or None if a signal interrupts it."""
        assert self.validation is not None
        self.model.eval()
        total, points, stopped = 0.0, 0.0, False
        own = self.processes.part(indices)
        for begin in range(0, len(own), self.config.batch_size):
            stopped = stop is not None and stop.is_set()
            if stopped:
                break
            batch = own[begin : begin + self.config.batch_size]
            for forecast, target in self.gradient.forecasts(self.validation, batch):
                total += self.gradient.objective.error(forecast, target).item()
                points += int((~target.isnan()).sum())
        total, points, any_stopped = self.processes.sum(total, points, stopped)
        if any_stopped:
            return None
        return total / points if points else math.inf

    def _validate(self, step: int, stop: StopRequest) -> None:
        began = self.processes.clock()
        weights = self._weights()
        loss = None
        if self.validation is not None:
            loss = self._validation_loss(self._validation_indices(), stop)
            if loss is None:
                return
            self.pace.validation_seconds = self.processes.clock() - began
        best = self.best.update(loss, weights)
        row = Validation(
            step=step,
            epoch=round(step / len(self.batches), 4),
            train_loss=self.train_loss.take(),
            validation_loss=loss,
            learning_rate=self.learning_rate,
            gate=None if self.gate is None else self.gate.item(),
            windows_per_second=self.pace.windows_per_second,
            seconds=self.pace.seconds,
            best=best,
        )
        self.result.history.append(row)
        if best:
            self.result.best_step, self.result.best_loss = step, loss
            self.result.seconds = self.pace.seconds
            self.save_best(self.result)
        self.report(row)

    def _validation_indices(self) -> np.ndarray:
        """Return the validation windows that are used: evenly spaced, and the same in every validation."""
        assert self.validation is not None
        return evenly(len(self.validation), self.config.validation_windows)

    def _plan(self, step: int) -> None:
        """Plan the run from the measured time of its first steps and of one batch of validation windows."""
        if self.validation is not None:
            began = self.processes.clock()
            indices = self._validation_indices()
            some = self.config.batch_size * self.processes.size
            self._validation_loss(indices[:some], None)
            self.pace.validation_seconds = (self.processes.clock() - began) * math.ceil(len(indices) / some)
        self.pace.plan(step)
        self.report(Plan(self.pace.total_steps, self.pace.seconds + self.pace.seconds_left(step)))
