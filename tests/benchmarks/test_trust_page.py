"""docs/trust.md is what its generator makes of the committed results."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
trust = runpy.run_path(str(ROOT / "benchmarks" / "trust.py"))

ROW = {"item": "1", "claim": "a | b", "cases": "3", "passed": "3", "command": "pytest x", "commit": "abc"}


def test_the_page_is_generated():
    rows = trust["read_rows"](ROOT / "benchmarks" / "results")
    assert rows
    assert trust["page"](rows) == trust["PAGE"].read_text(encoding="utf-8"), "run: python benchmarks/trust.py"


def test_a_row_is_shown_with_its_count_and_its_command():
    assert "| 1 | a \\| b | 3 of 3 | `pytest x` | abc |" in trust["page"]([ROW])


def test_what_did_not_hold_stands_out():
    assert "**2 of 3**" in trust["page"]([{**ROW, "passed": "2"}])
