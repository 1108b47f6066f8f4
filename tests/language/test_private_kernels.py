"""Private kernels of PyTorch are used only while they compute what its public operations do."""

import pytest
import torch

from swt_time.language import frozen, shared_attention
from swt_time.language.private_kernels import agrees, ramp

FLASH = "_scaled_dot_product_flash_attention_for_cpu"


def renamed(*args, **options):
    raise AttributeError("no such operator")


def other_arguments(query, keys):
    raise AssertionError("not called: the arguments differ")


def other_results(*args, **options):
    return (torch.zeros(1),)


@pytest.mark.parametrize("changed", [renamed, other_arguments, other_results])
@pytest.mark.parametrize("name", [FLASH, f"{FLASH}_backward"])
def test_a_changed_attention_kernel_is_left_out(monkeypatch, name, changed):
    if not shared_attention.can_share():
        pytest.skip("this PyTorch has no attention kernel that returns the log-sum-exp")
    monkeypatch.setattr(torch.ops.aten, name, changed)
    assert not shared_attention._try()


@pytest.mark.parametrize("changed", [renamed, other_arguments, other_results])
def test_a_changed_linear_kernel_is_left_out(monkeypatch, changed):
    if not frozen.can_fuse():
        pytest.skip("needs oneDNN and a CPU with bfloat16 matrix products")
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", changed)
    assert not frozen._try()


def test_the_settings_of_the_calling_program_do_not_decide():
    expected = shared_attention.can_share(), frozen.can_fuse()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16), torch.device("meta"):
        assert (shared_attention._try(), frozen._try()) == expected


def test_values_and_shapes_are_compared():
    x = ramp(4, 5)
    assert agrees(lambda: [x + 1e-6], lambda: [x], 1e-5)
    assert not agrees(lambda: [x + 1e-3], lambda: [x], 1e-5)
    assert not agrees(lambda: [x[0]], lambda: [x], 1e-5)
    assert not agrees(lambda: [x, x], lambda: [x], 1e-5)
    assert len(set(x.flatten().tolist())) == 20
