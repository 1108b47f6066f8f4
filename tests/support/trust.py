"""Results of the trust tests as committed tables: one row a claim, with the count that was seen and what reruns it.

Nothing is written unless the environment variable ``SWT_TIME_TRUST_RESULTS`` names a folder:

    SWT_TIME_TRUST_RESULTS=benchmarks/results python -m pytest -m "slow or not slow" tests/checkpoints/test_crash.py
"""

import csv
import os
import subprocess
from pathlib import Path

COLUMNS = ("item", "claim", "cases", "passed", "command", "commit")
VARIABLE = "SWT_TIME_TRUST_RESULTS"


def record(file: str, item: str, claim: str, cases: int, passed: int, command: str) -> None:
    """Write one claim's row into a table, in place of the one of the same item and claim that may be there.

    Call it before the assertion, so that a claim that fails is on record too.

    Parameters
    ----------
    file : str
        The table's name, such as ``trust_resume.csv``.
    item, claim : str
        The part of the trust programme, and what is claimed, in one sentence.
    cases, passed : int
        How many were tried, and how many went as claimed.
    command : str
        What reruns it, from the root of the repository.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return
    path = Path(folder) / file
    rows = {}
    if path.exists():
        with path.open(newline="", encoding="utf-8") as table:
            rows = {(row["item"], row["claim"]): row for row in csv.DictReader(table)}
    values = (item, claim, str(cases), str(passed), command, _commit())
    rows[item, claim] = dict(zip(COLUMNS, values, strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))


def _commit() -> str:
    """The commit under test, with a ``+`` where the tree has other changes than the results themselves."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    return f"{commit}{'+' if changed else ''}"


def _git(*words: str) -> str:
    root = Path(__file__).parents[2]
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
