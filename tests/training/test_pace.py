"""The plan of a run and its time budget, with a fake clock."""

import pytest

from support.runs import Clock
from swt_time.config import TrainingConfig
from swt_time.training.pace import MEASURED_STEPS, RECENT_STEPS, VALIDATIONS, Pace
from swt_time.training.state import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock at 100 s, since the origin of a monotonic clock is arbitrary."""
    fake = Clock(100.0)
    monkeypatch.setattr("swt_time.processes.time", fake)
    return fake


def take_steps(pace, clock, count, seconds):
    """Take steps of the given duration."""
    for _ in range(count):
        clock.now += seconds
        pace.step_seconds.append(seconds)


def planned(clock, *, step_seconds=0.1, validation_seconds=0.0, **options):
    """A pace that was planned after the measured steps."""
    pace = Pace(TrainingConfig(**{"max_steps": 1000, **options}), steps_per_epoch=7, n_windows=200)
    take_steps(pace, clock, MEASURED_STEPS, step_seconds)
    pace.validation_seconds = validation_seconds
    pace.plan(MEASURED_STEPS)
    return pace


def progress(**changes):
    values = {
        "steps": 12,
        "best_step": 10,
        "best_loss": 0.5,
        "bad_rounds": 0,
        "loss_sum": 1.0,
        "loss_windows": 2,
        "learning_rate": 0.01,
        "total_steps": 90,
        "validate_every": 9,
        "validation_seconds": 0.25,
        "step_seconds": [9.0, 0.5, 0.5],
        "seconds": 30.0,
        "history": [],
    }
    return Progress(**{**values, **changes})


# --- number of steps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "expected"), [({"epochs": 3}, 21), ({"epochs": 3, "max_steps": 50}, 50)])
def test_steps_are_those_of_the_epochs_unless_given(clock, options, expected):
    assert Pace(TrainingConfig(**options), steps_per_epoch=7, n_windows=200).total_steps == expected


@pytest.mark.parametrize(("total", "expected"), [(1000, [MEASURED_STEPS]), (3, [3]), (1, [1])])
def test_a_run_is_planned_once(clock, total, expected):
    """After the measured steps, or after the last step of a shorter run."""
    pace = Pace(TrainingConfig(max_steps=total), steps_per_epoch=7, n_windows=200)
    assert [step for step in range(1, total + 1) if pace.measured(step)] == expected


@pytest.mark.parametrize(("total", "every"), [(1000, 100), (1001, 101), (7, 1)])
def test_plan_without_a_budget_keeps_the_steps(clock, total, every):
    pace = planned(clock, max_steps=total, validation_seconds=1e9)
    assert (pace.total_steps, pace.validate_every) == (total, every)


def test_plan_keeps_a_given_validation_interval(clock):
    assert planned(clock, validate_every=3).validate_every == 3
    assert planned(clock, validate_every=3, max_seconds=10.0).validate_every == 3


def test_plan_fits_steps_and_validations_into_the_budget(clock):
    """20 s - 0.5 s for the measured steps - 10 validations of 0.2 s leave 175 steps of 0.1 s."""
    pace = planned(clock, max_seconds=20.0, validation_seconds=0.2)
    assert pace.total_steps == pytest.approx(MEASURED_STEPS + 175, abs=1)
    assert pace.validate_every == 18


def test_plan_limits_the_share_of_the_validations(clock):
    """At most a quarter of 19.5 s for validations of 2 s: two of them, which leave 155 steps."""
    pace = planned(clock, max_seconds=20.0, validation_seconds=2.0)
    assert pace.total_steps == pytest.approx(MEASURED_STEPS + 155, abs=1)
    assert pace.validate_every == 80


def test_plan_does_not_exceed_the_configured_steps(clock):
    pace = planned(clock, max_steps=30, max_seconds=1e6, validation_seconds=0.2)
    assert (pace.total_steps, pace.validate_every) == (30, 3)


@pytest.mark.parametrize(("budget", "validation"), [(0.5, 0.0), (0.1, 0.0), (1.0, 5.0)])
def test_plan_with_a_budget_that_is_too_short_stops_after_the_measured_steps(clock, budget, validation):
    pace = planned(clock, max_seconds=budget, validation_seconds=validation)
    assert pace.total_steps == MEASURED_STEPS
    assert pace.validation_due(MEASURED_STEPS)


def test_plan_ignores_the_time_of_the_first_step(clock):
    pace = Pace(TrainingConfig(max_steps=1000, max_seconds=30.0), steps_per_epoch=7, n_windows=200)
    take_steps(pace, clock, 1, 10.0)
    take_steps(pace, clock, MEASURED_STEPS - 1, 0.1)
    pace.plan(MEASURED_STEPS)
    assert pace.seconds_per_step == pytest.approx(0.1)
    assert pace.total_steps == pytest.approx(MEASURED_STEPS + 196, abs=1)


# --- time budget -------------------------------------------------------------------------------------------


def test_fit_budget_reduces_the_steps_when_they_become_slower(clock):
    pace = planned(clock, max_seconds=20.0)
    assert pace.total_steps == pytest.approx(200, abs=1)
    take_steps(pace, clock, RECENT_STEPS, 0.4)
    step = MEASURED_STEPS + RECENT_STEPS
    pace.fit_budget(step)
    # 20 s - 0.5 s - 8 s leave 11.5 s for steps of 0.4 s.
    assert pace.seconds_per_step == pytest.approx(0.4)
    assert pace.total_steps == pytest.approx(step + 28, abs=1)


def test_fit_budget_adds_steps_when_they_become_faster_up_to_the_configured_number(clock):
    pace = planned(clock, max_seconds=20.0, max_steps=500)
    take_steps(pace, clock, RECENT_STEPS, 0.05)
    step = MEASURED_STEPS + RECENT_STEPS
    pace.fit_budget(step)
    assert pace.total_steps == pytest.approx(step + 370, abs=1)
    take_steps(pace, clock, RECENT_STEPS, 0.001)
    pace.fit_budget(step + RECENT_STEPS)
    assert pace.total_steps == 500


def test_fit_budget_reserves_time_for_validations(clock):
    """19.5 s, less 0.5 s for the last validation, for steps of 0.1 s with a validation of 0.5 s every 10."""
    pace = planned(clock, max_seconds=20.0, validation_seconds=0.5, validate_every=10)
    pace.fit_budget(MEASURED_STEPS)
    assert pace.total_steps == pytest.approx(MEASURED_STEPS + 126, abs=1)


def test_fit_budget_ends_the_run_at_the_current_step_when_the_time_is_used_up(clock):
    pace = planned(clock, max_seconds=20.0)
    clock.now += 100
    pace.fit_budget(60)
    assert pace.total_steps == 60


def test_fit_budget_changes_nothing_without_a_budget_or_before_the_plan(clock):
    without = planned(clock)
    take_steps(without, clock, RECENT_STEPS, 50.0)
    without.fit_budget(MEASURED_STEPS + RECENT_STEPS)
    assert without.total_steps == 1000
    unplanned = Pace(TrainingConfig(max_steps=1000, max_seconds=1.0), steps_per_epoch=7, n_windows=200)
    take_steps(unplanned, clock, 1, 50.0)
    unplanned.fit_budget(1)
    assert unplanned.total_steps == 1000


def test_out_of_time_reserves_one_step_and_one_validation(clock):
    pace = planned(clock, max_seconds=20.0, step_seconds=0.5, validation_seconds=2.0)
    assert pace.seconds == 2.5
    clock.now = 100.0 + 17.5
    assert not pace.out_of_time()
    clock.now += 0.01
    assert pace.out_of_time()


def test_out_of_time_is_false_without_a_budget_and_before_the_first_step(clock):
    without = planned(clock)
    first = Pace(TrainingConfig(max_seconds=1.0), steps_per_epoch=7, n_windows=200)
    clock.now += 1e9
    assert not without.out_of_time()
    assert not first.out_of_time()
    take_steps(first, clock, 1, 0.1)
    assert first.out_of_time()


# --- validations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, 7])
def test_validations_of_a_planned_run(clock, given):
    """Not at step 0, at every multiple of the interval, and at the last step."""
    pace = planned(clock, max_steps=50, validate_every=given)
    every = 5 if given is None else given
    expected = sorted({*range(every, 51, every), 50})
    assert [step for step in range(51) if pace.validation_due(step)] == expected
    assert given is not None or len(expected) == VALIDATIONS


@pytest.mark.parametrize(("given", "expected"), [(None, [4]), (2, [2, 4])])
def test_validations_before_the_plan(clock, given, expected):
    pace = Pace(TrainingConfig(max_steps=40, validate_every=given), steps_per_epoch=7, n_windows=200)
    assert [step for step in range(MEASURED_STEPS) if pace.validation_due(step)] == expected


def test_a_run_without_steps_is_validated_at_step_zero(clock):
    pace = Pace(TrainingConfig(max_steps=0), steps_per_epoch=7, n_windows=200)
    assert pace.validation_due(0)


# --- speed, time left, resuming ----------------------------------------------------------------------------


def test_seconds_per_step_is_the_median_of_the_most_recent_steps(clock):
    pace = Pace(TrainingConfig(), steps_per_epoch=7, n_windows=200)
    pace.step_seconds = [9.0]
    assert pace.seconds_per_step == 9.0
    pace.step_seconds = [9.0, 1.0, 2.0, 30.0]
    assert pace.seconds_per_step == 2.0
    pace.step_seconds = [9.0, *[1.0] * 50, *[3.0] * RECENT_STEPS]
    assert pace.seconds_per_step == 3.0


@pytest.mark.parametrize(("n_windows", "batch"), [(200, 32), (20, 20)])
def test_windows_per_second(clock, n_windows, batch):
    """A batch is at most the number of windows."""
    pace = Pace(TrainingConfig(batch_size=32), steps_per_epoch=7, n_windows=n_windows)
    assert pace.windows_per_second == 0
    take_steps(pace, clock, 1, 0.5)
    assert pace.windows_per_second == 2 * batch


def test_seconds_left_counts_steps_and_validations(clock):
    pace = planned(clock, max_steps=105, validate_every=10, step_seconds=0.5, validation_seconds=2.0)
    assert pace.seconds_left(5) == pytest.approx(100 * 0.5 + 10 * 2.0)
    assert pace.seconds_left(105) == 0


def test_restore_continues_a_stopped_run(clock):
    pace = Pace(TrainingConfig(max_steps=1000, max_seconds=50.0), steps_per_epoch=7, n_windows=200)
    stopped = progress()
    pace.restore(stopped)
    assert (pace.total_steps, pace.validate_every, pace.validation_seconds) == (90, 9, 0.25)
    assert pace.seconds_per_step == 0.5
    assert pace.seconds == 30.0
    clock.now += 4.0
    assert pace.seconds == 34.0
    pace.fit_budget(12)
    # 16 s, less the last validation, for steps of 0.5 s with a validation of 0.25 s every 9.
    assert pace.total_steps == 12 + 29
    take_steps(pace, clock, 1, 0.5)
    assert stopped.step_seconds == [9.0, 0.5, 0.5], "the state of the stopped run must not change"


def test_restore_allows_more_steps_than_the_stopped_run_had_planned(clock):
    """The limit is the configured number of steps."""
    pace = Pace(TrainingConfig(max_steps=120, max_seconds=1e6), steps_per_epoch=7, n_windows=200)
    pace.restore(progress())
    pace.fit_budget(12)
    assert pace.total_steps == 120
