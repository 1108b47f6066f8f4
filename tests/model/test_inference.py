"""Forecasts of many windows: equal to one large batch, for any number of windows."""

import numpy as np
import pytest
import torch
from torch import nn

from support.models import make_model, windows
from swt_time.model.inference import BATCH_SIZE, forecast_windows

COUNTS = [1, BATCH_SIZE - 1, BATCH_SIZE, BATCH_SIZE + 1, 2 * BATCH_SIZE + 7]


class LastValues(nn.Module):
    """Forecast the last three values of the context, times a trained factor; records its batch sizes."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))
        self.batch_sizes = []

    def forward(self, context):
        self.batch_sizes.append(len(context))
        assert len(context) > 0
        return self.factor * context[:, -3:]


@pytest.mark.parametrize("count", COUNTS)
def test_windows_are_forecast_in_batches_and_in_order(count):
    contexts = np.random.default_rng(0).normal(size=(count, 10)).astype(np.float32)
    model = LastValues()
    forecast = forecast_windows(model, contexts)
    np.testing.assert_array_equal(forecast, 2 * contexts[:, -3:])
    assert forecast.dtype == np.float64
    assert sum(model.batch_sizes) == count
    assert max(model.batch_sizes) <= BATCH_SIZE


def test_forecasts_equal_one_large_batch(tiny_backbones, family):
    model = make_model(tiny_backbones[family])
    contexts = windows(BATCH_SIZE + 6)
    with torch.no_grad():
        expected = model(contexts).squeeze(-1)
    forecast = forecast_windows(model, contexts.squeeze(-1).numpy())
    error = np.abs(forecast - expected.numpy()).max(axis=1) / contexts.std(dim=1).squeeze(-1).numpy()
    assert error.max() < 1e-5


def test_other_dtypes_and_strides_are_accepted():
    contexts = np.random.default_rng(0).normal(size=(10, 5))
    forecast = forecast_windows(LastValues(), contexts.T)
    np.testing.assert_array_equal(forecast, 2 * contexts.T.astype(np.float32)[:, -3:])


def test_no_windows_give_an_empty_forecast(tiny_backbones, family):
    forecast = forecast_windows(make_model(tiny_backbones[family]), np.zeros((0, 96)))
    assert forecast.shape == (0, 24)
    assert forecast.dtype == np.float64
    assert forecast_windows(LastValues(), np.zeros((0, 10))).shape == (0, 3)


def test_the_branch_is_run_only_if_its_gate_is_not_zero(monkeypatch, tiny_backbones, family):
    model = make_model(tiny_backbones[family], **{"model.skip": "ridge"}).eval()
    model.skip.weight.normal_(generator=torch.Generator().manual_seed(0))
    torch.nn.init.zeros_(model.gate)
    contexts = windows(BATCH_SIZE + 6)
    with torch.no_grad():
        whole = model(contexts).squeeze(-1).double().numpy()
    monkeypatch.setattr(model.branch, "forward", lambda *args: pytest.fail("the branch was run"))
    assert np.allclose(forecast_windows(model, contexts.squeeze(-1).numpy()), whole, rtol=1e-5, atol=1e-5)
    torch.nn.init.ones_(model.gate)
    with pytest.raises(pytest.fail.Exception, match="the branch was run"):
        forecast_windows(model, contexts.squeeze(-1).numpy())
