"""What is said of a table before it is forecast."""

import numpy as np
import pandas as pd
import pytest

from swt_time.data.frequency import parse_frequency
from swt_time.data.series import to_series
from swt_time.serve.understanding import (
    describe_columns,
    describe_frequency,
    describe_series,
    format_time,
    suggested_horizon,
)


def table(freq: str, rows: int = 40, start: str = "2024-01-01", **columns: object) -> pd.DataFrame:
    times = pd.date_range(start, periods=rows, freq=freq)
    return pd.DataFrame({"when": times, **(columns or {"y": np.arange(rows, dtype=float)})})


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("h", "one row every hour"),
        ("15min", "one row every 15 minutes"),
        ("250ms", "one row every 250 milliseconds"),
        ("D", "one row every day"),
        ("10D", "one row every 10 days"),
        ("B", "one row every business day"),
        ("W-TUE", "one row every Tuesday"),
        ("2W-SUN", "one row every 2 weeks, on Sunday"),
        ("MS", "one row every month, on the first day of a month"),
        ("BME", "one row every month, on the last business day of a month"),
        ("QS-JAN", "one row every quarter, on the first day of a month"),
        ("YE-DEC", "one row every year, on the last day of a month"),
        ("none", "counted row by row without a calendar"),
    ],
)
def test_frequencies_in_words(alias: str, words: str):
    assert describe_frequency(alias) == words
    if alias != "none":
        assert parse_frequency(alias).alias == alias


def test_a_wide_table():
    found = describe_series(to_series(table("h", rows=100, load=np.ones(100), heat=np.zeros(100))), ())
    assert found["sentences"] == [
        "2 series, one in each column: 'load', 'heat'.",
        "The time is in 'when', one row every hour, from 2024-01-01 to 2024-01-05 03:00.",
        "Each has 100 rows.",
        "No value is missing.",
        "The usual season is a day, 24 rows.",
    ]
    assert (found["time"], found["ids"], found["values"]) == ("when", [], ["load", "heat"])
    assert (found["series"], found["horizon"], len(found["preview"])) == (2, 24, 100)


def test_a_long_table_with_gaps():
    one = table("D", rows=10).assign(store="north")
    two = table("D", rows=20).assign(store="south").drop(index=5)
    found = describe_series(to_series(pd.concat([one, two]), fill="ffill"), ())
    assert found["sentences"][0] == "2 series, told apart by 'store', with values in 'y': 'north', 'south'."
    assert "1 of 30 values are missing and were filled with the last value before them" in found["sentences"][3]
    assert found["sentences"][2] == "Each has 10 to 20 rows."
    assert (found["ids"], found["values"]) == (["store"], ["y"])
    assert any("filled 1 value" in one for one in found["repairs"])


@pytest.mark.parametrize(("freq", "rows", "horizon"), [("h", 200, 24), ("D", 200, 14), ("W", 200, 13), ("MS", 30, 7)])
def test_the_suggested_horizon_is_a_season_but_at_most_a_quarter_of_the_rows(freq: str, rows: int, horizon: int):
    assert suggested_horizon(to_series(table(freq, rows=rows))) == horizon


def test_columns_with_their_kind_and_examples():
    frame = pd.DataFrame(
        {
            "number": [1.23456789, np.nan],
            "text": ["x" * 100, "NA"],
            "flag": [True, False],
            "time": pd.date_range("2024", periods=2),
        }
    )
    found = {one["name"]: one for one in describe_columns(frame)}
    assert [one["kind"] for one in found.values()] == ["numbers", "text", "yes or no", "times"]
    assert [one["missing"] for one in found.values()] == [1, 1, 0, 0]
    assert found["number"]["examples"] == ["1.23457"]
    assert found["text"]["examples"] == ["x" * 40]


def test_times_without_parts_that_are_zero():
    assert format_time(pd.Timestamp("2024-01-31")) == "2024-01-31"
    assert format_time(pd.Timestamp("2024-01-31 15:00", tz="Europe/Berlin")) == "2024-01-31 15:00"
    assert format_time(pd.Timestamp("2024-01-31 15:00:07.5")) == "2024-01-31 15:00:07.500000"
    assert format_time(1234) == "1,234"
