"""A run that is killed before its first save is started again by ``--resume`` alone, with the options asked for."""

import contextlib
import os
import shutil
import signal

import pandas as pd
import pytest

from support.backbones import save_tiny_backbone
from swt_time import Forecaster
from swt_time.checkpoints.checkpoint import read_checkpoint
from swt_time.checkpoints.run_state import read_run
from swt_time.errors import CheckpointError, ConfigError, SWTTimeError, SWTTimeWarning
from swt_time.training import Step

SETTINGS = (
    "embedding.d_model=8 embedding.level=2 model.d_ff=8 model.n_heads=2 model.n_prototypes=16 model.dropout=0.3 "
    "model.skip=linear training.batch_size=16 training.validate_every=5 training.max_steps=10"
)
"""Without a ridge skip, whose closed form is validated and saved before the first step."""

KILL = """
import os, signal, sys
from swt_time.model import building
from swt_time.training import loop

def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
"""
MOMENTS = {
    "build": """
build = building.build_model
for module in list(sys.modules.values()):
    if vars(module).get("build_model") is build:
        module.build_model = kill
""",
    "step": """
step = loop._Run._step
loop._Run._step = lambda self, number: kill() if number == 3 else step(self, number)
""",
}
"""Code that kills the process while the model is built, or before the fourth step."""


def command(table, out, *more):
    words = ["train", "--data", table, "--out", out, "--horizon", 12, "--context", 48, "--seed", 3]
    words += [word for setting in SETTINGS.split() for word in ("--set", setting)]
    return [str(word) for word in (*words, *more)]


def kill(swt_time, moment, words):
    """Run a command in a process of its own that is killed at one of the `MOMENTS`."""
    run = swt_time(*words, check=False, before=KILL + MOMENTS[moment])
    assert run.returncode == -signal.SIGKILL, run.stderr


