"""Baselines, verified against plain loops and trained in the loop of the model."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from swt_time.config import Config
from swt_time.data.parts import split_table
from swt_time.data.series import to_series
from swt_time.errors import ConfigError, MissingDependencyError
from swt_time.evaluation.baselines import DecompositionLinear, fit_baseline
from swt_time.evaluation.forecasting import TrainedModel
from swt_time.evaluation.scoring import evaluate_table

CONFIG = Config().replace({"data.context": 48, "data.horizon": 12, "training.max_steps": 60, "training.device": "cpu"})


@pytest.fixture
def series(hourly_wide):
    return to_series(hourly_wide)


def fit(name, series, config=CONFIG):
    data = config.data
    return fit_baseline(name, split_table(series, data.split, data.context, data.horizon), series, config)


def plain_linear(x, weights, horizon):
    """Forecast of DLinear for one window in float64, sample by sample."""
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


def test_naive_baselines_repeat_the_end_of_the_context(series):
    contexts = np.arange(96.0, dtype=np.float32).reshape(2, 48)
    np.testing.assert_array_equal(fit("last-value", series).forecast_windows(contexts), [[47.0] * 12, [95.0] * 12])
    np.testing.assert_array_equal(fit("seasonal-naive", series).forecast_windows(contexts), contexts[:, 24:36])


def test_baselines_are_scored_on_the_windows_of_the_model(series):
    for name in ("seasonal-naive", "last-value", "linear"):
        found = evaluate_table(fit(name, series), series, "0.7/0.1/0.2", 48, 12)
        assert found.model.windows == 120 - 12 + 1
        assert np.isfinite(found.model.mse)


def test_linear_learns_and_keeps_the_best_validation(series):
    baseline = fit("linear", series)
    assert isinstance(baseline, TrainedModel)
    history = baseline.result.history
    assert baseline.result.best_loss == min(row.validation_loss for row in history) < 0.9 * history[0].validation_loss
    assert baseline.forecast_windows(np.zeros((0, 48))).shape == (0, 12)


def test_linear_depends_on_the_seed_alone(series):
    contexts = np.random.default_rng(0).normal(size=(3, 48))
    one, same, other = (
        fit("linear", series, CONFIG.replace({"training.seed": seed})).forecast_windows(contexts) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


def test_unknown_baseline_is_named(series):
    with pytest.raises(
        ConfigError,
        match=r"unknown baseline 'arima'; expected one of seasonal-naive, last-value, linear, neuralforecast-timellm",
    ):
        fit("arima", series)


class StubTimeLLM(torch.nn.Module):
    """A stub of neuralforecast's class with one trained and one frozen weight."""

    def __init__(self, **options):
        super().__init__()
        print("as the constructor of the real class does")
        self.options = options
        self.head = torch.nn.Linear(options["input_size"], options["h"])
        self.frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)

    def forward(self, batch):
        return self.head(batch["insample_y"].squeeze(-1)).unsqueeze(-1)


@pytest.fixture
def stub(monkeypatch):
    losses, models = ModuleType("neuralforecast.losses.pytorch"), ModuleType("neuralforecast.models")
    losses.MSE, models.TimeLLM = lambda: "mse", StubTimeLLM
    for name in ("neuralforecast", "neuralforecast.losses"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "neuralforecast.losses.pytorch", losses)
    monkeypatch.setitem(sys.modules, "neuralforecast.models", models)


def test_peer_gets_the_sizes_and_the_language_model_of_the_configuration(stub, series, tiny_backbones, family, capsys):
    config = CONFIG.replace(
        {"backbone.name": str(tiny_backbones[family]), "data.description": "Heat.", "model.d_ff": 8}
    )
    baseline = fit("neuralforecast-timellm", series, config)
    options = baseline.model.network.options
    assert (options["h"], options["input_size"], options["d_ff"], options["d_llm"]) == (12, 48, 8, 32)
    assert (options["llm"], options["prompt_prefix"], options["loss"]) == (str(tiny_backbones[family]), "Heat.", "mse")
    assert set(baseline.model.trained_state()) == {"network.head.weight", "network.head.bias"}
    assert baseline.result.best_loss == min(row.validation_loss for row in baseline.result.history)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "as the constructor of the real class does" in printed.err
    contexts = torch.randn(3, 48)
    np.testing.assert_allclose(
        baseline.forecast_windows(contexts.numpy()), baseline.model.network.head(contexts).detach(), atol=1e-6
    )


def test_real_network_of_the_peer_trains(series, tiny_backbones):
    pytest.importorskip("neuralforecast", reason="comes with the extra bench")
    config = CONFIG.replace(
        {
            "backbone.name": str(tiny_backbones["gpt2"]),
            "training.max_steps": 3,
            "training.batch_size": 8,
            "training.validation_windows": 8,
            "embedding.d_model": 8,
            "model.d_ff": 8,
            "model.n_heads": 2,
        }
    )
    baseline = fit("neuralforecast-timellm", series, config)
    contexts, _ = split_table(series, "0.7/0.1/0.2", 48, 12).test.gather(np.arange(5))
    assert np.isfinite(baseline.forecast_windows(contexts)).all()
    assert baseline.model.trained_state()
    assert not any(".llm." in name for name in baseline.model.trained_state())
    assert baseline.result.steps == 3


def test_missing_package_of_the_peer_is_named_with_its_install_command(series, monkeypatch):
    for name in ("neuralforecast", "neuralforecast.losses.pytorch", "neuralforecast.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'swt-time\[bench\]'"):
        fit("neuralforecast-timellm", series)
