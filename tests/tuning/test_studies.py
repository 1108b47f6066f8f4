"""Studies: the objective by its definition, the same study however it is interrupted, and nothing of the test part."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.errors import ConfigError, InputError, MissingDependencyError, SWTTimeError, SWTTimeWarning, TableError
from swt_time.tuning import Range, tune_table
from swt_time.tuning.folds import Folds, split_before

optuna = pytest.importorskip("optuna", reason="comes with the extra tune")

ROWS, TEST, HORIZON, CONTEXT = 300, 240, 6, 24
BASE = Forecaster(horizon=HORIZON, context=CONTEXT, preset="fast", level=2, closed_form=("season",), patch_len=8).config
SPACE = {"data.context": (12, 36, 48), "model.closed_form": ((), ("season",)), "data.train_fraction": Range(0.4, 1.0)}


def make_table(rows=ROWS):
    """Two hourly series with a daily season, one of which has its noise late."""
    hours, noise = np.arange(rows), np.random.default_rng(0)
    return pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=rows, freq="h"),
            "load": 5 + np.sin(2 * np.pi * hours / 24) + 0.3 * noise.standard_normal(rows),
            "heat": 50 + 20 * np.cos(2 * np.pi * hours / 24) + hours / 20 * noise.standard_normal(rows),
        }
    )


TABLE = make_table()


def told(found):
    """What must be equal in equal studies: all but the seconds."""
    return [(one.number, one.parameters, one.state, one.folds, one.message) for one in found.trials]


@pytest.fixture(scope="module")
def whole():
    """A study of nine trials in one go."""
    return tune_table(TABLE, BASE, trials=9, space=SPACE)


def test_the_objective_is_what_a_plain_loop_over_folds_finds(whole):
    expected = []
    size = TEST // 10
    for number in (1, 2, 3):
        first = TEST - number * size
        forecaster = Forecaster.from_config(BASE.replace({"data.split": "0.875/0.125/0"})).fit(TABLE.iloc[:first])
        errors = {name: [] for name in ("load", "heat")}
        for origin in range(first, first + size - HORIZON + 1):
            forecast = forecaster.predict(TABLE.iloc[:origin], levels=None)
            for name, values in errors.items():
                yhat = forecast.loc[forecast["unique_id"] == name, "yhat"].to_numpy()
                values.append(np.abs(yhat - TABLE[name].to_numpy()[origin : origin + HORIZON]))
        known = TABLE.iloc[:first]
        naive = {name: np.abs(known[name] - known[name].shift(24)).mean() for name in errors}
        expected.append(np.mean([np.mean(values) / naive[name] for name, values in errors.items()]))
    base = whole.trials[0]
    np.testing.assert_allclose([one.error for one in base.folds], expected, rtol=1e-9)
    assert base.error == pytest.approx(np.mean(expected))
    for one in base.folds:  # stretches of the 19 origins: three of six and one of one
        assert len(one.stretches) == 4
        assert one.error == pytest.approx(np.average(one.stretches, weights=[6, 6, 6, 1]))


def test_the_first_trial_is_the_base_and_others_have_their_turn(whole):
    assert whole.trials[0].parameters == {
        "data.context": "24",
        "model.closed_form": '["season"]',
        "data.train_fraction": 1.0,
    }
    states = [one.state for one in whole.trials]
    assert states[0] == "finished"
    assert {"finished", "pruned"} <= set(states)
    assert len({json.dumps(one.parameters) for one in whole.trials}) == len(whole.trials)


def test_what_was_tried_is_drawn_again_only_if_nothing_is_left():
    found = tune_table(TABLE, BASE, trials=5, space={"data.context": (12, 48)})
    assert {one.parameters["data.context"] for one in found.trials[:3]} == {"12", "24", "48"}
    errors = {one.parameters["data.context"]: one.error for one in found.trials[:3]}
    assert [one.error for one in found.trials[3:]] == [
        errors[one.parameters["data.context"]] for one in found.trials[3:]
    ]


def test_an_interrupted_study_goes_on_as_if_it_had_not_been(whole, tmp_path, monkeypatch):
    path, fit = tmp_path / "study.log", Folds.errors
    tune_table(TABLE, BASE, trials=4, space=SPACE, study=path)
    calls = []

    def interrupted(self, config, fold):
        calls.append(fold)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(self, config, fold)

    monkeypatch.setattr(Folds, "errors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune_table(TABLE, BASE, trials=9, space=SPACE, study=path)
    monkeypatch.undo()
    assert len(calls) == 2
    found = tune_table(TABLE, BASE, trials=9, space=SPACE, study=path)
    assert told(found) == told(whole)
    assert found.config == whole.config
    lines = path.read_bytes()
    assert told(tune_table(TABLE, BASE, trials=9, space=SPACE, study=path)) == told(whole)
    assert path.read_bytes() == lines


KILLED = """
import os, signal, sys
from pathlib import Path
from optuna.storages.journal import JournalFileBackend
from tuning.test_studies import BASE, SPACE, TABLE
from swt_time.tuning import tune_table

