"""The compiled training step: one graph for all prompt lengths, and the same results as without compilation."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from support.models import make_model, windows
from support.runs import SMALL, Sines
from swt_time.config import Config
from swt_time.errors import ConfigError
from swt_time.model import build_model
from swt_time.training import train_model
from swt_time.training.compiled import CompiledModel


class Counter:
    """A backend that runs each graph without compiling it, and records it."""

    def __init__(self):
        self.graphs = []

    def __call__(self, graph, inputs):
        self.graphs.append(graph)
        return graph.forward


def assert_same_gradients(model, plain):
    """Equal up to the rounding of each gradient, or of the largest gradient for those that are zero up to rounding."""
    pairs = list(zip(model.named_parameters(), plain.parameters(), strict=True))
    gradients = [(name, got.grad, want.grad) for (name, got), want in pairs if want.requires_grad]
    largest = max(want.norm() for _, _, want in gradients)
    for name, got, want in gradients:
        assert (got - want).norm() <= 1e-5 * want.norm() + 1e-8 * largest, name


@pytest.fixture(autouse=True)
def _reset_compiler():
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("prompt_attention", "template"), [("prefix", "paper"), ("prefix", "none"), ("full", "compact")]
)
def test_all_prompt_lengths_share_one_graph(tiny_backbones, family, prompt_attention, template):
    """``fullgraph=True`` raises at a graph break. An encoder that reads whole sequences is recompiled once."""
    changes = {"backbone.prompt_attention": prompt_attention, "prompt.template": template, "model.skip": "linear"}
    model = make_model(tiny_backbones[family], **changes)
    plain = make_model(tiny_backbones[family], **changes)
    backend = Counter()
    compiled = CompiledModel(model, backend)
    lengths = set()
    for seed in range(3):
        batch = windows(5, seed=seed)
        prompt = model.write_prompt(batch)
        lengths.add(None if prompt is None else prompt.ids.shape[1])
        for part in (model, plain):
            part.train()
            part.zero_grad()
        forecast, expected = compiled(batch), plain(batch)
        torch.testing.assert_close(forecast, expected, atol=1e-5, rtol=1e-5)
        forecast.square().sum().backward()
        expected.square().sum().backward()
        assert_same_gradients(model, plain)
        model.eval()
        torch.testing.assert_close(compiled(batch), plain.eval()(batch), atol=1e-5, rtol=1e-5)
    assert len(lengths) > 1 or template == "none"
    whole = family == "bert" and prompt_attention == "full"
    assert len(backend.graphs) <= (2 if whole else 1)
    # The frozen layers are part of the graph: at least two matrix products in each of two layers.
    products = [node for node in backend.graphs[0].graph.nodes if "linear" in str(node.target) or "addmm" in str(node)]
    assert len(products) > 4


def test_one_graph_in_bfloat16(tiny_backbones, family):
    model = make_model(
        tiny_backbones[family], **{"backbone.prompt_attention": "prefix", "backbone.precision": "bfloat16"}
    )
    backend, batch = Counter(), windows(5)
    compiled = CompiledModel(model.train(), backend)
    std = batch.std(dim=1, keepdim=True)
    assert ((compiled(batch) - model(batch)).abs() / std).max() < 0.02
    assert len(backend.graphs) == 1


@pytest.mark.parametrize("tune", ["norms", "lora"])
def test_one_graph_for_a_tuned_language_model(tiny_backbones, tune):
    if tune == "lora":
        pytest.importorskip("peft")
    changes = {"backbone.prompt_attention": "prefix", "backbone.tune": tune, "model.skip": "linear"}
    model, plain = (make_model(tiny_backbones["gpt2"], **changes).train() for _ in range(2))
    backend = Counter()
    compiled = CompiledModel(model, backend)
    for seed in range(2):
        batch = windows(5, seed=seed)
        for part, forecast in ((model, compiled), (plain, plain)):
            part.zero_grad()
            forecast(batch).square().sum().backward()
        assert_same_gradients(model, plain)
    assert len(backend.graphs) == 1


def test_a_graph_break_is_an_error():
    class Broken(nn.Module):
        def forward(self, x):
            torch._dynamo.graph_break()
            return x

    model = make_model("none").train()
    model.head = nn.Sequential(Broken(), model.head)
    with pytest.raises(torch._dynamo.exc.Unsupported):
        CompiledModel(model, Counter())(windows(2))


@pytest.mark.parametrize("loss", ["mse", "quantile"])
def test_compiled_training_ends_with_the_same_weights(tiny_backbones, monkeypatch, loss):
    backend = Counter()
    monkeypatch.setattr("swt_time.training.fitting.CompiledModel", functools.partial(CompiledModel, backend=backend))
    states = []
    for compiled in (False, True):
        config = Config.parse(SMALL).replace(
            {
                "backbone.name": str(tiny_backbones["gpt2"]),
                "backbone.precision": "float32",
                "model.d_ff": 16,
                "model.n_prototypes": 20,
                "training.max_steps": 7,
                "training.batch_size": 16,
                "training.validate_every": 3,
                "training.compile": compiled,
                "training.loss": loss,
            }
        )
        torch.manual_seed(0)
        model = build_model(config)
        # With 40 windows the last batch of an epoch is smaller than the others.
        train_model(model, Sines(count=40), Sines(count=20, seed=1), config.training)
        states.append(model.trained_state())
        assert bool(backend.graphs) == compiled
    for name, expected in states[0].items():
        torch.testing.assert_close(states[1][name], expected, atol=1e-5, rtol=1e-4, msg=name)
    assert len(backend.graphs) <= 2


def test_a_missing_compiler_is_an_error(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    config = Config.parse(SMALL).replace({"training.max_steps": 1, "training.compile": True})
    with pytest.raises(ConfigError, match="compiler, but 'no-such-compiler' was not found; install"):
        train_model(build_model(config), Sines(), None, config.training)


@pytest.mark.slow
def test_inductor_computes_the_same_results(tiny_backbones):
    model, plain = (make_model(tiny_backbones["bert"], **{"model.skip": "linear"}).train() for _ in range(2))
    compiled = CompiledModel(model)
    for seed in range(2):
        batch = windows(5, seed=seed)
        forecast, expected = compiled(batch), plain(batch)
        std = batch.std(dim=1, keepdim=True)
        assert ((forecast - expected).abs() / std).max() < 1e-4
    expected.square().sum().backward()
    forecast.square().sum().backward()
    got, want = model.head.linear.weight.grad, plain.head.linear.weight.grad
    assert np.allclose(got, want, rtol=1e-3, atol=1e-4 * float(want.abs().max()))


@pytest.mark.parametrize("prompt_attention", ["prefix", "full"])
def test_padded_windows_are_compiled_too(tiny_backbones, family, prompt_attention):
    changes = {"backbone.prompt_attention": prompt_attention, "model.skip": "linear"}
    model, plain = (make_model(tiny_backbones[family], **changes).train() for _ in range(2))
    context = windows(5)
    observed = torch.arange(context.shape[1])[None, :, None] >= torch.tensor([0, 30, 60, 94, 95])[:, None, None]
    context = context.masked_fill(~observed, float("nan"))
    got = CompiledModel(model, Counter())(context, observed=observed)
    want = plain(context, observed=observed)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-4)
    for one in (got, want):
        one.square().mean().backward()
    assert_same_gradients(model, plain)
