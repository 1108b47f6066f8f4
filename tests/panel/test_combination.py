"""Weights of candidates and the choice among them."""

import numpy as np
import pytest

from swt_time.panel.combination import (
    ADDED,
    PRIOR,
    choose,
    find_sharpness,
    greedy_weights,
    relative_errors,
    weights_of_series,
    window_errors,
)

EQUAL = np.full(3, 1 / 3)


def test_errors_equal_a_plain_loop():
    random = np.random.default_rng(0)
    forecasts, targets, spread = random.normal(size=(2, 5, 4)), random.normal(size=(5, 4)), random.uniform(1, 2, size=5)
    targets[0, 2:] = np.nan
    found = window_errors(forecasts, targets, spread)
    for c in range(2):
        for w in range(5):
            known = [h for h in range(4) if not np.isnan(targets[w, h])]
            error = sum(abs(forecasts[c, w, h] - targets[w, h]) for h in known) / len(known)
            assert found[c, w] == pytest.approx(error / spread[w])


def test_weights_are_convex_and_favour_the_best():
    random = np.random.default_rng(1)
    targets = random.normal(size=(200, 3))
    forecasts = np.stack([targets + scale * random.normal(size=targets.shape) for scale in (1.0, 0.01, 1.0)])
    weights = greedy_weights(forecasts, targets, np.ones(200), EQUAL)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights[1], (PRIOR / 3 + ADDED) / (PRIOR + ADDED))


def test_opposite_errors_are_balanced():
    random = np.random.default_rng(2)
    targets = random.normal(size=(300, 3))
    shift = random.choice([-1.0, 1.0], size=(300, 1))
    forecasts = np.stack([targets + shift, targets - shift, targets + 5.0])
    weights = greedy_weights(forecasts, targets, np.ones(300), np.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(weights, [0.5, 0.5, 0.0], atol=0.06)


def test_own_weights_follow_own_errors():
    errors = np.array([[1.0, 4.0, 1.0], [2.0, 2.0, 1.0]])
    relative = relative_errors(errors, np.array([0, 1, 1]), 3)
    np.testing.assert_allclose(relative[:, 2], 0.0)
    own = weights_of_series(np.array([0.5, 0.5]), relative, 1.0)
    np.testing.assert_allclose(own.sum(axis=0), 1.0)
    np.testing.assert_allclose(own[0, 0] / own[1, 0], 2.0, rtol=1e-2)
    assert own[0, 1] < 0.5 < own[0, 0]
    np.testing.assert_array_equal(own[:, 2], [0.5, 0.5])
    np.testing.assert_array_equal(weights_of_series(np.array([0.3, 0.7]), relative, 0.0)[:, 0], [0.3, 0.7])


@pytest.mark.parametrize("lasting", [True, False])
def test_sharpness_needs_errors_that_last(lasting):
    random = np.random.default_rng(3)
    count, horizon = 300, 4
    cut = np.repeat([4, 6, 8, 10], count)
    series = np.tile(np.arange(count), 4)
    better = (series % 2).astype(float) if lasting else random.integers(0, 2, size=len(series)).astype(float)
    noise = random.normal(size=(2, len(series), horizon))
    scale = np.stack([1 + 9 * better, 10 - 9 * better])
    found = find_sharpness(
        noise * scale[:, :, None],
        np.zeros((len(series), horizon)),
        np.ones(len(series)),
        np.full(2, 0.5),
        series=series,
        cut=cut,
    )
    assert (found > 0) == lasting


def test_errors_at_overlapping_origins_decide_nothing():
    cut, series = np.array([4, 5, 6, 7]), np.zeros(4, dtype=int)
    forecasts = np.stack([np.zeros((4, 4)), np.ones((4, 4))])
    assert find_sharpness(forecasts, np.zeros((4, 4)), np.ones(4), np.full(2, 0.5), series=series, cut=cut) == 0.0


@pytest.mark.parametrize(
    ("errors", "position"),
    [
        ([1.0, 2.0, 0.985], 0),  # naive, within the margin of the combination
        ([1.0, 2.0, 0.97], 2),
        ([2.0, 0.99, 1.0], 2),  # not naive, better by less than the margin
        ([2.0, 0.97, 1.0], 1),
        ([0.9, 0.9, 1.0], 0),
    ],
)
def test_choice_by_margin(errors, position):
    assert choose(np.array(errors), np.array([True, False, False]), 0.02) == position
