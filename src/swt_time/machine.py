"""Device, threads, bfloat16 support, memory and CPU model of the machine.

PyTorch is imported by the functions that need it, since a forecast by a closed form alone needs none.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import ThreadpoolController

from swt_time.errors import ConfigError, first_line

if TYPE_CHECKING:
    import torch

CLEAR_REFS = Path("/proc/self/clear_refs")
"""File through which a Linux process resets its peak memory."""


_HOST = threading.RLock()
_depth = 0
_give_back: Callable[[], None]


@contextlib.contextmanager
def torch_defaults() -> Iterator[None]:
    """Compute in full float32 on the CPU by default, with gradients and without autocast, whatever the host has set.

    Products and convolutions of float32 are not rounded to TensorFloat32, which PyTorch does to convolutions on a GPU.
    Attention on a GPU is not computed by cuDNN, which builds a plan for each new shape, and the length of prompts
    changes from batch to batch.

    The default number type, the precision of products and the choice of attention belong to the whole process. They are
    set by the first thread that enters and set back by the last one that leaves.
    """
    import torch

    global _depth, _give_back
    with _HOST:
        if _depth == 0:
            _give_back = _set_process_defaults()
        _depth += 1
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            for device in ("cpu", "cuda"):
                if torch.is_autocast_enabled(device):
                    stack.enter_context(torch.autocast(device, enabled=False))
            if torch.empty(0).device.type != "cpu":  # PyTorch 2.7 does not name the device of every context
                stack.enter_context(torch.device("cpu"))
            yield
    finally:
        with _HOST:
            _depth -= 1
            if _depth == 0:
                _give_back()


def _set_process_defaults() -> Callable[[], None]:
    """Set these defaults for the whole process; return what sets back the host's choice."""
    import torch

    backends: Any = torch.backends
    dtype = torch.get_default_dtype()
    single: list[tuple[Any, str]] = []
    try:
        products, convolutions = torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32
    except RuntimeError:  # the host set operations one by one, after which PyTorch names no common precision
        products, convolutions = "highest", True
        operations = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul)
        single = [(operation, operation.fp32_precision) for operation in operations]
    torch.set_default_dtype(torch.float32)
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32 = False
    attention = backends.cuda.cudnn_sdp_enabled()
    backends.cuda.enable_cudnn_sdp(False)

    def give_back() -> None:
        torch.set_default_dtype(dtype)
        torch.set_float32_matmul_precision(products)
        backends.cudnn.allow_tf32 = convolutions
        backends.cuda.enable_cudnn_sdp(attention)
        for operation, value in single:
            operation.fp32_precision = value

    return give_back


@functools.cache
def _blas() -> ThreadpoolController:
    """Return the libraries of linear algebra that NumPy has loaded."""
    return ThreadpoolController().select(user_api="blas")


_alone = 0
_shared = contextlib.ExitStack()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread within, in NumPy's linear algebra and in PyTorch where it is loaded.

    Decompositions of a few hundred rows and products of thin matrices gain little from more threads. On a busy machine
    they lose: a thread that waits for its turn keeps the others waiting, and those use the CPU while they wait. And
    sums that several threads share depend on their number.

    The threads of NumPy belong to the whole process. They are limited by the first thread that enters and given back by
    the last one that leaves.
    """
    global _alone
    with _HOST:
        if _alone == 0:
            _shared.enter_context(_blas().limit(limits=1))
        _alone += 1
    torch = sys.modules.get("torch")
    threads = None if torch is None else torch.get_num_threads()
    try:
        if torch is not None:
            torch.set_num_threads(1)
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(threads)
        with _HOST:
            _alone -= 1
            if _alone == 0:
                _shared.close()


def thread_count() -> int:
    """Return the number of threads that a forecast may use: those of PyTorch where it is loaded, else of NumPy."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    return max((int(one["num_threads"]) for one in _blas().info()), default=1)


def resolve_device(name: str) -> torch.device:
    """Return the device of a name.

    Parameters
    ----------
    name : str
        A PyTorch device such as ``cpu``, ``cuda`` or ``cuda:1``, or ``auto``: CUDA if available, otherwise the CPU.

    Returns
    -------
    torch.device

    Raises
    ------
    ConfigError
        If the device is unknown or not available on this machine.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).sum().item()  # the device "meta" allocates but does not compute
    except (RuntimeError, AssertionError, ImportError, ValueError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used here ({first_line(error)}); expected auto, cpu or cuda"
        ) from None
    return device


def computes_bfloat16() -> bool:
    """Return whether the hardware computes matrix products in bfloat16.

    The GPU decides if there is one, otherwise the CPU, which needs AVX512-BF16 or AMX.
    """
    import torch

    if torch.cuda.is_available():
        supported: bool = torch.cuda.is_bf16_supported(including_emulation=False)
        return supported
    if "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return False
    return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001  PyTorch has no public name for it


def physical_memory() -> int:
    """Return the size of this machine's main memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def total_memory(device: torch.device) -> int:
    """Return the size of the memory in which a device computes, in bytes."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_properties(device).total_memory
    return physical_memory()


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak memory of a GPU, or of this process on Linux; do nothing on other systems."""
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR_REFS.exists():
        CLEAR_REFS.write_text("5")


def peak_memory(device: torch.device | None = None) -> int | None:
    """Return the peak memory in bytes since `reset_peak_memory`, or since the process started.

    Parameters
    ----------
    device : torch.device, optional
        By default the GPU if CUDA was initialised, otherwise the CPU.

    Returns
    -------
    int or None
        Memory allocated on the GPU, or resident memory of this process; None where it is unknown (Windows).
    """
    torch = sys.modules.get("torch")
    if torch is not None and device is None and torch.cuda.is_available() and torch.cuda.is_initialized():
        device = torch.device("cuda")
    if torch is not None and device is not None and device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if CLEAR_REFS.exists():
        return _status("VmHWM")
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_memory() -> int | None:
    """Return the current resident memory of this process in bytes, or None on systems other than Linux."""
    return _status("VmRSS") if CLEAR_REFS.exists() else None


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def describe_processor() -> str:
    """Return the model name and vector extensions of the CPU, as far as they are known."""
    import torch

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
