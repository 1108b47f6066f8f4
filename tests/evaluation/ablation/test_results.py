"""Results files: rows are read back as they were written, and are complete or absent."""

import csv
import dataclasses
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swt_time.errors import InputError, SWTTimeError
from swt_time.evaluation.ablation import Row, append_row, read_rows
from swt_time.evaluation.ablation.results import COLUMNS, INTERVALS

ROW = Row(
    dataset="ETTh1",
    trained_on="ETTh1",
    horizon=96,
    context=512,
    split="etth",
    model="swt-time",
    preset="fast",
    variant="two, with a comma",
    backbone="none",
    embedding="wavelet haar 6 reflect",
    seed=0,
    train_fraction=1.0,
    steps=792,
    best_step=352,
    ended="early stopping",
    validation_mse=0.665114,
    mse=0.365942,
    mae=0.390678,
    windows=2785,
    gate=-0.002025,
    seconds=9.9,
    score_seconds=1.02,
    peak_mb=502,
    device="cpu",
    machine="Linux x86_64",
    threads=1,
    config_hash="25918416b70d",
    data_sha256="81b0629bbe21",
    commit="546a8da62ec1",
    versions="python=3.11.7 torch=2.13.0+cpu",
    finished="2026-11-25T02:34:38Z",
    options='{"a": 1, "b": "x,y"}',
    coverage_80=0.836,
    coverage_95=0.968,
    interval_score_80=1.53,
    interval_score_95=2.34,
    msis_80=3.21,
    msis_95=4.56,
    crps=0.2389,
    weighted_quantile_loss=0.31,
)
LINE = (
    'ETTh1,ETTh1,96,512,etth,swt-time,fast,"two, with a comma",none,wavelet haar 6 reflect,0,1.0,792,352,'
    "early stopping,0.665114,0.365942,0.390678,2785,-0.002025,9.90,1.02,502,cpu,Linux x86_64,1,25918416b70d,"
    "81b0629bbe21,546a8da62ec1,python=3.11.7 torch=2.13.0+cpu,2026-11-25T02:34:38Z,"
    '"{""a"": 1, ""b"": ""x,y""}",0.836000,0.968000,1.530000,2.340000,3.210000,4.560000,0.238900,0.310000'
)
EMPTY = dict.fromkeys(("steps", "best_step", "validation_mse", "mse", "mae", "windows", "gate", "peak_mb"))


def table(path):
    """The cells of a results file as text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_columns(path, columns, rows, **extra):
    """Write a results file that holds only some columns of rows, and extra ones."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*columns, *extra], lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row.cells() | extra for row in rows)


def test_written_line_is_exact(tmp_path):
    file = tmp_path / "rows.csv"
    append_row(file, ROW)
    assert file.read_text() == ",".join(COLUMNS) + "\n" + LINE + "\n"


def test_rows_are_read_back_with_their_types(tmp_path):
    file = tmp_path / "rows.csv"
    rows = [ROW, dataclasses.replace(ROW, seed=1, train_fraction=0.1, **EMPTY)]
    for row in rows:
        append_row(file, row)
    assert read_rows(file) == rows
    assert {type(value) for value in dataclasses.astuple(read_rows(file)[0])} == {str, int, float}


def test_numbers_are_rounded_when_written(tmp_path):
    file = tmp_path / "rows.csv"
    append_row(file, dataclasses.replace(ROW, mse=0.36594249, mae=1 / 3, seconds=9.8999, score_seconds=0.0))
    cells = table(file)[0]
    assert (cells["mse"], cells["mae"], cells["seconds"], cells["score_seconds"]) == (
        *("0.365942", "0.333333", "9.90", "0.00"),
    )


def test_committed_results_are_written_again_byte_for_byte(tmp_path):
    committed = Path(__file__).parents[3] / "benchmarks" / "results" / "accuracy.csv"
    rows = read_rows(committed)
    assert len(rows) > 500
    write_columns(tmp_path / "rows.csv", COLUMNS, rows)
    assert (tmp_path / "rows.csv").read_bytes() == committed.read_bytes()


def test_missing_file_has_no_rows_and_a_missing_folder_is_an_error(tmp_path):
    assert read_rows(tmp_path / "rows.csv") == []
    with pytest.raises(InputError, match="does not exist; create it first"):
        read_rows(tmp_path / "nowhere" / "rows.csv")


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_half_a_row_is_ignored_and_overwritten(tmp_path, cut):
    file = tmp_path / "rows.csv"
    append_row(file, ROW)
    append_row(file, ROW)
    file.write_bytes(file.read_bytes()[:-cut])
    assert read_rows(file) == [ROW]
    append_row(file, dataclasses.replace(ROW, mse=0.7))
    assert [row.mse for row in read_rows(file)] == [0.365942, 0.7]


