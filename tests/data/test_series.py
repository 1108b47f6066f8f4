"""Conversion of tables to series: column types, repairs, time zones, column roles."""

import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from swt_time.data.origins import known_values
from swt_time.data.reading import read_table
from swt_time.data.series import SeriesTable, cut_series, to_series
from swt_time.errors import TableError

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

TIMES = pd.date_range("2024-01-01", periods=12, freq="D")
RANDOM = np.random.default_rng(0)
LONG = pd.DataFrame(
    {
        "unique_id": ["b"] * 12 + ["a"] * 7 + ["c"] * 9,
        "ds": [*TIMES, *TIMES[:7], *TIMES[3:]],
        "y": RANDOM.normal(size=28),
    }
)
WIDE = pd.DataFrame({"date": TIMES, "q": RANDOM.normal(size=12), "p": np.arange(12)})


def polars(frame: pd.DataFrame):
    """Convert to polars without pyarrow."""
    return pl.DataFrame({name: frame[name].tolist() for name in frame.columns})


def arrow(frame: pd.DataFrame):
    return pa.table({name: frame[name].tolist() for name in frame.columns})


LIBRARIES = {"pandas": lambda frame: frame, "polars": polars, "pyarrow": arrow}


def same(one: SeriesTable, other: SeriesTable) -> bool:
    return (
        (one.ids, one.frequency, one.layout) == (other.ids, other.frequency, other.layout)
        and all(np.array_equal(a, b) for a, b in zip(one.values, other.values, strict=True))
        and all(a.equals(b) and a.dtype == b.dtype for a, b in zip(one.times, other.times, strict=True))
    )


@pytest.mark.parametrize("frame", [LONG, WIDE], ids=["long", "wide"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_data_frame_libraries_give_the_same_series(frame, library):
    assert same(to_series(frame), to_series(LIBRARIES[library](frame)))


def test_same_detects_a_change():
    """Control: one value, one timestamp, one id."""
    table = to_series(LONG)
    assert not same(table, to_series(LONG.assign(y=LONG["y"].where(LONG.index != 3, 0.0))))
    assert not same(table, to_series(LONG.assign(ds=LONG["ds"] + pd.Timedelta("1D"))))
    assert not same(table, to_series(LONG.assign(unique_id=LONG["unique_id"].replace("a", "A"))))


def test_repairs_of_many_columns_give_one_note():
    frame = pd.DataFrame({"ds": TIMES[:2], **{f"c{i}": ["1", "2"] for i in range(20)}})
    assert to_series(frame).notes == (
        "text was converted to numbers in 'c0', 'c1', 'c10', 'c11', 'c12', 'c13', 'c14', 'c15' and 12 more",
    )
    ids = [name for i in range(5) for name in (f"a{i}", f"A{i}")]
    long = pd.DataFrame({"unique_id": ids * 2, "ds": [*[TIMES[0]] * 10, *[TIMES[1]] * 10], "y": 1.0})
    assert to_series(long).notes == ("ids 'A0' and 'a0' differ only in case and are separate series (5 such pairs)",)


def test_content_decides_before_the_name_which_column_is_the_time():
    frame = pd.DataFrame({"time": ["morning", "noon"], "seen": TIMES[:2], "y": [1, 2]})
    table = to_series(frame)
    assert (table.time_column, table.ids) == ("seen", ("y",))
    assert table.notes == ("'time' holds text and was left out",)
    assert to_series(frame, target="y").time_column == "seen"


def test_long():
    table = to_series(LONG)
    assert table.ids == ("a", "b", "c")
    assert table.lengths.tolist() == [7, 12, 9]
    assert (table.layout, table.frequency, table.notes) == ("long", "D", ())
    assert (table.id_columns, table.time_column, table.value_column) == (("unique_id",), "ds", "y")
    np.testing.assert_array_equal(table.values[2], LONG["y"].to_numpy()[19:])
    assert table.times[2].equals(pd.DatetimeIndex(TIMES[3:]).as_unit("us"))
    assert table.last.tolist() == [TIMES[6], TIMES[11], TIMES[11]]
    assert table.future(2).tolist() == [
        TIMES[7],
        TIMES[8],
        *[pd.Timestamp("2024-01-13"), pd.Timestamp("2024-01-14")] * 2,
    ]


def test_wide():
    table = to_series(WIDE)
    assert table.ids == ("p", "q")
    assert table.values[0].dtype == np.float64
    assert table.times[0] is table.times[1]
    assert (table.id_columns, table.time_column, table.value_column) == ((), "date", None)
    assert to_series(WIDE, target="q").ids == ("q",)
    assert to_series(WIDE, columns=["q", "p", "q"]).ids == ("p", "q")


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(sorted(LIBRARIES)), st.sampled_from(["long", "wide"]))
def test_result_does_not_depend_on_the_order_of_rows_and_columns(random, library, layout):
    frame = {"long": LONG, "wide": WIDE}[layout]
    rows, columns = list(range(len(frame))), list(frame.columns)
    random.shuffle(rows)
    random.shuffle(columns)
    shuffled = frame.iloc[rows][columns].reset_index(drop=True)
    assert same(to_series(frame), to_series(LIBRARIES[library](shuffled)))


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(["linear", "ffill"]), st.sampled_from(["long", "wide"]))
def test_filled_result_does_not_depend_on_the_order_of_rows(random, fill, layout):
    frame = {"long": LONG, "wide": WIDE}[layout].copy()
    frame.loc[[2, 5], frame.columns[2 if layout == "long" else 1]] = np.nan
    frame = frame.drop(index=[4, 8]).reset_index(drop=True)
    rows = list(range(len(frame)))
    random.shuffle(rows)
    shuffled = frame.iloc[rows].reset_index(drop=True)
    expected = to_series(frame, fill=fill)
    assert same(expected, to_series(shuffled, fill=fill))
    assert same(expected, to_series(polars(shuffled), fill=fill))


