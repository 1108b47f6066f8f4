"""Scaling fitted on train rows, verified against exact float64 sums at all magnitudes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swt_time.data import scaling
from swt_time.data.scaling import fit_scaler


def reference_mean_and_std(values):
    """Reference implementation with exact sums."""
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60), st.integers(1, 60))
def test_mean_and_population_std(values, stop):
    scaler = fit_scaler([np.array(values)], [stop])
    mean, std = reference_mean_and_std(values[:stop])
    assert scaler.mean[0] == pytest.approx(mean, rel=1e-9, abs=1e-9)
    if std > 1e-6 * max(abs(v) for v in values):
        assert scaler.std[0] == pytest.approx(std, rel=1e-6)


def test_scaler_ignores_rows_after_train():
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 100))
    changed = one.copy()
    changed[70:] = 1e9
    before, after = fit_scaler([one, other], [70, 70]), fit_scaler([changed, other], [70, 70])
    assert (before.mean == after.mean).all()
    assert (before.std == after.std).all()
    # control: one more train row does change it
    assert fit_scaler([changed, other], [71, 70]).std[0] > 1e6


@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3, 1e300, 1e-300, 5e-324, 123456.789])
def test_constant_series_get_std_one(constant):
    scaler = fit_scaler([np.full(8640, constant)], [8640])
    assert scaler.std[0] == 1.0
    assert scaler.mean[0] == pytest.approx(constant, rel=1e-12)
    assert np.abs(scaler.apply([np.full(3, constant)])[0]).max() <= max(abs(constant), 1e-9) * 1e-12 + 1e-300


@pytest.mark.parametrize("size", [1e300, 1e154, 1.0, 1e-154, 1e-290])
def test_extreme_values_neither_overflow_nor_vanish(size):
    values = np.array([1.0, -2.0, 3.0, 0.5]) * size
    scaler = fit_scaler([values], [4])
    mean, std = reference_mean_and_std([1.0, -2.0, 3.0, 0.5])
    assert scaler.mean[0] / size == pytest.approx(mean, rel=1e-12)
    assert scaler.std[0] / size == pytest.approx(std, rel=1e-12)
    assert np.isfinite(scaler.apply([values])[0]).all()


def test_series_without_train_rows():
    scaler = fit_scaler([np.arange(3.0)], [0])
    assert (scaler.mean[0], scaler.std[0]) == (0.0, 1.0)


@pytest.fixture
def fitted():
    """Two series of different scale, their scaler, and three windows as (series index, rows)."""
    random = np.random.default_rng(1)
    values = [random.normal(5, 3, size=50), random.normal(-100, 0.1, size=30)]
    return values, fit_scaler(values, [40, 20]), [(1, slice(0, 10)), (0, slice(3, 13)), (1, slice(20, 30))]


def test_invert_undoes_apply(fitted):
    values, scaler, windows = fitted
    scaled = scaler.apply(values)
    series = np.array([i for i, _ in windows])
    expected = np.stack([values[i][rows] for i, rows in windows])
    inverted = scaler.invert(np.stack([scaled[i][rows] for i, rows in windows]), series)
    np.testing.assert_allclose(inverted, expected, rtol=1e-12)


def test_apply_to_windows_equals_apply_on_the_same_rows(fitted):
    values, scaler, windows = fitted
    scaled = scaler.apply(values)
    series = np.array([i for i, _ in windows])
    raw = np.stack([values[i][rows] for i, rows in windows])
    found = scaler.apply_to_windows(raw, series)
    assert found.dtype == np.float64
    assert np.array_equal(found, np.stack([scaled[i][rows] for i, rows in windows]))
    # control: another series index scales differently
    assert not np.allclose(scaler.apply_to_windows(raw, 1 - series), found)


def test_invert_undoes_apply_to_windows(fitted):
    values, scaler, windows = fitted
    series = np.array([i for i, _ in windows])
    raw = np.stack([values[i][rows] for i, rows in windows])
    np.testing.assert_allclose(scaler.invert(scaler.apply_to_windows(raw, series), series), raw, rtol=1e-12)


def test_apply_to_windows_overflows_to_infinity():
    scaler = fit_scaler([np.array([0.0, 1e-200])], [2])
    assert scaler.apply_to_windows(np.array([[1e200, -1e200]]), np.array([0])).tolist() == [[np.inf, -np.inf]]


def test_a_scale_is_the_same_in_any_company():
    draw = np.random.default_rng(0)
    series = [draw.normal(5, 10.0 ** draw.integers(-200, 200), size=n) for n in draw.integers(0, 40, size=200)]
    series.append(np.full(7, 3.3))
    together = fit_scaler(series, [40] * len(series))
    for index, values in enumerate(series):
        alone = fit_scaler([values], [40])
        assert (together.mean[index], together.std[index]) == (alone.mean[0], alone.std[0])


def test_equally_long_series_come_together_in_parts_that_fit_the_cache(monkeypatch):
    monkeypatch.setattr(scaling, "TOGETHER", 9)
    series = [np.full(n, float(i)) for i, n in enumerate([4, 3, 4, 0, 4, 20])]
    found = [(indices.tolist(), rows[:, :1].ravel().tolist()) for indices, rows in scaling.equally_long(series)]
    assert found == [([3], []), ([1], [1.0]), ([0, 2], [0.0, 2.0]), ([4], [4.0]), ([5], [5.0])]


def test_scales_of_training_are_preferred_unless_the_unit_differs():
    ramp = np.arange(100.0)
    series = [ramp, 1e6 * ramp, ramp, np.full(100, 7.0), ramp[:50]]
    own = fit_scaler(series, [100] * 5)
    known = dict.fromkeys(("a", "b ", "d", "e"), (1.0, 30.0))
    found, other = own.prefer(known, ["a", "b", "c", "d", " e"], series)
    assert other == ["b"]
    assert found.mean.tolist() == [1.0, own.mean[1], own.mean[2], 1.0, 1.0]
    assert found.std.tolist() == [30.0, own.std[1], own.std[2], 30.0, 30.0]
