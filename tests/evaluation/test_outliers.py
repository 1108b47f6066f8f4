"""Planted values outside the one-step interval are found, and few others."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.errors import CheckpointError, SWTTimeWarning
from swt_time.evaluation.outliers import find_outliers
from swt_time.evaluation.trained import Trained


def make_noisy(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    days = np.arange(700)
    values = 20 + 3 * np.sin(days * 2 * np.pi / 7) + rng.normal(size=700)
    return pd.DataFrame({"ds": pd.date_range("2024", periods=700, freq="D"), "y": values})


@pytest.fixture(scope="module")
def noisy() -> pd.DataFrame:
    return make_noisy(0)


def test_planted_values_are_found_with_their_times(noisy):
    planted = noisy.copy()
    planted.loc[[650, 690], "y"] += [30, -40]
    fitted = Forecaster(horizon=7).fit(noisy.iloc[:600])
    found = find_outliers(fitted.trained, fitted.read_series(planted), np.array([600]), 95)
    assert found.checked == 100
    assert found.level == 95
    assert set(found.frame["ds"][:2]) == {planted["ds"][650], planted["ds"][690]}, "the most surprising first"
    assert (found.frame["surprise"].diff().dropna() <= 0).all()
    text = list(found.as_text())
    assert text[1].startswith(f"{len(found.frame)} of 100 values lie outside their interval of 95 %")
    assert str(found.frame["ds"][0]) in text[2]


def test_about_as_many_ordinary_values_are_flagged_as_the_level_says():
    shares = []
    for seed in range(4):
        rows = make_noisy(seed)
        fitted = Forecaster(horizon=1).fit(rows.iloc[:400])
        found = find_outliers(fitted.trained, fitted.read_series(rows), np.array([400]), 90)
        shares.append(len(found.frame) / found.checked)
    assert np.mean(shares) == pytest.approx(0.1, abs=0.03)


def test_values_that_were_not_observed_are_no_outliers(noisy):
    holes = noisy.copy()
    holes.loc[620:640, "y"] = np.nan
    fitted = Forecaster(horizon=3, fill="linear").fit(noisy.iloc[:600])
    found = find_outliers(fitted.trained, fitted.read_series(holes), np.array([600]), 80)
    assert found.checked == 100 - 21
    assert not found.frame["ds"].between(holes["ds"][620], holes["ds"][640]).any()


def test_too_few_residuals_for_any_interval_are_an_error(noisy):
    fitted = Forecaster(horizon=7).fit(noisy.iloc[:600])
    one = replace(fitted.trained.calibration, residuals=fitted.trained.calibration.residuals[:1], growth=-1.0)
    checkpoint = fitted.trained.checkpoint.with_intervals(one, {})
    trained = Trained(checkpoint, fitted.model)
    with (
        pytest.warns(SWTTimeWarning, match="it is left out"),
        pytest.raises(CheckpointError, match="too few residuals"),
    ):
        find_outliers(trained, fitted.read_series(noisy), np.array([600]), 99)