def test_note_on_unsorted_rows():
    assert to_series(LONG.sort_values("ds", kind="stable")).notes == ()
    assert to_series(LONG.iloc[::-1]).notes == ("rows were sorted by time",)


def test_input_is_not_modified():
    for frame in (LONG, WIDE):
        before = frame.copy(deep=True)
        to_series(frame.iloc[::-1])
        table = to_series(frame)
        for values in table.values:
            values[:] = -1
        pd.testing.assert_frame_equal(frame, before)


# cutting


def test_cut_series_keeps_rows_up_to_the_cutoff():
    table = to_series(LONG)
    cut = cut_series(table, "2024-01-05")
    assert cut.lengths.tolist() == [5, 5, 2]
    assert cut.last.tolist() == [TIMES[4]] * 3
    assert cut_series(table, "2024-01-12").lengths.tolist() == table.lengths.tolist()
    assert (cut.ids, cut.frequency) == (table.ids, table.frequency)
    assert cut_series(table, "2024-01-03").ids == ("a", "b")
    with pytest.raises(TableError, match="every series begins after the cutoff 2023-12-31, the first at 2024-01-01"):
        cut_series(table, "2023-12-31")
    with pytest.raises(TableError, match="has a time zone, the table has none"):
        cut_series(table, "2024-01-05T00:00Z")
    with pytest.raises(TableError, match=r"'2024-01-13' lies after the end of every series; .* up to 2024-01-12"):
        cut_series(table, "2024-01-13")
    for wrong in ("soon", "NaT", "", "2024-13-01", "5/1/2024"):
        with pytest.raises(
            TableError, match="is not a time; expected one in the format of the table, such as 2024-01-12"
        ):
            cut_series(table, wrong)


def test_cut_series_in_a_time_zone():
    times = pd.date_range("2024-10-26 22:00", periods=10, freq="h", tz="Europe/Berlin")
    table = to_series(pd.DataFrame({"ds": times, "y": np.arange(10.0)}))
    # 02:00 occurs twice in this night: both hours are kept
    assert cut_series(table, "2024-10-27 02:00").lengths.tolist() == [6]
    assert cut_series(table, "2024-10-27T00:00Z").lengths.tolist() == [5]
    spring = pd.date_range("2024-03-31", periods=10, freq="h", tz="Europe/Berlin")
    table = to_series(pd.DataFrame({"ds": spring, "y": np.arange(10.0)}))
    assert cut_series(table, "2024-03-31 02:30").lengths.tolist() == [3]


# repairs


