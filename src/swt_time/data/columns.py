"""Conversion of one column of a frame to float64 values, with errors that name the cell.

Missing values become NaN and infinities are kept; ``regular`` refuses or fills both. Text that is a number is
converted; no other type is converted silently.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.errors import TableError

EXACT = 2**53
"""Largest integer up to which float64 represents every integer exactly."""

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "<na>", "nat"})
"""Text that marks a missing value, in lower case; compared case-insensitively."""

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
WHOLE = re.compile(r"[+-]?\d+")
WITH_COMMA = re.compile(r"[+-]?[\d.]*,[\d.,]*")

SHOWN = 8
"""Names that a message lists."""

KINDS = {
    "Boolean": "booleans",
    "Categorical": "categories",
    "Enum": "categories",
    "Datetime": "timestamps",
    "Date": "dates",
    "Time": "times of day",
    "Duration": "durations",
    "List": "lists",
    "Array": "arrays",
    "Struct": "nested records",
    "Binary": "bytes",
}
"""Names of non-numeric column types for messages."""


def is_missing(cell: Any) -> bool:
    """Return whether a cell is missing: None, NaN, NaT, NA, blank text or a text in `MISSING`."""
    if isinstance(cell, str):
        return cell.strip().lower() in MISSING
    return cell is None or cell is pd.NaT or cell is pd.NA or (isinstance(cell, float) and cell != cell)


def place(column: str, row: int) -> str:
    """Location of a cell for messages; the header is row 1."""
    return f"column {column!r}, row {row}"


def listed(names: Iterable[str], most: int = SHOWN) -> str:
    """Join names for a message, at most ``most`` of them."""
    names = list(names)
    shown = ", ".join(map(repr, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def numeric_values(
    column: nw.Series[Any], rows: np.ndarray, plain: Callable[[str], str] | None = None
) -> tuple[np.ndarray, bool]:
    """Convert a column to float64, NaN where missing.

    Parameters
    ----------
    column : nw.Series
        Any column of an eager frame.
    rows : (n,) int array
        Row numbers for messages.
    plain : callable, optional
        Applied to text before it is converted, such as `swt_time.data.numbers.Style.plain`.

    Returns
    -------
    values : (n,) float64 array
    text : bool
        Whether any value was converted from text.

    Raises
    ------
    TableError
        If a cell is not a number, or is an integer that float64 cannot represent exactly.
    """
    dtype = column.dtype
    if dtype.is_integer():
        _check_exact(column, rows)
        return _float64(column), False
    if dtype.is_float() or dtype.is_decimal():
        return _float64(column), False
    if column.is_null().all():
        return np.full(len(column), np.nan), False
    if isinstance(dtype, nw.String | nw.Object | nw.Unknown):
        return _from_cells(column, rows, plain)
    kind = KINDS.get(type(dtype).__name__, f"values of type {dtype}")
    remedy = "convert it to numbers or choose other columns with data.columns"
    raise TableError(f"column {column.name!r} holds {kind}; expected numbers: {remedy}")


def numeric_columns(
    table: nw.DataFrame[Any], names: Sequence[str], rows: np.ndarray, plain: Mapping[str, Callable[[str], str]]
) -> tuple[np.ndarray, list[str]]:
    """Convert ``C`` columns of a table to float64; see `numeric_values`.

    Returns
    -------
    values : (C, n) float64 array
    text : list of str
        Columns in which values were converted from text.
    """
    values = np.empty((len(names), len(rows)))
    others = _convert_together(table, names, values)
    text = []
    for i in others:
        values[i], was_text = numeric_values(table[names[i]], rows, plain.get(names[i]))
        text += [names[i]] if was_text else []
    return values, text


def _convert_together(table: nw.DataFrame[Any], names: Sequence[str], values: np.ndarray) -> list[int]:
    """Convert NumPy columns of a pandas frame at once, and return the indices of the other ones.

    The columns of a wide table one by one would take a hundred times longer.
    """
    native = nw.to_native(table)
    if not isinstance(native, pd.DataFrame):
        return list(range(len(names)))
    places, dtypes = native.columns.get_indexer(pd.Index(names)), native.dtypes.to_list()
    left = set(range(len(names)))
    for kind in (np.dtype(np.float64), np.dtype(np.int64)):
        some = [i for i in left if isinstance(dtypes[places[i]], np.dtype) and dtypes[places[i]] == kind]
        block = native.iloc[:, places[some]].to_numpy() if some else np.empty((len(native), 0), kind)
        if kind == np.float64 or ((block >= -EXACT) & (block <= EXACT)).all():
            values[some] = block.T
            left.difference_update(some)
    return sorted(left)


def _float64(column: nw.Series[Any]) -> np.ndarray:
    values = column.cast(nw.Float64).to_numpy()
    return np.array(values, dtype=np.float64)


def _check_exact(column: nw.Series[Any], rows: np.ndarray) -> None:
    dtype = column.dtype
    if not isinstance(dtype, nw.Int64 | nw.UInt64 | nw.Int128 | nw.UInt128):
        return
    outside = column > EXACT
    if not dtype.is_unsigned_integer():
        outside = outside | (column < -EXACT)
    beyond = outside.fill_null(False).to_numpy()
    if beyond.any():
        row = int(np.argmax(beyond))
        raise _too_large(column.name, int(rows[row]), column[row])


def _too_large(name: str, row: int, value: object) -> TableError:
    return TableError(
        f"{place(name, row)}: the integer {value} is beyond 2^53, where float64 is not exact; "
        "subtract a constant, or choose other columns with data.columns"
    )


def _from_cells(
    column: nw.Series[Any], rows: np.ndarray, plain: Callable[[str], str] | None
) -> tuple[np.ndarray, bool]:
    """Convert text or mixed Python objects cell by cell; see `numeric_values`."""
    values = np.full(len(column), np.nan)
    bad: list[int] = []
    good = text = 0
    cells = column.to_list()
    for i, cell in enumerate(cells):
        if is_missing(cell):
            continue
        converted = plain(cell) if plain is not None and isinstance(cell, str) else cell
        number = _number(converted, column.name, int(rows[i]))
        if number is None:
            bad.append(i)
            continue
        values[i] = number
        good += 1
        text += isinstance(cell, str)
    if bad:
        raise TableError(_not_a_number(column.name, cells, rows, bad, good))
    return values, text > 0


def _number(cell: Any, name: str, row: int) -> float | None:
    """Return the cell as a float, or None if it is not a number."""
    if isinstance(cell, str):
        cell = cell.strip()
        if not NUMBER.fullmatch(cell):
            return None
        if not WHOLE.fullmatch(cell):
            return float(cell)
        cell = int(cell) if len(cell) < 400 else EXACT + 1
    if isinstance(cell, bool | np.bool_) or not isinstance(cell, int | float | np.integer | np.floating | Decimal):
        return None
    if isinstance(cell, int | np.integer) and abs(int(cell)) > EXACT:
        raise _too_large(name, row, cell)
    return float(cell)


def _not_a_number(name: str, cells: list[Any], rows: np.ndarray, bad: list[int], good: int) -> str:
    cell = cells[bad[0]]
    shown = repr(cell) if len(repr(cell)) <= 40 else repr(cell)[:37] + "..."
    separated = isinstance(cell, str) and WITH_COMMA.fullmatch(cell.strip())
    if good == 0 and not separated:
        kind = "text" if isinstance(cell, str) else f"values of type {type(cell).__name__}"
        return (
            f"column {name!r} holds {kind} (row {rows[bad[0]]}: {shown}); expected numbers: "
            "set data.id_column if it identifies the series, otherwise choose numeric columns with data.columns"
        )
    more = f" ({len(bad)} such cells)" if len(bad) > 1 else ""
    remedy = "correct it, leave it empty and set data.fill, or choose other columns with data.columns"
    if separated:
        remedy = "write numbers with a decimal point and without thousands separators"
    return f"{place(name, int(rows[bad[0]]))}: {shown} is not a number{more}; {remedy}"
