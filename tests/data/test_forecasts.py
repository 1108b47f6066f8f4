"""Forecast frames: in the library, the names and the types of the input frame."""

import numpy as np
import pandas as pd
import pytest

from swt_time.data.forecasts import cross_validation_frame, forecast_frame, series_frame
from swt_time.data.series import to_series
from swt_time.errors import TableError

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

TIMES = pd.date_range("2024-01-01", periods=6, freq="D")
LONG = pd.DataFrame({"shop": ["b"] * 6 + ["a"] * 4, "when": [*TIMES, *TIMES[:4]], "sold": np.arange(10.0)})
NAMES = {"id_column": "shop", "time_column": "when", "target": "sold"}


def test_pandas_frame():
    table = to_series(LONG, **NAMES)
    frame = forecast_frame(table, np.array([[1, 2], [3, 4]]), LONG)
    assert isinstance(frame, pd.DataFrame)
    expected = pd.DataFrame(
        {
            "shop": ["b", "b", "a", "a"],
            "when": pd.to_datetime(["2024-01-07", "2024-01-08", "2024-01-05", "2024-01-06"]),
            "yhat": [3.0, 4.0, 1.0, 2.0],
        }
    )
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False)
    assert frame["when"].dtype == LONG["when"].dtype
    assert frame["yhat"].dtype == np.float64


def test_polars_and_pyarrow_frames():
    for make, kind in ((pl.DataFrame, pl.DataFrame), (pa.table, pa.Table)):
        source = make({name: LONG[name].tolist() for name in LONG.columns})
        frame = forecast_frame(to_series(source, **NAMES), np.array([[1, 2], [3, 4]]), source)
        assert isinstance(frame, kind)
        rows = frame.to_dicts() if kind is pl.DataFrame else frame.to_pylist()
        assert [row["shop"] for row in rows] == ["b", "b", "a", "a"]
        assert [row["yhat"] for row in rows] == [3.0, 4.0, 1.0, 2.0]
        assert [pd.Timestamp(row["when"]) for row in rows] == [
            pd.Timestamp(day) for day in ("2024-01-07", "2024-01-08", "2024-01-05", "2024-01-06")
        ]


@pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime("ms"), pl.Datetime("ns"), pl.Datetime("us")])
def test_polars_times_keep_their_type(dtype):
    source = pl.DataFrame({"ds": TIMES.tolist(), "y": np.arange(6.0)}).with_columns(pl.col("ds").cast(dtype))
    frame = forecast_frame(to_series(source), np.zeros((1, 2)), source)
    assert frame.schema["ds"] == dtype
    # the forecast can therefore be appended to the input
    assert len(source.vstack(frame.select("ds", y="yhat"))) == 8


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_pandas_times_keep_their_type(unit):
    source = pd.DataFrame({"ds": TIMES.as_unit(unit), "y": np.arange(6.0)})
    assert forecast_frame(to_series(source), np.zeros((1, 2)), source)["ds"].dtype == f"datetime64[{unit}]"


def test_column_names_of_wide_tables_are_ids():
    source = pd.DataFrame({"date": TIMES, "q": 1.0, "p": 2.0})
    frame = forecast_frame(to_series(source), np.zeros((2, 1)), source)
    assert frame["unique_id"].tolist() == ["q", "p"]
    assert list(frame.columns) == ["unique_id", "date", "yhat"]


def test_text_times_are_converted_to_datetimes():
    source = pd.DataFrame({"date": TIMES.strftime("%Y-%m-%d"), "q": 1.0})
    assert forecast_frame(to_series(source), np.zeros((1, 2)), source)["date"].tolist() == [
        pd.Timestamp("2024-01-07"),
        pd.Timestamp("2024-01-08"),
    ]


def test_pandas_time_index():
    source = pd.DataFrame({"q": np.arange(6.0)}, index=TIMES)
    frame = forecast_frame(to_series(source), np.zeros((1, 2)), source)
    assert frame["ds"].tolist() == [pd.Timestamp("2024-01-07"), pd.Timestamp("2024-01-08")]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "+02:00"])
def test_time_zones_are_kept(zone):
    times = pd.date_range("2024-10-26 20:00", periods=4, freq="h", tz=zone)
    source = pd.DataFrame({"ds": times, "y": np.arange(4.0)})
    expected = pd.date_range(times[-1], periods=4, freq="h")[1:]
    frame = forecast_frame(to_series(source), np.zeros((1, 3)), source)
    assert frame["ds"].tolist() == expected.tolist()
    assert frame["ds"].dtype == source["ds"].dtype
    text = pl.DataFrame({"ds": [stamp.isoformat() for stamp in times], "y": np.arange(4.0)})
    other = forecast_frame(to_series(text), np.zeros((1, 3)), text)
    assert [pd.Timestamp(stamp) for stamp in other["ds"].to_list()] == expected.tolist()
    if zone != "+02:00":
        named = text.with_columns(pl.col("ds").str.to_datetime(time_zone="UTC").dt.convert_time_zone(zone))
        other = forecast_frame(to_series(named), np.zeros((1, 3)), named)
        assert other.schema["ds"] == named.schema["ds"]
        assert [pd.Timestamp(stamp) for stamp in other["ds"].to_list()] == expected.tolist()


