"""The tutorials run as they stand, and show what they say."""

import doctest
import re
import shlex
import shutil
from pathlib import Path

import pytest

from support.backbones import save_tiny_backbone

FOLDER = Path(__file__).parent.parent / "docs" / "tutorials"
BLOCK = re.compile(r"^```(console|text|pycon)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def absent(shown: str, printed: str) -> list[str]:
    """Return the lines that a tutorial shows and the last command did not print."""
    return [line for line in shown.splitlines() if line not in printed]


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.stem)
def test_a_tutorial_runs(page, swt_time, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(FOLDER / "air_passengers.csv", tmp_path)
    if "my-model" in page.read_text(encoding="utf-8"):
        save_tiny_backbone(tmp_path / "my-model", "gpt2", hidden=128)
    printed, names, kinds = "", {}, set()
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        kinds.add(kind)
        if kind == "console":
            for line in text.splitlines():
                program, *words = shlex.split(line.removeprefix("$ "))
                assert program == "swt-time"
                run = swt_time(*words)
                printed = run.stdout + run.stderr
        elif kind == "text":
            assert absent(text, printed) == []
        else:
            test = doctest.DocTestParser().get_doctest(text, names, page.name, page.name, 0)
            runner = doctest.DocTestRunner()
            assert runner.run(test, clear_globs=False) == doctest.TestResults(0, len(test.examples))
            names = test.globs
    assert "console" in kinds


def test_a_line_that_was_not_printed_is_found():
    assert absent("a 1\nb 2\n", "x a 1\nb 3") == ["b 2"]
