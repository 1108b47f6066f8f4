"""Stop and resume: a resumed run ends with the same bits as one that was never stopped."""

import csv
import dataclasses
import math
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from support import trust
from support.models import TINY
from swt_time import Forecaster
from swt_time.checkpoints.checkpoint import read_checkpoint
from swt_time.checkpoints.locking import locked
from swt_time.checkpoints.run_state import FOLDER, SavedRun, read_run, write_run
from swt_time.checkpoints.storage import Location, replace_files
from swt_time.errors import CheckpointError, ConfigError, SaveError, SWTTimeWarning
from swt_time.language.backbone import BackboneIdentity
from swt_time.training import Plan, Step, Validation
from swt_time.training.loop import _Run

OPTIONS = {
    "horizon": 12,
    "context": 48,
    **TINY,
    "validation_windows": 16,
    "max_steps": 60,  # an epoch has 47 steps, so STOPS are in the middle of the first and of the second epoch
    "validate_every": 10,
    "learning_rate": 0.01,
    "model": {"dropout": 0.3, "attention_dropout": 0.2, "skip": "linear"},
}
STOPS = (1, 3, 17, 30, 53)
CLOCK = ("windows_per_second", "seconds")


def make(backbone="none", **changes):
    options = {key: value for key, value in OPTIONS.items() if not isinstance(value, dict)}
    return Forecaster(backbone=str(backbone), **{**options, "model": OPTIONS["model"], **changes})


def fit_and_stop(forecaster, table, folder, step, **options):
    """Fit in a folder, stopped by SIGTERM at the end of a step."""
    signals = []

    def report(event):
        if isinstance(event, Step) and event.step == step:
            signals.append(step)
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as stopped:
        forecaster.fit(table, out=folder, report=report, **options)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert signals == [step]
    assert (forecaster.result.ended, forecaster.result.steps) == ("interrupted", step)
    assert read_run(folder).state.progress["steps"] == step
    return forecaster


def history(forecaster):
    return [
        {key: value for key, value in dataclasses.asdict(row).items() if key not in CLOCK}
        for row in forecaster.result.history
    ]


def assert_equal_runs(one, other, first, second):
    """Assert equal weights, losses and outcomes, bit for bit."""
    assert history(one) == history(other)
    outcome = [(f.result.steps, f.result.best_step, f.result.best_loss, f.result.ended) for f in (one, other)]
    assert outcome[0] == outcome[1]
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert not (second / FOLDER).exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, hourly_wide):
    """A run that was never stopped, and its folder."""
    folder = tmp_path_factory.mktemp("whole") / "m"
    return make().fit(hourly_wide, out=folder), folder


@pytest.fixture
def stopped(tmp_path, hourly_wide):
    """The folder of the same run, stopped at step 17."""
    fit_and_stop(make(), hourly_wide, tmp_path / "m", 17)
    return tmp_path / "m"


def test_resumed_run_ends_with_the_same_bits(tmp_path, hourly_wide, tiny_backbones, whole):
    command = "python -m pytest tests/checkpoints/test_run.py"
    for name, backbone, shorter, stops in (
        ("none", "none", {}, STOPS),
        ("gpt2", tiny_backbones["gpt2"], {"max_steps": 20, "validate_every": 5}, (1, 3, 9, 10, 17)),
        ("none with a ridge skip", "none", {"model": {**OPTIONS["model"], "skip": "ridge"}, "max_steps": 20}, (1, 12)),
    ):
        reference = whole
        if shorter:
            reference = (make(backbone, **shorter).fit(hourly_wide, out=tmp_path / name), tmp_path / name)
        passed = 0
        for step in stops:
            folder = tmp_path / f"{name} {step}"
            fit_and_stop(make(backbone, **shorter), hourly_wide, folder, step)
            torch.rand(7)  # the state of the global generator must not matter
            again = make(backbone, **shorter).fit(hourly_wide, out=folder, resume=True)
            assert_equal_runs(reference[0], again, reference[1], folder)
            passed += 1
        claim = f"a resumed run (dropout on, backbone {name}) equals an uninterrupted run, bit for bit"
        trust.record("trust_resume.csv", "exact resume", claim, len(stops), passed, command)


