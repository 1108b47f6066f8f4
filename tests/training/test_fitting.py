"""Seeding of a run, and the choice of its device."""

import pytest
import torch

from swt_time.config import TrainingConfig
from swt_time.errors import ConfigError
from swt_time.training import seeded


def test_runs_with_the_same_seed_draw_the_same_numbers():
    drawn = []
    for seed in (3, 3, 4):
        torch.rand(5)
        with seeded(TrainingConfig(seed=seed, device="cpu")) as random, random.active():
            assert random.device == torch.device("cpu")
            drawn.append(torch.rand(5))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_generator_is_restored_afterwards():
    before = torch.get_rng_state()
    with seeded(TrainingConfig(device="cpu")) as random, random.active():
        torch.rand(5)
        assert not torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_device_is_an_error():
    with pytest.raises(ConfigError, match="cannot be used here"), seeded(TrainingConfig(device="abacus")):
        pytest.fail("the context must not be entered")
