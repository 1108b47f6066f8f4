"""Tables are read in batches, within one memory budget, as if they had been read at once."""

import gzip
import time

import numpy as np
import pandas as pd
import pytest

from swt_time.config.identity import config_hash
from swt_time.config.schema import Config
from swt_time.data import csv_batches, csv_lines, parquet
from swt_time.data.budget import LEAST, MEBIBYTE, PER_BYTE, Budget
from swt_time.data.reading import read_table
from swt_time.data.series import to_series
from swt_time.errors import TableError

CELLS = (
    "1",
    "2.5",
    "",
    "NA",
    "x",
    "True",
    "False",
    "9223372036854775807",
    "1e400",
    '"a,b"',
    "007",
)


@pytest.mark.parametrize("seed", range(60))
def test_batches_give_the_frame_that_one_batch_gives(tmp_path, monkeypatch, seed):
    draw = np.random.default_rng(seed)
    columns = [draw.choice(CELLS, size=draw.integers(1, 4)) for _ in range(4)]
    lines = [",".join(draw.choice(some) for some in columns) for _ in range(40)]
    lines = [line if draw.random() > 0.1 else ",,," for line in lines]
    names = "unique_id,b,c,d" if seed % 2 else "a,b,c,d"
    (tmp_path / "t.csv").write_text("\n".join([names, *lines, "z,1,1,1"]) + "\n")
    whole = read_table(tmp_path / "t.csv")
    monkeypatch.setattr(csv_batches, "BATCH_CELLS", 12)
    monkeypatch.setattr(csv_batches, "BATCH_ROWS", 1)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), whole)


def test_batches_of_parquet(tmp_path, monkeypatch):
    days = pd.date_range("2024-01-01", periods=100)
    table = pd.DataFrame({"unique_id": ["a", "b"] * 50, "ds": days, "y": np.arange(100.0)})
    table.to_parquet(tmp_path / "t.parquet", index=False)
    whole = read_table(tmp_path / "t.parquet")
    monkeypatch.setattr(parquet, "BATCH_CELLS", 21)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 1)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), whole)
    assert whole["unique_id"].tolist() == table["unique_id"].tolist()


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet", "xlsx"])
def test_the_limit_is_named_and_can_be_raised(tmp_path, suffix):
    rows = 10_000 if suffix == "xlsx" else 200_000
    table = pd.DataFrame({"ds": pd.date_range("2000-01-01", periods=rows, freq="h"), "y": np.arange(rows) / 7})
    path = tmp_path / f"t.{suffix}"
    {"parquet": table.to_parquet, "xlsx": table.to_excel}.get(suffix, table.to_csv)(path, index=False)
    with pytest.raises(TableError, match=r"t\.\S+ needs more than 1 MiB of memory; set data\.memory_limit"):
        read_table(path, memory_limit=1)
    assert len(read_table(path, memory_limit=200)) == rows


def test_a_small_file_has_a_small_budget():
    budget = Budget()
    budget.start("t.csv", 1000)
    assert budget.limit == LEAST + 1000 * PER_BYTE
    given = Budget(100)
    given.start("t.csv", 1000)
    assert given.limit == 100 * MEBIBYTE
    given.take(60 * MEBIBYTE)
    with pytest.raises(TableError, match="more than 100 MiB"):
        given.take(50 * MEBIBYTE)
    given.give(20 * MEBIBYTE)
    given.take(50 * MEBIBYTE)


def test_the_limit_does_not_change_what_is_computed():
    assert config_hash(Config()) == config_hash(Config().replace({"data.memory_limit": 5}))


@pytest.mark.parametrize("quote", ["", '"'])
def test_rows_after_blank_lines_keep_their_numbers(tmp_path, monkeypatch, quote):
    monkeypatch.setattr(csv_lines, "GAP", 3)
    text = f"ds,{quote}y{quote}\n2024-01-01,1\n\n\n\n\n\n2024-01-02,2\n\n2024-01-03,3\n" + "\n" * 9 + "2024-01-04,x\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    frame = read_table(tmp_path / "t.csv.gz")
    assert (frame.index + 2).tolist() == [2, 8, 10, 20]
    assert frame.attrs["swt_time_notes"] == ("15 blank rows were skipped",)


def test_zeros_for_a_gap_of_centuries_are_refused():
    times = pd.to_datetime(["1700-01-01 00:00:00", "1700-01-01 00:00:01", "1700-01-01 00:00:02", "2200-01-01 00:00:00"])
    table = pd.DataFrame({"ds": times.astype("datetime64[us]"), "y": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(TableError, match=r"filling with zeros would turn 4 values into 15,778,\d{3},\d{3}"):
        to_series(table, fill="zero")
    table["y"] = [np.nan, 1.0, 2.0, 3.0]
    with pytest.raises(TableError, match="more than half"):
        to_series(table, fill="linear")


def test_time_is_linear_in_the_columns():
    def seconds(columns: int) -> float:
        days = pd.date_range("2024-01-01", periods=10)
        frame = pd.DataFrame(np.ones((10, columns)), columns=[f"c{i}" for i in range(columns)]).assign(ds=days)
        frame.attrs["swt_time_notes"] = ("a note",) * 100  # pandas copies them with each column
        before = time.process_time()
        to_series(frame)
        return time.process_time() - before

    seconds(100)
    assert seconds(16_000) < 16 * max(seconds(2_000), 0.02)
