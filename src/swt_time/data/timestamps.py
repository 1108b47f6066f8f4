"""Conversion of one column of a frame to timestamps, with errors that name the cell.

Text is parsed with one format for the whole column, independent of the order of rows. ISO 8601 is tried first. If day
and month could be swapped, the format that gives regular timestamps is used; if both or neither do, the column is
refused.
"""

import contextlib
import datetime
import re
import warnings
from itertools import product
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.columns import is_missing, place
from swt_time.data.frequency import infer_frequency
from swt_time.errors import TableError

DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%b %d %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d %B %Y",
)
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
MONTHS_ALONE = ("%Y-%m", "%Y/%m", "%b %Y", "%B %Y", "%b-%Y", "%Y")
FORMATS = (*(date + clock for date, clock in product(DATES, CLOCKS)), *MONTHS_ALONE, "%Y%m%d")
YEARS = (1678, 2261)
"""Range of 64-bit nanoseconds, which all pandas versions and all supported frames can represent."""
OFFSET = re.compile(r"[T ].*([Zz]|[+-]\d\d(:?\d\d)?)$")
REMEDY = "write dates as 2024-01-31 or 2024-01-31 17:00:00"


def timestamps(column: nw.Series, rows: np.ndarray) -> tuple[pd.DatetimeIndex, str | None]:
    """Convert a column to timestamps in microseconds.

    Parameters
    ----------
    column : nw.Series
        Dates, datetimes with or without a time zone, text, or integers for years (2024) or days (20240131).
    rows : (n,) int array
        Row numbers for messages.

    Returns
    -------
    times : pd.DatetimeIndex
        ``n`` timestamps, none missing.
    note : str or None
        How ambiguous text was interpreted, or which conversion was made, if any.

    Raises
    ------
    TableError
        If a cell is missing or is not a date.
    """
    note = None
    dtype = column.dtype
    empty = column.is_null().to_numpy()
    if empty.any():
        raise _missing(column.name, rows, empty)
    if isinstance(dtype, nw.Datetime):
        times = _from_datetime(column)
    elif isinstance(dtype, nw.Date):
        times = pd.DatetimeIndex(column.cast(nw.Datetime("us")).to_numpy())
    elif dtype.is_integer():
        times = _from_integers(column, rows)
    elif isinstance(dtype, nw.String | nw.Object | nw.Unknown | nw.Categorical | nw.Enum):
        times, note = _from_cells(column, rows)
    else:
        raise TableError(f"column {column.name!r} has type {dtype}; expected timestamps: {REMEDY}")
    return _microseconds(times, column.name, rows), note


def looks_like_time(column: nw.Series) -> bool:
    """Return whether a column's type is a time, or its first non-missing cells parse as one."""
    if isinstance(column.dtype, nw.Datetime | nw.Date):
        return True
    if not isinstance(column.dtype, nw.String | nw.Object):
        return False
    head = [cell for cell in column.head(50).to_list() if not is_missing(cell)][:3]
    if not head or not all(isinstance(cell, str | datetime.date) for cell in head):
        return False
    try:
        return _read([str(cell).strip() for cell in head]) is not None
    except TableError:
        return True


def _missing(name: str, rows: np.ndarray, empty: np.ndarray) -> TableError:
    first = int(rows[int(np.argmax(empty))])
    return TableError(
        f"{place(name, first)}: the time is missing ({int(empty.sum())} such rows); add it or remove the row"
    )


def _from_datetime(column: nw.Series) -> pd.DatetimeIndex:
    assert isinstance(column.dtype, nw.Datetime)
    native = nw.to_native(column)
    if isinstance(native, pd.Series) and not isinstance(native.dtype, pd.ArrowDtype):
        return pd.DatetimeIndex(native)
    zone = column.dtype.time_zone
    if zone is None:
        return pd.DatetimeIndex(column.to_numpy())
    utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
    return pd.DatetimeIndex(utc).tz_localize("UTC").tz_convert(zone)


def _from_integers(column: nw.Series, rows: np.ndarray) -> pd.DatetimeIndex:
    """Convert years (2024) or days (20240131); refuse other integers as ambiguous."""
    # via Python integers: Arrow refuses to cast integers beyond 2^53 to float64
    values = np.array(column.to_list(), dtype=np.float64)
    for low, high, form in ((1000, 2999, "%Y"), (10000101, 29991231, "%Y%m%d")):
        if ((values >= low) & (values <= high)).all():
            text = pd.Series(values.astype(np.int64).astype(str))
            parsed = pd.to_datetime(text, format=form, errors="coerce")
            if not parsed.isna().any():
                return pd.DatetimeIndex(parsed)
    odd = (values < 1000) | (values > 2999)
    first = int(np.argmax(odd)) if odd.any() else 0
    raise TableError(
        f"{place(column.name, int(rows[first]))}: {column[first]} is a number, expected a date; {REMEDY} "
        "(integers are accepted only as years such as 2024 or days such as 20240131)"
    )


def _from_cells(column: nw.Series, rows: np.ndarray) -> tuple[pd.DatetimeIndex, str | None]:
    cells = column.to_list()
    empty = np.fromiter((is_missing(cell) for cell in cells), dtype=bool, count=len(cells))
    if empty.any():
        raise _missing(column.name, rows, empty)
    if all(isinstance(cell, str) for cell in cells):
        return _from_text([cell.strip() for cell in cells], column.name, rows)
    return _from_objects(cells, column.name, rows)