@pytest.fixture(scope="module")
def root(tmp_path_factory, hourly_wide):
    folder = tmp_path_factory.mktemp("killed")
    hourly_wide.to_csv(folder / "table.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def whole(root, swt_time):
    """The weights of a run that was not killed."""
    swt_time(*command(root / "table.csv", root / "whole", "--backbone", "none"))
    return (root / "whole" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("moment", ["build", "step"])
def test_resume_alone_continues_a_killed_run(root, swt_time, whole, moment):
    out, table = root / moment, root / "table.csv"
    kill(swt_time, moment, command(table, out, "--backbone", "none"))
    assert sorted(path.name for path in out.iterdir()) == [".lock", ".training"]
    run = swt_time("train", "--data", table, "--out", out, "--resume")
    assert "no training state has been completed" in run.stderr
    assert "finished after 10 steps" in run.stdout
    assert (out / "model.safetensors").read_bytes() == whole
    assert read_checkpoint(out).config == read_checkpoint(root / "whole").config
    assert not (out / ".training").exists()


def test_a_killed_run_with_a_language_model_is_continued_from_another_folder(root, swt_time):
    """A relative name of a backbone is recorded as an absolute one."""
    save_tiny_backbone(root / "bert", "bert")
    swt_time(*command(root / "table.csv", root / "bert-whole", "--backbone", root / "bert"))
    with contextlib.chdir(root):
        kill(swt_time, "step", command("table.csv", "bert-killed", "--backbone", "bert"))
    swt_time("train", "--data", root / "table.csv", "--out", root / "bert-killed", "--resume")
    for name in ("model.safetensors", "config.json"):
        assert (root / "bert-killed" / name).read_bytes() == (root / "bert-whole" / name).read_bytes()


@pytest.mark.parametrize("moment", ["build", "step"])
def test_a_killed_run_replaces_the_former_one_in_its_folder(root, swt_time, whole, moment):
    """Neither a checkpoint nor the state of a former run is continued."""
    out, table = root / f"former-{moment}", root / "table.csv"
    swt_time(*command(table, out, "--backbone", "none", "--set", "embedding.wavelet=haar"))
    kill(swt_time, moment, command(table, out, "--backbone", "none", "--overwrite"))
    swt_time("train", "--data", table, "--out", out, "--resume")
    assert (out / "model.safetensors").read_bytes() == whole


def test_a_killed_run_is_not_resumed_with_other_options_or_tables(root, swt_time):
    out, table = root / "other", root / "table.csv"
    kill(swt_time, "step", command(table, out, "--backbone", "none"))
    run = swt_time("train", "--data", table, "--out", out, "--resume", "--seed", 5, check=False)
    assert run.returncode == 2
    assert "was started with --seed 3 (not 5)" in run.stderr
    pd.read_csv(table).iloc[:-1].to_csv(root / "shorter.csv", index=False)
    run = swt_time("train", "--data", root / "shorter.csv", "--out", out, "--resume", check=False)
    assert run.returncode == 2
    assert "was started with another table" in run.stderr


def test_resume_alone_where_no_run_was_started_is_an_error(root, swt_time, tmp_path):
    run = swt_time("train", "--data", root / "table.csv", "--out", tmp_path / "new", "--resume", check=False)
    assert run.returncode == 2
    assert run.stderr == (
        f"error: --resume: no run was started in {tmp_path / 'new'} yet; give the options of the run to start\n"
    )
    assert not (tmp_path / "new").exists()


OPTIONS = {"horizon": 12, "context": 48, "d_model": 8, "level": 2, "batch_size": 16, "model": {"skip": "linear"}}


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def make(**changes):
    return Forecaster(backbone="none", **{**OPTIONS, "max_steps": 20, "validate_every": 5, **changes})


def stopping(step, what):
    """A report that does something at the end of a step."""

    def report(event):
        if isinstance(event, Step) and event.step == step:
            what()

    return report


def fail():
    raise SWTTimeError("the training loss became nan")


def test_a_run_that_fails_before_its_first_save_leaves_nothing(tmp_path, hourly_wide):
    with pytest.raises(SWTTimeError, match="became nan"):
        make().fit(hourly_wide, out=tmp_path / "deep" / "m", report=stopping(3, fail))
    assert list(tmp_path.iterdir()) == []


def test_a_refused_run_leaves_the_state_of_a_stopped_one(tmp_path, hourly_wide):
    make().fit(hourly_wide, out=tmp_path / "whole")
    with contextlib.suppress(SystemExit):
        make().fit(hourly_wide, out=tmp_path / "m", report=stopping(7, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    shutil.copytree(tmp_path / "m", tmp_path / "copy")
    before = read_run(tmp_path / "m").state.progress
    assert before["steps"] == 7
    for forecaster, options in ((make(level=9), {}), (make(seed=5), {"report": stopping(3, fail)})):
        with pytest.raises((ConfigError, SWTTimeError)):
            forecaster.fit(hourly_wide, out=tmp_path / "m", **options)
        assert read_run(tmp_path / "m").state.progress == before
    make().fit(hourly_wide, out=tmp_path / "m", resume=True)
    assert weights(tmp_path / "m") == weights(tmp_path / "whole")
    # A damaged state is replaced.
    path = tmp_path / "copy" / ".training" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="not what was written"):
        make().fit(hourly_wide, out=tmp_path / "copy", resume=True)
    make().fit(hourly_wide, out=tmp_path / "copy")
    assert weights(tmp_path / "copy") == weights(tmp_path / "whole")


def test_a_run_interrupted_by_the_keyboard_before_its_first_step_can_be_resumed(tmp_path, hourly_wide, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    make().fit(hourly_wide, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("swt_time.model.building.build_model", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make().fit(hourly_wide, out=tmp_path / "m")
    assert read_run(tmp_path / "m").config == make().config
    with pytest.raises(CheckpointError, match=r"was started with training\.seed 0"):
        make(seed=5).fit(hourly_wide, out=tmp_path / "m", resume=True)
    with pytest.warns(SWTTimeWarning, match="starts from the beginning"):
        make().fit(hourly_wide, out=tmp_path / "m", resume=True)
    assert weights(tmp_path / "m") == weights(tmp_path / "whole")
