"""Checks that the files of every format have in common: the header and blank rows."""

import re

import pandas as pd

from swt_time.data.limits import COLUMNS_LIMIT
from swt_time.errors import TableError


def check_header(header: list[str], name: str) -> None:
    """Refuse a header with repeated names, or with data in place of names.

    Parameters
    ----------
    header : list of str
        Names of the columns; empty for a column without a name.
    name : str
        Name of the file for messages.
    """
    refuse_repeated(header, name)
    if re.fullmatch(r"\d{4}-\d\d-\d\d.*", header[0].strip()):
        raise TableError(f"{name}: row 1 holds data ({header[0]!r}); expected a header: add a row of column names")


def refuse_repeated(header: list[str], name: str) -> None:
    """Refuse too many columns, and two columns of one name."""
    if len(header) > COLUMNS_LIMIT:
        raise TableError(f"{name} has {len(header):,} columns; expected at most {COLUMNS_LIMIT:,}: use a long table")
    known: dict[str, int] = {}
    for i, column in enumerate(header, 1):
        first = known.setdefault(column, i)
        if column and first < i:
            raise TableError(f"{name}: columns {first} and {i} are both named {column!r}; rename one of them")


def note_blank_rows(frame: pd.DataFrame, rows: int, name: str, notes: list[str]) -> None:
    """Note that blank rows were dropped if they stood between others; refuse a table without rows.

    Parameters
    ----------
    frame : pd.DataFrame
        Without its blank rows; the index counts all rows from 0.
    rows : int
        Number of all rows.
    name : str
        Name of the file for messages.
    notes : list of str
        The note is appended.
    """
    if len(frame) == 0:
        raise TableError(f"{name} has a header but no rows; expected at least two rows of data")
    if frame.index[-1] >= len(frame):
        notes.append(f"{rows - len(frame)} blank rows were skipped")
