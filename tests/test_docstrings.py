"""Examples in docstrings run, and give what they show."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import swt_time

SOURCE = Path(swt_time.__file__).parent
WITH_EXAMPLES = sorted(
    module.name
    for module in pkgutil.walk_packages(swt_time.__path__, "swt_time.")
    if not module.ispkg and ">>>" in (SOURCE.parent / f"{module.name.replace('.', '/')}.py").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


def test_the_wavelets_have_examples():
    assert {"swt_time.wavelets.stationary", "swt_time.model.embedding", "swt_time.remembered"} <= set(WITH_EXAMPLES)
