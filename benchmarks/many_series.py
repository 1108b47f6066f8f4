"""Time and memory of fitting and forecasting many series, one long series, and a small table from the command line,
compared with a former commit.

git worktree add --detach /tmp/former COMMIT
python benchmarks/many_series.py --former /tmp/former --out benchmarks/results/many_series.csv

Every run is a fresh process. For tables, ``Forecaster(horizon=24).fit(table).predict(table)`` is timed without imports;
for the command, the whole process. Medians over runs in turns; CPU time is comparable on a machine that does other
work too. The former commit is not timed with the long series: it does not finish within minutes.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from swt_time.machine import describe_processor
from swt_time.provenance import package_versions, source_commit

ROOT = Path(__file__).parent.parent
ROWS = 1000
LONG = 10_000_000
MODEL = object()
"""Stands for the folder of the model that a commit saved."""

TABLE = """
import json, resource, sys, time
import pandas as pd
import torch
from swt_time import Forecaster
from swt_time.machine import peak_memory

def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

table = pd.read_parquet(sys.argv[1])
wall, used = time.perf_counter(), cpu()
Forecaster(horizon=24, preset=sys.argv[2]).fit(table).predict(table)
print(json.dumps({
    "seconds": time.perf_counter() - wall,
    "cpu_s": cpu() - used,
    "peak_mib": peak_memory(torch.device("cpu")) / 2**20,  # ru_maxrss would count the parent before exec
}))
"""

COMMAND = """
import json, os, resource, subprocess, sys, time
wall = time.perf_counter()
words = [sys.executable, "-m", "swt_time", "forecast", "--data", sys.argv[1], *sys.argv[2:]]
subprocess.run(words, check=True, capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "seconds": time.perf_counter() - wall,
    "cpu_s": used.ru_utime + used.ru_stime,
    "peak_mib": used.ru_maxrss / 2**10,
}))
"""


def hourly(series: int, rows: int) -> pd.DataFrame:
    """Noise around daily cycles of different size."""
    draw = np.random.default_rng(0)
    cycle = np.sin(2 * np.pi * np.arange(rows) / 24)
    level, size = draw.normal(10, 2, size=(series, 1)), draw.gamma(2, 1, size=(series, 1))
    values = level + size * cycle + draw.normal(size=(series, rows))
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"series {i:05d}" for i in range(series)], rows),
            "ds": np.tile(pd.date_range("2024-01-01", periods=rows, freq="h"), series),
            "y": values.ravel().round(3),
        }
    )


def minutely(rows: int) -> pd.DataFrame:
    """One series: noise around a daily cycle."""
    cycle = np.sin(2 * np.pi * np.arange(rows) / 1440)
    times = pd.date_range("2000-01-01", periods=rows, freq="min")
    return pd.DataFrame({"ds": times, "y": cycle + np.random.default_rng(0).normal(size=rows)})


def run(root: Path, code: str, *words: object) -> dict[str, float]:
    """One run in a fresh process with the package of a working tree."""
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, words)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def main() -> None:
    """Measure all cases, and write the results as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--former", type=Path, required=True, help="Working tree of the former commit.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--series", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--long", type=int, default=LONG, help="Rows of the long series; 0 leaves it out.")
    given = parser.parse_args()
    commit = ["git", "rev-parse", "--short=12", "HEAD"]
    former = subprocess.run(commit, cwd=given.former, check=True, capture_output=True, text=True).stdout.strip()
    trees = {"former": given.former, "now": ROOT}
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = folder / "small.csv"
        hourly(1, 200).to_csv(small, index=False)
        out, fit = ["--out", folder / "out.csv"], ["--horizon", 12]
        for who, root in trees.items():
            run(root, COMMAND, small, *fit, *out, "--save", folder / who)
        cases: list[tuple[str, str, int, int, str, list[object]]] = [
            ("swt-time forecast", "auto", 1, 200, COMMAND, [small, *fit, *out]),
            ("swt-time forecast --model", "auto", 1, 200, COMMAND, [small, *out, "--model", MODEL]),
        ]
        for series in given.series:
            path = folder / f"{series}.parquet"
            hourly(series, ROWS).to_parquet(path)
            cases += [("fit and predict", preset, series, ROWS, TABLE, [path, preset]) for preset in ("fast", "auto")]
        if given.long:
            path = folder / "long.parquet"
            minutely(given.long).to_parquet(path)
            cases += [("fit and predict", "auto", 1, given.long, TABLE, [path, "auto"])]
        for case, preset, series, length, code, words in cases:
            found: dict[str, list[dict[str, float]]] = {"now": [], "former": []}
            for _ in range(given.runs):
                for who, root in trees.items():
                    own = [folder / who if word is MODEL else word for word in words]
                    found[who].append(run(root, code, *own))
            row: dict[str, object] = {"case": case, "preset": preset, "series": series, "rows": length}
            for key in ("cpu_s", "seconds", "peak_mib"):
                now = statistics.median(one[key] for one in found["now"])
                then = statistics.median(one[key] for one in found["former"])
                row |= {key: round(now, 2), f"former_{key}": round(then, 2), f"{key}_ratio": round(now / then, 3)}
            row |= {"runs": given.runs, "commit": source_commit(), "former_commit": former}
            row |= {"torch": package_versions(["torch"])["torch"], "machine": describe_processor()}
            rows.append(row)
            print(
                f"{case}, {preset}, {series} x {length}: CPU {row['cpu_s']} s (before {row['former_cpu_s']})",
                flush=True,
            )
            with given.out.open("w", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(row), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main()
