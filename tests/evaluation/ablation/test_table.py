"""Rows are whole or not there."""

import csv
from concurrent.futures import ThreadPoolExecutor

import pytest

from swt_time.errors import InputError
from swt_time.evaluation.ablation import append_row, read_rows

ROW = {"model": "swt-time", "config_hash": "c", "data_sha256": "d", "mse": "0.5", "options": '{"a": 1, "b": "x,y"}'}


def test_rows_come_back_as_they_were_written(tmp_path):
    file = tmp_path / "rows.csv"
    append_row(file, ROW)
    append_row(file, {**ROW, "mse": None})
    assert read_rows(file) == [ROW, {**ROW, "mse": ""}]
    assert next(csv.DictReader(file.open(newline=""))) == ROW


def test_no_file_is_no_rows_and_no_folder_is_an_error(tmp_path):
    assert read_rows(tmp_path / "rows.csv") == []
    with pytest.raises(InputError, match="does not exist; create it first"):
        read_rows(tmp_path / "nowhere" / "rows.csv")


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_half_a_row_is_no_row_and_is_cleared_away(tmp_path, cut):
    file = tmp_path / "rows.csv"
    append_row(file, ROW)
    append_row(file, ROW)
    file.write_bytes(file.read_bytes()[:-cut])
    assert read_rows(file) == [ROW]
    append_row(file, {**ROW, "mse": "0.7"})
    assert [row["mse"] for row in read_rows(file)] == ["0.5", "0.7"]


def test_half_a_header_is_no_table(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("model,conf")
    assert read_rows(file) == []
    append_row(file, ROW)
    assert read_rows(file) == [ROW]


def test_a_younger_column_is_added_to_old_rows(tmp_path):
    file = tmp_path / "rows.csv"
    append_row(file, ROW)
    append_row(file, {**ROW, "rmse": "0.1"})
    assert read_rows(file) == [{**ROW, "rmse": ""}, {**ROW, "rmse": "0.1"}]
    append_row(file, ROW)
    assert read_rows(file)[2] == {**ROW, "rmse": ""}


def test_many_writers_lose_nothing(tmp_path):
    file = tmp_path / "rows.csv"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: append_row(file, {**ROW, f"column{i % 3}": str(i)}), range(60)))
    found = read_rows(file)
    assert len(found) == 60
    assert sorted(int(row[f"column{i}"]) for row in found for i in range(3) if row[f"column{i}"]) == list(range(60))


def test_another_table_is_refused_and_left_as_it_was(tmp_path):
    file = tmp_path / "prices.csv"
    file.write_text("date,price\n2024-01-01,3\n")
    with pytest.raises(InputError, match="lacks the column"):
        read_rows(file)
    assert file.read_text() == "date,price\n2024-01-01,3\n"
