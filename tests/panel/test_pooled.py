"""The pooled regression: its prior, a planted correction, and robustness."""

import numpy as np
import pytest

from swt_time.panel.history import describe
from swt_time.panel.pooled import RobustRidge, fit_pooled


def windows(count=200, season=4, seed=0):
    random = np.random.default_rng(seed)
    series = [50 + np.cumsum(random.normal(size=n)) for n in random.integers(8, 60, size=count)]
    return describe(series, season, 3), random


@pytest.mark.parametrize("name", ["plain", "log"])
def test_infinite_strength_is_theta(name):
    histories, random = windows()
    scale = getattr(histories, name)
    targets = random.uniform(0.5, 1.0, size=scale.theta.shape)
    everywhere = np.ones(len(targets), dtype=bool)
    weak, strong = fit_pooled(scale, targets, everywhere, [0.01, 1e15])
    np.testing.assert_allclose(strong.forecast(scale), scale.restore(scale.theta), rtol=1e-9)
    assert np.abs(weak.forecast(scale) / scale.restore(scale.theta) - 1).mean() > 0.01


def test_without_windows_is_theta():
    histories, _ = windows(5)
    scale = histories.plain
    nothing = np.full(scale.theta.shape, np.nan)
    for targets, used in ((nothing, np.ones(5, dtype=bool)), (scale.theta, np.zeros(5, dtype=bool))):
        (fitted,) = fit_pooled(scale, targets, used, [0.01])
        np.testing.assert_array_equal(fitted.forecast(scale), scale.restore(scale.theta))


def test_a_planted_correction_is_learned():
    histories, random = windows(800, season=1)
    scale = histories.plain
    # The truth is halfway between the Theta forecast and the last value, with a few gross errors.
    truth = scale.restore(
        scale.theta + 0.5 * (scale.features[:, :, 2] - scale.features[:, :, 0]) * scale.spread[:, None]
    )
    targets = truth.copy()
    targets[random.random(truth.shape) < 0.05] += 100.0
    (fitted,) = fit_pooled(scale, targets, np.ones(800, dtype=bool), [1e-4])
    before = np.abs(scale.restore(scale.theta) - truth).mean()
    assert np.abs(fitted.forecast(scale) - truth).mean() < 0.1 * before


def test_unknown_targets_do_not_matter():
    histories, _ = windows(300)
    scale = histories.plain
    targets = scale.restore(scale.dynamic)
    targets[::2] = np.nan
    used = np.zeros(300, dtype=bool)
    used[1::2] = True
    everywhere = np.ones(300, dtype=bool)
    (one,), (two,) = fit_pooled(scale, targets, everywhere, [0.1]), fit_pooled(scale, targets, used, [0.1])
    np.testing.assert_allclose(one.coefficients, two.coefficients, rtol=1e-9)


def test_regression_is_robust():
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 2))
    y = x @ [1.0, -2.0] + 0.1 * random.normal(size=400)
    y[:60] += 50.0
    ridge = RobustRidge(len(x), 2)
    ridge.load(x, y)
    found = ridge.solve(1e-6 * np.eye(2), np.zeros(2), 10)
    np.testing.assert_allclose(found, [1.0, -2.0], atol=0.05)
    squares = np.linalg.lstsq(x, y, rcond=None)[0]
    assert np.abs(squares - [1.0, -2.0]).max() > 0.1
