"""Callbacks are told when training begins, of every validation, and how it ended, and cannot lose a run."""

import dataclasses
import re

import numpy as np
import pytest

from support.recorder import Recorder
from support.short_runs import fit_and_stop, interrupt, make
from swt_time import CheckpointError, ConfigError, Forecaster, SWTTimeError, SWTTimeWarning
from swt_time.callbacks import Callback
from swt_time.checkpoints.run_state import read_run, write_run
from swt_time.data.series import series_sha256
from swt_time.training import Run, Step


def test_a_run_calls_in_order(hourly_wide):
    seen, events = Recorder(), []
    forecaster = make(seed=3).fit(hourly_wide, callbacks=[seen], report=events.append)
    assert seen.names == ["begin", "validation", "validation", "validation", "end"]
    assert [one for name, one in seen.calls if name == "validation"] == forecaster.result.history
    run = seen.run
    assert [event for event in events if isinstance(event, Run)] == [run]
    assert (run.config, run.series, run.steps, run.history, run.resumed) == (forecaster.config, 2, 0, (), False)
    assert (run.train_windows, run.validation_windows) == (2 * (420 - 59), 2 * (60 - 11))
    assert run.provenance["seed"] == 3
    assert run.provenance["data_sha256"] == series_sha256(forecaster.read_series(hourly_wide))
    assert run.provenance["versions"].keys() >= {"python", "torch", "swt-time"}
    result = seen.result
    for field in dataclasses.fields(forecaster.result):
        assert getattr(result, field.name) == getattr(forecaster.result, field.name)
    assert (result.ended, result.steps, result.error) == ("finished", 12, None)
    assert result.checkpoint is forecaster.trained.checkpoint


def test_callbacks_change_no_weight(hourly_wide):
    plain, told = (make().fit(hourly_wide, callbacks=callbacks) for callbacks in ([], [Recorder()]))
    expected = plain.trained.checkpoint.weights
    assert expected
    for name, weight in told.trained.checkpoint.weights.items():
        np.testing.assert_array_equal(weight, expected[name])


def test_the_end_says_why(hourly_wide):
    seen = Recorder()
    make(patience=1, learning_rate=1e-30).fit(hourly_wide, callbacks=[seen])
    assert (seen.result.ended, seen.result.steps) == ("early stopping", 8)


@pytest.mark.parametrize("folder", [False, True])
def test_a_closed_form_has_one_validation(hourly_wide, tmp_path, folder):
    seen = Recorder()
    out = tmp_path / "m" if folder else None
    forecaster = Forecaster(preset="fast", horizon=12, context=96).fit(hourly_wide, out=out, callbacks=[seen])
    assert seen.names == ["begin", "validation", "end"]
    assert (seen.result.ended, seen.result.steps) == ("finished", 0)
    assert seen.result.best_loss == forecaster.result.best_loss > 0
    assert seen.result.closed_form["held_out_mse"] > 0


def test_a_forecast_by_the_panel_alone_begins_and_ends(hourly_wide):
    seen = Recorder()
    forecaster = Forecaster(horizon=12).fit(hourly_wide.head(30), callbacks=[seen])
    assert forecaster.choice.weights["closed form"] == 0
    assert seen.names == ["begin", "end"]
    assert (seen.result.ended, seen.result.steps, seen.result.best_loss) == ("finished", 0, None)


def test_an_interrupted_run_ends_and_is_the_same_when_it_is_resumed(hourly_wide, tmp_path):
    first, second, late, whole = Recorder(), Recorder(), Recorder(), Recorder()
    fit_and_stop(hourly_wide, 6, out=tmp_path / "m", callbacks=[first])
    assert first.names == ["begin", "validation", "end"]
    assert (first.result.ended, first.result.steps, first.result.error) == ("interrupted", 6, None)
    make().fit(hourly_wide, out=tmp_path / "m", resume=True, callbacks=[second])
    assert (second.run.id, second.run.steps, second.run.resumed) == (first.run.id, 6, True)
    assert [row.step for row in second.run.history] == first.steps == [4]
    assert second.steps == [8, 12]
    make().fit(hourly_wide, callbacks=[whole])
    assert whole.run.id != first.run.id
    assert second.result.best_loss == whole.result.best_loss
    with pytest.warns(SWTTimeWarning, match="nothing to resume"):
        make().fit(hourly_wide, out=tmp_path / "m", resume=True, callbacks=[late])
    assert late.calls == []


def test_the_id_is_in_the_state_of_the_run(hourly_wide, tmp_path):
    seen, again = Recorder(), Recorder()
    fit_and_stop(hourly_wide, 6, out=tmp_path / "m", callbacks=[seen])
    saved = read_run(tmp_path / "m")
    assert saved.id == seen.run.id
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", saved.id)
    write_run(tmp_path / "m", dataclasses.replace(saved, id=""))  # as an older version wrote it
    make().fit(hourly_wide, out=tmp_path / "m", resume=True, callbacks=[again])
    assert again.run.resumed
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", again.run.id)
    assert again.run.id != saved.id


