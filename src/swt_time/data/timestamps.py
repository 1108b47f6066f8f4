"""One column of a frame as points in time, or an error that names the cell.

Text is read by one format for the whole column, whatever the order of its rows. ISO 8601 comes first;
where the day and the month could be swapped, the reading that gives a regular table is taken, and if both
or neither do the table is refused.
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
"""What nanoseconds in 64 bits can hold: every pandas version and every frame agrees inside."""
OFFSET = re.compile(r"[T ].*([Zz]|[+-]\d\d(:?\d\d)?)$")
REMEDY = "write dates as 2024-01-31 or 2024-01-31 17:00:00"


def timestamps(column: nw.Series, rows: np.ndarray) -> tuple[pd.DatetimeIndex, str | None]:
    """Points in time of a column, in microseconds.

    Parameters
    ----------
    column : nw.Series
        Dates, datetimes with or without a time zone, text, or whole years (2024) or days (20240131).
    rows : (n,) int array
        Row numbers for messages.

    Returns
    -------
    times : pd.DatetimeIndex
        ``n`` stamps, none missing.
    note : str or None
        The repair that was needed, if any.

    Raises
    ------
    TableError
        If a cell is missing or no date.
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
        raise TableError(f"column {column.name!r} should hold points in time, but its type is {dtype}; {REMEDY}")
    return _microseconds(times, column.name, rows), note


def looks_like_time(column: nw.Series) -> bool:
    """Whether a column's type, or its first text cell, is a point in time."""
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
        f"{place(name, first)}: the time is missing ({int(empty.sum())} such rows); every row needs a time: "
        "add it or remove the row"
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
    """Years (2024) or days (20240131); other whole numbers could mean anything."""
    # by way of Python: Arrow refuses to cast whole numbers beyond 2^53
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
        "(whole numbers are read only as years such as 2024 or days such as 20240131)"
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
    """Python dates and datetimes; several time zones become UTC."""
    aware = []
    for cell, row in zip(cells, rows, strict=True):
        if not isinstance(cell, datetime.date):
            raise TableError(f"{place(name, int(row))}: {cell!r} is not a date; {REMEDY}")
        aware.append(isinstance(cell, datetime.datetime) and cell.tzinfo is not None)
    if len(set(aware)) > 1:
        raise _zones(name, rows, aware)
    zones = {str(cell.tzinfo) for cell in cells} if aware[0] else set()
    if len(zones) > 1:
        return pd.DatetimeIndex(pd.to_datetime(cells, utc=True)), f"column {name!r}: several time zones became UTC"
    return pd.DatetimeIndex(cells), None


def _zones(name: str, rows: np.ndarray, aware: list[bool]) -> TableError:
    odd = aware.index(not aware[0])
    return TableError(
        f"{place(name, int(rows[odd]))}: times with and without a time zone are mixed; write all in one form"
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
    """Read text by the one format that fits every cell, None if there is none.

    Raises
    ------
    TableError
        If the cells are dates but their meaning is open; the caller adds the place.
    """
    # a bare year is ISO 8601, but so would be a count: whole numbers are left to the explicit formats
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
            raise TableError(f"day and month cannot be told apart ({' or '.join(f for f, _ in distinct)})")
        distinct = regular
    form, times = distinct[0]
    swapped = any(part in form for part in ("%d/%m", "%m/%d", "%d-%m", "%m-%d-"))
    return times, f"dates were read as {form}" if swapped else None


def _read_iso(cells: list[str]) -> tuple[pd.DatetimeIndex, str | None] | None:
    """Read ISO 8601; several offsets from UTC become UTC, a mixture with none is refused."""
    utc = pd.to_datetime(pd.Series(cells), format="ISO8601", utc=True, errors="coerce")
    if utc.isna().any():
        return None
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        # pandas 2 warns of several offsets and returns objects, pandas 3 raises
        warnings.simplefilter("ignore", FutureWarning)
        times = pd.to_datetime(cells, format="ISO8601")
        # pandas 2 takes a stamp without an offset among others for UTC
        if isinstance(times, pd.DatetimeIndex) and (times.tz is None or all(map(OFFSET.search, cells))):
            return times, None
    if len({pd.Timestamp(cell).tzinfo is None for cell in cells}) > 1:
        raise TableError("times with and without a time zone are mixed")
    return pd.DatetimeIndex(utc), "several UTC offsets became UTC"


def _parses(cells: list[str], form: str) -> bool:
    return not pd.to_datetime(pd.Series(cells), format=form, errors="coerce").isna().any()


def _regular(times: pd.DatetimeIndex) -> bool:
    try:
        infer_frequency(times.unique().sort_values())
    except TableError:
        return False
    return True


def _unreadable(cells: list[str], name: str, rows: np.ndarray) -> TableError:
    """Point at the first cell that the best-fitting format cannot read."""
    text = pd.Series(cells)
    head = text.iloc[:1000]

    def failed(form: str, part: pd.Series) -> np.ndarray:
        return pd.to_datetime(part, format=form, errors="coerce", utc=True).isna().to_numpy()

    best = min(("ISO8601", *FORMATS), key=lambda form: int(failed(form, head).sum()))
    bad = failed(best, text)
    first = int(np.argmax(bad))
    return TableError(f"{place(name, int(rows[first]))}: {cells[first]!r} is not a date; {REMEDY}")


def _microseconds(times: pd.DatetimeIndex, name: str, rows: np.ndarray) -> pd.DatetimeIndex:
    # NumPy knows every year that a stamp may hold, pandas does not
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
        raise TableError(f"{place(name, row)}: times are held in microseconds; round them to microseconds")
    return exact.rename(None)
