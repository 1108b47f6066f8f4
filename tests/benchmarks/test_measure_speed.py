"""benchmarks/measure_speed.py as a program, on small shapes."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import measure_speed

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "measure_speed.py"


def measure(*words, check=True):
    """Run the program in a process."""
    environment = {**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, PROGRAM, *map(str, words)], capture_output=True, text=True, env=environment, check=False
    )
    assert run.returncode == 0 or not check, run.stderr
    return run


def assert_refused(run, *texts, out=None):
    """Wrong input: exit code 2, one line on standard error, nothing written."""
    assert run.returncode == 2, run.stderr
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: ")
    assert all(text in line for text in texts), line
    assert run.stdout == ""
    assert out is None or not out.exists()


def test_unknown_benchmark_is_refused():
    assert_refused(measure("everything", check=False), "everything")


def test_no_benchmark_shows_the_help():
    run = measure(check=False)
    assert run.returncode == 2
    assert "inference" in run.stdout + run.stderr
    assert "error" not in run.stderr


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (("--backbone", "t5"), ("--backbone", "'t5'", "gpt2-small")),
        (("--against", "reference,chronos"), ("--against", "'chronos'", "neuralforecast")),
        (("--growth", "height"), ("--growth", "'height'", "channels")),
        (("--device", "abacus"), ("abacus", "cpu or cuda")),
        (("--repeats", "0"), ("--repeats",)),
        (("--nonsense",), ("--nonsense",)),
    ],
)
def test_wrong_options_are_refused(words, texts, tmp_path, capsys):
    out = tmp_path / "rows.csv"
    with warnings.catch_warnings():  # the program sets how they are shown
        code = measure_speed.main(["step", "--quick", "--out", str(out), *words])
    printed = capsys.readouterr()
    assert_refused(subprocess.CompletedProcess(words, code, printed.out, printed.err), *texts, out=out)


def test_quick_benchmark(tmp_path):
    """Without neuralforecast its row is left out with a note; with it, every row is compared with it too."""
    out = tmp_path / "rows.csv"
    run = measure("step", "--quick", "--repeats", 1, "--json", "--out", out)
    rows = json.loads(run.stdout)
    contenders = [row["contender"] for row in rows]
    others = ["reference"]
    if importlib.util.find_spec("neuralforecast") is None:
        assert run.stderr.startswith("note: neuralforecast is not installed and is left out")
    else:
        others.append("neuralforecast")
    assert contenders == [*others, "paper, mapping", "compact, free"]
    for row in rows:
        assert row["kind"] == "step"
        assert min(row["seconds"], row["windows_per_second"], row["gigaoperations"], row["share_of_rate"]) > 0
        assert row["peak_mib"] > 0
        assert (row["share_of_rate_language_model"] is None) == (row["contender"] in others)
        assert "torch=" in row["versions"]
        for other in others:
            ratio = rows[contenders.index(other)]["seconds"] / row["seconds"]
            assert row[f"times_faster_than_{other}"] == pytest.approx(ratio, rel=0.1, abs=0.02)
    # Both compute the whole prompt and the mapping; swt-time runs backward through the patches only.
    assert rows[0]["gigaoperations"] > 1.02 * rows[contenders.index("paper, mapping")]["gigaoperations"]
    assert [row["contender"] for row in csv.DictReader(out.open())] == contenders


def test_quick_growth_curves():
    run = measure("inference", "--quick", "--repeats", 1, "--growth", "layers,description", "--json")
    rows = json.loads(run.stdout)
    assert [(row["curve"], row["value"]) for row in rows] == [
        *(("layers", 1), ("layers", 2)),
        *(("description", 64), ("description", 128)),
    ]
    assert rows[0]["times_the_first"] == rows[2]["times_the_first"] == 1
    assert all(row["seconds"] > 0 for row in rows)
