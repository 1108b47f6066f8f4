"""Accuracy of half precision: errors relative to float32, and differences between a window alone and in a batch."""

import pytest
import torch

from support.models import windows
from swt_time.config import Config
from swt_time.errors import BackboneError
from swt_time.language.loading import load_language_model, resolve_precision
from swt_time.language.prompt import pad_prompts
from swt_time.model import build_model

FROM_FLOAT32 = 0.01
ALONE = 0.02
"""Maximum RMS differences, in standard deviations of the window. The gate is 1 and the head is untrained."""


def both_precisions(backbone, **changes):
    """Return models with the same trained weights, whose frozen model is in float32 and in bfloat16."""
    models = []
    for precision in ("float32", "bfloat16"):
        values = {"backbone.name": backbone, "backbone.precision": precision, "data.horizon": 24, **changes}
        torch.manual_seed(0)
        model = build_model(Config().replace(values)).eval()
        torch.nn.init.constant_(model.gate, 1.0)
        models.append(model)
    return models


def differences(a, b, batch):
    """Return the RMS difference of each forecast in standard deviations of its window."""
    return ((a - b).square().mean(dim=1).sqrt() / batch.std(dim=1)).flatten()


@pytest.mark.parametrize("prompt_attention", ["full", "prefix"])
def test_forecasts_in_bfloat16_are_close_to_those_in_float32(prompt_attention):
    full, half = both_precisions("minilm", **{"backbone.prompt_attention": prompt_attention})
    batch = windows(12, context=512)
    with torch.no_grad():
        error = differences(full(batch), half(batch), batch)
    assert error.max() < FROM_FLOAT32
    assert error.max() > 0


def test_window_alone_and_in_a_padded_batch_agree_in_bfloat16(tiny_backbones, family):
    _, half = both_precisions(str(tiny_backbones[family]), **{"model.d_ff": 16, "data.context": 96})
    batch = windows(20)
    with torch.no_grad():
        together = half(batch)
        alone = torch.cat([half(batch[i : i + 1]) for i in range(len(batch))])
    assert differences(together, alone, batch).max() < ALONE


def test_window_alone_and_in_a_padded_batch_agree_in_bfloat16_with_minilm():
    _, half = both_precisions("minilm", **{"backbone.prompt_attention": "prefix"})
    batch = windows(6, context=512)
    with torch.no_grad():
        together = half(batch)
        alone = torch.cat([half(batch[i : i + 1]) for i in range(len(batch))])
    assert differences(together, alone, batch).max() < ALONE


@pytest.mark.skipif(torch.cuda.is_available(), reason="tests the error on a machine without CUDA")
def test_float16_needs_cuda(tiny_backbones):
    with pytest.raises(BackboneError, match="float16 needs CUDA"):
        load_language_model(str(tiny_backbones["gpt2"]), precision="float16")


@pytest.mark.parametrize(("name", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_named_precision_is_used(name, dtype):
    assert resolve_precision(name) is dtype


@pytest.mark.parametrize("size", [1.0, 1e-9])
def test_gradients_through_float16_do_not_vanish(tiny_backbones, family, size):
    """A CPU computes float16 slowly but correctly. The control is the same model without scaled gradients."""
    prompt = pad_prompts([[5, 6, 7, 8], [5, 6, 9]], (5, 6))
    probe = size * torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(1))
    gradients = {}
    for name, dtype in (("full", torch.float32), ("half", torch.float16), ("unscaled", torch.float16)):
        model = load_language_model(str(tiny_backbones[family]), precision="float32", prompt_attention="prefix")
        model.model.to(dtype)
        tokens = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
        read = model._read if name == "unscaled" else model
        (read(prompt, tokens) * probe).sum().backward()
        gradients[name] = tokens.grad / size
    full = gradients["full"]
    assert (gradients["half"] - full).norm() < 0.01 * full.norm()
    if size < 1e-6:  # control
        assert (gradients["unscaled"] - full).norm() > 0.5 * full.norm()


def test_trained_weights_and_gradients_are_float32_beside_a_bfloat16_model(tiny_backbones):
    full, half = both_precisions(str(tiny_backbones["gpt2"]), **{"model.d_ff": 16, "data.context": 96})
    batch, gradients = windows(8), []
    for model in (full, half):
        model(batch).square().mean().backward()
        trained = {name: p for name, p in model.branch.named_parameters() if p.requires_grad}
        assert all(p.dtype == torch.float32 and p.grad.dtype == torch.float32 for p in trained.values())
        gradients.append({name: p.grad for name, p in trained.items()})
        assert len(trained) > 4
    for name, exact in gradients[0].items():
        if "key_projection.bias" in name:
            continue  # adds the same value to all scores of a query, so its gradient is zero
        error = (gradients[1][name] - exact).norm() / exact.norm()
        assert 0 < error < 0.1, name