def test_cross_validation_frame():
    for source in (LONG, pl.DataFrame({name: LONG[name].tolist() for name in LONG.columns})):
        table = to_series(source, **NAMES)
        frame = cross_validation_frame(table, np.array([[0, 2], [1, 3], [1, 4]]), np.arange(6.0).reshape(3, 2), source)
        assert isinstance(frame, type(source))
        assert list(frame.columns) == ["shop", "when", "cutoff", "sold", "yhat"]
        assert list(frame["shop"]) == ["b", "b", "b", "b", "a", "a"]
        assert [stamp.day for stamp in frame["cutoff"]] == [3, 3, 4, 4, 2, 2]
        assert [stamp.day for stamp in frame["when"]] == [4, 5, 5, 6, 3, 4]
        assert list(frame["sold"]) == [3.0, 4.0, 4.0, 5.0, 8.0, 9.0]
        assert list(frame["yhat"]) == [2.0, 3.0, 4.0, 5.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"unique_id": "b", "ds": TIMES, "y": 1.0}, {}, ("unique_id", "ds", "y")),
        ({"shop": 7, "ds": TIMES, "y": 1.0}, {"id_column": "shop"}, ("shop", "ds", "y")),
        ({"y": "b", "when": TIMES, "sold": 1.0}, {"id_column": "y"}, ("y", "when", "sold")),
        ({"unique_id": "b", "when": TIMES, "yhat": 1.0}, {}, ("unique_id", "when", "y")),
        ({"unique_id": "b", "when": TIMES, "cutoff": 1.0}, {}, ("unique_id", "when", "y")),
        ({"when": TIMES, "sold": 1.0, "lost": 2.0}, {}, ("unique_id", "when", "y")),
        ({"Unnamed: 0": TIMES, "sold": 1.0}, {}, ("unique_id", "ds", "y")),
        ({"Unnamed: 0": 7, "when": TIMES, "y": 1.0}, {"id_column": "Unnamed: 0"}, ("unique_id", "when", "y")),
        ({"year": 2024, "month": 1, "day": range(1, 7), "sold": 1.0}, {}, ("unique_id", "ds", "y")),
        ({" shop ": "b", " when": TIMES, "sold ": 1.0}, {"id_column": "shop"}, (" shop ", " when", "sold ")),
    ],
)
def test_columns_keep_their_names_where_they_have_one(columns, options, expected):
    frame = pd.DataFrame(columns)
    table = to_series(frame, **options)
    name, time, value = expected
    number = len(table.ids)
    assert list(forecast_frame(table, np.zeros((number, 2)), frame).columns) == [name, time, "yhat"]
    folds = cross_validation_frame(table, np.array([[0, 3]]), np.zeros((1, 2)), frame)
    assert list(folds.columns) == [name, time, "cutoff", value, "yhat"]
    assert list(series_frame(table, {"mse": np.zeros(number)}, frame).columns) == [name, "mse"]


@pytest.mark.parametrize(
    ("columns", "options", "key"),
    [
        ({"cutoff": "b", "ds": TIMES, "y": 1.0}, {"id_column": "cutoff"}, "data.id_column"),
        ({"yhat": TIMES, "load": 1.0}, {}, "data.time_column"),
        ({"y": TIMES, "load": 1.0}, {}, "data.time_column"),
        ({"ds": "b", "year": 2024, "month": 1, "day": range(1, 7), "y": 1.0}, {"id_column": "ds"}, "data.id_column"),
        ({"y": "b", "ds": TIMES, "yhat": 1.0}, {"id_column": "y"}, "data.id_column"),
    ],
)
def test_a_name_that_a_forecast_needs_is_refused(columns, options, key):
    with pytest.raises(TableError, match=rf"{key}: forecasts have a column '\w+' of their own; rename"):
        to_series(pd.DataFrame(columns), **options)


def test_wrong_number_of_forecasts_is_refused():
    with pytest.raises(ValueError, match=r"one row for each of 2 series, got shape \(1, 2\)"):
        forecast_frame(to_series(LONG, **NAMES), np.zeros((1, 2)), LONG)
