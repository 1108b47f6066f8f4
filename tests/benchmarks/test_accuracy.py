"""benchmarks/accuracy.py runs planned cells once, lists them, and runs finished ones again to compare them."""

import pytest

import accuracy
import plan
from swt_time.evaluation.ablation import read_rows

PLAN = """
[datasets.load]
file = "load.csv"
horizons = [12]
set = { data.context = 48, embedding.d_model = 8, embedding.level = 2, training.max_steps = 3 }

[[study]]
name = "small"
datasets = ["load"]
preset = "fast"
baselines = ["seasonal-naive"]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, hourly_wide):
    hourly_wide.to_csv(tmp_path / "load.csv", index=False)
    (tmp_path / "cells.toml").write_text(PLAN)
    monkeypatch.setattr(plan, "HERE", tmp_path)
    return tmp_path


def test_cells_run_once_and_are_reproduced(folder, capfd):
    out = folder / "rows.csv"
    words = ["--data", str(folder), "--out", str(out)]
    assert accuracy.main([*words, "--only", "small/load/12/*/0"]) == 0
    assert [(row.model, row.variant, row.seed) for row in read_rows(out)] == [
        ("swt-time", "base", 0),
        ("seasonal-naive", "seasonal-naive", 0),
    ]
    before = out.read_bytes()
    assert accuracy.main([*words, "--only", "*/0"]) == 0
    assert out.read_bytes() == before
    capfd.readouterr()
    assert accuracy.main([*words, "--list"]) == 0
    assert capfd.readouterr().out.splitlines() == [
        "finished  small/load/12/base/0",
        "missing   small/load/12/base/1",
        "missing   small/load/12/base/2",
        "finished  small/load/12/seasonal-naive/0",
    ]
    assert accuracy.main([*words, "--again"]) == 0
    assert "2 of 2 finished cells reproduced" in capfd.readouterr().out
    assert out.read_bytes() == before
    mse = read_rows(out)[1].mse
    assert f"{mse:.6f}" in out.read_text()
    out.write_text(out.read_text().replace(f"{mse:.6f}", f"{mse + 0.001:.6f}"))
    assert accuracy.main([*words, "--again", "--only", "*naive*"]) == 1
    assert "NOT reproduced" in capfd.readouterr().out


def test_pattern_without_matching_cell_is_refused(folder, capsys):
    with pytest.raises(SystemExit) as error:
        accuracy.main(["--data", str(folder), "--only", "large/*"])
    assert error.value.code == 2
    assert "no planned cell matches 'large/*'" in capsys.readouterr().err
