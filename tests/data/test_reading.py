"""Reading and writing table files. Flawed files are in ``test_flawed_tables``."""

import errno
import os
import sys

import numpy as np
import pandas as pd
import pytest

from support.flawed_tables import days, excel
from swt_time.data.reading import read_table
from swt_time.data.series import to_series
from swt_time.data.writing import check_output, write_table
from swt_time.errors import MissingDependencyError, SWTTimeError, TableError

pl = pytest.importorskip("polars")

RANDOM = np.random.default_rng(0)
TIMES = pd.date_range("2024-01-01", periods=30, freq="h")
TABLE = pd.DataFrame(
    {
        "unique_id": ["007"] * 15 + ["NA"] * 15,
        "ds": TIMES,
        "y": RANDOM.normal(size=30) * 10.0 ** RANDOM.integers(-300, 300, size=30),
    }
)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".CSV"])
@pytest.mark.parametrize(
    "make",
    [pd.DataFrame, lambda t: pl.DataFrame({n: t[n].tolist() for n in t.columns})],
    ids=["pandas", "polars"],
)
def test_round_trip_is_exact(tmp_path, suffix, make):
    path = tmp_path / f"table{suffix}"
    write_table(make(TABLE), path)
    table = to_series(read_table(path))
    expected = to_series(TABLE)
    assert table.ids == expected.ids == ("007", "NA")
    for i in range(2):
        assert table.times[i].equals(expected.times[i])
        assert (table.values[i] == expected.values[i]).all()
    assert os.listdir(tmp_path) == [path.name]


def test_equal_tables_give_equal_files(tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        write_table(TABLE, tmp_path / name)
    raw = (tmp_path / "a.csv.gz").read_bytes()
    assert raw == (tmp_path / "b.csv.gz").read_bytes()
    assert raw[4:8] == bytes(4), "the gzip header contains a time"


def test_time_zones_survive_a_file(tmp_path):
    times = pd.date_range("2024-10-26", periods=50, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"ds": times, "y": np.arange(50.0)})
    for name in ("table.csv", "table.parquet"):
        write_table(frame, tmp_path / name)
        table = to_series(read_table(tmp_path / name))
        assert (table.times[0] == times).all()
        assert table.frequency == "h"


def test_errors_name_rows_of_the_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("\n\nds,y\n2024-01-01,1\n\n2024-01-02,2\n2024-01-03,oops\n")
    with pytest.raises(TableError, match=r"column 'y', row 7: 'oops'"):
        to_series(read_table(path))


