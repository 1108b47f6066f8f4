"""The state of a run: plain values and tensors, checked when they are parsed."""

from dataclasses import asdict

import pytest
import torch
from torch import nn

from swt_time.errors import CheckpointError
from swt_time.training.events import Validation
from swt_time.training.state import (
    Progress,
    StateTensors,
    optimizer_moments,
)

CPU = torch.device("cpu")
ROW = Validation(4, 0.5, 1.0, 2.0, 0.01, None, 100.0, 3.0, True)
PROGRESS = Progress(5, 4, 2.0, 0, 1.5, 16, 0.01, 40, 4, 0.1, [0.2, 0.1], 3.5, [ROW])


def trained(seed=0):
    """A layer and an optimiser after one step, and the parameters by name."""
    torch.manual_seed(seed)
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return optimizer, dict(layer.named_parameters())


def test_progress_survives_a_round_trip():
    assert Progress.parse(asdict(PROGRESS)) == PROGRESS


@pytest.mark.parametrize(
    ("change", "where"),
    [({"steps": "many"}, "steps"), ({"history": [{"step": 1}]}, "history.0"), ({"seconds": None}, "seconds")],
)
def test_damaged_progress_is_an_error(change, where):
    with pytest.raises(CheckpointError, match=f"the training state is damaged: {where}"):
        Progress.parse({**asdict(PROGRESS), **change})
    with pytest.raises(CheckpointError, match="the training state is damaged: steps: "):
        Progress.parse({})


def test_tensors_survive_a_round_trip():
    optimizer, parameters = trained()
    best = {name: p.detach() + 1 for name, p in parameters.items()}
    moments = optimizer_moments(optimizer, parameters.items())
    tensors = StateTensors(dict(parameters), best, moments, {"cpu": torch.get_rng_state()})
    flat = tensors.flatten()
    assert set(flat) == {
        *(f"{kind}/{name}" for kind in ("weights", "best") for name in ("weight", "bias")),
        *(f"optimizer/{key}/{name}" for key in ("exp_avg", "exp_avg_sq", "step") for name in ("weight", "bias")),
        "random/cpu",
    }
    parsed = StateTensors.parse(flat, parameters, parameters, CPU).flatten()
    assert parsed.keys() == flat.keys()
    for name, tensor in flat.items():
        assert torch.equal(parsed[name], tensor), name


def test_an_optimiser_before_its_first_step_has_no_moments():
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    assert optimizer_moments(optimizer, layer.named_parameters()) == {}
    assert len(optimizer.state) == 0


@pytest.mark.parametrize(
    "name",
    ["weights/tail", "best/tail", "optimizer/exp_avg/tail", "other/weight", "weight", "optimizer/exp_avg/weight"],
)
def test_tensors_of_another_model_are_an_error(name):
    """Unknown names, unknown kinds, and a wrong shape."""
    _, parameters = trained()
    with pytest.raises(CheckpointError, match=f"does not fit this model: {name} is unknown or misshapen"):
        StateTensors.parse({name: torch.zeros(7)}, parameters, parameters, CPU)
