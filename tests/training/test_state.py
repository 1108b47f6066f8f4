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
    assert Progress.parse(asdict(PROGRESS), 40) == PROGRESS


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"steps": "many"}, "steps"),
        ({"history": [{"step": 1}]}, "history.0"),
        ({"seconds": None}, "seconds"),
        ({"total_steps": 41}, "total_steps: expected at most 40, got 41"),
        ({"total_steps": 10**300}, "total_steps: expected at most 40"),
        ({"total_steps": 4}, "steps: expected at most 4, got 5"),
        ({"steps": -1}, "steps"),
        ({"best_step": 6}, "best_step: expected at most 5"),
        ({"bad_rounds": 2}, "bad_rounds: expected at most 1"),
        ({"history": [asdict(ROW) | {"step": 6}]}, "history: expected at most 5, got 6"),
        ({"validate_every": -3}, "validate_every"),
        ({"validation_seconds": 1e300}, "validation_seconds"),
        ({"step_seconds": [0.1, -1.0]}, "step_seconds.1"),
        ({"seconds": -1e9}, "seconds"),
        ({"seconds": float("inf")}, "seconds"),
        ({"learning_rate": float("nan")}, "learning_rate"),
    ],
)
def test_damaged_progress_is_an_error(change, where):
    with pytest.raises(CheckpointError, match=f"the training state is damaged: {where}"):
        Progress.parse({**asdict(PROGRESS), **change}, 40)
    with pytest.raises(CheckpointError, match="the training state is damaged: steps: "):
        Progress.parse({}, 40)


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


def flat_state():
    optimizer, parameters = trained()
    weights = {name: p.detach() for name, p in parameters.items()}
    moments = optimizer_moments(optimizer, parameters.items())
    return StateTensors(weights, dict(weights), moments, {"cpu": torch.get_rng_state()}).flatten(), parameters


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("weights/tail", torch.zeros(7)),
        ("best/tail", torch.zeros(7)),
        ("optimizer/exp_avg/tail", torch.zeros(7)),
        ("other/weight", torch.zeros(2, 3)),
        ("weight", torch.zeros(2, 3)),
        ("weights/weight", torch.zeros(7)),
        ("weights/weight", torch.full((2, 3), float("nan"))),
        ("best/weight", torch.zeros(2, 3, dtype=torch.int64)),
        ("best/weight", None),
        ("optimizer/exp_avg/weight", torch.zeros(7)),
        ("optimizer/exp_avg/weight", torch.zeros(())),
        ("optimizer/exp_avg/weight", None),
        ("optimizer/exp_avg_sq/weight", torch.zeros(2, 3, dtype=torch.float64)),
        ("optimizer/other/weight", torch.zeros(2, 3)),
        ("optimizer/step/bias", torch.tensor(-1.0)),
        ("optimizer/step/bias", torch.tensor(float("nan"))),
    ],
    ids=str,
)
def test_tensors_of_another_model_are_an_error(name, tensor):
    """Unknown names and kinds, wrong shapes and dtypes, missing tensors, and values that no run has."""
    flat, parameters = flat_state()
    StateTensors.parse(flat, parameters, parameters, CPU)
    changed = {key: value for key, value in {**flat, name: tensor}.items() if value is not None}
    with pytest.raises(CheckpointError, match=r"fit (this model|the configuration): .*(weight|bias|tail)"):
        StateTensors.parse(changed, parameters, parameters, CPU)
