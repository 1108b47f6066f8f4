"""Write data frames to CSV and Parquet files atomically."""

import gzip
import io
import os
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd

from swt_time.errors import MissingDependencyError, SWTTimeError, TableError
from swt_time.folders import explained, replace_file

SUFFIXES = (".csv", ".csv.gz", ".parquet")


def check_output(path: str | Path) -> Path:
    """Check that `write_table` can write to a path, before a long computation.

    Raises
    ------
    TableError
        If the suffix is unknown or the folder is missing or not writable.
    """
    path = Path(path)
    if not path.name.lower().endswith(SUFFIXES):
        raise TableError(f"cannot determine the format of {path}; expected a name ending in {', '.join(SUFFIXES)}")
    with explained(f"cannot write {path}", TableError, "choose another path"):
        if path.is_dir():
            raise TableError(f"cannot write {path}: it is a folder; expected a file name")
        if not path.parent.is_dir():
            raise TableError(f"cannot write {path}: the folder {path.parent} does not exist; create it first")
        if not os.access(path.parent, os.W_OK):
            raise TableError(f"cannot write {path}: the folder {path.parent} is not writable; choose another folder")
    return path


def write_table(frame: Any, path: str | Path) -> None:
    """Write a pandas, polars or pyarrow table as CSV, gzipped CSV or Parquet; the suffix determines the format.

    The file is written under a temporary name and then renamed, so that it is never incomplete.

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
        _replace(path, _parquet(table))
        return
    text = table.to_csv(index=False, lineterminator="\n").encode()
    # no file name and time in the gzip header, so that equal tables give equal files
    _replace(path, gzip.compress(text, mtime=0) if name.endswith(".gz") else text)


def _replace(path: Path, content: bytes) -> None:
    try:
        replace_file(path, content, TableError)
    except PermissionError as error:
        raise TableError(f"cannot write {path}: {error.strerror}; choose another path") from error
    except OSError as error:
        raise SWTTimeError(f"writing {path} failed: {error.strerror or error}") from error


def _parquet(table: pd.DataFrame) -> bytes:
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
