"""The pages that are made from the code are what their generator makes."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
_spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


@pytest.mark.parametrize("name", generate.PAGES)
def test_page_is_current(name):
    assert (DOCS / name).read_text(encoding="utf-8") == generate.PAGES[name](), "run: make docs"


def test_every_key_has_a_row_with_its_default():
    page = generate.configuration_page()
    for row in (
        "| `data.horizon` | `96` | integer, at least 1",
        "| `data.fill` |  | `linear`, `ffill`, `zero` | `--fill` |",
    ):
        assert row in page
    for key in generate.dotted_keys(generate.Config):
        assert f"| `{key}` |" in page
