"""Conversion of one column of a frame to timestamps, with errors that name the cell.

Text is parsed with one format for the whole column, independent of the order of rows. ISO 8601 is tried first. If day
and month could be swapped, the format that gives gapless timestamps is used; if both do, ``data.frequency`` decides,
and otherwise the column is refused. Integers are dates only if they are days (20240131), or years in a column of that
name.
"""

import datetime
import re
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.columns import is_missing, place
from swt_time.data.dates import (
    COARSE,
    FORMATS,
    ISO,
    Cells,
    Reading,
    TimeForm,
    check_format,
    digits_format,
    find_readings,
    numbered_months,
    parse,
    take_apart,
    without_zone,
)
from swt_time.data.frequency import NO_FREQUENCY, Frequency, parse_frequency
from swt_time.data.inferring import fit_frequency
from swt_time.data.zones import DAY, matching_zone, microseconds
from swt_time.errors import TableError

YEARS = (1678, 2261)
"""Range of 64-bit nanoseconds, which all pandas versions and all supported frames can represent."""
REMEDY = "write dates as 2024-01-31 or 2024-01-31 17:00:00, or set data.date_format to their format, such as %d.%m.%Y"
LONGEST = 200
"""Characters of the longest text that is tried as a date; each of a hundred formats searches it."""

COUNT_REMEDY = (
    "set data.frequency to none if it counts rows, or data.date_format to the format of the dates, such as %Y or %Y%m"
)
DIGITS = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "j": 3}
"""Digits of the directives of strptime that have a fixed width."""


@dataclass
class TimeColumn:
    """A time column while it is converted: the result is in ``times``, ``form`` and ``notes``.

    Parameters
    ----------
    name : str
    rows : (n,) int array
        Row numbers for messages.
    codes : (n,) int array
        Series index of each row.
    frequency : Frequency or None
        The frequency, if it is given.
    counts : bool
        Whether rows are counted and their times ignored (``data.frequency`` is ``none``).
    date_format : str or None
    """

    name: str
    rows: np.ndarray
    codes: np.ndarray
    frequency: Frequency | None = None
    counts: bool = False
    date_format: str | None = None
    form: TimeForm = field(default_factory=TimeForm)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Add a note on the column."""
        self.notes.append(f"column {self.name!r}: {text}")

    def fit(self, times: pd.DatetimeIndex) -> tuple[Frequency, int] | None:
        """Return the frequency and the number of missing timestamps; see `fit_frequency`."""
        return fit_frequency(times, self.codes, self.frequency)

    def place(self, row: int) -> str:
        """Location of a cell for messages."""
        return place(self.name, int(self.rows[row]))


def timestamps(
    column: nw.Series[Any],
    rows: np.ndarray,
    codes: np.ndarray | None = None,
    *,
    frequency: str | None = None,
    date_format: str | None = None,
) -> tuple[pd.Index, TimeForm, list[str]]:
    """Convert a column to timestamps in microseconds.

    Parameters
    ----------
    column : nw.Series
        Dates, datetimes with or without a time zone, text, or integers for days (20240131) or years (2024, in a column
        of that name).
    rows : (n,) int array
        Row numbers for messages.
    codes : (n,) int array, optional
        Series index of each row, to find the format that gives gapless series; one series by default.
    frequency : str, optional
        Decides between formats. With ``none``, integers count rows and stay integers.
    date_format : str, optional
        Strptime format of text and integers; found by default.

    Returns
    -------
    times : pd.Index
        ``n`` timestamps, none missing; or integers.
    form : TimeForm
        How the cells were read.
    notes : list of str
        How ambiguous text was interpreted, and which conversions were made.

    Raises
    ------
    TableError
        If a cell is missing or is not a date.
    """
    counts = frequency == NO_FREQUENCY
    given = None if frequency is None or counts else parse_frequency(frequency)
    codes = np.zeros(len(rows), dtype=np.int64) if codes is None else codes
    form = None if date_format is None else check_format(date_format)
    one = TimeColumn(column.name, rows, codes, given, counts, form)
    _refuse_missing(one, column.is_null().to_numpy())
    times = _convert(column, one)
    return _microseconds(times, one) if isinstance(times, pd.DatetimeIndex) else times, one.form, one.notes


def looks_like_time(column: nw.Series[Any], date_format: str | None = None, *, coarse: bool = True) -> bool:
    """Return whether a column's type is a time, or its first cells parse as one; unless ``coarse``, a full date."""
    if isinstance(column.dtype, nw.Datetime | nw.Date) or native_zone_type(column) is not None:
        return True
    if not isinstance(column.dtype, nw.String | nw.Object):
        return False
    head = [cell for cell in column.head(50).to_list() if not is_missing(cell)][:3]
    if not head or not all(isinstance(cell, str | datetime.date) for cell in head):
        return False
    if any(isinstance(cell, str) and len(cell) > LONGEST for cell in head):
        return False
    if any(isinstance(cell, datetime.date) for cell in head):
        return True
    try:
        cells = take_apart([cell.strip() for cell in head])
    except TableError:
        return True
    form = None if date_format is None else check_format(date_format)
    readings = find_readings(cells.dates, column.name, form)
    return any(coarse or form is not None or reading.format not in COARSE for reading in readings)


