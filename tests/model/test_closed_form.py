"""The closed-form linear forecast, verified against direct sums and linear systems in double precision."""

import numpy as np
import pytest
import pywt
import torch

from swt_time.config import Config
from swt_time.config.choices import CLOSED_FORM_PARTS
from swt_time.errors import ConfigError
from swt_time.forecaster import Forecaster
from swt_time.model import build_model
from swt_time.model.closed_form import RidgeSkip, solve
from swt_time.model.closed_form.moments import Moments, moments
from swt_time.model.closed_form.priors import TILTS, band_grams, penalties
from swt_time.model.closed_form.ridge import STRENGTHS, path
from swt_time.training import Solved, train_model


class Rows:
    """Windows from an array of T + H columns, each of its own series."""

    season = 1

    def __init__(self, rows, context):
        self.rows, self.context = np.asarray(rows, np.float32), context

    def __len__(self):
        return len(self.rows)

    def places(self, indices):
        return np.stack([indices, np.zeros_like(indices)], axis=1)

    def gather(self, indices):
        rows = self.rows[indices]
        return rows[:, : self.context], rows[:, self.context :]


CONTEXT, HORIZON = 32, 5


def planted(count, seed, noise=0.1):
    """Windows whose horizon is a fixed linear map of the window plus noise, both relative to the window's mean."""
    rng = np.random.default_rng(seed)
    weight = np.random.default_rng(99).normal(size=(HORIZON, CONTEXT)) / 6
    x = rng.normal(size=(count, CONTEXT)).cumsum(axis=1)
    mean = x.mean(axis=1, keepdims=True)
    y = (x - mean) @ weight.T + mean + noise * rng.normal(size=(count, HORIZON))
    return Rows(np.concatenate([x, y], axis=1), CONTEXT), weight


def centred(windows):
    x, y = windows.gather(np.arange(len(windows)))
    x, y = x.astype(np.float64), y.astype(np.float64)
    mean = x.mean(axis=1, keepdims=True)
    return x - mean, y - mean


def direct_mse(windows, weight):
    x, y = centred(windows)
    return np.mean((y - x @ np.asarray(weight).T) ** 2)


def test_moments_give_the_mean_squared_error():
    windows, weight = planted(100, seed=0)
    found = moments(windows, np.arange(100)).mse(weight * 0.7)
    assert found == pytest.approx(direct_mse(windows, weight * 0.7), rel=1e-5)


def test_the_weights_of_every_strength_solve_the_penalised_normal_equations():
    """The oracle solves the penalised system directly."""
    windows, _ = planted(200, seed=1)
    x, y = centred(windows)
    train_moments = moments(windows, np.arange(200))
    compared = 0
    grams = band_grams(CONTEXT, "haar", 2, "periodic")
    for one in penalties(grams, CONTEXT):
        covariance = sum(one.tilt ** (2 - k) * gram for k, gram in enumerate(grams))
        unit = np.linalg.eigvals(covariance @ x.T @ x).real.mean()
        penalty = np.linalg.inv(covariance)
        for strength, weight in path(train_moments, one):
            if strength < 1e-2:
                continue  # windows have mean zero, so the system without a penalty is singular
            expected = np.linalg.solve(x.T @ x + strength * unit * penalty, x.T @ y).T
            np.testing.assert_allclose(weight, expected, atol=2e-4 * np.abs(expected).max(), err_msg=str(one.tilt))
            compared += 1
    assert compared == len(TILTS) * sum(strength >= 1e-2 for strength in STRENGTHS)


@pytest.mark.parametrize("wavelet", ["haar", "db2"])
def test_band_grams_equal_those_of_pywavelets(wavelet):
    grams = band_grams(CONTEXT, wavelet, 2, "periodic")
    for k, gram in enumerate(grams):
        bands = np.stack(
            [pywt.swt(row, wavelet, level=2, trim_approx=True, norm=True)[k] for row in np.eye(CONTEXT)]
        )  # impulse, time
        np.testing.assert_allclose(gram, bands @ bands.T, atol=1e-10)


def test_tilt_one_of_a_tight_frame_is_plain_ridge_regression():
    grams = band_grams(CONTEXT, "db2", 3, "periodic")
    np.testing.assert_allclose(sum(grams), np.eye(CONTEXT), atol=1e-10)
    assert 1.0 in TILTS
    assert len(penalties(grams, CONTEXT)) == len(TILTS)
    assert len(penalties(None, CONTEXT)) == 1


