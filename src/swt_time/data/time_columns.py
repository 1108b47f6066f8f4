"""Times that a table holds as numbers.

They are calendar columns (``year, month, day, hour``), seconds since 1970, and years with the month as a fraction
(``1949.0833``). Each becomes one column of timestamps, which `swt_time.data.timestamps` then checks like any other.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.columns import is_missing, place
from swt_time.data.dates import month_number
from swt_time.errors import TableError

CHAIN = ("year", "month", "day", "hour", "minute", "second")
"""Names of calendar columns, each of which needs the one before it; ``quarter`` may stand in place of ``month``."""

RANGES = {
    "year": (1678, 2261),
    "month": (1, 12),
    "quarter": (1, 4),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}

EPOCH = {10: ("s", "seconds"), 13: ("ms", "milliseconds"), 16: ("us", "microseconds"), 19: ("ns", "nanoseconds")}
"""Unit of a time since 1970 by its number of digits (2001 to 2286)."""

FRACTION = 0.02
"""Difference of a month in a decimal year from a whole number; two decimals would not tell months apart."""

QUARTER = re.compile(r"[Qq]([1-4])")


def calendar_columns(names: Iterable[str]) -> dict[str, str]:
    """Find calendar columns by name: ``year`` with ``month`` and more, or ``year`` with ``quarter``.

    Returns
    -------
    dict
        Column name by part, in the order of `CHAIN`; empty if the names do not make a date.
    """
    known: dict[str, str] = {}
    for name in names:
        known.setdefault(name.strip().lower(), name)
    parts = {}
    for part in CHAIN:
        if part not in known:
            break
        parts[part] = known[part]
    if "month" in parts:
        return parts
    if "year" in parts and "quarter" in known:
        return {"year": known["year"], "quarter": known["quarter"]}
    return {}


def join_calendar(table: nw.DataFrame[Any], parts: Mapping[str, str], rows: np.ndarray) -> nw.Series[Any]:
    """Combine calendar columns into one column of timestamps.

    Parameters
    ----------
    table : nw.DataFrame
    parts : mapping
        See `calendar_columns`.
    rows : (n,) int array
        Row numbers for messages.

    Raises
    ------
    TableError
        If a cell is missing, is not a whole number or is out of range, or if a day does not exist.
    """
    numbers = {part: _whole(table[name], part, rows) for part, name in parts.items()}
    month = 3 * numbers["quarter"] - 2 if "quarter" in numbers else numbers["month"]
    months = (12 * (numbers["year"] - 1970) + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (numbers.get("day", np.ones_like(month)) - 1)
    absent = days.astype("datetime64[M]") != months
    if absent.any():
        i = int(np.argmax(absent))
        shown = f"{numbers['year'][i]}-{month[i]:02d}-{numbers['day'][i]:02d}"
        raise TableError(f"{place(parts['day'], int(rows[i]))}: {shown} is not a date; correct the day")
    stamps = days.astype("datetime64[us]")
    for part, unit in (("hour", "h"), ("minute", "m"), ("second", "s")):
        if part in numbers:
            stamps = stamps + numbers[part].astype(f"timedelta64[{unit}]")
    return _column(", ".join(parts.values()), pd.DatetimeIndex(stamps), table)


def _whole(column: nw.Series[Any], part: str, rows: np.ndarray) -> np.ndarray:
    """Whole numbers of a calendar column; quarters may be written as ``Q1``, months by their English names."""
    low, high = RANGES[part]
    numbers = np.zeros(len(column), dtype=np.int64)
    for i, cell in enumerate(column.to_list()):
        if is_missing(cell):
            raise TableError(f"{place(column.name, int(rows[i]))}: the {part} is missing; add it or remove the row")
        text = cell.strip() if isinstance(cell, str) else cell
        match = QUARTER.fullmatch(text) if part == "quarter" and isinstance(text, str) else None
        named = month_number(text) if part == "month" and isinstance(text, str) else None
        number = named or _integer(match[1] if match else text)
        if number is None or not low <= number <= high:
            raise TableError(
                f"{place(column.name, int(rows[i]))}: {cell!r} is not a valid {part}; expected a whole number from "
                f"{low} to {high}, or choose another time column with data.time_column"
            )
        numbers[i] = number
    return numbers


def _integer(cell: Any) -> int | None:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else None


def holds_epochs(column: nw.Series[Any]) -> bool:
    """Whether all cells are whole numbers of as many digits as a time since 1970, and none is missing."""
    return _digits(column) in EPOCH


def _digits(column: nw.Series[Any]) -> int:
    """Return the number of digits that all cells have in common; 0 if there is none."""
    if len(column) == 0 or column.is_null().any():
        return 0
    if column.dtype.is_integer():
        lengths = {len(str(column.min())), len(str(column.max()))}
        return lengths.pop() if len(lengths) == 1 and column.min() > 0 else 0
    if not isinstance(column.dtype, nw.String | nw.Object):
        return 0
    lengths = set()
    for cell in column.to_list():
        text = str(cell).strip() if isinstance(cell, str | int) else ""
        lengths.add(len(text) if text.isascii() and text.isdigit() else 0)
        if len(lengths) > 1:
            return 0
    return lengths.pop()


def from_epochs(column: nw.Series[Any], table: nw.DataFrame[Any], rows: np.ndarray) -> tuple[nw.Series[Any], list[str]]:
    """Convert times since 1970 to timestamps in UTC; any other column is returned unchanged.

    Returns
    -------
    column : nw.Series
    notes : list of str
        Which unit was used.

    Raises
    ------
    TableError
        If ten digits can also be hours such as 2024013117.
    """
    digits = _digits(column)
    cells = [int(cell) for cell in column.to_list()] if digits in EPOCH else []
    if not cells or max(cells) > np.iinfo(np.int64).max:
        return column, []
    numbers = np.array(cells, dtype=np.int64)
    if digits == 10 and _are_hours(numbers):
        raise TableError(
            f"{place(column.name, int(rows[0]))}: {numbers[0]} can be seconds since 1970 or an hour such as "
            "2024013117; set data.date_format to %Y%m%d%H for hours, or write dates as 2024-01-31 17:00"
        )
    unit, words = EPOCH[digits]
    index = pd.DatetimeIndex(numbers.view(f"datetime64[{unit}]")).tz_localize("UTC")
    note = f"column {column.name!r}: numbers were read as {words} since 1970, in UTC"
    return _column(column.name, index, table), [note]


def _are_hours(numbers: np.ndarray) -> bool:
    hours = pd.to_datetime(pd.Series(numbers.astype(str)), format="%Y%m%d%H", errors="coerce")
    return not bool(hours.isna().any())


def holds_decimal_years(column: nw.Series[Any]) -> bool:
    """Whether all cells are years with whole months as fractions, not all of them zero, and none is missing."""
    if not column.dtype.is_float() or len(column) == 0 or column.is_null().any():
        return False
    years = column.to_numpy()
    if not (np.isfinite(years).all() and years.min() >= 1000 and years.max() < 3000):
        return False
    months = 12 * years
    return bool((np.abs(months - months.round()) < FRACTION).all() and (months.round() % 12 != 0).any())


def from_decimal_years(column: nw.Series[Any], table: nw.DataFrame[Any]) -> tuple[nw.Series[Any], list[str]]:
    """Convert years with months as fractions to the first days of these months; other columns are returned unchanged.

    Returns
    -------
    column : nw.Series
    notes : list of str
    """
    if not holds_decimal_years(column):
        return column, []
    months = (12 * column.to_numpy()).round().astype(np.int64) - 12 * 1970
    stamps = months.astype("datetime64[M]").astype("datetime64[us]")
    note = f"column {column.name!r}: numbers were read as years with months as fractions"
    return _column(column.name, pd.DatetimeIndex(stamps), table), [note]


def _column(name: str, times: pd.DatetimeIndex, table: nw.DataFrame[Any]) -> nw.Series[Any]:
    """Timestamps as a column of the table's library."""
    if table.implementation is nw.Implementation.PANDAS:
        column: nw.Series[Any] = nw.from_native(pd.Series(times, name=name), series_only=True)
        return column
    naive = times if times.tz is None else times.tz_localize(None)
    unit: Any = "ns" if times.unit == "ns" else "us"
    column = nw.new_series(name, naive.as_unit(unit).to_numpy(), nw.Datetime(unit), backend=table.implementation)
    return column if times.tz is None else column.dt.replace_time_zone("UTC")
