"""Number of steps and interval of validations of a run, planned from measured times and a time budget."""

import math
import statistics
from collections.abc import Callable

from swt_time.config import TrainingConfig
from swt_time.processes import ALONE
from swt_time.training.state import Progress

MEASURED_STEPS = 5
"""Steps before the run is planned. The time of the first one, a warm-up, is not used."""

VALIDATIONS = 10
"""Number of validations, evenly spaced over the run, unless ``training.validate_every`` is set."""

RECENT_STEPS = 20
"""Number of most recent steps whose median is the estimated time of a step."""

CLOCK_TICK = 1e-9
"""Least time of a step in seconds; a coarse clock may measure 0."""

VALIDATION_SHARE = 0.25
"""Largest share of a time budget for validations, of which there is at least one."""


class Pace:
    """Clock and plan of one run.

    Parameters
    ----------
    config : TrainingConfig
    steps_per_epoch : int
    n_windows : int
        Number of training windows.
    clock : callable
        Returns the time in seconds; the same in all processes of a run, which therefore plan alike.

    Attributes
    ----------
    total_steps : int
        Steps of the whole run according to the current plan.
    most_steps : int
        Steps that the configuration allows.
    validate_every : int
        Steps between validations; 0 before `plan`, unless ``training.validate_every`` is set.
    step_seconds : list of float
        Time of each step so far.
    validation_seconds : float
        Estimated time of one validation.
    """

    def __init__(
        self, config: TrainingConfig, steps_per_epoch: int, n_windows: int, clock: Callable[[], float] = ALONE.clock
    ):
        self.total_steps = config.epochs * steps_per_epoch if config.max_steps is None else config.max_steps
        self.validate_every = config.validate_every or 0
        self.step_seconds: list[float] = []
        self.validation_seconds = 0.0
        self.most_steps = self.total_steps
        self._config = config
        self._windows_per_step = min(config.batch_size, n_windows)
        self._clock = clock
        self._began = clock()

    @property
    def seconds(self) -> float:
        """Training time so far, over all parts of a run that was stopped and resumed."""
        return self._clock() - self._began

    def restore(self, progress: Progress) -> None:
        """Continue with the plan and the times of a stopped run."""
        self.total_steps, self.validate_every = progress.total_steps, progress.validate_every
        self.validation_seconds, self.step_seconds = progress.validation_seconds, list(progress.step_seconds)
        self._began = self._clock() - progress.seconds

    def measured(self, step: int) -> bool:
        """Return whether the run is to be planned now: this is the last of the measured steps."""
        return step == min(MEASURED_STEPS, self.total_steps)

    def plan(self, step: int) -> None:
        """Set the number of steps and the validation interval; a time budget limits both."""
        validations = VALIDATIONS
        if self._config.max_seconds is not None:
            left = self._config.max_seconds - self.seconds
            if self.validation_seconds > 0:
                affordable = int(VALIDATION_SHARE * left / self.validation_seconds)
                validations = max(1, min(VALIDATIONS, affordable))
            per_step = max(self.seconds_per_step, CLOCK_TICK)
            steps = int((left - validations * self.validation_seconds) / per_step)
            self.total_steps = min(self.total_steps, step + max(steps, 0))
        self.validate_every = self._config.validate_every or math.ceil(self.total_steps / validations)

    def fit_budget(self, step: int) -> None:
        """Update the number of steps to what fits into the remaining time budget at the current speed."""
        if self._config.max_seconds is None or not self.validate_every:
            return
        left = self._config.max_seconds - self.seconds
        per_step = max(self.seconds_per_step + self.validation_seconds / self.validate_every, CLOCK_TICK)
        # The last validation takes its full time, however few steps precede it.
        steps = int((left - self.validation_seconds) / per_step)
        self.total_steps = min(self.most_steps, max(step + steps, step))

    def validation_due(self, step: int) -> bool:
        """Return whether to validate after a step."""
        if step == 0:
            return self.total_steps == 0
        every = self._config.validate_every or math.ceil(self.total_steps / VALIDATIONS)
        return step == self.total_steps or step % (self.validate_every or every) == 0

    def out_of_time(self) -> bool:
        """Return whether the time budget is too short for one more step and a validation after it."""
        if self._config.max_seconds is None or not self.step_seconds:
            return False
        return self.seconds + self.seconds_per_step + self.validation_seconds > self._config.max_seconds

    @property
    def seconds_per_step(self) -> float:
        """Median time of the most recent steps; the first step, a warm-up, counts only if it is the only one."""
        recent = self.step_seconds[1:] or self.step_seconds
        return statistics.median(recent[-RECENT_STEPS:])

    @property
    def windows_per_second(self) -> float:
        """Training windows per second; 0 before the first step."""
        return self._windows_per_step / self.seconds_per_step if self.step_seconds else 0.0

    def seconds_left(self, step: int) -> float:
        """Return the estimated time of the steps and validations after a step."""
        rounds = (self.total_steps - step) / max(self.validate_every, 1)
        return (self.total_steps - step) * self.seconds_per_step + rounds * self.validation_seconds
