"""Scores of intervals and quantiles: plain loops, utilsforecast, the definition of fev, and a known integral."""

import doctest
import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swt_time.evaluation import interval_metrics
from swt_time.evaluation.interval_metrics import (
    CRPS_PROBABILITIES,
    DECILES,
    IntervalSums,
    coverage,
    crps,
    interval_score,
    level_probabilities,
    mean_width,
    msis,
    quantile_loss,
    scaled_crps,
    weighted_quantile_loss,
)

RANDOM = np.random.default_rng(0)
LEVELS = (80, 95)
CHANNEL = RANDOM.integers(0, 2, size=40)
TARGET = RANDOM.normal(3, 2, size=(40, 5))
TARGET[RANDOM.random(TARGET.shape) < 0.1] = np.nan
SUMS = IntervalSums(LEVELS)
QUANTILES = np.sort(RANDOM.normal(3, 2, size=(len(SUMS.probabilities), *TARGET.shape)), axis=0)
KNOWN = ~np.isnan(TARGET)
SCALES = np.array([0.5, 4.0, 1.0])


def at(probability, quantiles=QUANTILES):
    return quantiles[SUMS.probabilities.index(probability)]


def of(probabilities):
    return np.stack([at(probability) for probability in probabilities])


def slow_pinball(quantile, y, p):
    return p * (y - quantile) if y >= quantile else (1 - p) * (quantile - y)


def slow_interval_score(lower, upper, y, level):
    alpha = (100 - level) / 100
    return upper - lower + (2 / alpha * (lower - y) if y < lower else 2 / alpha * (y - upper) if y > upper else 0)


def added(sums, rows=slice(None), channel=CHANNEL):
    sums.update(QUANTILES[:, rows], TARGET[rows], channel[rows])
    return sums


def test_examples():
    results = doctest.testmod(interval_metrics)
    assert results.attempted >= 7
    assert results.failed == 0


