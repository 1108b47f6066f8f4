"""The random numbers of a run are its own."""

import struct
import threading

import pytest
import torch

from swt_time.errors import CheckpointError
from swt_time.training.random_state import RandomState

CPU = torch.device("cpu")


def draw(random: RandomState) -> torch.Tensor:
    with random.active():
        return torch.rand(4)


def test_a_seed_starts_the_same_numbers_and_each_use_continues_them():
    one, other = RandomState(CPU, 3), RandomState(CPU, 3)
    first = draw(one)
    assert torch.equal(first, draw(other))
    torch.manual_seed(3)
    assert torch.equal(first, torch.rand(4))
    assert torch.equal(draw(one), torch.rand(4))


def test_the_process_is_not_disturbed():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    random = RandomState(CPU, 3)
    draw(random)
    assert torch.equal(torch.get_rng_state(), before)
    # Without a seed the numbers start where the process is.
    assert torch.equal(draw(RandomState(CPU)), torch.rand(4))


def test_saved_states_are_restored_and_absent_devices_ignored():
    random = RandomState(CPU, 3)
    states = random.states()
    expected = draw(random)
    assert not torch.equal(draw(random), expected)
    random.restore({**states, "cuda": torch.zeros(16, dtype=torch.uint8)})
    assert set(random.states()) == {"cpu"}
    assert torch.equal(draw(random), expected)


def test_threads_do_not_disturb_each_other():
    expected = torch.stack([draw(random) for random in [RandomState(CPU, 3)] for _ in range(50)])
    found, start = {}, threading.Barrier(4)

    def work(index: int) -> None:
        random = RandomState(CPU, 3)
        start.wait()
        found[index] = torch.stack([draw(random) for _ in range(50)])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[i], expected) for i in range(4))


def counters(left: int, following: int) -> torch.Tensor:
    """A state whose counters of words left and of the next word are changed."""
    state = bytearray(torch.get_rng_state().numpy().tobytes())
    struct.pack_into("<i", state, 8, left)
    struct.pack_into("<Q", state, 16, following)
    return torch.frombuffer(state, dtype=torch.uint8)


@pytest.mark.parametrize(
    "state",
    [
        None,
        torch.zeros(0, dtype=torch.uint8),
        torch.zeros(5056),
        torch.zeros(5056, dtype=torch.uint8),
        torch.frombuffer(bytearray(b"\xa5" * 5056), dtype=torch.uint8),
        counters(0, 0),
        counters(624, 624),
        counters(300, 600),
    ],
    ids=["missing", "empty", "floats", "zeros", "noise", "no words", "past the end", "contradiction"],
)
def test_a_damaged_state_is_refused_and_changes_nothing(state):
    random, other = RandomState(CPU, 3), RandomState(CPU, 3)
    with pytest.raises(CheckpointError, match="the state of the random generator cannot be restored"):
        random.restore({} if state is None else {"cpu": state})
    assert torch.equal(draw(random), draw(other))


def test_every_state_that_occurs_is_accepted():
    """Also a new one, and one whose words are used up."""
    random = RandomState(CPU, 3)
    for count in (0, 1, 7, 616, 1, 1, 1000, 3):
        with random.active():
            torch.rand(count)
        RandomState(CPU).restore(random.states())