def native_zone_type(column: nw.Series[Any]) -> tuple[Any, str] | None:
    """Return the unit and time zone of a pandas column of timestamps; None for other columns and libraries.

    The names of a fifth of all time zones (with ``_``, ``+``, ``-`` or digits) are unknown to narwhals for pandas.
    """
    native = nw.to_native(column)
    dtype = native.dtype if isinstance(native, pd.Series) else None
    if isinstance(dtype, pd.DatetimeTZDtype):
        return dtype.unit, str(dtype.tz)
    if isinstance(dtype, pd.ArrowDtype):
        arrow: Any = dtype.pyarrow_dtype
        if str(arrow).startswith("timestamp") and arrow.tz is not None:
            return arrow.unit, arrow.tz
    return None


def _convert(column: nw.Series[Any], one: TimeColumn) -> pd.Index:
    dtype = column.dtype
    if isinstance(dtype, nw.Datetime) or native_zone_type(column) is not None:
        return _from_datetime(column)
    if isinstance(dtype, nw.Date):
        return pd.DatetimeIndex(column.cast(nw.Datetime("us")).to_numpy())
    if dtype.is_integer():
        return _from_integers([int(cell) for cell in column.to_list()], one)
    if isinstance(dtype, nw.String | nw.Object | nw.Unknown | nw.Categorical | nw.Enum):
        return _from_cells(column.to_list(), one)
    raise TableError(f"column {column.name!r} has type {dtype}; expected timestamps: {REMEDY}")


def _refuse_missing(one: TimeColumn, empty: np.ndarray) -> None:
    if empty.any():
        raise TableError(
            f"{one.place(int(np.argmax(empty)))}: the time is missing ({int(empty.sum())} such rows); add it or remove "
            "the row"
        )


def _from_datetime(column: nw.Series[Any]) -> pd.DatetimeIndex:
    native = nw.to_native(column)
    if isinstance(native, pd.Series):
        if isinstance(native.dtype, pd.ArrowDtype):
            found = native_zone_type(column)
            arrow: Any = native.dtype.pyarrow_dtype
            dtype: Any = f"datetime64[{arrow.unit}]" if found is None else pd.DatetimeTZDtype(*found)
            native = native.astype(dtype)
        return pd.DatetimeIndex(native)
    assert isinstance(column.dtype, nw.Datetime)
    zone = column.dtype.time_zone
    if zone is None:
        return pd.DatetimeIndex(column.to_numpy())
    utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
    return pd.DatetimeIndex(utc).tz_localize("UTC").tz_convert(zone)


def _from_integers(values: list[int], one: TimeColumn) -> pd.Index:
    """Convert days (20240131) and years (2024, in a column of that name); count rows if that is asked for."""
    if one.date_format is not None:
        directives = re.findall(r"%(.)", one.date_format)
        width = sum(DIGITS.get(letter, 0) for letter in directives)
        fixed = all(letter in DIGITS for letter in directives) and len(one.date_format) == 2 * len(directives)
        return _from_text([str(value).zfill(width if fixed else 0) for value in values], one)
    texts = [str(value) for value in values]
    form = digits_format(texts, "" if one.counts else one.name)
    if form is not None:
        one.form = TimeForm(form)
        return pd.DatetimeIndex(parse(texts, form))
    if one.counts:
        if max(map(abs, values)) >= 2**62:
            raise TableError(f"column {one.name!r}: the integers are beyond 2^62; expected a count of rows")
        one.form = TimeForm(counts=True)
        return pd.Index(np.array(values, dtype=np.int64))
    raise TableError(f"{one.place(0)}: {values[0]} is a number, expected a date; {COUNT_REMEDY}")


