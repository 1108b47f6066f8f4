"""Local times and UTC: daylight saving, days without a midnight, and the time zone behind UTC offsets.

Time columns are pandas indices: `pd.DatetimeIndex` in microseconds, or integers that count rows.
"""

import functools
import zoneinfo
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

DAY = 86_400_000_000
"""Microseconds in a day; all timestamps are in microseconds."""

COMMON_ZONES = (
    *("Europe/London", "Europe/Berlin", "Europe/Athens", "America/New_York", "America/Chicago", "America/Denver"),
    *("America/Los_Angeles", "America/Anchorage", "America/Halifax", "America/St_Johns", "America/Santiago"),
    *("Africa/Cairo", "Asia/Beirut", "Asia/Jerusalem", "Australia/Sydney", "Australia/Adelaide"),
    *("Australia/Lord_Howe", "Pacific/Auckland"),
)
"""Zones that are preferred where several have the same UTC offsets."""


def microseconds(times: pd.Index, *, wall: bool) -> np.ndarray:
    """Timestamps as int64 microseconds since 1970, in wall-clock time or in UTC; integers are returned unchanged.

    The array may be that of the index: copy it before changing it.
    """
    if not isinstance(times, pd.DatetimeIndex):
        return times.to_numpy(dtype=np.int64)
    if times.tz is not None:
        times = times.tz_localize(None) if wall else times.tz_convert("UTC").tz_localize(None)
    return times.to_numpy().astype("datetime64[us]", copy=False).view(np.int64)


def from_microseconds(numbers: np.ndarray, like: pd.Index) -> Any:
    """Inverse of ``microseconds(..., wall=False)``: an index of the kind and time zone of ``like``."""
    if not isinstance(like, pd.DatetimeIndex):
        return pd.Index(numbers, dtype=np.int64)
    utc = pd.DatetimeIndex(numbers.astype("datetime64[us]"))
    return utc if like.tz is None else utc.tz_localize("UTC").tz_convert(like.tz)


def wall_times(times: pd.Index) -> np.ndarray:
    """Wall-clock times as a datetime64 array, for the axis of a picture; integers are returned unchanged."""
    return times.tz_localize(None).to_numpy() if isinstance(times, pd.DatetimeIndex) else times.to_numpy()


def localize(wall: pd.DatetimeIndex, tz: object, *, later: bool = False) -> pd.DatetimeIndex:
    """Localize wall-clock times: a skipped time becomes the end of the gap.

    An hour that occurs twice is the first one, or the second one if ``later``.

    (The ``nonexistent="shift_forward"`` of pandas is wrong for gaps that are not an hour long.)

    Examples
    --------
    >>> localize(pd.DatetimeIndex(["2024-10-06 02:10"]), "Australia/Lord_Howe")[0].isoformat()
    '2024-10-06T02:30:00+11:00'
    """
    first = np.full(len(wall), not later)
    local = wall.tz_localize(tz, ambiguous=first, nonexistent="NaT")  # type: ignore[arg-type]  # a time zone of pandas, typed as an object
    skipped = np.flatnonzero(local.isna())
    if not len(skipped):
        return local
    utc = microseconds(local, wall=False).copy()
    utc[skipped] = _ends_of_gaps(microseconds(wall[skipped], wall=True), local[:0])
    shifted: pd.DatetimeIndex = from_microseconds(utc, local).as_unit(wall.unit)
    return shifted


def _ends_of_gaps(wall: np.ndarray, like: pd.DatetimeIndex) -> np.ndarray:
    """UTC of the first moment whose wall-clock time is later than a skipped one; microseconds."""
    low, high = wall - DAY, wall + DAY  # UTC offsets are less than a day
    while (high - low > 1).any():
        middle = (low + high) // 2
        after = microseconds(from_microseconds(middle, like), wall=True) > wall
        low, high = np.where(after, low, middle), np.where(after, middle, high)
    return high


