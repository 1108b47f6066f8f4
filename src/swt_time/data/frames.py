"""Open data frames of several libraries through one interface (narwhals)."""

from collections.abc import Iterable, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.layout import LATE_TIME_NAMES, TIME_NAMES
from swt_time.data.names import ID_NAME, TIME_NAME
from swt_time.errors import TableError

NOTES = "swt_time_notes"
"""Key in the ``attrs`` of a frame that `read_table` read: the repairs made while reading."""

ENCODED = "swt_time_encoded"
"""Key in the ``attrs`` of such a frame: columns of text encoded by a dictionary, with the type of their text."""


def open_frame(frame: Any, known: Iterable[str | None] = ()) -> tuple[nw.DataFrame[Any], np.ndarray, list[str]]:
    """Open a pandas, polars or pyarrow frame.

    Parameters
    ----------
    frame : DataFrame
    known : iterable of str or None
        Names that are columns even where pandas holds them in the index.

    Returns
    -------
    table : nw.DataFrame
    rows : (n,) int array
        Row numbers for messages: the header is row 1. A frame from `read_table` keeps the row numbers of its file.
    notes : list of str
        Repairs made while reading the file.

    Raises
    ------
    TableError
        If ``frame`` is not a supported data frame, or its column names are ambiguous.
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
    return table, np.arange(2, len(table) + 2, dtype=np.int32) if rows is None else rows, notes


def take_rows(column: Any, indices: Sequence[int]) -> Any:
    """Rows of a column of any library, without an index."""
    rows: nw.Series[Any] = nw.from_native(column, series_only=True)[list(indices)]
    return nw.to_native(nw.maybe_reset_index(rows))


def column_labels(frame: Any, names: Sequence[str]) -> pd.Series | None:
    """Return the labels of columns as a pandas frame holds them, such as integers; None if all are text.

    Parameters
    ----------
    frame : DataFrame
        Of any library; only pandas has labels of other types.
    names : sequence of str
        Names in the frame that `open_frame` returns.
    """
    if not isinstance(frame, pd.DataFrame):
        return None
    positions = {str(label): i for i, label in enumerate(frame.columns)}
    if not all(name in positions for name in names):
        return None
    labels = frame.columns.take([positions[name] for name in names])
    categories = isinstance(labels.dtype, pd.CategoricalDtype)
    if all(isinstance(label, str) for label in labels) and not categories:
        return None
    series = pd.Series(labels)
    return series if categories else series.infer_objects()


def _plain_pandas(frame: pd.DataFrame, known: set[str]) -> pd.DataFrame:
    """Turn a meaningful index (times, ids) into columns and column names into text."""
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
        name = index.name if isinstance(index.name, str) else TIME_NAME
        if not isinstance(index, pd.MultiIndex):
            frame = frame.rename_axis(index=name)
        # an index of categories refuses the name of a further column
        frame = frame.set_axis(pd.Index(list(frame.columns), dtype=object), axis="columns")
        twice = [name for name in frame.index.names if name in frame.columns]
        if twice:
            raise TableError(f"{twice[0]!r} is both an index and a column; call .reset_index(drop=True) or rename one")
        frame = frame.reset_index()
    frame = _periods_to_timestamps(frame)
    names = [str(name) for name in frame.columns]
    repeated = pd.Index(names, dtype=object).duplicated()
    if repeated.any():
        name = names[int(np.argmax(repeated))]
        raise TableError(f"column name {name!r} occurs twice; expected distinct names: rename one")
    frame = frame.set_axis(names, axis="columns")
    frame.attrs = {}  # pandas copies them with every column
    return frame


def _periods_to_timestamps(frame: pd.DataFrame) -> pd.DataFrame:
    """Replace columns of periods by the start of each period."""
    for i, dtype in enumerate(frame.dtypes):
        period = dtype.pyarrow_dtype.to_pandas_dtype() if _is_arrow_extension(dtype) else dtype
        if isinstance(period, pd.PeriodDtype):
            column = frame.iloc[:, i]
            if period is not dtype:
                # a period in an Arrow table is an extension of the integers that count periods since 1970
                column = pd.Series(pd.array(column.array.__arrow_array__().to_pandas(), dtype=period), column.index)
            frame = frame.copy(deep=False)
            frame.isetitem(i, column.dt.to_timestamp())
    return frame


def _is_arrow_extension(dtype: Any) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and hasattr(dtype.pyarrow_dtype, "extension_name")
