"""Fused linear layers of a frozen model, verified against unfused layers in double precision."""

import copy

import pytest
import torch
from torch import nn

from swt_time.language.frozen import FrozenLinear, can_fuse
from swt_time.language.loading import load_language_model
from swt_time.language.prompt import pad_prompts

needs_kernel = pytest.mark.skipif(not can_fuse(), reason="needs oneDNN and a CPU with bfloat16 matrix products")


def unfused(weight, bias, gelu, x):
    y = nn.functional.linear(x, weight, bias)
    return y if gelu is None else nn.functional.gelu(y, approximate=gelu)


@pytest.mark.parametrize("gelu", [None, "none", "tanh"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_values_and_gradients_equal_those_of_the_unfused_layer(gelu, dtype):
    torch.manual_seed(0)
    weight, bias = torch.randn(24, 16) / 4, torch.randn(24)
    x, gradient = torch.randn(3, 5, 16), torch.randn(3, 5, 24)
    rounded = [t.to(dtype) for t in (weight, bias, x, gradient)]
    layer = FrozenLinear(rounded[0], rounded[1], gelu)
    inputs = rounded[2].clone().requires_grad_()
    found = layer(inputs)
    found.backward(rounded[3])
    exact_input = rounded[2].double().requires_grad_()
    exact = unfused(rounded[0].double(), rounded[1].double(), gelu, exact_input)
    exact.backward(rounded[3].double())
    bound = {torch.bfloat16: 1e-2, torch.float32: 1e-6, torch.float64: 1e-14}[dtype]
    assert (found.double() - exact).norm() < bound * exact.norm()
    assert (inputs.grad.double() - exact_input.grad).norm() < bound * exact_input.grad.norm()
    assert found.dtype == dtype
    assert layer.weight.grad is None
    with torch.no_grad():
        assert (layer(inputs).double() - exact).norm() < bound * exact.norm()


@needs_kernel
def test_fused_model_is_as_accurate_as_the_unfused_model(tiny_backbones, family, monkeypatch):
    """The two round differently in bfloat16, so both are compared with the model in float32."""
    folder = str(tiny_backbones[family])
    prompt = pad_prompts([[5, 6, 7, 8], [5, 6, 9]], (5, 6))
    tokens, probe = torch.randn(2, 2, 7, 32, generator=torch.Generator().manual_seed(0))
    exact = load_language_model(folder, precision="float32", prompt_attention="prefix")
    fused = load_language_model(folder, precision="bfloat16", prompt_attention="prefix")
    kinds = {type(m) for m in fused.model.modules()}
    assert (FrozenLinear in kinds) == (family != "llama")
    assert not any(isinstance(m, FrozenLinear) for m in exact.model.modules())
    monkeypatch.setattr("swt_time.language.backbone.can_fuse", lambda: False)
    plain = load_language_model(folder, precision="bfloat16", prompt_attention="prefix")
    assert plain.identity == fused.identity == exact.identity
    results = []
    for model in (exact, fused, plain):
        inputs = tokens.clone().requires_grad_()
        hidden = model(prompt, inputs)
        hidden.backward(probe)
        with torch.no_grad():
            results.append((hidden.detach(), inputs.grad, model(prompt, tokens)))
    for reference, found, found_plain in zip(*results, strict=True):
        error, usual = (found - reference).norm(), (found_plain - reference).norm()
        assert error < 2 * usual
        assert error < 0.05 * reference.norm()


@needs_kernel
def test_activation_and_bias_move_into_the_fused_layers(tiny_backbones):
    fused = load_language_model(str(tiny_backbones["gpt2"]), precision="bfloat16")
    block = fused.model.h[0]
    assert isinstance(block.mlp.c_fc, FrozenLinear)
    assert block.mlp.c_fc.gelu == "tanh"
    assert block.mlp.c_proj.gelu is None
    assert isinstance(block.mlp.act, nn.Identity)
    moved = copy.deepcopy(fused.model).float()
    assert moved.h[0].mlp.c_fc.weight.dtype == torch.float32
