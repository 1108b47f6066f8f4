"""Formats of dates and times in text: strptime formats, ISO 8601, quarters (``%q``), ISO weeks and UTC offsets.

Text is taken apart into a date, which one format of the column describes, and a UTC offset or the name of a time zone
at its end.
"""

import datetime
import functools
import re
import warnings
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from swt_time.data.zones import localize
from swt_time.errors import TableError

ISO = "ISO8601"
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
    "%b-%d-%Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d %B %Y",
)
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y", "%B-%Y")
QUARTERS = ("%YQ%q", "%Y-Q%q", "%Y Q%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y")
WEEKS = ("%G-W%V", "%GW%V", "%G-W%V-%u")
COARSE = {*QUARTERS, *WEEKS, "%m/%Y"}
FORMATS = (*(date + clock for date, clock in product(DATES, CLOCKS)), *MONTHS, *QUARTERS, *WEEKS)
"""Formats that are tried where ``data.date_format`` is not given; text of digits alone is treated as integers."""

DIRECTIVES = "YymbBdHIMSfpjGVuUWwaAqzZ%"
YEAR_NAME = re.compile(r"(.*[^a-z])?(year|yr)s?", re.IGNORECASE)
"""Names of columns whose integers from 1000 to 2999 are years."""

MONTH_NAMES = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
NUMBERED_MONTH = re.compile(r"(\d{1,2})[-/. ](\d{1,2}|[A-Za-z]{3,9})")
YEAR_ZERO = 2000
"""Year 1 of numbered years is read as the calendar year after this one."""

WHOLE_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:?\d\d.*)?)?")
"""ISO 8601 dates, which may stand beside dates in another format; forecasts are written in this form."""

OFFSET = re.compile(
    r"(?P<date>.*(?:T\d{2,6}|\d:\d\d(?:[.,]\d+)?(?: ?[AaPp][Mm])?))\s*(?P<offset>[+-]\d\d(?::?\d\d){0,2})"
    r"|(?P<rest>.*\d(?: ?[AaPp][Mm])?)\s*(?:[Zz]|UTC|GMT)"
)
ZONE = re.compile(r"(?P<date>.*?[^\s\[])\s*\[?\b(?P<zone>[A-Z][A-Za-z_]{1,39}(?:/[A-Za-z0-9_+-]{1,40}){1,3})\]?")
"""A date and a name of the tz database. Its parts are bounded, so that the time grows no faster than the text."""


@dataclass(frozen=True)
class TimeForm:
    """How the cells of a time column were read; a cutoff is read in the same way.

    Parameters
    ----------
    format : str or None
        Strptime format of text; None for ISO 8601 and for columns of timestamps.
    counts : bool
        Whether the column holds integers that count rows.
    wall : bool
        Whether UTC offsets were ignored, since wall-clock times are regular and no time zone has these offsets.
    """

    format: str | None = None
    counts: bool = False
    wall: bool = False

    def example(self, time: pd.Timestamp) -> str:
        """Return a time as the table would write it, for messages."""
        if self.counts:
            return str(time)
        if self.format is not None:
            return time.strftime(self.format.replace("%q", str(time.quarter)))
        wall = time.tz_localize(None)
        return wall.strftime("%Y-%m-%d" if wall == wall.normalize() else "%Y-%m-%dT%H:%M")


def check_format(form: str) -> str:
    """Check a strptime format of dates and return it in its normal form.

    Raises
    ------
    TableError
        If a directive is unknown, there is no year, or a time zone does not stand at the end.
    """
    form = form.replace("%-", "%").strip()
    found = re.findall(r"%(.?)", form)
    odd = [f"%{letter}" for letter in found if not letter or letter not in DIRECTIVES]
    remedy = "expected a strptime format such as %d/%m/%Y, %Y%m or %YQ%q (quarter)"
    if odd:
        raise TableError(f"data.date_format {form!r}: {odd[0]!r} is unknown; {remedy}")
    if not set(found) & set("YyG"):
        raise TableError(f"data.date_format {form!r} has no year; {remedy}")
    if set(found) & set("zZ") and not re.fullmatch(r"[^zZ]*%[zZ]", re.sub(r"%[^zZ]", "", form)):
        raise TableError(f"data.date_format {form!r}: expected the time zone (%z or %Z) at the end")
    if "q" in found and sorted(found) not in (["Y", "q"], ["q", "y"]):
        raise TableError(f"data.date_format {form!r}: a quarter (%q) stands beside a year only; {remedy}")
    return form


