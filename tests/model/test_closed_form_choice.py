"""Each part of the closed form is taken where it earns its place on held-out blocks, and left out where it does not."""

import json

import numpy as np
import pytest
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

from support.series_windows import SeriesWindows, split_windows
from support.threads import blas_threads
from swt_time import Forecaster
from swt_time.cli import app
from swt_time.config.choices import CLOSED_FORM_PARTS
from swt_time.model.closed_form import solve, solving
from swt_time.model.closed_form.moments import moments
from swt_time.model.closed_form.priors import Prior, band_grams, penalties, season_penalty, wavelet_penalties
from swt_time.model.closed_form.ridge import path
from swt_time.model.closed_form.solving import LEAST_GAIN
from swt_time.model.closed_form.structure import structural_map

CONTEXT, HORIZON, SEASON = 48, 6, 12


def solved(series, parts=CLOSED_FORM_PARTS, prior=None, **changes):
    train, validation = split_windows(series, CONTEXT, HORIZON, train=300, season=SEASON, **changes)
    return solve(train, validation, CONTEXT, prior, parts), train, validation


def drifting_season(rng, rows=400):
    """A season that changes slowly, under much noise: means of few samples say all there is to know."""
    seasons = rng.normal(size=(rows // SEASON + 1, SEASON))
    seasons[1:] *= 0.3
    return seasons.cumsum(axis=0).ravel()[:rows] + rng.normal(size=rows)


def gain_of(found, part):
    return next(gain for gain in found.gains if gain.part == part)


def direct_mse(windows, weight):
    x, y = (array.astype(np.float64) for array in windows.gather(np.arange(len(windows))))
    mean = x.mean(axis=1, keepdims=True)
    return np.nanmean((y - mean - (x - mean) @ weight.T) ** 2)


def test_the_last_value_is_the_centre_of_random_walks():
    rng = np.random.default_rng(0)
    walks = [rng.normal(size=400).cumsum() for _ in range(2)]
    found, _, validation = solved(walks, ("blocks", "last"))
    assert found.centre == "last"
    assert gain_of(found, "last").gain >= LEAST_GAIN
    assert found.gains == (gain_of(found, "last"),)
    # A map of windows relative to their last value: constants are forecast as they are.
    x, y = validation.gather(np.arange(len(validation)))
    assert direct_mse(validation, found.weight) == pytest.approx(np.mean((y - x[:, -1:]) ** 2), rel=0.1)


def test_the_map_of_the_last_value_is_ridge_regression_of_differences():
    rng = np.random.default_rng(0)
    found, train, _ = solved([rng.normal(size=400).cumsum() for _ in range(2)], ("blocks", "last"))
    x, y = (array.astype(np.float64) for array in train.gather(np.arange(len(train))))
    last, mean = x[:, -1:], x.mean(axis=1, keepdims=True)
    x_last, y_last = x - last, y - last
    unit = np.linalg.eigvalsh(x_last.T @ x_last).mean()
    weight = np.linalg.solve(x_last.T @ x_last + found.strength * unit * np.eye(CONTEXT), x_last.T @ y_last).T
    forecast = (x - mean) @ found.weight.T + mean
    np.testing.assert_allclose(forecast, x_last @ weight.T + last, atol=1e-6)


def test_white_noise_earns_neither_centre_nor_weights():
    rng = np.random.default_rng(1)
    found, _, _ = solved([rng.normal(size=400) for _ in range(2)])
    assert (found.centre, found.exponent) == ("mean", 0)
    assert not gain_of(found, "last").taken
    assert not gain_of(found, "weights").taken


def test_the_structural_map_is_taken_where_a_season_drifts():
    rng = np.random.default_rng(2)
    series = [drifting_season(rng) for _ in range(2)]
    found, _, _ = solved(series)
    without, _, _ = solved(series, ("blocks", "season"))
    assert found.structure
    assert gain_of(found, "structure").gain > 0
    assert found.held_out_mse < without.held_out_mse


def test_weights_are_taken_where_loud_windows_follow_another_law():
    """A few loud stretches dominate the sums of squares, and hide the law of the quiet series."""
    rng = np.random.default_rng(3)
    series = []
    for _ in range(4):
        values = np.zeros(400)
        for i in range(2, 400):
            values[i] = 1.6 * values[i - 1] - 0.9 * values[i - 2] + rng.normal()
        series.append(0.3 * values)
    loud = np.zeros(400)
    for i in range(2, 400):
        loud[i] = -0.7 * loud[i - 1] + rng.normal()
    loud[60:] *= np.where(np.arange(340) < 60, 40.0, 0.02)
    found, train, _ = solved([*series, loud], ("blocks", "weights"))
    assert found.exponent > 0
    assert gain_of(found, "weights").taken
    sums = moments(train, np.arange(len(train)), found.exponent)
    ((_, weight),) = path(sums, *penalties(None, CONTEXT), strengths=[found.strength])
    np.testing.assert_allclose(found.weight, weight, rtol=1e-9, atol=1e-12)
    assert found.train_mse == pytest.approx(direct_mse(train, weight), rel=1e-5), "errors are not weighted"


def test_other_priors_must_gain_on_the_season_prior():
    rng = np.random.default_rng(4)
    found, _, _ = solved([drifting_season(rng) for _ in range(2)], prior=Prior("haar", 3, "reflect"))
    assert found.prior == ("wavelet" if gain_of(found, "wavelet").gain >= LEAST_GAIN else "season")
    without, _, _ = solved([drifting_season(rng) for _ in range(2)], ("blocks",))
    assert (without.prior, without.gains) == ("plain", ())


@pytest.mark.parametrize("missing", [0.0, 0.25])
def test_the_solution_is_that_of_its_form_on_the_training_windows(missing):
    holes = np.random.default_rng(9).random((2, 400)) < missing

    def change(target, index, rows):
        return np.where(holes[index, rows], np.nan, target)

    rng = np.random.default_rng(5)
    found, train, _ = solved([drifting_season(rng) for _ in range(2)], change=change)
    sums = moments(train, np.arange(len(train)), found.exponent)
    assert found.structure
    assert (found.centre, found.prior) == ("mean", "season")
    mean = structural_map(sums, SEASON)
    penalty = season_penalty(CONTEXT, SEASON)
    ((_, weight),) = path(sums, penalty, 1e-9, mean=mean, strengths=[found.strength])
    np.testing.assert_allclose(found.weight, weight, rtol=1e-9, atol=1e-12)
    assert found.train_mse == pytest.approx(direct_mse(train, found.weight), rel=1e-5)


def test_without_parts_the_form_is_chosen_on_the_validation_windows():
    """The former closed form: the wavelet prior with the lowest validation error, fitted on the training windows."""
    rng = np.random.default_rng(6)
    prior = Prior("haar", 3, "reflect")
    found, train, validation = solved([drifting_season(rng) for _ in range(2)], (), prior)
    sums = moments(train, np.arange(len(train)))
    candidates = [
        (direct_mse(validation, weight), one.tilt, strength, weight)
        for one in penalties(band_grams(CONTEXT, *prior), CONTEXT)
        for strength, weight in path(sums, one, 1e-9)
    ]
    error, tilt, strength, weight = min(candidates, key=lambda one: one[0])
    assert (found.prior, found.tilt, found.strength, found.folds, found.gains) == ("wavelet", tilt, strength, 1, ())
    assert found.held_out_mse == pytest.approx(error, rel=1e-5)
    np.testing.assert_allclose(found.weight, weight, rtol=1e-9, atol=1e-12)


def test_missing_targets_choose_nearly_as_complete_ones():
    rng = np.random.default_rng(7)
    series = [drifting_season(rng) for _ in range(3)]
    complete, _, validation = solved(series)
    holes = np.random.default_rng(8).random((3, 400)) < 0.2
    gappy, _, _ = solved(series, change=lambda target, index, rows: np.where(holes[index, rows], np.nan, target))
    assert gappy.folds == complete.folds == 6
    assert gappy.held_out_mse == pytest.approx(complete.held_out_mse, rel=0.2)
    assert direct_mse(validation, gappy.weight) < 1.1 * direct_mse(validation, complete.weight)


@pytest.mark.parametrize(("errors", "tried"), [([1.1, 0.5, 0.5, 1.2], 2), ([0.9, 0.5, 0.8, 1.2], 4), ([1.1], 1)])
def test_tilts_between_the_outermost_are_tried_if_one_of_these_is_better(monkeypatch, errors, tried):
    """With scores by tilt in place of the folds."""
    seen = []

    def scored(folds, candidates, structures, season, **options):
        seen.extend(one.tilt for one in candidates)
        return [solving._Form(errors[int(one.tilt)], 1.0, one, False) for one in candidates]

    monkeypatch.setattr(solving, "_scored", scored)
    (plain,) = penalties(None, CONTEXT)
    tilts = [plain._replace(tilt=float(i)) for i in range(len(errors))]
    found = solving._outermost_first([], tilts, solving._Form(1.0, 1.0, plain, False), SEASON)
    assert len(found) == len(seen) == len(set(seen)) == tried


@pytest.mark.parametrize(("errors", "tried"), [([1.1, 0.5], [1]), ([0.9, 0.8], [1, 2])])
def test_a_larger_exponent_is_tried_if_the_smaller_one_is_better(monkeypatch, errors, tried):
    """With scores by exponent in place of the folds."""

    def scored(folds, candidates, structures, season, *, exponent, **options):
        return [solving._Form(errors[exponent - 1], 1.0, candidates[0], False, exponent=exponent)]

    monkeypatch.setattr(solving, "_scored", scored)
    (plain,) = penalties(None, CONTEXT)
    found = solving._weighted([], lambda exponent: [], solving._Form(1.0, 1.0, plain, False), SEASON)
    assert [form.exponent for form in found] == tried


def test_constant_windows_have_a_solution():
    found, _, validation = solved([np.full(400, 3.0), np.full(400, -2.0)])
    assert direct_mse(validation, found.weight) < 1e-12
    assert np.isfinite(found.held_out_mse)


def test_series_without_a_season_have_a_solution():
    rng = np.random.default_rng(10)
    windows = SeriesWindows([rng.normal(size=300).cumsum()], CONTEXT, HORIZON)
    found = solve(windows, None, CONTEXT, Prior("haar", 3, "reflect"), CLOSED_FORM_PARTS)
    assert found.folds == 6
    assert found.train_mse < direct_mse(windows, np.zeros((HORIZON, CONTEXT)))


def test_the_choice_and_its_gains_are_recorded_and_shown(tmp_path, hourly_wide):
    options = {"context": CONTEXT, "horizon": HORIZON, "patch_len": 8, "stride": 4, "preset": "fast", "level": 3}
    forecaster = Forecaster(**options).fit(hourly_wide)
    recorded = forecaster.result.closed_form
    assert recorded["folds"] == 6
    assert [gain["part"] for gain in recorded["gains"]] == ["structure", "wavelet", "last", "weights"]
    assert "weight" not in recorded
    forecaster.save(tmp_path / "model")
    shown = CliRunner().invoke(app, ["info", "--model", str(tmp_path / "model")]).output
    assert json.loads(shown[shown.index("{") :])["training"]["closed_form"] == recorded


def test_the_description_names_the_form_and_the_gains():
    rng = np.random.default_rng(0)
    found, _, _ = solved([rng.normal(size=400).cumsum() for _ in range(2)], ("blocks", "season", "last", "weights"))
    text = found.describe()
    assert text.startswith(f"season prior, strength {found.strength:.3g}")
    assert ("relative to the last value" in text) == (found.centre == "last")
    assert f"held out {found.held_out_mse:.4f} in 6 folds" in text
    for gain in found.gains:
        assert f"{gain.part} {gain.gain:+.1%}{'' if gain.taken else ' (left out)'}" in text


def test_the_wavelet_prior_is_computed_once_for_solutions_that_follow_each_other():
    prior = Prior("haar", 2, "reflect")
    first, second = wavelet_penalties(CONTEXT, prior), wavelet_penalties(CONTEXT, prior)
    assert all(a.matrix is b.matrix for a, b in zip(first, second, strict=True))
    assert np.array_equal(first[0].matrix, penalties(band_grams(CONTEXT, *prior), CONTEXT)[0].matrix)
    assert not np.array_equal(first[0].matrix, wavelet_penalties(CONTEXT, Prior("db4", 2, "reflect"))[0].matrix)


def test_the_closed_form_runs_on_one_thread(monkeypatch):
    seen = []
    monkeypatch.setattr(solving, "_choose", lambda *args: seen.append(blas_threads()) or 1 / 0)
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ZeroDivisionError):
            solved([np.arange(400.0) % SEASON])
        assert (seen, blas_threads()) == ([1], 2)