def _from_objects(cells: list[Any], name: str, rows: np.ndarray) -> tuple[pd.DatetimeIndex, str | None]:
    """Convert Python dates and datetimes; several time zones are converted to UTC."""
    aware = []
    for cell, row in zip(cells, rows, strict=True):
        if not isinstance(cell, datetime.date):
            raise TableError(f"{place(name, int(row))}: {cell!r} is not a date; {REMEDY}")
        aware.append(isinstance(cell, datetime.datetime) and cell.tzinfo is not None)
    if len(set(aware)) > 1:
        raise _zones(name, rows, aware)
    zones = {str(cell.tzinfo) for cell in cells} if aware[0] else set()
    if len(zones) > 1:
        note = f"column {name!r}: times in several time zones were converted to UTC"
        return pd.DatetimeIndex(pd.to_datetime(cells, utc=True)), note
    return pd.DatetimeIndex(cells), None


def _zones(name: str, rows: np.ndarray, aware: list[bool]) -> TableError:
    odd = aware.index(not aware[0])
    return TableError(
        f"{place(name, int(rows[odd]))}: times with and without a time zone are mixed; use one form for all"
    )


def _from_text(cells: list[str], name: str, rows: np.ndarray) -> tuple[pd.DatetimeIndex, str | None]:
    unique = sorted(set(cells))
    try:
        reading = _read(unique)
    except TableError as error:
        raise TableError(f"column {name!r}: {error} (row {rows[0]}: {cells[0]!r}); {REMEDY}") from error
    if reading is None:
        raise _unreadable(cells, name, rows)
    times, note = reading
    positions = {cell: i for i, cell in enumerate(unique)}
    taken = np.fromiter((positions[cell] for cell in cells), dtype=np.int64, count=len(cells))
    return times.take(taken), None if note is None else f"column {name!r}: {note}"


def _read(cells: list[str]) -> tuple[pd.DatetimeIndex, str | None] | None:
    """Parse text with the one format that fits every cell; None if there is none.

    Raises
    ------
    TableError
        If the cells are dates but ambiguous; the caller adds the column and row.
    """
    # a four-digit count would parse as an ISO 8601 year: integers are left to the explicit formats
    if not all(cell.isdigit() for cell in cells):
        reading = _read_iso(cells)
        if reading is not None:
            return reading
    sample = cells[:: max(len(cells) // 20, 1)]
    found: list[tuple[str, pd.DatetimeIndex]] = []
    for form in FORMATS:
        if _parses(sample, form) and _parses(cells, form):
            found.append((form, pd.DatetimeIndex(pd.to_datetime(cells, format=form))))
    if not found:
        return None
    distinct = [found[0]] + [other for other in found[1:] if not other[1].equals(found[0][1])]
    if len(distinct) > 1:
        regular = [(form, times) for form, times in distinct if _regular(times)]
        if len(regular) != 1:
            raise TableError(f"the order of day and month is ambiguous ({' or '.join(f for f, _ in distinct)})")
        distinct = regular
    form, times = distinct[0]
    swapped = any(part in form for part in ("%d/%m", "%m/%d", "%d-%m", "%m-%d-"))
    return times, f"dates were parsed as {form}" if swapped else None


def _read_iso(cells: list[str]) -> tuple[pd.DatetimeIndex, str | None] | None:
    """Parse ISO 8601; several UTC offsets are converted to UTC, a mixture with and without offset is refused."""
    utc = pd.to_datetime(pd.Series(cells), format="ISO8601", utc=True, errors="coerce")
    if utc.isna().any():
        return None
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        # with several offsets pandas 2 warns and returns objects, pandas 3 raises
        warnings.simplefilter("ignore", FutureWarning)
        times = pd.to_datetime(cells, format="ISO8601")
        # pandas 2 interprets a timestamp without an offset as UTC if others have one
        if isinstance(times, pd.DatetimeIndex) and (times.tz is None or all(map(OFFSET.search, cells))):
            return times, None
    if len({pd.Timestamp(cell).tzinfo is None for cell in cells}) > 1:
        raise TableError("times with and without a time zone are mixed")
    return pd.DatetimeIndex(utc), "times with several UTC offsets were converted to UTC"


def _parses(cells: list[str], form: str) -> bool:
    return not pd.to_datetime(pd.Series(cells), format=form, errors="coerce").isna().any()


def _regular(times: pd.DatetimeIndex) -> bool:
    try:
        infer_frequency(times.unique().sort_values())
    except TableError:
        return False
    return True


def _unreadable(cells: list[str], name: str, rows: np.ndarray) -> TableError:
    """Error that names the first cell that the best-fitting format cannot parse."""
    text = pd.Series(cells)
    head = text.iloc[:1000]

    def failed(form: str, part: pd.Series) -> np.ndarray:
        return pd.to_datetime(part, format=form, errors="coerce", utc=True).isna().to_numpy()

    best = min(("ISO8601", *FORMATS), key=lambda form: int(failed(form, head).sum()))
    bad = failed(best, text)
    first = int(np.argmax(bad))
    return TableError(f"{place(name, int(rows[first]))}: {cells[first]!r} is not a date; {REMEDY}")


def _microseconds(times: pd.DatetimeIndex, name: str, rows: np.ndarray) -> pd.DatetimeIndex:
    # NumPy can compute any year that an int64 timestamp holds, pandas cannot
    years = times.asi8.view(f"datetime64[{times.unit}]").astype("datetime64[Y]").astype(np.int64) + 1970
    far = (years < YEARS[0]) | (years > YEARS[1])
    if far.any():
        i = int(np.argmax(far))
        raise TableError(
            f"{place(name, int(rows[i]))}: the year {years[i]} is out of range; expected {YEARS[0]} to "
            f"{YEARS[1]}: correct the date"
        )
    exact = times.as_unit("us")
    lost = np.asarray(exact != times)
    if lost.any():
        row = int(rows[int(np.argmax(lost))])
        raise TableError(f"{place(name, row)}: the time is finer than microseconds; round times to microseconds")
    return exact.rename(None)