def reference_linear(values):
    """Reference implementation: linear interpolation between known neighbours, one cell at a time."""
    filled = list(values)
    known = [i for i, v in enumerate(values) if v == v]
    for i in range(known[0], known[-1]):
        if filled[i] != filled[i]:
            left = max(k for k in known if k < i)
            right = min(k for k in known if k > i)
            filled[i] = values[left] + (values[right] - values[left]) * (i - left) / (right - left)
    return filled[known[0] : known[-1] + 1], known[0]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.one_of(st.just(float("nan")), st.floats(-1e6, 1e6)), min_size=6, max_size=40),
    st.sets(st.integers(0, 39), max_size=6),
)
def test_fill_equals_the_reference(values, dropped):
    known = [i for i, v in enumerate(values) if v == v and i not in dropped]
    rows = [i for i in range(len(values)) if i not in dropped]
    times = pd.date_range("2024-01-01", periods=len(values), freq="h")
    assume(len(known) >= 3 and 2 * len(known) >= known[-1] - known[0] + 1)
    frame = pd.DataFrame({"ds": times[rows], "y": [values[i] for i in rows]})
    holed = [v if i not in dropped else float("nan") for i, v in enumerate(values)]
    expected, first = reference_linear(holed)
    linear = to_series(frame, fill="linear", frequency="h")
    np.testing.assert_allclose(linear.values[0], expected, rtol=1e-9, atol=1e-6)
    assert linear.times[0].equals(pd.DatetimeIndex(times[first : first + len(expected)]).as_unit("us"))
    steady = to_series(frame, fill="ffill", frequency="h")
    last = expected[0]
    for i, value in enumerate(steady.values[0]):
        last = holed[first + i] if holed[first + i] == holed[first + i] else last
        assert value == last
    # known values are unchanged, bit for bit
    for i in known:
        assert linear.values[0][i - first] == steady.values[0][i - first] == values[i]


@pytest.mark.parametrize("alias", ["h", "B", "MS", "QE-DEC", "W-WED"])
def test_fill_uses_the_frequency(alias):
    times = pd.date_range("2024-01-01", periods=20, freq=alias)
    kept = times.delete([5, 6, 12])
    table = to_series(
        pd.DataFrame({"ds": kept, "y": np.arange(20.0)[[i for i in range(20) if i not in (5, 6, 12)]]}),
        fill="linear",
    )
    assert table.times[0].equals(pd.DatetimeIndex(times).as_unit("us"))
    np.testing.assert_allclose(table.values[0], np.arange(20.0))
    assert table.notes == ("filled 3 values in 1 series (linear)",)


def test_fill_across_a_daylight_saving_change():
    times = pd.date_range("2024-03-30 20:00", periods=12, freq="h", tz="Europe/Berlin")
    table = to_series(pd.DataFrame({"ds": times.delete(6), "y": np.arange(11.0)}), fill="ffill")
    assert table.times[0].equals(times.as_unit("us"))


def test_columns_of_a_wide_table_may_start_late_and_end_early():
    frame = WIDE.astype({"p": float})
    frame.loc[:2, "p"] = np.nan
    frame.loc[11, "p"] = np.nan
    with pytest.raises(TableError, match=r"4 missing values \(NaN\), the first in column 'p', row 2"):
        to_series(frame)
    table = to_series(frame, fill="linear")
    assert table.lengths.tolist() == [9, 12]
    assert table.times[0].equals(pd.DatetimeIndex(TIMES[3:12]).as_unit("us"))
    assert table.last.tolist() == [TIMES[11], TIMES[11]]
    np.testing.assert_array_equal(table.values[0], [*np.arange(3.0, 11.0), 10.0])
    assert table.observed[0].tolist() == [True] * 8 + [False]


def test_fill_does_not_overflow():
    frame = pd.DataFrame({"ds": TIMES[:5], "y": [1e300, np.nan, -1e300, 1.7e308, 1.0]})
    table = to_series(frame, fill="linear")
    assert np.isfinite(table.values[0]).all()
    assert table.values[0][1] == 0.0


def test_fill_keeps_subnormal_values():
    frame = pd.DataFrame({"ds": TIMES[:4], "y": [5e-324, np.nan, 2.0, 5e-324]})
    assert to_series(frame, fill="linear").values[0][[0, 3]].tolist() == [5e-324, 5e-324]


def test_unknown_fill_is_refused():
    with pytest.raises(TableError, match=r"data\.fill 'magic' is unknown; expected one of linear, ffill, zero"):
        to_series(WIDE, fill="magic")


# column types