def _from_cells(cells: list[Any], one: TimeColumn) -> pd.Index:
    _refuse_missing(one, np.fromiter((is_missing(cell) for cell in cells), dtype=bool, count=len(cells)))
    text = np.array([isinstance(cell, str) for cell in cells])
    if text.all():
        return _from_text([cell.strip() for cell in cells], one)
    moments = [cell.start_time if isinstance(cell, pd.Period) else cell for cell in cells]
    for i, cell in enumerate(moments):
        if not isinstance(cell, datetime.date | str):
            raise TableError(f"{one.place(i)}: {cell!r} is not a date; {REMEDY}")
    if text.any():
        # times that were appended to text, such as our own forecasts
        return _from_text([cell.strip() if isinstance(cell, str) else _iso_text(cell) for cell in moments], one)
    return _from_objects(moments, one)


def _iso_text(cell: datetime.date) -> str:
    return cell.isoformat(sep=" ") if isinstance(cell, datetime.datetime) else cell.isoformat()


def _from_objects(cells: list[Any], one: TimeColumn) -> pd.DatetimeIndex:
    """Convert Python dates and datetimes; see `_several_offsets` for those in several time zones."""
    aware = [isinstance(cell, datetime.datetime) and cell.tzinfo is not None for cell in cells]
    if len(set(aware)) > 1:
        odd = aware.index(not aware[0])
        raise TableError(f"{one.place(odd)}: times with and without a time zone are mixed; use one form for all")
    if aware[0] and len({str(cell.tzinfo) for cell in cells}) > 1:
        utc = pd.DatetimeIndex(pd.to_datetime(cells, utc=True))
        wall = pd.DatetimeIndex([cell.replace(tzinfo=None) for cell in cells])
        return _several_offsets(utc, wall, one, "times in several time zones")
    return pd.DatetimeIndex(cells)


def _from_text(cells: list[str], one: TimeColumn) -> pd.Index:
    taken, found = pd.factorize(np.array(cells, dtype=object), sort=True)
    unique: list[str] = found.tolist()
    for code, cell in enumerate(unique):
        if len(cell) > LONGEST:
            raise TableError(f"{one.place(int(np.argmax(taken == code)))}: {cell[:40]!r}... is not a date; {REMEDY}")
    if one.date_format is None and all(cell.isdigit() and cell.isascii() for cell in unique):
        form = digits_format(unique, "" if one.counts else one.name)
        if form is None and max(map(len, unique)) < 19:
            return _from_integers([int(cell) for cell in cells], one)
    try:
        parts = take_apart(unique)
        reading = _choose(find_readings(parts.dates, one.name, one.date_format), taken, one)
    except TableError as error:
        what, _, remedy = str(error).partition("; ")
        raise TableError(f"column {one.name!r}: {what} (row {one.rows[0]}: {cells[0]!r}); {remedy}") from error
    reading = reading or _numbered_years(parts.dates, taken, one)
    if reading is None:
        raise _unreadable(cells, one)
    one.form = TimeForm(reading.format)
    if reading.mixed or (reading.swapped and one.date_format is None):
        one.note(f"dates were parsed as {reading.format}{' and ISO 8601' if reading.mixed else ''}")
    times = parts.times(reading.wall)
    if times is not None:
        return times.take(taken)
    return _several_offsets(
        parts.utc(reading.wall).take(taken), reading.wall.take(taken), one, "times with several UTC offsets"
    )


def _choose(readings: list[Reading], taken: np.ndarray, one: TimeColumn) -> Reading | None:
    """Return the reading that gives gapless series, or that repairs could make gapless; None if there is no reading.

    Raises
    ------
    TableError
        If that does not decide between several readings.
    """
    if len(readings) < 2:
        return readings[0] if readings else None
    fits = [one.fit(reading.wall.take(taken)) for reading in readings]
    for most in (0, len(taken), np.inf):
        regular = [reading for reading, fit in zip(readings, fits, strict=True) if fit is not None and fit[1] <= most]
        if len(regular) == 1:
            return regular[0]
        if regular:
            break
    forms = " or ".join(str(reading.format) for reading in readings)
    raise TableError(f"the order of day and month is ambiguous; set data.date_format to {forms}")


