"""Rolling origins: what a backtest fits and forecasts, and its errors against an independent computation."""

import json
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from swt_time import Forecaster, SWTTimeWarning, TableError
from swt_time.data.forecasts import series_frame
from swt_time.data.series import to_series
from swt_time.evaluation.backtesting import Folds, backtest
from swt_time.evaluation.fold_scores import BASELINES, MODEL, score_folds
from swt_time.evaluation.text import METRICS

FAST = {"horizon": 6, "preset": "fast", "context": 24, "level": 2, "split": "none"}


def long_table(lengths, ends=None):
    """A long table of daily series with a weekly cycle, by length; all end on one day unless ``ends`` differ."""
    random, parts = np.random.default_rng(0), []
    for name, rows in lengths.items():
        times = pd.date_range(end=(ends or {}).get(name, "2024-06-30"), periods=rows, freq="D")
        y = 50 + 10 * np.sin(2 * np.pi * np.arange(rows) / 7) + random.normal(size=rows)
        parts.append(pd.DataFrame({"unique_id": name, "ds": times, "y": y}))
    return pd.concat(parts, ignore_index=True)


def notes_of(function, *words, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SWTTimeWarning)
        found = function(*words, **options)
    return found, [str(one.message) for one in caught if one.category is SWTTimeWarning]


@pytest.mark.parametrize("refit", [False, True])
def test_a_backtest_equals_models_fitted_by_hand(refit):
    table = long_table({"b": 100, "a": 90})
    forecaster = Forecaster(**FAST)
    found = forecaster.backtest(table, windows=3, step=4, refit=refit)
    assert list(found.columns) == ["unique_id", "ds", "cutoff", "y", "yhat"]
    assert found["unique_id"].unique().tolist() == ["b", "a"]
    cutoffs = pd.to_datetime(["2024-06-16", "2024-06-20", "2024-06-24"])
    assert sorted(found["cutoff"].unique()) == cutoffs.tolist()
    model = None
    for cutoff in cutoffs:
        known = table[table["ds"] <= cutoff]
        if model is None or refit:
            model = Forecaster(**FAST).fit(known)
        by_hand = model.predict(known).rename(columns={"yhat": "by_hand"})
        both = found[found["cutoff"] == cutoff].merge(by_hand, on=["unique_id", "ds"], validate="one_to_one")
        assert len(both) == 12
        np.testing.assert_allclose(both["yhat"], both["by_hand"], rtol=1e-5)
        truth = both.merge(table, on=["unique_id", "ds"])
        np.testing.assert_array_equal(truth["y_x"], truth["y_y"])
    with pytest.raises(Exception, match="not trained yet"):
        forecaster.model  # noqa: B018  a backtest leaves the forecaster as it was


def test_fits_see_the_rows_before_the_cutoff():
    series, seen = to_series(long_table({"a": 60, "b": 50})), []
    trained = Forecaster(**FAST).fit_series(series).trained

    def fit(known):
        seen.append(known.lengths.tolist())
        return trained

    backtest(fit, series, 6, 3, 5)
    backtest(fit, series, 6, 3, 5, refit=True)
    assert seen == [[44, 34], [44, 34], [49, 39], [54, 44]]


def test_short_series_are_named_and_left_out():
    table = long_table({"long": 100, "context": 30, "short": 10})
    found, notes = notes_of(Forecaster(**FAST).backtest, table, windows=2)
    assert found["unique_id"].unique().tolist() == ["long"]
    assert any("'short'" in note and "cutoffs need more rows" in note for note in notes)
    assert any("'context'" in note and "its context" in note for note in notes)
    with pytest.raises(TableError, match="use fewer windows"):
        Forecaster(**FAST).backtest(table, windows=40)


def test_a_series_without_a_value_before_the_first_cutoff():
    """With zero the rows before it are values; other fills cut them, so that the series is too short."""
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=80, freq="D"), "a": np.arange(80.0) % 7})
    table["new"] = np.where(table.index < 75, np.nan, 1.0)
    found, notes = notes_of(Forecaster(horizon=6, fill="ffill").backtest, table, windows=2)
    assert found["unique_id"].unique().tolist() == ["a"]
    assert any("'new'" in note for note in notes)
    found, _ = notes_of(Forecaster(horizon=6, fill="zero").backtest, table, windows=2)
    assert found.groupby("unique_id")["y"].count().tolist() == [12, 12]
    # An infinity is replaced by zero, but it was not observed.
    table["new"] = np.where(table.index < 75, np.inf, 1.0)
    found, notes = notes_of(Forecaster(horizon=6, fill="zero").backtest, table, windows=2)
    assert found["unique_id"].unique().tolist() == ["a"]
    assert any("'new'" in note for note in notes)


def test_different_ends_are_noted():
    _, notes = notes_of(Forecaster(**FAST).backtest, long_table({"a": 90, "b": 90}, {"b": "2024-03-01"}), windows=2)
    assert any("end at different times" in note for note in notes)
    _, notes = notes_of(Forecaster(**FAST).backtest, long_table({"a": 90, "b": 80}), windows=2)
    assert not any("end at different times" in note for note in notes)


