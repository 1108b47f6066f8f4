"""Intervals from residuals relative to the spread that the forecaster itself gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swt_time.errors import CheckpointError
from swt_time.intervals import Calibration, Residuals, fit_calibration
from swt_time.intervals.calibration import LEAST_SPREAD, unscale

HORIZON, SEASON = 4, 6


def skewed(count, seed=0, noise=0.0):
    """Residuals whose size is three times as large above the forecast as below, and differs between windows.

    The histories do not tell the sizes; the spread does, but for ``noise``, the std of its logarithm.
    """
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(size=(count, 1)) + 0.3 * np.arange(HORIZON))
    spread = size * np.array([1.0, 3.0])[:, None, None]
    values = unscale(rng.normal(size=(count, HORIZON)), spread)
    histories = [rng.normal(size=80) for _ in range(count)]
    pairs = np.stack([np.zeros(count, np.int64), HORIZON * np.arange(count)], axis=1)
    spread = spread * np.exp(noise * rng.normal(size=(count, 1)))
    return Residuals(pairs, values, np.arange(count) * 4 // count, "validation part", spread), histories


@pytest.fixture(scope="module")
def fitted():
    return fit_calibration(*skewed(600), SEASON)


def test_unscale_equals_a_loop():
    rng = np.random.default_rng(0)
    scaled, scales = rng.normal(size=(5, 3, 4)), rng.uniform(1, 2, size=(2, 3, 4))
    found = unscale(scaled, scales)
    for place in np.ndindex(scaled.shape):
        assert found[place] == scaled[place] * scales[int(scaled[place] >= 0)][place[1:]]


def test_intervals_follow_the_spread_and_cover_as_promised(fitted):
    assert fitted.own == 1
    fresh, histories = skewed(4000, seed=1)
    lower, upper = fitted.quantiles(np.zeros_like(fresh.values), histories, [0.1, 0.9], fresh.spread)
    inside = (lower <= fresh.values) & (fresh.values <= upper)
    # a binomial share of 4,000 varies by 0.6 %, that of 600 residuals by 1.6 %
    assert inside.mean(axis=0) == pytest.approx(0.8, abs=0.05)
    wide = fresh.spread[0, :, 0] > np.median(fresh.spread[0, :, 0])
    assert inside[wide].mean() == pytest.approx(inside[~wide].mean(), abs=0.03)
    assert (fresh.values > upper).mean() == pytest.approx(0.1, abs=0.03)
    assert (upper / -lower).mean() == pytest.approx(3.0, rel=0.15)


def test_a_spread_that_says_little_has_half_the_part():
    residuals, histories = skewed(600)
    unit = np.array([np.abs(one[SEASON:] - one[:-SEASON]).mean() for one in histories])
    spread = residuals.spread**2 / unit[:, None]  # the true scale is the geometric mean of this and of the history's
    found = fit_calibration(
        Residuals(residuals.pairs, residuals.values, residuals.block, "", spread), histories, SEASON
    )
    assert found.own == 0.5


def test_a_spread_that_says_nothing_is_left_out():
    assert fit_calibration(*skewed(600, noise=5.0), SEASON).own == 0


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    probabilities=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=8).map(sorted),
)
def test_quantiles_ascend(fitted, seed, probabilities):
    fresh, histories = skewed(5, seed=seed)
    found = fitted.quantiles(np.ones_like(fresh.values), histories, probabilities, fresh.spread)
    assert (np.diff(found, axis=0) >= 0).all()


def test_other_units_give_intervals_in_these_units(fitted):
    fresh, histories = skewed(5, seed=1)
    base = fitted.quantiles(np.ones_like(fresh.values), histories, [0.1, 0.9], fresh.spread)
    residuals, known = skewed(600)
    scaled = Residuals(residuals.pairs, 8 * residuals.values, residuals.block, "", 8 * residuals.spread)
    other = fit_calibration(scaled, [8 * one for one in known], SEASON)
    assert np.array_equal(other.residuals, fitted.residuals)
    found = other.quantiles(8 * np.ones_like(fresh.values), [8 * h for h in histories], [0.1, 0.9], 8 * fresh.spread)
    np.testing.assert_allclose(found, 8 * base, rtol=1e-12)


def test_a_forecast_alone_has_the_bits_that_it_has_among_others(fitted):
    fresh, histories = skewed(9, seed=1)
    yhat = np.ones_like(fresh.values)
    together = fitted.quantiles(yhat, histories, [0.05, 0.5, 0.9], fresh.spread)
    paths = fitted.samples(yhat, histories, 7, 0, fresh.spread)
    for i in range(9):
        alone = slice(i, i + 1)
        found = fitted.quantiles(yhat[alone], histories[alone], [0.05, 0.5, 0.9], fresh.spread[:, alone])
        assert np.array_equal(found, together[:, alone])
        assert np.array_equal(
            fitted.samples(yhat[alone], histories[alone], 7, 0, fresh.spread[:, alone]), paths[:, alone]
        )


def test_sample_paths_have_the_quantiles(fitted):
    fresh, histories = skewed(3, seed=1)
    yhat = np.zeros_like(fresh.values)
    paths = fitted.samples(yhat, histories, len(fitted.residuals), 0, fresh.spread)
    expected = fitted.quantiles(yhat, histories, [0.1, 0.5, 0.9], fresh.spread)
    np.testing.assert_allclose(np.quantile(paths, [0.1, 0.5, 0.9], axis=0), expected, rtol=0.05, atol=0.05)


def test_few_origins_count_with_both_signs():
    residuals, histories = skewed(12)
    one_block = Residuals(residuals.pairs, residuals.values, np.zeros(12), "", residuals.spread)
    found = fit_calibration(one_block, histories, SEASON)
    assert found.own == 1
    assert np.array_equal(found.residuals[:12], -found.residuals[12:])
    # the mirror image of a residual above the forecast is divided by the spread above it
    scaled = residuals.values / np.where(residuals.values < 0, *residuals.spread)
    growth = scaled / found.residuals[:12]
    np.testing.assert_allclose(growth, np.broadcast_to(growth[0], growth.shape), rtol=1e-5)


def test_a_spread_of_zero_counts_as_a_small_one(fitted):
    _, histories = skewed(2, seed=1)
    yhat, nothing = np.zeros((2, HORIZON)), np.zeros((2, 2, HORIZON))
    lower, upper = fitted.quantiles(yhat, histories, [0.1, 0.9], nothing)
    assert (lower < 0).all()
    assert (upper > 0).all()
    assert (upper < 10 * LEAST_SPREAD * 3).all()
    residuals, known = skewed(600)
    residuals.spread[:, ::50] = 0.0
    assert np.isfinite(fit_calibration(residuals, known, SEASON).residuals).all()


def test_arrays_restore_the_calibration(fitted):
    fresh, histories = skewed(5, seed=1)
    again = Calibration.from_arrays(fitted.to_arrays())
    assert again.own == 1
    yhat = np.ones_like(fresh.values)
    for one in (0.1, 0.77):
        expected = fitted.quantiles(yhat, histories, [one], fresh.spread)
        assert np.array_equal(again.quantiles(yhat, histories, [one], fresh.spread), expected)
    residuals, known = skewed(600)
    plain = fit_calibration(Residuals(residuals.pairs, residuals.values, residuals.block, ""), known, SEASON)
    assert "own" not in plain.to_arrays()
    assert Calibration.from_arrays(plain.to_arrays()).own == 0


@pytest.mark.parametrize("value", [-0.5, 2.0, np.nan, [1.0]])
def test_a_damaged_flag_is_refused(fitted, value):
    with pytest.raises(CheckpointError, match="own of the intervals has an impossible shape or value"):
        Calibration.from_arrays(fitted.to_arrays() | {"own": np.array(value)})
