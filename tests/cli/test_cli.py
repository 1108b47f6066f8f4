"""The command line, as a process, through real files."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from swt_time import cli
from swt_time.checkpoints.checkpoint import read_checkpoint
from swt_time.checkpoints.locking import locked
from swt_time.cli.options import parse_duration
from swt_time.errors import ConfigError

TINY = "embedding.d_model=8 embedding.level=2 model.d_ff=8 model.n_heads=2 model.n_prototypes=16 training.batch_size=16"
TINY += " training.keep_branch=true"
FAST = [word for setting in TINY.split() for word in ("--set", setting)]


@pytest.fixture(scope="module", autouse=True)
def _server(request):
    commands["run"] = request.getfixturevalue("swt_time")


commands = {}


def swt_time(*words, check=True):
    """Run one command as a process."""
    return commands["run"](*words, check=check)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, hourly_wide):
    """A table, and a model trained on it without a language model, so that each command is quick."""
    root = tmp_path_factory.mktemp("cli")
    hourly_wide.to_csv(root / "table.csv", index=False)
    hourly_wide.to_parquet(root / "table.parquet", index=False)
    run = train(root, "model")
    assert run.returncode == 0, run.stderr
    return root


def train(root, out, *more, backbone="none", steps=6, check=False):
    return swt_time(
        *("train", "--data", root / "table.csv", "--out", root / out, "--horizon", 12, "--context", 48),
        *("--backbone", backbone, "--max-steps", steps, *FAST, *more),
        check=check,
    )


def assert_refused(run, *texts, out=None):
    """Assert exit code 2, one line of error with these texts, no traceback, and no output."""
    assert run.returncode == 2, run.stderr
    lines = [line for line in run.stderr.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("error: ")
    for text in texts:
        assert text in lines[0]
    assert out is None or not out.exists()


@pytest.mark.parametrize("command", [[], ["train"], ["forecast"], ["evaluate"], ["info"]])
def test_help(command):
    assert "Usage: swt-time" in swt_time(*command, "--help").stdout


def test_the_module_runs_as_a_program():
    run = subprocess.run([sys.executable, "-m", "swt_time", "train", "--data"], capture_output=True, text=True)
    assert_refused(run, "--data")


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", swt_time("--version").stdout)


def test_train_writes_a_checkpoint_and_reports_its_progress(folder):
    run = train(folder, "reported", check=True)
    assert "finished after 6 steps" in run.stdout
    assert "plan: 6 steps, about" in run.stderr
    assert "validation" in run.stderr
    checkpoint = read_checkpoint(folder / "reported")
    assert checkpoint.config.data.horizon == 12
    assert checkpoint.config.embedding.d_model == 8
    assert len(checkpoint.history) >= 6


def test_equal_commands_give_equal_weights(folder):
    for out in ("first", "second"):
        train(folder, out, check=True)
    first, second = ((folder / out / "model.safetensors").read_bytes() for out in ("first", "second"))
    assert first == second
    train(folder, "third", "--seed", 1, check=True)
    assert (folder / "third" / "model.safetensors").read_bytes() != first


def test_a_language_model_from_a_folder(folder, tiny_backbones, family):
    train(folder, family, "--precision", "float32", backbone=tiny_backbones[family], check=True)
    swt_time("forecast", "--model", folder / family, "--data", folder / "table.csv", "--out", folder / f"{family}.csv")
    forecast = pd.read_csv(folder / f"{family}.csv")
    assert len(forecast) == 24
    assert np.isfinite(forecast["yhat"]).all()


def test_forecast_writes_a_table_and_a_picture(folder):
    run = swt_time(
        *("forecast", "--model", folder / "model", "--data", folder / "table.csv"),
        *("--out", folder / "f.csv", "--plot", folder / "f.png", "--cutoff", "2024-01-20T00:00"),
    )
    forecast = pd.read_csv(folder / "f.csv", parse_dates=["date"])
    bounds = ["yhat-lo-80", "yhat-hi-80", "yhat-lo-95", "yhat-hi-95"]
    assert list(forecast.columns) == ["unique_id", "date", "yhat", *bounds]
    assert forecast["date"].min() == pd.Timestamp("2024-01-20 01:00")
    assert (folder / "f.png").read_bytes()[:4] == b"\x89PNG"
    assert str(folder / "f.csv") in run.stdout


def test_forecast_from_and_to_parquet(folder):
    swt_time("forecast", "--model", folder / "model", "--data", folder / "table.parquet", "--out", folder / "f.parquet")
    swt_time("forecast", "--model", folder / "model", "--data", folder / "table.csv", "--out", folder / "g.csv")
    one, other = pd.read_parquet(folder / "f.parquet"), pd.read_csv(folder / "g.csv")
    np.testing.assert_allclose(one["yhat"], other["yhat"], rtol=1e-9)


def test_evaluate_prints_scores(folder):
    run = swt_time("evaluate", "--model", folder / "model", "--data", folder / "table.csv")
    assert "109 test windows, 2 series, horizon 12" in run.stdout
    assert re.search(r"swt-time +\d\.\d{4} +\d\.\d{4}", run.stdout)
    assert "seasonal naive 24" in run.stdout


def test_evaluate_as_json(folder):
    run = swt_time("evaluate", "--model", folder / "model", "--data", folder / "table.csv", "--json")
    scores = json.loads(run.stdout)
    assert scores["windows"] == 109
    assert scores["horizon"] == 12
    assert scores["mse"] > 0
    assert scores["mae"] > 0
    assert set(scores["per_series"]) == {"load", "heat"}
    assert set(scores["original"]) == {"mse", "mae", "rmse", "mase", "smape"}
    assert len(scores["per_step"]["mae"]) == 12
    other = json.loads(
        swt_time(
            "evaluate", "--model", folder / "model", "--data", folder / "table.csv", "--json", "--split", "0.5/0.1/0.4"
        ).stdout
    )
    assert other["windows"] == 240 - 12 + 1


def test_few_shot_and_zero_shot(folder):
    train(folder, "few", "--train-fraction", "0.1", check=True)
    checkpoint, whole = (read_checkpoint(folder / name) for name in ("few", "model"))
    assert checkpoint.config.data.train_fraction == 0.1
    assert checkpoint.trained_on.mean == whole.trained_on.mean
    frame = pd.read_csv(folder / "table.csv")
    frame.rename(columns={"load": "a", "heat": "b"}).to_csv(folder / "other.csv", index=False)
    words = ("evaluate", "--model", folder / "few", "--data", folder / "other.csv", "--json")
    refused = swt_time(*words, check=False)
    assert refused.returncode == 2
    assert "--columns: the table has no column" in refused.stderr
    other = json.loads(swt_time(*words, "--columns", "a,b").stdout)
    own = json.loads(swt_time(*words[:4], folder / "table.csv", "--json").stdout)
    # The tables differ in their column names only, so the scores are equal.
    assert other["mse"] == pytest.approx(own["mse"], rel=1e-9)
    assert other["per_series"]["a"]["mse"] == pytest.approx(own["per_series"]["load"]["mse"], rel=1e-9)


def test_info(folder):
    assert "torch" in swt_time("info").stdout
    described = swt_time("info", "--model", folder / "model").stdout
    assert "2 series (wide table), frequency h" in described
    assert '"horizon": 12' in described


def test_configuration_file_and_flags(folder):
    (folder / "run.toml").write_text('[data]\nhorizon = 6\ncontext = 48\n[embedding]\nwavelet = "haar"\n')
    train(folder, "configured", "--config", folder / "run.toml", "--set", "embedding.patch_len=8", check=True)
    config = read_checkpoint(folder / "configured").config
    # The flag --horizon 12 wins over the file; the other values of the file stay.
    assert (config.data.horizon, config.embedding.wavelet, config.embedding.patch_len) == (12, "haar", 8)


def test_a_saved_configuration_trains_again(folder):
    train(folder, "again", "--config", folder / "model" / "config.json", check=True)
    first, second = ((folder / out / "model.safetensors").read_bytes() for out in ("model", "again"))
    assert first == second


def test_time_budget(folder):
    began = time.monotonic()
    run = train(folder, "budget", "--max-time", "3s", "--set", "model.skip=linear", steps=1_000_000, check=True)
    assert time.monotonic() - began < 30
    assert "finished" in run.stdout or "time budget" in run.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_keeps_the_best(folder, number):
    out = folder / f"stopped-{number}"
    arguments = ["train", "--data", folder / "table.csv", "--out", out, "--horizon", 12, "--context", 48, *FAST]
    arguments += ["--backbone", "none", "--max-steps", 1_000_000, "--set", "training.validate_every=20"]
    process = subprocess.Popen(
        [sys.executable, "-m", "swt_time", *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if "best so far" in line:
            break
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "interrupted after" in stdout
    assert "to continue: the same command and --resume" in stdout
    swt_time("forecast", "--model", out, "--data", folder / "table.csv", "--out", folder / "stopped.csv")


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("exit = sys.exit; sys.exit = lambda code: (interrupt(), exit(code))", 0),
        ("import atexit; atexit.register(interrupt)", 0),
        ("cli.run = lambda words: interrupt()", 130),
    ],
    ids=["before the exit", "during the exit", "beside the command"],
)
def test_ctrl_c_that_arrives_late_gives_no_exit_by_signal(when, code):
    script = (
        "import signal, sys; from swt_time import cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "interrupt = lambda: signal.raise_signal(signal.SIGINT)\n"
        f"{when}\n"
        "cli.main()"
    )
    run = subprocess.run([sys.executable, "-c", script, "--version"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (code, "error: interrupted\n" if code else "")


def every_command(group, *words):
    """The commands of a group by their words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, *words, name)
        else:
            yield (*words, name), command


