"""Training step and inference of whole models, in turns with a former commit.

    git worktree add --detach /tmp/former COMMIT
    python benchmarks/steps_in_turns.py --former /tmp/former --out benchmarks/results/steps_in_turns.csv

Each version has a process of its own, with the model in memory. The processes compute one after another, and in each
turn the other one begins, so that a machine that becomes slower slows both. Ratios are those of each turn.
"""

import argparse
import csv
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, median, stdev

HERE = Path(__file__).resolve().parent
CASES = {"minilm": (8, None), "gpt2": (2, None), "llama-7b": (1, 1)}
"""Windows of 7 channels, and layers (None: all), by backbone."""

KINDS = ("step", "inference")


def work(backbone: str) -> None:
    """Build a model, and compute what each line of standard input names; answer with wall and CPU seconds."""
    import torch

    from speed.cases import Case, backbone_folder
    from speed.contenders import build
    from swt_time.machine import torch_defaults

    windows, layers = CASES[backbone]
    torch.manual_seed(0)
    case = Case(backbone=backbone, windows=windows, layers=layers)
    with torch_defaults(), backbone_folder(case) as folder:
        contender = build("compact, free", case, folder)
        for kind in KINDS:
            contender.work(case, kind)()
        print(contender.model.language_model.model.dtype, flush=True)
        for line in sys.stdin:
            task = contender.work(case, line.strip())
            began = time.perf_counter(), time.process_time()
            task()
            print(time.perf_counter() - began[0], time.process_time() - began[1], flush=True)


class Version:
    """A process that computes with the source of one tree."""

    def __init__(self, tree: Path, backbone: str):
        paths = os.pathsep.join([str(tree / "src"), str(tree / "benchmarks")])
        self.commit = subprocess.run(
            ["git", "-C", tree, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", backbone],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self.dtype = self._answer()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            sys.exit(f"the process of {self.commit} has ended")
        return line

    def seconds(self, kind: str) -> tuple[float, float]:
        """Compute once; return wall and CPU seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{kind}\n")
        self.process.stdin.flush()
        wall, cpu = self._answer().split()
        return float(wall), float(cpu)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def compare(former: Path, backbone: str, turns: int) -> list[dict[str, object]]:
    """Return a row for step and inference of one backbone."""
    import torch

    from swt_time.machine import describe_processor

    versions = [Version(tree, backbone) for tree in (former, HERE.parent)]
    rows = []
    for kind in KINDS:
        found: list[list[tuple[float, float]]] = [[], []]
        for turn in range(turns):
            for which in (0, 1) if turn % 2 else (1, 0):
                found[which].append(versions[which].seconds(kind))
        row: dict[str, object] = {"backbone": backbone, "kind": kind, "dtype": versions[1].dtype, "turns": turns}
        for name, place in (("wall", 0), ("cpu", 1)):
            before, now = ([one[place] for one in mine] for mine in found)
            ratios = [b / a for a, b in zip(before, now, strict=True)]
            half = 1.96 * stdev(ratios) / len(ratios) ** 0.5
            row |= {
                f"former_{name}": round(median(before), 4),
                f"now_{name}": round(median(now), 4),
                f"ratio_{name}_median": round(median(ratios), 3),
                f"ratio_{name}": f"{mean(ratios):.3f} ± {half:.3f}",
            }
        rows.append(
            row
            | {
                "load": f"{os.getloadavg()[0]:.1f}",
                "threads": torch.get_num_threads(),
                "machine": describe_processor(),
                "former": versions[0].commit,
                "commit": versions[1].commit,
            }
        )
    for version in versions:
        version.end()
    return rows


def main() -> None:
    """Compare all backbones, or compute as one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--former", type=Path, help="tree of the former commit")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--backbones", default=",".join(CASES))
    parser.add_argument("--turns", type=int, default=21)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(asked.work)
        return
    rows = []
    for backbone in asked.backbones.split(","):
        rows += compare(asked.former.resolve(), backbone, asked.turns)
        print(rows[-2], rows[-1], sep="\n", file=sys.stderr, flush=True)
    with asked.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
