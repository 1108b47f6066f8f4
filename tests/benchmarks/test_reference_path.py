"""The reference implementation of the benchmarks gives the forecasts and gradients of the model."""

import torch
from transformers.activations import GELUTanh, NewGELUActivation

from speed.reference_path import as_published, reference_forecast
from support.models import make_model, windows
from swt_time.language.loading import load_language_model


def test_reference_agrees_with_the_model(tiny_backbones, family):
    """In float32 with equal prompts: forecasts within 1e-4 of a std, gradients within 1e-4 of the largest value."""
    published = as_published(load_language_model(str(tiny_backbones[family]), precision="float32"))
    assert published.model.config._attn_implementation == "eager"
    batch = windows(6, channels=2)
    forecasts, gradients = [], []
    for by_reference in (False, True):
        model = make_model(tiny_backbones[family]).train()
        forecast = reference_forecast(model, published, batch) if by_reference else model(batch)
        probe = torch.randn(forecast.shape, generator=torch.Generator().manual_seed(1)) / batch.std(dim=1, keepdim=True)
        (forecast * probe).sum().backward()
        forecasts.append(forecast.detach())
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    std = batch.std(dim=1, keepdim=True)
    assert ((forecasts[0] - forecasts[1]).abs() / std).max() < 1e-4
    # This bias adds the same value to all scores of a query, so its gradient is rounding error only.
    del gradients[1]["branch.reprogram.key_projection.bias"]
    for name, expected in gradients[1].items():
        assert expected.abs().max() > 0, name
        assert (gradients[0][name] - expected).abs().max() < 1e-4 * expected.abs().max(), name


def test_gelu_of_the_reference_is_not_fused(tiny_backbones):
    fused = load_language_model(str(tiny_backbones["gpt2"]), precision="float32").model
    n_layers = sum(isinstance(module, GELUTanh) for module in fused.modules())
    assert n_layers > 0
    published = as_published(load_language_model(str(tiny_backbones["gpt2"]), precision="float32")).model
    assert sum(isinstance(module, NewGELUActivation) for module in published.modules()) == n_layers
    assert not any(isinstance(module, GELUTanh) for module in published.modules())
