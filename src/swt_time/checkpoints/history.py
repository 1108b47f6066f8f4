"""The loss history of a run as CSV: one row per validation."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields

from pydantic import TypeAdapter

from swt_time.training import Validation

COLUMNS = [field.name for field in fields(Validation)]


def write_history(rows: Sequence[Validation]) -> bytes:
    """Write a loss history; None is an empty cell."""
    if not rows:
        return b""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode()


def read_history(content: bytes) -> list[Validation]:
    """Parse what `write_history` wrote.

    Raises
    ------
    ValueError
        The columns are others, or a cell does not have the type of its column.
    """
    if not content:
        return []
    parser = TypeAdapter(Validation)
    rows = csv.reader(io.StringIO(content.decode(), newline=""))
    try:
        if next(rows) != COLUMNS:
            raise ValueError(f"the header of history.csv is not {','.join(COLUMNS)}")
        # row by row: a list of all cells would take a hundred times the memory of the file
        return [
            parser.validate_python({name: cell or None for name, cell in zip(COLUMNS, row, strict=True)})
            for row in rows
        ]
    except csv.Error as error:
        raise ValueError(f"history.csv: {error}") from None
