"""Check output paths before any work, so that no command overwrites what it was given."""

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import typer

from swt_time.config import Config
from swt_time.data.opening import STANDARD_INPUT, local_path
from swt_time.errors import InputError
from swt_time.folders import explained


def check_outputs(
    outputs: Mapping[str, Path | None],
    inputs: Mapping[str, str | Path | None],
    folders: Mapping[str, Path | None] | None = None,
) -> None:
    """Refuse an output that is an input, lies in an input folder, holds an input, or is another output.

    Paths are compared by what they lead to: links, hard links and ``..`` make no difference.

    Parameters
    ----------
    outputs, inputs : mapping of str to path or None
        Files and folders by flag; None where the flag was not given. ``-`` is standard input or output and no file. An
        output folder may replace what is in it, so no input may lie there.
    folders : mapping of str to Path or None, optional
        Input folders, such as the model, by flag.

    Raises
    ------
    InputError
    """
    seen: dict[str, Path] = {}
    for flag, path in outputs.items():
        if path is None or str(path) == STANDARD_INPUT:
            continue
        for other, source in inputs.items():
            file = None if source is None else local_path(source)
            if file is not None and _same(path, file):
                raise InputError(f"{flag} {path} is the file given as {other}; choose another name")
            if file is not None and _lies_in(file, path):
                raise InputError(f"the folder {flag} {path} holds {file}, given as {other}; choose another folder")
        for other, folder in (folders or {}).items():
            if folder is not None and _lies_in(path, folder):
                raise InputError(f"{flag} {path} lies in the folder given as {other}; choose another folder")
            if folder is not None and os.path.exists(folder) and _lies_in(folder, path):
                raise InputError(f"the folder {flag} {path} holds {folder}, given as {other}; choose another folder")
        for other, former in seen.items():
            if _same(path, former):
                raise InputError(f"{flag} and {other} are both {path}; choose two names")
        seen[flag] = path


def backbone_folder(config: Config) -> Path | None:
    """Return the folder of the language model of a configuration; None if it is no folder."""
    folder = Path(os.path.expanduser(config.backbone.name))
    return folder if os.path.isdir(folder) else None


def printer(*tables: Path | None) -> Callable[[str], None]:
    """Return a function that prints a line: to standard error where standard output holds a table and nothing else.

    Parameters
    ----------
    *tables
        The tables that the command writes; ``-`` is standard output.

    Raises
    ------
    InputError
        More than one table goes to standard output.
    """
    printed = sum(path is not None and str(path) == STANDARD_INPUT for path in tables)
    if printed > 1:
        raise InputError("standard output (-) holds one table; write the others to files")
    return partial(typer.echo, err=printed > 0)


def write_json(values: Mapping[str, Any], indent: int | None = None) -> str:
    """Return plain values as JSON; what is not finite becomes null, because JSON has neither NaN nor Infinity."""
    from swt_time.evaluation.text import finite_only

    return json.dumps(finite_only(dict(values)), indent=indent, allow_nan=False)


def _same(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):  # one of them does not exist
        return os.path.samefile(one, other)
    with explained(f"cannot find {one} or {other}", InputError):
        return one.resolve() == other.resolve()


def _lies_in(path: Path, folder: Path) -> bool:
    if not os.path.isdir(folder):
        return False
    with explained(f"cannot find {path}", InputError):
        whole = path.resolve()
    return any(_same(parent, folder) for parent in (whole, *whole.parents))
