"""``swt-time ablate``: parallel, resumed after a kill; a failed cell does not stop the others."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from swt_time.config.presets import read_preset

TINY = [
    *("--set", "data.context=48", "--set", "data.horizon=12", "--set", "embedding.d_model=8"),
    *("--set", "embedding.level=2", "--set", "backbone.name=none", "--set", "training.batch_size=16"),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory, hourly_wide):
    path = tmp_path_factory.mktemp("ablate") / "table.csv"
    hourly_wide.to_csv(path, index=False)
    return path


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def words(table, out, *more, steps=4):
    return ["ablate", "--data", table, "--out", out, *TINY, "--set", f"training.max_steps={steps}", *more]


def test_finished_cells_are_not_run_again(swt_time, table, tmp_path):
    out, picture = tmp_path / "rows.csv", tmp_path / "rows.png"
    axis = ["--axis", "embedding.wavelet=haar", "--seeds", "0,1", "--baselines", "seasonal-naive", "--jobs", 2]
    first = swt_time(*words(table, out, *axis, "--plot", picture))
    found = rows(out)
    assert len(found) == 2 * 2 + 1
    assert {(r["variant"], r["seed"]) for r in found if r["model"] == "swt-time"} == {
        (variant, seed) for variant in ("base", "embedding.wavelet=haar") for seed in "01"
    }
    assert picture.stat().st_size > 5_000
    before = out.read_bytes()
    again = swt_time(*words(table, out, *axis))
    assert out.read_bytes() == before
    assert "5 cells, 5 finished before" in again.stderr
    assert again.stdout == first.stdout.replace(f"picture: {picture}\n", "")
    more = swt_time(*words(table, out, *axis, "--axis", "embedding.level=1"))
    assert "7 cells, 5 finished before" in more.stderr
    assert out.read_bytes().startswith(before)
    listed = swt_time(*words(table, out, *axis, "--axis", "embedding.level=1,3", "--list")).stdout.splitlines()
    assert sum(line.startswith("finished") for line in listed) == 7
    assert sum(line.startswith("missing") for line in listed) == 2


def test_closed_form_alone_is_run_once_and_its_row_says_so(swt_time, table, tmp_path):
    out = tmp_path / "rows.csv"
    found = swt_time(*words(table, out, "--axis", "training.max_steps=0", "--seeds", "0,1,2"))
    assert "4 cells, 0 finished before" in found.stderr
    assert [(r["variant"], r["seed"]) for r in rows(out) if r["steps"] == "0"] == [("training.max_steps=0", "0")]
    base, closed = (line.split() for line in found.stdout.splitlines() if line.startswith(("base", "training")))
    assert (base[1], base[3]) == ("3", "±")
    assert closed[1] == "1"
    assert "±" not in closed[2:5]
    assert "±" in closed[5:]  # its difference from each seed of the base


def test_failed_cell_is_reported_and_does_not_stop_the_others(swt_time, table, tmp_path):
    out = tmp_path / "rows.csv"
    axis = ["--axis", "backbone.name=/no/such/folder,attention", "--seeds", "0"]
    run = swt_time(*words(table, out, *axis), check=False)
    assert run.returncode == 1
    assert "backbone.name=/no/such/folder, seed 0: failed: " in run.stderr
    assert run.stderr.splitlines()[-1] == "error: 1 of 3 cells failed; the same command runs them again"
    assert [r["variant"] for r in rows(out)] == ["base", "backbone.name=attention"]
    assert "backbone.name=attention" in run.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--axis", "embedding.wavlet=haar"], "did you mean embedding.wavelet"),
        (["--baselines", "nonesuch"], "unknown baseline 'nonesuch'"),
        (["--seeds", "0,x"], "--seeds: expected whole numbers"),
        (["--preset", "fats"], "did you mean fast"),
        (["--preset", "fast", "--config", "c.toml"], "give one of them"),
        (["--split", "none"], "--split 'none' has no test part"),
        (["--axis", "embedding.wavelet"], "axis: expected section.key=value"),
        (["--plot", "nowhere/plot.png"], "does not exist"),
    ],
)
def test_invalid_options_are_refused_before_anything_runs(swt_time, table, tmp_path, more, message):
    out = tmp_path / "rows.csv"
    run = swt_time(*words(table, out, *more), check=False)
    assert run.returncode == 2
    assert message in run.stderr
    assert not out.exists()


def test_presets_are_listed_and_accepted_by_train(swt_time, table, tmp_path):
    listed = swt_time("info").stdout
    assert all(f"preset {name} " in listed for name in ("fast", "paper", "best"))
    train = ["train", "--data", table, "--out", tmp_path / "model", "--preset", "fast", "--context", 64]
    swt_time(*train, "--horizon", 12, "--max-steps", 2)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["backbone"]["name"] == "none"
    assert config["embedding"]["boundary"] == read_preset("fast")["embedding"]["boundary"]
    assert config["data"]["context"] == 64


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_killed_run_leaves_complete_rows_and_is_resumed(swt_time, table, tmp_path, number, code):
    out = tmp_path / "rows.csv"
    # The last cell would take minutes, so the signal always arrives while a cell is running.
    more = ["--variant", "long: training.max_steps=200000", "--seeds", "0,1"]
    command = [sys.executable, "-m", "swt_time", *map(str, words(table, out, *more))]
    run = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        # A test suite in the background ignores Ctrl-C, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 120
        while not (out.exists() and rows(out)) and time.monotonic() < deadline:
            time.sleep(0.05)
        workers = workers_of(run.pid)
        assert workers
        run.send_signal(number)
        message = run.communicate(timeout=60)[1]
    finally:
        run.kill()
    assert run.returncode == code
    assert "Traceback" not in message
    assert [(r["variant"], r["seed"]) for r in rows(out)] == [("base", "0")]
    assert out.read_bytes().endswith(b"\n")
    deadline = time.monotonic() + 20
    while (left := processes().keys() & workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
    before = out.read_bytes()
    again = swt_time(*words(table, out, "--seeds", "0,1"))
    assert "2 cells, 1 finished before" in again.stderr
    assert out.read_bytes().startswith(before)
    assert len(rows(out)) == 2


def processes():
    """Parent and command line of every process that is not a zombie, by process id."""
    command = ["ps", "-ww", "-eo", "pid,ppid,stat,args"]  # without -ww, ps cuts the command lines
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.split(None, 3) for line in listed.splitlines()[1:]]
    return {int(pid): (int(parent), command) for pid, parent, state, command in lines if not state.startswith("Z")}


def workers_of(parent):
    """Ids of the worker processes of a run."""
    return [pid for pid, (of, command) in processes().items() if of == parent and "spawn_main" in command]
