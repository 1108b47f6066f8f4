"""Inference, parsing and future timestamps, verified against pandas' date ranges."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swt_time.data import inferring
from swt_time.data.frequency import day_length, parse_frequency
from swt_time.data.future import continue_series, future_times
from swt_time.data.inferring import all_steps_equal, infer_frequency
from swt_time.data.zones import microseconds
from swt_time.errors import TableError

ALIASES = [
    "us",
    "250ms",
    "s",
    "10s",
    "min",
    "7min",
    "15min",
    "h",
    "2h",
    "6h",
    "D",
    "2D",
    "10D",
    "W-MON",
    "W-TUE",
    "W-SUN",
    "2W-SAT",
    "B",
    "MS",
    "ME",
    "BMS",
    "BME",
    "2MS",
    "5ME",
    "QS-JAN",
    "QS-FEB",
    "QE-DEC",
    "QE-OCT",
    "BQS-JAN",
    "BQE-DEC",
    "2QS-MAR",
    "YS-JAN",
    "YS-APR",
    "YE-DEC",
    "YE-JUN",
    "BYE-DEC",
    "BYS-JAN",
    "2YS-MAR",
]


def seconds(*times: str) -> np.ndarray:
    """Times beyond the nanoseconds that pandas 2 reads texts in."""
    return np.array(times, dtype="datetime64[s]")


STARTS = ["1850-01-05", "1969-12-30 06:00", "2020-01-30", "2024-02-27 23:45", "2210-05-05"]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("alias", ALIASES)
def test_inference_and_future_equal_pandas(alias, start):
    whole = pd.date_range(start, periods=40, freq=alias, unit="us")
    known, ahead = whole[:30], whole[30:]
    assert infer_frequency(known) == alias
    assert future_times(known[-1:], alias, 10).equals(ahead)


@pytest.mark.parametrize("alias", [*ALIASES, "25h", "1500ms", "90min"])
def test_canonical_aliases_are_stable_and_equivalent_in_pandas(alias):
    canonical = parse_frequency(alias).alias
    assert parse_frequency(canonical).alias == canonical
    start = "2024-01-01"
    assert pd.date_range(start, periods=9, freq=canonical).equals(pd.date_range(start, periods=9, freq=alias))


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        *{
            "H": "h",
            "T": "min",
            "15T": "15min",
            "M": "ME",
            "Q": "QE-DEC",
            "A": "YE-DEC",
            "Y": "YE-DEC",
        }.items(),
        *{
            "60min": "h",
            "1D": "D",
            "3d": "3D",
            "W": "W-SUN",
            "w-mon": "W-MON",
            "QS": "QS-JAN",
            "YS": "YS-JAN",
        }.items(),
        *{
            "QS-OCT": "QS-JAN",
            "QE-MAR": "QE-DEC",
            "BM": "BME",
            "A-JUN": "YE-JUN",
            " D ": "D",
            "24h": "24h",
        }.items(),
    ],
)
@pytest.mark.filterwarnings("error")
def test_aliases_are_canonicalized(given, canonical):
    assert parse_frequency(given).alias == canonical


@pytest.mark.parametrize("alias", ["", "x", "1", "D-", "SMS", "2B", "0D", "-1D", "ns", "C", "cbh", "W-XXX"])
def test_unknown_and_unsupported_aliases_are_refused(alias):
    with pytest.raises(TableError, match=r"data\.frequency .* (is unknown|is not supported); expected .*15min"):
        parse_frequency(alias)


@pytest.mark.parametrize("count", ["1" + "0" * 13, "1" + "0" * 19, "9" * 30, "9" * 5000])
@pytest.mark.parametrize("unit", ["us", "s", "h", "D", "W", "B", "MS", "QE", "YE"])
def test_giant_multiples_are_refused(count, unit):
    with pytest.raises(TableError, match=r"data\.frequency .* (is unknown|is not supported|is too long); expected "):
        parse_frequency(count + unit)


@pytest.mark.parametrize("alias", ["1000h", "36525D", "5217W", "1200MS", "400QE", "100YE"])
def test_times_of_the_longest_steps_are_right_or_refused(alias):
    """64-bit microseconds once wrapped around to years before Christ."""
    last = pd.DatetimeIndex(["2024-12-31"]) if alias[-1] in "EDh" else pd.DatetimeIndex(["2024-12-01"])
    ahead = future_times(last, alias, 20)
    assert (ahead[1:] > ahead[:-1]).all()
    assert ahead[-1].year <= 4100
    with pytest.raises(TableError, match=r"reach the year \d+; expected years before 9999"):
        future_times(last, alias, 2**20)


@pytest.mark.parametrize(
    "times",
    [
        pd.Index([-(2**62) + 1, 2**62 - 1]),
        pd.Index([2**62 - 2**43, 2**62 - 1]),
        pd.DatetimeIndex(seconds("1700-01-01", "9000-01-01")),
        pd.DatetimeIndex(seconds("1700-01-01", "5000-01-01T00:00:01")),
        pd.DatetimeIndex(seconds("1700-01-01", "5000-01-01T00:00:01")).tz_localize("Etc/GMT-2"),
    ],
)
@pytest.mark.parametrize("horizon", [1, 2, 3, 2**10, 2**20])
def test_times_without_a_frequency_are_exact_or_refused(times, horizon):
    first, last = microseconds(times, wall=False).tolist()
    expected = [last + (last - first) * (i + 1) for i in range(horizon)]
    largest = 2**63 - 1 if times.dtype == np.int64 else np.datetime64("9999-01-01", "us").astype(int)
    if expected[-1] > largest:
        with pytest.raises(TableError, match=r"do not fit into 64 bits|reach the year"):
            continue_series([times], "none", horizon)
    else:
        assert microseconds(continue_series([times], "none", horizon), wall=False).tolist() == expected


def test_steps_of_more_than_a_century_are_refused():
    for alias in ("1001h", "36526D", "1201ME", "101YS"):
        with pytest.raises(TableError, match=r"is too long; expected at most 1000h, 36525D, 1200MS or 100YE"):
            parse_frequency(alias)


@settings(max_examples=150, deadline=None)
@given(
    alias=st.sampled_from([a for a in ALIASES if a not in ("us", "250ms")]),
    start=st.datetimes(pd.Timestamp("1900-01-01").to_pydatetime(), pd.Timestamp("2150-01-01").to_pydatetime()),
    lost=st.sets(st.integers(1, 28), max_size=9),
)
def test_inference_with_gaps(alias, start, lost):
    whole = pd.date_range(pd.Timestamp(start).floor("s"), periods=30, freq=alias, unit="us")
    kept = whole[[i for i in range(30) if i not in lost]]
    assert infer_frequency(kept) == alias


def test_inference_needs_two_rows():
    for alias in ["h", "15min", "D", "MS", "ME", "YS-JAN", "W-WED"]:
        assert infer_frequency(pd.date_range("2024-01-01", periods=2, freq=alias)) == alias
    with pytest.raises(TableError, match="single row"):
        infer_frequency(pd.DatetimeIndex(["2024-01-01"]))
    with pytest.raises(TableError, match="single row"):
        infer_frequency(pd.DatetimeIndex([]))


def test_inference_of_several_series():
    one, other = (
        pd.date_range("2024-01-01", periods=3, freq="D"),
        pd.date_range("2023-05-05", periods=5, freq="D"),
    )
    assert infer_frequency(one.append(other), [0, 3]) == "D"
    assert infer_frequency(other[4:].append(one), [0, 1]) == "D"
    # control: without the start of the second series, the jump back in time counts as a step
    with pytest.raises(TableError, match="irregular"):
        infer_frequency(one.append(other + pd.Timedelta("1h")))


@pytest.mark.parametrize(
    "stamps",
    [
        ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-03 12:00"],
        ["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-09", "2024-01-20"],
        ["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 03:01"],
        ["2024-01-01", "2024-02-01", "2024-03-02"],
    ],
)
def test_irregular_timestamps_are_refused(stamps):
    with pytest.raises(TableError, match="irregular timestamps: the usual step is"):
        infer_frequency(pd.DatetimeIndex(stamps))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("day", ["2024-03-08", "2024-03-29", "2024-10-04", "2024-10-25", "2024-11-01", "2024-04-05"])
def test_daylight_saving(zone, day):
    """Hours count elapsed time, days keep the wall-clock time, as in pandas' date ranges."""
    for alias, periods in [("h", 120), ("15min", 500), ("D", 12), ("W-FRI", 6), ("B", 8), ("MS", 5)]:
        whole = pd.date_range(day, periods=periods, freq=alias, tz=zone, unit="us")
        half = periods // 2
        assert infer_frequency(whole[:half]) == alias
        future = future_times(whole[half - 1 : half], alias, periods - half)
        assert future.equals(whole[half:])
        assert str(future.tz) == zone


