"""How many steps a run takes and how often it validates: planned from measured times, fitted into a time budget."""

import math
import statistics
import time

from swt_time.config import TrainingConfig
from swt_time.training.state import Progress

MEASURED_STEPS = 5
"""Steps whose time is taken before the length of the run is estimated; the first one, a warm-up, is left out."""

VALIDATIONS = 10
"""Validations of a run, evenly spread, unless ``validate_every`` says otherwise."""

RECENT_STEPS = 20
"""Steps whose median is the time of a step."""

VALIDATION_SHARE = 0.25
"""Most of a time budget that validations may take."""


class Pace:
    """The clock and the plan of one run.

    Parameters
    ----------
    config : TrainingConfig
    steps_per_epoch : int
    n_windows : int
        Windows of the training part.

    Attributes
    ----------
    total_steps : int
        Steps of the whole run, as planned so far.
    validate_every : int
        Steps between validations; 0 until that is planned.
    step_seconds : list of float
        Time of each step that was taken.
    validation_seconds : float
        Time of one validation.
    """

    def __init__(self, config: TrainingConfig, steps_per_epoch: int, n_windows: int):
        self.total_steps = config.epochs * steps_per_epoch if config.max_steps is None else config.max_steps
        self.validate_every = config.validate_every or 0
        self.step_seconds: list[float] = []
        self.validation_seconds = 0.0
        self._most_steps = self.total_steps
        self._config = config
        self._windows_per_step = min(config.batch_size, n_windows)
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time of training so far, over all parts of a run that was stopped and resumed."""
        return time.monotonic() - self._began

    def restore(self, progress: Progress) -> None:
        """Go on from a stopped run's plan and times."""
        self.total_steps, self.validate_every = progress.total_steps, progress.validate_every
        self.validation_seconds, self.step_seconds = progress.validation_seconds, list(progress.step_seconds)
        self._began = time.monotonic() - progress.seconds

    def measured(self, step: int) -> bool:
        """Whether enough steps were taken to plan the run, now for the first time."""
        return step == min(MEASURED_STEPS, self.total_steps)

    def plan(self, step: int) -> None:
        """Estimate the run from its first steps and, with a time budget, fit steps and validations into it."""
        validations = VALIDATIONS
        if self._config.max_seconds is not None:
            left = self._config.max_seconds - self.seconds
            if self.validation_seconds > 0:
                affordable = int(VALIDATION_SHARE * left / self.validation_seconds)
                validations = max(1, min(VALIDATIONS, affordable))
            steps = int((left - validations * self.validation_seconds) / self.seconds_per_step)
            self.total_steps = min(self.total_steps, step + max(steps, 0))
        self.validate_every = self._config.validate_every or math.ceil(self.total_steps / validations)

    def fit_budget(self, step: int) -> None:
        """Fit the steps that are left into the time that is left, as the machine turns out to be faster or slower."""
        if self._config.max_seconds is None or not self.validate_every:
            return
        left = self._config.max_seconds - self.seconds
        per_step = self.seconds_per_step + self.validation_seconds / self.validate_every
        # The last validation is a whole one, however few steps lie before it.
        steps = int((left - self.validation_seconds) / per_step)
        self.total_steps = min(self._most_steps, max(step + steps, step))

    def validation_due(self, step: int) -> bool:
        """Whether a validation follows a step."""
        if step == 0:
            return self.total_steps == 0
        every = self._config.validate_every or math.ceil(self.total_steps / VALIDATIONS)
        return step == self.total_steps or step % (self.validate_every or every) == 0

    def out_of_time(self) -> bool:
        """Whether the budget leaves no time for another step and the validation that must follow it."""
        if self._config.max_seconds is None or not self.step_seconds:
            return False
        return self.seconds + self.seconds_per_step + self.validation_seconds > self._config.max_seconds

    @property
    def seconds_per_step(self) -> float:
        """Median time of the most recent steps."""
        recent = self.step_seconds[1:] or self.step_seconds
        return statistics.median(recent[-RECENT_STEPS:])

    @property
    def windows_per_second(self) -> float:
        """Training windows a second; 0 before the first step."""
        return self._windows_per_step / self.seconds_per_step if self.step_seconds else 0.0

    def seconds_left(self, step: int) -> float:
        """Estimated time of the steps and validations after a step."""
        rounds = (self.total_steps - step) / max(self.validate_every, 1)
        return (self.total_steps - step) * self.seconds_per_step + rounds * self.validation_seconds
