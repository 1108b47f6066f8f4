"""Tables in JSON: an array of rows, or an object of columns; a forecast has the form of its table."""

import json
from typing import Any, Literal

import numpy as np
import pandas as pd

from swt_time.data.budget import CELL_BYTES, ROW_BYTES, Budget
from swt_time.data.header import refuse_repeated
from swt_time.errors import TableError
from swt_time.files import CONTAINERS_LIMIT

Form = Literal["rows", "columns"]

DIGITS = 18
"""Digits of a whole number that is kept as one; a longer one is a number with a fraction."""

EMPTY = {type(None)}
NUMBERS = {int, float} | EMPTY
"""Types of the cells of a column of numbers."""

VALUES = "expected numbers, text, true, false or null"


def parse(raw: bytes) -> dict[str, Any]:
    """Parse one JSON object in UTF-8, without NaN, infinities or repeated names.

    Raises
    ------
    TableError
    """
    if raw.count(b"{") + raw.count(b"[") > CONTAINERS_LIMIT:
        raise TableError(
            f"the body holds more than {CONTAINERS_LIMIT:,} objects and arrays; send the table as columns, or as "
            "CSV or Parquet"
        )
    try:
        found = json.loads(
            raw.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_number, parse_int=_whole
        )
    except (ValueError, RecursionError) as error:
        raise TableError(f"the body is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise TableError(f"the body holds {kind_of(found)}; expected a JSON object with the field table")
    return found


def to_frame(value: Any, name: str, budget: Budget) -> tuple[pd.DataFrame, Form]:
    """Make a frame of a table in JSON.

    Parameters
    ----------
    value : list of dict, or dict of list
        Rows, in which a missing name is the same as null; or columns of one length.
    name : str
        Field of the request, for messages.
    budget : Budget

    Raises
    ------
    TableError
    """
    form: Form = "rows" if isinstance(value, list) else "columns"
    columns = _by_rows(value, name, budget) if isinstance(value, list) else _by_columns(value, name)
    refuse_repeated(list(columns), name)
    count = len(next(iter(columns.values()), ()))
    budget.take(count * (ROW_BYTES + CELL_BYTES * len(columns)))
    if count == 0:
        raise TableError(f"{name} has no rows; expected at least two")
    arrays: dict[str, np.ndarray] = {}
    for column, cells in columns.items():
        kinds = {type(cell) for cell in cells}
        if not kinds <= NUMBERS | {str, bool}:
            row = next(i for i, cell in enumerate(cells) if isinstance(cell, dict | list))
            raise TableError(f"{name}, column {column!r}, row {row + 1} holds {kind_of(cells[row])}; {VALUES}")
        arrays[column] = _array(cells, kinds)
    return pd.DataFrame(arrays), form


def _array(cells: list[Any], kinds: set[type]) -> np.ndarray:
    """Numbers as such; text and mixed cells as they are, so that the reader of tables judges them."""
    if kinds <= NUMBERS and kinds != EMPTY:
        return np.array(cells, dtype=np.int64 if kinds == {int} else np.float64)
    found = np.empty(len(cells), dtype=object)
    found[:] = cells
    return found


def from_frame(frame: pd.DataFrame, form: Form) -> list[dict[str, Any]] | dict[str, list[Any]]:
    """Make plain values of a forecast, which round-trip: times as in ISO 8601, and numbers with all their digits."""
    columns = {str(name): _cells(frame[name]) for name in frame.columns}
    if form == "columns":
        return columns
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _cells(column: pd.Series) -> list[Any]:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return [time.isoformat() for time in column]
    known = column.notna()
    cells = column.tolist()
    return cells if known.all() else [cell if here else None for cell, here in zip(cells, known, strict=True)]


def _by_rows(rows: list[Any], name: str, budget: Budget) -> dict[str, list[Any]]:
    names: dict[str, None] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise TableError(f"{name}, row {i + 1} is {kind_of(row)}; expected an object of values by column")
        names.update(dict.fromkeys(row))
    budget.check(CELL_BYTES * len(names) * len(rows))
    return {column: [row.get(column) for row in rows] for column in names}


def _by_columns(value: Any, name: str) -> dict[str, list[Any]]:
    if not isinstance(value, dict):
        raise TableError(f"{name} is {kind_of(value)}; expected an array of rows or an object of columns")
    lengths = {}
    for column, cells in value.items():
        if not isinstance(cells, list):
            raise TableError(f"{name}, column {column!r} is {kind_of(cells)}; expected an array of values")
        lengths[len(cells)] = column
    if len(lengths) > 1:
        (one, first), (other, second) = list(lengths.items())[:2]
        raise TableError(f"{name}: column {first!r} has {one:,} values, {second!r} has {other:,}; expected one length")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # None, so that the search goes on
        raise ValueError(f"the name {twice[:80]!r} occurs twice")
    return values


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON number")


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= DIGITS else float(text)


def kind_of(value: Any) -> str:
    """Return what a value of JSON is called in messages."""
    names = {dict: "an object", list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
