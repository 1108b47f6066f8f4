"""What is learned from residuals."""

import numpy as np
import pytest

from swt_time.intervals import Residuals, fit_calibration
from swt_time.intervals.fitting import FEW_ORIGINS, MOST_RESIDUALS, OWN_STEPS
from swt_time.intervals.scale import describe

HORIZON = 4


def residuals(values: np.ndarray, blocks: int = 3) -> Residuals:
    count = len(values)
    pairs = np.stack([np.arange(count), np.full(count, 100)], axis=1)
    return Residuals(pairs, values, np.arange(count) * blocks // count, "held-out blocks")


def noise(rng: np.random.Generator, count: int, length: int = 100) -> list[np.ndarray]:
    return [rng.normal(size=length) for _ in range(count)]


def coverage(calibration, values, histories, level: float) -> float:
    low, high = calibration.quantiles(np.zeros_like(values), histories, [0.5 - level / 2, 0.5 + level / 2])
    return float(((low <= values) & (values <= high)).mean())


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_coverage_of_new_windows_is_the_level(level):
    rng = np.random.default_rng(0)
    spreads = np.exp(rng.normal(size=3_000))[:, None]
    histories = [s * one for s, one in zip(spreads, noise(rng, 3_000), strict=True)]
    values = spreads * rng.standard_t(3, size=(3_000, HORIZON))
    calibration = fit_calibration(residuals(values[:1000]), histories[:1000], 1)
    assert coverage(calibration, values[1000:], histories[1000:], level) == pytest.approx(level, abs=0.02)


def test_the_scale_follows_the_window_where_that_helps():
    """Errors that grow with the newest difference: intervals of restless windows are wider, and cover as many."""
    rng = np.random.default_rng(1)
    restless = rng.uniform(size=900) < 0.5
    histories = noise(rng, 900)
    for index in np.flatnonzero(restless):
        histories[index][-6:] *= 20
    values = np.where(restless, 10.0, 0.5)[:, None] * rng.normal(size=(900, HORIZON))
    calibration = fit_calibration(residuals(values[:600]), histories[:600], 1)
    assert calibration.coefficients[1] > 0.3
    for group in (restless[600:], ~restless[600:]):
        rows = np.flatnonzero(group) + 600
        found = coverage(calibration, values[rows], [histories[i] for i in rows], 0.8)
        assert found == pytest.approx(0.8, abs=0.1)


def test_the_scale_stays_that_of_the_series_where_the_window_says_nothing():
    rng = np.random.default_rng(2)
    signs = np.where(rng.uniform(size=(600, 150)) < rng.uniform(size=(600, 1)), 1.0, -1.0)
    histories = list(signs.cumsum(axis=1))  # of one seasonal difference, and of many deviations
    calibration = fit_calibration(residuals(rng.normal(size=(600, HORIZON))), histories, 1)
    scales = calibration.scales(describe(histories, 1))[0, :, 0]
    assert scales.std() < 0.1 * scales.mean()


def test_the_scale_follows_the_phase_of_the_season():
    """Nights without noise: their intervals are narrow."""
    rng = np.random.default_rng(3)
    loud = np.tile([0.05, 0.05, 3.0, 3.0], 40)
    histories = [loud * rng.normal(size=160) for _ in range(500)]
    values = loud[:HORIZON] * rng.normal(size=(500, HORIZON))
    values[::2] = loud[2 : 2 + HORIZON] * rng.normal(size=(250, HORIZON))
    histories[::2] = [one[:-2] for one in histories[::2]]  # these forecasts begin at another phase
    calibration = fit_calibration(residuals(values), histories, 4)
    assert calibration.phase == 1.0
    scales = calibration.scales(describe(histories[:2], 4))[0]
    assert (scales[0, :2] > 5 * scales[0, 2:]).all()
    assert (5 * scales[1, :2] < scales[1, 2:]).all()


def test_few_residuals_are_shared_by_all_steps_and_grow_with_the_step():
    rng = np.random.default_rng(4)
    origins = FEW_ORIGINS + 5
    values = rng.normal(size=(origins, HORIZON)) * np.arange(1, HORIZON + 1)
    calibration = fit_calibration(residuals(values), noise(rng, origins), 1)
    assert calibration.shared
    assert calibration.growth == pytest.approx(1.0, abs=0.3)
    assert (calibration.counts == origins * HORIZON).all()
    many = fit_calibration(residuals(rng.normal(size=(OWN_STEPS, HORIZON))), noise(rng, OWN_STEPS), 1)
    assert not many.shared
    assert (many.counts == OWN_STEPS).all()


@pytest.mark.parametrize(("origins", "symmetric"), [(FEW_ORIGINS - 1, True), (FEW_ORIGINS, False)])
def test_very_few_residuals_count_with_both_signs(origins, symmetric):
    rng = np.random.default_rng(5)
    values = 10 + rng.normal(size=(origins, HORIZON))
    histories = noise(rng, origins)
    calibration = fit_calibration(residuals(values), histories, 1)
    low, high = calibration.quantiles(np.zeros((1, HORIZON)), histories[:1], [0.1, 0.9])
    if symmetric:
        np.testing.assert_allclose(low, -high, rtol=1e-6)
    else:
        assert (low > 0).all(), "each tail has its own residuals"


def test_missing_targets_and_constant_series_are_left_out():
    rng = np.random.default_rng(6)
    values, histories = rng.normal(size=(200, HORIZON)), noise(rng, 200)
    holes = values.copy()
    holes[50:, 2] = np.nan
    histories[:10] = [np.full(30, 7.0)] * 10
    calibration = fit_calibration(residuals(holes), histories, 1)
    assert len(calibration.residuals) == 190
    assert calibration.shared, "40 residuals of the third step are too few"
    assert calibration.counts.min() == 190 * HORIZON - 150
    assert fit_calibration(residuals(np.full((5, HORIZON), np.nan)), histories[-5:], 1) is None
    assert fit_calibration(residuals(values[:5]), [np.full(30, 7.0)] * 5, 1) is None


def test_a_constant_series_has_intervals_without_width():
    rng = np.random.default_rng(7)
    calibration = fit_calibration(residuals(rng.normal(size=(200, HORIZON))), noise(rng, 200), 1)
    found = calibration.quantiles(np.full((1, HORIZON), 5.0), [np.full(40, 5.0)], [0.1, 0.9])
    assert (found == 5.0).all()


def test_of_many_origins_an_even_sample_is_kept():
    rng = np.random.default_rng(8)
    count = 2 * MOST_RESIDUALS
    calibration = fit_calibration(residuals(rng.normal(size=(count, 1))), noise(rng, count, 20), 1)
    assert len(calibration.residuals) == MOST_RESIDUALS


def test_perfect_forecasts_and_extreme_values_stay_finite():
    rng = np.random.default_rng(9)
    histories = noise(rng, 120)
    perfect = fit_calibration(residuals(np.zeros((120, HORIZON))), histories, 1)
    assert (perfect.quantiles(np.ones((1, HORIZON)), histories[:1], [0.1, 0.9]) == 1).all()
    wild = np.where(rng.uniform(size=(120, HORIZON)) < 0.1, 1e200, 1e-200)
    found = fit_calibration(residuals(wild), histories, 1).quantiles(np.zeros((1, HORIZON)), histories[:1], [0.1, 0.9])
    assert np.isfinite(found).all()