def test_nonexistent_hour_is_shifted_forward():
    last = pd.DatetimeIndex(["2024-03-30 02:30"]).tz_localize("Europe/Berlin")
    ahead = future_times(last, "D", 2)
    assert [str(stamp) for stamp in ahead] == ["2024-03-31 03:00:00+02:00", "2024-04-01 02:30:00+02:00"]


def test_ambiguous_hour_is_the_first_one():
    last = pd.DatetimeIndex(["2024-10-26 02:30"]).tz_localize("Europe/Berlin")
    assert str(future_times(last, "D", 1)[0]) == "2024-10-27 02:30:00+02:00"


def test_future_times_of_several_series():
    last = pd.DatetimeIndex(["2024-01-31", "2023-12-31 12:00"])
    ahead = future_times(last, "ME", 2)
    assert [str(t) for t in ahead] == [
        "2024-02-29 00:00:00",
        "2024-03-31 00:00:00",
        "2024-01-31 12:00:00",
        "2024-02-29 12:00:00",
    ]


def test_24_elapsed_hours_are_not_a_calendar_day():
    """Timestamps every 24 elapsed hours across a daylight saving change are not daily."""
    elapsed = pd.date_range("2024-03-29", periods=6, freq="24h", tz="UTC").tz_convert("Europe/Berlin")
    assert infer_frequency(elapsed) == "24h"
    assert future_times(elapsed[-1:], "24h", 1)[0] - elapsed[-1] == pd.Timedelta("24h")