@pytest.mark.parametrize("step", [1, 12])
def test_resumed_run_of_quantiles_ends_with_the_same_bits(tmp_path, hourly_wide, step):
    options = {"loss": "quantile", "max_steps": 20, "model": {**OPTIONS["model"], "skip": "ridge"}}
    reference = make(**options).fit(hourly_wide, out=tmp_path / "whole")
    assert reference.model.gate.item() > 0
    fit_and_stop(make(**options), hourly_wide, tmp_path / "cut", step)
    again = make(**options).fit(hourly_wide, out=tmp_path / "cut", resume=True)
    assert_equal_runs(reference, again, tmp_path / "whole", tmp_path / "cut")


def test_state_of_the_generator_matters(whole, hourly_wide, stopped):
    """Control of the test above: a run resumed with another state of the random generator ends differently."""
    saved = read_run(stopped)
    with torch.random.fork_rng():
        torch.manual_seed(99)
        tensors = {**saved.state.tensors, "random/cpu": torch.get_rng_state()}
    state = dataclasses.replace(saved.state, tensors=tensors)
    write_run(stopped, dataclasses.replace(saved, state=state))
    again = make().fit(hourly_wide, out=stopped, resume=True)
    assert (again.result.ended, again.result.steps) == ("finished", 60)
    assert history(again) != history(whole[0])


def test_run_stopped_at_validations_and_between_them(whole, hourly_wide, tmp_path):
    for step in (10, 14, 15, 20, 60):
        # The last signal arrives at the last step, before its validation.
        fit_and_stop(make(), hourly_wide, tmp_path / "m", step, resume=step > 10)
    again = make().fit(hourly_wide, out=tmp_path / "m", resume=True)
    assert_equal_runs(whole[0], again, whole[1], tmp_path / "m")


