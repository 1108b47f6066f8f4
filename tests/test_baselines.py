"""Rivals against plain loops, and the linear rival through the same training loop as the model."""

import numpy as np
import pytest
import torch

from swt_time.baselines import RIVALS, DecompositionLinear, TrainedLinear, fit_rival
from swt_time.config import Config
from swt_time.data.parts import split_table
from swt_time.data.series import to_series
from swt_time.errors import ConfigError
from swt_time.evaluation import evaluate_table

CONFIG = Config().replace({"data.context": 48, "data.horizon": 12, "training.max_steps": 60, "training.device": "cpu"})


@pytest.fixture
def series(hourly_wide):
    return to_series(hourly_wide)


def fit(name, series, config=CONFIG):
    data = config.data
    return fit_rival(name, split_table(series, data.split, data.context, data.horizon), series, config)


def plain_linear(x, weights, horizon):
    """DLinear of one window in float64, sample by sample."""
    padded = [x[0]] * 12 + list(x) + [x[-1]] * 12
    trend = np.array([sum(padded[i : i + 25]) / 25 for i in range(len(x))])
    rest = np.asarray(x) - trend
    return [
        sum(weights["trend.weight"][h] * trend)
        + weights["trend.bias"][h]
        + sum(weights["remainder.weight"][h] * rest)
        + weights["remainder.bias"][h]
        for h in range(horizon)
    ]


def test_linear_equals_a_plain_loop():
    torch.manual_seed(0)
    model = DecompositionLinear(40, 5)
    x = np.random.default_rng(0).normal(size=40)
    weights = {name: w.double().numpy() for name, w in model.trained_state().items()}
    found = model(torch.tensor(x, dtype=torch.float32)[None, :, None])[0, :, 0]
    np.testing.assert_allclose(found.detach().numpy(), plain_linear(x, weights, 5), atol=1e-6)


def test_naive_rivals_repeat_what_they_saw(series):
    contexts = np.arange(96.0, dtype=np.float32).reshape(2, 48)
    np.testing.assert_array_equal(fit("last-value", series).forecast_windows(contexts), [[47.0] * 12, [95.0] * 12])
    np.testing.assert_array_equal(fit("seasonal-naive", series).forecast_windows(contexts), contexts[:, 24:36])


def test_every_rival_is_scored_on_the_windows_of_the_model(series):
    for name in RIVALS:
        found = evaluate_table(fit(name, series), series, "0.7/0.1/0.2", 48, 12)
        assert found.model.windows == 120 - 12 + 1
        assert np.isfinite(found.model.mse)


def test_linear_learns_and_chooses_on_validation(series):
    rival = fit("linear", series)
    assert isinstance(rival, TrainedLinear)
    history = rival.result.history
    assert rival.result.best_loss == min(row.validation_loss for row in history) < 0.9 * history[0].validation_loss
    assert rival.forecast_windows(np.zeros((0, 48))).shape == (0, 12)


def test_linear_is_a_function_of_the_seed(series):
    contexts = np.random.default_rng(0).normal(size=(3, 48))
    one, same, other = (
        fit("linear", series, CONFIG.replace({"training.seed": seed})).forecast_windows(contexts) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


def test_unknown_rival_is_named(series):
    with pytest.raises(ConfigError, match=r"unknown rival 'arima'; expected one of seasonal-naive, last-value, linear"):
        fit("arima", series)