@pytest.mark.parametrize("words", [words for words, _ in every_command(cli.root_command())], ids=" ".join)
def test_ctrl_c_is_said_by_every_command(words, monkeypatch, capsys):
    """Whatever the version of Typer makes of a KeyboardInterrupt."""
    command = dict(every_command(cli.root_command()))[words]
    monkeypatch.setattr(command, "params", [])
    monkeypatch.setattr(command, "callback", lambda: signal.raise_signal(signal.SIGINT))
    former = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    try:
        assert cli.run(list(words)) == 130
    finally:
        signal.signal(signal.SIGINT, former)
    assert capsys.readouterr().err == "error: interrupted\n"


STOPPABLE = ("--set", "training.validate_every=3", "--set", "model.dropout=0.3")


@pytest.fixture(scope="module")
def stopped_run(folder):
    """A run of ten steps that a signal stopped at the sixth; the same run without the signal is in ``whole``."""
    train(folder, "whole", *STOPPABLE, steps=10, check=True)
    kill = (
        "import os, signal, sys, torch; from swt_time import cli; from swt_time.training import loop\n"
        "torch.set_num_threads(1)\n"  # as here
        "step = loop._Run._step\n"
        "def stop(self, number):\n"
        "    step(self, number)\n"
        "    number == 6 and os.kill(os.getpid(), signal.SIGTERM)\n"
        "loop._Run._step = stop; sys.exit(cli.run(sys.argv[1:]))"
    )
    arguments = ["train", "--data", folder / "table.csv", "--out", folder / "half", "--horizon", 12, "--context", 48]
    arguments += ["--backbone", "none", "--max-steps", 10, *FAST, *STOPPABLE]
    run = subprocess.run([sys.executable, "-c", kill, *map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 130, run.stderr
    return folder / "half"


@pytest.fixture
def stopped(stopped_run, folder, tmp_path):
    """A copy of the stopped run, the folder of the complete run, and their options."""
    shutil.copy(folder / "table.csv", tmp_path)
    return shutil.copytree(stopped_run, tmp_path / "m"), folder / "whole", STOPPABLE


def test_resume_without_options_uses_those_of_the_run(stopped, tmp_path):
    out, whole, _ = stopped
    assert_refused(train(tmp_path, "m"), "pass --resume to continue its run, or pass --overwrite")
    run = swt_time("train", "--data", tmp_path / "table.csv", "--out", out, "--resume")
    assert "finished after 10 steps" in run.stdout
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    run = swt_time("train", "--data", tmp_path / "table.csv", "--out", out, "--resume")
    assert "note: the run in" in run.stderr
    assert "has ended (finished after 10 steps): nothing to resume" in run.stderr


def test_train_from_a_checkpoint(tmp_path, hourly_wide):
    hourly_wide.iloc[:-48].to_csv(tmp_path / "table.csv", index=False)
    train(tmp_path, "m", "--split", "none", "--set", "model.d_ff=8", check=True)
    hourly_wide.to_csv(tmp_path / "table.csv", index=False)
    again = ("train", "--data", tmp_path / "table.csv", "--from", tmp_path / "m", "--out")
    swt_time(*again, tmp_path / "warm", "--max-steps", 0)
    provenance = json.loads((tmp_path / "warm" / "provenance.json").read_text())
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert provenance["started_from"] == {"folder": str(tmp_path / "m"), "sha256": manifest["sha256"]}
    config, former = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("warm", "m"))
    assert config["training"].pop("max_steps") == 0
    assert former["training"].pop("max_steps") == 6
    assert config == former
    warm, weights = (load_file(tmp_path / name / "model.safetensors") for name in ("warm", "m"))
    assert {name for name in weights if not (warm[name] == weights[name]).all()} == {"skip.weight"}
    assert weights["gate"].item() != 0
    out = tmp_path / "new"
    run = swt_time(*again, out, "--context", 64, check=False)
    assert_refused(run, "has another model: --context 48 (not 64)", "without --from", out=out)
    run = swt_time(*again, out, "--resume", check=False)
    assert_refused(run, "--from starts a new run and --resume continues one: pass one of them", out=out)
    run = swt_time(*again, tmp_path / "m", "--overwrite", check=False)
    assert_refused(run, "--from")
    assert json.loads((tmp_path / "m" / "manifest.json").read_text()) == manifest
    run = swt_time("train", "--data", tmp_path / "table.csv", "--from", tmp_path / "none", "--out", out, check=False)
    assert_refused(run, "no checkpoint folder at", out=out)


def test_resume_with_the_same_command(stopped, tmp_path):
    out, whole, words = stopped
    train(tmp_path, "m", *words, "--resume", steps=10, check=True)
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    run = train(tmp_path, "new", *words, "--resume", steps=10, check=True)
    assert "no training state has been completed" in run.stderr
    assert (tmp_path / "new" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_what_cannot_be_resumed_is_refused(stopped, tmp_path):
    out, _, words = stopped
    resume = ("train", "--data", tmp_path / "table.csv", "--out", out, "--resume")
    assert_refused(swt_time(*resume, "--seed", 5, check=False), "--seed 0 (not 5)")
    assert_refused(train(tmp_path, "m", "--resume", "--set", "training.patience=2", steps=9), "--max-steps 10 (not 9)")
    assert_refused(swt_time(*resume, "--overwrite", check=False), "pass one of them")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "report.txt").touch()
    assert_refused(train(tmp_path, "other", "--resume"), "is not a checkpoint")
    with locked(out):
        assert_refused(swt_time(*resume, check=False), f"another process (pid {os.getpid()}) is writing")
        assert_refused(train(tmp_path, "m", *words, "--overwrite"), f"another process (pid {os.getpid()})")
    (tmp_path / "table.csv").write_text(HOURS)
    assert_refused(swt_time(*resume, check=False), "was started with another table")
    path = out / ".training" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert_refused(swt_time(*resume, check=False), "state.safetensors is not what was written")


def test_another_backbone_is_refused_unless_allowed(folder, tiny_backbones, tmp_path):
    backbone = shutil.copytree(tiny_backbones["bert"], tmp_path / "bert")
    train(folder, "on-bert", "--precision", "float32", backbone=backbone, check=True)
    weights = load_file(backbone / "model.safetensors")
    next(weight for name, weight in sorted(weights.items()) if weight.dim() == 2)[0, 0] += 1
    save_file(weights, backbone / "model.safetensors", {"format": "pt"})
    evaluate = ("evaluate", "--model", folder / "on-bert", "--data", folder / "table.csv", "--json")
    forecast = ("forecast", "--model", folder / "on-bert", "--data", folder / "table.csv", "--out", tmp_path / "f.csv")
    for command in (evaluate, forecast):
        assert_refused(swt_time(*command, check=False), "--allow-backbone-change")
        run = swt_time(*command, "--allow-backbone-change")
        assert "note: the model was trained on a backbone" in run.stderr
    assert len(pd.read_csv(tmp_path / "f.csv")) == 24


def test_overwrite(folder):
    train(folder, "twice", check=True)
    before = (folder / "twice" / "model.safetensors").read_bytes()
    refused = train(folder, "twice", "--seed", 5)
    assert_refused(refused, "exists; choose another one or pass --overwrite")
    assert (folder / "twice" / "model.safetensors").read_bytes() == before
    train(folder, "twice", "--seed", 5, "--overwrite", check=True)
    assert (folder / "twice" / "model.safetensors").read_bytes() != before


WRONG_OPTIONS = {
    "unknown option": (["--horzon", "3"], ["--horzon", "--horizon"]),
    "unknown configuration key": (["--set", "embedding.wavlet=haar"], ["embedding.wavlet", "embedding.wavelet"]),
    "malformed assignment": (["--set", "nonsense"], ["section.key=value"]),
    "value out of range": (["--set", "training.batch_size=0"], ["training.batch_size", "got 0"]),
    "not a number": (["--horizon", "many"], ["--horizon", "integer"]),
    "unknown wavelet": (["--set", "embedding.wavelet=db4x"], ["db4x", "db4"]),
    "level too deep": (["--set", "embedding.level=9"], ["the largest level that fits is 5"]),
    "unknown split": (["--split", "half"], ["half", "0.7/0.1/0.2"]),
    "unknown backbone": (["--backbone", "./no-such-folder"], ["./no-such-folder", "is not a folder"]),
    "unknown precision": (["--precision", "int3"], ["--precision", "int3"]),
    "unknown device": (["--device", "abacus"], ["abacus"]),
    "unknown fill": (["--fill", "magic"], ["--fill", "magic"]),
    "unknown target": (["--target", "lood"], ["lood", "load"]),
    "unknown column": (["--columns", "load,heet"], ["heet", "heat"]),
    "unknown time column": (["--time-column", "dat"], ["dat", "date"]),
    "malformed duration": (["--max-time", "soon"], ["--max-time", "soon"]),
    "missing configuration file": (["--config", "none.toml"], ["none.toml"]),
    "context too long": (["--context", "500"], ["600", "context 500"]),
}


@pytest.mark.parametrize("case", WRONG_OPTIONS)
def test_wrong_options_are_refused(folder, case):
    words, texts = WRONG_OPTIONS[case]
    out = folder / f"refused {case}"
    assert_refused(train(folder, out.name, *words), *texts, out=out)


HOURS = "date,load\n" + "".join(f"2024-01-{1 + i // 24:02d} {i % 24:02d}:00,{i % 24}\n" for i in range(600))
ROWS = HOURS.splitlines(keepends=True)

WRONG_TABLES = {
    "no such file": (None, ["no such file"]),
    "empty": (b"", ["is empty"]),
    "header only": (b"date,load\n", ["no rows"]),
    "binary": (bytes(range(256)) * 20, []),
    "no numeric column": (re.sub(r",\w+", "", HOURS).encode(), ["no numeric column", "date"]),
    "text in a number": (
        "".join([*ROWS[:300], "2024-01-13 11:00,n.a.n.\n", *ROWS[301:]]).encode(),
        ["301", "load", "n.a.n."],
    ),
    "duplicate timestamps": ("".join([*ROWS[:300], ROWS[299], *ROWS[300:]]).encode(), ["duplicate", "2024-01-13"]),
    "irregular timestamps": (
        "".join([*ROWS[:300], "2024-01-13 11:17,4\n", *ROWS[301:]]).encode(),
        ["2024-01-13 11:17"],
    ),
    "gap": (
        "".join([*ROWS[:300], *ROWS[305:]]).encode(),
        ["5 missing timestamps", "--fill to linear", "300"],
    ),
    "missing value": ("".join([*ROWS[:300], "2024-01-13 11:00,\n", *ROWS[301:]]).encode(), ["1", "301", "--fill"]),
    "infinity": ("".join([*ROWS[:300], "2024-01-13 11:00,inf\n", *ROWS[301:]]).encode(), ["301", "--fill"]),
    "too few rows": ("".join(ROWS[:50]).encode(), ["49", "horizon 12"]),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_flawed_tables_are_refused(tmp_path, case):
    content, texts = WRONG_TABLES[case]
    if content is not None:
        (tmp_path / "table.csv").write_bytes(content)
    assert_refused(train(tmp_path, "model"), *texts, out=tmp_path / "model")


@pytest.mark.parametrize("case", ["gap", "missing value", "infinity"])
def test_fill_repairs_with_a_note(tmp_path, case):
    (tmp_path / "table.csv").write_bytes(WRONG_TABLES[case][0])
    run = train(tmp_path, "model", "--fill", "linear", check=True)
    assert "note: " in run.stderr
    assert "linear" in run.stderr


def test_unsorted_rows_are_sorted_with_a_note(tmp_path, folder):
    shuffled = [ROWS[0], *np.random.default_rng(0).permutation(ROWS[1:])]
    (tmp_path / "table.csv").write_text("".join(shuffled))
    run = train(tmp_path, "model", check=True)
    assert "note: " in run.stderr
    assert "sorted" in run.stderr
    (tmp_path / "table.csv").write_text(HOURS)
    train(tmp_path, "sorted", check=True)
    first, second = ((tmp_path / out / "model.safetensors").read_bytes() for out in ("model", "sorted"))
    assert first == second


def test_unwritable_output_is_refused(folder):
    assert_refused(train(folder, "table.csv/model"), "cannot write the output folder")
    run = swt_time(
        *("forecast", "--model", folder / "model", "--data", folder / "table.csv", "--out", folder / "no/such/f.csv"),
        check=False,
    )
    assert_refused(run, "no/such")


def test_incomplete_checkpoint_is_refused(folder):
    train(folder, "torn", check=True)
    (folder / "torn" / "scaler.json").unlink()
    run = swt_time("info", "--model", folder / "torn", check=False)
    assert_refused(run, "incomplete: scaler.json missing")
    run = swt_time(
        *("forecast", "--model", folder / "torn", "--data", folder / "table.csv", "--out", folder / "t.csv"),
        check=False,
    )
    assert_refused(run, "incomplete: scaler.json missing", out=folder / "t.csv")


def test_table_without_the_models_columns_is_refused(folder, tmp_path):
    pd.read_csv(folder / "table.csv").rename(columns={"heat": "warmth"}).to_csv(tmp_path / "other.csv", index=False)
    run = swt_time(
        *("forecast", "--model", folder / "model", "--data", tmp_path / "other.csv", "--out", tmp_path / "f.csv"),
        check=False,
    )
    assert_refused(run, "'heat'", out=tmp_path / "f.csv")


def test_history_too_short_for_the_context_is_refused(folder, tmp_path):
    pd.read_csv(folder / "table.csv")[:40].to_csv(tmp_path / "short.csv", index=False)
    run = swt_time(
        *("forecast", "--model", folder / "model", "--data", tmp_path / "short.csv", "--out", tmp_path / "f.csv"),
        check=False,
    )
    assert_refused(run, "has 40 rows", "at least 48", out=tmp_path / "f.csv")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("20m", 1200), ("1h30m", 5400), ("1.5h", 5400), ("1m30s", 90)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5x", "m", "-3s", "0", "0s"])
def test_malformed_durations(text):
    with pytest.raises(ConfigError, match="--max-time"):
        parse_duration(text)