def nominal_wall(times: pd.Index, starts: Sequence[int] | np.ndarray = (0,)) -> np.ndarray:
    """Wall-clock times in microseconds, with the usual time of day where a day has no such time.

    Where clocks go forward at midnight (Santiago, Cairo, Beirut), the day begins at 01:00. A daily series then has a
    timestamp at 01:00 that stands for midnight.

    Parameters
    ----------
    times : pd.Index
        Timestamps of all series, concatenated.
    starts : sequence of int
        Position in ``times`` of the first timestamp of each series.

    Examples
    --------
    >>> days = pd.DatetimeIndex(["2024-09-07 00:00", "2024-09-08 01:00"]).tz_localize("America/Santiago")
    >>> pd.DatetimeIndex(nominal_wall(days).astype("datetime64[us]")).strftime("%d %H:%M").tolist()
    ['07 00:00', '08 00:00']
    """
    wall = microseconds(times, wall=True)
    if not isinstance(times, pd.DatetimeIndex) or times.tz is None or len(times) < 2:
        return wall
    bounds = np.append(np.asarray(starts, dtype=np.int64), len(wall))
    steps = np.delete(np.diff(wall), bounds[(bounds > 0) & (bounds < len(wall))] - 1)
    if not (steps % DAY).any() or np.median(steps) < 0.75 * DAY:
        return wall  # equal times of day, or a step of less than a day
    utc = microseconds(times, wall=False)
    before = microseconds(from_microseconds(utc - 1, times), wall=True)
    skipped = wall - before - 1
    wall = wall.copy()
    for series in np.unique(np.searchsorted(bounds, np.flatnonzero(skipped > 0), side="right") - 1):
        span = slice(bounds[series], bounds[series + 1])
        clocks = wall[span][skipped[span] <= 0] % DAY
        if len(clocks):
            late = (wall[span] - most_frequent(clocks)) % DAY
            wall[span] -= np.where((late > 0) & (late <= skipped[span]), late, 0)
    return wall


def usual_rows(times: pd.Index, starts: np.ndarray) -> np.ndarray:
    """For each series the row of its first timestamp that has its usual time of day (see `nominal_wall`).

    Parameters
    ----------
    times : pd.Index
        Timestamps of all series, concatenated.
    starts : (N,) int array
        Position in ``times`` of the first timestamp of each series.
    """
    if not isinstance(times, pd.DatetimeIndex) or times.tz is None:
        return starts
    spans = [times[start:end] for start, end in zip(starts, [*starts[1:], len(times)], strict=True)]
    moved = [np.argmin(nominal_wall(one) != microseconds(one, wall=True)) for one in spans]
    return starts + np.array(moved, dtype=np.int64)


def most_frequent(values: np.ndarray) -> int:
    """Return the most frequent value; the smallest one in case of ties."""
    if len(values) and (values == values[0]).all():
        return int(values[0])
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])


def matching_zone(utc: np.ndarray, offsets: np.ndarray) -> str | None:
    """Find a time zone of the tz database that has given UTC offsets at given times.

    Parameters
    ----------
    utc, offsets : (n,) int64 array
        Microseconds since 1970, and microseconds that local time is ahead of UTC.

    Returns
    -------
    str or None
        A zone of `COMMON_ZONES` if one matches, else the first one by name; None if there is none.
    """
    order = np.argsort(utc, kind="stable")
    utc, offsets = utc[order], offsets[order]
    changes = np.flatnonzero(np.diff(offsets))
    edges = np.unique(np.concatenate([[0, len(utc) - 1], changes, changes + 1]))
    for zone in _zones():
        if _has_offsets(zone, utc[edges], offsets[edges]) and _has_offsets(zone, utc, offsets):
            return zone
    return None


@functools.cache
def _zones() -> tuple[str, ...]:
    known = zoneinfo.available_timezones()
    common = [zone for zone in COMMON_ZONES if zone in known]
    return (*common, *sorted(zone for zone in known.difference(common) if "/" in zone))


def _has_offsets(zone: str, utc: np.ndarray, offsets: np.ndarray) -> bool:
    times = pd.DatetimeIndex(utc.astype("datetime64[us]")).tz_localize("UTC")
    try:
        local = times.tz_convert(zone)
    except (ValueError, KeyError, OSError):  # a zone that this version of pandas does not know
        return False
    return bool((microseconds(local, wall=True) - utc == offsets).all())


def zone_name(times: pd.DatetimeIndex) -> str | None:
    """Name of the time zone in the tz database, or None if the times have a fixed offset or no time zone."""
    zone = getattr(times.tz, "key", None) or getattr(times.tz, "zone", None)
    return zone if isinstance(zone, str) else None


def named_zone(times: pd.DatetimeIndex) -> str:
    """Name of a zone for libraries that know no fixed offsets: a zone that has the offsets of ``times``, else UTC."""
    name = zone_name(times)
    if name is not None:
        return name
    utc = microseconds(times, wall=False)
    offsets = microseconds(times, wall=True) - utc
    if not offsets.any():
        return "UTC"
    hours, rest = divmod(int(offsets[0]), 3_600_000_000)
    if rest == 0 and (offsets == offsets[0]).all() and -12 <= hours <= 14:
        return f"Etc/GMT{-hours:+d}"  # the signs of these names are reversed: Etc/GMT-2 is ahead of UTC
    return matching_zone(utc, offsets) or "UTC"
