"""Measurement tools: interleaved medians, peak memory, operation counts, machine rates and provenance columns."""

import csv
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils import flop_counter

from swt_time.machine import describe_processor, peak_memory, reset_peak_memory, resident_memory
from swt_time.provenance import package_versions, source_commit

Work = Callable[[], Any]
CPU = torch.device("cpu")


def wait(device: torch.device) -> None:
    """Wait until the device has finished all submitted work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(work: Work, device: torch.device) -> float:
    """Return the wall time of one run in seconds."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def interleaved_medians(
    makers: Mapping[str, Callable[[], Work]], device: torch.device, repeats: int, warmup: int = 2
) -> dict[str, float]:
    """Return the median seconds of each contender; the contenders run in turns in one process.

    Each maker draws fresh inputs, which is not timed, and returns the work. A period in which the machine is slow thus
    affects all contenders, and no cache holds the inputs of the previous run.
    """
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    for turn in range(warmup + repeats):
        for name, make in makers.items():
            took = timed(make(), device)
            if turn >= warmup:
                seconds[name].append(took)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def peak_extra_bytes(work: Work, device: torch.device) -> int:
    """Return the peak memory of a run in bytes, beyond what was allocated before it.

    On a CPU this is the sum of the allocations recorded by the profiler, without scratch memory inside the kernels of
    libraries.
    """
    if device.type == "cuda":
        wait(device)
        before = torch.cuda.memory_allocated(device)
        reset_peak_memory(device)
        work()
        wait(device)
        return (peak_memory(device) or 0) - before
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
    """Return by how many bytes a run raises the resident memory of this process, scratch memory included.

    Run it in a fresh process: memory that was freed but is still held by the process hides part of the increase.
    None on systems other than Linux.
    """
    reset_peak_memory(CPU)
    before = resident_memory()
    work()
    peak = peak_memory(CPU)
    return None if before is None or peak is None else peak - before


def operations(work: Work) -> float:
    """Count the multiplications and additions in the matrix products of a run."""
    aten = torch.ops.aten
    # FlopCounterMode covers the attention kernels of GPUs only.
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
    """Return the widest product of a transformer layer, ``(rows, width) @ (width, 4 width)``, and its operations."""
    left = torch.randn(rows, width, device=device).to(dtype)
    right = torch.randn(4 * width, width, device=device).to(dtype)
    return lambda: torch.nn.functional.linear(left, right), 2.0 * rows * width * 4 * width


def copy_bandwidth(device: torch.device, size: int = 2**26) -> float:
    """Return the bytes per second that a copy of ``size`` float32 values reads and writes."""
    source = torch.ones(size, device=device)
    target = torch.empty_like(source)
    seconds = [timed(lambda: target.copy_(source), device) for _ in range(12)]
    return 2 * source.numel() * source.element_size() / statistics.median(seconds[2:])


def provenance(device: torch.device, packages: Sequence[str]) -> dict[str, str]:
    """Return the columns that every result has: commit, versions, machine, threads and date."""
    return {
        "commit": source_commit() or "installed package",
        "versions": " ".join(f"{name}={version}" for name, version in package_versions(tuple(packages)).items()),
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else describe_processor(),
        "threads": str(torch.get_num_threads()),
        "measured": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def write_rows(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write rows as CSV; columns are in order of first appearance."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