def test_errors_name_rows_of_the_file_after_a_selection(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("ds,y\n2024-01-01,1\n2024-01-02,2\n2024-01-03,\n2024-01-04,4\n")
    with pytest.raises(TableError, match="row 4"):
        to_series(read_table(path).iloc[1:])


def test_numbers_are_parsed_exactly(tmp_path):
    values = [0.1, 1 / 3, 2.2250738585072014e-308, 9.999999999999999e299, 5e-324, 123456789.123456789]
    path = tmp_path / "table.csv"
    path.write_text("ds,y\n" + "".join(f"2024-01-0{i + 1},{v!r}\n" for i, v in enumerate(values)))
    assert to_series(read_table(path)).values[0].tolist() == values


def test_ids_in_a_named_column_stay_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(
        "shop,ds,y\n" + "".join(f"{shop},2024-01-0{day},1\n" for shop in ("01", "1", "NA") for day in (1, 2, 3))
    )
    assert to_series(read_table(path, id_column="shop"), id_column="shop").ids == ("01", "1", "NA")


def test_quoted_cells_may_hold_delimiters_and_line_breaks(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(
        'unique_id,ds,y\n"a, b",2024-01-01,1\n"a, b",2024-01-02,2\n"c\nd",2024-01-01,1\n"c\nd",2024-01-02,2\n'
    )
    assert to_series(read_table(path)).ids == ("a, b", "c\nd")


def test_parquet_without_pyarrow_names_the_install_command(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    path = tmp_path / "table.parquet"
    write_table(TABLE, path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "swt-time\[parquet\]"'):
        read_table(path)
    with pytest.raises(MissingDependencyError, match=r'pip install "swt-time\[parquet\]"'):
        write_table(TABLE, tmp_path / "other.parquet")
    assert os.listdir(tmp_path) == ["table.parquet"]


def test_excel_without_openpyxl_names_the_install_command(tmp_path, monkeypatch):
    pytest.importorskip("openpyxl")
    excel(*days(1, 2))(tmp_path / "table.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "swt-time\[excel\]"'):
        read_table(tmp_path / "table.xlsx")


def test_zstandard_without_a_package_names_the_install_command(tmp_path, monkeypatch):
    (tmp_path / "table.csv.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    for module in ("compression", "compression.zstd", "backports", "backports.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r'pip install "swt-time\[zstd\]"'):
        read_table(tmp_path / "table.csv.zst")


def test_an_excel_workbook_equals_its_csv(tmp_path):
    """Times to the millisecond, whole and decimal numbers, and ids of both types."""
    pytest.importorskip("openpyxl")
    rows = [(f"{i % 2}", 7 + i % 2, TIMES[i // 2].to_pydatetime(), i / 8, i) for i in range(40)]
    excel(["unique_id", "number", "ds", "y", "z"], *map(list, rows))(tmp_path / "table.xlsx")
    frame = pd.DataFrame(rows, columns=["unique_id", "number", "ds", "y", "z"])
    frame.to_csv(tmp_path / "table.csv", index=False)
    read = [read_table(tmp_path / f"table.{suffix}") for suffix in ("xlsx", "csv")]
    for options in ({"target": "y"}, {"target": "z", "id_column": "number"}):
        first, second = (to_series(one, **options) for one in read)
        assert first.ids == second.ids
        assert [v.tolist() for v in first.values] == [v.tolist() for v in second.values]
        assert first.times[0].equals(second.times[0])
    labels = to_series(read[0], target="z", id_column="number").labels["number"]
    assert labels.tolist() == [7, 8]


def test_columns_without_a_name_in_a_workbook_keep_apart(tmp_path):
    pytest.importorskip("openpyxl")
    rows = [[i, i + 3, TIMES[i].to_pydatetime(), i * i] for i in range(5)]
    excel([None, "Unnamed: 0", "ds", "y"], *rows)(tmp_path / "table.xlsx")
    table = to_series(read_table(tmp_path / "table.xlsx"))
    assert table.values[0].tolist() == [0, 1, 4, 9, 16]
    assert len(table.notes) == 2


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("table.xlsx", r"cannot determine the format of .*table\.xlsx; expected a name ending in \.csv"),
        ("table", "cannot determine the format"),
        ("folder.csv", "it is a folder"),
        ("no/such/table.csv", "does not exist; create it first"),
    ],
)
def test_unwritable_outputs_are_refused_early(tmp_path, name, error):
    (tmp_path / "folder.csv").mkdir()
    for call in (check_output, lambda path: write_table(TABLE, path)):
        with pytest.raises(TableError, match=error):
            call(tmp_path / name)
    assert os.listdir(tmp_path) == ["folder.csv"]


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, SWTTimeError), (errno.EIO, SWTTimeError), (errno.EACCES, TableError)]
)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failed_write_keeps_the_previous_file(tmp_path, monkeypatch, number, kind, step):
    path = tmp_path / "table.csv"
    path.write_text("previous")

    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(kind, match=os.strerror(number)) as caught:
        write_table(TABLE, path)
    assert isinstance(caught.value, TableError) == (kind is TableError)
    assert path.read_text() == "previous"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_new_files_have_default_permissions(tmp_path):
    write_table(TABLE, tmp_path / "table.csv")
    (tmp_path / "plain").touch()
    assert (tmp_path / "table.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode
