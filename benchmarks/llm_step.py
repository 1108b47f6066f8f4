"""Measure training step and inference against the reference path, and write ``results/llm_step.csv``.

    python benchmarks/llm_step.py minilm gpt2 --note "other work on the machine"

Rows of other backbones that the file holds already are kept.
"""

import argparse
import csv
import os
from pathlib import Path

import torch

from swt_time.benchmarks.llm import FORMS, Case, matrix_share, measure, peak_memory
from swt_time.benchmarks.measuring import write_rows

RESULTS = Path(__file__).parent / "results" / "llm_step.csv"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backbones", nargs="+", choices=["minilm", "gpt2"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--note", default="")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    rows = []
    if RESULTS.is_file():
        with RESULTS.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["backbone"] not in options.backbones]
    for backbone in options.backbones:
        case = Case(backbone)
        new = measure(case, "step", options.repeats) + measure(case, "inference", options.repeats)
        for row in new[:3]:
            row["peak_mib"] = round(peak_memory(case, row["path"]) / 2**20)
            if row["path"] in FORMS:
                row["matrix_share"] = round(matrix_share(case, row["path"])["share"], 3)
        for row in new:
            row["note"] = f"{options.note} (load average {os.getloadavg()[0]:.1f})".strip()
            print(row, flush=True)
        rows += new
        write_rows(rows, RESULTS)
