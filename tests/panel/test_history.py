"""What the history of a window says."""

import numpy as np
import pytest

from swt_time.panel.history import describe

FIELDS = ("theta", "dynamic", "features", "index")


def histories(season=4, seed=0):
    random = np.random.default_rng(seed)
    panel = []
    for length in random.integers(6, 60, size=12):
        time = np.arange(length)
        wave = 1 + 0.3 * np.sin(2 * np.pi * time / season)
        panel.append((30 + time) * wave * np.exp(0.05 * random.normal(size=length)))
    return panel


@pytest.mark.parametrize("name", ["plain", "log"])
def test_a_gap_at_the_end_moves_the_targets_ahead(name):
    """What is said over a gap of three equals what is said of later steps from before the gap."""
    panel = histories()
    short = getattr(describe([np.append(one, [np.nan] * 3) for one in panel], 4, 5), name)
    long = getattr(describe(panel, 4, 8), name)
    for field in FIELDS:
        np.testing.assert_allclose(getattr(short, field), getattr(long, field)[:, 3:], rtol=1e-9, atol=1e-12)


def test_seasonal_features_are_distances_to_the_same_phase():
    time = np.arange(24)
    values = 10 + 0.0 * time
    values[-4:] = [10, 20, 30, 40]
    values[-8:-4] = [10, 12, 14, 16]
    found = describe([values], 4, 6).plain
    unit = 64.0
    one, two = found.features[0, :, -3], found.features[0, :, -2]
    same, before = np.array([10, 20, 30, 40, 10, 20]) / unit, np.array([10, 12, 14, 16, 10, 12]) / unit
    level = same[0] - one[0] * found.spread[0]
    np.testing.assert_allclose(one * found.spread[0], same - level)
    np.testing.assert_allclose(two * found.spread[0], (same + before) / 2 - level)


@pytest.mark.parametrize("name", ["plain", "log"])
def test_restore_undoes_adjust(name):
    found = describe(histories(), 4, 5)
    scale = getattr(found, name)
    assert found.plain.multiplicative.any()
    targets = np.random.default_rng(1).uniform(0.2, 1, size=scale.theta.shape)
    np.testing.assert_allclose(scale.restore(scale.adjust(targets)), targets, rtol=1e-12)


def test_a_target_without_a_logarithm_is_unknown():
    scale = describe([np.arange(1.0, 9.0)], 1, 3).log
    np.testing.assert_array_equal(np.isnan(scale.adjust(np.array([[1.0, 0.0, -1.0]]))), [[False, True, True]])


def test_values_that_are_not_positive_have_no_log_scale():
    found = describe([np.arange(8.0), np.arange(1.0, 9.0), np.arange(-4.0, 4.0)], 1, 3)
    np.testing.assert_array_equal(found.positive, [False, True, False])
    np.testing.assert_array_equal(found.nonnegative, [True, True, False])
