"""The embedding benchmark and its measurement tools, on a small shape."""

import csv
import sys

import pytest
import torch

from speed import embedding, measuring
from swt_time.errors import MissingDependencyError

CPU = torch.device("cpu")


def test_rows_have_every_contender_and_provenance(tmp_path):
    pytest.importorskip("ptwt")
    seen = []
    rows = embedding.run("cpu", [embedding.Shape(2, 3, 96, 8)], repeats=3, report=seen.append)
    assert rows == seen
    assert [(row["pass"], row["contender"]) for row in rows] == [
        (name, contender) for name in ("forward", "forward+backward") for contender in ("folded", "plain", "ptwt")
    ]
    for row in rows:
        assert row["ms"] > 0
        assert row["peak_mib"] > 0
        assert row["commit"]
        assert "torch=" in row["versions"]
        assert row["chosen"] == int(row["contender"] == "folded")
    assert rows[0]["floor_mib"] == pytest.approx(4 * 6 * (96 + 12 * 8) / 2**20, abs=1e-3)
    assert rows[2]["times_faster"] == rows[2]["share_of_peak"] == 1
    measuring.write_rows(rows, tmp_path / "deep" / "out.csv")
    with (tmp_path / "deep" / "out.csv").open() as file:
        assert [row["contender"] for row in csv.DictReader(file)] == [row["contender"] for row in rows]


def test_contenders_with_different_tokens_are_refused():
    pytest.importorskip("ptwt")
    shape = embedding.Shape(2, 3, 96, 8)
    models = {name: embedding.PtwtEmbedding(shape, 16, 8) for name in ("ptwt", "other")}
    with pytest.raises(RuntimeError, match="tokens of other differ from those of ptwt"):
        embedding._check_equal(models, torch.randn(2, 1, 96))


def test_missing_ptwt_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ptwt", None)
    with pytest.raises(MissingDependencyError, match=r"swt-time\[bench\]"):
        embedding.run("cpu", [embedding.Shape(2, 3, 96, 8)], repeats=1)


def test_peak_memory_counts_tensors_held_at_once():
    x = torch.ones(1000, 250)  # 1 MB

    def one_at_a_time():
        for _ in range(3):
            y = x + 1
            del y

    def together():
        return [x + 1 for _ in range(3)]

    assert measuring.peak_extra_bytes(one_at_a_time, CPU) == pytest.approx(1e6, rel=0.01)
    assert measuring.peak_extra_bytes(together, CPU) == pytest.approx(3e6, rel=0.01)


def test_contenders_run_in_turns_on_fresh_inputs():
    order = []

    def maker(name):
        def make():
            order.append(f"make {name}")
            return lambda: order.append(f"run {name}")

        return make

    medians = measuring.interleaved_medians({"a": maker("a"), "b": maker("b")}, CPU, repeats=2, warmup=1)
    assert set(medians) == {"a", "b"}
    assert order == ["make a", "run a", "make b", "run b"] * 3