def test_business_days_with_holidays():
    days = pd.date_range("2024-12-02", "2025-01-31", freq="B")
    without = days[~days.isin(pd.DatetimeIndex(["2024-12-25", "2024-12-26", "2025-01-01"]))]
    assert infer_frequency(without) == "B"
    ordinals, fits = parse_frequency("B").ordinals(days)
    assert fits.all()
    assert (np.diff(ordinals) == 1).all()


@pytest.mark.parametrize("place", [0, 3, 4, 5, 9, 14])
def test_one_irregular_step_is_found_wherever_it_is(monkeypatch, place):
    monkeypatch.setattr(inferring, "AT_ONCE", 5)
    inner, values = np.ones(15, dtype=bool), 3 * np.arange(16)
    assert all_steps_equal(values, inner, 3)
    values[place + 1 :] += 1
    assert not all_steps_equal(values, inner, 3)
    assert not all_steps_equal(values, inner, 0, modulus=3)
    inner[place] = False
    assert all_steps_equal(values, inner, 3)
    assert all_steps_equal(values, inner, 0, modulus=3)


@pytest.mark.parametrize(
    ("frequency", "steps"),
    [
        ("s", 86400),
        ("15min", 96),
        ("h", 24),
        ("12h", 2),
        ("7h", 1),
        ("24h", 1),
        ("ms", 1),
        ("D", 1),
        ("MS", 1),
        ("B", 1),
    ],
)
def test_steps_of_a_day(frequency, steps):
    """A frequency of a day and more has a season, but no steps within the day."""
    assert day_length(frequency) == steps
