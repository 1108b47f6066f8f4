"""Folders of Parquet files are divided into buckets of whole series, and refused where they are no table."""

import os

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from support.parts import ROWS, SERIES, daily, write_parts
from swt_time.data import parquet_folder
from swt_time.data.parquet_folder import divide, open_parquet_folder
from swt_time.errors import TableError


def ordered(table):
    return table.astype({"unique_id": object}).sort_values(["unique_id", "ds"], ignore_index=True)


@pytest.mark.parametrize("order", ["by series", "by date", "shuffled"])
@pytest.mark.parametrize("compression", ["snappy", "zstd"])
def test_every_row_is_in_one_bucket(tmp_path, order, compression):
    table = daily()
    if order == "by date":
        table = table.sort_values("ds", kind="stable")
    elif order == "shuffled":
        table = table.sample(frac=1, random_state=0)
    folder = open_parquet_folder(write_parts(table, tmp_path / "t", 4, row_group_size=90, compression=compression))
    buckets = divide(folder, ("unique_id",), 200)
    frames = [one.read() for one in buckets]
    assert [len(one.keys) for one in buckets] == [3] * (SERIES // 3)
    assert [sorted(one["unique_id"].unique()) for one in frames] == [sorted(one.keys) for one in buckets]
    pd.testing.assert_frame_equal(ordered(pd.concat(frames)), ordered(table), check_dtype=False)
    groups = sum(len(groups) for one in buckets for _, groups in one.pieces)
    assert groups < 30 if order == "by series" else groups > 60


def test_a_long_series_is_a_bucket_of_its_own(tmp_path):
    folder = open_parquet_folder(write_parts(daily(3), tmp_path / "t"))
    assert [one.rows for one in divide(folder, ("unique_id",), 10)] == [ROWS] * 3
    assert [one.rows for one in divide(folder, ("unique_id",), 10**6)] == [3 * ROWS]


@pytest.mark.parametrize("ids", [(1, 10), (1.5, 2.5), (True, False), ("a", None)])
def test_ids_of_any_plain_type(tmp_path, ids):
    table = daily(2).assign(unique_id=np.repeat(np.array(ids, dtype=object), ROWS)).infer_objects()
    buckets = divide(open_parquet_folder(write_parts(table, tmp_path / "t")), ("unique_id",), ROWS)
    assert [len(one.read()) for one in buckets] == [ROWS, ROWS]


def test_several_columns_are_one_id(tmp_path):
    """Cells that would be equal if they were only joined are different ids."""
    table = daily(3).assign(region=np.repeat(["a", "a/b", "a"], ROWS), shop=np.repeat(["b/c", "c", "c"], ROWS))
    buckets = divide(open_parquet_folder(write_parts(table, tmp_path / "t")), ("region", "shop"), ROWS)
    assert [len(one.read()) for one in buckets] == [ROWS] * 3
    assert buckets[0].described == "series 'a/b/c'"


def test_folders_that_are_no_table_are_refused(tmp_path):
    folder = write_parts(daily(), tmp_path / "t")
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.parquet.crc").touch()
    assert len(open_parquet_folder(folder).parts) == 3
    with pytest.raises(TableError, match=r"no column 'unique_id'; they have .*'shop'.*data\.id_column"):
        divide(
            open_parquet_folder(write_parts(daily().rename(columns={"unique_id": "shop"}), tmp_path / "s")),
            ["unique_id"],
            9,
        )
    (folder / "notes.csv").touch()
    with pytest.raises(TableError, match=r"holds 'notes\.csv'; expected Parquet files of one long table"):
        open_parquet_folder(folder)
    (folder / "notes.csv").rename(folder / "part-9.parquet")
    with pytest.raises(TableError, match=r"part-9\.parquet is a damaged Parquet file"):
        open_parquet_folder(folder)
    daily().assign(y=1).to_parquet(folder / "part-9.parquet", index=False)
    with pytest.raises(
        TableError, match=r"part-9\.parquet has the column 'y' of type int64, part-0\.parquet of type double"
    ):
        open_parquet_folder(folder)
    (folder / "part-9.parquet").unlink()
    os.mkfifo(folder / "part-9.parquet")
    with pytest.raises(TableError, match=r"holds 'part-9\.parquet'"):
        open_parquet_folder(folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(TableError, match=r"holds no file with a name that ends in \.parquet"):
        open_parquet_folder(empty)
    daily().head(0).to_parquet(empty / "part-0.parquet")
    with pytest.raises(TableError, match="have no rows"):
        open_parquet_folder(empty)


def test_parts_that_changed_meanwhile_are_refused(tmp_path):
    folder = write_parts(daily(), tmp_path / "t", 1)
    bucket = divide(open_parquet_folder(folder), ("unique_id",), 120)[3]
    daily(SERIES - 1, seed=1).to_parquet(folder / "part-0.parquet", index=False)
    bucket.read()
    daily(7).to_parquet(folder / "part-0.parquet", index=False)
    with pytest.raises(TableError, match="the parts were changed meanwhile"):
        bucket.read()


def test_series_that_are_spread_too_far_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_folder, "MOST_PLACES", 100)
    folder = open_parquet_folder(write_parts(daily().sort_values("ds"), tmp_path / "t", row_group_size=48))
    with pytest.raises(TableError, match="sort the table by 'unique_id'"):
        divide(folder, ("unique_id",), 1000)


def test_a_footer_cannot_claim_much_memory(tmp_path):
    (tmp_path / "part-0.parquet").write_bytes(b"PAR1" + bytes(2**22) + (2**22).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(TableError, match=r"part-0\.parquet needs more than .* MiB of memory"):
        open_parquet_folder(tmp_path)


def test_a_small_file_cannot_take_much_memory(tmp_path):
    """More than half a gigabyte of one repeated text, which a few kilobytes hold."""
    rows = 600
    text = pyarrow.DictionaryArray.from_arrays(np.zeros(rows, dtype=np.int32), ["x" * 2**20])
    table = pyarrow.table({"unique_id": ["a"] * rows, "ds": range(rows), "y": range(rows), "text": text})
    (tmp_path / "t").mkdir()
    pyarrow.parquet.write_table(table, tmp_path / "t" / "part.parquet", store_schema=False)
    (bucket,) = divide(open_parquet_folder(tmp_path / "t"), ("unique_id",), 10**6)
    with pytest.raises(TableError, match=r"MiB of memory; set data\.memory_limit"):
        bucket.read()
