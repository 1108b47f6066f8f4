"""Catalogue of flawed tables with the expected outcome of each: read, repaired with a note, or refused with an error.

The tests write each one to a file and read it. ``python tests/support/flawed_tables.py docs/tables.md`` documents the
outcomes.
"""

import bz2
import datetime
import decimal
import gzip
import io
import lzma
import math
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

import swt_time.cli.training  # noqa: F401  (fills FLAGS)
from swt_time.cli.messages import to_flags
from swt_time.cli.options import FLAGS
from swt_time.data.reading import read_table
from swt_time.data.series import SeriesTable, to_series
from swt_time.errors import TableError

HOURS = pd.date_range("2024-01-01", periods=8, freq="h").strftime("%Y-%m-%d %H:%M").tolist()
DAYS = pd.date_range("2024-01-01", periods=8, freq="D").strftime("%Y-%m-%d").tolist()


def wide(cells: list[Any], times: list[str] = DAYS, header: str = "date,y") -> str:
    return "\n".join([header, *(f"{t},{c}" for t, c in zip(times, cells, strict=False))]) + "\n"


def long(rows: list[tuple[Any, ...]], header: str = "unique_id,ds,y") -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def stacked(**series: list[str]) -> str:
    return long([(name, t, i) for name, times in series.items() for i, t in enumerate(times)])


RANKED = long(
    [(shop, kind, t, "pq"[(i + (kind == "x")) % 2], i) for shop in "ab" for kind in "xy" for i, t in enumerate(DAYS)],
    "shop,kind,ds,rank,y",
)
"""Series that shop and kind tell apart, or shop and rank."""


@dataclass
class Case:
    """A file, the options to read it with, and the expected outcome.

    Attributes
    ----------
    name : str
    content : str, bytes or callable
        Content of the file, or a function that writes it to a path.
    error : str
        Pattern of the error as the command line prints it; empty if the table is read.
    notes : tuple of str
        Text within each note, in order.
    values : dict
        Values by series id, if the table is read.
    options : dict
        Options of `to_series`, and ``encoding``.
    suffix : str
        Suffix of the file name.
    frequency : str
        Expected frequency, if the table is read.
    """

    name: str
    content: str | bytes | Callable[[Path], None]
    error: str = ""
    notes: tuple[str, ...] = ()
    values: dict[str, list[float]] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    suffix: str = ".csv"
    frequency: str = "D"


GOOD = [0, 1, 2, 3, 4, 5, 6, 7]
FLOATS = [float(v) for v in GOOD]


def parquet(*pairs: tuple[str, Any], **columns: Any) -> Callable[[Path], None]:
    """Return a function that writes a Parquet file.

    A column may be a function of the pyarrow module; columns given as pairs may have equal names.
    """

    def write(path: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        names, values = zip(*pairs, *columns.items(), strict=True)
        arrays = [value(pyarrow) if callable(value) else pyarrow.array(value) for value in values]
        pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, names=list(names)), path)

    return write


def write_periods(path: Path) -> None:
    """Write a table of quarters as pandas periods."""
    pd.DataFrame({"date": pd.period_range("2024Q1", periods=8, freq="Q"), "y": GOOD}).to_parquet(path)


