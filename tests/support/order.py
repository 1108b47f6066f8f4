"""The order of the modules of tests that run in several processes: the longest first, so that all end together.

pytest-xdist begins with the modules of most tests. The longest ones have few, and one process would wait for them.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

LONGEST = (
    "test_readme.py",
    "test_hostile.py",
    "data/test_flawed_tables.py",
    "test_contracts.py",
    "test_faults.py",
    "test_fuzz_commands.py",
    "test_fuzz.py",
    "test_planted_links.py",
    "benchmarks/test_measure_speed.py",
    "evaluation/ablation/test_command.py",
    "serve/test_page.py",
    "test_demo.py",
    "checkpoints/test_killed_early.py",
    "cli/test_cli.py",
    "test_pickling.py",
    "training/test_compiled.py",
    "test_determinism.py",
    "test_tutorials.py",
    "checkpoints/test_run.py",
    "test_several_processes.py",
)
"""Modules that take more than ten seconds, below ``tests``, the longest first."""


def longest_first(paths: Sequence[PurePath], folder: PurePath) -> list[int]:
    """Indices of tests whose modules have these paths: those of `LONGEST`, then the modules of most tests."""
    counts = Counter(paths)
    ranks = {folder / name: rank for rank, name in enumerate(LONGEST)}
    first = {path: index for index, path in reversed(list(enumerate(paths)))}
    return sorted(
        range(len(paths)),
        key=lambda i: (ranks.get(paths[i], len(ranks)), -counts[paths[i]], first[paths[i]]),
    )
