"""Tables are read in batches, within one memory budget, as if they had been read at once."""

import gzip
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from swt_time.config.identity import config_hash
from swt_time.config.schema import Config
from swt_time.data import csv_batches, csv_lines, parquet
from swt_time.data.budget import LEAST, MEBIBYTE, PER_BYTE, Budget
from swt_time.data.reading import read_table
from swt_time.data.series import to_series
from swt_time.errors import TableError

PANDAS_2 = pd.__version__.startswith("2.")

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
    found = read_table(tmp_path / "t.csv")
    if PANDAS_2:  # which holds a truth value beside texts as what it was in its batch
        whole, found = (one.astype({name: str for name in one if one[name].dtype == object}) for one in (whole, found))
    pd.testing.assert_frame_equal(found, whole)


def test_batches_of_parquet(tmp_path, monkeypatch):
    days = pd.date_range("2024-01-01", periods=100)
    table = pd.DataFrame({"unique_id": ["a", "b"] * 50, "ds": days, "y": np.arange(100.0)})
    table.to_parquet(tmp_path / "t.parquet", index=False)
    whole = read_table(tmp_path / "t.parquet")
    monkeypatch.setattr(parquet, "BATCH_CELLS", 21)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 1)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), whole)
    assert whole["unique_id"].tolist() == table["unique_id"].tolist()


@pytest.mark.parametrize("kind", ["string", "large_string"])
@pytest.mark.parametrize("name", ["unique_id", "store"])
def test_ids_of_parquet_stay_encoded_where_they_repeat(tmp_path, monkeypatch, name, kind):
    """Less memory and time, and a table of the same series: names, order, values, and labels of the same type."""
    monkeypatch.setattr(parquet, "BATCH_CELLS", 300)
    count = 40
    ids = pa.array([f"s {i:03d}" for i in np.random.default_rng(0).permutation(count)], kind).take(
        pa.array(np.repeat(np.arange(count), 20))
    )
    days = np.tile(pd.date_range("2024-01-01", periods=20).to_numpy(), count)
    table = pa.table({name: ids, "ds": days, "y": np.arange(20.0 * count)})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet", row_group_size=170)
    frame = read_table(tmp_path / "t.parquet", id_column=name)
    assert pa.types.is_dictionary(frame[name].dtype.pyarrow_dtype)
    plain = table.to_pandas(types_mapper=pd.ArrowDtype)
    found, expected = (to_series(one, id_column=name) for one in (frame, plain))
    assert (found.ids, found.order) == (expected.ids, expected.order)
    assert all(np.array_equal(*pair) for pair in zip(found.values, expected.values, strict=True))
    assert found.labels.keys() == expected.labels.keys() == {name}
    pd.testing.assert_series_equal(found.labels[name], expected.labels[name])
    other = read_table(tmp_path / "t.parquet", id_column=None if name == "store" else name)
    assert pa.types.is_dictionary(other[name].dtype.pyarrow_dtype) == (name == "unique_id")


def test_ids_of_parquet_that_do_not_repeat_are_text(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "BATCH_CELLS", 300)
    table = pd.DataFrame({"unique_id": [f"s {i // 4}" for i in range(1000)], "y": np.arange(1000.0)})
    table.to_parquet(tmp_path / "t.parquet", index=False, row_group_size=170)
    frame = read_table(tmp_path / "t.parquet")
    assert frame["unique_id"].dtype == pd.ArrowDtype(pa.string() if PANDAS_2 else pa.large_string())
    assert frame["unique_id"].tolist() == table["unique_id"].tolist()


def test_a_missing_id_among_encoded_ones_is_found(tmp_path):
    table = pd.DataFrame({"unique_id": ["a"] * 50 + ["b"] * 50, "y": np.arange(100.0)})
    table["ds"] = [*pd.date_range("2024-01-01", periods=50)] * 2
    table.loc[70, "unique_id"] = None
    table.to_parquet(tmp_path / "t.parquet", index=False)
    frame = read_table(tmp_path / "t.parquet")
    assert pa.types.is_dictionary(frame["unique_id"].dtype.pyarrow_dtype)
    with pytest.raises(TableError, match=r"'unique_id', row 72: the id is missing \(1 such rows\)"):
        to_series(frame)


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


@pytest.mark.parametrize("others", [10, 1000])
def test_a_long_id_that_repeats_is_counted(tmp_path, monkeypatch, others):
    """Each batch would fit; all of them, once they are text, would not."""
    monkeypatch.setattr(parquet, "BATCH_CELLS", 200)
    ids = [*([f"{'x' * 50_000}"] * 3000), *(f"s {i}" for i in range(others))]
    pd.DataFrame({"unique_id": ids, "y": 1.0}).to_parquet(tmp_path / "t.parquet", index=False)
    if others > 3000 / 8:
        with pytest.raises(TableError, match="needs more than 20 MiB of memory"):
            read_table(tmp_path / "t.parquet", memory_limit=20)
    else:
        assert read_table(tmp_path / "t.parquet", memory_limit=20)["unique_id"].tolist() == ids