def test_half_a_header_is_ignored_and_overwritten(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("model,conf")
    assert read_rows(file) == []
    append_row(file, ROW)
    assert read_rows(file) == [ROW]


@pytest.mark.parametrize(
    "content",
    [
        b"a note without an end of line",
        b"{}",
        b"model,note",
        b"a,b\n1,2\n3",
        b"\n",
        b"\x89PNG\xff\0" * 9,
        b"x" * 200_000,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_a_file_that_holds_no_results_is_refused_and_unchanged(tmp_path, content):
    """A file without a complete line looks like one whose first line was cut off, which is overwritten."""
    file = tmp_path / "rows.csv"
    file.write_bytes(content)
    for use in (read_rows, lambda path: append_row(path, ROW)):
        with pytest.raises(InputError, match=r"is not a results file|cannot read the results"):
            use(file)
    assert file.read_bytes() == content


def test_a_cell_that_is_too_long_is_an_error(tmp_path):
    file = tmp_path / "rows.csv"
    write_columns(file, COLUMNS, [dataclasses.replace(ROW, options="x" * 200_000)])
    with pytest.raises(InputError, match=r"rows\.csv, line \d+, field larger than field limit .*remove the line"):
        read_rows(file)


def test_columns_of_an_older_and_of_a_newer_version(tmp_path):
    """A column that the file lacks is added; one that this version does not know is kept."""
    file = tmp_path / "rows.csv"
    older = [column for column in COLUMNS if column not in ("gate", "options")]
    write_columns(file, older, [ROW], rmse="0.6")
    assert read_rows(file) == [dataclasses.replace(ROW, gate=None, options="")]
    append_row(file, ROW)
    assert read_rows(file) == [dataclasses.replace(ROW, gate=None, options=""), ROW]
    first, second = table(file)
    assert list(first) == [*older, "rmse", "gate", "options"]
    assert (first["rmse"], second["rmse"]) == ("0.6", "")
    before = file.read_bytes()
    append_row(file, ROW)
    assert file.read_bytes().startswith(before)
    assert read_rows(file)[2] == ROW


def test_rows_without_intervals_are_read_and_completed(tmp_path):
    """Results of a version that had no intervals yet."""
    file = tmp_path / "rows.csv"
    write_columns(file, [column for column in COLUMNS if column not in INTERVALS], [ROW])
    (former,) = read_rows(file)
    assert {getattr(former, column) for column in INTERVALS} == {None}
    append_row(file, ROW)
    assert read_rows(file) == [former, ROW]


def test_concurrent_writers_lose_no_row(tmp_path):
    older = [column for column in COLUMNS if column != "gate"]
    for turn in range(5):
        file = tmp_path / f"{turn}.csv"
        write_columns(file, older, [dataclasses.replace(ROW, seed=0)])
        with ThreadPoolExecutor(8) as pool:  # the first of them replaces the file
            list(pool.map(lambda seed, file=file: append_row(file, dataclasses.replace(ROW, seed=seed)), range(1, 17)))
        assert sorted(row.seed for row in read_rows(file)) == list(range(17))


def test_other_files_are_refused_and_left_unchanged(tmp_path):
    file = tmp_path / "prices.csv"
    file.write_text("date,price\n2024-01-01,3\n")
    with pytest.raises(InputError, match="not a results file: it lacks the column dataset"):
        read_rows(file)
    assert file.read_text() == "date,price\n2024-01-01,3\n"


def test_wrong_cell_is_named_by_line_and_column(tmp_path):
    file = tmp_path / "rows.csv"
    append_row(file, ROW)
    file.write_text(file.read_text() + LINE.replace("0.365942", "low") + "\n")
    with pytest.raises(InputError, match=r"rows\.csv, line 3, column mse: .*valid number"):
        read_rows(file)


def test_key_is_that_of_the_cell_and_holds_both_hashes():
    assert ROW.key == ("swt-time", "25918416b70d", "81b0629bbe21", "81b0629bbe21")
    zero_shot = dataclasses.replace(ROW, data_sha256="81b0629bbe21 from eafa04654637")
    assert zero_shot.key == ("swt-time", "25918416b70d", "81b0629bbe21", "eafa04654637")


@pytest.mark.parametrize("kind", ["symbolic link", "hard link", "pipe"])
def test_planted_temporary_file_is_not_written_to(tmp_path, kind):
    """Columns that a file lacks are added in a new file, under a name that cannot be planted."""
    file, mine = tmp_path / "results.csv", tmp_path / "mine"
    append_row(file, ROW)
    lines = [line.rsplit(",", 1)[0] for line in file.read_text().splitlines()]
    file.write_text("\n".join(lines) + "\n")
    mine.write_text("mine")
    planted = tmp_path / "results.csv.new"
    {
        "symbolic link": lambda: planted.symlink_to(mine),
        "hard link": lambda: planted.hardlink_to(mine),
        "pipe": lambda: os.mkfifo(planted),
    }[kind]()
    append_row(file, ROW)
    assert len(read_rows(file)) == 2
    assert mine.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["mine", "results.csv", "results.csv.new"]


def test_link_to_a_results_file_is_kept(tmp_path):
    file, link = tmp_path / "results.csv", tmp_path / "link.csv"
    append_row(file, ROW)
    file.write_text("\n".join(line.rsplit(",", 1)[0] for line in file.read_text().splitlines()) + "\n")
    link.symlink_to(file)
    append_row(link, ROW)
    assert link.is_symlink()
    assert len(read_rows(file)) == 2


def test_pipe_in_place_of_a_results_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "results.csv")
    with pytest.raises(InputError, match="expected a regular file, got a pipe"):
        read_rows(tmp_path / "results.csv")


def test_error_of_the_file_system_is_typed(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SWTTimeError, match=r"cannot append a row to the results .*: Stale"):
        append_row(tmp_path / "results.csv", ROW)