@pytest.mark.parametrize(
    ("split", "windows", "note"),
    [("none", 1, "trained on all rows"), ("0.7/0.1/0.2", 3, ""), ("0.7/0.1/0.2", 4, "before the test part")],
)
def test_a_model_that_has_seen_what_is_scored_is_noted(split, windows, note):
    """A fifth of 100 rows, 20, are the test part: three cutoffs of six rows fit in."""
    table = long_table({"a": 100})
    model = Forecaster(**{**FAST, "split": split}).fit(table)
    _, notes = notes_of(model.cross_validation, table, windows=windows)
    assert [note in one for one in notes] == ([True] if note else [])
    other = long_table({"a": 101})
    assert split == "none" or notes_of(model.cross_validation, other, windows=windows)[1] == []


def oracle(frame, history, season):
    """MSE, MAE, RMSE, MASE and sMAPE of a frame of one series."""
    known = frame.dropna()
    error = (known["yhat"] - known["y"]).to_numpy()
    scale = np.nanmean(np.abs(history[season:] - history[:-season]))
    size = np.abs(known["yhat"]) + np.abs(known["y"])
    mae = np.abs(error).mean()
    return [np.mean(error**2), mae, np.sqrt(np.mean(error**2)), mae / scale, 200 * np.mean(np.abs(error) / size)]


@pytest.fixture
def folds():
    """Random forecasts of two series from three cutoffs; five of the 36 values, and four before, were not observed."""
    table = long_table({"a": 60, "b": 50})
    for gap in (slice(20, 24), slice(45, 50)):
        table.loc[table.index[table["unique_id"] == "a"][gap], "y"] = np.nan
    series = to_series(table, fill="linear")
    origins = np.array([[42, 48, 54], [32, 38, 44]])
    return Folds(series, origins, np.random.default_rng(1).normal(50, 5, size=(2, 3, 6))), table


def test_errors_equal_an_independent_computation(folds):
    folds, table = folds
    scores, frame = score_folds(folds), folds.frame(table)
    assert (scores.points, scores.unobserved, scores.season) == (31, 5, 7)
    rows = scores.by_series()
    for i, (name, first) in enumerate((("a", 42), ("b", 32))):
        y = table.loc[table["unique_id"] == name, "y"].to_numpy()
        one = frame[frame["unique_id"] == name]
        expected = oracle(one, y[:first], 7)
        np.testing.assert_allclose([rows[metric][i] for metric in METRICS], expected)
        std = np.nanstd(y[:first])
        np.testing.assert_allclose(rows["scaled_mse"][i], expected[0] / std**2)
        np.testing.assert_allclose(rows["scaled_mae"][i], expected[1] / std)
        for baseline, season in zip(BASELINES, (7, 1), strict=True):
            held = pd.Series(y).ffill().to_numpy()  # a gap that reaches a cutoff holds its last value
            full = pd.Series(y).interpolate().to_numpy()
            naive = []
            for origin in folds.origins[i]:
                known = full[:origin] if not np.isnan(y[origin - 1]) else held[:origin]
                naive.append(np.resize(known[-season:], 6))
            prefix = baseline.replace(" ", "_")
            expected = oracle(one.assign(yhat=np.concatenate(naive)), y[:first], 7)
            np.testing.assert_allclose([rows[f"{prefix}_{metric}"][i] for metric in METRICS], expected)
    assert rows["points"].tolist() == [13, 18]
    everything = frame.dropna()
    error = (everything["yhat"] - everything["y"]).to_numpy()
    assert scores.original[MODEL]["mse"] == pytest.approx(np.mean(error**2))
    fold = everything[everything["cutoff"] == everything["cutoff"].max()]
    assert scores.per_cutoff[2][MODEL]["mae"] == pytest.approx((fold["yhat"] - fold["y"]).abs().mean())


def test_text_and_json(folds):
    folds, _ = folds
    scores = score_folds(folds)
    lines = list(scores.as_text())
    assert lines[:2] == ["3 cutoffs, 2 series, horizon 6", "31 of 36 values were observed and are scored"]
    assert "cutoff 3, 2024-06-24 00:00:00" in lines
    assert sum(line.startswith("  swt-time") for line in lines) == 5
    found = json.loads(json.dumps(scores.as_json(), allow_nan=False))
    assert found["windows"] == 3
    assert found["per_cutoff"][0]["cutoff"] == "2024-06-12 00:00:00"
    assert set(found["original"]) == {"swt-time", "seasonal naive", "last value"}


def test_no_observed_value_is_refused():
    series = to_series(long_table({"a": 60}))
    series.observed[0][40:] = False
    with pytest.raises(TableError, match="no value after a cutoff was observed"):
        score_folds(Folds(series, np.array([[40]]), np.zeros((1, 1, 6))))


@pytest.mark.parametrize("like", ["pandas", "polars"])
def test_frame_of_series_keeps_ids_and_order(like):
    frame = long_table({"2": 30, "10": 30}).assign(unique_id=lambda one: one["unique_id"].astype(int))
    frame = pl.from_pandas(frame) if like == "polars" else frame
    found = series_frame(to_series(frame), {"mse": np.array([10.0, 2.0])}, frame)
    assert type(found) is type(frame)
    assert found["unique_id"].to_list() == [2, 10]
    assert found["mse"].to_list() == [2.0, 10.0]  # ids are sorted as text: "10" before "2"
