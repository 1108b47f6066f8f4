"""Write data frames to CSV and Parquet files atomically, or to standard output."""

import gzip
import io
import sys
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd

from swt_time.data.opening import is_address
from swt_time.errors import MissingDependencyError, SWTTimeError, TableError
from swt_time.folders import check_place, replace_file

SUFFIXES = (".csv", ".csv.gz", ".parquet")
STANDARD_OUTPUT = "-"


def is_standard_output(path: str | Path) -> bool:
    """Whether a path stands for standard output."""
    return str(path) == STANDARD_OUTPUT


def check_output(path: str | Path) -> Path:
    """Check that `write_table` can write to a path or to standard output (``-``), before a long computation.

    Raises
    ------
    TableError
        If the suffix is unknown, the folder is missing or not writable, or the path is an address.
    """
    if is_address(path):
        raise TableError(f"cannot write to the address {path}; expected a file: write one and copy it there")
    path = Path(path)
    if is_standard_output(path):
        return path
    if not path.name.lower().endswith(SUFFIXES):
        raise TableError(f"cannot determine the format of {path}; expected a name ending in {', '.join(SUFFIXES)}")
    check_place(path, f"cannot write {path}", TableError)
    return path


def write_table(frame: Any, path: str | Path) -> None:
    """Write a pandas, polars or pyarrow table as CSV, gzipped CSV or Parquet; the suffix determines the format.

    The path ``-`` writes CSV in UTF-8 to standard output. A file is written under a temporary name and then renamed, so
    that it is never incomplete.

    Raises
    ------
    TableError
        If the path cannot be written.
    SWTTimeError
        If writing fails, for example because the disk is full; a previous file is kept.
    MissingDependencyError
        If the format is Parquet and pyarrow is not installed.
    """
    path = check_output(path)
    table = _to_pandas(frame)
    name = path.name.lower()
    if name.endswith(".parquet"):
        _replace(path, parquet_bytes(table))
        return
    text = csv_bytes(table)
    if is_standard_output(path):
        _print(text)
        return
    # no file name and time in the gzip header, so that equal tables give equal files
    _replace(path, gzip.compress(text, mtime=0) if name.endswith(".gz") else text)


def _print(text: bytes) -> None:
    """Write bytes to standard output, whatever its encoding."""
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:  # a stream of text that a program has put in its place
        sys.stdout.write(text.decode())
    else:
        binary.write(text)
    sys.stdout.flush()


def _replace(path: Path, content: bytes) -> None:
    try:
        replace_file(path, content, TableError)
    except PermissionError as error:
        raise TableError(f"cannot write {path}: {error.strerror}; choose another path") from error
    except OSError as error:
        raise SWTTimeError(f"writing {path} failed: {error.strerror or error}") from error


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV in UTF-8, without an index."""
    return table.to_csv(index=False, lineterminator="\n").encode()


def parquet_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as a Parquet file, without an index; a MissingDependencyError without pyarrow."""
    content = io.BytesIO()
    try:
        table.to_parquet(content, index=False, engine="pyarrow")
    except ImportError as error:
        raise MissingDependencyError('Parquet needs pyarrow: pip install "swt-time[parquet]"') from error
    return content.getvalue()


def _to_pandas(frame: Any) -> pd.DataFrame:
    """Convert any frame to pandas; polars' own conversion would need pyarrow."""
    if isinstance(frame, pd.DataFrame):
        return frame
    table = nw.from_native(frame, eager_only=True)
    return pd.DataFrame({name: table[name].to_list() for name in table.columns})
