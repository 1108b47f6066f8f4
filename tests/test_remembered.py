"""A cached result is computed once, and again after its weights change."""

import pytest
import torch
from torch import nn

from swt_time.remembered import Remembered, fingerprint


class Counter:
    """Sum of a layer's weights, cached, and how often it was computed."""

    def __init__(self):
        self.layer = nn.Linear(3, 2)
        self.calls = 0
        self._sum = Remembered()

    def compute(self):
        self.calls += 1
        return sum(p.detach().double().sum() for p in self.layer.parameters())

    def get(self):
        return self._sum.get(fingerprint(self.layer.parameters()), self.compute)

    def forget(self):
        self._sum.forget()


@pytest.fixture
def counter():
    return Counter()


def write_in_place(layer):
    with torch.no_grad():
        layer.weight.add_(1.0)


def replace_weight(layer):
    layer.weight = nn.Parameter(layer.weight.detach() + 1.0)


def cast(layer):
    layer.double()


def load_state(layer):
    layer.load_state_dict({name: value + 1.0 for name, value in layer.state_dict().items()})


def take_optimizer_step(layer):
    layer(torch.ones(1, 3)).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.1).step()


CHANGES = [write_in_place, replace_weight, cast, load_state, take_optimizer_step]


def test_value_is_computed_once(counter):
    first = counter.get()
    assert counter.calls == 1
    assert counter.get() is first
    assert counter.get() is first
    assert counter.calls == 1


@pytest.mark.parametrize("change", CHANGES)
def test_value_is_computed_again_after_a_change(counter, change):
    counter.get()
    change(counter.layer)
    assert counter.get() == counter.compute()
    assert counter.calls == 3  # before and after the change, and by this test
    counter.get()
    assert counter.calls == 3


def test_value_is_computed_again_after_forget(counter):
    first = counter.get()
    counter.forget()
    assert counter.get() == first
    assert counter.calls == 2


def test_forgetting_without_a_value_has_no_effect(counter):
    counter.forget()
    counter.get()
    assert counter.calls == 1


def test_only_the_last_key_is_kept():
    cache, calls = Remembered(), []
    for key in ("a", "b", "a"):
        assert cache.get(key, lambda key=key: calls.append(key) or key) == key
    assert calls == ["a", "b", "a"]


def test_none_is_a_value():
    cache, calls = Remembered(), []
    for _ in range(2):
        assert cache.get(None, lambda: calls.append(None)) is None
    assert calls == [None]


def test_failed_computation_is_not_kept():
    cache = Remembered()
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 // 0)
    assert cache.get("a", lambda: 2) == 2


def test_writing_through_data_is_not_detected(counter):
    """The documented limitation of `fingerprint`."""
    counter.get()
    counter.layer.weight.data.add_(1.0)
    counter.get()
    assert counter.calls == 1


def test_weights_created_in_inference_mode_have_a_fingerprint():
    with torch.inference_mode():
        first, second = torch.ones(2), torch.ones(2)
    assert fingerprint([first]) == fingerprint([first])
    assert fingerprint([first]) != fingerprint([second])
