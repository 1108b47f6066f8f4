"""Tables from standard input, forecasts on standard output, encodings and names on the command line."""

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swt_time.cli import run
from swt_time.cli.outputs import check_outputs
from swt_time.errors import InputError

FAST = ("--preset", "fast", "--set", "embedding.level=2", "--horizon", 4, "--context", 24, "--split", "none")
HOURS = np.arange(200)
TABLE = pd.DataFrame(
    {
        "date": pd.date_range("2024-01-01", periods=200, freq="h"),
        "load": 10 + np.sin(HOURS / 4),
        "heat": np.cos(HOURS / 5) - 5,
    }
)
CSV = TABLE.to_csv(index=False).encode()


@pytest.fixture(scope="module")
def folder(swt_time, tmp_path_factory):
    """A table, a model of it, and its forecast as a file."""
    root = tmp_path_factory.mktemp("streams")
    (root / "table.csv").write_bytes(CSV)
    swt_time("train", "--data", root / "table.csv", "--out", root / "model", *FAST)
    swt_time("forecast", "--model", root / "model", "--data", root / "table.csv", "--out", root / "forecast.csv")
    return root


def test_standard_input_and_output(swt_time, folder):
    shown = swt_time("forecast", "--model", folder / "model", "--data", "-", "--out", "-", stdin=CSV)
    assert shown.stdout == (folder / "forecast.csv").read_text()
    assert shown.stderr.splitlines() == ["forecast: - (2 series, 4 steps each)"]
    assert pd.read_csv(io.StringIO(shown.stdout))["unique_id"].tolist() == ["load"] * 4 + ["heat"] * 4


def test_standard_output_holds_the_table_alone_beside_a_picture_and_notes(swt_time, folder, tmp_path):
    pytest.importorskip("matplotlib")
    shown = swt_time(
        *("forecast", "--model", folder / "model", "--data", "-", "--out", "-", "--plot", tmp_path / "picture.png"),
        stdin=CSV.replace(b",", b";"),
    )
    assert shown.stdout == (folder / "forecast.csv").read_text()
    assert shown.stderr.splitlines() == [
        "note: cells are separated by semicolons",
        "forecast: - (2 series, 4 steps each)",
        f"picture: {tmp_path / 'picture.png'}",
    ]
    assert (tmp_path / "picture.png").exists()


def test_standard_output_is_utf8_whatever_the_terminal_says(folder, tmp_path):
    (tmp_path / "table.csv").write_bytes(CSV.replace(b"heat", "w\u00e4rme".encode()))
    words = ["forecast", "--model", folder / "model", "--data", tmp_path / "table.csv", "--out", "-"]
    shown = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "swt_time", *words, "--columns", "w\u00e4rme"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert pd.read_csv(io.BytesIO(shown.stdout))["unique_id"].unique().tolist() == ["w\u00e4rme"]


def test_every_command_reads_standard_input(swt_time, folder, tmp_path):
    swt_time("train", "--data", "-", "--out", tmp_path / "model", *FAST, stdin=CSV)
    weights = "model.safetensors"
    assert (tmp_path / "model" / weights).read_bytes() == (folder / "model" / weights).read_bytes()
    words = ("evaluate", "--model", folder / "model", "--split", "0.6/0.2/0.2", "--json")
    from_file = swt_time(*words, "--data", folder / "table.csv").stdout
    time = re.compile(r'"(seconds|peak_memory_bytes)": [\d.e-]+')
    assert time.sub("", swt_time(*words, "--data", "-", stdin=CSV).stdout) == time.sub("", from_file)
    pytest.importorskip("matplotlib")
    swt_time("bands", "--data", "-", "--out", tmp_path / "bands.png", "--level", 2, stdin=CSV)
    assert (tmp_path / "bands.png").exists()