def test_solve_recovers_a_known_map():
    windows, weight = planted(3000, seed=2, noise=0.01)
    validation, _ = planted(500, seed=3, noise=0.01)
    found = solve(windows, validation, CONTEXT, None)
    assert found.held_out_mse == pytest.approx(direct_mse(validation, found.weight), rel=1e-3)
    assert found.held_out_mse < 1.2e-4 < direct_mse(validation, weight * 0.9)


def test_strength_and_tilt_minimise_the_held_out_error():
    windows, _ = planted(60, seed=4, noise=1.0)
    validation, _ = planted(300, seed=5, noise=1.0)
    found = solve(windows, validation, CONTEXT, ("haar", 2, "reflect"))
    sums = moments(windows, np.arange(60))
    errors = {
        (strength, one.tilt): direct_mse(validation, weight)
        for one in penalties(band_grams(CONTEXT, "haar", 2, "reflect"), CONTEXT)
        for strength, weight in path(sums, one)
    }
    assert len(errors) == len(STRENGTHS) * len(TILTS)
    assert (found.strength, found.tilt) == min(errors, key=errors.get)
    assert found.held_out_mse == pytest.approx(min(errors.values()), rel=1e-4)


def test_without_validation_each_block_is_held_out_once():
    windows, _ = planted(50, seed=6, noise=1.0)
    found = solve(windows, None, CONTEXT, None)
    blocks = np.array_split(np.arange(50), 5)
    log_error = 0.0
    for block in blocks:
        rest = moments(windows, np.setdiff1d(np.arange(50), block))
        weight = dict(path(rest, *penalties(None, CONTEXT)))[found.strength]
        log_error += np.log(moments(windows, block).mse(weight)) / 5
    assert found.held_out_mse == pytest.approx(np.exp(log_error), rel=1e-6)
    assert found.train_mse < found.held_out_mse


def test_constant_windows_give_the_zero_map():
    found = solve(Rows(np.ones((20, CONTEXT + HORIZON)), CONTEXT), None, CONTEXT, ("haar", 1, "reflect"))
    np.testing.assert_array_equal(found.weight, np.zeros((HORIZON, CONTEXT)))


def test_moments_add_up():
    windows, weight = planted(40, seed=7)
    both = moments(windows, np.arange(10)) + moments(windows, np.arange(10, 40))
    assert isinstance(both, Moments)
    whole = moments(windows, np.arange(40))
    assert both.mse(weight) == pytest.approx(whole.mse(weight), rel=1e-5)


def small(**changes):
    sections = {
        "data": {"context": CONTEXT, "horizon": HORIZON},
        "embedding": {"d_model": 8, "level": 2, "wavelet": "haar", "patch_len": 8, "stride": 4},
        "backbone": {"name": "none"},
        "model": {"skip": "ridge"},
    }
    return Config.parse(sections).replace(changes)


def fitted(**changes):
    config = small(**{"training.max_steps": 20, "training.batch_size": 16, **changes})
    torch.manual_seed(0)
    model = build_model(config)
    windows, _ = planted(300, seed=8)
    validation, _ = planted(100, seed=9)
    events = []
    result = train_model(model, windows, validation, config.training, report=events.append)
    return model, result, events, windows, validation


def test_training_starts_from_the_solution_and_never_ends_with_a_higher_loss():
    model, result, events, windows, validation = fitted(**{"training.learning_rate": 1.0})
    assert isinstance(events[0], Solved)
    solved = solve(windows, validation, CONTEXT, ("haar", 2, "periodic"), CLOSED_FORM_PARTS)
    assert result.history[0].step == 0
    assert result.history[0].validation_loss == pytest.approx(direct_mse(validation, solved.weight), rel=1e-4)
    assert result.history[0].train_loss == pytest.approx(solved.train_mse, rel=1e-4)
    assert result.best_loss <= result.history[0].validation_loss
    assert result.history[-1].validation_loss > result.best_loss, "this learning rate should increase the loss"
    assert np.array_equal(model.skip.weight, solved.weight.astype(np.float32)), "training must not change the map"


def test_a_resumed_run_keeps_the_record_of_its_closed_form():
    config = small(**{"training.max_steps": 4, "training.batch_size": 16, "training.checkpoint_every": 2})
    windows, _ = planted(300, seed=8)
    validation, _ = planted(100, seed=9)
    states = []
    whole = train_model(build_model(config), windows, validation, config.training, save_state=states.append)
    resumed = train_model(build_model(config), windows, validation, config.training, resume=states[0])
    assert whole.closed_form["prior"] == "season"
    assert resumed.closed_form == whole.closed_form


