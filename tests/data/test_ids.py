"""Ids come back with the type and in the order that the table has, through the public interface."""

import datetime

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.errors import TableError

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

ROWS = 60
TIMES = pd.date_range("2024-01-01", periods=ROWS, freq="h")
FIRST = datetime.datetime(2024, 1, 1)
OPTIONS = {"backbone": "none", "max_steps": 0, "d_model": 4, "patch_len": 4, "stride": 2, "level": 1, "wavelet": "haar"}
SHOPS = (("zoo", 10), ("art", 2), ("pub", 30))
"""Ids in the order of the table, and the level of each series, by which its forecast can be told."""


def values(level: int) -> np.ndarray:
    return level + np.sin(np.arange(ROWS) / 3 + level)


def long(ids: list, dtype: object = None) -> pd.DataFrame:
    """A long pandas table; ``ids`` replace the names of `SHOPS`."""
    column = pd.Series([one for one in ids for _ in range(ROWS)], dtype=dtype)
    return pd.DataFrame(
        {"unique_id": column, "ds": [*TIMES] * 3, "y": np.concatenate([values(level) for _, level in SHOPS])}
    )


def polars(ids: list, dtype: object = None) -> "pl.DataFrame":
    times = [FIRST + datetime.timedelta(hours=i) for i in range(ROWS)]
    column = pl.Series("unique_id", [one for one in ids for _ in range(ROWS)], dtype=dtype)
    y = np.concatenate([values(level) for _, level in SHOPS])
    return pl.DataFrame([column, pl.Series("ds", times * 3), pl.Series("y", y)])


def forecaster() -> Forecaster:
    return Forecaster(horizon=4, context=16, split="none", **OPTIONS)


PANDAS = {
    "integers": ([20, 3, 100], "int64"),
    "small integers": ([20, 3, 100], "int8"),
    "nullable integers": ([20, 3, 100], "Int64"),
    "floats": ([2.5, 1.0, 0.1], "float64"),
    "text": (["zoo", "art", "pub"], "object"),
    "pandas text": (["zoo", "art", "pub"], "string"),
    "categories": (["zoo", "art", "pub"], pd.CategoricalDtype(["zoo", "pub", "art", "none"])),
    "ordered categories of integers": ([20, 3, 100], pd.CategoricalDtype([100, 3, 20], ordered=True)),
    "timestamps": (list(pd.to_datetime(["2024-01-02", "2023-01-01", "2024-01-01"])), "datetime64[ns]"),
}


@pytest.mark.parametrize("kind", PANDAS)
def test_pandas_ids(kind):
    ids, dtype = PANDAS[kind]
    table = long(ids, dtype)
    model = forecaster().fit(table)
    forecast, scores = model.predict(table), model.cross_validation(table, windows=2)
    assert forecast["unique_id"].dtype == table["unique_id"].dtype
    assert scores["unique_id"].dtype == table["unique_id"].dtype
    assert forecast["unique_id"].tolist() == [one for one in ids for _ in range(4)]
    assert scores["unique_id"].tolist() == [one for one in ids for _ in range(8)]
    assert forecast.index.equals(pd.RangeIndex(12))
    assert_levels(forecast["yhat"].to_numpy(), 4)
    assert_levels(scores["yhat"].to_numpy(), 8)
    joined = pd.concat([table, forecast.rename(columns={"yhat": "y"})])  # a forecast can be appended to its table
    assert joined["unique_id"].dtype == table["unique_id"].dtype


POLARS = {
    "text": (["zoo", "art", "pub"], None),
    "integers": ([20, 3, 100], pl.UInt16),
    "floats": ([2.5, 1.0, 0.1], pl.Float64),
    "categories": (["zoo", "art", "pub"], pl.Categorical),
    "enumeration": (["zoo", "art", "pub"], pl.Enum(["pub", "zoo", "art", "none"])),
}


@pytest.mark.parametrize("kind", POLARS)
def test_polars_ids(kind):
    ids, dtype = POLARS[kind]
    table = polars(ids, dtype)
    model = forecaster().fit(table)
    forecast, scores = model.predict(table), model.cross_validation(table, windows=2)
    assert forecast.schema["unique_id"] == scores.schema["unique_id"] == table.schema["unique_id"]
    assert forecast["unique_id"].to_list() == [one for one in ids for _ in range(4)]
    assert scores["unique_id"].to_list() == [one for one in ids for _ in range(8)]
    assert_levels(forecast["yhat"].to_numpy(), 4)
    assert_levels(scores["yhat"].to_numpy(), 8)


