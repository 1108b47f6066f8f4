"""Results of the trust tests as committed CSV files: one row per claim, with counts and the command that reruns it.

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
    """Write the row of a claim to a results file; a row of the same item and claim is replaced.

    Call it before the assertion, so that a claim that fails is recorded too.

    Parameters
    ----------
    file : str
        Name of the results file, such as ``trust_resume.csv``.
    item, claim : str
        The part of the trust programme, and the claim in one sentence.
    cases, passed : int
        Number of cases that were tried, and of those that confirmed the claim.
    command : str
        The command that reruns the test from the root of the repository.
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
    """Return the commit under test, with a ``+`` if anything but the results was changed since."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    return f"{commit}{'+' if changed else ''}"


def _git(*words: str) -> str:
    root = Path(__file__).parents[2]
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