def values_of(column, library="pandas"):
    frame = pd.DataFrame({"ds": TIMES[: len(column)], "y": column})
    return to_series(LIBRARIES[library](frame)).values[0].tolist()


@pytest.mark.parametrize(
    "column",
    [
        pd.array([1, 2, 3], dtype="Int64"),
        pd.array([1.0, 2.0, 3.0], dtype="Float32"),
        pd.array([1, 2, 3], dtype="int64[pyarrow]"),
        pd.array([1.0, 2.0, 3.0], dtype="double[pyarrow]"),
        pd.array([Decimal(1), Decimal(2), Decimal(3)], dtype=pd.ArrowDtype(pa.decimal128(9, 2))),
        np.array([1, 2, 3], dtype=np.uint8),
        np.array([1, 2, 3], dtype=np.float16),
        np.array([1, 2.0, Decimal(3)], dtype=object),
        np.array(["1", " 2.0", "3e0"], dtype=object),
        pd.array(["1", "2", "3"], dtype="string"),
    ],
    ids=str,
)
def test_numeric_columns(column):
    assert values_of(column) == [1.0, 2.0, 3.0]


def test_polars_column_types():
    frame = pl.DataFrame({"ds": TIMES[:3].tolist(), "y": [1, 2, 3]})
    for dtype in (pl.UInt64, pl.Int8, pl.Float32, pl.Decimal(10, 2), pl.String):
        assert to_series(frame.with_columns(pl.col("y").cast(dtype))).values[0].tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(TableError, match="holds categories"):
        to_series(frame.with_columns(pl.col("y").cast(pl.String).cast(pl.Categorical)))
    with pytest.raises(TableError, match="column 'y' has no values"):
        to_series(frame.with_columns(y=pl.lit(None)))


@pytest.mark.parametrize(
    ("column", "error"),
    [
        (pd.Categorical(["a", "b", "a"]), "column 'y' holds categories"),
        ([True, False, True], "column 'y' holds booleans"),
        (pd.array([True, None, False], dtype="boolean"), "column 'y' holds booleans"),
        ([1 + 2j, 3j, 1], "column 'y' holds values of type"),
        (pd.to_timedelta([1, 2, 3], "h"), "column 'y' holds durations"),
        ([[1], [2], [3]], "column 'y' holds values of type list"),
        ([1, True, 3], "column 'y', row 3: True is not a number"),
        ([1, "x" * 99, 3], "row 3: 'xxxxx.*\\.\\.\\. is not a number"),
        ([1.0, None, 3.0], "1 missing values"),
        (pd.array([1, None, 3], dtype="Int64"), "1 missing values"),
        (pd.array([1, 2**53 + 1, None], dtype="Int64"), "row 3: the integer 9007199254740993"),
        (np.array([1, 2**64 - 1, 3], dtype=np.uint64), "row 3: the integer 18446744073709551615"),
        (np.array([1, -(2**63), 3]), "row 3: the integer -9223372036854775808"),
        ([1, 2**70, 3], "row 3: the integer 1180591620717411303424"),
        ([None, None, None], "column 'y' has no values"),
    ],
)
def test_non_numeric_columns_are_refused(column, error):
    with pytest.raises(TableError, match=error):
        values_of(column)


@pytest.mark.parametrize(
    "times",
    [
        TIMES[:3].tolist(),
        [stamp.date() for stamp in TIMES[:3]],
        [stamp.to_pydatetime() for stamp in TIMES[:3]],
        ["2024-01-01", "2024-01-02", "2024-01-03"],
        ["2024/01/01", "2024/01/02", "2024/01/03"],
        ["Jan 1 2024", "Jan 2 2024", "Jan 3 2024"],
        ["1 January 2024", "2 January 2024", "3 January 2024"],
        [20240101, 20240102, 20240103],
        TIMES[:3].as_unit("ns"),
        TIMES[:3].as_unit("s"),
        pd.array(TIMES[:3].tolist(), dtype="timestamp[ns][pyarrow]"),
        pd.array([stamp.date() for stamp in TIMES[:3]], dtype="date32[pyarrow]"),
    ],
    ids=lambda times: str(times)[:40],
)
def test_types_and_formats_of_days(times):
    table = to_series(pd.DataFrame({"when": times, "y": [1, 2, 3]}), time_column="when")
    assert table.times[0].equals(pd.DatetimeIndex(TIMES[:3]).as_unit("us"))
    assert table.frequency == "D"
    frame = polars(pd.DataFrame({"when": times, "y": [1, 2, 3]}))
    assert same(table, to_series(frame, time_column="when"))


