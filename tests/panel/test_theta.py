"""The Theta methods, verified against plain loops, committed numbers of statsforecast, and statsforecast itself."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import golden_theta
from support.reference_panel import best_theta, theta_path
from swt_time.panel.rows import Rows, as_rows
from swt_time.panel.seasonality import find_season
from swt_time.panel.theta import WARM_UP, fit_theta, lines, with_states

GOLDEN = json.loads(golden_theta.FILE.read_text(encoding="utf-8"))["entries"]
GOLDEN_IDS = [f"{one['name']} {'dynamic' if one['dynamic'] else 'standard'}" for one in GOLDEN]


def adjusted(values, season):
    """Return one seasonally adjusted series as rows, and its season."""
    rows = as_rows([np.array(values)], season)
    found = find_season(rows, season)
    return Rows(found.remove(rows.values, np.arange(len(values))), rows.observed, rows.lengths, rows.gaps), found


def walks(count=5, seed=0):
    random = np.random.default_rng(seed)
    return [100 + np.cumsum(random.normal(size=n)) for n in random.integers(6, 60, size=count)]


@pytest.mark.parametrize("dynamic", [False, True])
def test_forecast_and_error_equal_plain_loops(dynamic):
    series = walks()
    fitted = fit_theta(as_rows(series, 1), dynamic)
    forecasts = fitted.forecast(8)
    for row, values in enumerate(series):
        parameters = fitted.alpha[row], fitted.initial[row], fitted.weight[row]
        errors, expected = theta_path(values, *parameters, dynamic, 8)
        np.testing.assert_allclose(forecasts[row], expected, rtol=1e-9)
        scored = errors[WARM_UP:]
        assert fitted.error[row] * len(scored) == pytest.approx(scored @ scored, rel=1e-2)


@pytest.mark.parametrize("dynamic", [False, True])
def test_parameters_are_optimal(dynamic):
    series = walks(4, seed=1)
    fitted = fit_theta(as_rows(series, 1), dynamic)
    for row, values in enumerate(series):
        errors = theta_path(values, fitted.alpha[row], fitted.initial[row], fitted.weight[row], dynamic, 0)[0][WARM_UP:]
        # With alpha at its upper bound, the faint weights of the first errors keep the initial level from running away.
        tolerance = 1.02 if fitted.alpha[row] > 0.98 else 1.002
        assert errors @ errors <= best_theta(values, dynamic) * tolerance
        worse = theta_path(values, 0.5, values[0], 0.5, dynamic, 0)[0][WARM_UP:]
        assert errors @ errors <= worse @ worse


def test_weight_of_the_line_stays_within_its_bounds():
    growing = [np.exp(0.05 * np.arange(30)) * one for one in (1.0, 50.0)]
    weights = fit_theta(as_rows([*walks(40, seed=6), *growing], 1), dynamic=True).weight
    assert weights.min() == 0.0
    assert weights.max() == 1.0


def test_lines_are_least_squares():
    series = walks(3, seed=2)
    intercept, slope = lines(as_rows(series, 1))
    for row, values in enumerate(series):
        for t in range(1, len(values)):
            expected = np.polyfit(np.arange(1, t + 2), values[: t + 1], 1)
            np.testing.assert_allclose([slope[t, row], intercept[t, row]], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("entry", GOLDEN, ids=GOLDEN_IDS)
def test_forecast_equals_statsforecast_at_its_parameters(entry):
    rows, season = adjusted(entry["values"], entry["season"])
    assert season.seasonal[0] == ("season" in entry["name"] and "without" not in entry["name"])
    alpha, initial = (np.array([entry["parameters"][key]]) for key in ("alpha", "initial_smoothed"))
    weight = 1 - 1 / np.array([entry["parameters"]["theta"]])
    last = [one[-1] for one in lines(rows)]
    fitted = with_states(
        rows, last, alpha=alpha, initial=initial, weight=weight, error=np.zeros(1), dynamic=entry["dynamic"]
    )
    steps = rows.lengths[:, None] + np.arange(golden_theta.HORIZON)
    found = season.restore(fitted.forecast(golden_theta.HORIZON), steps)[0]
    # The additive decomposition of statsmodels rounds near zero; everything else agrees to the last digits.
    np.testing.assert_allclose(found, entry["forecast"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("entry", GOLDEN, ids=GOLDEN_IDS)
def test_error_is_not_larger_than_that_of_statsforecast(entry):
    rows, _ = adjusted(entry["values"], entry["season"])
    fitted = fit_theta(rows, entry["dynamic"])
    theirs = entry["parameters"]
    values, dynamic = rows.values[0], entry["dynamic"]
    own = theta_path(values, fitted.alpha[0], fitted.initial[0], fitted.weight[0], dynamic, 0)[0][WARM_UP:]
    peer = theta_path(values, theirs["alpha"], theirs["initial_smoothed"], 1 - 1 / theirs["theta"], dynamic, 0)[0][
        WARM_UP:
    ]
    assert own @ own <= peer @ peer * 1.001


def test_golden_series_are_those_of_the_generator():
    examples = golden_theta.examples()
    assert {one["name"] for one in GOLDEN} == set(examples)
    for entry in GOLDEN:
        np.testing.assert_allclose(entry["values"], examples[entry["name"]][0], rtol=1e-12)


def test_forecasts_agree_with_statsforecast():
    theta = pytest.importorskip("statsforecast.theta")
    for seed in range(10):
        values = walks(1, seed + 10)[0]
        fitted = fit_theta(as_rows([values], 1))
        expected = theta.forecast_theta(theta.auto_theta(y=values, m=1, model="STM"), 6)["mean"]
        np.testing.assert_allclose(fitted.forecast(6)[0], expected, rtol=5e-3)


@pytest.mark.parametrize("dynamic", [False, True])
@settings(max_examples=50)
@given(
    values=st.lists(st.floats(-100, 100, width=32), min_size=6, max_size=40),
    factor=st.sampled_from([0.25, 2.0, 1024.0]),
    shift=st.integers(-1000, 1000),
)
def test_scale_and_shift_equivariance(values, factor, shift, dynamic):
    values = np.array(values)
    plain = fit_theta(as_rows([values], 1), dynamic).forecast(5)
    scaled = fit_theta(as_rows([values * factor], 1), dynamic).forecast(5)
    np.testing.assert_allclose(scaled, plain * factor, rtol=1e-9, atol=1e-9)
    # A shift changes the last bits, and with them the choice between values of alpha that fit equally well.
    moved = fit_theta(as_rows([values + shift], 1), dynamic)
    errors = fit_theta(as_rows([values], 1), dynamic).error, moved.error
    np.testing.assert_allclose(*errors, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dynamic", [False, True])
def test_forecast_is_shifted_with_the_series(dynamic):
    for values in walks(6, seed=5):
        plain = fit_theta(as_rows([values], 1), dynamic).forecast(6)
        moved = fit_theta(as_rows([values + 512], 1), dynamic).forecast(6)
        np.testing.assert_allclose(moved, plain + 512, rtol=1e-6)


def test_a_series_is_fitted_as_if_alone():
    series = walks(12, seed=3)
    together = fit_theta(as_rows(series, 1), True).forecast(4)
    for row, values in enumerate(series):
        np.testing.assert_allclose(fit_theta(as_rows([values], 1), True).forecast(4)[0], together[row], rtol=1e-9)
