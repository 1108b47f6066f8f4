"""Time of a training step: one process of one or two threads, and two processes of one thread, with the same batches.

They take turns in one launch, so that a busy machine slows all: the first process trains alone on one thread and then
on two while the second one waits, and then both train on one thread each. The first two steps of a turn are a warm-up.

torchrun --nproc-per-node 2 benchmarks/several_processes.py --out benchmarks/results/several_processes.csv
"""

import argparse
import csv
import os
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from swt_time import Config
from swt_time.data.parts import Parts, split_table
from swt_time.data.series import to_series
from swt_time.machine import describe_processor
from swt_time.model import build_model
from swt_time.processes import ALONE, Processes, joined
from swt_time.provenance import package_versions, source_commit
from swt_time.training import Step, seeded, train_model

CONTEXT, HORIZON, BATCH, WARM_UP, STEPS, TURNS = 96, 24, 8, 2, 6, 5
THREAD, THREADS, TWO = "1 process, 1 thread", "1 process, 2 threads", "2 processes, 1 thread each"


def hourly(rows: int = 1500, series: int = 7) -> Parts:
    """Hourly series with a daily cycle, all for training."""
    draw, hours = np.random.default_rng(0), np.arange(rows)
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=rows, freq="h")})
    for i in range(series):
        frame[f"s{i}"] = np.sin(2 * np.pi * (hours + 3 * i) / 24) + 0.3 * draw.normal(size=rows)
    return split_table(to_series(frame), "none", CONTEXT, HORIZON)


def turn(backbone: str, parts: Parts, threads: int, processes: Processes) -> list[float]:
    """Train for some steps, and return the time of each after the warm-up."""
    torch.set_num_threads(threads)
    config = Config.parse({}).replace(
        {
            "data.context": CONTEXT,
            "data.horizon": HORIZON,
            "backbone.name": backbone,
            "model.skip": "linear",
            "training.batch_size": BATCH,
            "training.max_steps": WARM_UP + STEPS,
        }
    )
    ends: list[float] = []
    with seeded(config.training) as random:
        with random.active():
            model = build_model(config)
        train_model(
            model,
            parts.train,
            None,
            config.training,
            random=random,
            report=lambda event: ends.append(time.perf_counter()) if isinstance(event, Step) else None,
            processes=processes,
        )
    return np.diff(ends)[WARM_UP - 1 :].tolist()


def main() -> None:
    """Measure each backbone in turns, and write the results as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--backbones", default="none,transformer,minilm")
    asked = parser.parse_args()
    parts, rows = hourly(), []
    with joined() as processes:
        for backbone in asked.backbones.split(","):
            found: dict[str, list[float]] = {THREAD: [], THREADS: [], TWO: []}
            load = []
            for _ in range(asked.turns):
                if processes.first:
                    found[THREAD].append(statistics.median(turn(backbone, parts, 1, ALONE)))
                    found[THREADS].append(statistics.median(turn(backbone, parts, 2, ALONE)))
                processes.sum()
                found[TWO].append(statistics.median(turn(backbone, parts, 1, processes)))
                load.append(os.getloadavg()[0])
            if not processes.first:
                continue
            for way, seconds in found.items():
                ratios = [one / own for one, own in zip(found[THREADS], seconds, strict=True)]
                row = {
                    "backbone": backbone,
                    "way": way,
                    "batch_size": BATCH,
                    "step_ms": round(1000 * statistics.median(seconds), 2),
                    "least_ms": round(1000 * min(seconds), 2),
                    "most_ms": round(1000 * max(seconds), 2),
                    "times_faster_than_2_threads": round(statistics.median(ratios), 2),
                    "times_faster_least": round(min(ratios), 2),
                    "times_faster_most": round(max(ratios), 2),
                    "turns": asked.turns,
                    "load_average": f"{min(load):.1f} to {max(load):.1f}",
                    "torch": package_versions()["torch"],
                    "machine": f"{describe_processor()}, {os.cpu_count()} CPUs",
                    "commit": source_commit(),
                }
                rows.append(row)
                print(
                    f"{backbone:12} {way:26} {row['step_ms']:9} ms  {row['times_faster_than_2_threads']}x", flush=True
                )
                with asked.out.open("w", newline="") as file:
                    writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)


if __name__ == "__main__":
    main()