def test_twelve_hour_clock():
    times = ["01/30/2024 11:00 PM", "01/31/2024 12:00 AM", "01/31/2024 1:00 AM"]
    table = to_series(pd.DataFrame({"time": times, "y": [1, 2, 3]}))
    assert table.times[0].tolist() == pd.date_range("2024-01-30 23:00", periods=3, freq="h").tolist()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC"])
def test_time_zones_are_kept(zone):
    times = pd.date_range("2024-10-26", periods=60, freq="h", tz=zone)
    frame = pd.DataFrame({"ds": times, "y": np.arange(60.0)})
    table = to_series(frame)
    assert table.times[0].equals(times.as_unit("us"))
    assert table.frequency == "h"
    other = pl.DataFrame({"y": np.arange(60.0)}).with_columns(
        ds=pl.Series(times.tz_convert("UTC").tz_localize(None).to_numpy())
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(zone)
    )
    again = to_series(other)
    assert again.times[0].equals(table.times[0])
    assert str(again.times[0].tz) == zone


def test_python_times_in_several_zones_are_converted_to_utc():
    east, west = (datetime.timezone(datetime.timedelta(hours=h)) for h in (2, -5))
    cells = [
        datetime.datetime(2024, 1, 1, 12, tzinfo=east),
        datetime.datetime(2024, 1, 1, 6, tzinfo=west),
        datetime.datetime(2024, 1, 1, 14, tzinfo=east),
    ]
    table = to_series(pd.DataFrame({"ds": np.array(cells, dtype=object), "y": [1, 2, 3]}))
    assert table.times[0].equals(pd.date_range("2024-01-01 10:00", periods=3, freq="h", tz="UTC").as_unit("us"))
    assert table.notes == ("column 'ds': times in several time zones were converted to UTC",)


def test_nanoseconds_are_refused():
    times = pd.DatetimeIndex([1, 1001, 2001], dtype="datetime64[ns]")
    with pytest.raises(TableError, match="column 'ds', row 2: the time is finer than microseconds"):
        to_series(pd.DataFrame({"ds": times, "y": [1, 2, 3]}))


# column roles


def test_quarters_beside_dates_are_no_second_time_column():
    frame = pd.DataFrame({"when": TIMES[:3].strftime("%Y-%m-%d"), "part": ["2024Q1"] * 3, "y": [1.0, 2.0, 3.0]})
    assert to_series(frame, target="y").time_column == "when"
    quarters = frame.assign(part=["2024Q1", "2024Q2", "2024Q3"]).drop(columns="when")
    assert to_series(quarters).time_column == "part"


@pytest.mark.parametrize("name", ["ds", "Date", "timestamp", "whenever", "__index_level_0__", ""])
def test_the_time_column_is_found(name):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], name: ["2024-01-01", "2024-01-02", "2024-01-03"]})
    assert to_series(frame).time_column == name


def test_pandas_index_is_used_as_column():
    for index in (TIMES, TIMES.rename("when"), pd.PeriodIndex(TIMES, freq="D")):
        table = to_series(WIDE.drop(columns="date").set_axis(index))
        assert same(table, to_series(WIDE))
    stacked = LONG.set_index(["unique_id", "ds"])
    assert same(to_series(stacked), to_series(LONG))
    assert same(to_series(LONG.set_index("unique_id")), to_series(LONG))
    with pytest.raises(TableError, match="both an index and a column"):
        to_series(LONG.set_index("ds", drop=False))