@pytest.mark.parametrize("every", [7, 1, 1000])
def test_state_is_saved_as_often_as_configured(hourly_wide, tmp_path, every, whole):
    seen = {}

    def report(event):
        if isinstance(event, Step):
            state = read_run(tmp_path / "m").state
            seen[event.step] = None if state is None else state.progress["steps"]

    forecaster = make(checkpoint_every=every).fit(hourly_wide, out=tmp_path / "m", report=report)
    # The state at the end of a step is the one that was saved before the step began.
    assert seen == {step: (step - 1) // every * every or None for step in range(1, 61)}
    assert history(forecaster) == history(whole[0])


def test_early_stopping_counts_validations_before_the_stop(hourly_wide, tmp_path):
    options = {"patience": 2, "validate_every": 4, "learning_rate": 1.0, "max_steps": 200}
    reference = make(**options).fit(hourly_wide, out=tmp_path / "whole")
    assert reference.result.ended == "early stopping"
    stop = reference.result.steps - 3  # between the two validations without improvement
    fit_and_stop(make(**options), hourly_wide, tmp_path / "m", stop)
    assert read_run(tmp_path / "m").state.progress["bad_rounds"] == 1
    again = make(**options).fit(hourly_wide, out=tmp_path / "m", resume=True)
    assert_equal_runs(reference, again, tmp_path / "whole", tmp_path / "m")


def test_losses_that_overflowed_are_restored(hourly_wide, tmp_path, monkeypatch):
    losses = {10: math.inf, 20: 0.5, 30: math.nan, 40: 0.4, 50: 0.6, 60: 0.7}
    monkeypatch.setattr(_Run, "_validation_loss", lambda run, *_: losses.get(run.result.steps, 1.0))
    fit_and_stop(make(), hourly_wide, tmp_path / "m", 33)
    again = make().fit(hourly_wide, out=tmp_path / "m", resume=True)
    assert str([row.validation_loss for row in again.result.history]) == "[inf, 0.5, nan, 0.4, 0.6, 0.7]"
    assert again.result.best_step == 40


def test_time_budget_includes_the_training_before_the_stop(hourly_wide, tmp_path):
    options = {"max_steps": 1_000_000, "max_seconds": 3.0, "patience": None}
    events = []
    fit_and_stop(make(**options), hourly_wide, tmp_path / "m", 40)
    spent = read_run(tmp_path / "m").state.progress["seconds"]
    again = make(**options).fit(hourly_wide, out=tmp_path / "m", resume=True, report=events.append)
    assert any(isinstance(event, Plan) for event in events)
    assert again.result.steps > 40
    assert again.result.ended in ("finished", "time budget")
    assert again.result.seconds > spent > 0
    assert min(event.seconds for event in events if isinstance(event, Validation)) > spent


def test_run_without_a_state_starts_from_the_beginning_with_a_warning(whole, hourly_wide, tmp_path):
    (tmp_path / "m" / FOLDER / ".new").mkdir(parents=True)  # killed while its first state was being written
    (tmp_path / "m" / FOLDER / ".new" / "state.safetensors").write_bytes(b"half")
    with pytest.warns(SWTTimeWarning, match="no training state has been completed in .* starts from the beginning"):
        again = make().fit(hourly_wide, out=tmp_path / "m", resume=True)
    assert_equal_runs(whole[0], again, whole[1], tmp_path / "m")


def test_run_killed_between_checkpoint_and_first_state_starts_from_the_beginning(whole, hourly_wide, stopped):
    shutil.rmtree(stopped / FOLDER)
    with pytest.warns(SWTTimeWarning, match="starts from the beginning"):
        again = make().fit(hourly_wide, out=stopped, resume=True)
    assert_equal_runs(whole[0], again, whole[1], stopped)


def test_run_that_has_ended_is_loaded_and_unchanged(whole, hourly_wide):
    forecaster, folder = whole
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.warns(SWTTimeWarning, match=r"has ended \(finished after 60 steps\): nothing to resume"):
        again = make().fit(hourly_wide, out=folder, resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert history(again) == history(forecaster)
    pd.testing.assert_frame_equal(again.predict(hourly_wide), forecaster.predict(hourly_wide), check_exact=True)


def test_rest_of_a_partly_removed_state_is_removed(whole, hourly_wide, tmp_path):
    shutil.copytree(whole[1], tmp_path / "m")
    (tmp_path / "m" / FOLDER).mkdir()
    (tmp_path / "m" / FOLDER / "state.safetensors").write_bytes(b"left")
    with pytest.warns(SWTTimeWarning, match="nothing to resume"):
        make().fit(hourly_wide, out=tmp_path / "m", resume=True)
    assert not (tmp_path / "m" / FOLDER).exists()


@pytest.mark.parametrize("ended", [False, True], ids=["stopped", "ended"])
def test_other_configuration_is_refused_by_its_keys(hourly_wide, stopped, whole, ended):
    folder = whole[1] if ended else stopped
    with pytest.raises(CheckpointError) as refused:
        make(seed=5, wavelet="haar").fit(hourly_wide, out=folder, resume=True)
    assert "started with embedding.wavelet 'db4' (not 'haar'), training.seed 0 (not 5); repeat" in str(refused.value)


@pytest.mark.parametrize("ended", [False, True], ids=["stopped", "ended"])
def test_other_table_is_refused(hourly_wide, stopped, whole, ended):
    changed = hourly_wide.copy()
    changed.loc[3, "load"] = np.nextafter(changed.loc[3, "load"], np.inf)
    with pytest.raises(CheckpointError, match="was started with another table"):
        make().fit(changed, out=whole[1] if ended else stopped, resume=True)


def test_other_backbone_is_refused(hourly_wide, stopped):
    saved = read_run(stopped)
    write_run(stopped, dataclasses.replace(saved, backbone=BackboneIdentity("none", "gpt2", 2, "0" * 64)))
    message = "was started with the backbone 'none' with weights 000000000000, not with none; provide"
    with pytest.raises(CheckpointError, match=message):
        make().fit(hourly_wide, out=stopped, resume=True)


def test_state_of_another_model_is_refused(hourly_wide, stopped):
    saved: SavedRun = read_run(stopped)
    for change, text in [
        ({"optimizer/exp_avg/head.linear.bias": torch.zeros(3)}, "head.linear.bias is not what AdamW keeps"),
        ({"best/tail": torch.zeros(3)}, "unknown tail"),
        ({"weights/head.linear.bias": torch.full((12,), torch.nan)}, "not finite"),
    ]:
        state = dataclasses.replace(saved.state, tensors={**saved.state.tensors, **change})
        write_run(stopped, dataclasses.replace(saved, state=state))
        with pytest.raises(CheckpointError, match=text):
            make().fit(hourly_wide, out=stopped, resume=True)
    for change, text in [
        ({"steps": "many"}, "steps: "),
        ({"total_steps": 10**12}, "total_steps: expected at most 60, got 1000000000000"),
        ({"seconds": -1e9}, "seconds: "),
    ]:
        state = dataclasses.replace(saved.state, progress={**saved.state.progress, **change})
        write_run(stopped, dataclasses.replace(saved, state=state))
        with pytest.raises(CheckpointError, match=f"the training state is damaged: {text}"):
            make().fit(hourly_wide, out=stopped, resume=True)


def test_state_is_refused_before_any_step_and_left_as_it_is(hourly_wide, stopped):
    saved = read_run(stopped)
    random = torch.full_like(saved.state.tensors["random/cpu"], 0xA5)
    state = dataclasses.replace(saved.state, tensors={**saved.state.tensors, "random/cpu": random})
    write_run(stopped, dataclasses.replace(saved, state=state))
    before = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    events = []
    with pytest.raises(CheckpointError, match="the state of the random generator cannot be restored"):
        make().fit(hourly_wide, out=stopped, resume=True, report=events.append)
    assert events == []
    assert {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()} == before


def test_configuration_larger_than_its_weights_is_refused_before_memory_is_allocated(stopped):
    saved = read_run(stopped)
    config = saved.config.replace({"embedding.d_model": 2**14})
    write_run(stopped, dataclasses.replace(saved, config=config))
    with pytest.raises(CheckpointError, match=r"its sizes need at least [\d,]+ weights, it holds [\d,]+"):
        read_run(stopped)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"config": {}, "backbone": 3}', b"[" * 9000])
def test_malformed_state_is_refused(stopped, text):
    names = ("progress.json", "state.safetensors")
    content = {name: (stopped / FOLDER / name).read_bytes() for name in names}
    replace_files(Location(stopped, FOLDER), {"run.json": text, **content}, "state")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_run(stopped)


def test_checkpoint_without_a_record_of_its_training_is_not_resumed(hourly_wide, tmp_path, whole):
    content = {path.name: path.read_bytes() for path in whole[1].iterdir() if path.name != "manifest.json"}
    provenance = content["provenance.json"].replace(b'"training"', b'"other"')
    assert provenance != content["provenance.json"]
    replace_files(Location(tmp_path / "m"), {**content, "provenance.json": provenance}, "checkpoint")
    with pytest.raises(CheckpointError, match="does not record how it was trained"):
        make().fit(hourly_wide, out=tmp_path / "m", resume=True)


def test_folder_without_a_manifest_is_not_overwritten(hourly_wide, tmp_path, whole):
    shutil.copytree(whole[1], tmp_path / "m")
    (tmp_path / "m" / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"incomplete: manifest\.json missing"):
        make().fit(hourly_wide, out=tmp_path / "m", resume=True)


def test_new_run_replaces_the_state_of_the_previous_one(hourly_wide, stopped):
    fit_and_stop(make(seed=5), hourly_wide, stopped, 3)
    assert read_run(stopped).config.training.seed == 5
    forecaster = make(seed=6, max_steps=2).fit(hourly_wide)
    forecaster.save(stopped, overwrite=True)
    assert read_run(stopped) is None


def test_resuming_without_a_folder_is_an_error(hourly_wide):
    with pytest.raises(ConfigError, match="pass out=folder as well"):
        make().fit(hourly_wide, resume=True)


def test_locked_folder_is_refused(hourly_wide, stopped, whole):
    with locked(stopped):
        for attempt in (
            lambda: make().fit(hourly_wide, out=stopped),
            lambda: make().fit(hourly_wide, out=stopped, resume=True),
            lambda: whole[0].save(stopped, overwrite=True),
        ):
            with pytest.raises(CheckpointError, match=f"another process \\(pid {os.getpid()}\\) is writing"):
                attempt()


def test_failed_save_ends_the_run_and_keeps_what_was_saved_before(hourly_wide, stopped, whole, monkeypatch):
    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    former = read_run(stopped).state.progress, (stopped / "model.safetensors").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(SaveError, match="No space left on device"):
            make().fit(hourly_wide, out=stopped, resume=True)
    assert (read_run(stopped).state.progress, (stopped / "model.safetensors").read_bytes()) == former
    again = make().fit(hourly_wide, out=stopped, resume=True)
    assert_equal_runs(whole[0], again, whole[1], stopped)


def test_refused_run_leaves_no_folder(tmp_path, hourly_wide):
    with pytest.raises(ConfigError):
        make(level=9).fit(hourly_wide, out=tmp_path / "deep" / "m")
    assert list(tmp_path.iterdir()) == []


def test_equal_runs_write_equal_weight_files(whole, hourly_wide, tmp_path):
    make().fit(hourly_wide, out=tmp_path / "m")
    for name in ("model.safetensors", "config.json", "scaler.json"):
        assert (whole[1] / name).read_bytes() == (tmp_path / "m" / name).read_bytes()


def test_history_file_covers_the_training_before_and_after_the_stop(stopped, hourly_wide, whole):
    make().fit(hourly_wide, out=stopped, resume=True)
    tables = []
    for folder in (whole[1], stopped):
        with (folder / "history.csv").open(newline="") as file:
            tables.append([{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)])
    assert tables[0] == tables[1]
    assert len(tables[0]) == 6


def test_checkpoint_of_a_stopped_run_holds_its_best_weights(stopped):
    checkpoint = read_checkpoint(stopped)
    assert checkpoint.provenance["training"]["ended"] == "interrupted"
    best = {f"best/{name}": w for name, w in load_file(stopped / "model.safetensors").items()}
    saved = read_run(stopped).state.tensors
    assert best.keys() == {name for name in saved if name.startswith("best/")} != set()
    assert all(torch.equal(saved[name], weight) for name, weight in best.items())


SCRIPT = """
import os, signal, sys
import numpy as np, pandas as pd
from swt_time import Forecaster
from swt_time.training import Step

hours = np.arange(300)
table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=300, freq="h"), "y": np.sin(hours / 4)})
number = getattr(signal, sys.argv[1])
done = []

def report(event):
    if isinstance(event, Step) and event.step == 2 and len(done) == 1:
        os.kill(os.getpid(), number)

for i in range(3):
    forecaster = Forecaster(12, 48, "none", max_steps=5, model={"skip": "linear"}, level=2)
    try:
        forecaster.fit(table, out=f"{sys.argv[2]}/{i}", report=report)
    except KeyboardInterrupt:
        print("KeyboardInterrupt", len(done))
        raise
    done.append(i)
print("all done")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_script_that_fits_in_a_loop(name, tmp_path):
    script = tmp_path / "script.py"  # what `python -c` exits with after SIGINT depends on the release of Python
    script.write_text(SCRIPT)
    words = [sys.executable, str(script), name, str(tmp_path / "runs")]
    run = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert "all done" not in run.stdout
    if name == "SIGINT":
        assert run.stdout == "KeyboardInterrupt 1\n"
        assert run.returncode in (-signal.SIGINT, 130)
    else:
        assert run.returncode == 128 + signal.SIGTERM
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"0", "1"}
    assert read_run(tmp_path / "runs" / "1").state.progress["steps"] == 2
