"""The quantile head: order, equality with a loop, the gate, and one training step of every backbone."""

from statistics import NormalDist

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from support.backbones import FAMILIES
from support.runs import SMALL, Sines
from swt_time.config import STAND_INS, Config
from swt_time.config.choices import QUANTILES
from swt_time.model import build_model
from swt_time.model.quantiles import MEDIAN, QuantileHead
from swt_time.training import train_model

COUNT = len(QUANTILES)


def make(skip="linear", backbone="none", **changes):
    config = Config.parse(SMALL).replace(
        {
            "model.skip": skip,
            "model.d_ff": 8,
            "model.n_heads": 2,
            "model.n_prototypes": 12,
            "backbone.name": str(backbone),
            "backbone.precision": "float32",
            "training.loss": "quantile",
            "training.device": "cpu",
            **changes,
        }
    )
    torch.manual_seed(0)
    return config, build_model(config)


def randomise(model, scale):
    """Draw every trained weight at random."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(scale * torch.randn(parameter.shape))


@torch.no_grad()
def test_quantiles_equal_a_loop():
    torch.manual_seed(0)
    head = QuantileHead(5, 4, 3)
    randomise(head, 1.0)
    hidden = torch.randn(6, 4, 7)
    median, offsets = head.quantiles(hidden)
    assert torch.equal(median, head(hidden))
    raw = torch.nn.functional.softplus(head.distances(head.flatten(hidden)))
    for i in range(6):
        for h in range(3):
            for q in range(COUNT):
                between = range(min(q, MEDIAN), max(q, MEDIAN))
                total = sum(raw[i, k * 3 + h].item() for k in between)
                expected = total if q > MEDIAN else -total
                assert offsets[i, q, h].item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("std", [1.0, 20.0])
def test_new_head_has_the_offsets_of_a_normal_distribution(std):
    head = QuantileHead(5, 4, 3, std=std)
    median, offsets = head.quantiles(torch.randn(6, 4, 7))
    assert not median.any()
    normal = torch.tensor([NormalDist(0, std).inv_cdf(p) for p in QUANTILES])
    torch.testing.assert_close(offsets, normal[None, :, None].expand(6, -1, 3), atol=1e-5, rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
    gate=st.floats(-3, 3, width=32),
    skip=st.sampled_from(["linear", "none", "ridge"]),
    level=st.sampled_from([0.0, 1e4]),
)
@torch.no_grad()
def test_quantiles_never_cross_and_the_median_is_the_forecast(seed, scale, gate, skip, level):
    _, model = make(skip)
    torch.manual_seed(seed)
    randomise(model, scale)
    if model.gate is not None:
        model.gate.fill_(gate)
    batch = level + torch.randn(3, 48, 2).cumsum(1)
    found = model.eval().quantiles(batch)
    assert found.shape == (3, 12, 2, COUNT)
    assert torch.isfinite(found).all()
    assert (found.diff(dim=-1) >= 0).all()
    assert torch.equal(found[..., MEDIAN], model(batch))


@torch.no_grad()
def test_padding_changes_nothing_in_the_quantiles():
    _, model = make()
    randomise(model, 0.3)
    batch, observed = torch.randn(2, 48, 1), torch.ones(2, 48, 1, dtype=torch.bool)
    observed[:, :20] = False
    expected = model.eval().quantiles(batch, observed=observed)
    batch[:, :20] = 1e6
    assert torch.equal(model.quantiles(batch, observed=observed), expected)


def test_behind_a_gate_of_zero_all_quantiles_are_the_closed_form_and_the_gate_has_a_gradient():
    config, model = make("ridge", **{"training.max_steps": 0})
    train_model(model, Sines(), Sines(seed=1), config.training)
    assert model.is_closed_form
    context, target = (torch.from_numpy(one).unsqueeze(-1) for one in Sines(seed=2, noise=0.3).gather(np.arange(64)))
    quantiles = model.quantiles(context)
    assert torch.equal(quantiles, model.forecast_closed_form(context).unsqueeze(-1).expand_as(quantiles))
    above = target.unsqueeze(-1) - quantiles
    probabilities = torch.tensor(QUANTILES)
    torch.maximum(probabilities * above, (probabilities - 1) * above).mean().backward()
    assert model.gate.grad.item() < -0.1  # a larger gate lowers the loss


@pytest.mark.parametrize("skip", ["ridge", "linear", "none"])
@pytest.mark.parametrize("backbone", [*FAMILIES, *STAND_INS])
def test_every_backbone_learns_a_spread(tiny_backbones, backbone, skip):
    """From its start, in which the weights of the head are zero, every weight of the branch is reached by training."""
    place = tiny_backbones.get(backbone, backbone)
    config, model = make(skip, place, **{"training.max_steps": 4, "training.batch_size": 16})
    before = {name: weight.clone() for name, weight in model.trained_state().items()}
    result = train_model(model, Sines(), None, config.training)
    assert result.steps == 4
    context = torch.from_numpy(Sines(seed=2).gather(np.arange(4))[0]).unsqueeze(-1)
    with torch.no_grad():
        quantiles = model.quantiles(context)
    assert (quantiles.diff(dim=-1) > 0).all()
    if model.gate is not None:
        assert model.gate.item() > 0
    after = model.trained_state()
    same = [name for name in after if torch.equal(after[name], before[name])]
    # a bias of the keys shifts all scores of a query equally, which softmax ignores; the key and query projections of
    # one input are a matrix of PyTorch's attention, whose bias holds that of the keys
    assert [name for name in same if not name.endswith("key_projection.bias")] == []
