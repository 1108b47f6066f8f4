"""Frequencies of time series: regular grids of timestamps, and pandas aliases for them.

Each timestamp is mapped to an integer ordinal such that neighbours differ by exactly the frequency's step. Gaps,
irregular timestamps and future timestamps are then found by integer arithmetic for all series at once.

Frequencies below a day count elapsed time and are unaffected by daylight saving. Days and longer frequencies count
calendar days or months and keep the wall-clock time. Timestamps without a time zone are wall-clock time. The frequency
``none`` counts rows and ignores their times.
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from swt_time.data.zones import DAY, localize, microseconds
from swt_time.errors import TableError

Kind = Literal["elapsed", "day", "business", "month"]
Anchor = Literal["start", "end", "business start", "business end"]

NO_FREQUENCY = "none"
"""Value of ``data.frequency`` with which rows are counted and their times ignored."""

UNITS = (("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1))
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MONTHLY = {"start": "MS", "end": "ME", "business start": "BMS", "business end": "BME"}
ANCHOR_CLASSES: dict[str, tuple[int, Anchor]] = {
    "MonthBegin": (1, "start"),
    "MonthEnd": (1, "end"),
    "BusinessMonthBegin": (1, "business start"),
    "BusinessMonthEnd": (1, "business end"),
    "QuarterBegin": (3, "start"),
    "QuarterEnd": (3, "end"),
    "BQuarterBegin": (3, "business start"),
    "BQuarterEnd": (3, "business end"),
    "YearBegin": (12, "start"),
    "YearEnd": (12, "end"),
    "BYearBegin": (12, "business start"),
    "BYearEnd": (12, "business end"),
}
FORMER_ALIASES = {
    "d": "D",
    "b": "B",
    "w": "W",
    "H": "h",
    "T": "min",
    "S": "s",
    "L": "ms",
    "U": "us",
    "M": "ME",
    "BM": "BME",
}
FORMER_ANCHORED = {
    "Q": "QE",
    "A": "YE",
    "Y": "YE",
    "AS": "YS",
    "BQ": "BQE",
    "BA": "BYE",
    "BY": "BYE",
    "BAS": "BYS",
}
SUPPORTED = "h, 15min, D, W-SUN, B, MS, ME, QS, QE, YS, YE, multiples such as 2h or 10min, and none to count rows"

LONGEST: dict[Kind, int] = {"elapsed": 1000 * 3_600_000_000, "day": 36_525, "business": 1, "month": 1200}
"""Longest step of each kind: 1,000 hours or a century. The times of the longest horizon then fit into 64 bits."""

LAST_YEAR = 9999
"""Last year that a timestamp may have; ISO 8601 and Python know no later one."""

SEASON_LENGTHS = {"h": 24, "D": 7, "B": 5, "W": 52, "M": 12, "Q": 4, "Y": 1}
"""Steps per season by frequency unit: hours per day, days per week, weeks per year, ..."""


@dataclass(frozen=True)
class Frequency:
    """A regular grid of timestamps.

    Parameters
    ----------
    kind : {"elapsed", "day", "business", "month"}
        What the ordinals count: microseconds of elapsed time, calendar days, weekdays (Monday to Friday), or months.
    step : int
        Difference between the ordinals of neighbouring timestamps (7 for a week, 3 for a quarter).
    anchor : str or None
        For months: which day of the month.
    phase : int or None
        For weeks the weekday (Monday is 0); for quarters ``month % 3``; for years the month (January is 0).
    """

    kind: Kind
    step: int
    anchor: Anchor | None = None
    phase: int | None = None

    @property
    def alias(self) -> str:
        """The canonical pandas alias."""
        if self.kind == "elapsed":
            unit, size = next((u, s) for u, s in UNITS if self.step % s == 0)
            return _times(self.step // size, unit)
        if self.kind == "business":
            return "B"
        if self.kind == "day":
            if self.phase is None:
                return _times(self.step, "D")
            return _times(self.step // 7, f"W-{WEEKDAYS[self.phase]}")
        assert self.anchor is not None
        base = MONTHLY[self.anchor]
        if self.phase is None:
            return _times(self.step, base)
        if self.step % 12 == 0:
            return _times(self.step // 12, f"{base.replace('M', 'Y')}-{MONTHS[self.phase]}")
        # pandas names quarters by their first month (QS-JAN) or by the month that ends the year (QE-DEC)
        month = self.phase if "start" in self.anchor else self.phase + 9
        return _times(self.step // 3, f"{base.replace('M', 'Q')}-{MONTHS[month]}")

    def ordinals(self, times: pd.Index, wall: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Ordinals of timestamps, and a mask of those that fit the unit, weekday or day of the month.

        A multiple of a unit (``2h``) has no fixed origin: check that differences are multiples of ``step`` as well.

        Parameters
        ----------
        times : pd.Index
        wall : (n,) int64 array, optional
            Wall-clock times that the timestamps stand for (`swt_time.data.zones.nominal_wall`).
        """
        if self.kind == "elapsed":
            return microseconds(times, wall=False), np.ones(len(times), dtype=bool)
        wall = microseconds(times, wall=True) if wall is None else wall
        days = wall // DAY
        if self.kind == "day":
            fits = np.ones(len(days), dtype=bool) if self.phase is None else weekday(days) == self.phase
            return days, fits
        if self.kind == "business":
            weeks, day = np.divmod(days + 3, 7)  # 1970-01-01 is a Thursday
            return 5 * weeks + np.minimum(day, 4), day < 5
        months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        fits = days == self._month_days(months)
        if self.phase is not None:
            fits &= months % (12 if self.step % 12 == 0 else 3) == self.phase
        return months, fits

    def stamps(self, ordinals: np.ndarray, like: pd.Index) -> pd.DatetimeIndex:
        """Timestamps at ordinals; ``like`` (one timestamp, or one per ordinal) gives time of day and time zone.

        For a whole series, take ``like`` from `swt_time.data.zones.usual_rows`.
        """
        return self.stamps_at(ordinals, microseconds(like, wall=True) % DAY, like)

    def stamps_at(self, ordinals: np.ndarray, clock: np.ndarray, like: pd.Index) -> pd.DatetimeIndex:
        """Timestamps at ordinals with given times of day, ``clock``, in the time zone of ``like``.

        Raises
        ------
        TableError
            If a timestamp lies beyond the year 9999.
        """
        tz = getattr(like, "tz", None)
        self.check_reach(int(np.max(ordinals, initial=0)))
        if self.kind == "elapsed":
            utc = pd.DatetimeIndex(ordinals.astype("datetime64[us]"))
            return utc if tz is None else utc.tz_localize("UTC").tz_convert(tz)
        if self.kind == "day":
            days = ordinals
        elif self.kind == "business":
            days = 7 * (ordinals // 5) + ordinals % 5 - 3
        else:
            days = self._month_days(ordinals)
        wall = pd.DatetimeIndex((days * DAY + clock).astype("datetime64[us]"))
        return wall if tz is None else localize(wall, tz)

    def check_reach(self, ordinal: int) -> None:
        """Check that the timestamp at an ordinal, which may exceed 64 bits, is before the year 9999.

        Raises
        ------
        TableError
        """
        per_year = {"elapsed": 365.2425 * DAY, "day": 365.2425, "business": 365.2425 * 5 / 7, "month": 12}[self.kind]
        year = 1970 + int(ordinal / per_year)
        if year >= LAST_YEAR:
            raise TableError(
                f"times with the frequency {self.alias!r} reach the year {year}; expected years before {LAST_YEAR}: "
                "lower data.horizon, or set data.frequency to a shorter step"
            )

    def _month_days(self, months: np.ndarray) -> np.ndarray:
        """Days since 1970-01-01 of the anchor day of each month."""
        first = months.astype("datetime64[M]").astype("datetime64[D]")
        last = (months + 1).astype("datetime64[M]").astype("datetime64[D]") - np.timedelta64(1, "D")
        if self.anchor == "start":
            chosen = first
        elif self.anchor == "end":
            chosen = last
        elif self.anchor == "business start":
            chosen = np.busday_offset(first, 0, roll="forward")
        else:
            chosen = np.busday_offset(last, 0, roll="backward")
        return chosen.astype(np.int64)


def _times(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count}{unit}"


def weekday(days: np.ndarray) -> np.ndarray:
    """Weekday of days since 1970-01-01 (a Thursday); Monday is 0."""
    return (days + 3) % 7


@dataclass(frozen=True)
class RowCount:
    """The grid of the frequency ``none``: ordinals are positions of rows, whatever their times.

    Parameters
    ----------
    times : pd.Index
        Times of all rows.
    """

    times: pd.Index
    step: int = 1
    kind: Literal["rows"] = "rows"
    alias: str = NO_FREQUENCY

    def ordinals(self, times: pd.Index, wall: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the rows; all of them fit."""
        return np.arange(len(times)), np.ones(len(times), dtype=bool)

    def stamps(self, ordinals: np.ndarray, like: pd.Index) -> pd.Index:
        """Return the times of the rows at these positions."""
        return self.times[ordinals]


def parse_frequency(alias: str) -> Frequency:
    """Parse a pandas frequency alias, including those of older pandas versions (``H``, ``M``, ``Q``).

    Raises
    ------
    TableError
        If the alias is unknown or not supported.

    Examples
    --------
    >>> parse_frequency("2W-TUE")
    Frequency(kind='day', step=14, anchor=None, phase=1)
    >>> parse_frequency("15T").alias
    '15min'
    """
    match = re.fullmatch(r"(\d*)([A-Za-z]+)(-[A-Za-z]{3})?", alias.strip())
    name = alias
    if match:
        count, base, anchor = match[1], match[2], (match[3] or "").upper()
        name = count + {**FORMER_ALIASES, **FORMER_ANCHORED}.get(base, base) + anchor
    try:
        offset = to_offset(name)
    except (ValueError, OverflowError) as error:
        raise TableError(f"data.frequency {alias!r} is unknown; expected a pandas alias: {SUPPORTED}") from error
    found = _from_offset(offset)
    if found is None:
        raise TableError(f"data.frequency {alias!r} is not supported; expected one of {SUPPORTED}")
    if found.step > LONGEST[found.kind]:
        raise TableError(f"data.frequency {alias!r} is too long; expected at most 1000h, 36525D, 1200MS or 100YE")
    return found


def _from_offset(offset: object) -> Frequency | None:
    """Return the frequency of an offset of pandas; None if it is not supported."""
    kind, count = type(offset).__name__, int(getattr(offset, "n", 0))
    if count < 1:
        return None
    if kind == "Day":
        return Frequency("day", count)
    if kind == "Week" and getattr(offset, "weekday", None) is not None:
        return Frequency("day", 7 * count, phase=int(getattr(offset, "weekday")))  # noqa: B009  mypy knows no such attribute of an object
    if kind == "BusinessDay" and count == 1:
        return Frequency("business", 1)
    if kind in ANCHOR_CLASSES:
        size, anchor = ANCHOR_CLASSES[kind]
        month = getattr(offset, "startingMonth", None) or getattr(offset, "month", None)
        phase = None if month is None else (int(month) - 1) % size
        return Frequency("month", size * count, anchor, phase)
    elapsed = _elapsed(offset)
    return Frequency("elapsed", elapsed) if elapsed else None


def _elapsed(offset: object) -> int:
    """Microseconds of an offset of fixed length, or 0 for any other offset."""
    try:
        nanoseconds = pd.Timedelta(offset).as_unit("ns").value  # type: ignore[arg-type]  # a ValueError for other objects
    except (ValueError, OverflowError):
        return 0
    return nanoseconds // 1000 if nanoseconds % 1000 == 0 else 0


def day_length(frequency: str) -> int:
    """Return the steps per day of a frequency below a day: ``h`` 24, ``15min`` 96; 1 if there is none."""
    unit = frequency.lstrip("0123456789")
    return season_length(frequency) if unit in ("s", "min", "h") else 1


def season_length(frequency: str) -> int:
    """Return the steps per season of a frequency: ``h`` 24, ``15min`` 96, ``D`` 7, ``B`` 5, ``W-SUN`` 52, ``MS`` 12.

    Returns 1 for frequencies without a common season (``10D``, ``6MS``, ``none``).
    """
    digits = len(frequency) - len(frequency.lstrip("0123456789"))
    multiple, unit = int(frequency[:digits] or 1), frequency[digits:].partition("-")[0]
    seconds = {"s": 1, "min": 60, "h": 3600}.get(unit)
    if seconds is not None:
        return 86400 // (seconds * multiple) if 86400 % (seconds * multiple) == 0 and seconds * multiple < 86400 else 1
    if multiple != 1:
        return 1
    return SEASON_LENGTHS.get(unit[:1] if unit not in ("BMS", "BME", "BQS", "BQE", "BYS", "BYE") else unit[1], 1)