def zipped(*files: tuple[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file with these names and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def flagged(archive: bytes, flags: int) -> bytes:
    """Return a zip file with other flags: 1 claims to have a password, 32 to hold patch data."""
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = archive.index(signature) + offset
        archive = archive[:place] + bytes([flags]) + archive[place + 1 :]
    return archive


def zstandard(*parts: str) -> Callable[[Path], None]:
    """Return a function that writes a Zstandard file of several frames."""

    def write(path: Path) -> None:
        zstd = zstd_module()
        path.write_bytes(b"".join(zstd.compress(part.encode()) for part in parts))

    return write


def zstd_module() -> Any:
    """Python's ``compression.zstd``, or its backport before Python 3.14."""
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    return zstd


def excel(*rows: list[Any], sheets: tuple[str, ...] = ("Sheet",)) -> Callable[[Path], None]:
    """Return a function that writes an Excel workbook; the rows stand in its first sheet."""

    def write(path: Path) -> None:
        import openpyxl

        book = openpyxl.Workbook()
        book.active.title = sheets[0]
        for title in sheets[1:]:
            book.create_sheet(title).append(["notes"])
        for row in rows:
            book.active.append(row)
        book.save(path)

    return write


def days(*cells: Any, header: tuple[str, ...] = ("date", "y")) -> list[list[Any]]:
    """Rows of a sheet: a header, and one day for each cell or tuple of cells."""
    first = datetime.datetime(2024, 1, 1)
    rows = [[*cell] if isinstance(cell, tuple) else [cell] for cell in cells]
    return [list(header), *([first + datetime.timedelta(i), *row] for i, row in enumerate(rows))]


UMLAUT = wide(GOOD, header="date,gr\u00f6\u00dfe")
CSV = wide(GOOD)
REPAIR = "set --fill to linear, ffill or zero"
CATALOGUE: dict[str, list[Case]] = {
    "Files": [
        Case("empty", "", "is empty; expected a table"),
        Case("only blanks", "\n \n\n", "is empty"),
        Case("header only", "date,y\n", "has a header but no rows"),
        Case("header only, blank lines", "date,y\n\n\n", "has a header but no rows"),
        Case("binary", bytes(range(256)) * 8, "binary file"),
        Case("binary without NUL", b"\xff\xd8\xffjunk\xfe" * 9, "row 1: byte 1 is not UTF-8"),
        Case("latin-1", "date,größe\n2024-01-01,1\n".encode("latin-1"), "row 1: byte 8 is not UTF-8"),
        Case(
            "latin-1 by its name",
            UMLAUT.encode("latin-1"),
            options={"encoding": "latin-1"},
            values={"gr\u00f6\u00dfe": FLOATS},
        ),
        Case(
            "cp1252 ids",
            stacked(**{"K\u00f6ln \u20ac": DAYS}).encode("cp1252"),
            options={"encoding": "cp1252"},
            values={"K\u00f6ln \u20ac": FLOATS},
        ),
        Case(
            "another encoding than named",
            "date,\u0434\n2024-01-01,1\n".encode("cp1251"),
            "row 1: byte 6 is not ascii \\(--encoding\\)",
            options={"encoding": "ascii"},
        ),
        Case(
            "unknown encoding",
            CSV,
            "--encoding 'cp12520' is unknown; expected the name of a text encoding",
            options={"encoding": "cp12520"},
        ),
        Case("encoding of bytes", CSV, "--encoding 'hex' is unknown", options={"encoding": "hex"}),
        Case(
            "UTF-8 under another encoding",
            long([("\u00e9", t, i) for i, t in enumerate(DAYS)]),
            options={"encoding": "cp1252"},
            notes=("the file was read as cp1252",),
            values={"\u00c3\u00a9": FLOATS},
        ),
        Case(
            "byte order mark under another encoding",
            ("\ufeff" + UMLAUT).encode(),
            options={"encoding": "cp1252"},
            values={"gr\u00f6\u00dfe": FLOATS},
        ),
        Case(
            "UTF-16 without a mark by its name",
            UMLAUT.encode("utf-16-le"),
            options={"encoding": "utf-16-le"},
            values={"gr\u00f6\u00dfe": FLOATS},
        ),
        Case("gzip", gzip.compress(wide(GOOD).encode()), values={"y": FLOATS}, suffix=".csv.gz"),
        Case("gzip without its suffix", gzip.compress(wide(GOOD).encode()), values={"y": FLOATS}),
        Case("truncated gzip", gzip.compress(wide(GOOD).encode())[:-12], "truncated gzip", suffix=".csv.gz"),
        Case("broken gzip", b"\x1f\x8bnonsense" * 9, "damaged or truncated gzip", suffix=".csv.gz"),
        Case("bzip2", bz2.compress(CSV.encode()), values={"y": FLOATS}, suffix=".csv.bz2"),
        Case("bzip2 without its suffix", bz2.compress(CSV.encode()), values={"y": FLOATS}),
        Case("truncated bzip2", bz2.compress(CSV.encode())[:-4], "truncated bzip2 file", suffix=".csv.bz2"),
        Case("broken bzip2", bz2.compress(CSV.encode())[:40] + bytes(40), "truncated bzip2 file", suffix=".csv.bz2"),
        Case("xz", lzma.compress(CSV.encode()), values={"y": FLOATS}, suffix=".csv.xz"),
        Case(
            "xz in parts with padding",
            lzma.compress(CSV[:30].encode()) + bytes(4) + lzma.compress(CSV[30:].encode()) + bytes(8),
            values={"y": FLOATS},
            suffix=".csv.xz",
        ),
        Case("truncated xz", lzma.compress(CSV.encode())[:-4], "truncated xz file", suffix=".csv.xz"),
        Case("Zstandard", zstandard(CSV), values={"y": FLOATS}, suffix=".csv.zst"),
        Case("Zstandard in parts", zstandard(CSV[:30], CSV[30:]), values={"y": FLOATS}, suffix=".csv.zst"),
        Case("broken Zstandard", b"\x28\xb5\x2f\xfd" + b"nonsense" * 9, "truncated Zstandard file", suffix=".csv.zst"),
        Case("zip", zipped(("table.csv", CSV)), values={"y": FLOATS}, suffix=".zip"),
        Case(
            "zip by a Mac",
            zipped(("data/", ""), ("data/table.csv", CSV), ("__MACOSX/data/._table.csv", "x"), ("data/.DS_Store", "x")),
            values={"y": FLOATS},
            suffix=".zip",
        ),
        Case("zip without compression", zipped(("t", CSV), method=zipfile.ZIP_STORED), values={"y": FLOATS}),
        Case(
            "zip of two files",
            zipped(("a.csv", CSV), ("b.csv", CSV)),
            "holds 2 files \\('a.csv', 'b.csv'\\); expected exactly one table",
            suffix=".zip",
        ),
        Case(
            "zip, name empty", zipped(("a.csv", CSV)).replace(b"a.csv", b"\0.csv"), values={"y": FLOATS}, suffix=".zip"
        ),
        Case("zip of nothing", zipped(), "holds no file", suffix=".zip"),
        Case(
            "zip with a password", flagged(zipped(("a.csv", CSV)), 1), "with a password; extract 'a.csv'", suffix=".zip"
        ),
        Case(
            "zip by LZMA",
            zipped(("a.csv", CSV), method=zipfile.ZIP_LZMA),
            "compression method 14; expected deflate or bzip2",
            suffix=".zip",
        ),
        Case("damaged zip", b"PK\x03\x04" + b"\0" * 60, "damaged or truncated zip file", suffix=".zip"),
        Case("zip of patch data", flagged(zipped(("a.csv", CSV)), 32), "damaged or truncated zip file", suffix=".zip"),
        Case("zip inside gzip", gzip.compress(zipped(("a.csv", CSV))), "is compressed twice \\(zip inside gzip\\)"),
        Case("CSV called Parquet", wide(GOOD), values={"y": FLOATS}, suffix=".parquet"),
        Case("truncated Parquet", b"PAR1" + b"\1\2\3" * 30, "damaged Parquet", suffix=".parquet"),
        Case("byte order mark", ("\ufeff" + wide(GOOD)).encode(), values={"y": FLOATS}),
        Case("UTF-16", wide(GOOD).encode("utf-16"), notes=("UTF-16",), values={"y": FLOATS}),
        Case("CRLF", wide(GOOD).replace("\n", "\r\n"), values={"y": FLOATS}),
        Case("CR", wide(GOOD).replace("\n", "\r"), values={"y": FLOATS}),
        Case("no final newline", wide(GOOD).rstrip("\n"), values={"y": FLOATS}),
        Case("blank lines at the end", wide(GOOD) + "\n\n,\n", values={"y": FLOATS}),
        Case(
            "blank lines inside",
            wide(GOOD[:4]) + "\n\n" + "".join(f"{t},{v}\n" for t, v in zip(DAYS[4:], GOOD[4:], strict=True)),
            notes=("2 blank rows were skipped",),
            values={"y": FLOATS},
        ),
        Case(
            "rows count blank lines",
            "date,y\n2024-01-01,1\n\n2024-01-02,x\n2024-01-03,3\n",
            "column 'y', row 4: 'x'",
        ),
        Case("semicolons", wide(GOOD).replace(",", ";"), notes=("semicolons",), values={"y": FLOATS}),
        Case("tabs", wide(GOOD).replace(",", "\t"), notes=("tabs",), values={"y": FLOATS}),
        Case(
            "decimal comma",
            "date;y\n" + "".join(f"{t};{v},5\n" for t, v in zip(DAYS, GOOD, strict=True)),
            notes=("semicolons", "decimal comma"),
            values={"y": [v + 0.5 for v in FLOATS]},
        ),
        Case(
            "decimal comma in quotes",
            wide(['"1,5"', '"2,5"', 3]),
            notes=("numbers in 'y' were read with a decimal comma",),
            values={"y": [1.5, 2.5, 3.0]},
        ),
        Case("decimal comma without quotes", wide(["1,5", "2,5"]), "row 2: more cells than the 2 names"),
        Case("decimal point and comma", "date;y\n2024-01-01;1.5\n2024-01-02;2,5\n", "row 3: '2,5' is not a number"),
        Case("one row too long", wide([1, "2,9,9", 3]), "row 3 has 4 cells, the header has 2"),
        Case("one row too short", "date,a,b\n2024-01-01,1,2\n2024-01-02,1\n2024-01-03,1,2\n", "column 'b', row 3"),
        Case("unclosed quotation mark", 'date,y\n2024-01-01,1\n2024-01-02,"2\n2024-01-03,3\n', "is never closed"),
        Case("no header", "2024-01-01,1\n2024-01-02,2\n", "row 1 holds data"),
        Case("duplicate column name", wide(["1,2", "3,4"], header="date,y,y"), "columns 2 and 3 are both named 'y'"),
        Case(
            "row numbers as a column",
            ",date,y\n" + "".join(f"{i},{t},{i}\n" for i, t in enumerate(DAYS)),
            notes=("column 1 without a name counts the rows",),
            values={"y": FLOATS},
        ),
        Case(
            "values without a name",
            wide(["1,5", "2,7", "3,1"], header="date,y,"),
            "column 3 without a name holds values",
        ),
        Case(
            "comma at the end of each row",
            wide([f"{v}," for v in GOOD], header="date,y,"),
            notes=("column 3 without a name is blank",),
            values={"y": FLOATS},
        ),
        Case("gzip twice", gzip.compress(gzip.compress(wide(GOOD).encode())), "is compressed twice"),
        Case("gzip of an empty file", gzip.compress(b""), "is empty"),
        Case("UTF-16 without a mark", wide(GOOD).encode("utf-16-le"), "binary file"),
        Case("byte order mark before quotes", "\ufeff" + wide(GOOD, header='"date","y"'), values={"y": FLOATS}),
        Case("mixed separators", "date,y\n2024-01-01;1\n2024-01-02;2\n", "column 'date', row 2: '2024-01-01;1'"),
        Case("blanks between cells", wide(GOOD).replace(",", " "), "no time column found among 'date y'"),
        Case("a comment above the header", "# made by hand\n" + wide(GOOD), "row 2: more cells than the 1 names"),
        Case("JSON", '[{"date": "2024-01-01", "y": 1},\n {"date": "2024-01-02", "y": 2}]\n', "no time column found"),
        Case("web page", "<html>\n<body>404 Not Found</body>\n</html>\n", "no time column found"),
    ],
    "Columns and numbers": [
        Case("one column", "y\n1\n2\n3\n", "no time column found among 'y'"),
        Case("only times", "date\n2024-01-01\n2024-01-02\n", "no numeric column"),
        Case("no numeric column", wide(["a", "b", "c"]), "column 'y' holds text \\(row 2: 'a'\\); expected numbers"),
        Case("text in numbers", wide([1, 2, "abc", 4]), "column 'y', row 4: 'abc' is not a number"),
        Case(
            "several texts in numbers",
            wide([1, "x", "abc", 4]),
            "row 3: 'x' is not a number \\(2 such cells\\)",
        ),
        Case("unit after a number", wide([1, "2 kW", 3]), "column 'y', row 3: '2 kW'"),
        Case("underscore in a number", wide([1, "1_000", 3]), "row 3: '1_000'"),
        Case("blank text in numbers", wide([0, "   ", 2, 3]), f"1 missing values .*column 'y', row 3.*{REPAIR}"),
        Case("spaces around numbers", wide([" 0", "1 ", 2, 3]), values={"y": FLOATS[:4]}),
        Case("true and false", wide(["True", "False", "True"]), "column 'y' holds booleans"),
        Case(
            "integer beyond 2^53",
            wide([1, 2, 2**53 + 1]),
            f"row 4: the integer {2**53 + 1} is beyond 2\\^53",
        ),
        Case(
            "integer beyond 64 bits",
            wide([1, 10**30, 3]),
            "row 3: the integer 1000000000000000000000000000000",
        ),
        Case("exactly 2^53", wide([1, 2, 2**53]), values={"y": [1.0, 2.0, 2.0**53]}),
        Case("huge and tiny", wide([1e300, -1e300, 1e-300]), values={"y": [1e300, -1e300, 1e-300]}),
        Case("larger than float64", wide([1, 2, "1e400"]), f"1 infinite values.*row 4.*{REPAIR}"),
        Case("constant", wide([5, 5, 5, 5]), values={"y": [5.0] * 4}),
        Case("all missing", wide(["", "", ""]), "column 'y' has no values"),
        Case(
            "one column all missing",
            wide(["1,", "2,", "3,"], header="date,a,b"),
            notes=("1 of 2 series were left out: 'b'; they have no values",),
            values={"a": [1.0, 2.0, 3.0]},
        ),
        Case(
            "one column mostly missing",
            wide([f"{v},{v if v in (0, 7) else ''}" for v in GOOD], header="date,a,b"),
            notes=("1 of 2 series were left out: 'b'; more than half of their values are missing (frequency D)",),
            values={"a": FLOATS},
            options={"fill": "linear"},
        ),
        Case(
            "NaN",
            wide([1, "NaN", 3, "", 5]),
            f"2 missing values \\(NaN\\), the first in column 'y', row 3.*{REPAIR}",
        ),
        Case("NA and null", wide([1, "NA", "null", 4, 5]), "2 missing values"),
        Case("inf", wide([1, "inf", 3, "-inf", 5]), f"2 infinite values, the first in column 'y', row 3.*{REPAIR}"),
        Case(
            "NaN and inf repaired",
            wide([0, "", 2, "inf", 4]),
            options={"fill": "linear"},
            notes=("filled 2 values in 1 series (linear)",),
            values={"y": FLOATS[:5]},
        ),
        Case(
            "missing values at both ends",
            wide(["", 1, "", 3, ""]),
            options={"fill": "ffill"},
            notes=(
                "1 rows after the last value have no value and were left out",
                "filled 1 values in 1 series (ffill)",
                "removed 1 missing values before the first known value",
            ),
            values={"y": [1.0, 1.0, 3.0]},
        ),
        Case(
            "missing days that mean zero",
            wide([1, 3, 4], [DAYS[0], DAYS[2], DAYS[3]]),
            options={"fill": "zero"},
            notes=("filled 1 values in 1 series (zero)",),
            values={"y": [1.0, 0.0, 3.0, 4.0]},
        ),
        Case(
            "missing values that mean zero, also the first",
            wide(["", 1, "", 3]),
            options={"fill": "zero"},
            notes=("filled 2 values in 1 series (zero), 1 of them before the first value of their series",),
            values={"y": [0.0, 1.0, 0.0, 3.0]},
        ),
        Case(
            "days without rows that mean zero, in series that begin and end apart",
            long(
                [("a", t, 1) for t in DAYS[:5]]
                + [("b", t, 1) for t in (DAYS[1], DAYS[2], DAYS[4])]
                + [("c", t, 1) for t in DAYS[:3]]
            ),
            options={"fill": "zero"},
            notes=("filled 3 values in 2 series (zero), 2 of them after its last row",),
            values={"a": [1.0] * 5, "b": [1.0, 1.0, 0.0, 1.0], "c": [1.0, 1.0, 1.0, 0.0, 0.0]},
        ),
        Case(
            "most days without rows in each series",
            long(
                [("a", t, 1) for t in (DAYS[0], DAYS[3], DAYS[5], DAYS[6])]
                + [("b", t, 1) for t in (DAYS[1], DAYS[2], DAYS[4], DAYS[7])]
            ),
            "irregular timestamps: the usual step is 1 days .*; if rows are missing, set --freq and --fill; otherwise",
        ),
        Case(
            "most days without rows in each series, which mean zero",
            long(
                [("a", t, 1) for t in (DAYS[0], DAYS[3], DAYS[5], DAYS[6])]
                + [("b", t, 1) for t in (DAYS[1], DAYS[2], DAYS[4], DAYS[7])]
            ),
            options={"fill": "zero"},
            notes=("filled 7 values in 2 series (zero), 1 of them after its last row",),
            values={"a": [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0], "b": [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]},
        ),
        Case(
            "future rows without values",
            wide([0, 1, 2, 3, "", "", ""]),
            notes=("3 rows after the last value have no value and were left out",),
            values={"y": FLOATS[:4]},
        ),
        Case(
            "future rows without values in a long table",
            long([(name, t, i if i < 5 else "") for name in "ab" for i, t in enumerate(DAYS)]),
            notes=("6 rows after the last value have no value and were left out",),
            values={"a": FLOATS[:5], "b": FLOATS[:5]},
        ),
        Case(
            "a gap before future rows without values",
            wide([0, "", 2, 3, "", ""]),
            f"1 missing values .*row 3 .*{REPAIR}",
        ),
        Case(
            "one series that ends before the others",
            long([(name, t, i if i < end else "") for name, end in (("a", 5), ("b", 6)) for i, t in enumerate(DAYS)]),
            f"1 missing values .*row 7 of series 'a' .*{REPAIR}",
        ),
        Case(
            "one series that ends before the others, filled by the last value",
            long([(name, t, i if i < end else "") for name, end in (("a", 5), ("b", 6)) for i, t in enumerate(DAYS)]),
            options={"fill": "ffill"},
            notes=("4 rows after the last value", "filled 1 values in 1 series (ffill)"),
            values={"a": [*FLOATS[:5], 4.0], "b": FLOATS[:6]},
        ),
        Case("no value at all", wide([""] * 8), "column 'y' has no values", options={"fill": "zero"}),
        Case(
            "several row counters",
            "Unnamed: 0.1,Unnamed: 0,index,level_0,date,y\n"
            + "".join(f"{i},{i + 7},{7 - i},{i},{t},{i}\n" for i, t in enumerate(DAYS)),
            notes=("column 1 without", "column 2 without", "column 'index' counts", "column 'level_0' counts"),
            values={"y": FLOATS},
        ),
        Case(
            "an index that does not count",
            wide([f"{v},{v}" for v in (1, 4, 2)], header="date,index,y"),
            values={"index": [1.0, 4.0, 2.0], "y": [1.0, 4.0, 2.0]},
        ),
        Case(
            "blanks around a target",
            wide([f"{v},1" for v in GOOD], header="date, y ,z"),
            options={"target": "y "},
            values={" y ": FLOATS},
        ),
        Case(
            "unknown target",
            wide(GOOD),
            "--target: the table has no column 'Y '; did you mean 'y'",
            options={"target": "Y "},
        ),
        Case("unknown column", wide(GOOD), "--columns: the table has no column 'zzz'", options={"columns": ["zzz"]}),
        Case(
            "a thousand columns",
            "date," + ",".join(f"c{i}" for i in range(1000)) + "\n" + "".join(f"{t}{',1' * 1000}\n" for t in DAYS),
            values={f"c{i}": [1.0] * 8 for i in range(1000)},
        ),
        Case("thousands separator", wide([1, '"1,000"', 3]), "row 3: '1,000' can be 1000 or 1.000; write numbers with"),
        Case(
            "commas between thousands",
            wide(['"12,103.50"', '"1,000"', "0.5"]),
            notes=("numbers in 'y' were read with commas between thousands",),
            values={"y": [12103.5, 1000.0, 0.5]},
        ),
        Case(
            "dots between thousands",
            "date;a;b\n2024-01-01;12.103,00;1.234\n2024-01-02;-950,5;2.000\n2024-01-03;1;987\n",
            notes=("semicolons", "'a', 'b' were read with a decimal comma and dots between thousands"),
            values={"a": [12103.0, -950.5, 1.0], "b": [1234.0, 2000.0, 987.0]},
        ),
        Case(
            "dots between thousands after a decimal comma",
            "date;a;b\n2024-01-01;1,5;1.234\n2024-01-02;2,5;2.000\n",
            notes=(
                "semicolons",
                "numbers in 'a' were read with a decimal comma",
                "numbers in 'b' were read with a decimal comma and dots between thousands",
            ),
            values={"a": [1.5, 2.5], "b": [1234.0, 2000.0]},
        ),
        Case(
            "millions",
            wide(['"1,234,567"', '"2,000"', "3"]),
            notes=("commas between thousands",),
            values={"y": [1234567.0, 2000.0, 3.0]},
        ),
        Case(
            "three decimals beside a decimal comma and a decimal point",
            wide(['1.234,"1,5",1.5', '2.345,"2,5",2.5'], header="date,a,b,c"),
            "column 'a', row 2: '1.234' can be 1234 or 1.234",
        ),
        Case("both separators the other way", wide(['"1.234,5"', '"1,234.5"']), "row 2: '1.234,5' is not a number"),
        Case("groups of two digits", wide(['"1,00,000.5"', "2"]), "row 2: '1,00,000.5' is not a number"),
        Case(
            "exact thousands",
            wide(['"9,007,199,254,740,993"', '"1,000"']),
            "row 2: the integer 9007199254740993 is beyond 2\\^53",
        ),
        Case("percent", wide([1, "2%", 3]), "column 'y', row 3: '2%'"),
        Case("currency", wide(["$1", "$2", "$3"]), "column 'y' holds text \\(row 2: '\\$1'\\)"),
        Case("hexadecimal", wide([1, "0x10", 3]), "column 'y', row 3: '0x10'"),
        Case("typographic minus", wide([1, "\u22122", 3]), "column 'y', row 3"),
        Case(
            "full-width digits",
            wide([0, "\uff11", 2]),
            notes=("text was converted to numbers",),
            values={"y": FLOATS[:3]},
        ),
        Case("no-break space in a number", wide([1, "2\u00a0000", 3]), "column 'y', row 3"),
        Case("exponents and signs", wide(["+1e0", "2E0", "-3e+0"]), values={"y": [1.0, 2.0, -3.0]}),
        Case("beyond 1e300", wide([1, 2e300, 3]), f"1 values beyond 1e\\+300, .*column 'y', row 3.*{REPAIR}"),
        Case(
            "beyond 1e300 repaired",
            wide([0, 2e300, 2]),
            options={"fill": "linear"},
            notes=("filled 1 values in 1 series (linear)",),
            values={"y": FLOATS[:3]},
        ),
        Case("all huge", wide([1e300, -1e300] * 4), values={"y": [1e300, -1e300] * 4}),
        Case("all tiny", wide([1e-300, 2e-300] * 4), values={"y": [1e-300, 2e-300] * 4}),
        Case("subnormal numbers", wide(["5e-324", "0"] * 4), values={"y": [5e-324, 0.0] * 4}),
        Case("constant zero", wide([0] * 8), values={"y": [0.0] * 8}),
        Case("constant and large", wide([1e18] * 8), values={"y": [1e18] * 8}),
        Case("nearly constant", wide([1, 1 + 2**-52] * 4), values={"y": [1.0, 1 + 2**-52] * 4}),
        Case("a spike at the end", wide([1] * 7 + [1e18]), values={"y": [1.0] * 7 + [1e18]}),
        Case("spaces around names", wide(GOOD, header=" date , y "), values={" y ": FLOATS}),
        Case(
            "names that differ in whitespace",
            wide(["1,2", "3,4"], header="date,y,y "),
            "ids 'y' and 'y ' differ only in whitespace",
        ),
    ],
    "Times": [
        Case("one row", wide([1]), "cannot be inferred from a single row"),
        Case("one row with a frequency", wide([1]), options={"frequency": "D"}, values={"y": [1.0]}),
        Case("two rows", wide([1, 2]), values={"y": [1.0, 2.0]}),
        Case(
            "duplicate times",
            wide(GOOD, [*DAYS[:3], *DAYS[2:]]),
            "duplicate timestamps: 2024-01-03.*rows 4 and 5",
        ),
        Case(
            "stacked series without an id",
            wide(GOOD + GOOD, DAYS + DAYS),
            "duplicate timestamps.*rows 2 and 10 \\(8 duplicates in total\\).*--id-column",
        ),
        Case(
            "gap",
            wide(GOOD, DAYS[:3] + DAYS[4:]),
            f"1 missing timestamps .*first 2024-01-04.* after row 4.*{REPAIR}",
        ),
        Case(
            "gap repaired",
            wide([0, 1, 2, 4, 5, 6, 7], DAYS[:3] + DAYS[4:]),
            options={"fill": "linear"},
            notes=("filled 1 values in 1 series (linear)",),
            values={"y": FLOATS},
        ),
        Case(
            "more gaps than values",
            wide([1, 2, 3], [*DAYS[:2], "2094-01-01"]),
            "18262 of 18265 values .*more than half",
            options={"fill": "linear"},
        ),
        Case(
            "irregular",
            wide(GOOD[:5], [*HOURS[:3], "2024-01-01 02:20", HOURS[3]]),
            "irregular timestamps: the usual step is 0 days 01:00:00.*followed by 2024-01-01 02:20.*row 5",
        ),
        Case(
            "mid-month",
            wide(GOOD[:4], ["2024-01-15", "2024-02-15", "2024-03-15", "2024-04-15"]),
            "first or the last",
        ),
        Case(
            "times that do not fit a given frequency",
            wide(GOOD, HOURS),
            "row 3.*does not fit the frequency 'D'",
            options={"frequency": "D"},
        ),
        Case(
            "times of day that do not fit a given frequency",
            wide(GOOD[:2], ["2024-01-01 00:00", "2024-01-02 06:00"]),
            "row 3.*does not fit the frequency 'D'",
            options={"frequency": "D"},
        ),
        Case(
            "unknown frequency",
            wide(GOOD),
            "--freq 'fortnight' is unknown",
            options={"frequency": "fortnight"},
        ),
        Case(
            "unsorted",
            wide([2, 0, 1], [DAYS[2], DAYS[0], DAYS[1]]),
            notes=("sorted by time",),
            values={"y": FLOATS[:3]},
        ),
        Case("missing time", wide([1, 2, 3], [DAYS[0], "", DAYS[2]]), "column 'date', row 3: the time is missing"),
        Case("NaT", wide([1, 2, 3], [DAYS[0], "NaT", DAYS[2]]), "column 'date', row 3: the time is missing"),
        Case(
            "a date that does not exist",
            wide([1, 2, 3], ["2024-02-28", "2024-02-30", "2024-03-01"]),
            "row 3: '2024-02-30'",
        ),
        Case(
            "numbered years and months",
            wide(range(24), [f"{1 + i // 12}-{1 + i % 12:02}" for i in range(24)]),
            notes=("column 'date': years are numbered: '1-01' was read as 2001-01",),
            values={"y": [float(i) for i in range(24)]},
            frequency="MS",
        ),
        Case(
            "numbered years and names of months",
            wide(
                range(24),
                [f"{1 + i // 12}-{'JanFebMarAprMayJunJulAugSepOctNovDec'[3 * (i % 12) :][:3]}" for i in range(24)],
            ),
            notes=("column 'date': years are numbered: '1-Jan' was read as 2001-01",),
            values={"y": [float(i) for i in range(24)]},
            frequency="MS",
        ),
        Case(
            "days and months without a year",
            wide(range(12), [f"{1 + i}-{1 + i // 6:02}" for i in range(12)]),
            "column 'date', row 2: '1-01' is not a date",
        ),
        Case(
            "months and days without a year",
            wide(range(12), [f"1-{1 + i:02}" for i in range(12)]),
            "column 'date', row 2: '1-01' is not a date",
        ),
        Case(
            "text among dates",
            wide([1, 2, 3], [DAYS[0], DAYS[1], "total"]),
            "column 'date', row 4: 'total' is not a date",
        ),
        Case(
            "integers as times",
            wide([1, 2, 3], ["1", "2", "3"], header="ds,y"),
            "column 'ds', row 2: 1 is a number.*set --freq to none if it counts rows, or --date-format",
        ),
        Case(
            "integers that count rows",
            wide(GOOD, ["1", "2", "3", "4", "5", "6", "7", "8"], header="ds,y"),
            options={"frequency": "none"},
            values={"y": FLOATS},
            frequency="none",
        ),
        Case(
            "integers that count rows, with a gap",
            wide(GOOD[:5], ["10", "20", "30", "50", "60"], header="ds,y"),
            options={"frequency": "none"},
            values={"y": FLOATS[:5]},
            frequency="none",
        ),
        Case(
            "integers that could be years",
            wide(GOOD[:4], ["1999", "2000", "2001", "2002"], header="ds,y"),
            "column 'ds', row 2: 1999 is a number, expected a date; set --freq to none.*such as %Y",
        ),
        Case(
            "integers that are years (a given format)",
            wide(GOOD[:4], ["1999", "2000", "2001", "2002"], header="ds,y"),
            options={"date_format": "%Y"},
            values={"y": FLOATS[:4]},
            frequency="YS-JAN",
        ),
        Case(
            "years that count rows",
            wide(GOOD[:4], ["1999", "2000", "2001", "2002"], header="year,y"),
            options={"frequency": "none"},
            values={"y": FLOATS[:4]},
            frequency="none",
        ),
        Case(
            "years",
            wide([1, 2, 3], ["1999", "2000", "2001"], header="year,y"),
            values={"y": [1.0, 2.0, 3.0]},
            frequency="YS-JAN",
        ),
        Case("compact days", wide([1, 2, 3], ["20240229", "20240301", "20240302"]), values={"y": [1.0, 2.0, 3.0]}),
        Case(
            "day first",
            wide([1, 2, 3], ["30/01/2024", "31/01/2024", "01/02/2024"]),
            notes=("%d/%m/%Y",),
            values={"y": [1.0, 2.0, 3.0]},
        ),
        Case(
            "month first",
            wide([1, 2, 3], ["1/30/2024", "1/31/2024", "2/1/2024"]),
            notes=("%m/%d/%Y",),
            values={"y": [1.0, 2.0, 3.0]},
        ),
        Case(
            "day or month",
            wide([1, 2, 3], ["01/01/2024", "02/01/2024", "03/01/2024"]),
            "the order of day and month is ambiguous .*; set --date-format to %d/%m/%Y or %m/%d/%Y",
        ),
        Case(
            "day or month, of a given frequency",
            wide(GOOD[:4], ["01/01/2024", "02/01/2024", "03/01/2024", "04/01/2024"]),
            options={"frequency": "MS"},
            notes=("%m/%d/%Y",),
            values={"y": FLOATS[:4]},
            frequency="MS",
        ),
        Case(
            "day or month, of another given frequency",
            wide(GOOD[:4], ["01/01/2024", "02/01/2024", "03/01/2024", "04/01/2024"]),
            options={"frequency": "D"},
            notes=("%d/%m/%Y",),
            values={"y": FLOATS[:4]},
        ),
        Case(
            "day or month, of a given format",
            wide(GOOD[:4], ["01/01/2024", "02/01/2024", "03/01/2024", "04/01/2024"]),
            options={"date_format": "%m/%d/%Y"},
            values={"y": FLOATS[:4]},
            frequency="MS",
        ),
        Case(
            "day or month, one without gaps",
            wide(list(range(24)), [f"{month}/1/{year}" for year in (2019, 2020) for month in range(1, 13)]),
            notes=("%m/%d/%Y",),
            values={"y": [float(i) for i in range(24)]},
            frequency="MS",
        ),
        Case(
            "day or month, one with fewer gaps",
            wide(
                list(range(23)),
                [f"{month}/1/{year}" for year in (2019, 2020) for month in range(1, 13)][:12]
                + [f"{month}/1/2020" for month in range(2, 13)],
            ),
            notes=("%m/%d/%Y", "filled 1 values"),
            options={"fill": "ffill"},
            values={"y": [float(i) for i in (*range(12), 11, *range(12, 23))]},
            frequency="MS",
        ),
        Case(
            "compact months",
            wide([1, 2, 3], ["202401", "202402", "202403"]),
            "row 2: 202401 is a number, expected a date; set --freq to none .* or --date-format",
        ),
        Case(
            "compact months of a given format",
            wide(GOOD[:4], ["202401", "202402", "202403", "202404"]),
            options={"date_format": "%Y%m"},
            values={"y": FLOATS[:4]},
            frequency="MS",
        ),
        Case(
            "quarters",
            wide(GOOD[:4], ["2024Q1", "2024Q2", "2024Q3", "2024Q4"]),
            values={"y": FLOATS[:4]},
            frequency="QS-JAN",
        ),
        Case(
            "quarters of a given format",
            wide(GOOD[:4], ["1. 2024", "2. 2024", "3. 2024", "4. 2024"]),
            options={"date_format": "%q. %Y"},
            values={"y": FLOATS[:4]},
            frequency="QS-JAN",
        ),
        Case(
            "ISO weeks",
            wide(GOOD[:4], ["2020-W52", "2020-W53", "2021-W01", "2021-W02"]),
            values={"y": FLOATS[:4]},
            frequency="W-MON",
        ),
        Case(
            "month and year",
            wide(GOOD[:4], ["11/2023", "12/2023", "01/2024", "02/2024"]),
            values={"y": FLOATS[:4]},
            frequency="MS",
        ),
        Case(
            "Jan-24",
            wide(GOOD[:4], ["Jan-24", "Feb-24", "Mar-24", "Apr-24"]),
            "row 2: 'Jan-24' is not a date; .*or set --date-format to their format",
        ),
        Case(
            "Jan-24 of a given format",
            wide(GOOD[:4], ["Jan-24", "Feb-24", "Mar-24", "Apr-24"]),
            options={"date_format": "%b-%y"},
            values={"y": FLOATS[:4]},
            frequency="MS",
        ),
        Case(
            "dates that do not have the given format",
            wide([1, 2, 3], ["01.01.2024", "02.01.2024", "31/01/2024"]),
            "row 4: '31/01/2024' does not have the format '%d.%m.%Y' of --date-format",
            options={"date_format": "%d.%m.%Y"},
        ),
        Case(
            "a format with an unknown directive",
            wide(GOOD),
            "--date-format '%Y-%Q': '%Q' is unknown",
            options={"date_format": "%Y-%Q"},
        ),
        Case(
            "a format without a year",
            wide(GOOD),
            "--date-format '%d.%m.' has no year",
            options={"date_format": "%d.%m."},
        ),
        Case("times in UTC", wide(GOOD, [f"{time}:00 UTC" for time in HOURS]), values={"y": FLOATS}, frequency="h"),
        Case(
            "times with the name of a time zone",
            wide(GOOD, [f"{time} America/New_York" for time in HOURS]),
            values={"y": FLOATS},
            frequency="h",
        ),
        Case(
            "day or month, one regular",
            wide([1, 2, 3], ["01/05/2024", "02/05/2024", "03/05/2024"]),
            notes=("%d/%m/%Y",),
            values={"y": [1.0, 2.0, 3.0]},
        ),
        Case(
            "German dates",
            wide([1, 2, 3], ["30.01.2024", "31.01.2024", "01.02.2024"]),
            values={"y": [1.0, 2.0, 3.0]},
        ),
        Case(
            "before 1900",
            wide([1, 2, 3], ["1850-01-01", "1850-01-02", "1850-01-03"]),
            values={"y": [1.0, 2.0, 3.0]},
        ),
        Case(
            "after 2200",
            wide([1, 2, 3], ["2250-01-01", "2250-01-02", "2250-01-03"]),
            values={"y": [1.0, 2.0, 3.0]},
        ),
        Case(
            "year before 1678",
            wide([1, 2, 3], ["0201-01-01", "2024-01-02", "2024-01-03"]),
            "row 2: .*(out of range|not a date)",
        ),
        Case(
            "year after 2261",
            wide([1, 2, 3], ["2024-01-01", "2024-01-02", "9999-01-03"]),
            "row 4: .*(out of range|not a date)",
        ),
        Case(
            "mixed UTC offsets",
            wide(GOOD[:3], ["2024-01-01T00:00+00:00", "2024-01-01T02:00+01:00", "2024-01-01T02:00+00:00"]),
            notes=("several UTC offsets were converted to UTC",),
            values={"y": FLOATS[:3]},
            frequency="h",
        ),
        Case(
            "times with and without a time zone",
            wide(GOOD[:3], ["2024-01-01T00:00+00:00", "2024-01-01T01:00", "2024-01-01T02:00+00:00"]),
            "with and without a time zone",
        ),
        Case(
            "missing hour at the start of daylight saving",
            wide(GOOD[:4], ["2024-03-31 00:00", "2024-03-31 01:00", "2024-03-31 03:00", "2024-03-31 04:00"]),
            "1 missing timestamps \\(frequency h\\), the first 2024-03-31 02:00:00",
        ),
        Case(
            "repeated hour at the end of daylight saving",
            wide(GOOD[:4], ["2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 02:00", "2024-10-27 03:00"]),
            "duplicate timestamps.*daylight saving",
        ),
        Case(
            "dates with and without midnight",
            wide([1, 2, 3], [DAYS[0], DAYS[1] + " 00:00", DAYS[2]]),
            values={"y": [1.0, 2.0, 3.0]},
        ),
        Case(
            "ISO 8601 and another date format",
            wide(GOOD[:3], [DAYS[0], "02.01.2024", DAYS[2]]),
            notes=("dates were parsed as %d.%m.%Y and ISO 8601",),
            values={"y": FLOATS[:3]},
        ),
        Case("two date formats", wide([1, 2, 3], ["01.01.2024", "02-01-2024", "03.01.2024"]), "row 3: '02-01-2024'"),
        Case(
            "seconds since 1970",
            wide([1, 2], ["1704067200", "1704153600"]),
            notes=("column 'date': numbers were read as seconds since 1970, in UTC",),
            values={"y": [1.0, 2.0]},
        ),
        Case(
            "milliseconds since 1970",
            wide(GOOD[:3], ["1704067200000", "1704070800000", "1704074400000"], header="timestamp,y"),
            notes=("milliseconds since 1970, in UTC",),
            values={"y": FLOATS[:3]},
            frequency="h",
        ),
        Case(
            "milliseconds since 1970 in a column of another name",
            wide(GOOD[:3], ["1704067200000", "1704070800000", "1704074400000"], header="t,y"),
            options={"time_column": "t"},
            notes=("column 't': numbers were read as milliseconds since 1970, in UTC",),
            values={"y": FLOATS[:3]},
            frequency="h",
        ),
        Case(
            "seconds or hours",
            wide([1, 2], ["2024010100", "2024010101"]),
            "2024010100 can be seconds since 1970 or an hour",
        ),
        Case("eleven digits", wide([1, 2], ["17040672000", "17041536000"]), "row 2: 17040672000 is a number"),
        Case(
            "year, month, day and hour",
            "year,month,day,hour,y\n" + "".join(f"2024,2,29,{v},{v}\n" for v in GOOD),
            notes=("columns 'year', 'month', 'day', 'hour' were read as the time",),
            values={"y": FLOATS},
            frequency="h",
        ),
        Case(
            "year and quarter",
            "Year,Quarter,y\n" + "".join(f"{2020 + v // 4},Q{v % 4 + 1},{v}\n" for v in GOOD),
            notes=("columns 'Year', 'Quarter' were read as the time",),
            values={"y": FLOATS},
            frequency="QS-JAN",
        ),
        Case(
            "year and month beside a date",
            wide([f"2024,{v},{v}" for v in (1, 3, 2)], header="date,year,month,y"),
            values={"year": [2024.0] * 3, "month": [1.0, 3.0, 2.0], "y": [1.0, 3.0, 2.0]},
        ),
        Case(
            "calendar columns with names of months",
            "year,month,y\n2024,January,0\n2024,feb,1\n2024,MAR.,2\n",
            notes=("columns 'year', 'month' were read as the time",),
            values={"y": FLOATS[:3]},
            frequency="MS",
        ),
        Case("month 13", "year,month,y\n2024,12,1\n2024,13,2\n", "column 'month', row 3: 13 is not a valid month"),
        Case(
            "a day that does not exist",
            "year,month,day,y\n2023,2,28,1\n2023,2,29,2\n",
            "column 'day', row 3: 2023-02-29 is not a date",
        ),
        Case(
            "hour 24 in a column",
            "year,month,day,hour,y\n2023,2,28,24,1\n",
            "row 2: 24 is not a valid hour; .* 0 to 23",
        ),
        Case("missing year", "year,month,y\n2024,1,1\n,2,2\n", "column 'year', row 3: the year is missing"),
        Case("serial days of a spreadsheet", wide([1, 2], ["45292", "45293"]), "row 2: 45292 is a number"),
        Case("hour 24", wide([1, 2], ["2024-01-01 23:00", "2024-01-01 24:00"]), "row 3: '2024-01-01 24:00'"),
        Case("year 0", wide([1, 2], ["0000-01-01", "0000-01-02"]), "row 2: .*(out of range|not a date)"),
        Case(
            "nanoseconds",
            wide([1, 2], ["2024-01-01 00:00:00.000000001", "2024-01-01 00:00:01.000000001"]),
            "row 2: the time is finer than microseconds",
        ),
        Case(
            "start of daylight saving with offsets",
            wide(GOOD[:3], ["2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00", "2024-03-31T04:00+02:00"]),
            notes=("several UTC offsets were converted to UTC",),
            values={"y": FLOATS[:3]},
            frequency="h",
        ),
        Case(
            "end of daylight saving with offsets",
            wide(GOOD[:3], ["2024-10-27T02:00+02:00", "2024-10-27T02:00+01:00", "2024-10-27T03:00+01:00"]),
            notes=("several UTC offsets were converted to UTC",),
            values={"y": FLOATS[:3]},
            frequency="h",
        ),
        Case(
            "local days with offsets over daylight saving",
            wide(
                GOOD[:4],
                [
                    "2024-03-29T00:00+01:00",
                    "2024-03-30T00:00+01:00",
                    "2024-03-31T00:00+01:00",
                    "2024-04-01T00:00+02:00",
                ],
            ),
            notes=("several UTC offsets were read as local times of Europe/Berlin",),
            values={"y": FLOATS[:4]},
        ),
        Case(
            "local days without a midnight",
            wide(
                GOOD[:4],
                [
                    "2024-09-06T00:00-04:00",
                    "2024-09-07T00:00-04:00",
                    "2024-09-08T01:00-03:00",
                    "2024-09-09T00:00-03:00",
                ],
            ),
            notes=("several UTC offsets were read as local times of America/Santiago",),
            values={"y": FLOATS[:4]},
        ),
        Case(
            "local half days with offsets over daylight saving",
            wide(
                GOOD[:5],
                [
                    "2024-03-30T00:00+01:00",
                    "2024-03-30T12:00+01:00",
                    "2024-03-31T00:00+01:00",
                    "2024-03-31T12:00+02:00",
                    "2024-04-01T00:00+02:00",
                ],
            ),
            notes=("several UTC offsets were read as wall-clock times",),
            values={"y": FLOATS[:5]},
            frequency="12h",
        ),
        Case(
            "business hours",
            wide(GOOD, [f"2024-01-{day:02} {hour}:00" for day in (5, 8) for hour in (13, 14, 15, 16)]),
            "68 missing timestamps .*if the series has no such times \\(business hours\\), set --freq to none",
        ),
        Case(
            "business hours, counted",
            wide(GOOD, [f"2024-01-{day:02} {hour}:00" for day in (5, 8) for hour in (13, 14, 15, 16)]),
            options={"frequency": "none"},
            notes=("the times of a forecast continue with the median step of 0 days 01:00:00",),
            values={"y": FLOATS},
            frequency="none",
        ),
        Case(
            "dekads, counted",
            wide(GOOD[:6], [f"2024-{month:02}-{day:02}" for month in (1, 2) for day in (1, 11, 21)]),
            options={"frequency": "none"},
            notes=("the times of a forecast continue with the median step of 10 days 00:00:00",),
            values={"y": FLOATS[:6]},
            frequency="none",
        ),
        Case(
            "business days",
            wide(GOOD[:5], ["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09", "2024-01-10"]),
            values={"y": FLOATS[:5]},
            frequency="B",
        ),
        Case("two time columns", wide([f"{t},1" for t in DAYS], header="from,to,y"), "several columns hold times"),
        Case(
            "two time columns, one without duplicates",
            wide([f"{DAYS[0]},{v}" for v in GOOD], header="from,to,y"),
            notes=("column 'from' was taken as the time column; 'to' holds times too and was left out",),
            values={"y": FLOATS},
        ),
        Case(
            "two time columns and a choice",
            wide([f"{t},{v}" for t, v in zip(DAYS, GOOD, strict=True)], header="from,to,y"),
            options={"time_column": "to"},
            notes=("column 'to' was taken as the time column; 'from' holds times too and was left out",),
            values={"y": FLOATS},
        ),
        Case(
            "a usual name beside another time column",
            wide([f"{t},{v}" for t, v in zip(DAYS[::-1], GOOD, strict=True)], header="date,changed,y"),
            notes=("column 'date' was taken as the time column",),
            values={"y": FLOATS},
        ),
        Case(
            "a time column with missing times beside the time column",
            wide([f"{t},{v}" for t, v in zip(["", *DAYS[1:]], GOOD, strict=True)], header="delivered,sent,y"),
            notes=("column 'delivered' was taken as the time column; 'sent' holds",),
            values={"y": FLOATS},
        ),
        Case("every time the same", wide(GOOD, [DAYS[0]] * 8), "duplicate timestamps.*rows 2 and 3"),
    ],
    "Long tables": [
        Case("long", stacked(b=DAYS, a=DAYS[:5]), values={"a": FLOATS[:5], "b": FLOATS}),
        Case(
            "missing id",
            long([("a", DAYS[0], 1), ("", DAYS[1], 2)]),
            "column 'unique_id', row 3: the id is missing",
        ),
        Case("an id called NA", stacked(NA=DAYS, a=DAYS), values={"NA": FLOATS, "a": FLOATS}),
        Case("an id with leading zeros", stacked(**{"007": DAYS, "7": DAYS}), values={"007": FLOATS, "7": FLOATS}),
        Case(
            "unicode ids",
            stacked(**{"Ünïcødé": DAYS, "日本": DAYS, "🌊": DAYS}),
            values={"Ünïcødé": FLOATS, "日本": FLOATS, "🌊": FLOATS},
        ),
        Case(
            "ids that differ in whitespace",
            stacked(**{"a": DAYS[:4], "a ": DAYS[4:]}),
            "ids 'a' and 'a ' differ only in whitespace",
        ),
        Case(
            "ids that differ in case",
            stacked(A=DAYS, a=DAYS),
            notes=("'A' and 'a' differ only in case",),
            values={"A": FLOATS, "a": FLOATS},
        ),
        Case("mixed frequencies", stacked(a=HOURS, b=DAYS), "mixed frequencies: series 'a' has h, but 'b'"),
        Case("finer second series", stacked(a=DAYS, b=HOURS[:3]), "mixed frequencies: series 'a' has D, 'b' has h"),
        Case(
            "one empty series",
            long([("a", DAYS[0], 1), ("a", DAYS[1], 2), ("b", DAYS[0], "")]),
            notes=("1 of 2 series were left out: 'b'; they have no values",),
            values={"a": FLOATS[1:3]},
        ),
        Case(
            "one series mostly missing",
            stacked(a=DAYS[:3], b=[*DAYS[:2], DAYS[7]], c=[*DAYS[:2], *DAYS[3:]]),
            notes=("1 of 3 series were left out: 'b'; more than half", "filled 1 values in 1 series (linear)"),
            values={"a": FLOATS[:3], "c": [0, 1, 1.5, 2, 3, 4, 5, 6]},
            options={"fill": "linear"},
        ),
        Case(
            "all series mostly missing",
            stacked(a=["2024-01-06", "2024-01-07", "2024-01-13"], b=["2024-01-06", "2024-01-07", "2024-01-13"]),
            "5 of 8 values of series 'a' are missing .*, more than half",
            options={"fill": "ffill"},
        ),
        Case(
            "a series with a longer step among gaps",
            stacked(a=DAYS, b=DAYS[::2]),
            notes=("1 of 2 series were left out: 'b'; more than half",),
            values={"a": FLOATS},
            options={"fill": "linear"},
        ),
        Case("one short series", stacked(a=DAYS, b=DAYS[:1]), values={"a": FLOATS, "b": FLOATS[:1]}),
        Case("gap in one series", stacked(a=DAYS, b=DAYS[:3] + DAYS[4:]), "2024-01-04.* of series 'b' after row 12"),
        Case(
            "duplicate in one series",
            stacked(a=DAYS, b=[DAYS[0], *DAYS]),
            "of series 'b' occurs in rows 10 and 11",
        ),
        Case(
            "several values",
            long([("a", t, 1, 2) for t in DAYS], "unique_id,ds,p,q"),
            "several columns could hold the values \\('p', 'q'\\).*--target",
        ),
        Case(
            "several values and a target",
            long([("a", t, 1, 2) for t in DAYS], "unique_id,ds,p,q"),
            options={"target": "q"},
            notes=("columns not used: 'p'",),
            values={"a": [2.0] * 8},
        ),
        Case(
            "id under another name",
            long([(n, t, i) for n in "ab" for i, t in enumerate(DAYS)], "shop,ds,y"),
            notes=("column 'shop' was taken as the id of the series",),
            values={"a": FLOATS, "b": FLOATS},
        ),
        Case(
            "an id among other text",
            long([(n, f"{t},word", i) for n in "ab" for i, t in enumerate(DAYS)], "shop,ds,kind,y"),
            notes=("column 'shop' was taken as the id of the series", "'kind' holds text and was left out"),
            values={"a": FLOATS, "b": FLOATS},
        ),
        Case(
            "ids in several columns",
            long([(n, f"{kind},{t}", i) for n in "ab" for kind in "xy" for i, t in enumerate(DAYS)], "shop,kind,ds,y"),
            notes=("columns 'shop', 'kind' were taken as the id of the series",),
            values={f"{n}/{kind}": FLOATS for n in "ab" for kind in "xy"},
        ),
        Case(
            "remarks beside ids in several columns",
            long(
                [
                    (n, f"{kind},{t}", f"{'good' if i % 2 else 'bad'},{i}")
                    for n in "ab"
                    for kind in "xy"
                    for i, t in enumerate(DAYS)
                ],
                "shop,kind,ds,remark,y",
            ),
            notes=("columns 'shop', 'kind' were taken as the id", "'remark' holds text and was left out"),
            values={f"{n}/{kind}": FLOATS for n in "ab" for kind in "xy"},
        ),
        Case(
            "several columns that could be the id",
            RANKED,
            "only together do the columns 'shop', 'kind', 'rank' tell the series apart; name those .* in --id-column",
        ),
        Case(
            "two named ids",
            RANKED,
            options={"id_column": ("kind", "shop")},
            notes=("columns not used: 'rank'",),
            values={f"{kind}/{shop}": FLOATS for shop in "ab" for kind in "xy"},
        ),
        Case(
            "a blank cell in one of several ids",
            long([("a", f"x,{DAYS[0]}", 1), ("a", f",{DAYS[1]}", 2)], "shop,kind,ds,y"),
            "column 'kind', row 3: the id is missing",
            options={"id_column": ("shop", "kind")},
        ),
        Case(
            "text that repeats with the times",
            long([("a", DAYS[0], 1), ("a", DAYS[0], 2)], "shop,ds,y"),
            "column 'shop' holds text.*--id-column",
        ),
        Case(
            "named id",
            long([(n, t, 1) for n in "ab" for t in DAYS], "shop,ds,y"),
            options={"id_column": "shop"},
            values={"a": [1.0] * 8, "b": [1.0] * 8},
        ),
        Case("blank id", long([("a", DAYS[0], 1), ("  ", DAYS[1], 2)]), "column 'unique_id', row 3: the id is missing"),
        Case(
            "ids with separators",
            stacked(**{'"a, b"': DAYS, '"c ""d"""': DAYS}),
            values={"a, b": FLOATS, 'c "d"': FLOATS},
        ),
        Case(
            "ids that differ in an invisible character",
            stacked(**{"a": DAYS[:4], "a\u200b": DAYS[4:]}),
            r"ids 'a' and 'a\\u200b' differ only in characters that look the same",
        ),
        Case(
            "ids that differ in the encoding of an accent",
            long([("\u00e9", DAYS[0], 1), ("e\u0301", DAYS[1], 2)]),
            "differ only in characters that look the same",
        ),
        Case(
            "long, unsorted",
            long([("b", DAYS[1], 1), ("a", DAYS[1], 1), ("a", DAYS[0], 0), ("b", DAYS[0], 0)]),
            notes=("sorted by time",),
            values={"a": FLOATS[:2], "b": FLOATS[:2]},
        ),
        Case("text in one series", long([("a", DAYS[0], 1), ("b", DAYS[0], "x")]), "column 'y', row 3: 'x'"),
        Case(
            "series from different years",
            stacked(a=DAYS, b=["1850-01-01", "1850-01-02"]),
            values={"a": FLOATS, "b": FLOATS[:2]},
        ),
        Case("no values", long([("a", DAYS[0])], "unique_id,ds"), "no numeric column: the long table has only"),
        Case(
            "row counters in a long table",
            long(
                [(i + 8 * (n == "b"), i, n, t, i) for n in "ab" for i, t in enumerate(DAYS)],
                ",index,unique_id,ds,sales",
            ),
            notes=("column 1 without a name counts the rows", "column 'index' counts the rows"),
            values={"a": FLOATS, "b": FLOATS},
        ),
        Case(
            "long, two time columns",
            long([(n, DAYS[0], t, i) for n in "ab" for i, t in enumerate(DAYS)], "unique_id,created,sold,y"),
            notes=("column 'sold' was taken as the time column; 'created' holds times too and was left out",),
            values={"a": FLOATS, "b": FLOATS},
        ),
        Case(
            "long, blanks around names",
            stacked(a=DAYS).replace("unique_id,ds,y", " unique_id , ds, y"),
            values={"a": FLOATS},
        ),
        Case(
            "long, year and month",
            long([(n, 2024, m, m) for n in "ab" for m in (1, 2, 3)], "unique_id,year,month,y"),
            notes=("columns 'year', 'month' were read as the time",),
            values={"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]},
            frequency="MS",
        ),
    ],
    "Excel": [
        Case("Excel", excel(*days(*GOOD)), values={"y": FLOATS}, suffix=".xlsx"),
        Case("Excel called CSV", excel(*days(*GOOD)), values={"y": FLOATS}, suffix=".xlsx.csv"),
        Case(
            "several sheets",
            excel(*days(*GOOD), sheets=("Data", "Notes")),
            notes=("the first of 2 sheets was read: 'Data'",),
            values={"y": FLOATS},
            suffix=".xlsx",
        ),
        Case(
            "blank rows and columns",
            excel([], *([None, *row, None] for row in days(*GOOD)), [], []),
            notes=("column 1 without a name is blank",),
            values={"y": FLOATS},
            suffix=".xlsx",
        ),
        Case(
            "blank rows inside the sheet",
            excel(*days(*GOOD)[:4], [], *days(*GOOD)[4:]),
            notes=("1 blank rows were skipped",),
            values={"y": FLOATS},
            suffix=".xlsx",
        ),
        Case(
            "numbers as text in a sheet",
            excel(*days("1.234,5", "2", 3)),
            notes=("numbers in 'y' were read with a decimal comma and dots between thousands",),
            values={"y": [1234.5, 2.0, 3.0]},
            suffix=".xlsx",
        ),
        Case(
            "ids and text dates",
            excel(["unique_id", "ds", "y"], [7, DAYS[0], 1], [7, DAYS[1], 2]),
            values={"7": [1.0, 2.0]},
            suffix=".xlsx",
        ),
        Case(
            "missing cell",
            excel(*days(1, None, 3)),
            f"1 missing values .*column 'y', row 3.*{REPAIR}",
            suffix=".xlsx",
        ),
        Case(
            "error cell", excel(*days(1, "#DIV/0!", 3)), "column 'y', row 3: '#DIV/0!' is not a number", suffix=".xlsx"
        ),
        Case("formula without a result", excel(*days("=1+1", "=2")), "column 'y' has no values", suffix=".xlsx"),
        Case("empty sheet", excel(), "is empty; expected a table with a header row in its first sheet", suffix=".xlsx"),
        Case("sheet with a header only", excel(["date", "y"]), "has a header but no rows", suffix=".xlsx"),
        Case("sheet without a header", excel(*days(1, 2)[1:]), "row 1 holds data", suffix=".xlsx"),
        Case(
            "a title above the header",
            excel(["Sales"], *days(1, 2)),
            "row 2 has 2 cells, the header has 1",
            suffix=".xlsx",
        ),
        Case(
            "duplicate name in a sheet",
            excel(["date", "y", "y"], [DAYS[0], 1, 2]),
            "columns 2 and 3 are both named 'y'",
            suffix=".xlsx",
        ),
        Case(
            "damaged workbook",
            zipped(("[Content_Types].xml", "<x/>"), ("xl/workbook.xml", "<workbook")),
            "damaged Excel workbook",
            suffix=".xlsx",
        ),
        Case(
            "old or locked workbook",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512),
            "old Excel workbook \\(.xls\\) or has a password",
            suffix=".xls",
        ),
        Case(
            "binary workbook",
            zipped(("[Content_Types].xml", "<x/>"), ("xl/workbook.bin", "")),
            "is a binary workbook \\(.xlsb\\); save the sheet as",
            suffix=".xlsb",
        ),
        Case(
            "OpenDocument",
            zipped(("mimetype", "application/x"), ("content.xml", "<x/>")),
            "is an OpenDocument sheet",
            suffix=".ods",
        ),
    ],
    "Parquet": [
        Case("Parquet", parquet(date=DAYS, y=GOOD), values={"y": FLOATS}, suffix=".parquet"),
        Case("Parquet called CSV", parquet(date=DAYS, y=GOOD), values={"y": FLOATS}),
        Case("Parquet without rows", parquet(date=[], y=[]), "has a header but no rows", suffix=".parquet"),
        Case("lists", parquet(date=DAYS, y=[[1, 2]] * 8), "column 'y' holds lists", suffix=".parquet"),
        Case(
            "nested records", parquet(date=DAYS, y=[{"a": 1}] * 8), "column 'y' holds nested records", suffix=".parquet"
        ),
        Case(
            "nullable integers",
            parquet(date=DAYS[:3], y=[1, None, 3]),
            "1 missing values.*column 'y', row 3",
            suffix=".parquet",
        ),
        Case(
            "nullable beyond 2^53",
            parquet(date=DAYS[:3], y=[1, None, 2**60]),
            f"row 4: the integer {2**60}",
            suffix=".parquet",
        ),
        Case("boolean", parquet(date=DAYS, y=[True] * 8), "column 'y' holds booleans", suffix=".parquet"),
        Case(
            "duplicate column name in Parquet",
            parquet(("date", DAYS), ("y", GOOD), ("y", GOOD)),
            "columns 2 and 3 are both named 'y'",
            suffix=".parquet",
        ),
        Case(
            "nanoseconds since 1970 in Parquet",
            parquet(date=[1704067200000000001 + i for i in GOOD], y=GOOD),
            "column 'date', row 2: the time is finer than microseconds",
            suffix=".parquet",
        ),
        Case("lists as times", parquet(date=[[1]] * 2, y=[1, 2]), "no time column found", suffix=".parquet"),
        Case(
            "nested records as ids",
            parquet(unique_id=[{"a": 1}] * 2, ds=DAYS[:2], y=[1, 2]),
            "holds nested values",
            suffix=".parquet",
        ),
        Case("bytes as ids", parquet(unique_id=[b"a"] * 2, ds=DAYS[:2], y=[1, 2]), "holds bytes", suffix=".parquet"),
        Case(
            "null id",
            parquet(unique_id=["a", None], ds=DAYS[:2], y=[1, 2]),
            "'unique_id', row 3: the id is missing",
            suffix=".parquet",
        ),
        Case("bytes", parquet(date=DAYS[:2], y=[b"1", b"2"]), "column 'y' holds bytes", suffix=".parquet"),
        Case("nulls only", parquet(date=DAYS[:2], y=[None, None]), "column 'y' has no values", suffix=".parquet"),
        Case(
            "NaN in Parquet",
            parquet(date=DAYS[:3], y=[1.0, math.nan, 3.0]),
            "1 missing values .*row 3",
            suffix=".parquet",
        ),
        Case(
            "infinity in Parquet",
            parquet(date=DAYS[:3], y=[1.0, math.inf, 3.0]),
            "1 infinite values.*row 3",
            suffix=".parquet",
        ),
        Case(
            "categories of text",
            parquet(date=DAYS[:2], y=lambda pa: pa.array(["low", "high"]).dictionary_encode()),
            "column 'y' holds categories",
            suffix=".parquet",
        ),
        Case(
            "categories of numbers",
            parquet(date=DAYS[:2], y=lambda pa: pa.array([5, 6]).dictionary_encode()),
            values={"y": [5.0, 6.0]},
            suffix=".parquet",
        ),
        Case(
            "categories as ids and times",
            parquet(
                unique_id=lambda pa: pa.array(["a", "a"]).dictionary_encode(),
                ds=lambda pa: pa.array(DAYS[:2]).dictionary_encode(),
                y=[0, 1],
            ),
            values={"a": FLOATS[:2]},
            suffix=".parquet",
        ),
        Case(
            "decimals",
            parquet(date=DAYS[:2], y=[decimal.Decimal("1.25"), decimal.Decimal("2.50")]),
            values={"y": [1.25, 2.5]},
            suffix=".parquet",
        ),
        Case(
            "half precision",
            parquet(date=DAYS, y=lambda pa: pa.array(GOOD, pa.int8()).cast(pa.float32()).cast(pa.float16())),
            values={"y": FLOATS},
            suffix=".parquet",
        ),
        Case(
            "unsigned beyond 2^53",
            parquet(date=DAYS[:2], y=lambda pa: pa.array([1, 2**64 - 1], pa.uint64())),
            f"row 3: the integer {2**64 - 1}",
            suffix=".parquet",
        ),
        Case(
            "durations",
            parquet(date=DAYS[:2], y=lambda pa: pa.array([1, 2], pa.duration("s"))),
            "column 'y' holds durations",
            suffix=".parquet",
        ),
        Case(
            "maps",
            parquet(date=DAYS[:1], y=lambda pa: pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))),
            "column 'y' holds values of type (Map|list)",  # list of pairs by pandas 2.2
            suffix=".parquet",
        ),
        Case(
            "dates",
            parquet(date=[datetime.date(2024, 1, day) for day in range(1, 9)], y=GOOD),
            values={"y": FLOATS},
            suffix=".parquet",
        ),
        Case(
            "null date",
            parquet(date=[datetime.date(2024, 1, 1), None], y=[1, 2]),
            "column 'date', row 3: the time is missing",
            suffix=".parquet",
        ),
        Case(
            "time zone with a repeated hour",
            parquet(
                date=lambda pa: pa.array(
                    [
                        datetime.datetime(2024, 10, 26, 22, tzinfo=datetime.UTC) + datetime.timedelta(hours=i)
                        for i in GOOD
                    ],
                    pa.timestamp("us", "Europe/Berlin"),
                ),
                y=GOOD,
            ),
            values={"y": FLOATS},
            suffix=".parquet",
            frequency="h",
        ),
        Case(
            "time zone with an underscore in its name",
            parquet(
                date=lambda pa: pa.array([3600 * i for i in GOOD], pa.timestamp("s", "America/New_York")),
                y=GOOD,
            ),
            values={"y": FLOATS},
            suffix=".parquet",
            frequency="h",
        ),
        Case(
            "fixed offset in Parquet",
            parquet(date=lambda pa: pa.array([86400 * i for i in GOOD], pa.timestamp("s", "+05:30")), y=GOOD),
            values={"y": FLOATS},
            suffix=".parquet",
        ),
        Case("periods", write_periods, values={"y": FLOATS}, suffix=".parquet", frequency="QS-JAN"),
        Case(
            "integer index in Parquet",
            parquet(ds=list(range(1900, 1908)), y=GOOD),
            "column 'ds', row 2: 1900 is a number, expected a date; set --freq to none",
            suffix=".parquet",
        ),
        Case(
            "integer index in Parquet, counted",
            parquet(ds=list(range(1900, 1908)), y=GOOD),
            options={"frequency": "none"},
            values={"y": FLOATS},
            suffix=".parquet",
            frequency="none",
        ),
        Case(
            "nanoseconds in Parquet",
            parquet(date=lambda pa: pa.array([10**18 + 1, 2 * 10**18], pa.timestamp("ns")), y=[1, 2]),
            "row 2: the time is finer than microseconds",
            suffix=".parquet",
        ),
    ],
}

