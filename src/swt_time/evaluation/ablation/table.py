"""The table of results: one CSV row a run, appended whole or not at all."""

import contextlib
import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from swt_time.checkpoints.locking import is_file_at, lock_file
from swt_time.errors import InputError


def read_rows(path: Path) -> list[dict[str, str]]:
    """Complete rows of a table; none where there is no file yet.

    A last line without an end was cut by a crash of the machine, and is left out.

    Raises
    ------
    InputError
        The file is not such a table.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise InputError(f"cannot write {path}: the folder {path.parent} does not exist; create it first") from None
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the results {path}: {error}") from None
    whole = text[: text.rfind("\n") + 1]
    if not whole:
        return []
    reader = csv.DictReader(io.StringIO(whole))
    missing = {"model", "config_hash", "data_sha256"} - set(reader.fieldnames or ())
    if missing:
        raise InputError(
            f"{path} is not a table of results: it lacks the column {min(missing)}; name another file with --out"
        )
    return list(reader)


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row in one write, behind a lock, so that neither a kill nor a second writer leaves half a row.

    Columns that the file lacks are added to it first.
    """
    with _locked(path) as file:
        content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        header = next(csv.reader(io.StringIO(whole.decode("utf-8"))), [])
        added = [column for column in row if column not in header]
        if not header or not added:
            file.seek(len(whole))
            file.truncate()
            file.write(_line(header or added, row, with_header=not header))
            file.flush()
            os.fsync(file.fileno())
            return
        rows = [*csv.DictReader(io.StringIO(whole.decode("utf-8"))), row]
        columns = [*header, *added]
        lines = [_line(columns, one, with_header=i == 0) for i, one in enumerate(rows)]
        new = path.with_name(path.name + ".new")
        new.write_bytes(b"".join(lines))
        os.replace(new, path)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading and writing, locked on platforms that have such locks."""
    while True:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
            # Another writer may have replaced the file while this one waited for the lock.
            if lock_file(file.fileno(), wait=True) and not is_file_at(file.fileno(), path):
                continue
            yield file
            return


def _line(columns: list[str], row: Mapping[str, Any], *, with_header: bool) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="", extrasaction="ignore")
    if with_header:
        writer.writeheader()
    writer.writerow({key: "" if value is None else value for key, value in row.items()})
    return text.getvalue().encode("utf-8")
