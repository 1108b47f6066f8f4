"""Files that a model is exported to."""

from pathlib import Path

from swt_time.errors import ConfigError, SaveError
from swt_time.files import expand_user
from swt_time.folders import check_place, replace_file

SUFFIXES = (".onnx", ".pt2")
"""Endings of the files: an ONNX graph, a program of ``torch.export``."""


def check_target(path: str | Path, *suffixes: str) -> Path:
    """Check that a file can be written, before any work.

    Raises
    ------
    ConfigError
        Its name has another ending, it is a folder, or its folder is missing or not writable.
    """
    path = expand_user(path, ConfigError)
    if path.suffix.lower() not in suffixes:
        raise ConfigError(f"cannot determine the format of {path}; expected a name ending in {' or '.join(suffixes)}")
    check_place(path, f"cannot write {path}", ConfigError)
    return path


def write_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it.

    Raises
    ------
    ConfigError
        The folder may not be written.
    SaveError
        The operating system refused it; a former file is intact.
    """
    try:
        replace_file(path, content, ConfigError)
    except PermissionError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; choose another path") from error
    except OSError as error:
        raise SaveError(f"writing {path} failed: {error.strerror or error}") from error