def test_zero_steps_give_the_forecast_of_the_map():
    model, result, _events, _windows, validation = fitted(**{"training.max_steps": 0})
    assert (result.steps, result.best_step, len(result.history)) == (0, 0, 1)
    assert model.gate == 0
    context, target = (torch.from_numpy(a).unsqueeze(-1) for a in validation.gather(np.arange(100)))
    with torch.no_grad():
        mse = torch.mean((model(context) - target) ** 2).item()
    assert mse == pytest.approx(result.best_loss, rel=1e-4)


def test_zero_steps_without_a_closed_form_are_refused():
    with pytest.raises(ConfigError, match=r"max_steps 0 trains nothing.*ridge"):
        small(**{"training.max_steps": 0, "model.skip": "linear"})


def test_the_prior_is_the_transform_of_the_embedding():
    windows, validation = planted(300, seed=8)[0], planted(100, seed=9)[0]
    for changes, prior in [({}, ("haar", 2, "periodic")), ({"embedding.kind": "patch"}, None)]:
        model = build_model(small(**changes))
        found = model.solve(windows, validation)
        assert np.array_equal(found.weight, solve(windows, validation, CONTEXT, prior, CLOSED_FORM_PARTS).weight)
        assert np.array_equal(model.skip.weight, found.weight.astype(np.float32))
    assert build_model(small(**{"model.skip": "none"})).solve(windows, validation) is None


def test_the_map_is_saved_with_the_weights(tmp_path, hourly_wide):
    forecaster = Forecaster(
        horizon=HORIZON, context=CONTEXT, backbone="none", max_steps=0, skip="ridge", level=2, patch_len=8, stride=4
    ).fit(hourly_wide)
    forecaster.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    assert isinstance(loaded.model.skip, RidgeSkip)
    assert loaded.model.skip.weight.abs().sum() > 0
    np.testing.assert_array_equal(loaded.predict(hourly_wide)["yhat"], forecaster.predict(hourly_wide)["yhat"])


class Gappy:
    """Windows of a linear process in which targets are missing at random."""

    def __init__(self, count, share, seed=0, context=12, horizon=5):
        rng = np.random.default_rng(seed)
        self.x = rng.standard_normal((count, context)).astype(np.float32)
        self.y = (
            self.x @ rng.standard_normal((context, horizon)) + 0.3 * rng.standard_normal((count, horizon))
        ).astype(np.float32)
        self.y[rng.random(self.y.shape) < share] = np.nan

    def __len__(self):
        return len(self.x)

    def gather(self, indices):
        return self.x[indices], self.y[indices]


def ridge_of_observed(windows, strength):
    """Each step's own ridge regression over the windows where it was observed."""
    mean = windows.x.astype(np.float64).mean(axis=1, keepdims=True)
    x, y = windows.x - mean, windows.y - mean
    kept = ~np.isnan(y).all(axis=1)
    x, y = x[kept], y[kept]
    unit = np.linalg.eigvalsh(x.T @ x).clip(0).mean()
    rows = []
    for step in range(y.shape[1]):
        seen = ~np.isnan(y[:, step])
        system = x[seen].T @ x[seen] + strength * unit * np.eye(x.shape[1])
        rows.append(np.linalg.solve(system, x[seen].T @ y[seen, step]))
    return np.stack(rows)


@pytest.mark.parametrize("share", [0.02, 0.4])
def test_missing_targets_weigh_nothing(share):
    windows = Gappy(300, share)
    sums = moments(windows, np.arange(300))
    found = dict(path(sums, *penalties(None, 12), 1e-12))
    for strength in (STRENGTHS[0], STRENGTHS[6], STRENGTHS[-1]):
        expected = ridge_of_observed(windows, strength)
        np.testing.assert_allclose(found[strength], expected, rtol=1e-7, atol=1e-9)
        mean = windows.x.astype(np.float64).mean(axis=1, keepdims=True)
        errors = (windows.x - mean) @ expected.T - (windows.y - mean)
        assert sums.mse(expected) == pytest.approx(np.nanmean(errors**2), rel=1e-9)
    assert sums.points == int((~np.isnan(windows.y)).sum())


def test_moments_of_parts_with_missing_targets_add_up():
    windows = Gappy(200, 0.2, seed=1)
    whole = moments(windows, np.arange(200))
    parts = moments(windows, np.arange(120)) + moments(windows, np.arange(120, 200))
    for name in ("inputs", "products", "partial", "missing"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12, atol=1e-12)
