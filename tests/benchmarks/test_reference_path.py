"""The path that benchmarks measure against computes the same forecasts and gradients, only more slowly."""

import torch

from speed.reference_path import as_published, reference_forecast
from support.models import make_model, windows
from swt_time.language.loading import load_language_model


def test_the_reference_path_agrees(tiny_backbones, family):
    """In float32, with identical prompts: forecasts within 1e-4, gradients within 1e-4 of their size."""
    plain = as_published(load_language_model(str(tiny_backbones[family]), precision="float32"))
    assert plain.model.config._attn_implementation == "eager"
    batch = windows(6, channels=2)
    forecasts, gradients = [], []
    for by_reference in (False, True):
        model = make_model(tiny_backbones[family]).train()
        forecast = reference_forecast(model, plain, batch) if by_reference else model(batch)
        probe = torch.randn(forecast.shape, generator=torch.Generator().manual_seed(1)) / batch.std(dim=1, keepdim=True)
        (forecast * probe).sum().backward()
        forecasts.append(forecast.detach())
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    deviation = batch.std(dim=1, keepdim=True)
    assert ((forecasts[0] - forecasts[1]).abs() / deviation).max() < 1e-4
    # It adds the same to all scores of a query: its gradient is rounding alone.
    del gradients[1]["branch.reprogram.key_projection.bias"]
    for name, expected in gradients[1].items():
        assert expected.abs().max() > 0, name
        assert (gradients[0][name] - expected).abs().max() < 1e-4 * expected.abs().max(), name
