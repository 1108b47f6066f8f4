"""Data frames of several libraries behind one face, and back again."""

from collections.abc import Iterable
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.layout import ID_NAME, LATE_TIME_NAMES, TIME_NAMES
from swt_time.errors import TableError

NOTES = "swt_time_notes"
"""Key in the ``attrs`` of a frame that was read from a file: repairs made while reading."""


def open_frame(frame: Any, known: Iterable[str | None] = ()) -> tuple[nw.DataFrame, np.ndarray, list[str]]:
    """A frame for reading, the row number of each of its rows, and the notes it carries.

    Row numbers are those of a spreadsheet: the header is row 1. A frame from ``read_table`` keeps the row
    numbers of its file.
    """
    notes: list[str] = []
    rows = None
    if isinstance(frame, pd.DataFrame):
        if NOTES in frame.attrs:
            notes += frame.attrs[NOTES]
            rows = frame.index.to_numpy() + 2 if pd.api.types.is_integer_dtype(frame.index.dtype) else None
        frame = _plain_pandas(frame, {name for name in known if name is not None})
    try:
        table = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        remedy = "call .collect() first" if hasattr(frame, "collect") else "expected a pandas or polars DataFrame"
        raise TableError(f"cannot read a table from {type(frame).__name__}; {remedy}") from error
    if not isinstance(table, nw.DataFrame):
        raise TableError(f"cannot read a table from {type(frame).__name__}; expected a DataFrame")
    return table, np.arange(2, len(table) + 2) if rows is None else rows, notes


def _plain_pandas(frame: pd.DataFrame, known: set[str]) -> pd.DataFrame:
    """A pandas frame with text column names and its index, where it means something, as a column."""
    if frame.columns.nlevels > 1:
        raise TableError("the header has several levels; expected one row of column names: join them first")
    index = frame.index
    if isinstance(index, pd.PeriodIndex):
        frame = frame.set_axis(index.to_timestamp().rename(index.name), axis="index")
        index = frame.index
    meaningful = known | {ID_NAME, *TIME_NAMES, *LATE_TIME_NAMES}
    if isinstance(index, pd.DatetimeIndex | pd.MultiIndex) or any(name in meaningful for name in index.names):
        if isinstance(index, pd.MultiIndex) and None in index.names:
            raise TableError("the index has levels without a name; name them or call .reset_index() first")
        name = index.name if isinstance(index.name, str) else "ds"
        if not isinstance(index, pd.MultiIndex):
            frame = frame.rename_axis(index=name)
        twice = [name for name in frame.index.names if name in frame.columns]
        if twice:
            raise TableError(f"{twice[0]!r} is both an index and a column; call .reset_index(drop=True) or rename one")
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    if repeated:
        raise TableError(f"column name {repeated[0]!r} occurs twice; expected distinct names: rename one")
    return frame.set_axis(names, axis="columns")