append, count = JournalFileBackend.append_logs, 0

def killed(self, logs):
    global count
    append(self, logs)
    count += logs[0]["op_code"] == 4
    if count == 3:  # half of the line of the third trial reaches the disk
        path = Path(self._file_path)
        os.truncate(path, path.stat().st_size - 100)
        os.kill(os.getpid(), signal.SIGKILL)

JournalFileBackend.append_logs = killed
tune_table(TABLE, BASE, trials=9, space=SPACE, study=sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL of POSIX")
def test_a_process_killed_while_it_writes_a_trial_loses_that_trial_alone(whole, tmp_path):
    path = tmp_path / "study.log"
    code = [
        "-c",
        f"import sys; sys.path.insert(0, {os.path.dirname(os.path.dirname(__file__))!r})\n{KILLED}",
        str(path),
    ]
    assert subprocess.run([sys.executable, *code], check=False).returncode == -9
    assert not path.read_bytes().endswith(b"\n")
    assert told(tune_table(TABLE, BASE, trials=9, space=SPACE, study=path)) == told(whole)


def test_the_test_part_is_never_read(whole):
    changed = TABLE.copy()
    changed.loc[TEST:, ["load", "heat"]] = np.random.default_rng(1).normal(1e6, 1e3, size=(ROWS - TEST, 2))
    assert told(tune_table(changed, BASE, trials=6, space=SPACE)) == told(whole)[:6]
    changed = TABLE.copy()  # control
    changed.loc[TEST - 1, "load"] += 1
    assert told(tune_table(changed, BASE, trials=1, space=SPACE)) != told(whole)[:1]


def test_another_seed_gives_another_study(whole):
    other = tune_table(TABLE, BASE.replace({"training.seed": 1}), trials=2, space=SPACE)
    assert told(other)[0] == told(whole)[0]
    assert other.trials[1].parameters != whole.trials[1].parameters


def test_a_study_of_something_else_is_refused_by_what_differs(tmp_path):
    path = tmp_path / "study.log"
    tune_table(TABLE, BASE, trials=1, space=SPACE, study=path)
    lines = path.read_bytes()
    changed = TABLE.copy()
    changed.loc[0, "load"] += 1
    moved = {**SPACE, "data.train_fraction": Range(0.5, 1.0)}
    for table, base, space, folds, named in [
        (changed, BASE, SPACE, 3, "the rows before the test part"),
        (TABLE, BASE.replace({"embedding.level": 1}), SPACE, 3, r"embedding\.level 1 \(not 2\)"),
        (TABLE, BASE, moved, 3, r"the search of data\.train_fraction: {'low': 0.5"),
        (TABLE, BASE, {"data.context": (12,)}, 3, r"the search of model\.closed_form: none"),
        (TABLE, BASE, SPACE, 2, r"folds 2 \(not 3\)"),
    ]:
        with pytest.raises(ConfigError, match=named):
            tune_table(table, base, trials=2, space=space, folds=folds, study=path)
    assert path.read_bytes() == lines
    tune_table(TABLE, BASE.replace({"training.device": "cpu"}), trials=1, space=SPACE, study=path)  # the same results


@pytest.mark.parametrize("left", [b"", b'{"op_code"', b'{"op_code":0,"worker'])
def test_what_a_process_killed_while_it_creates_a_study_leaves_is_a_new_study(whole, tmp_path, left):
    path = tmp_path / "study.log"
    path.write_bytes(left)
    assert told(tune_table(TABLE, BASE, trials=2, space=SPACE, study=path)) == told(whole)[:2]


def test_other_files_are_refused_and_stay(tmp_path):
    path = tmp_path / "study.log"
    for content in (b"x,y\n1,2\n", b"\0" * 100):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is not a study of swt-time"):
            tune_table(TABLE, BASE, trials=1, space=SPACE, study=path)
        assert path.read_bytes() == content
    path.write_bytes(b'{"op_code":0,"x":1}\n')
    with pytest.raises(InputError, match="cannot read the study"):
        tune_table(TABLE, BASE, trials=1, space=SPACE, study=path)
    with pytest.raises(InputError, match="it is a folder"):
        tune_table(TABLE, BASE, trials=1, space=SPACE, study=tmp_path)
    path.unlink()
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    other = optuna.create_study(storage=optuna.storages.JournalStorage(backend), study_name="swt-time")
    other.add_trial(optuna.trial.create_trial(value=0.0))
    with pytest.raises(InputError, match="that swt-time has not made"):
        tune_table(TABLE, BASE, trials=1, space=SPACE, study=path)
    path.unlink()
    tune_table(TABLE, BASE, trials=1, space=SPACE, study=path)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    optuna.load_study(study_name="swt-time", storage=optuna.storages.JournalStorage(backend)).ask()
    with pytest.raises(InputError, match="that swt-time has not made"):
        tune_table(TABLE, BASE, trials=2, space=SPACE, study=path)


def test_two_processes_do_not_share_a_study(tmp_path):
    path, refused = tmp_path / "study.log", []

    def second(trial):
        with pytest.raises(InputError, match="another process uses the study"):
            tune_table(TABLE, BASE, trials=2, space=SPACE, study=path)
        refused.append(trial.number)

    tune_table(TABLE, BASE, trials=1, space=SPACE, study=path, report=second)
    assert refused == [0]


def test_a_study_can_be_opened_by_optuna(tmp_path):
    path = tmp_path / "study.log"
    found = tune_table(TABLE, BASE, trials=2, space=SPACE, study=path)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    loaded = optuna.load_study(study_name="swt-time", storage=storage)
    assert [one.value for one in loaded.trials] == [one.error for one in found.trials]
    assert [one.params for one in loaded.trials] == [dict(one.parameters) for one in found.trials]


def test_a_trial_that_fails_is_recorded_and_the_study_goes_on(tmp_path, monkeypatch):
    path, fit = tmp_path / "study.log", Folds.errors

    def failing(self, config, fold):
        if config.data.steps == 12:
            raise MemoryError("cannot allocate\n4 GiB")
        return fit(self, config, fold)

    monkeypatch.setattr(Folds, "errors", failing)
    space = {"data.context": (12, 200, 48)}  # 200 rows are more than lie before the first block
    for trials in (4, 8):
        found = tune_table(TABLE, BASE, trials=trials, space=space, study=path)
    failed = {one.parameters["data.context"]: one.message for one in found.trials if one.state == "failed"}
    assert failed["12"] == "cannot allocate"
    assert failed["200"].startswith("on the rows before held-out block 1 of 3: too few rows")
    assert [one.number for one in found.trials] == list(range(8))
    assert found.best.state == "finished"


def test_a_base_that_fails_is_an_error_that_leaves_no_file(tmp_path):
    path = tmp_path / "study.log"
    with pytest.raises(TableError, match=r"before held-out block 1 of 3: too few rows"):
        tune_table(TABLE, BASE.replace({"data.context": 220}), trials=2, space=SPACE, study=path)
    assert not path.exists()


def test_too_many_folds_are_refused():
    with pytest.raises(TableError, match=r"have 9 held-out blocks .* 20 are asked for.* at most 9"):
        tune_table(TABLE, BASE, trials=1, space=SPACE, folds=20)
    with pytest.raises(ConfigError, match="at least 2"):
        tune_table(TABLE, BASE, trials=1, space=SPACE, folds=1)
    with pytest.raises(ConfigError, match="at least 1"):
        tune_table(TABLE, BASE, trials=0, space=SPACE)


def test_a_clear_gain_is_recommended():
    """A context of four rows does not see the season."""
    poor = BASE.replace({"data.context": 4, "embedding.level": 1, "embedding.patch_len": 4, "embedding.stride": 4})
    found = tune_table(make_table(600), poor, trials=5, space={"data.context": (48,)})
    assert found.clear
    assert found.config == found.best_config == poor.replace({"data.context": 48})
    assert found.base == poor


def test_a_split_without_a_test_part_says_so():
    found = tune_table(TABLE, BASE.replace({"data.split": "none"}), trials=1, space=SPACE)
    assert "data.split none has no test part" in found.lines()[-1]
    assert [split_before(one) for one in ("none", "auto", "0.6/0/0.4")] == ["none", "auto", "1/0/0"]


def test_a_warning_is_shown_once():
    """Every fit warns that its branch cannot be judged, because the rows before a block are few."""
    base = BASE.replace({"training.max_steps": 1, "data.split": "0.75/0.05/0.2"})
    with pytest.warns(SWTTimeWarning) as caught:
        found = tune_table(TABLE, base, trials=2, space={"model.closed_form": ((),)})
    assert sum(len(one.folds) for one in found.trials) >= 4
    assert ["the branch is not trained" in str(one.message) for one in caught] == [True]


def test_series_that_the_base_leaves_out_are_not_judged():
    long = TABLE.melt("date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})
    mixed = long[(long["unique_id"] == "load") | (long["ds"] < long["ds"].iloc[60])]  # 48 rows before the test part
    wider = BASE.replace({"data.context": 44})
    with pytest.warns(SWTTimeWarning, match="1 of 2 series are too short and left out: 'heat'"):
        found = tune_table(mixed, wider, trials=1, space=SPACE)
    assert told(found) == told(tune_table(long[long["unique_id"] == "load"], wider, trials=1, space=SPACE))


def test_optuna_says_nothing_and_keeps_the_settings_of_the_host(capfd):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tune_table(TABLE, BASE, trials=2, space=SPACE)
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'swt-time\[tune\]'"):
        tune_table(TABLE, BASE)


def test_a_disk_that_is_full_is_a_typed_error(tmp_path, monkeypatch):
    path = tmp_path / "study.log"
    tune_table(TABLE, BASE, trials=1, space=SPACE, study=path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SWTTimeError, match=r"cannot add a trial to the study .*: No space left on device"):
        tune_table(TABLE, BASE, trials=2, space=SPACE, study=path)
