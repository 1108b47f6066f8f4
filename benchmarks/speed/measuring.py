"""How a benchmark measures: interleaved medians, peak memory, operations, the machine's rates, and where it ran."""

import csv
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils import flop_counter

from swt_time.provenance import package_versions, source_commit

Work = Callable[[], Any]


def wait(device: torch.device) -> None:
    """Let the device finish what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(work: Work, device: torch.device) -> float:
    """Seconds of one run."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def interleaved_medians(
    makers: Mapping[str, Callable[[], Work]], device: torch.device, repeats: int, warmup: int = 2
) -> dict[str, float]:
    """Median seconds of each contender, all of them taking turns in one process.

    A maker draws fresh inputs, untimed, and returns the work; so a slow minute of the machine hits every
    contender, and no cache holds the inputs of the run before.
    """
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    for turn in range(warmup + repeats):
        for name, make in makers.items():
            took = timed(make(), device)
            if turn >= warmup:
                seconds[name].append(took)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def peak_extra_bytes(work: Work, device: torch.device) -> int:
    """Most memory that a run holds at once beyond what was there before it.

    On a CPU it is summed from the allocations that the profiler sees; scratch space inside a library's kernels
    does not show.
    """
    if device.type == "cuda":
        wait(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        wait(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recording:
        work()
    events = recording.profiler.kineto_results.events()
    memory = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = most = 0
    for _, change in memory:
        held += change
        most = max(most, held)
    return most


def peak_resident_bytes(work: Work) -> int | None:
    """Bytes by which a run raises the resident set of this process, scratch space included; None but on Linux.

    Freed memory that the process still holds hides some of it, so this asks for a process of its own.
    """
    if not Path("/proc/self/clear_refs").exists():
        work()
        return None
    Path("/proc/self/clear_refs").write_text("5")  # lets the high-water mark begin anew
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def operations(work: Work) -> float:
    """Multiplications and additions that the matrix products of a run take."""
    aten = torch.ops.aten
    # The counter knows the attention kernels of GPUs only.
    kernels = {
        aten._scaled_dot_product_flash_attention_for_cpu: _attention_operations,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_operations,
    }
    with flop_counter.FlopCounterMode(display=False, custom_mapping=kernels) as counter:
        work()
    return float(counter.get_total_flops())


def _attention_operations(query: Any, key: Any, value: Any, *_: Any, **options: Any) -> int:
    return flop_counter.sdpa_flop_count(query, key, value)


def _attention_backward_operations(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **options: Any) -> int:
    return flop_counter.sdpa_backward_flop_count(gradient, query, key, value)


def multiply(rows: int, width: int, dtype: torch.dtype, device: torch.device) -> tuple[Work, float]:
    """A product like the widest of a transformer layer, ``(rows, width)`` by ``(width, 4 width)``; its operations."""
    left = torch.randn(rows, width, device=device).to(dtype)
    right = torch.randn(4 * width, width, device=device).to(dtype)
    return lambda: torch.nn.functional.linear(left, right), 2.0 * rows * width * 4 * width


def copy_bandwidth(device: torch.device, size: int = 2**26) -> float:
    """Bytes a second that a copy of ``size`` float32 numbers reads and writes: the limit of a memory-bound step."""
    source = torch.ones(size, device=device)
    target = torch.empty_like(source)
    seconds = [timed(lambda: target.copy_(source), device) for _ in range(12)]
    return 2 * source.numel() * source.element_size() / statistics.median(seconds[2:])


def provenance(device: torch.device, packages: Sequence[str]) -> dict[str, str]:
    """Commit, versions, machine and time: columns that every result carries."""
    return {
        "commit": source_commit() or "installed package",
        "versions": " ".join(f"{name}={version}" for name, version in package_versions(tuple(packages)).items()),
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": str(torch.get_num_threads()),
        "measured": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def write_rows(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write results as CSV, the columns of the first row first."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def _processor() -> str:
    """Model name and vector extensions of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
