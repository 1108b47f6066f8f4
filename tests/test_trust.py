"""The tables of trust results: a row a claim, rewritten by a rerun, and only on request."""

import csv
import re

from support import trust


def rows(path):
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_a_rerun_rewrites_its_own_row_alone(tmp_path, monkeypatch):
    monkeypatch.setenv(trust.VARIABLE, str(tmp_path / "results"))
    trust.record("trust_x.csv", "2", "second", 5, 5, "make x")
    trust.record("trust_x.csv", "1", "first, with a comma", 3, 2, "make x")
    trust.record("trust_x.csv", "2", "second", 7, 6, "make y")
    first, second = rows(tmp_path / "results" / "trust_x.csv")
    assert tuple(first) == trust.COLUMNS
    assert (first["item"], first["claim"], first["cases"], first["passed"]) == ("1", "first, with a comma", "3", "2")
    assert (second["cases"], second["passed"], second["command"]) == ("7", "6", "make y")
    assert re.fullmatch(r"[0-9a-f]{12}\+?", second["commit"])


def test_nothing_is_written_unless_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    trust.record("trust_x.csv", "1", "first", 1, 1, "make x")
    assert list(tmp_path.iterdir()) == []
