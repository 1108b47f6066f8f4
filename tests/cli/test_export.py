"""``swt-time export``: what it refuses before any work, and that it overwrites no input."""

import pytest

from swt_time import Forecaster, cli

FAST = {"horizon": 12, "context": 48, "preset": "fast", "level": 2, "patch_len": 8, "stride": 4}


@pytest.fixture(scope="module")
def model(tmp_path_factory, hourly_wide):
    folder = tmp_path_factory.mktemp("export") / "model"
    Forecaster(**FAST).fit(hourly_wide.iloc[:300]).save(folder)
    return folder


@pytest.mark.parametrize(
    ("out", "more", "message"),
    [
        ("out.csv", [], "cannot determine the format of {}; expected a name ending in .onnx or .pt2"),
        ("out", [], "cannot determine the format of {}"),
        ("-", [], "cannot determine the format of -"),
        ("gone/out.onnx", [], "does not exist; create it first"),
        ("out.onnx", ["--backbone", "minilm"], "--backbone is for a .pt2 file"),
        ("out.pt2", ["--levels", "80"], "--levels and --quantiles are for an .onnx file"),
        ("out.onnx", ["--levels", "120"], "levels are percentages"),
        ("out.onnx", ["--quantiles", "x"], "--quantiles x: expected numbers"),
    ],
)
def test_wrong_words_are_refused(model, tmp_path, capsys, out, more, message):
    path = out if out == "-" else tmp_path / out
    assert cli.run(["export", str(path), "--model", str(model), *more]) == 2
    said = capsys.readouterr().err
    assert message.format(path) in said
    assert len(said.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_into_the_model(model, capsys):
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    for out in (model / "out.onnx", model / "weights.pt2"):
        assert cli.run(["export", str(out), "--model", str(model)]) == 2
        assert "lies in the folder given as --model" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in model.rglob("*") if path.is_file()} == before


def test_no_model(tmp_path, capsys):
    assert cli.run(["export", str(tmp_path / "out.onnx"), "--model", str(tmp_path / "gone")]) == 2
    assert "no checkpoint folder at" in capsys.readouterr().err


def test_a_former_file_is_replaced_and_a_link_is_not_followed(model, tmp_path, capsys):
    kept = tmp_path / "kept.onnx"
    kept.write_text("mine")
    (tmp_path / "out.onnx").symlink_to(kept)
    assert cli.run(["export", str(tmp_path / "out.onnx"), "--model", str(model), "--levels", "none"]) == 0
    out = tmp_path / "out.onnx"
    assert kept.read_text() == "mine"
    assert not out.is_symlink()
    assert capsys.readouterr().out == f"exported: {out} ({out.stat().st_size:,} bytes)\n"
