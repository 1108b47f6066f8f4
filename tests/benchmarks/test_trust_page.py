"""docs/trust.md is generated from the committed results, and its commands name existing tests."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
trust = runpy.run_path(str(ROOT / "benchmarks" / "trust.py"))

ROW = {"item": "topic", "claim": "a | b", "cases": "3", "passed": "3", "command": "pytest x", "commit": "abc"}


def committed_rows():
    rows = trust["read_rows"](ROOT / "benchmarks" / "results")
    assert len(rows) > 30
    return rows


def test_committed_page_is_up_to_date():
    assert trust["page"](committed_rows()) == trust["PAGE"].read_text(encoding="utf-8"), (
        "run: python benchmarks/trust.py"
    )


def test_items_are_words():
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", row["item"]) for row in committed_rows())


def test_commands_name_existing_tests():
    checked = 0
    for row in committed_rows():
        match = re.search(r"(tests/\S+\.py)(?: -k (\w+))?$", row["command"])
        if match is None:
            assert row["command"] == "make fuzz"
            continue
        source = (ROOT / match[1]).read_text(encoding="utf-8")
        if match[2]:
            assert re.search(rf"^def \w*{match[2]}\w*\(", source, flags=re.MULTILINE), row["command"]
            checked += 1
    assert checked >= 9


def test_row_has_count_and_command():
    assert "| topic | a \\| b | 3 of 3 | `pytest x` | abc |" in trust["page"]([ROW])


def test_failed_claims_are_bold():
    assert "**2 of 3**" in trust["page"]([{**ROW, "passed": "2"}])