@pytest.mark.parametrize("id", ["../../x", "x' OR '1' = '1", "20261126-150848-1a2b3c4d/.."])
def test_an_id_that_is_none_is_damage(hourly_wide, tmp_path, id):
    fit_and_stop(hourly_wide, 6, out=tmp_path / "m")
    write_run(tmp_path / "m", dataclasses.replace(read_run(tmp_path / "m"), id=id))
    with pytest.raises(CheckpointError, match="damaged: its id is not a time and eight digits"):
        make().fit(hourly_wide, out=tmp_path / "m", resume=True)


def test_a_failed_run_ends_with_what_it_reached(hourly_wide):
    def fail(event):
        if isinstance(event, Step) and event.step == 6:
            raise SWTTimeError("the training loss became nan at step 7")

    seen = Recorder()
    with pytest.raises(SWTTimeError, match="step 7"):
        make().fit(hourly_wide, callbacks=[seen], report=fail)
    assert seen.names == ["begin", "validation", "end"]
    result = seen.result
    assert (result.ended, result.steps, result.best_step) == ("failed", 6, 4)
    assert result.best_loss == result.history[0].validation_loss
    assert (str(result.error), result.checkpoint) == ("the training loss became nan at step 7", None)


def test_ctrl_c_outside_of_the_loop_is_an_interruption(hourly_wide):
    def stop(event):
        if isinstance(event, Run):
            raise KeyboardInterrupt

    early, seen = Recorder(), Recorder()
    with pytest.raises(KeyboardInterrupt):
        make().fit(hourly_wide, callbacks=[early], report=stop)
    assert early.calls == []  # it had not begun

    class Stops(Recorder):
        def on_validation(self, validation):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make().fit(hourly_wide, callbacks=[Stops(), seen])
    assert seen.names == ["begin", "end"]
    assert seen.result.ended == "interrupted"
    assert isinstance(seen.result.error, KeyboardInterrupt)


class Breaks(Recorder):
    """Fails in one method."""

    def __init__(self, method):
        super().__init__()
        setattr(self, method, self._fail)

    def _fail(self, argument):
        self.calls.append(("failed", argument))
        raise OSError("disk full")


@pytest.mark.parametrize(("method", "names"), [("on_validation", ["begin", "failed"]), ("on_train_end", None)])
def test_a_callback_that_fails_is_left_out_and_the_run_is_whole(hourly_wide, tmp_path, method, names):
    broken, after = Breaks(method), Recorder()
    with pytest.warns(SWTTimeWarning, match=r"the callback Breaks failed \(OSError: disk full\)") as told:
        forecaster = make().fit(hourly_wide, out=tmp_path / "m", callbacks=[broken, after])
    assert len([one for one in told if "Breaks" in str(one.message)]) == 1
    assert broken.names == (names or ["begin", *["validation"] * 3, "failed"])
    assert after.names == ["begin", *["validation"] * 3, "end"]
    assert forecaster.result.ended == "finished"
    assert len(Forecaster.load(tmp_path / "m").predict(hourly_wide)) == 2 * 12


def test_one_that_fails_at_the_beginning_stops_the_fit_and_others_are_told(hourly_wide, tmp_path):
    before, after = Recorder(), Recorder()
    with pytest.raises(OSError, match="disk full"):
        make().fit(hourly_wide, out=tmp_path / "m", callbacks=[before, Breaks("on_train_begin"), after])
    assert before.names == ["begin", "end"]
    assert before.result.ended == "failed"
    assert after.calls == []
    make().fit(hourly_wide, out=tmp_path / "m")  # nothing is left that a new run is refused for


@pytest.mark.parametrize("callbacks", [Recorder(), [Recorder], [print], "tensorboard"])
def test_other_objects_are_refused(hourly_wide, callbacks):
    with pytest.raises(ConfigError, match="callbacks: expected"):
        make().fit(hourly_wide, callbacks=callbacks)


def test_the_base_class_does_nothing(hourly_wide):
    assert make(max_steps=1).fit(hourly_wide, callbacks=[Callback()]).result.steps == 1


def test_a_resumed_run_without_validation_continues(hourly_wide, tmp_path):
    first, second = Recorder(), Recorder()
    with pytest.raises(KeyboardInterrupt):
        make().fit(hourly_wide, out=tmp_path / "m", callbacks=[first], report=interrupt(2))
    make().fit(hourly_wide, out=tmp_path / "m", resume=True, callbacks=[second])
    assert (second.run.steps, second.run.history, second.run.resumed) == (2, (), True)
    assert [*first.steps, *second.steps] == [4, 8, 12]
