"""Frequencies of time series: inference, parsing, and future timestamps.

Each timestamp is mapped to an integer ordinal such that neighbours differ by exactly the frequency's step. Gaps,
irregular timestamps and future timestamps are then found by integer arithmetic for all series at once.

Frequencies below a day count elapsed time and are unaffected by daylight saving. Days and longer frequencies count
calendar days or months and keep the wall-clock time. Timestamps without a time zone are wall-clock time.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from swt_time.errors import TableError

Kind = Literal["elapsed", "day", "business", "month"]
Anchor = Literal["start", "end", "business start", "business end"]

DAY = 86_400_000_000
"""Microseconds in a day; all timestamps are in microseconds."""

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
SUPPORTED = "h, 15min, D, W-SUN, B, MS, ME, QS, QE, YS, YE and multiples such as 2h or 10min"

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

    def ordinals(self, times: pd.DatetimeIndex) -> tuple[np.ndarray, np.ndarray]:
        """Ordinals of timestamps, and a mask of those that fit the unit, weekday or day of the month.

        A multiple of a unit (``2h``) has no fixed origin: check that differences are multiples of ``step`` as well.
        """
        if self.kind == "elapsed":
            return microseconds(times, wall=False), np.ones(len(times), dtype=bool)
        wall = microseconds(times, wall=True)
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

    def stamps(self, ordinals: np.ndarray, like: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Timestamps at ordinals; ``like`` (one timestamp, or one per ordinal) gives time of day and time zone."""
        if self.kind == "elapsed":
            utc = pd.DatetimeIndex(ordinals.astype("datetime64[us]"))
            return utc if like.tz is None else utc.tz_localize("UTC").tz_convert(like.tz)
        clock = microseconds(like, wall=True) % DAY
        if self.kind == "day":
            days = ordinals
        elif self.kind == "business":
            days = 7 * (ordinals // 5) + ordinals % 5 - 3
        else:
            days = self._month_days(ordinals)
        wall = pd.DatetimeIndex((days * DAY + clock).astype("datetime64[us]"))
        return wall if like.tz is None else _localize(wall, like.tz)

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


def _localize(wall: pd.DatetimeIndex, tz: object) -> pd.DatetimeIndex:
    """Localize wall-clock times: an ambiguous hour is the first one, a nonexistent hour is shifted forward."""
    return wall.tz_localize(tz, ambiguous=np.ones(len(wall), dtype=bool), nonexistent="shift_forward")  # type: ignore[arg-type]


def weekday(days: np.ndarray) -> np.ndarray:
    """Weekday of days since 1970-01-01 (a Thursday); Monday is 0."""
    return (days + 3) % 7


def microseconds(times: pd.DatetimeIndex, *, wall: bool) -> np.ndarray:
    """Timestamps as int64 microseconds since 1970, in wall-clock time or in UTC; the same without a time zone."""
    if times.tz is not None:
        times = times.tz_localize(None) if wall else times.tz_convert("UTC").tz_localize(None)
    return times.to_numpy().astype("datetime64[us]").astype(np.int64)


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
    except ValueError as error:
        raise TableError(f"data.frequency {alias!r} is unknown; expected a pandas alias: {SUPPORTED}") from error
    kind = type(offset).__name__
    count_ = int(getattr(offset, "n", 0))
    if count_ >= 1:
        if kind == "Day":
            return Frequency("day", count_)
        if kind == "Week" and getattr(offset, "weekday", None) is not None:
            return Frequency("day", 7 * count_, phase=int(getattr(offset, "weekday")))  # noqa: B009
        if kind == "BusinessDay" and count_ == 1:
            return Frequency("business", 1)
        if kind in ANCHOR_CLASSES:
            size, anchor_ = ANCHOR_CLASSES[kind]
            month = getattr(offset, "startingMonth", None) or getattr(offset, "month", None)
            phase = None if month is None else (int(month) - 1) % size
            return Frequency("month", size * count_, anchor_, phase)
        elapsed = _elapsed(offset)
        if elapsed:
            return Frequency("elapsed", elapsed)
    raise TableError(f"data.frequency {alias!r} is not supported; expected one of {SUPPORTED}")


def _elapsed(offset: object) -> int:
    """Microseconds of an offset of fixed length, or 0 for any other offset."""
    try:
        delta = pd.Timedelta(offset)  # type: ignore[arg-type]
    except ValueError:
        return 0
    nanoseconds = delta.as_unit("ns").value
    return nanoseconds // 1000 if nanoseconds % 1000 == 0 else 0


def infer_frequency(
    times: pd.DatetimeIndex,
    starts: Sequence[int] | np.ndarray = (0,),
    *,
    where: Callable[[int], str] | None = None,
) -> str:
    """Infer the frequency of a table as a pandas alias.

    Missing timestamps are allowed as long as at least half of all neighbours are one step apart. Irregular timestamps
    are not.

    Parameters
    ----------
    times : pd.DatetimeIndex
        Timestamps of all series, concatenated; ascending and without duplicates within each series.
    starts : sequence of int
        Position in ``times`` of the first timestamp of each series.
    where : callable, optional
        Describes a position in ``times`` for the error message.

    Returns
    -------
    str
        Canonical alias such as ``h``, ``15min``, ``D``, ``W-TUE``, ``B``, ``MS``, ``QE-DEC``.

    Raises
    ------
    TableError
        If no series has two timestamps, or the timestamps are irregular.
    """
    inner = np.ones(max(len(times) - 1, 0), dtype=bool)
    cuts = np.asarray(starts, dtype=np.int64)
    inner[cuts[(cuts > 0) & (cuts < len(times))] - 1] = False
    if not inner.any():
        raise TableError(
            "the frequency cannot be inferred from a single row per series; "
            "provide more rows or set data.frequency, for example to D"
        )
    wall = microseconds(times, wall=True)
    for candidate in _candidates(times, wall, inner):
        ordinals, fits = candidate.ordinals(times)
        if fits.all() and _is_step(np.diff(ordinals)[inner], candidate.step):
            return candidate.alias
    raise TableError(_irregular(times, inner, where))


def _candidates(times: pd.DatetimeIndex, wall: np.ndarray, inner: np.ndarray) -> list[Frequency]:
    """Frequencies to test, the longest unit first."""
    found: list[Frequency] = []
    if not (np.diff(wall % DAY)[inner] == 0).all():
        return [Frequency("elapsed", _mode(np.diff(microseconds(times, wall=False))[inner]))]
    days = wall // DAY
    day_step = _mode(np.diff(days)[inner])
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    month_step = _mode(np.diff(months)[inner])
    if month_step > 0 and day_step >= 28:
        anchors: tuple[Anchor, ...] = ("start", "end", "business start", "business end")
        for anchor in anchors:
            size = 12 if month_step % 12 == 0 else 3 if month_step % 3 == 0 else 1
            phase = None if size == 1 else int(months[0] % size)
            found.append(Frequency("month", month_step, anchor, phase))
    if day_step % 7 == 0:
        found.append(Frequency("day", day_step, phase=int(weekday(days[:1])[0])))
    if (weekday(days) < 5).all() and (np.diff((days + 3) // 7)[inner] > 0).any():
        found.append(Frequency("business", 1))
    found.append(Frequency("day", day_step))
    return found


def _mode(differences: np.ndarray) -> int:
    """The most frequent value; the smallest one in case of ties."""
    values, counts = np.unique(differences, return_counts=True)
    return int(values[np.argmax(counts)])


def _is_step(differences: np.ndarray, step: int) -> bool:
    """Whether all differences are multiples of the step and at least half equal it."""
    if step <= 0 or (differences % step).any():
        return False
    return 2 * int(np.count_nonzero(differences == step)) >= len(differences)


def _irregular(times: pd.DatetimeIndex, inner: np.ndarray, where: Callable[[int], str] | None) -> str:
    """Error message that names the first irregular step."""
    steps = np.diff(microseconds(times, wall=False))
    usual = max(_mode(steps[inner]), 1)
    odd = inner & (steps % usual != 0)
    if not odd.any():
        odd = inner & (steps != usual)
    first = int(np.flatnonzero(odd)[0])
    place = f" ({where(first + 1)})" if where else ""
    remedy = "remove or correct the odd rows, or resample the table to one step"
    if usual >= 28 * DAY:
        remedy = "date months, quarters and years on the first or the last (business) day of a month"
    return (
        f"irregular timestamps: the usual step is {pd.Timedelta(usual, 'us')}, but {times[first]} "
        f"is followed by {times[first + 1]}{place}; {remedy}"
    )


def future_times(last: pd.DatetimeIndex, frequency: str, horizon: int) -> pd.DatetimeIndex:
    """Compute the ``horizon`` timestamps that follow the last timestamp of each series.

    Parameters
    ----------
    last : pd.DatetimeIndex
        Last known timestamp of each of ``N`` series.
    frequency : str
        Pandas alias; the last timestamps must fit it.
    horizon : int
        Number of timestamps per series, ``H``.

    Returns
    -------
    pd.DatetimeIndex
        ``N * H`` timestamps in microseconds, series after series, in the time zone of ``last``.

    Examples
    --------
    >>> future_times(pd.DatetimeIndex(["2024-01-31"]), "ME", 2).strftime("%Y-%m-%d").tolist()
    ['2024-02-29', '2024-03-31']
    """
    grid = parse_frequency(frequency)
    ordinals, _ = grid.ordinals(last)
    ahead = (ordinals[:, None] + grid.step * np.arange(1, horizon + 1)).reshape(-1)
    return grid.stamps(ahead, pd.DatetimeIndex(np.repeat(last, horizon)))


def season_length(frequency: str) -> int:
    """Steps per season of a frequency: ``h`` 24, ``15min`` 96, ``D`` 7, ``B`` 5, ``W-SUN`` 52, ``MS`` 12.

    Returns 1 for frequencies without a common season (``10D``, ``6MS``).
    """
    digits = len(frequency) - len(frequency.lstrip("0123456789"))
    multiple, unit = int(frequency[:digits] or 1), frequency[digits:].partition("-")[0]
    seconds = {"s": 1, "min": 60, "h": 3600}.get(unit)
    if seconds is not None:
        return 86400 // (seconds * multiple) if 86400 % (seconds * multiple) == 0 and seconds * multiple < 86400 else 1
    if multiple != 1:
        return 1
    return SEASON_LENGTHS.get(unit[:1] if unit not in ("BMS", "BME", "BQS", "BQE", "BYS", "BYE") else unit[1], 1)
