"""The first line of an error's message, and the base classes of errors."""

import pytest

from swt_time import errors
from swt_time.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one line"), "one line"),
        (ValueError("first\nsecond\nthird"), "first"),
        (ValueError("\n\n  first  \nsecond"), "first  "),
        (ValueError(""), "ValueError"),
        (RuntimeError(), "RuntimeError"),
        (OSError(" \n "), "OSError"),
    ],
)
def test_first_line(error, line):
    assert first_line(error) == line


def test_first_line_is_shortened():
    text = "0123456789" * 30
    assert first_line(ValueError(text)) == text[:200]
    assert first_line(ValueError(text), longest=10) == text[:10]
    assert first_line(ValueError(text[:200])) == text[:200]


@pytest.mark.parametrize(
    "name", ["TableError", "ConfigError", "BackboneError", "CheckpointError", "DownloadError", "HubError"]
)
def test_errors_about_input_are_value_errors(name):
    error = getattr(errors, name)
    assert issubclass(error, errors.InputError)
    assert issubclass(error, ValueError)


def test_other_errors_are_not_about_input():
    for error in (errors.SaveError, errors.ProcessError, errors.MissingDependencyError):
        assert issubclass(error, errors.SWTTimeError)
        assert not issubclass(error, errors.InputError)
    assert issubclass(errors.MissingDependencyError, ImportError)
