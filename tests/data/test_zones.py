"""Local times and UTC, compared with the standard library's ``zoneinfo``."""

import datetime
import zoneinfo

import numpy as np
import pandas as pd
import pytest

from swt_time.data.series import to_series
from swt_time.data.zones import (
    DAY,
    from_microseconds,
    localize,
    matching_zone,
    microseconds,
    named_zone,
    nominal_wall,
    usual_rows,
    wall_times,
)

GAPS = [
    # a day of daylight saving, a time of day that it skips, and the time that stands for it
    ("America/Santiago", "2024-09-08", "00:00", "01:00"),
    ("Africa/Cairo", "2024-04-26", "00:30", "01:00"),
    ("Asia/Beirut", "2024-03-31", "00:00", "01:00"),
    ("Europe/Berlin", "2024-03-31", "02:15", "03:00"),
    ("Australia/Lord_Howe", "2024-10-06", "02:00", "02:30"),
    ("America/Nuuk", "2024-03-30", "23:30", "00:00"),  # on the next day
]


def daily(zone: str, day: str, clock: str, shown: str, before: int = 5, after: int = 5) -> pd.DatetimeIndex:
    """Days at a time of day, which is shown otherwise on one of them."""
    first = pd.Timestamp(f"{day} {clock}") - pd.Timedelta(before, "D")
    days = pd.date_range(first, periods=before + after + 1).tolist()
    days[before] = pd.Timestamp(f"{day} {shown}") + pd.Timedelta(int(shown < clock), "D")
    return pd.DatetimeIndex(days).tz_localize(zone)


@pytest.mark.parametrize(("zone", "day", "clock", "shown"), GAPS)
def test_skipped_times_become_the_end_of_the_gap(zone, day, clock, shown):
    expected = daily(zone, day, clock, shown)
    wall = pd.date_range(pd.Timestamp(f"{day} {clock}") - pd.Timedelta(5, "D"), periods=11)
    assert localize(wall, zone).tolist() == expected.tolist()
    assert localize(pd.DatetimeIndex(["2024-10-27 02:30"]), "Europe/Berlin")[0].utcoffset() == pd.Timedelta(2, "h")


@pytest.mark.parametrize(("zone", "day", "clock", "shown"), GAPS)
@pytest.mark.parametrize(("before", "after"), [(5, 5), (0, 1), (1, 0)])
def test_nominal_wall_times_have_the_usual_time_of_day(zone, day, clock, shown, before, after):
    times = daily(zone, day, clock, shown, before, after)
    expected = pd.date_range(pd.Timestamp(f"{day} {clock}") - pd.Timedelta(before, "D"), periods=len(times))
    assert nominal_wall(times).astype("datetime64[us]").tolist() == expected.as_unit("us").to_pydatetime().tolist()
    assert times[usual_rows(times, np.array([0]))][0].strftime("%H:%M") == clock


@pytest.mark.parametrize(("zone", "day", "clock", "shown"), GAPS)
def test_nominal_wall_times_of_several_series(zone, day, clock, shown):
    """A series whose usual time is that after the gap keeps it; a series of one row is unchanged."""
    moved, later = daily(zone, day, clock, shown), daily(zone, day, "05:00", "05:00")
    joined = moved.append(later).append(moved[5:6])
    wall = nominal_wall(joined, [0, len(moved), 2 * len(moved)])
    np.testing.assert_array_equal(wall[: len(moved)], nominal_wall(moved))
    np.testing.assert_array_equal(wall[len(moved) : -1], microseconds(later, wall=True))
    assert wall[-1] == microseconds(moved[5:6], wall=True)[0]
    if zone != "America/Nuuk":
        at_shown = daily(zone, day, shown, shown)
        np.testing.assert_array_equal(nominal_wall(at_shown), microseconds(at_shown, wall=True))


def test_wall_times_of_other_steps_are_unchanged():
    for times in (
        pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin"),
        pd.date_range("2024-03-30", periods=3, freq="23h", tz="Europe/Berlin"),
        pd.date_range("2024-03-30", periods=4),
    ):
        np.testing.assert_array_equal(nominal_wall(times), microseconds(times, wall=True))
    np.testing.assert_array_equal(nominal_wall(pd.Index([3, 4])), [3, 4])


def test_microseconds_and_back():
    times = pd.date_range("2024-10-26", periods=60, freq="h", tz="Europe/Berlin", unit="us")
    for one in (times, times.tz_convert("+05:30"), times.tz_localize(None)[:20], pd.Index([5, 7])):
        assert from_microseconds(microseconds(one, wall=False), one).equals(one)
    assert wall_times(times)[0] == np.datetime64("2024-10-26")
    assert wall_times(pd.Index([5, 7])).tolist() == [5, 7]


def offsets(zone: str, moments: list[datetime.datetime]) -> tuple[np.ndarray, np.ndarray]:
    local = [moment.astimezone(zoneinfo.ZoneInfo(zone)) for moment in moments]
    ahead = [int(one.utcoffset() / datetime.timedelta(microseconds=1)) for one in local]
    return np.array([int(one.timestamp()) * 1_000_000 for one in local]), np.array(ahead)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "America/Santiago", "Asia/Kathmandu"])
def test_a_zone_is_found_by_its_offsets(zone):
    start = datetime.datetime(2023, 1, 1, 7, tzinfo=datetime.UTC)
    moments = [start + datetime.timedelta(days=i) for i in range(800)]
    utc, ahead = offsets(zone, moments)
    found = matching_zone(utc[::-1], ahead[::-1])
    assert found is not None
    np.testing.assert_array_equal(offsets(found, moments)[1], ahead)
    if zone != "Asia/Kathmandu":
        assert found == zone
    ahead[400] += 60_000_000
    assert matching_zone(utc, ahead) is None


@pytest.mark.parametrize(
    ("offset", "zone"), [("+02:00", "Etc/GMT-2"), ("-03:00", "Etc/GMT+3"), ("+00:00", "UTC"), ("+05:17", "UTC")]
)
def test_names_of_fixed_offsets(offset, zone):
    times = pd.date_range("2024-01-01", periods=3, tz="UTC" if offset == "+00:00" else offset)
    assert named_zone(times) == zone


def test_the_name_of_a_fixed_offset_of_half_hours_has_that_offset():
    times = pd.date_range("2024-01-01", periods=400, tz="+05:30")
    named = times.tz_convert(named_zone(times))
    np.testing.assert_array_equal(microseconds(named, wall=True), microseconds(times, wall=True))
    assert named_zone(pd.date_range("2024-01-01", periods=3, tz="Asia/Tokyo")) == "Asia/Tokyo"
    assert DAY == 86_400 * 10**6


@pytest.mark.slow
@pytest.mark.parametrize("clock", ["00:00", "02:30"])
def test_days_of_every_zone(clock):
    """A daily series is daily in every zone, whichever of its times of day are skipped, and is continued."""
    zones = sorted(zoneinfo.available_timezones())
    assert len(zones) > 400
    wall = pd.date_range(f"2012-01-02 {clock}", "2030-12-31", freq="D")
    for zone in zones:
        times = localize(wall, zone)
        table = to_series(pd.DataFrame({"ds": times[:-500], "y": np.arange(len(times) - 500.0)}))
        assert table.frequency == "D", zone
        assert table.future(500).equals(times[-500:].as_unit("us")), zone
