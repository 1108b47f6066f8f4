"""Rivals against plain loops, and the linear rival through the same training loop as the model."""

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
    for name in ("seasonal-naive", "last-value", "linear"):
        found = evaluate_table(fit(name, series), series, "0.7/0.1/0.2", 48, 12)
        assert found.model.windows == 120 - 12 + 1
        assert np.isfinite(found.model.mse)


def test_linear_learns_and_chooses_on_validation(series):
    rival = fit("linear", series)
    assert isinstance(rival, TrainedModel)
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
    with pytest.raises(
        ConfigError,
        match=r"unknown baseline 'arima'; expected one of seasonal-naive, last-value, linear, neuralforecast-timellm",
    ):
        fit("arima", series)


class StubTimeLLM(torch.nn.Module):
    """What the adapter expects of neuralforecast's class, with a trained and a frozen weight."""

    def __init__(self, **options):
        super().__init__()
        print("stubs print too")
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


def test_the_peer_gets_the_sizes_and_the_files_of_the_model(stub, series, tiny_backbones, family, capsys):
    config = CONFIG.replace(
        {"backbone.name": str(tiny_backbones[family]), "data.description": "Heat.", "model.d_ff": 8}
    )
    rival = fit("neuralforecast-timellm", series, config)
    options = rival.model.network.options
    assert (options["h"], options["input_size"], options["d_ff"], options["d_llm"]) == (12, 48, 8, 32)
    assert (options["llm"], options["prompt_prefix"], options["loss"]) == (str(tiny_backbones[family]), "Heat.", "mse")
    assert set(rival.model.trained_state()) == {"network.head.weight", "network.head.bias"}
    assert rival.result.best_loss == min(row.validation_loss for row in rival.result.history)
    assert capsys.readouterr().out == ""
    contexts = torch.randn(3, 48)
    np.testing.assert_allclose(
        rival.forecast_windows(contexts.numpy()), rival.model.network.head(contexts).detach(), atol=1e-6
    )


def test_the_peers_own_network_trains(series, tiny_backbones):
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
    rival = fit("neuralforecast-timellm", series, config)
    contexts, _ = split_table(series, "0.7/0.1/0.2", 48, 12).test.gather(np.arange(5))
    assert np.isfinite(rival.forecast_windows(contexts)).all()
    assert not any(".llm." in name for name in rival.model.trained_state())
    assert rival.result.steps == 3


def test_a_missing_peer_names_the_install_command(series, monkeypatch):
    for name in ("neuralforecast", "neuralforecast.losses.pytorch", "neuralforecast.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'swt-time\[bench\]'"):
        fit("neuralforecast-timellm", series)
