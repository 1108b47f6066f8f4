"""The record in an output folder: what its parts are forecasts of.

A run that is repeated skips parts that are there. That is right only if the input, the model and the options are the
same, so these are written into the folder before the first part.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swt_time import __version__
from swt_time.data.columns import listed
from swt_time.data.parquet_folder import UNREAD
from swt_time.errors import SaveError, TableError
from swt_time.files import MEBIBYTE, read_json
from swt_time.folders import explained, replace_file

NAME = "_swt_time.json"
"""Engines and readers of Parquet folders ignore names that begin with an underscore."""

LIMIT = 64 * MEBIBYTE


def part_name(number: int) -> str:
    """File name of the forecasts of a bucket."""
    return f"part-{number:06}.parquet"


def begin(out: Path, record: Mapping[str, Any]) -> None:
    """Make an output folder with a record, or check that the record in it is the same.

    Parameters
    ----------
    out : Path
    record : mapping
        Plain values; a mapping in it is compared key by key.

    Raises
    ------
    TableError
        The folder is none, holds something else, or the forecasts of another run.
    SaveError
        The operating system refused to write.
    """
    record = json.loads(json.dumps({**record, "swt_time": __version__}))
    if out.exists() and not out.is_dir():
        raise TableError(f"the output {out} is a file; the forecasts of a folder are a folder")
    if (out / NAME).exists():
        found = read_json(out / NAME, LIMIT, TableError)
        changed = [key for key in record if found.get(key) != record[key]]
        if changed:
            raise TableError(
                f"{out} holds forecasts of another run: "
                f"{'; '.join(_difference(one, found, record) for one in changed)}; choose another output folder, or "
                "remove this one"
            )
        return
    with explained(f"cannot use the output folder {out}", TableError, "choose another one"):
        others = [one.name for one in out.iterdir() if not one.name.startswith(UNREAD)] if out.exists() else []
        if others:
            raise TableError(f"the output folder {out} is not empty (it holds {listed(others)}); choose another one")
        out.mkdir(parents=True, exist_ok=True)
    try:
        replace_file(out / NAME, (json.dumps(record, indent=1) + "\n").encode(), TableError)
    except OSError as error:
        raise SaveError(f"cannot write {out / NAME}: {error.strerror or error}") from error


def _difference(key: str, found: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Describe the first difference of one entry."""
    then, now = found.get(key), record[key]
    if isinstance(then, dict) and isinstance(now, dict):
        name = next(name for name in {**then, **now} if then.get(name) != now.get(name))
        return f"{key} {name} was {then.get(name, 'missing')}, is {now.get(name, 'missing')}"
    return f"{key} was {then}, is {now}"