@pytest.mark.parametrize(
    ("frame", "options", "error"),
    [
        (WIDE, {"target": "q", "columns": ["p"]}, "set only one"),
        (WIDE, {"columns": []}, "data.columns is empty"),
        (WIDE, {"target": "date"}, "no time column"),
        (WIDE, {"time_column": "q"}, "column 'q' has type .*; expected timestamps"),
        (LONG, {"columns": ["y"]}, "for a long table set data.target"),
        (LONG, {"id_column": "ds", "time_column": "ds"}, "data.id_column and data.time_column are both 'ds'"),
        (LONG, {"target": "z"}, "data.target: the table has no column 'z'"),
        (
            WIDE.assign(other=TIMES, date=TIMES).rename(columns={"date": "one"}),
            {},
            "several columns hold times .*data.time_column",
        ),
        (WIDE.assign(other=TIMES), {"columns": ["other"]}, "column 'other' holds timestamps"),
        (LONG.drop(columns="y"), {}, "add a column 'y' of values"),
        (pd.DataFrame({"ds": [], "y": []}), {}, "the table has no rows"),
        (pd.DataFrame(), {}, "the table has no rows"),
        (pd.concat([WIDE, WIDE], axis=1), {}, "column name 'date' occurs twice"),
        (WIDE.rename(columns={"p": 0, "q": "0"}), {}, "column name '0' occurs twice"),
        (pd.concat({"a": WIDE}, axis=1), {}, "several levels"),
        (WIDE["p"], {}, "cannot read a table from Series"),
        (WIDE.to_numpy(), {}, "cannot read a table from ndarray"),
        (None, {}, "cannot read a table from NoneType"),
        (
            LONG.assign(unique_id=[None, *LONG["unique_id"][1:]]),
            {},
            "column 'unique_id', row 2: the id is missing",
        ),
    ],
)
def test_ambiguous_or_missing_roles_are_refused(frame, options, error):
    with pytest.raises(TableError, match=error):
        to_series(frame, **options)


def test_lazy_frames_are_refused():
    with pytest.raises(TableError, match=r"LazyFrame; call \.collect\(\) first"):
        to_series(polars(WIDE).lazy())


def test_ids_of_other_types():
    for ids, expected in [
        ([2] * 12 + [10] * 7 + [1] * 9, ("1", "10", "2")),
        (pd.Categorical(LONG["unique_id"]), ("a", "b", "c")),
    ]:
        frame = LONG.assign(unique_id=ids)
        assert to_series(frame).ids == expected
        assert same(to_series(frame), to_series(polars(frame)))


def test_many_series():
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{i}" for i in range(1000)], 30),
            "ds": np.tile(pd.date_range("2024-01-31", periods=30, freq="ME"), 1000),
            "y": RANDOM.normal(size=30_000),
        }
    )
    table = to_series(frame)
    assert len(table.ids) == 1000
    assert table.frequency == "ME"
    assert len(table.future(24)) == 24_000


# public datasets


def vega(name: str) -> Path:
    """Path of a file of the vega_datasets package, found without importing it."""
    import importlib.util

    spec = importlib.util.find_spec("vega_datasets")
    if spec is None or spec.origin is None:
        pytest.skip("vega-datasets is not installed")
    return Path(spec.origin).parent / "_data" / name


def test_seattle_temperatures_miss_the_first_hour_of_daylight_saving():
    frame = read_table(vega("seattle-temps.csv"))
    with pytest.raises(
        TableError,
        match=r"1 missing timestamps \(frequency h\), the first 2010-03-14 .*after row 1732; set data.fill",
    ):
        to_series(frame)
    table = to_series(frame, fill="linear")
    assert table.lengths.tolist() == [8760]
    assert table.notes == ("filled 1 values in 1 series (linear)",)
    assert table.frequency == "h"


def test_seattle_weather_has_a_text_column():
    frame = read_table(vega("seattle-weather.csv"))
    table = to_series(frame)
    assert "weather" not in table.ids
    assert table.notes == ("'weather' holds text and was left out",)
    with pytest.raises(TableError, match=r"column 'weather' holds text \(row 2: '.*'\).*data.columns"):
        to_series(frame, columns=["weather", "wind"])
    table = to_series(frame, columns=["temp_max", "wind"])
    assert (table.ids, table.frequency, table.lengths.tolist()) == (("temp_max", "wind"), "D", [1461, 1461])


