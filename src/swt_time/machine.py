"""The machine a run has: device, native number types, memory, processor."""

import os
import platform
import sys
from pathlib import Path

import torch

from swt_time.errors import ConfigError, first_line

CLEAR_REFS = Path("/proc/self/clear_refs")
"""Linux's file through which a process starts its peak memory anew."""


def resolve_device(name: str) -> torch.device:
    """The device of a name; ``auto`` is CUDA where there is one, else the CPU.

    Raises
    ------
    ConfigError
        Unknown device, or one that this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used here ({first_line(error)}); expected auto, cpu or cuda"
        ) from None
    return device


def computes_bfloat16() -> bool:
    """Whether matrix products in bfloat16 run in hardware: of the GPU if there is one, else of the CPU.

    A CPU does with AVX512-BF16 or AMX.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capability = torch.backends.cpu.get_cpu_capability()
    return "AVX512" in capability and bool(torch.cpu._is_avx512_bf16_supported())


def physical_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def reset_peak_memory(device: torch.device) -> None:
    """Start to watch the peak memory anew: of a GPU, or of this process on Linux; elsewhere nothing happens."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR_REFS.exists():
        CLEAR_REFS.write_text("5")


def peak_memory(device: torch.device | None = None) -> int | None:
    """Most bytes held since `reset_peak_memory`, or since the start where it was not called.

    Parameters
    ----------
    device : torch.device, optional
        By default the GPU if one was used, else the CPU.

    Returns
    -------
    int or None
        Memory allocated on the GPU, or resident memory of this process; None where the system does not tell (Windows).
    """
    if device is None:
        used = torch.cuda.is_available() and torch.cuda.is_initialized()
        device = torch.device("cuda" if used else "cpu")
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if CLEAR_REFS.exists():
        return _status("VmHWM")
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_memory() -> int | None:
    """Bytes of memory that this process holds now; None but on Linux."""
    return _status("VmRSS") if CLEAR_REFS.exists() else None


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def describe_processor() -> str:
    """Model name and vector extensions of the CPU, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