def test_probabilities_are_those_that_are_said():
    assert CRPS_PROBABILITIES == (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
    assert level_probabilities(95) == (0.025, 0.975)
    assert IntervalSums(LEVELS).probabilities == CRPS_PROBABILITIES
    assert IntervalSums([99]).probabilities == (0.005, *CRPS_PROBABILITIES, 0.995)


@pytest.mark.parametrize("level", LEVELS)
def test_scores_of_intervals_equal_plain_loops(level):
    lower, upper = (at(p) for p in level_probabilities(level))
    points = list(zip(lower[KNOWN], upper[KNOWN], TARGET[KNOWN], strict=True))
    assert 0 < coverage(lower, upper, TARGET) < 1
    assert coverage(lower, upper, TARGET) == pytest.approx(np.mean([a <= y <= b for a, b, y in points]))
    assert mean_width(lower, upper, TARGET) == pytest.approx(np.mean([b - a for a, b, y in points]))
    expected = np.mean([slow_interval_score(a, b, y, level) for a, b, y in points])
    assert interval_score(lower, upper, TARGET, level) == pytest.approx(expected)
    train = [1.0, 3.0, 2.0, 7.0, np.nan, 4.0]  # seasonal differences 1, 4 and 3
    assert msis(lower, upper, TARGET, level, train, season=2) == pytest.approx(expected / (8 / 3))
    assert math.isnan(msis(lower, upper, TARGET, level, [1.0, 1.0, 1.0]))


def test_scores_of_quantiles_equal_plain_loops():
    losses = {
        p: np.mean([slow_pinball(q, y, p) for q, y in zip(at(p)[KNOWN], TARGET[KNOWN], strict=True)])
        for p in CRPS_PROBABILITIES
    }
    for p, expected in losses.items():
        assert quantile_loss(at(p), TARGET, p) == pytest.approx(expected)
    whole = 2 * sum(losses.values()) / 13
    assert crps(of(CRPS_PROBABILITIES), TARGET) == pytest.approx(whole)
    assert scaled_crps(of(CRPS_PROBABILITIES), TARGET) == pytest.approx(whole / np.mean(np.abs(TARGET[KNOWN])))


def slow_fev_wql(y_true, q_pred, levels):
    """Weighted quantile loss as fev defines it: ``y_true`` (N, H, D), ``q_pred`` (N, H, D, Q).

    By dimension and level the mean of ``2 |(y - q) ((y <= q) - level)|`` over items and steps, divided by the mean of
    ``|y|`` of the dimension; then the mean over dimensions, and over levels.
    """
    items, steps, dimensions = y_true.shape
    by_level = []
    for k, level in enumerate(levels):
        by_dimension = []
        for d in range(dimensions):
            losses, sizes = [], []
            for i in range(items):
                for h in range(steps):
                    y, q = y_true[i, h, d], q_pred[i, h, d, k]
                    if not math.isnan(y):
                        losses.append(2 * abs((y - q) * ((1 if y <= q else 0) - level)))
                        sizes.append(abs(y))
            by_dimension.append((sum(losses) / len(losses)) / (sum(sizes) / len(sizes)))
        by_level.append(sum(by_dimension) / dimensions)
    return sum(by_level) / len(levels)


def test_weighted_quantile_loss_is_that_of_fev():
    expected = slow_fev_wql(TARGET[:, :, None], np.moveaxis(of(DECILES), 0, -1)[:, :, None], DECILES)
    assert weighted_quantile_loss(of(DECILES), TARGET) == pytest.approx(expected)
    assert added(IntervalSums(LEVELS, 2)).overall()["weighted_quantile_loss"] == pytest.approx(expected)
    assert math.isnan(weighted_quantile_loss([[1.0]], [0.0], [0.5]))


def test_scores_are_those_of_utilsforecast():
    losses = pytest.importorskip("utilsforecast.losses", reason="comes with the extra dev")
    rows, steps = np.nonzero(KNOWN)
    frame = pd.DataFrame({"unique_id": CHANNEL[rows], "y": TARGET[rows, steps]})
    names = {p: f"q{p}" for p in CRPS_PROBABILITIES}
    for p, name in names.items():
        frame[name] = at(p)[rows, steps]
    for level in LEVELS:
        for side, p in zip(("lo", "hi"), level_probabilities(level), strict=True):
            frame[f"m-{side}-{level}"] = frame[names[p]]
    found = added(IntervalSums(LEVELS, 2)).per_channel()

    def theirs(metric, models, *words):
        return metric(frame, models, *words).sort_values("unique_id").iloc[:, -1].to_numpy(np.float64)

    for row, level in enumerate(LEVELS):
        np.testing.assert_allclose(found["coverage"][row], theirs(losses.coverage, ["m"], level))
        np.testing.assert_allclose(found["interval_score"][row], theirs(losses.winkler_score, ["m"], level))
    for row, p in enumerate(CRPS_PROBABILITIES):
        np.testing.assert_allclose(found["quantile_loss"][row], theirs(losses.quantile_loss, {"m": names[p]}, p))
    every = {"m": list(names.values())}
    loss = theirs(losses.mqloss, every, np.array(CRPS_PROBABILITIES))
    np.testing.assert_allclose(found["crps"], 2 * loss)
    scaled = theirs(losses.scaled_crps, every, np.array(CRPS_PROBABILITIES))
    np.testing.assert_allclose(found["scaled_crps"], scaled)


def test_crps_approaches_its_integral():
    """The CRPS of the uniform distribution on 0 to 1 is ``y^2 - y + 1/3`` inside."""
    fine = (np.arange(1000) + 0.5) / 1000
    for y in (0.0, 0.2, 0.9):
        assert crps(fine[:, None], [y], fine.tolist()) == pytest.approx(y**2 - y + 1 / 3, abs=1e-4)


def test_crps_of_a_forecast_without_spread_is_the_absolute_error():
    yhat = np.where(KNOWN, TARGET, 0.0) + RANDOM.normal(size=TARGET.shape)
    expected = np.abs(yhat - TARGET)[KNOWN].mean()
    assert crps(np.stack([yhat] * 13), TARGET) == pytest.approx(expected)


@pytest.mark.parametrize("level", LEVELS)
def test_interval_score_is_least_at_the_right_quantiles(level):
    y = np.sort(np.random.default_rng(1).normal(size=2001))
    bounds = np.quantile(y, level_probabilities(level))

    def score(lower, upper):
        return interval_score(np.full(2001, lower), np.full(2001, upper), y, level)

    best = score(*bounds)
    for shift in (-0.2, 0.2):
        assert score(bounds[0] + shift, bounds[1]) > best
        assert score(bounds[0], bounds[1] + shift) > best


def test_sums_equal_the_functions():
    sums = added(IntervalSums(LEVELS, 3, SCALES))
    whole, each = sums.overall(), sums.per_channel()
    cases = [(whole, np.full(40, True))]
    cases += [({name: one[..., c] for name, one in each.items()}, np.equal(CHANNEL, c)) for c in (0, 1)]
    for found, mine in cases:
        quantiles, target = QUANTILES[:, mine], TARGET[mine]
        for row, level in enumerate(LEVELS):
            lower, upper = (at(p, quantiles) for p in level_probabilities(level))
            assert found["coverage"][row] == pytest.approx(coverage(lower, upper, target))
            assert found["width"][row] == pytest.approx(mean_width(lower, upper, target))
            assert found["interval_score"][row] == pytest.approx(interval_score(lower, upper, target, level))
        assert found["crps"] == pytest.approx(crps(quantiles, target))
        assert found["scaled_crps"] == pytest.approx(scaled_crps(quantiles, target))
        deciles = np.stack([at(p, quantiles) for p in DECILES])
        assert found["weighted_quantile_loss"] == pytest.approx(weighted_quantile_loss(deciles, target))
    assert all(np.isnan(values[..., 2]).all() for values in each.values())
    np.testing.assert_allclose(each["msis"][:, :2], each["interval_score"][:, :2] / SCALES[:2])
    weights = sums.points[:2] / sums.points.sum()
    np.testing.assert_allclose(whole["msis"], each["msis"][:, :2] @ weights)
    units = np.array([2.0, 5.0, 1.0])
    scaled = sums.overall(units)
    for name in ("width", "interval_score", "crps"):
        np.testing.assert_allclose(scaled[name], (each[name][..., :2] / units[:2]) @ weights)
    for name in ("coverage", "msis", "scaled_crps", "weighted_quantile_loss"):
        np.testing.assert_array_equal(scaled[name], whole[name])


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_sums_do_not_depend_on_the_batches(sizes):
    cuts = np.cumsum([0, *sizes]).clip(max=40)
    sums = IntervalSums(LEVELS, 3, SCALES)
    for start, stop in pairwise(cuts):
        if stop > start:
            added(sums, slice(start, stop))
    once = added(IntervalSums(LEVELS, 3, SCALES), slice(0, cuts[-1]))
    for name, value in once.overall().items():
        np.testing.assert_allclose(sums.overall()[name], value, rtol=1e-12)
    np.testing.assert_allclose(sums.pit(), once.pit(), rtol=1e-12)


def test_channel_without_a_scale_is_left_out_of_msis():
    for scale in (0.0, float("nan")):
        sums = added(IntervalSums(LEVELS, 2, [0.5, scale]))
        first = sums.per_channel()["interval_score"][:, 0] / 0.5
        np.testing.assert_allclose(sums.per_channel()["msis"], np.stack([first, [np.nan] * 2], axis=1))
        np.testing.assert_allclose(sums.overall()["msis"], first)


def test_a_level_without_quantiles_has_no_score():
    """A mean over the points that have one would be a score of other points; the rest is scored."""
    quantiles = QUANTILES.copy()
    quantiles[[0, -1], 7] = np.nan
    sums = IntervalSums(LEVELS)
    sums.update(quantiles, TARGET)
    found = sums.overall()
    for name in ("coverage", "width", "interval_score"):
        assert np.isfinite(found[name][0])
        assert np.isnan(found[name][1])
    assert np.isnan(found["crps"])
    assert np.isfinite(found["weighted_quantile_loss"])
    assert np.isfinite(sums.pit()).all()
    none = IntervalSums(LEVELS)
    none.update(np.full_like(quantiles, np.nan), TARGET)
    assert np.isnan(none.pit()).all()
    assert math.isnan(coverage([np.nan], [1.0], [0.0]))


def test_the_histogram_of_uniform_ranks_is_flat_and_counts_each_value_once():
    sums = IntervalSums(LEVELS)
    ranks = (np.arange(1000) + 0.5) / 1000  # of a uniform distribution, whose quantiles are the probabilities
    quantiles = np.broadcast_to(np.array(sums.probabilities)[:, None, None], (13, 1000, 1))
    sums.update(quantiles, ranks[:, None])
    np.testing.assert_allclose(sums.pit(), 0.1)
    np.testing.assert_allclose(sums.overall()["coverage"], [0.8, 0.95])
    low = IntervalSums(LEVELS)
    low.update(quantiles, (ranks / 10)[:, None])
    np.testing.assert_allclose(low.pit(), [1.0] + [0.0] * 9)


def test_values_that_equal_deciles_count_between_them():
    """The values from the quantile 0.25 to 0.65 are one value, which equals four deciles: the histogram stays flat."""

    def flattened(ranks):
        return np.where((ranks > 0.25) & (ranks < 0.65), 0.4, ranks)

    sums = IntervalSums(LEVELS)
    values, quantiles = flattened((np.arange(1000) + 0.5) / 1000), flattened(np.array(sums.probabilities))
    sums.update(np.broadcast_to(quantiles[:, None, None], (13, 1000, 1)), values[:, None])
    np.testing.assert_allclose(sums.pit(), 0.1)
    one = IntervalSums(LEVELS)
    one.update(np.array(one.probabilities)[:, None, None], [[0.3]])
    np.testing.assert_allclose(one.pit(), [0, 0, 0.5, 0.5, 0, 0, 0, 0, 0, 0])


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="one non-empty shape"):
        coverage([0.0], [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="one array of quantiles for each of 13"):
        crps(QUANTILES[:3], TARGET)
    with pytest.raises(ValueError, match=r"\(13, B, H\)"):
        IntervalSums(LEVELS).update(QUANTILES[:3], TARGET)
    with pytest.raises(ValueError, match="no observed target"):
        IntervalSums(LEVELS).overall()
