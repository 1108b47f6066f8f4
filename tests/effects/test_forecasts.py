"""Forecasts with covariates: through the library and the command line, saved and loaded."""

import warnings

import numpy as np
import pandas as pd
import pytest

from support.promotions import promoted
from swt_time import Forecaster
from swt_time.cli import run
from swt_time.errors import SWTTimeWarning, TableError

HORIZON = 7
KNOWN = ("promotion", "rain")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return promoted(307)


@pytest.fixture(scope="module")
def forecaster(frame) -> Forecaster:
    return Forecaster(horizon=HORIZON, known=KNOWN, target="sales").fit(frame.iloc[:300])


def test_a_forecast_follows_the_covariates_of_the_future(frame, forecaster):
    table, future = frame.iloc[:300], frame.iloc[300:].drop(columns="sales")
    plain = forecaster.predict(table, future=future.assign(promotion=0.0), levels=None)["yhat"]
    promotion = forecaster.predict(table, future=future.assign(promotion=1.0), levels=None)["yhat"]
    assert (promotion - plain).between(2.5, 5.5).all()  # 4 by construction


def test_future_rows_may_stand_in_the_table_and_more_of_them_change_nothing(frame, forecaster):
    table, future = frame.iloc[:300], frame.iloc[300:].drop(columns="sales")
    expected = forecaster.predict(table, future=future)
    whole = frame.assign(sales=frame["sales"].where(frame.index < 300))
    pd.testing.assert_frame_equal(forecaster.predict(whole), expected)
    with pytest.raises(TableError, match="'promotion' of series 'sales' has no value at 2022-11-03"):
        forecaster.predict(table, future=future.iloc[:4])
    with pytest.raises(TableError, match="no column 'promotion'"):
        forecaster.predict(table, future=future.drop(columns="promotion"))


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_no_note_says_that_future_rows_are_left_out_where_they_are_used(frame, layout):
    """In a wide and in a long table alike; without known covariates they are left out."""
    whole = frame.assign(sales=frame["sales"].where(frame.index < 300)).rename(columns={"sales": "y"})
    if layout == "long":
        whole = whole.assign(unique_id="sales")
    with pytest.warns(SWTTimeWarning, match="7 rows after the last value have no value and were left out"):
        Forecaster(horizon=HORIZON, target="y").read_series(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SWTTimeWarning)
        series = Forecaster(horizon=HORIZON, target="y", known=KNOWN).read_series(whole)
    assert [len(column.values[0]) for column in series.covariates.columns] == [307, 307]


def test_a_saved_model_forecasts_the_same(frame, forecaster, tmp_path):
    forecaster.save(tmp_path / "model")
    again = Forecaster.load(tmp_path / "model")
    table, future = frame.iloc[:300], frame.iloc[300:]
    pd.testing.assert_frame_equal(again.predict(table, future=future), forecaster.predict(table, future=future))


def test_a_covariate_without_effect_leaves_the_forecast_as_it_is(frame):
    table = frame.iloc[:300]
    plain = Forecaster(horizon=HORIZON, target="sales").fit(table).predict(table)
    draws = np.random.default_rng(7)
    noise = table.assign(promotion=draws.random(300), rain=draws.random(300))
    other = Forecaster(horizon=HORIZON, target="sales", known=KNOWN).fit(noise)
    assert other.trained.effects.groups == ()
    pd.testing.assert_frame_equal(other.predict(noise), plain)


def test_backtests_use_the_covariates_of_the_table(frame):
    scores = {}
    for known in ((), KNOWN):
        forecaster = Forecaster(horizon=HORIZON, target="sales", known=known)
        found = forecaster.backtest(frame, windows=4)
        scores[known] = ((found["y"] - found["yhat"]) ** 2).mean()
    assert scores[KNOWN] < 0.5 * scores[()]


def test_the_command_line_takes_covariates(frame, tmp_path, capsys):
    frame.iloc[:300].to_csv(tmp_path / "sales.csv", index=False)
    frame.iloc[300:].drop(columns="sales").to_csv(tmp_path / "future.csv", index=False)
    command = ["forecast", "--data", "sales.csv", "--horizon", "7", "--target", "sales", "--known", "promotion,rain"]
    paths = [str(tmp_path / one) if one.endswith(".csv") else one for one in command]
    paths += ["--future", str(tmp_path / "future.csv"), "--out", str(tmp_path / "out.csv")]
    model = str(tmp_path / "model")
    assert run([*paths, "--save", model]) == 0
    written = pd.read_csv(tmp_path / "out.csv")
    assert len(written) == HORIZON
    capsys.readouterr()
    assert run(["info", "--model", model]) == 0
    described = capsys.readouterr().out
    assert "promotion" in described
    assert "rain                         left out" in described
