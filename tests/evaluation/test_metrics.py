"""Metrics, verified against plain Python loops; sums over batches, compared with one pass over all windows."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swt_time.evaluation.metrics import ErrorSums, add_rows, mae, mase, mse, rmse, seasonal_scale, smape

RANDOM = np.random.default_rng(0)
NAMES = ("mse", "mae", "rmse", "smape")
FORECAST, TARGET = RANDOM.normal(size=(2, 50, 4))


def plain(forecast, target):
    points = [(float(f), float(t)) for f, t in zip(forecast.ravel(), target.ravel(), strict=True)]
    n = len(points)
    squares = sum((f - t) ** 2 for f, t in points) / n
    absolute = sum(abs(f - t) for f, t in points) / n
    percent = 200 * sum(abs(f - t) / (abs(f) + abs(t)) if f or t else 0.0 for f, t in points) / n
    return squares, absolute, squares**0.5, percent


def test_metrics_equal_plain_loops():
    expected = plain(FORECAST, TARGET)
    got = [metric(FORECAST, TARGET) for metric in (mse, mae, rmse, smape)]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_known_values():
    assert mse([1, 3], [0, 0]) == 5.0
    assert mae([1, -3], [0, 0]) == 2.0
    assert smape([0, 1, 2], [0, 0, 2]) == pytest.approx(200 / 3)
    assert seasonal_scale([1, 2, 4, 8], season=2) == 4.5
    assert mase([1, 1], [0, 2], train=[1, 2, 4, 8], season=2) == pytest.approx(1 / 4.5)
    assert np.isnan(mase([1.0], [0.0], train=[3, 3, 3]))


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="one non-empty shape"):
        mse(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ValueError, match="one non-empty shape"):
        mae([], [])
    with pytest.raises(ValueError, match="longer than the season 4"):
        seasonal_scale([1, 2, 3, 4], season=4)
    with pytest.raises(ValueError, match=r"\(B, 4\)"):
        ErrorSums(4).update(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="no window"):
        _ = ErrorSums(4).mse


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_sums_do_not_depend_on_the_batches(sizes):
    cuts = np.cumsum([0, *sizes]).clip(max=50)
    sums = ErrorSums(4)
    for start, stop in pairwise(cuts):
        if stop > start:
            sums.update(FORECAST[start:stop], TARGET[start:stop])
    seen = slice(0, cuts[-1])
    expected = plain(FORECAST[seen], TARGET[seen])
    np.testing.assert_allclose([sums.mse, sums.mae, sums.rmse, sums.smape], expected, rtol=1e-12)
    assert sums.windows == cuts[-1]


def test_mean_of_batch_means_would_be_wrong():
    """Control of the test above: with batches of unequal size the two differ."""
    sums = ErrorSums(4)
    parts = [(FORECAST[:45], TARGET[:45]), (FORECAST[45:], TARGET[45:])]
    for forecast, target in parts:
        sums.update(forecast, target)
    wrong = np.mean([mse(forecast, target) for forecast, target in parts])
    assert sums.mse == pytest.approx(mse(FORECAST, TARGET), rel=1e-12)
    assert abs(sums.mse - wrong) > 1e-3


def test_errors_per_step_and_per_channel():
    channel = RANDOM.integers(0, 2, size=50)
    scales = np.array([0.5, 4.0, 1.0])
    sums = ErrorSums(4, 3, scales)
    sums.update(FORECAST[:30], TARGET[:30], channel[:30])
    sums.update(FORECAST[30:], TARGET[30:], channel[30:])
    scaled = np.abs(FORECAST - TARGET) / scales[channel][:, None]
    for step, found in enumerate(zip(*(sums.per_step()[m] for m in NAMES), strict=True)):
        np.testing.assert_allclose(found, plain(FORECAST[:, [step]], TARGET[:, [step]]), rtol=1e-12)
    np.testing.assert_allclose(sums.per_step()["mase"], scaled.mean(0), rtol=1e-12)
    assert sums.overall()["mase"] == pytest.approx(scaled.mean(), rel=1e-12)
    for one in (0, 1):
        mine = channel == one
        found = [sums.per_channel()[m][one] for m in NAMES]
        np.testing.assert_allclose(found, plain(FORECAST[mine], TARGET[mine]), rtol=1e-12)
        assert sums.per_channel()["mase"][one] == pytest.approx(scaled[mine].mean(), rel=1e-12)
    assert all(np.isnan(values[2]) for values in sums.per_channel().values())


@pytest.mark.parametrize("scale", [0.0, float("nan")])
def test_channel_without_a_scale_is_left_out_of_mase(scale):
    channel = np.arange(50) % 2
    sums = ErrorSums(4, 2, [0.5, scale])
    sums.update(FORECAST, TARGET, channel)
    first = np.abs(FORECAST - TARGET)[channel == 0].mean() / 0.5
    np.testing.assert_allclose(sums.per_channel()["mase"], [first, np.nan])
    assert sums.overall()["mase"] == pytest.approx(first)
    assert np.isnan(ErrorSums(4, 1).scales).all()


def test_float32_input_is_summed_in_float64():
    target = np.zeros((1, 1), np.float32)
    sums = ErrorSums(1)
    for _ in range(3):
        sums.update(target + np.float32(1e-4), target)
    sums.update(target + np.float32(1e4), target)
    assert sums.squared.dtype == np.float64
    assert sums.squared[0, 0] - 1e8 == pytest.approx(3e-8, rel=0.6)


@pytest.mark.parametrize("where", [[], [2], [0, 0, 1], [1, 0, 1, 1, 0, 2]])
@pytest.mark.parametrize("shape", [(), (4,)])
def test_rows_are_added_as_by_numpy(where, shape):
    rows = np.random.default_rng(0).normal(size=(len(where), *shape))
    found, expected = np.ones((2, 3, *shape))
    add_rows(found, np.array(where, dtype=np.int64), rows)
    np.add.at(expected, np.array(where, dtype=np.int64), rows)
    np.testing.assert_allclose(found, expected)