def parse(cells: Sequence[str], form: str) -> np.ndarray:
    """Parse text with one format: datetime64, NaT where a cell does not have it."""
    if "%q" in form:
        cells, form = _months(cells, form)
    elif "%V" in form and not re.search("%[uwaA]", form):
        cells, form = [f"{cell} 1" for cell in cells], form + " %u"
    elif re.search("%[UW]", form) and not re.search("%[uwaA]", form):
        cells, form = [f"{cell} 1" for cell in cells], form + " %w"
    text = pd.Series(list(cells), dtype=object)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            found = pd.to_datetime(text, format=form, errors="coerce")
    except (ValueError, re.error):
        found = pd.Series(pd.NaT, index=text.index)
    if found.dtype.kind != "M" or getattr(found.dtype, "tz", None) is not None:
        return np.full(len(text), "NaT", dtype="datetime64[us]")
    return found.to_numpy()


def _months(cells: Sequence[str], form: str) -> tuple[list[str], str]:
    """Replace quarters, which no directive of strptime reads, by their first month."""
    pattern = re.escape(form).replace("%Y", r"(?P<y>\d{4})").replace("%y", r"(?P<y>\d\d)")
    found = [re.fullmatch(pattern.replace("%q", "(?P<q>[1-4])"), cell, re.IGNORECASE) for cell in cells]
    months = [f"{match['y']}-{3 * int(match['q']) - 2:02}" if match else "" for match in found]
    return months, "%Y-%m" if "%Y" in form else "%y-%m"