@pytest.mark.parametrize("make", [long, polars], ids=["pandas", "polars"])
def test_booleans(make):
    table = make([True, False, None])[: 2 * ROWS]
    table = (
        table.with_columns(pl.col("unique_id").cast(pl.Boolean))
        if make is polars
        else table.astype({"unique_id": bool})
    )
    forecast = forecaster().fit(table).predict(table)
    assert forecast["unique_id"].dtype == table["unique_id"].dtype
    assert forecast["unique_id"].to_list() == [True] * 4 + [False] * 4


def test_arrow_dictionaries():
    table = polars(["zoo", "art", "pub"], pl.Categorical).to_arrow()
    forecast = forecaster().fit(table).predict(table)
    assert forecast.schema.field("unique_id").type == table.schema.field("unique_id").type
    assert forecast["unique_id"].to_pylist() == ["zoo"] * 4 + ["art"] * 4 + ["pub"] * 4


def assert_levels(yhat: np.ndarray, rows: int) -> None:
    """Assert that the series stand in the order of `SHOPS`, by their levels."""
    assert np.abs(yhat.reshape(3, rows).mean(axis=1) - [level for _, level in SHOPS]).max() < 1.5


def test_columns_come_back_in_the_order_of_the_table():
    table = pd.DataFrame({"ds": TIMES, **{name: values(level) for name, level in SHOPS}})
    model = forecaster().fit(table)
    forecast = model.predict(table)
    assert forecast["unique_id"].drop_duplicates().tolist() == ["zoo", "art", "pub"]
    assert_levels(forecast["yhat"].to_numpy(), 4)
    other = model.predict(table[["pub", "ds", "zoo", "art"]])
    assert other["unique_id"].drop_duplicates().tolist() == ["pub", "zoo", "art"]
    chosen = Forecaster(horizon=4, context=16, split="none", columns=["art", "zoo"], **OPTIONS).fit(table)
    assert chosen.predict(table)["unique_id"].drop_duplicates().tolist() == ["zoo", "art"]


@pytest.mark.parametrize("dtype", ["int64", "float64", pd.CategoricalDtype([100, 20, 3])])
def test_column_labels_of_a_pivoted_table(dtype):
    table = long([20, 3, 100], "int64").astype({"unique_id": dtype})
    wide = table.pivot(index="ds", columns="unique_id", values="y")
    forecast = forecaster().fit(wide).predict(wide)
    assert forecast["unique_id"].dtype == dtype
    assert forecast["unique_id"].drop_duplicates().tolist() == wide.columns.tolist()


@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.parametrize("ids", [["zoo", "art", "pub"], [20, 3, 100], [0.5, 2.5, 1.0]])
@pytest.mark.filterwarnings("ignore:rows were sorted by time")
def test_the_order_of_rows_changes_no_value(ids, seed):
    table = long(ids)
    mixed = table.sample(frac=1, random_state=seed)
    first, second = forecaster().fit(table), forecaster().fit(mixed)
    expected = first.predict(table).set_index(["unique_id", "ds"])["yhat"]
    forecast = second.predict(mixed)
    assert forecast["unique_id"].drop_duplicates().tolist() == mixed["unique_id"].drop_duplicates().tolist()
    pd.testing.assert_series_equal(
        forecast.set_index(["unique_id", "ds"])["yhat"].sort_index(), expected.sort_index(), check_exact=True
    )
    scores = [one.cross_validation(each, windows=2) for one, each in ((first, table), (second, mixed))]
    keys = ["unique_id", "cutoff", "ds"]
    pd.testing.assert_frame_equal(*(one.set_index(keys).sort_index() for one in scores), check_exact=True)


def test_ids_that_differ_only_in_type_are_refused():
    table = long([1, "1", 2], object)
    with pytest.raises(TableError, match="ids 1 and '1' differ only in type"):
        forecaster().fit(table)


def test_integer_ids_find_the_scale_of_their_series_in_text():
    """A model that was trained on text ids, as CSV files have them, knows equal integer ids."""
    as_text, as_numbers = long(["20", "3", "100"]), long([20, 3, 100])
    model = forecaster().fit(as_text)
    shorter = as_numbers.groupby("unique_id").tail(20)
    expected = model.predict(as_text.groupby("unique_id").tail(20))["yhat"].tolist()
    assert model.predict(shorter)["yhat"].tolist() == expected
