"""Names and values of the columns around a forecast, and what is refused."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pytest

from swt_time import Forecaster
from swt_time.errors import CheckpointError, ConfigError, SWTTimeWarning
from swt_time.evaluation.uncertainty import Uncertainty

HORIZON = 4


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    days = np.arange(300)
    values = 20 + 3 * np.sin(days * 2 * np.pi / 7) + rng.gamma(1.0, size=300)
    return pd.DataFrame({"ds": pd.date_range("2024", periods=300, freq="D"), "y": values})


@pytest.fixture(scope="module")
def fitted(rows) -> Forecaster:
    return Forecaster(horizon=HORIZON).fit(rows)


def test_columns_are_those_that_were_asked_for(fitted, rows):
    names = ["unique_id", "ds", "yhat"]
    assert list(fitted.predict(rows).columns) == [*names, "yhat-lo-80", "yhat-hi-80", "yhat-lo-95", "yhat-hi-95"]
    assert list(fitted.predict(rows, levels=None).columns) == names
    assert list(fitted.predict(rows, levels=[]).columns) == names
    asked = fitted.predict(rows, levels=[90], quantiles=[0.1, 0.5], samples=2)
    assert list(asked.columns) == [*names, "yhat-lo-90", "yhat-hi-90", "0.1", "0.5", "yhat-sample-1", "yhat-sample-2"]


def test_levels_are_pairs_of_quantiles(fitted, rows):
    found = fitted.predict(rows, levels=[80], quantiles=[0.1, 0.9])
    np.testing.assert_array_equal(found["yhat-lo-80"], found["0.1"])
    np.testing.assert_array_equal(found["yhat-hi-80"], found["0.9"])


def test_cross_validation_and_backtest_have_them_too(fitted, rows):
    with pytest.warns(SWTTimeWarning, match="trained on all rows"):
        folds = fitted.cross_validation(rows, windows=3, levels=[80], quantiles=[0.5])
    assert list(folds.columns)[-4:] == ["yhat", "yhat-lo-80", "yhat-hi-80", "0.5"]
    assert (folds["yhat-lo-80"] < folds["yhat-hi-80"]).all()
    for refit in (False, True):
        tested = fitted.backtest(rows, windows=2, levels=[80], refit=refit)
        assert list(tested.columns)[-3:] == ["yhat", "yhat-lo-80", "yhat-hi-80"]
        assert tested.notna().all(axis=None)


def test_a_cutoff_gives_the_intervals_of_the_table_before_it(fitted, rows):
    with pytest.warns(SWTTimeWarning, match="trained on all rows"):
        folds = fitted.cross_validation(rows, windows=2, levels=[80])
    before = fitted.predict(rows.iloc[: -2 * HORIZON], levels=[80])
    np.testing.assert_array_equal(folds["yhat-lo-80"][:HORIZON], before["yhat-lo-80"])


def test_polars_frames_come_back_with_equal_values(fitted, rows):
    found = fitted.predict(pl.from_pandas(rows), levels=[80])
    assert isinstance(found, pl.DataFrame)
    assert found["yhat-lo-80"].to_list() == fitted.predict(rows, levels=[80])["yhat-lo-80"].tolist()


def test_saved_models_give_the_same_columns_bit_for_bit(fitted, rows, tmp_path):
    fitted.save(tmp_path / "model")
    asked = {"levels": [80, 95], "quantiles": [0.3], "samples": 5}
    expected, found = (one.predict(rows, **asked) for one in (fitted, Forecaster.load(tmp_path / "model")))
    pd.testing.assert_frame_equal(expected, found, check_exact=True)


def test_forecasts_in_threads_have_equal_columns(fitted, rows):
    asked = {"levels": [80, 95], "quantiles": [0.3], "samples": 3}
    expected = fitted.predict(rows, **asked)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: fitted.predict(rows, **asked), range(8)):
            pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"levels": [0.8]}, "percentages from 1 to below 100, such as 80; got 0.8"),
        ({"levels": [100]}, "percentages from 1 to below 100, such as 80; got 100"),
        ({"levels": [float("nan")]}, "percentages from 1 to below 100"),
        ({"quantiles": [80]}, "between 0 and 1, such as 0.1; got 80"),
        ({"quantiles": [0]}, "between 0 and 1, such as 0.1; got 0"),
        ({"samples": -1}, "samples must be from 0 to 100,000; got -1"),
    ],
)
def test_values_out_of_range_are_refused(fitted, rows, asked, message):
    with pytest.raises(ConfigError, match=message):
        fitted.predict(rows, **asked)


def test_a_level_beyond_the_residuals_is_replaced_and_said(rows):
    fitted = Forecaster(horizon=HORIZON).fit(rows.iloc[:9])
    count = int(fitted.trained.calibration.counts.min())
    widest = int(np.floor(fitted.trained.calibration.widest))
    assert widest < 99
    with pytest.warns(
        SWTTimeWarning, match=rf"level 99 needs 199 residuals of a step, the model has {count}.*{widest}"
    ):
        found = fitted.predict(rows.iloc[:9], levels=[50, 99])
    assert list(found.columns)[3:] == ["yhat-lo-50", "yhat-hi-50", f"yhat-lo-{widest}", f"yhat-hi-{widest}"]
    with pytest.warns(SWTTimeWarning, match=r"quantile 0\.001 is left out"):
        found = fitted.predict(rows.iloc[:9], levels=None, quantiles=[0.001, 0.5])
    assert list(found.columns)[3:] == ["0.5"]


def test_a_model_without_residuals_says_so_when_asked(rows):
    fitted = Forecaster(horizon=HORIZON).fit(rows.iloc[:6])
    assert fitted.trained.calibration is None
    assert list(fitted.predict(rows.iloc[:6]).columns) == ["unique_id", "ds", "yhat"]
    for asked in ({"levels": [90]}, {"quantiles": [0.5]}, {"samples": 1}):
        with pytest.raises(CheckpointError, match="no intervals: there were no rows that it was not fitted to"):
            fitted.predict(rows.iloc[:6], **asked)


@pytest.mark.parametrize("values", [np.full(60, 5.0), np.tile([1.0, 5.0, 2.0, 8.0, 3.0, 3.0, 9.0], 9)[:60]])
def test_a_table_that_repeats_itself_has_no_intervals_for_that_reason(rows, swt_time, tmp_path, values):
    rows.iloc[:60].assign(y=values).to_csv(tmp_path / "t.csv", index=False)
    words = ("forecast", "--data", tmp_path / "t.csv", "--horizon", HORIZON, "--out", "-")
    run = swt_time(*words, "--levels", 80, check=False)
    assert run.returncode == 2
    why = "each value of the rows that it was not fitted to repeats the one a season before"
    assert f"error: the model has no intervals: {why}; ask for the forecast alone (--levels none)" in run.stderr
    assert f"intervals: the model has none, since {why}\n" in swt_time(*words).stderr


def test_asking_for_nothing_computes_nothing():
    assert Uncertainty().columns(None, None, None, None) == {}
