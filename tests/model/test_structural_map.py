"""The structural map and the season prior, verified against explicit design matrices in double precision."""

from dataclasses import replace

import numpy as np
import pytest

from support.series_windows import SeriesWindows
from swt_time.model.closed_form import structure
from swt_time.model.closed_form.moments import moments
from swt_time.model.closed_form.priors import season_penalty
from swt_time.model.closed_form.ridge import STRENGTHS, Equations, lowest, path
from swt_time.model.closed_form.structure import feature_rows, structural_map

CONTEXT, HORIZON, SEASON = 30, 9, 6


def noisy_season(rows, seed, season=SEASON):
    rng = np.random.default_rng(seed)
    return np.sin(2 * np.pi * np.arange(rows) / season) + 0.1 * rng.normal(size=rows).cumsum() + rng.normal(size=rows)


def make(seed=0, missing=0.0, rows=160, series=2):
    """Windows of two series, with targets missing at random."""
    holes = np.random.default_rng(50 + seed).random((series, rows)) < missing

    def change(target, index, target_rows):
        return np.where(holes[index, target_rows], np.nan, target)

    return SeriesWindows(
        [noisy_season(rows, seed + i) for i in range(series)], CONTEXT, HORIZON, season=SEASON, change=change
    )


def arrays(windows):
    x, y = windows.gather(np.arange(len(windows)))
    x, y = x.astype(np.float64), y.astype(np.float64)
    seen = ~np.isnan(y).all(axis=1)
    return x[seen], y[seen]


def features_by_hand(window, step):
    """Means of the samples that each group names, one sample at a time."""
    found = []
    for first, last in structure.LAG_GROUPS:
        samples = [window[len(window) - lag] for lag in range(first, last + 1) if lag <= len(window)]
        found += [np.mean(samples)] if samples else []
    for first, last in structure.SEASON_GROUPS:
        samples = []
        for back in range(first, last + 1):
            # The newest sample of the phase of the step is at most a season old.
            position = len(window) + step
            while position >= len(window):
                position -= SEASON
            position -= SEASON * (back - 1)
            if back <= len(window) // SEASON:
                samples.append(window[position])
        found += [np.mean(samples)] if samples else []
    return np.array(found)


def centre_of(window, centre):
    return window[-1] if centre == "last" else window.mean()


def forecasts(weight, x):
    """Forecasts of a map of windows relative to their mean."""
    mean = x.mean(axis=1, keepdims=True)
    return (x - mean) @ np.asarray(weight).T + mean


def anchor(centre):
    if centre == "mean":
        return None
    map_ = np.zeros((HORIZON, CONTEXT))
    map_[:, -1] = 1
    return map_


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("centre", ["mean", "last"])
@pytest.mark.parametrize("lags", [structure.LAG_GROUPS, ((1, 1), (2, 6), (7, 12))])
def test_the_map_is_the_least_squares_fit_of_its_features(lags, centre, missing, monkeypatch):
    """The shipped lags cover these short windows, so that their features depend on one another; the others do not."""
    monkeypatch.setattr(structure, "LAG_GROUPS", lags)
    windows = make(missing=missing)
    x, y = arrays(windows)
    found = forecasts(structural_map(moments(windows, np.arange(len(windows))), SEASON, anchor(centre)), x)
    centres = np.array([centre_of(window, centre) for window in x])
    for step in range(HORIZON):
        design = np.stack([features_by_hand(window, step) for window in x]) - centres[:, None]
        seen = ~np.isnan(y[:, step])
        numbers, *_ = np.linalg.lstsq(design[seen], (y[:, step] - centres)[seen], rcond=1e-8)
        np.testing.assert_allclose(found[:, step], centres + design @ numbers, atol=1e-5)


