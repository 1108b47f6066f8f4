"""Forecasters and commands in several processes: only the first writes, all end together, and nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.models import TINY
from support.several import Launch, command, in_processes, launcher_variables
from support.several_cases import covariates, fit, of_forecasters, table
from swt_time import ConfigError, Forecaster
from swt_time.checkpoints import read_checkpoint, read_run
from swt_time.cli import run
from swt_time.processes import joined

OPTIONS = TINY | {"horizon": 12, "context": 48, "max_steps": 6, "validate_every": 3, "model": {"dropout": 0.0}}
SETTINGS = (
    "embedding.d_model=8 embedding.level=2 model.d_ff=8 model.n_heads=2 model.n_prototypes=16 training.batch_size=16 "
    "model.dropout=0 model.skip=linear training.checkpoint_every=2 backbone.precision=float32"
)


@pytest.fixture(scope="module")
def trained(tiny_backbones):
    """Options of a network with a tiny random GPT-2 whose weights do change."""
    return OPTIONS | {"backbone": str(tiny_backbones["gpt2"]), "skip": "linear"}


@pytest.fixture(scope="module")
def alone(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return {
        "trained": fit(table(), folder / "trained", trained),
        "automatic": fit(covariates(), folder / "automatic", {"horizon": 12, "known": ("c",)}),
    }


@pytest.fixture(scope="module")
def two(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return folder, in_processes(2, of_forecasters, folder, trained, {"horizon": 12, "known": ("c",)}, True)


@pytest.mark.parametrize(("name", "tolerance"), [("trained", 1e-3), ("automatic", 1e-9)])
def test_a_fit_gives_all_processes_the_forecaster_of_one(alone, two, name, tolerance):
    """A network with a language model; and what is chosen on held-out blocks, with the effect of a covariate."""
    expected, config, result, choice, _ = alone[name]
    (first, *_), (other, *_) = (one[name] for one in two[1])
    pd.testing.assert_frame_equal(other, first)
    pd.testing.assert_frame_equal(first, expected, rtol=tolerance, atol=tolerance)
    for _, same, ended, chosen, _ in (one[name] for one in two[1]):
        assert same == config
        assert (ended.steps, ended.ended) == (result.steps, result.ended)
        assert (chosen and chosen.weights) == (choice and choice.weights)


@pytest.mark.parametrize("name", ["trained", "automatic"])
def test_only_the_first_process_calls_callbacks(alone, two, name):
    (*_, first), (*_, other) = (one[name] for one in two[1])
    assert first == alone[name][-1]
    assert first[0] == "begin"
    assert first[-1] == "end"
    assert other == []


def test_only_the_first_process_writes(two):
    folder, _ = two
    for name in ("trained", "automatic"):
        assert sorted(path.name for path in (folder / name).iterdir()) == ["of-0", "saved-by-0"]
        names = {path.name for path in (folder / name / "of-0").iterdir()}
        assert names == {path.name for path in (folder / name / "saved-by-0").iterdir()}, (
            "neither lock nor state is left"
        )
        read_checkpoint(folder / name / "of-0")


def test_a_run_that_has_ended_is_loaded_by_all(two):
    for one in two[1]:
        pd.testing.assert_frame_equal(one["ended"][0], two[1][0]["trained"][0])
        assert one["ended"][2].steps == 6


def test_other_tables_are_refused_in_all(two):
    for one in two[1]:
        assert one["tables"] == (
            "1 of 2 processes have other tables than the first; start every process with the same command on the same "
            "files"
        )


@pytest.fixture
def words(tiny_backbones, tmp_path):
    """A command that trains for longer than the tests wait."""
    table().to_csv(tmp_path / "table.csv", index=False)
    shape = ("--horizon", 12, "--context", 48, "--backbone", tiny_backbones["gpt2"], "--max-steps", 100_000)
    settings = [word for one in SETTINGS.split() for word in ("--set", one)]
    return [
        str(one) for one in ("train", "--data", tmp_path / "table.csv", "--out", tmp_path / "model", *shape, *settings)
    ]


def wait_for_state(folder, seconds=120):
    """Wait until a run has saved its state, and return the steps in it."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        saved = read_run(folder)
        if saved is not None and saved.state is not None:
            return saved.state.progress["steps"]
        time.sleep(0.05)
    raise AssertionError("no state was saved")


def resumed_for_two_steps(folder, former):
    """Resume a run in this process until its next state; return the steps in that."""
    one = Forecaster.from_config(read_run(folder).config)

    def stop(event):
        if getattr(event, "step", 0) >= former + 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        one.fit(table(), out=folder, resume=True, report=stop)
    return read_run(folder).state.progress["steps"]


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_others_with_one_line_and_a_state(words, tmp_path, killed):
    with Launch(2, command, words) as launch:
        wait_for_state(tmp_path / "model")
        launch.processes[killed].kill()
        code, out, err = launch.result(1 - killed)
    assert code == 1
    assert out == ""
    (line,) = [line for line in err.splitlines() if line.startswith("error:")]
    assert line.startswith("error: another process of this training has ended or cannot be reached (")
    assert line.endswith("start the same command again with --resume, with any number of processes")
    steps = read_run(tmp_path / "model").state.progress["steps"]
    assert resumed_for_two_steps(tmp_path / "model", steps) > steps


def test_ctrl_c_ends_all_with_a_state(words, tmp_path):
    """A launcher passes it on, so that each process gets it twice."""
    with Launch(2, command, words) as launch:
        wait_for_state(tmp_path / "model")
        for _ in range(2):
            for one in launch.processes:
                os.kill(one.pid, signal.SIGINT)
        (code, out, err), other = (launch.result(rank) for rank in (0, 1))
    assert code == other[0] == 130
    assert out.endswith("to continue: the same command and --resume\n")
    assert "error" not in err
    assert other[1:] == ("", "")
    steps = read_run(tmp_path / "model").state.progress["steps"]
    assert resumed_for_two_steps(tmp_path / "model", steps) > steps


def test_wrong_input_is_reported_once(tmp_path):
    words = ["train", "--data", str(tmp_path / "missing.csv"), "--out", str(tmp_path / "model")]
    results = in_processes(2, command, words)
    assert [code for code, _, _ in results] == [2, 2]
    lines = [line for _, _, err in results for line in err.splitlines()]
    assert len([line for line in lines if line.startswith("error:") and "missing.csv" in line]) == 1
    assert len([line for line in lines if line.startswith("error:")]) == 1
    assert not (tmp_path / "model").exists()


def test_other_commands_are_not_shared(monkeypatch, tmp_path, capsys):
    for name, value in launcher_variables(0, 2, 1).items():
        monkeypatch.setenv(name, value)
    assert run(["forecast", "--data", "t.csv", "--horizon", "12", "--out", str(tmp_path / "f.csv")]) == 2
    assert "start this command without it" in capsys.readouterr().err
    assert run(["train", "--help"]) == 0
    monkeypatch.setenv("WORLD_SIZE", "two")
    assert run(["train", "--help"]) == 0
    assert run(["info"]) == 2
    assert "the environment variable WORLD_SIZE is 'two'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "two"}, "the environment variable WORLD_SIZE is 'two'; expected a number"),
        ({"WORLD_SIZE": "2"}, "RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not; start the processes by torchrun"),
    ],
)
def test_malformed_variables_are_an_error(monkeypatch, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message), joined():
        pass


def test_one_process_of_a_launcher_is_alone(monkeypatch):
    for name, value in launcher_variables(0, 1, 1).items():
        monkeypatch.setenv(name, value)
    with joined() as processes:
        assert processes.alone
        assert processes.first
        rows = np.arange(5)
        assert processes.part(rows).base is rows, "nothing is copied"


GUIDE = Path(__file__).parent.parent / "docs" / "distributed.md"


TORCHRUN = f"{sys.executable} -m torch.distributed.run --standalone"


@pytest.fixture
def guide(tmp_path):
    """The commands of the guide, with a smaller budget, in a folder with their table and their script."""
    text = GUIDE.read_text(encoding="utf-8")
    hours = np.arange(24 * 20)
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=len(hours), freq="h")})
    frame["demand"] = np.sin(2 * np.pi * hours / 24) + 0.1 * np.random.default_rng(0).normal(size=len(hours))
    frame.to_csv(tmp_path / "demand.csv", index=False)
    (tmp_path / "fit.py").write_text(text.split("```python\n")[1].split("```")[0], encoding="utf-8")
    lines = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    assert len(lines) == 3
    return [one.replace("--max-time 1h", "--max-steps 4").replace("torchrun", TORCHRUN).split() for one in lines]


def run_all(commands, folder):
    for words in commands:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr


def test_the_script_of_the_guide_runs_by_torchrun(guide, tmp_path):
    run_all(guide[2:], tmp_path)
    assert read_checkpoint(tmp_path / "fitted").config.data.horizon == 24


@pytest.mark.slow
def test_the_commands_of_the_guide_run_by_torchrun(guide, tmp_path):
    run_all(guide[:2], tmp_path)
    assert read_checkpoint(tmp_path / "model").config.data.horizon == 24


@pytest.mark.slow
def test_a_process_killed_under_torchrun_gives_one_line_and_a_state(words, tmp_path):
    """The launcher stops the other process by SIGTERM meanwhile."""
    log = tmp_path / "log"
    with log.open("w") as file:
        launch = [*TORCHRUN.split(), "--nproc-per-node", "2", "-m", "swt_time", *words]
        launcher = subprocess.Popen(launch, stdout=file, stderr=file)
        wait_for_state(tmp_path / "model")
        children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        assert launcher.wait(120) == 1
    lines = [line for line in log.read_text().splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert "another process" in lines[0]
    assert read_run(tmp_path / "model").state.progress["steps"] >= 2
