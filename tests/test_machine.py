"""Device, memory and CPU model of this machine."""

import pytest
import torch

from support.memory import touched_array
from swt_time import machine
from swt_time.errors import ConfigError
from swt_time.machine import (
    CLEAR_REFS,
    computes_bfloat16,
    describe_processor,
    one_thread,
    peak_memory,
    physical_memory,
    reset_peak_memory,
    resident_memory,
    resolve_device,
    torch_defaults,
)

MEBIBYTE = 2**20
CPU = torch.device("cpu")
ACCURACY = 0.98
"""Linux updates the memory counters of a process in batches of some hundred pages."""
on_linux = pytest.mark.skipif(not CLEAR_REFS.exists(), reason="a process resets its peak memory on Linux only")


@pytest.mark.parametrize("available", [True, False])
def test_auto_is_cuda_if_available(monkeypatch, available):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert resolve_device("auto") == torch.device("cuda" if available else "cpu")


def test_cpu_is_resolved():
    assert resolve_device("cpu") == CPU


@pytest.mark.parametrize("name", ["gpu", "tpu:0", "", "cpu:x", "meta", "hpu", "privateuseone", "\udcff", "cpu\0"])
def test_unknown_device_is_an_error(name):
    with pytest.raises(ConfigError, match=r"cannot be used here \(.+\); expected auto, cpu or cuda") as caught:
        resolve_device(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tests the error on a machine without CUDA")
def test_cuda_without_a_gpu_is_an_error():
    with pytest.raises(ConfigError, match="device 'cuda' cannot be used here"):
        resolve_device("cuda")


def one_precision():
    torch.set_float32_matmul_precision("medium")


def one_by_one():
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"


def precisions():
    backends = torch.backends
    operations = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul)
    return [operation.fp32_precision for operation in operations]


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="needs PyTorch 2.9")
@pytest.mark.parametrize("choose", [one_precision, one_by_one])
def test_the_precision_that_a_host_chose_for_products_is_not_used(choose):
    x = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    exact, before = x @ x, precisions()
    try:
        choose()
        chosen, rounded = precisions(), x @ x
        if torch.ops.mkldnn._is_mkldnn_bf16_supported():
            assert not torch.equal(rounded, exact), "control: the choice has an effect"
        with torch_defaults():
            assert torch.equal(x @ x, exact)
            assert not torch.backends.cudnn.allow_tf32
            assert torch.get_float32_matmul_precision() == "highest"
        assert precisions() == chosen
        assert torch.equal(x @ x, rounded)
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = True
    assert precisions()[1:3] == before[1:3]


@pytest.mark.parametrize("chosen", [True, False])
def test_cudnn_computes_no_attention_and_the_choice_of_the_host_is_kept(chosen):
    before = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(chosen)
        with torch_defaults():
            assert not torch.backends.cuda.cudnn_sdp_enabled()
        assert torch.backends.cuda.cudnn_sdp_enabled() is chosen
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU decides before the CPU")
@pytest.mark.parametrize(
    ("capability", "supported", "expected"), [("AVX512", True, True), ("AVX512", False, False), ("AVX2", True, False)]
)
def test_bfloat16_needs_avx512_and_its_extension(monkeypatch, capability, supported, expected):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    assert computes_bfloat16() is expected


@on_linux
def test_peak_memory_grows_by_a_touched_array():
    reset_peak_memory(CPU)
    before = peak_memory(CPU)
    array = touched_array(64 * MEBIBYTE)
    assert peak_memory(CPU) - before >= ACCURACY * array.nbytes


@on_linux
def test_peak_memory_is_kept_until_it_is_reset():
    array = touched_array(64 * MEBIBYTE)
    size = array.nbytes
    del array
    before = peak_memory(CPU)
    assert before - resident_memory() >= ACCURACY * size
    reset_peak_memory(CPU)
    assert before - peak_memory(CPU) >= ACCURACY * size


@on_linux
def test_resident_memory_grows_by_a_touched_array():
    before = resident_memory()
    array = touched_array(64 * MEBIBYTE)
    assert resident_memory() - before >= ACCURACY * array.nbytes


def test_memory_of_a_system_without_reset(monkeypatch, tmp_path):
    """Without Linux's file, the peak of the whole process is returned and resetting has no effect."""
    pytest.importorskip("resource")
    monkeypatch.setattr(machine, "CLEAR_REFS", tmp_path / "missing")
    reset_peak_memory(CPU)
    assert not (tmp_path / "missing").exists()
    assert peak_memory(CPU) > MEBIBYTE
    assert resident_memory() is None


def test_physical_memory_holds_this_process():
    assert physical_memory() > 0
    assert physical_memory() > (peak_memory(CPU) or 0)


def test_processor_has_a_description():
    assert describe_processor().strip()


def test_one_thread_is_within_only_and_after_an_error_too():
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with pytest.raises(ValueError, match="no"), one_thread():
        raise ValueError("no")
    assert torch.get_num_threads() == 2
