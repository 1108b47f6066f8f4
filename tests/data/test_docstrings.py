"""The examples in the docstrings of the data room give the documented output."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["frequency", "future", "scaling", "series", "windows", "zones"])
def test_examples(module):
    result = doctest.testmod(importlib.import_module(f"swt_time.data.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
