"""Learning rates, objective, optimiser, and advice when memory is exhausted."""

import math

import numpy as np
import pytest
import torch

from support.runs import SMALL, Sines
from swt_time.config import Config, TrainingConfig
from swt_time.config.choices import QUANTILES
from swt_time.errors import ConfigError
from swt_time.model import build_model
from swt_time.training import optimising
from swt_time.training.loop import train
from swt_time.training.optimising import (
    Objective,
    check_memory,
    learning_rate,
    make_optimizer,
    memory_advice,
    windows_at_once,
)

SCHEDULERS = torch.optim.lr_scheduler


def pytorch_rates(make, steps):
    """Learning rates of a scheduler of PyTorch before each step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    scheduler, rates = make(optimizer), []
    for step in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        if step < steps - 1:
            scheduler.step()
    return rates


@pytest.mark.parametrize("total", [10, 50, 333])
def test_one_cycle_equals_that_of_pytorch(total):
    theirs = pytorch_rates(lambda o: SCHEDULERS.OneCycleLR(o, max_lr=0.01, total_steps=total), total)
    ours = [learning_rate(step, total, 0.01, "one_cycle") for step in range(total)]
    assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("total", [1, 10, 50, 333])
def test_cosine_equals_that_of_pytorch(total):
    theirs = pytorch_rates(lambda o: SCHEDULERS.CosineAnnealingLR(o, T_max=total), total + 1)
    ours = [learning_rate(step, total, 0.01, "cosine") for step in range(total + 1)]
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-12)


def test_cosine_falls_from_the_peak_to_zero():
    rates = [learning_rate(step, 20, 0.1, "cosine") for step in range(21)]
    assert rates[0] == 0.1
    assert rates[20] == pytest.approx(0)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
@pytest.mark.parametrize("total", [1, 2, 3, 5])
def test_short_schedules_are_finite(schedule, total):
    rates = [learning_rate(step, total, 1e-3, schedule) for step in range(total)]
    assert len(rates) == total
    assert all(math.isfinite(rate) and 0 < rate <= 1e-3 for rate in rates)


@pytest.mark.parametrize(("kind", "expected"), [("mse", 4.0), ("mae", 2.0), ("huber", 1.5)])
def test_losses_are_summed_over_all_points(kind, expected):
    assert Objective(kind).error(torch.full((2, 3, 1), 2.0), torch.zeros(2, 3, 1)).item() == pytest.approx(6 * expected)


def slow_pinball(quantiles, targets):
    """Pinball losses one by one: of every point with a target, averaged over the quantiles."""
    total = 0.0
    for place in np.ndindex(targets.shape):
        if math.isnan(targets[place]):
            continue
        for p, q in zip(QUANTILES, quantiles[place], strict=True):
            y = targets[place]
            total += (p * (y - q) if y >= q else (1 - p) * (q - y)) / len(QUANTILES)
    return total


@pytest.mark.parametrize("missing", [False, True])
def test_pinball_loss_equals_a_loop(missing):
    torch.manual_seed(0)
    quantiles, targets = torch.randn(5, 4, 1, len(QUANTILES)), torch.randn(5, 4, 1)
    if missing:
        targets[::2, 1] = math.nan
    found = Objective("quantile").error(quantiles, targets).item()
    assert found == pytest.approx(slow_pinball(quantiles.numpy(), targets.numpy()), rel=1e-5)
    assert found > 0


def test_a_forecast_without_quantiles_counts_as_all_of_them():
    forecast, targets = torch.randn(5, 4, 1), torch.randn(5, 4, 1)
    repeated = forecast.unsqueeze(-1).expand(5, 4, 1, len(QUANTILES))
    error = Objective("quantile").error
    assert error(forecast, targets).item() == pytest.approx(error(repeated, targets).item(), rel=1e-6)


def test_pinball_loss_is_lowest_at_the_quantiles_of_the_targets():
    targets = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).reshape(-1, 1, 1)
    best = torch.quantile(targets.flatten(), torch.tensor(QUANTILES))
    error = Objective("quantile").error
    losses = [error((best + shift).expand(20_000, 1, 1, -1), targets).item() for shift in (-0.1, 0.0, 0.1)]
    assert losses[1] < min(losses[0], losses[2])


def test_an_objective_without_a_penalty():
    assert Objective("mse").penalty() is None
    assert Objective("mse", lambda: None, 5.0).penalty() is None


def test_the_penalty_is_weighted_and_differentiable():
    value = torch.tensor(3.0, requires_grad=True)
    penalty = Objective("mse", lambda: value.square(), 0.5).penalty()
    assert penalty.item() == 4.5
    penalty.backward()
    assert value.grad.item() == 3.0


@pytest.mark.parametrize("weight", [0.0, 0.5, 20.0])
def test_training_adds_the_gradient_of_the_penalty(weight):
    """For one step: the gradient of the loss alone, plus the weight times that of the penalty."""
    config = Config.parse(SMALL).replace({"training.max_steps": 1, "training.clip_norm": None})
    gradients = {}
    for factor in (None, weight):
        torch.manual_seed(0)
        model = build_model(config)
        bias = model.head.linear.bias
        penalty = None if factor is None else lambda bias=bias: (bias * torch.arange(12.0)).sum()
        objective = Objective("mse", penalty, 1.0 if factor is None else factor)
        train(model, Sines(), None, config.training, objective=objective)
        gradients[factor] = bias.grad.numpy()
    np.testing.assert_allclose(gradients[weight] - gradients[None], weight * np.arange(12.0), atol=1e-5)


def test_weight_decay_applies_to_parameters_with_two_or_more_axes():
    model = build_model(Config.parse(SMALL).replace({"embedding.band_weights": "free"}))
    model.embed.projection.requires_grad_(False)
    optimizer = make_optimizer(model.parameters(), TrainingConfig(weight_decay=0.1))
    decayed, others = optimizer.param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {names[id(p)] for p in decayed["params"]} == {"head.linear.weight"}
    assert {names[id(p)] for p in others["params"]} == {"head.linear.bias", "embed.band_weight"}


def test_groups_without_parameters_are_left_out():
    optimizer = make_optimizer([torch.nn.Parameter(torch.zeros(2, 2))], TrainingConfig())
    assert [len(group["params"]) for group in optimizer.param_groups] == [1]


@pytest.mark.parametrize(("batch", "micro", "expected"), [(16, None, 16), (16, 4, 4), (16, 100, 16)])
def test_windows_at_once(batch, micro, expected):
    assert windows_at_once(TrainingConfig(batch_size=batch, micro_batch=micro)) == expected


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 99 bytes"),
        RuntimeError("not enough memory: you tried to allocate 99 bytes"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "windows", "python"],
)
@pytest.mark.parametrize(
    ("micro_batch", "advice"),
    [
        (None, r"out of memory with 32 windows at once; set training\.micro_batch to 16 "),
        (4, r"out of memory with 4 windows at once; set training\.micro_batch to 2 "),
        (1, r"out of memory with 1 windows at once; set model\.n_prototypes, .* or backbone\.layers"),
    ],
)
def test_memory_advice_names_the_option_to_lower(error, micro_batch, advice):
    with (
        pytest.raises(ConfigError, match=advice) as raised,
        memory_advice(TrainingConfig(batch_size=32, micro_batch=micro_batch)),
    ):
        raise error
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [RuntimeError("shapes cannot be multiplied"), ValueError("out of memory")])
def test_memory_advice_does_not_change_other_errors(error):
    with pytest.raises(type(error)) as raised, memory_advice(TrainingConfig()):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("skip", ["ridge", "linear"])
def test_sizes_that_cannot_fit_into_memory_are_refused_by_name(monkeypatch, skip):
    config = Config.parse(SMALL).replace({"embedding.d_model": 2**16, "model.skip": skip, "training.batch_size": 64})
    model = build_model(config)
    train(model, Sines(64), None, config.replace({"training.max_steps": 1}).training)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    kept = sum(weight.numel() for weight in model.trained_state().values())
    used = 4 * (3 * trained + 2 * kept + 2 * 64 * config.n_patches * 2**16)
    monkeypatch.setattr(optimising, "total_memory", lambda device: 0)
    with pytest.raises(
        ConfigError, match=r"lower embedding.d_model \(now 65,536\) or training.micro_batch \(now 64 "
    ) as e:
        check_memory(config, 10**6)
    assert "cpu" in str(e.value)
    monkeypatch.setattr(optimising, "total_memory", lambda device: used)
    check_memory(config, 10**6)  # what is counted is never more than what is used
    monkeypatch.setattr(optimising, "total_memory", lambda device: used // 2)
    with pytest.raises(ConfigError, match="training needs at least"):
        check_memory(config, 10**6)
    check_memory(config, 1)  # a table of one window
    check_memory(config.replace({"training.micro_batch": 1}), 10**6)
    check_memory(config.replace({"model.skip": "ridge", "training.max_steps": 0}), 10**6)