CASES = [case for cases in CATALOGUE.values() for case in cases]


def write_file(case: Case, folder: Path) -> Path:
    """Write the file of a case and return its path."""
    path = folder / f"table{case.suffix}"
    if callable(case.content):
        case.content(path)
    else:
        path.write_bytes(case.content.encode() if isinstance(case.content, str) else case.content)
    return path


def read_case(case: Case, folder: Path) -> SeriesTable:
    """Write the file of a case and read it."""
    options = dict(case.options)
    return to_series(read_table(write_file(case, folder), encoding=options.pop("encoding", None)), **options)


def to_words(case: Case) -> list[str]:
    """Options of a case as arguments of the command line."""
    return [
        word
        for key, value in case.options.items()
        for word in (FLAGS[f"data.{key}"], value if isinstance(value, str) else ",".join(value))
    ]


def to_shown(message: str) -> str:
    """An error or note of the library as the command line prints it, with flags in place of configuration keys."""
    return to_flags(message, set(FLAGS.values()))


INTRODUCTION = """# Handling of flawed tables

The tests (`tests/data/test_flawed_tables.py`) write each table below to a file, read it, train on it and forecast it.
A table is *read* unchanged, *repaired* with a note on standard error, or *refused*: exit code 2, an error of one line,
no output written. Messages are shown as the command line prints them; the Python library names configuration keys
(`data.fill`) instead of flags (`--fill`). Rows are counted as in a spreadsheet: the header is row 1. Gaps, missing
values and infinities are repaired only with `--fill`.

With `--freq none` rows are counted and the calendar is ignored: for business hours, trading days, dekads, or integers
as time column. The times of a forecast then continue after the last row of each series with its median step: an integer
index with the following integers; dates and times with a note, since the times of future rows are not known (the first
row of a forecast is the next row of the series, the second the one after it, whatever their times).

Dates may be in any format that `--date-format` describes. Dates in ISO 8601 may stand beside them, so that a forecast
can be appended to its table.

Generated by `python tests/support/flawed_tables.py docs/tables.md`; a test checks that it is up to date.
"""


def document() -> str:
    """Return the catalogue as Markdown, with the actual messages."""
    lines = [INTRODUCTION]
    for title, cases in CATALOGUE.items():
        lines += [f"## {title}", "", "| table | outcome | message |", "|---|---|---|"]
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                outcome, message = _outcome(case, Path(folder))
            lines.append(f"| {case.name}{_options(case)} | {outcome} | {message} |")
        lines.append("")
    return "\n".join(lines)


def _options(case: Case) -> str:
    words = to_words(case)
    return f" (`{' '.join(words)}`)" if words else ""


def _outcome(case: Case, folder: Path) -> tuple[str, str]:
    try:
        table = read_case(case, folder)
    except TableError as error:
        return "refused", _code(to_shown(str(error)).replace(f"{folder}/", ""))
    if table.notes:
        return "repaired", "; ".join(_code(to_shown(note)) for note in table.notes)
    return "read", ""


def _code(text: str) -> str:
    """Format text as inline code in a table cell, on one line and in ASCII."""
    text = re.sub(r"[^\x20-\x7e]", lambda match: ascii(match[0])[1:-1], " ".join(text.split()))
    return f"`{text.replace('|', chr(92) + '|')}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