@dataclass(frozen=True)
class Cells:
    """Text of dates, taken apart.

    Attributes
    ----------
    dates : list of str
        Without time zones.
    offsets : (n,) int64 array
        Microseconds ahead of UTC.
    known : (n,) bool array
        Which cells have a UTC offset.
    zone : str or None
        Name of the time zone at the end of cells.
    """

    dates: list[str]
    offsets: np.ndarray
    known: np.ndarray
    zone: str | None

    def times(self, wall: pd.DatetimeIndex) -> pd.DatetimeIndex | None:
        """Timestamps of wall-clock times in the time zone of the text; None if it has several UTC offsets."""
        if self.zone is not None:
            local = localize(wall, self.zone)
            utc = np.where(self.known, self.utc(wall).asi8, local.as_unit(wall.unit).asi8)
            return pd.DatetimeIndex(utc.view(f"M8[{wall.unit}]")).tz_localize("UTC").tz_convert(self.zone)
        if not self.known.any():
            return wall
        if (self.offsets == self.offsets[0]).all():
            return wall.tz_localize(fixed_offset(int(self.offsets[0])))
        return None

    def utc(self, wall: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Timestamps of wall-clock times in UTC."""
        return (wall - pd.TimedeltaIndex(self.offsets.view("m8[us]"))).tz_localize("UTC")


def take_apart(cells: Sequence[str]) -> Cells:
    """Split text of dates from the UTC offsets and time zones at its end.

    Raises
    ------
    TableError
        If only some cells have a UTC offset or a time zone, or they name different time zones.
    """
    dates: list[str] = []
    offsets: list[int | None] = []
    zones: list[str | None] = []
    for cell in cells:
        match = ZONE.fullmatch(cell) if "/" in cell else None
        zone = match["zone"] if match and match["zone"] in _known_zones() else None
        date, offset = _split_offset(match["date"] if match and zone else cell)
        dates.append(date)
        offsets.append(offset)
        zones.append(zone)
    if len({offset is None and zone is None for offset, zone in zip(offsets, zones, strict=True)}) > 1:
        raise TableError("times with and without a time zone are mixed; write an offset in all of them, or in none")
    names = sorted({zone for zone in zones if zone is not None})
    if len(names) > 1:
        raise TableError(f"times in several time zones are mixed; use one of {', '.join(names[:3])}, or offsets")
    return Cells(
        dates,
        np.array([offset or 0 for offset in offsets], dtype=np.int64),
        np.array([offset is not None for offset in offsets]),
        names[0] if names else None,
    )


def _split_offset(cell: str) -> tuple[str, int | None]:
    """Return a date and its UTC offset in microseconds."""
    match = OFFSET.fullmatch(cell) if cell[-1:].isdigit() or cell[-1:] in "ZzCT" else None
    if match is None:
        return cell, None
    if match["offset"] is None:
        return match["rest"], 0
    digits = match["offset"][1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if hours > 23 or minutes > 59 or seconds > 59:
        return cell, None
    size = 1_000_000 * (3600 * hours + 60 * minutes + seconds)
    return match["date"], -size if match["offset"][0] == "-" else size


@functools.cache
def _known_zones() -> set[str]:
    return zoneinfo.available_timezones()


def digits_format(cells: Sequence[str], name: str) -> str | None:
    """Format of text or integers of digits alone: days such as 20240131, and years in a column of that name."""
    if all(len(cell) == 8 for cell in cells):
        form = "%Y%m%d"
    elif YEAR_NAME.fullmatch(name.strip()) and all(len(cell) == 4 and cell[0] in "12" for cell in cells):
        form = "%Y"
    else:
        return None
    return None if np.isnat(parse(cells, form)).any() else form


@dataclass(frozen=True)
class Reading:
    """One way to read text of dates: a format (None for ISO 8601) and the wall-clock times that it gives."""

    format: str | None
    wall: pd.DatetimeIndex
    mixed: bool = False

    @property
    def swapped(self) -> bool:
        """Whether day and month could be taken for each other."""
        return self.format is not None and any(p in self.format for p in ("%d/%m", "%m/%d", "%d-%m", "%m-%d-"))


def find_readings(cells: list[str], name: str, date_format: str | None = None) -> list[Reading]:
    """All ways to read dates without time zones with one format; empty if there is none.

    Dates in ISO 8601 may stand beside dates in one other format, since they cannot be misread.

    Parameters
    ----------
    cells : list of str
    name : str
        Name of the column.
    date_format : str, optional
        The format; all of `FORMATS` by default.
    """
    digits = all(cell.isdigit() and cell.isascii() for cell in cells)
    if date_format is None and not digits:
        wall = parse(cells, ISO)
        if not np.isnat(wall).any():
            return [Reading(None, pd.DatetimeIndex(wall))]
    iso = np.array([WHOLE_DATE.fullmatch(cell) is not None for cell in cells])
    forms: Sequence[str] = FORMATS
    if date_format is not None:
        date_format = without_zone(date_format)
        forms = [date_format]
        iso &= np.isnat(parse(cells, date_format)) & ("%Y-%d-%m" not in date_format)
    rest = [cell for cell, whole in zip(cells, iso, strict=True) if not whole]
    if not rest:
        return [Reading(None, pd.DatetimeIndex(parse(cells, ISO)))] if not np.isnat(parse(cells, ISO)).any() else []
    if date_format is None and all(cell.isdigit() and cell.isascii() for cell in rest):
        form = digits_format(rest, name)
        forms = [] if form is None else [form]
    sample = rest[:: max(len(rest) // 20, 1)]
    found: list[Reading] = []
    for form in forms:
        if np.isnat(parse(sample, form)).any():
            continue
        wall = parse(rest, form)
        if np.isnat(wall).any():
            continue
        if iso.any():
            whole = parse([cell for cell, is_iso in zip(cells, iso, strict=True) if is_iso], ISO)
            if np.isnat(whole).any():
                return []
            both = np.empty(len(cells), dtype=np.result_type(whole, wall))
            both[iso], both[~iso] = whole, wall
            wall = both
        times = pd.DatetimeIndex(wall)
        if not any(other.wall.equals(times) for other in found):
            found.append(Reading(form, times, mixed=bool(iso.any())))
    return found


def month_number(name: str) -> int | None:
    """Return the number of a month by its English name, whole or its first three letters; None for other text."""
    name = name.lower().removesuffix(".")
    return next((i for i, month in enumerate(MONTH_NAMES, 1) if name in (month, month[:3])), None)


def numbered_months(cells: Sequence[str]) -> np.ndarray | None:
    """Months of numbered years, such as ``1-01``, as if year 1 were 2001; None where a cell is something else."""
    found = [NUMBERED_MONTH.fullmatch(cell) for cell in cells]
    pairs = [
        (int(match[1]), int(match[2]) if match[2].isdecimal() else month_number(match[2]) or 0)
        for match in found
        if match
    ]
    if len(pairs) < len(cells) or not all(1 <= year <= 99 and 1 <= month <= 12 for year, month in pairs):
        return None
    years, months = np.array(pairs, dtype=np.int64).T
    firsts: np.ndarray = (12 * (YEAR_ZERO + years - 1970) + months - 1).astype("datetime64[M]").astype("datetime64[us]")
    return firsts


def without_zone(form: str) -> str:
    """Return a format without the time zone at its end, as the dates of `Cells` have it."""
    return re.sub("%[zZ]$", "", form).strip()


def fixed_offset(size: int) -> datetime.timezone:
    """Return the time zone with a UTC offset of ``size`` microseconds."""
    return datetime.timezone(datetime.timedelta(microseconds=size)) if size else datetime.UTC