def test_features_of_a_phase_are_means_of_its_samples():
    window = noisy_season(CONTEXT, seed=3)
    for step in range(HORIZON):
        rows = feature_rows(CONTEXT, SEASON, step % SEASON)
        np.testing.assert_allclose(rows @ window, features_by_hand(window, step), atol=1e-12)
    assert len(feature_rows(CONTEXT, 1, 0)) == len(feature_rows(CONTEXT, CONTEXT + 1, 0)) == len(structure.LAG_GROUPS)


@pytest.mark.parametrize("season", [1, 6, 24, 100])
def test_the_season_prior_is_that_of_its_formula(season):
    context = 40
    covariance = np.empty((context, context))
    for i in range(context):
        for j in range(context):
            decay = 1 / np.sqrt((1 + (context - 1 - i) / season) * (1 + (context - 1 - j) / season))
            covariance[i, j] = decay * ((i == j) + 10 * season / context * (i % season == j % season))
    covariance /= np.mean(np.diag(covariance))
    found = season_penalty(context, season)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)
    np.testing.assert_allclose(found.matrix @ covariance, np.eye(context), atol=1e-9)


def penalised(x, y, covariance, strength, mean):
    """Each step's own solution from the observed windows, by the normal equations of the penalty about ``mean``."""
    unit = np.linalg.eigvals(covariance @ x.T @ x).real.mean()
    penalty = strength * unit * np.linalg.inv(covariance)
    rows = []
    for step in range(y.shape[1]):
        seen = ~np.isnan(y[:, step])
        right = x[seen].T @ (y[seen, step] - x[seen] @ mean[step])
        rows.append(mean[step] + np.linalg.solve(x[seen].T @ x[seen] + penalty, right))
    return np.stack(rows)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_map_is_shrunk_towards_the_mean_of_the_prior(missing):
    windows = make(missing=missing)
    sums = moments(windows, np.arange(len(windows)))
    mean = structural_map(sums, SEASON)
    x, y = arrays(windows)
    centre = x.mean(axis=1, keepdims=True)
    penalty = season_penalty(CONTEXT, SEASON)
    found = dict(path(sums, penalty, 1e-12, mean=mean))
    for strength in (1e-2, 1.0, 100.0):
        expected = penalised(x - centre, y - centre, penalty.covariance, strength, mean)
        np.testing.assert_allclose(found[strength], expected, atol=1e-7)
    distances = [float(np.linalg.norm(found[strength] - mean)) for strength in STRENGTHS]
    assert distances == sorted(distances, reverse=True)
    ((_, limit),) = path(sums, penalty, mean=mean, strengths=[1e12])
    np.testing.assert_allclose(limit, mean, rtol=0, atol=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("shrunk", [False, True])
def test_a_map_relative_to_the_last_value_is_that_of_the_prior_with_this_constraint(shrunk, missing):
    """The oracle solves for ``Z`` in ``W - W0 = Z L'``, where the columns of ``L``, a root of the covariance of such
    rows, sum to zero."""
    windows = make(seed=1, missing=missing)
    sums = moments(windows, np.arange(len(windows)))
    last = np.zeros((HORIZON, CONTEXT))
    last[:, -1] = 1
    mean = structural_map(sums, SEASON, last) if shrunk else last
    penalty = season_penalty(CONTEXT, SEASON)
    ((_, found),) = path(sums, penalty, 1e-12, mean=mean, last=True, strengths=[1.0])
    np.testing.assert_allclose(found.sum(axis=1), np.ones(HORIZON))
    root = np.linalg.cholesky(penalty.covariance)
    root[-1] -= root.sum(axis=0)
    x, y = arrays(windows)
    centre = x.mean(axis=1, keepdims=True)
    x, y = x - centre, y - centre
    unit = np.linalg.eigvalsh(root.T @ x.T @ x @ root).mean()
    for step in range(HORIZON):
        seen = ~np.isnan(y[:, step])
        z, right = x[seen] @ root, y[seen, step] - x[seen] @ mean[step]
        expected = mean[step] + root @ np.linalg.solve(z.T @ z + unit * np.eye(CONTEXT), z.T @ right)
        np.testing.assert_allclose(found[step], expected, atol=1e-7)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_maps_with_several_means_are_those_with_each(missing):
    train = moments(make(seed=1, missing=missing), np.arange(100))
    penalty, mean = season_penalty(CONTEXT, SEASON), structural_map(train, SEASON)
    both = Equations(train, penalty, [None, mean]).maps(1.0, 1e-12)
    for one, alone in zip(both, [None, mean], strict=True):
        ((_, expected),) = path(train, penalty, 1e-12, mean=alone, strengths=[1.0])
        np.testing.assert_allclose(one, expected, rtol=1e-9, atol=1e-11)


def test_sums_that_rounding_has_made_indefinite_have_a_solution():
    train = moments(make(seed=1), np.arange(100))
    penalty = season_penalty(CONTEXT, SEASON)
    least = np.linalg.eigvalsh(train.inputs)[0]
    shifted = replace(train, inputs=train.inputs - (least + 1e-3) * np.eye(CONTEXT))
    with pytest.raises(np.linalg.LinAlgError):  # the control
        np.linalg.cholesky(shifted.inputs + 1e-9 * penalty.matrix)
    ((_, weight),) = path(shifted, penalty, strengths=[1e-12])
    np.testing.assert_allclose(shifted.inputs @ weight.T, shifted.products, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lowest_at", range(len(STRENGTHS)))
def test_a_search_over_few_strengths_finds_the_lowest_error(lowest_at):
    seen = []

    def error(strength):
        seen.append(strength)
        return abs(STRENGTHS.index(strength) - lowest_at)

    for near in STRENGTHS:
        assert lowest(near, error) == STRENGTHS[lowest_at]
    seen.clear()
    lowest(STRENGTHS[lowest_at], error)
    assert len(set(seen)) <= 6 < len(STRENGTHS)


def test_the_search_finds_a_second_minimum_at_the_strongest():
    errors = dict(zip(STRENGTHS, [9, 8, 7, 5, 4, 3, 2, 3, 4, 5, 4, 2, 1], strict=True))
    assert lowest(STRENGTHS[6], errors.__getitem__) == STRENGTHS[12]


def test_windows_are_weighted_by_their_deviation():
    windows = make(missing=0.1)
    x, y = arrays(windows)
    mean = x.mean(axis=1, keepdims=True)
    x, y = x - mean, y - mean
    weights = (np.sqrt((x**2).mean(axis=1)) + 0.1) ** -2.0
    seen = ~np.isnan(y)
    sums = moments(windows, np.arange(len(windows)), exponent=2)
    np.testing.assert_allclose(sums.inputs, sum(w * np.outer(a, a) for w, a in zip(weights, x, strict=True)))
    filled = np.nan_to_num(y)
    products = sum(w * np.outer(a, b) for w, a, b in zip(weights, x, filled, strict=True))
    np.testing.assert_allclose(sums.products, products, atol=1e-9)
    map_ = np.random.default_rng(0).normal(size=(HORIZON, CONTEXT)) / 10
    error = (weights[:, None] * np.where(seen, filled - x @ map_.T, 0) ** 2).sum()
    assert sums.squared_error(map_) == pytest.approx(error)


def test_completed_moments_are_those_of_filled_targets():
    windows = make(missing=0.2)
    map_ = np.random.default_rng(0).normal(size=(HORIZON, CONTEXT)) / 10
    found = moments(windows, np.arange(len(windows))).complete(map_)
    x, y = arrays(windows)
    mean = x.mean(axis=1, keepdims=True)
    x, y = x - mean, y - mean
    y = np.where(np.isnan(y), x @ map_.T, y)
    np.testing.assert_allclose(found.products, x.T @ y, atol=1e-9)
    assert found.targets == pytest.approx((y**2).sum())
    assert (found.points, len(found.partial)) == (y.size, 0)
