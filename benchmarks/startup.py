"""Start-up time: the help of the main commands, bare imports, and the forecast of a small table from start to end.

Medians over fresh processes. With a former source tree both take turns, so that a busy machine slows both.

git worktree add /tmp/former d8adaea
python benchmarks/startup.py --out benchmarks/results/startup.csv --former /tmp/former/src --former-commit d8adaea
"""

import argparse
import csv
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import swt_time
from swt_time.provenance import package_versions, source_commit

RUNS = 5
COMMANDS = {
    "swt-time --help": ["-m", "swt_time", "--help"],
    "swt-time train --help": ["-m", "swt_time", "train", "--help"],
    "swt-time forecast --help": ["-m", "swt_time", "forecast", "--help"],
    "swt-time evaluate --help": ["-m", "swt_time", "evaluate", "--help"],
    "swt-time bands --help": ["-m", "swt_time", "bands", "--help"],
    "swt-time info --help": ["-m", "swt_time", "info", "--help"],
    "import swt_time": ["-c", "import swt_time"],
    "import swt_time.wavelets": ["-c", "import swt_time.wavelets"],
    "import swt_time.forecaster": ["-c", "import swt_time.forecaster"],
}


FORECAST = ["-m", "swt_time", "forecast", "--out", "OUT", "--data"]
FORECASTS = {
    "forecast 144 months": [*FORECAST, "MONTHS", "--horizon", "12"],
    "forecast 144 months, with a model": [*FORECAST, "MONTHS", "--model", "MODEL"],
    "forecast 700 hours": [*FORECAST, "HOURS", "--horizon", "24"],
}


def write_tables(folder: Path) -> dict[str, str]:
    """Write the tables of `FORECASTS`; return what the words in capitals stand for."""
    months, hours = folder / "months.csv", folder / "hours.csv"
    rows = [
        f"{1949 + i // 12}-{i % 12 + 1:02}-01,{100 + 2 * i + 30 * math.sin(i * math.pi / 6):.1f}" for i in range(144)
    ]
    months.write_text("\n".join(["month,passengers", *rows]) + "\n")
    rows = [
        f"2023-{2 + i // 672:02}-{1 + i // 24 % 28:02} {i % 24:02}:00:00,"
        f"{50 + 9 * math.sin(i * math.pi / 12) + 4 * math.sin(i * math.pi / 84) + i * 37 % 11:.1f}"
        for i in range(700)
    ]
    hours.write_text("\n".join(["hour,load", *rows]) + "\n")
    return {"MONTHS": str(months), "HOURS": str(hours), "OUT": str(folder / "out.csv"), "MODEL": str(folder / "model")}


def measure(source: Path, words: list[str]) -> tuple[float, float]:
    """Return the wall time and the time of CPU of one fresh process with a source tree."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(source)}
    subprocess.run([sys.executable, *words], check=True, capture_output=True, env=environment)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure every command after one warm-up run, and write the results as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--former", type=Path, help="Source folder of a former commit, measured in turns.")
    parser.add_argument("--former-commit", default="former", help="Its commit, for the results.")
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    parser.add_argument("--machine", default=machine, help="Description for the results.")
    asked = parser.parse_args()
    present = Path(swt_time.__file__).parents[1]
    sources = {"present": present} if asked.former is None else {"former": asked.former, "present": present}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        meant: dict[str, dict[str, str]] = {}
        for tree, source in sources.items():
            (Path(folder) / tree).mkdir()
            meant[tree] = write_tables(Path(folder) / tree)
            fit = [meant[tree].get(word, word) for word in FORECASTS["forecast 144 months"]]
            measure(source, [*fit, "--save", meant[tree]["MODEL"]])
        for name, words in {**COMMANDS, **FORECASTS}.items():
            found: dict[str, list[tuple[float, float]]] = {tree: [] for tree in sources}
            for turn in range(RUNS + 1):
                for tree, source in sources.items():
                    took = measure(source, [meant[tree].get(word, word) for word in words])
                    found[tree] += [took] if turn else []  # the first one is a warm-up
            for tree, runs in found.items():
                wall, cpu = zip(*runs, strict=True)
                row = {
                    "command": name,
                    "median_s": round(statistics.median(wall), 3),
                    "min_s": round(min(wall), 3),
                    "max_s": round(max(wall), 3),
                    "cpu_median_s": round(statistics.median(cpu), 3),
                    "runs": RUNS,
                    "torch": package_versions()["torch"],
                    "machine": asked.machine,
                    "commit": source_commit() if tree == "present" else asked.former_commit,
                }
                rows.append(row)
                print(
                    f"{tree:8} {name:34} {row['median_s']:.3f} s  ({row['min_s']:.3f} to {row['max_s']:.3f})",
                    flush=True,
                )
    with asked.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
