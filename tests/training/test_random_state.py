"""The random numbers of a run are its own."""

import threading

import torch

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