def test_booleans_beside_numbers_are_left_out():
    frame = pd.DataFrame({"ds": TIMES, "y": range(len(TIMES)), "holiday": [True, False] * (len(TIMES) // 2)})
    table = to_series(frame)
    assert table.ids == ("y",)
    assert table.notes == ("'holiday' holds booleans and was left out",)
    with pytest.raises(TableError, match="'holiday' holds booleans"):
        to_series(frame, columns=["holiday"])
    assert to_series(frame.assign(sky="blue")).notes == ("'holiday', 'sky' hold text or booleans and were left out",)


def test_the_target_that_a_refusal_asks_for_is_enough():
    frame = pd.DataFrame({"shop": ["a"] * 6 + ["b"] * 6, "ds": [*TIMES[:6]] * 2, "sold": range(12), "price": 1.0})
    with pytest.raises(TableError, match=r"several columns could hold the values .*; choose one with data.target"):
        to_series(frame)
    table = to_series(frame, target="sold")
    assert (table.ids, table.id_columns, table.value_column) == (("a", "b"), ("shop",), "sold")


@pytest.mark.parametrize("form", ["%B-%Y", "%b-%d-%Y"])
def test_names_of_months_with_hyphens_are_dates(form):
    months = pd.date_range("2005-01-01", periods=24, freq="MS")
    table = to_series(pd.DataFrame({"date": months.strftime(form), "y": range(24)}))
    assert table.frequency == "MS"
    assert table.times[0].equals(months.as_unit("us"))


@pytest.mark.parametrize(("name", "per_year", "frequency"), [("time", 12, "MS"), ("year", 4, "QS-JAN")])
@pytest.mark.parametrize("digits", [3, 14])
def test_decimal_years_are_months(name, per_year, frequency, digits):
    rows = 5 * per_year
    years = np.round(1949 + np.arange(rows) / per_year, digits)
    frame = pd.DataFrame({"rownames": range(1, rows + 1), name: years, "value": np.arange(rows) % 7})
    table = to_series(frame)
    assert (table.ids, table.time_column, table.frequency) == (("value",), name, frequency)
    assert f"column {name!r}: numbers were read as years with months as fractions" in table.notes
    months = pd.date_range("1949-01-01", periods=rows, freq="MS" if per_year == 12 else "QS")
    assert table.times[0].equals(months.as_unit("us"))
    for others in (years + 0.04, years - 1000):  # no whole months; before the year 1000
        with pytest.raises(TableError):
            to_series(frame.assign(**{name: others}))


def test_stocks_are_a_long_table():
    table = to_series(read_table(vega("stocks.csv")), id_column="symbol", target="price")
    assert (table.ids, table.frequency) == (("AAPL", "AMZN", "GOOG", "IBM", "MSFT"), "MS")
    assert table.lengths.tolist() == [123, 123, 68, 123, 123]


@pytest.mark.parametrize(
    "times",
    [
        pd.DatetimeIndex(np.array([2**63 - 10**9, 2**63 - 1], "datetime64[ns]"))
        .tz_localize("UTC")
        .tz_convert("Asia/Tokyo"),
        pd.DatetimeIndex(np.array([0, 2**62 - 1], "datetime64[s]")),
    ],
    ids=["local time beyond 64-bit nanoseconds", "year beyond the range of pandas"],
)
def test_times_that_pandas_cannot_display_are_refused(times):
    with pytest.raises(TableError, match=r"column 'ds', row [23]: the year \d+ is out of range; expected 1678 to 2261"):
        to_series(pd.DataFrame({"ds": times, "y": [1.0, 2.0]}))


def test_series_with_equal_times_share_one_index():
    hours = pd.date_range("2024-01-01", periods=5, freq="h")
    spans = {"a": hours, "b": hours, "c": hours[1:], "d": hours[1:]}
    frame = pd.concat([pd.DataFrame({"unique_id": name, "ds": ds, "y": 1.0}) for name, ds in spans.items()])
    table = to_series(frame)
    a, b, c, d = table.times
    assert a is b
    assert c is d
    assert (len(a), len(c)) == (5, 4)
    a, b, c, d = table.cut([3, 3, 2, 1]).times
    assert a is b
    assert [len(one) for one in (a, c, d)] == [3, 2, 1]
    assert table.future(2).tolist() == [hours[-1] + pd.Timedelta(n, "h") for _ in spans for n in (1, 2)]


def test_values_before_an_origin_are_all_kept_where_one_was_not_observed():
    frame = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=9), "a": np.arange(9.0), "b": np.arange(9.0)})
    frame.loc[5, "b"] = np.nan
    table = to_series(frame, fill="linear")
    known = known_values(table, np.array([[0, 7], [1, 7], [1, 9], [0, 2]]), 3)
    assert [one.tolist() for one in (known[0], known[2], known[3])] == [[4, 5, 6], [6, 7, 8], [0, 1]]
    np.testing.assert_array_equal(known[1], [0, 1, 2, 3, 4, np.nan, 6])
