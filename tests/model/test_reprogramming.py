"""Reprogramming: equal to plain attention without materialising its weights; prototypes cached in inference."""

import time

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from support.models import PAPER, windows
from swt_time.config import Config
from swt_time.model import build_model
from swt_time.model.reprogramming import FreePrototypes, MappingPrototypes, Reprogramming


def largest_allocation(work):
    """Bytes of the largest single allocation of a call."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recording:
        work()
    events = recording.profiler.kineto_results.events()
    return max(e.nbytes() for e in events if e.name() == "[memory]")


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_attention_weights_are_not_materialised(dropout):
    torch.manual_seed(0)
    series, n_patches, heads, n_prototypes = 40, 64, 4, 500
    layer = Reprogramming(16, 32, heads, 16, dropout).train()
    prototypes = torch.randn(n_prototypes, 32, requires_grad=True)
    tokens = torch.randn(series, n_patches, 16, requires_grad=True)
    largest = largest_allocation(lambda: layer(tokens, *layer.keys_values(prototypes)).sum().backward())
    whole = series * heads * n_patches * n_prototypes * 4
    assert largest < whole / 4
    plain = largest_allocation(lambda: torch.softmax(torch.zeros(series, heads, n_patches, n_prototypes), dim=-1))
    assert plain == whole


def test_attention_dropout_equals_plain_attention_with_the_same_seed():
    """Outputs and gradients: the weights recomputed in the backward pass have the same dropout mask."""
    layer = Reprogramming(8, 12, 2, 4, attention_dropout=0.3).train()
    results = []
    for plain in (False, True):
        torch.manual_seed(5)
        prototypes = torch.randn(30, 12, requires_grad=True)
        tokens = torch.randn(7, 10, 8, requires_grad=True)
        keys, values = layer.keys_values(prototypes)
        if plain:
            queries = layer._heads(layer.query_projection(tokens).flatten(0, 1))
            mixed = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, dropout_p=0.3)
            out = layer.out_projection(mixed.transpose(1, 2).reshape(7, 10, -1))
        else:
            out = layer(tokens, keys, values)
        out.square().sum().backward()
        results.append((out.detach(), tokens.grad, prototypes.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_attention_dropout_acts_in_training_only():
    layer = Reprogramming(8, 12, 2, 4, attention_dropout=0.5)
    tokens, text = torch.randn(3, 5, 8), layer.keys_values(torch.randn(30, 12))
    assert not torch.equal(layer.train()(tokens, *text), layer(tokens, *text))
    assert torch.equal(layer.eval()(tokens, *text), layer(tokens, *text))


@pytest.mark.parametrize("prototypes", ["free", "mapping"])
def test_inference_caches_prototypes_until_a_weight_changes(tiny_backbones, prototypes):
    config = Config.parse(PAPER).replace({"backbone.name": str(tiny_backbones["gpt2"]), "model.prototypes": prototypes})
    model = build_model(config).eval()
    calls = []
    model.branch.reprogram.key_projection.register_forward_hook(lambda *_: calls.append(1))
    batch = windows(2)

    def forecast():
        with torch.no_grad():
            return model(batch)

    def fresh():
        """The forecast of a model with the same weights and an empty cache."""
        other = build_model(config, model.language_model).eval()
        other.load_state_dict(model.state_dict())
        with torch.no_grad():
            return other(batch)

    first = forecast()
    assert torch.equal(forecast(), first)
    assert len(calls) == 1
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.enable_grad():
        model(batch).sum().backward()
    optimizer.step()
    assert torch.equal(forecast(), fresh())
    assert not torch.equal(forecast(), first)
    with torch.no_grad():
        model.branch.reprogram.value_projection.bias.add_(1.0)
    assert torch.equal(forecast(), fresh())
    model.load_state_dict({name: 0.5 * value for name, value in model.state_dict().items()})
    assert torch.equal(forecast(), fresh())
    before = len(calls)
    model.train().eval()
    forecast()
    assert len(calls) == before + 1
    assert not any("_text" in name for name in model.state_dict())


def test_free_prototypes_are_initialised_as_those_of_the_mapping():
    vocabulary = torch.randn(50, 12)
    torch.manual_seed(0)
    mapping = MappingPrototypes(vocabulary, 7)
    torch.manual_seed(0)
    torch.testing.assert_close(FreePrototypes(vocabulary, 7)(), mapping())


def test_prototypes_without_initial_values_are_built_quickly():
    vocabulary = torch.randn(20_000, 256)
    began = time.perf_counter()
    FreePrototypes(vocabulary, 1000)
    started = time.perf_counter() - began
    began = time.perf_counter()
    assert not FreePrototypes(vocabulary, 1000, start=False)().any()
    assert time.perf_counter() - began < 0.2 * started