def test_compressed_tables_from_standard_input(swt_time, folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("table.csv", CSV)
    shown = swt_time("forecast", "--model", folder / "model", "--data", "-", "--out", "-", stdin=buffer.getvalue())
    assert shown.stdout == (folder / "forecast.csv").read_text()


@pytest.mark.parametrize(
    ("stdin", "error"),
    [(b"", "standard input is empty"), (b"date,y\n2024-01-01,\xff\n", "standard input, row 2: byte 19 is not UTF-8")],
)
def test_errors_name_standard_input(swt_time, folder, stdin, error):
    refused = swt_time("forecast", "--model", folder / "model", "--data", "-", "--out", "-", stdin=stdin, check=False)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith(f"error: {error}")
    assert len(refused.stderr.splitlines()) == 1


def test_an_ablation_reads_its_tables_several_times(swt_time, tmp_path):
    refused = swt_time("ablate", "--data", "-", "--out", tmp_path / "results.csv", *FAST[:4], stdin=CSV, check=False)
    assert refused.returncode == 2
    assert "an ablation reads its tables several times; name a file" in refused.stderr
    assert not (tmp_path / "results.csv").exists()


def test_a_file_called_dash_is_named_by_its_folder(swt_time, folder, tmp_path):
    check_outputs({"--out": Path("-")}, {"--data": "-"})
    (tmp_path / "-").write_bytes(CSV)
    swt_time("forecast", "--model", folder / "model", "--data", f"{tmp_path}/-", "--out", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == (folder / "forecast.csv").read_bytes()


def test_the_table_is_not_overwritten_by_its_address(folder):
    with pytest.raises(InputError, match="is the file given as --data"):
        check_outputs({"--out": folder / "table.csv"}, {"--data": (folder / "table.csv").as_uri()})


def test_the_model_remembers_the_encoding(swt_time, tmp_path):
    table = tmp_path / "table.csv"
    table.write_bytes(CSV.decode().replace("heat", "gr\u00f6\u00dfe").encode("cp1252"))
    refused = swt_time("train", "--data", table, "--out", tmp_path / "model", *FAST, check=False)
    assert refused.returncode == 2
    assert "byte 13 is not UTF-8; set --encoding to the encoding of the file, for example cp1252" in refused.stderr
    swt_time("train", "--data", table, "--out", tmp_path / "model", "--encoding", "cp1252", *FAST)
    for more in ((), ("--encoding", "latin-1")):
        shown = swt_time("forecast", "--model", tmp_path / "model", "--data", table, "--out", "-", *more)
        assert pd.read_csv(io.StringIO(shown.stdout))["unique_id"].unique().tolist() == ["load", "gr\u00f6\u00dfe"]
    swt_time("evaluate", "--model", tmp_path / "model", "--data", table, "--split", "0.6/0.2/0.2")
    other = tmp_path / "utf8.csv"
    other.write_bytes(CSV.decode().replace("heat", "gr\u00f6\u00dfe").encode())
    words = ("forecast", "--model", tmp_path / "model", "--data", other, "--out", "-")
    assert swt_time(*words).stdout == shown.stdout  # a file in UTF-8 is read as such
    refused = swt_time(*words, "--encoding", "cp1252", check=False)
    assert "the table has no column 'gr\u00f6\u00dfe'" in refused.stderr  # but a flag is followed


def test_names_are_trimmed_on_both_sides(swt_time, folder, tmp_path):
    table = tmp_path / "table.csv"
    table.write_bytes(CSV.replace(b"date,load,heat", b" when , load,heat "))
    expected = pd.read_csv(folder / "forecast.csv")["yhat"].tolist()
    words = ("forecast", "--model", folder / "model", "--data", table, "--time-column", "when", "--out", "-")
    for more in ((), ("--columns", "load", "--columns", " heat")):
        shown = pd.read_csv(io.StringIO(swt_time(*words, *more).stdout))
        assert shown["yhat"].tolist() == expected  # with the scales of load and heat in training
    words = ("train", "--data", table, "--out", tmp_path / "model", "--time-column", " when", "--target", "heat", *FAST)
    swt_time(*words)
    shown = swt_time(
        "forecast", "--model", tmp_path / "model", "--data", folder / "table.csv", "--out", "-", check=False
    )
    assert "the table has no column ' when'" in shown.stderr
    shown = swt_time(
        *("forecast", "--model", tmp_path / "model", "--data", folder / "table.csv", "--time-column", "date"),
        *("--out", "-"),
    )
    assert pd.read_csv(io.StringIO(shown.stdout))["unique_id"].unique().tolist() == ["heat"]


LONG_NAMES = [f"sensor_of_the_northern_plant_{name}" for name in ("inlet", "outlet", "outlet_2")]


def test_evaluate_and_errors_tell_long_names_apart(swt_time, tmp_path):
    table = tmp_path / "table.csv"
    frame = pd.DataFrame({"date": TABLE["date"], **{name: TABLE["load"] * i for i, name in enumerate(LONG_NAMES, 1)}})
    frame.to_csv(table, index=False)
    swt_time("train", "--data", table, "--out", tmp_path / "model", *FAST[:-2], "--split", "0.6/0.2/0.2")
    lines = swt_time("evaluate", "--model", tmp_path / "model", "--data", table).stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("series (scaled)"))
    shown = [line.split()[0] for line in lines[start + 1 :]]
    assert len(shown) == len(set(shown)) == 3
    assert [line.split("...")[1] for line in shown] == [
        name[-len(s.split("...")[1]) :] for name, s in zip(LONG_NAMES, shown, strict=True)
    ]
    assert max(map(len, lines[start:])) <= 80
    broken = frame.assign(**{LONG_NAMES[1]: "x"})
    broken.to_csv(table, index=False)
    refused = swt_time("evaluate", "--model", tmp_path / "model", "--data", table, check=False)
    assert repr(LONG_NAMES[1]) in refused.stderr


def test_several_date_columns_are_a_question_or_a_note(folder, tmp_path, capsys):
    frame = TABLE.rename(columns={"date": "start"}).assign(end=TABLE["date"] + pd.Timedelta(hours=1))
    frame.to_csv(tmp_path / "both.csv", index=False)
    words = ["forecast", "--model", str(folder / "model"), "--data", str(tmp_path / "both.csv"), "--out", "-"]
    assert run(words) == 2
    assert "several columns hold times ('start', 'end'); choose one with --time-column" in capsys.readouterr().err
    assert run([*words, "--time-column", "start"]) == 0
    expected = (folder / "forecast.csv").read_text().replace("date", "start", 1)
    assert capsys.readouterr().out == expected
    frame.assign(end="2025-01-01").to_csv(tmp_path / "one.csv", index=False)
    with pytest.warns(UserWarning, match="column 'start' was taken as the time column; 'end' holds times too"):
        assert run([*words[:4], str(tmp_path / "one.csv"), *words[5:]]) == 0
    assert capsys.readouterr().out == expected