def _numbered_years(cells: list[str], taken: np.ndarray, one: TimeColumn) -> Reading | None:
    """Read months of numbered years, such as ``1-01`` or ``3-Dec``; None where they are not gapless over some years.

    Days and months without a year (``1-01`` to ``31-12``) are not read so, since they would not be gapless.
    """
    months = None if one.date_format is not None else numbered_months(cells)
    if months is None or len((times := pd.DatetimeIndex(months)).year.unique()) < 2:
        return None
    fit, first = one.fit(times.take(taken)), int(np.argmin(months))
    if fit is None or fit[0].alias != "MS" or fit[1] > 0:
        return None
    one.note(f"years are numbered: {cells[first]!r} was read as {times[first]:%Y-%m}")
    return Reading(None, times)


def _several_offsets(utc: pd.DatetimeIndex, wall: pd.DatetimeIndex, one: TimeColumn, what: str) -> pd.DatetimeIndex:
    """Choose between UTC and local time for times with several UTC offsets.

    Steps of less than a day count elapsed time, so that UTC is regular. Days, weeks and months are regular in local
    time: in a time zone that has these offsets or, where there is none, in wall-clock time.
    """
    elapsed = one.fit(utc)
    if elapsed is None or elapsed[0].kind != "elapsed" or elapsed[0].step >= DAY:
        stamps = microseconds(utc, wall=False)
        zone = matching_zone(stamps, microseconds(wall, wall=True) - stamps)
        if zone is not None:
            local = utc.tz_convert(zone)
            fit = one.fit(local)
            if one.counts or (fit is not None and fit[0].kind != "elapsed"):
                one.note(f"{what} were read as local times of {zone}, which has these offsets")
                return local
        fit = one.fit(wall)
        if fit is not None and (elapsed is None or fit[0].kind != "elapsed"):
            one.form = TimeForm(one.form.format, wall=True)
            one.note(f"{what} were read as wall-clock times, whose steps are regular; the offsets were ignored")
            return wall
    one.note(f"{what} were converted to UTC")
    return utc


def _unreadable(cells: list[str], one: TimeColumn) -> TableError:
    """Error that names the first cell that the best-fitting format cannot parse."""
    parts: Cells = take_apart(cells)
    head = parts.dates[:1000]

    def failures(form: str) -> int:
        return int(np.isnat(parse(head, form)).sum())

    best = min((ISO, *FORMATS), key=failures) if one.date_format is None else without_zone(one.date_format)
    bad, iso = np.isnat(parse(parts.dates, best)), ~np.isnat(parse(parts.dates, ISO))
    first = int(np.argmax(bad & ~iso if (bad & ~iso).any() else bad))
    if one.date_format is not None:
        return TableError(
            f"{one.place(first)}: {cells[first]!r} does not have the format {one.date_format!r} of data.date_format; "
            "correct the cell or the format"
        )
    return TableError(f"{one.place(first)}: {cells[first]!r} is not a date; {REMEDY}")


def _microseconds(times: pd.DatetimeIndex, one: TimeColumn) -> pd.DatetimeIndex:
    # NumPy can compute any year that an int64 timestamp holds, pandas cannot
    stamps = times.asi8.view(f"datetime64[{times.unit}]")
    if _far(np.array([stamps.min(), stamps.max()])).any():
        far = _far(stamps)
        i = int(np.argmax(far))
        year = stamps[i].astype("datetime64[Y]").astype(np.int64) + 1970
        raise TableError(
            f"{one.place(i)}: the year {year} is out of range; expected {YEARS[0]} to {YEARS[1]}: correct the date"
        )
    exact = times.as_unit("us")
    lost = np.asarray(exact != times) if times.unit == "ns" else np.zeros(0, dtype=bool)
    if lost.any():
        raise TableError(
            f"{one.place(int(np.argmax(lost)))}: the time is finer than microseconds; round times to microseconds"
        )
    return exact.rename(None)


def _far(stamps: np.ndarray) -> np.ndarray:
    """Which timestamps lie in a year out of range; NaT does too."""
    years = stamps.astype("datetime64[Y]").astype(np.int64) + 1970
    return (years < YEARS[0]) | (years > YEARS[1])
