"""Reading tables of notes, and the rows of a series that a note covers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from swt_time.data.notes import read_notes
from swt_time.data.series import cut_series, to_series
from swt_time.data.told import ALWAYS, Span
from swt_time.data.zones import microseconds
from swt_time.errors import TableError

HOURS = pd.date_range("2024-01-01", periods=72, freq="h")
HOURLY = to_series(pd.DataFrame({"ds": HOURS, "load": np.arange(72.0), "heat": np.arange(72.0)}))
DAILY = to_series(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=40), "y": np.arange(40.0)}))


def spans(table, frame, *, name=None, **options):
    name = table.ids[0] if name is None else name
    return read_notes(frame, table).spans(name, microseconds(table.times[table.ids.index(name)], wall=False), **options)


def test_a_note_covers_the_steps_that_it_meets():
    frame = pd.DataFrame(
        {
            "ds": ["2024-01-01 05:00", "2024-01-01 05:30", "2024-01-01 23:00"],
            "text": ["a", "b", "c"],
            "end": ["2024-01-01 07:00", None, "2024-01-02 00:59"],
        }
    )
    assert spans(HOURLY, frame) == [Span(0, 5, 8), Span(1, 5, 6), Span(2, 23, 25)]


def test_a_date_without_a_time_of_day_is_the_whole_day():
    frame = pd.DataFrame({"ds": ["2024-01-02", "2024-01-01"], "text": ["a", "b"], "end": ["", "2024-01-02"]})
    assert spans(HOURLY, frame) == [Span(0, 24, 48), Span(1, 0, 48)]
    stamps = frame.assign(ds=pd.to_datetime(frame.ds), end=pd.to_datetime(frame.end))
    assert spans(HOURLY, stamps) == [Span(0, 24, 48), Span(1, 0, 48)]
    frame.loc[0, "ds"] = "2024-01-02 03:00"  # now the others are times of day too
    assert spans(HOURLY, frame[["ds", "text"]]) == [Span(0, 27, 28), Span(1, 0, 1)]


@pytest.mark.parametrize(("zone", "day", "hours"), [
    ("Europe/Berlin", "2024-03-31", 23), ("Europe/Berlin", "2024-10-27", 25), ("America/Santiago", "2024-09-08", 23),
])  # fmt: skip
def test_a_whole_day_ends_with_its_day_when_clocks_change(zone, day, hours):
    """In Santiago the clocks go forward at midnight, so that the day begins at 01:00."""
    begin = pd.Timestamp(day) - pd.Timedelta(days=2)
    times = pd.date_range(begin.tz_localize(zone), periods=96, freq="h")
    table = to_series(pd.DataFrame({"ds": times, "y": np.arange(96.0)}))
    frame = pd.DataFrame({"ds": [day], "text": ["a"]})
    assert spans(table, frame) == [Span(0, 48, 48 + hours)]
    later = str((pd.Timestamp(day) + pd.Timedelta(days=1)).date())
    assert spans(table, pd.DataFrame({"ds": [later, day], "text": ["a", "b"]}))[0].start == 48 + hours


def test_days_weeks_and_months():
    frame = pd.DataFrame({"ds": ["2024-01-03", "2024-01-08"], "text": ["a", "b"], "end": ["2024-01-04", ""]})
    assert spans(DAILY, frame) == [Span(0, 2, 4), Span(1, 7, 8)]
    times = pd.date_range("2024-01-01", periods=12, freq="MS")
    months = to_series(pd.DataFrame({"ds": times, "y": np.arange(12.0)}))
    frame = pd.DataFrame({"ds": ["2024-01-15", "2024-11-29"], "text": ["a", "b"], "end": ["2024-03-01", "2024-12-24"]})
    assert spans(months, frame) == [Span(0, 0, 3), Span(1, 10, 12)]


def test_counted_rows():
    table = to_series(pd.DataFrame({"ds": range(5, 25), "y": np.arange(20.0)}), frequency="none", time_column="ds")
    assert spans(table, pd.DataFrame({"ds": [7, 9], "text": ["a", "b"], "end": [7, 12]})) == [
        Span(0, 2, 3),
        Span(1, 4, 8),
    ]


def test_rows_before_and_after_the_series_count_on():
    frame = pd.DataFrame({"ds": ["2023-12-31 22:00", "2024-01-03 20:00"], "text": ["a", "b"]})
    frame["end"] = ["2024-01-01 01:00", "2024-01-04 02:00"]
    assert spans(HOURLY, frame) == [Span(0, -2, 2), Span(1, 68, 75)]


def test_notes_beyond_the_rows_are_left_out_unless_what_follows_them_is_wanted():
    frame = pd.DataFrame({"ds": ["2023-12-31 21:00", "2024-01-04 02:00"], "text": ["a", "b"]})
    frame["end"] = ["2023-12-31 22:00", "2024-01-04 04:00"]
    assert spans(HOURLY, frame) == []
    assert spans(HOURLY, frame, after=24) == [Span(0, -3, -1), Span(1, 74, 77)]
    assert spans(HOURLY, frame, after=1) == []


def test_notes_on_one_series_and_on_all():
    frame = pd.DataFrame({"ds": ["2024-01-01"] * 3, "text": list("abc"), "unique_id": ["heat", None, "load"]})
    assert [one.note for one in spans(HOURLY, frame, name="heat")] == [0, 1]
    assert [one.note for one in spans(HOURLY, frame, name="load")] == [1, 2]


def test_the_names_of_the_table_are_known():
    days = pd.date_range("2024-01-01", periods=20).tolist()
    long = pd.DataFrame({"shop": ["x"] * 20 + ["y"] * 20, "day": days * 2, "sales": np.arange(40.0)})
    table = to_series(long, id_column="shop", time_column="day")
    frame = pd.DataFrame({"day": ["2024-01-05"], "text": ["sale"], "shop": ["y"]})
    assert spans(table, frame, name="x") == []
    assert spans(table, frame, name="y") == [Span(0, 4, 5)]


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_libraries_give_the_same(library):
    frame = library({"ds": HOURS[[30, 3]].to_list(), "text": ["a", "b"], "end": [None, HOURS[5].to_pydatetime()]})
    assert spans(HOURLY, frame) == [Span(0, 30, 31), Span(1, 3, 6)]


def test_dates_are_read_as_those_of_the_table():
    days = pd.date_range("2024-01-01", periods=40).strftime("%d/%m/%Y")
    table = to_series(pd.DataFrame({"ds": days, "y": np.arange(40.0)}), date_format="%d/%m/%Y")
    frame = pd.DataFrame({"ds": ["02/01/2024", "2024-01-04"], "text": ["a", "b"]})
    assert spans(table, frame) == [Span(0, 1, 2), Span(1, 3, 4)]


def test_time_zones():
    hours = pd.date_range("2024-03-30", periods=72, freq="h", tz="Europe/Berlin")
    table = to_series(pd.DataFrame({"ds": hours, "y": np.arange(72.0)}))
    frame = pd.DataFrame({"ds": ["2024-03-31 12:00"], "text": ["a"]})
    assert spans(table, frame) == [Span(0, 35, 36)]  # the night has an hour less
    assert spans(table, pd.DataFrame({"ds": ["2024-03-31T10:00Z"], "text": ["a"]})) == [Span(0, 35, 36)]
    with pytest.raises(TableError, match=r"notes: column 'ds': it has a time zone, the table has none"):
        read_notes(pd.DataFrame({"ds": ["2024-01-01 10:00Z"], "text": ["a"]}), HOURLY)


def test_when_a_note_is_known():
    frame = pd.DataFrame({"ds": ["2024-01-02"] * 2, "text": ["a", "b"], "known_from": ["2024-01-01 12:00", None]})
    notes = read_notes(frame, HOURLY)
    assert notes.known.tolist() == [HOURS[12].value // 1000, ALWAYS]


def test_the_end_of_the_table_does_not_matter():
    frame = pd.DataFrame({"ds": ["2024-01-01 05:00", "2024-01-03 05:00"], "text": ["a", "b"]})
    early = read_notes(frame, cut_series(HOURLY, "2024-01-02"))
    late = read_notes(frame, HOURLY)
    np.testing.assert_array_equal(early.starts, late.starts)
    np.testing.assert_array_equal(early.ends, late.ends)


GOOD = {"ds": ["2024-01-01", "2024-01-02"], "text": ["a", "b"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": ["a", None]}, "column 'text', row 3: the text is missing; write it, or remove the row"),
        ({"text": ["a", " "]}, "column 'text', row 3: the text is missing"),
        ({"text": ["a", 7]}, "column 'text', row 3: 7 is no text; write the note in words"),
        ({"text": [1.5, 2.5]}, "column 'text', row 2: 1.5 is no text; write the note in words"),
        ({"ds": ["2024-01-01", None]}, "column 'ds', row 3: the time is missing; write it, or remove the row"),
        ({"ds": ["2024-01-01", "soon"]}, "column 'ds', row 3: 'soon' is not a time; .* such as 2024-01-03T23:00"),
        ({"end": ["2024-01-01", "2023-01-01"]}, "column 'end', row 3: the note ends before it starts; correct 'ds'"),
        ({"known_from": ["x", ""]}, "column 'known_from', row 2: 'x' is not a time"),
        ({"unique_id": ["cold", "cool"]}, "no series 'cold', 'cool', but 'heat', 'load'; correct 'unique_id', or"),
    ],
)
def test_what_cannot_be_read_is_refused_with_row_and_remedy(changes, message):
    with pytest.raises(TableError, match="notes: .*" + message):
        read_notes(pd.DataFrame(GOOD | changes), HOURLY)


@pytest.mark.parametrize("missing", ["ds", "text"])
def test_missing_columns(missing):
    frame = pd.DataFrame(GOOD).rename(columns={missing: "other"})
    with pytest.raises(TableError, match=r"notes: there is no column for the \w+, but .*expected the columns ds and"):
        read_notes(frame, HOURLY)


def test_what_is_ignored_is_said():
    frame = pd.DataFrame(GOOD | {"unique_id": ["heat", "cold"], "who": ["me", "you"]})
    notes = read_notes(frame, HOURLY)
    assert notes.texts == ("a",)
    assert notes.remarks == (
        "notes: columns not used: 'who'",
        "notes on series that the table does not have were ignored: 'cold'",
    )


def test_no_notes():
    notes = read_notes(pd.DataFrame({"ds": [], "text": []}), HOURLY)
    assert len(notes) == 0
    assert notes.spans("heat", np.arange(5)) == []
