"""Start-up time: the help of the main commands and bare imports, as medians over fresh processes.

python benchmarks/startup.py --out benchmarks/results/startup.csv
"""

import argparse
import csv
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from swt_time.provenance import package_versions, source_commit

RUNS = 9
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


def seconds(words: list[str]) -> float:
    """Return the wall time of one fresh process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure every command after one warm-up run, and write the results as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    rows = []
    for name, words in COMMANDS.items():
        seconds(words)
        runs = [seconds(words) for _ in range(RUNS)]
        row = {
            "command": name,
            "median_s": round(statistics.median(runs), 3),
            "min_s": round(min(runs), 3),
            "max_s": round(max(runs), 3),
            "runs": RUNS,
            "torch": package_versions()["torch"],
            "machine": machine,
            "commit": source_commit(),
        }
        rows.append(row)
        print(f"{name:28} {row['median_s']:.3f} s  ({row['min_s']:.3f} to {row['max_s']:.3f})")
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
