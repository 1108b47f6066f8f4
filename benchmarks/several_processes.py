"""Time of a training step: one process of two threads, and two processes of one thread, with the same global batch.

The two take turns, so that a busy machine slows both; the results are medians over fresh runs, of the median over the
last 20 steps of each.

python benchmarks/several_processes.py --out benchmarks/results/several_processes.csv
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from swt_time.machine import describe_processor
from swt_time.provenance import package_versions, source_commit

BATCH = 32
STEPS = 30
RUNS = 5
WAYS = {
    "1 process, 2 threads": (2, ["-m", "swt_time"]),
    "2 processes, 1 thread": (
        1,
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "swt_time"],
    ),
}


def write_table(path: Path, rows: int = 1500, series: int = 7) -> None:
    """Write a wide table of hourly series with a daily cycle."""
    draw, hours = np.random.default_rng(0), np.arange(rows)
    columns = [np.sin(2 * np.pi * (hours + 3 * i) / 24) + 0.3 * draw.normal(size=rows) for i in range(series)]
    times = np.datetime_as_string(np.datetime64("2024-01-01T00") + hours.astype("timedelta64[h]"), unit="s")
    lines = [",".join([when, *(f"{value:.4f}" for value in row)]) for when, *row in zip(times, *columns, strict=True)]
    path.write_text("\n".join([",".join(["date", *(f"s{i}" for i in range(series))]), *lines]) + "\n")


def step_seconds(way: str, backbone: str, folder: Path) -> float:
    """Train in one way, and return the median time of a step."""
    threads, launch = WAYS[way]
    options = ["--horizon", "24", "--context", "96", "--backbone", backbone, "--max-steps", str(STEPS), "--overwrite"]
    settings = [f"training.batch_size={BATCH}", f"training.validate_every={STEPS}", "training.validation_windows=32"]
    words = ["train", "--data", str(folder / "table.csv"), "--out", str(folder / "model"), "--keep-branch", *options]
    words += [word for one in settings for word in ("--set", one)]
    subprocess.run(
        [sys.executable, *launch, *words],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    with (folder / "model" / "history.csv").open() as file:
        return BATCH / float(list(csv.DictReader(file))[-1]["windows_per_second"])


def main() -> None:
    """Measure each backbone in both ways, and write the results as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--backbones", default="minilm,transformer,none")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_table(folder / "table.csv")
        for backbone in asked.backbones.split(","):
            found: dict[str, list[float]] = {way: [] for way in WAYS}
            load = []
            for _ in range(asked.runs):
                for way in WAYS:
                    found[way].append(step_seconds(way, backbone, folder))
                    load.append(os.getloadavg()[0])
            one = statistics.median(found["1 process, 2 threads"])
            for way, seconds in found.items():
                median = statistics.median(seconds)
                rows.append(
                    {
                        "backbone": backbone,
                        "way": way,
                        "batch_size": BATCH,
                        "step_ms": round(1000 * median, 2),
                        "least_ms": round(1000 * min(seconds), 2),
                        "most_ms": round(1000 * max(seconds), 2),
                        "times_faster": round(one / median, 2),
                        "runs": asked.runs,
                        "load_average": f"{min(load):.1f} to {max(load):.1f}",
                        "torch": package_versions()["torch"],
                        "machine": f"{describe_processor()}, {os.cpu_count()} CPUs",
                        "commit": source_commit(),
                    }
                )
                print(
                    f"{backbone:12} {way:22} {rows[-1]['step_ms']:8} ms  {rows[-1]['times_faster']} times", flush=True
                )
    with asked.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
