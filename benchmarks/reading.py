"""Time and memory of reading honest tables, compared with a former commit in turns on one machine.

git worktree add --detach /tmp/former COMMIT
python benchmarks/reading.py --former /tmp/former --out benchmarks/results/reading.csv

Every run is a fresh process that imports the libraries and reads a small table first; then ``read_table`` and
``to_series`` are timed. Medians; CPU time is comparable on a machine that does other work too.
"""

import argparse
import csv
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from swt_time.machine import describe_processor
from swt_time.provenance import package_versions, source_commit

ROOT = Path(__file__).parent.parent

RUN = """
import json, sys, time
import torch
from swt_time.data.reading import read_table
from swt_time.data.series import to_series
from swt_time.machine import peak_memory, reset_peak_memory, resident_memory

to_series(read_table(sys.argv[1]))
cpu = torch.device("cpu")
reset_peak_memory(cpu)
before = resident_memory()
wall, used = time.perf_counter(), time.process_time()
table = read_table(sys.argv[2])
read = time.process_time() - used
to_series(table)
print(json.dumps({
    "seconds": time.perf_counter() - wall,
    "cpu_s": time.process_time() - used,
    "read_cpu_s": read,
    "peak_mib": (peak_memory(cpu) - before) / 2**20,
}))
"""


def long_table(series: int, rows: int) -> pd.DataFrame:
    """Random values of ``series`` ids, hour by hour."""
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"series {i:05d}" for i in range(series)], rows),
            "ds": np.tile(pd.date_range("2000-01-01", periods=rows, freq="min"), series),
            "y": np.random.default_rng(0).normal(size=series * rows).round(4),
        }
    )


def wide_table(columns: int, rows: int) -> pd.DataFrame:
    """Random values of one column per series, day by day."""
    values = np.random.default_rng(0).normal(size=(rows, columns)).round(4)
    frame = pd.DataFrame(values, columns=[f"c{i}" for i in range(columns)])
    frame.insert(0, "ds", pd.date_range("2024-01-01", periods=rows))
    return frame


TABLES: dict[str, tuple[str, Callable[[], pd.DataFrame]]] = {
    "1,000 series of 1,000 rows, CSV": ("csv", lambda: long_table(1000, 1000)),
    "1,000 series of 1,000 rows, CSV in gzip": ("csv.gz", lambda: long_table(1000, 1000)),
    "10,000 series of 1,000 rows, Parquet": ("parquet", lambda: long_table(10_000, 1000)),
    "1 series of 10,000,000 rows, Parquet": ("parquet", lambda: long_table(1, 10**7)),
    "20,000 columns of 200 rows, CSV": ("csv", lambda: wide_table(20_000, 200)),
    "20,000 columns of 200 rows, Parquet": ("parquet", lambda: wide_table(20_000, 200)),
}


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a table in the format of the file's name."""
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
        return
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    frame.to_csv(plain, index=False)
    if path.suffix == ".gz":
        with plain.open("rb") as file, gzip.open(path, "wb", compresslevel=6) as made:
            shutil.copyfileobj(file, made)


def measure(root: Path, small: Path, path: Path) -> dict[str, float]:
    """One run in a fresh process with the package of a working tree."""
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    run = [sys.executable, "-c", RUN, str(small), str(path)]
    return json.loads(subprocess.run(run, check=True, capture_output=True, text=True, env=environment).stdout)


def main() -> None:
    """Measure every table in turns, and write the results as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--former", type=Path, required=True, help="Working tree of the former commit.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    commit = ["git", "rev-parse", "--short=12", "HEAD"]
    former = subprocess.run(commit, cwd=given.former, check=True, capture_output=True, text=True).stdout.strip()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.csv"
        write(wide_table(2, 10), small)
        for name, (suffix, make) in TABLES.items():
            path = Path(folder) / f"table.{suffix}"
            write(make(), path)
            found: dict[str, list[dict[str, float]]] = {"now": [], "former": []}
            for _ in range(given.runs):
                for who, root in (("former", given.former), ("now", ROOT)):
                    found[who].append(measure(root, small, path))
            row: dict[str, object] = {"table": name, "file_mib": round(path.stat().st_size / 2**20, 1)}
            for key in ("cpu_s", "read_cpu_s", "seconds", "peak_mib"):
                now, then = (statistics.median(run[key] for run in found[who]) for who in ("now", "former"))
                row |= {key: round(now, 2), f"former_{key}": round(then, 2), f"{key}_ratio": round(now / then, 2)}
            row |= {"runs": given.runs, "commit": source_commit(), "former_commit": former}
            row |= {"pandas": package_versions(["pandas"])["pandas"], "machine": describe_processor()}
            rows.append(row)
            print(
                f"{name:42} CPU {row['cpu_s']} s (before {row['former_cpu_s']}), {row['peak_mib']:.0f} MiB", flush=True
            )
            path.unlink()
    with given.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
