"""Results of the trust tests: one row per claim, replaced when measured again, and written on request only."""

import csv
import re
import subprocess
from pathlib import Path

from support import trust

TESTS = Path(__file__).parent


def rows(path):
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_recording_again_replaces_the_row(tmp_path, monkeypatch):
    monkeypatch.setenv(trust.VARIABLE, str(tmp_path / "results"))
    trust.record("trust_x.csv", "two", "second", 5, 5, "make x")
    trust.record("trust_x.csv", "one", "first, with a comma", 3, 2, "make x")
    trust.record("trust_x.csv", "two", "second", 7, 6, "make y")
    first, second = rows(tmp_path / "results" / "trust_x.csv")
    assert tuple(first) == trust.COLUMNS
    assert (first["item"], first["claim"], first["cases"], first["passed"]) == ("one", "first, with a comma", "3", "2")
    assert (second["cases"], second["passed"], second["command"]) == ("7", "6", "make y")
    assert re.fullmatch(r"[0-9a-f]{12}\+?", second["commit"])


def test_nothing_is_written_without_the_variable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    trust.record("trust_x.csv", "one", "first", 1, 1, "make x")
    assert list(tmp_path.iterdir()) == []


def test_make_trust_runs_every_module_that_records():
    """The fuzz tests are left out: ``make fuzz`` runs them before, with more examples."""
    plan = subprocess.run(
        ["make", "--dry-run", "trust"], cwd=TESTS.parent, capture_output=True, text=True, check=True
    ).stdout
    (command,) = [line for line in plan.splitlines() if "pytest -m" in line]
    recording = {
        path.relative_to(TESTS.parent).as_posix()
        for path in TESTS.rglob("test_*.py")
        if re.search(r"\brecord\(\s*\"trust_|^CLAIMS = ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert {word for word in command.split() if word.startswith("tests/")} == recording - {
        "tests/test_fuzz.py",
        "tests/test_fuzz_commands.py",
        "tests/test_trust.py",
    }
    assert len(recording) > 8
