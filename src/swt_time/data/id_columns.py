"""Find the columns of text whose cells, together, are the ids of the series of a long table."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.columns import NUMBER, is_missing, listed
from swt_time.data.ids import factorize, join_codes
from swt_time.errors import TableError

LEAST_ROWS = 2
"""Least mean number of rows of a series, where several columns together tell the series apart: any rows differ in a
column of remarks, which names no series."""


def set_text_aside(
    frame: nw.DataFrame[Any], times: Sequence[str], rest: list[str], target: str | None, notes: list[str]
) -> tuple[tuple[str, ...], list[str]]:
    """Find the ids among columns of text beside columns of numbers, else leave text and booleans out; with a note.

    Parameters
    ----------
    frame : nw.DataFrame
    times : sequence of str
        The time column, or calendar columns.
    rest : list of str
        Columns without a role.
    target : str or None
    notes : list of str
        Notes of this step are appended.

    Returns
    -------
    ids : tuple of str
        Empty if the table is wide.
    rest : list of str
        The other columns.

    Raises
    ------
    TableError
        If several columns together tell the series apart, but not which of them.
    """
    text = [name for name in rest if name != target and holds_text(frame[name])]
    aside = {*text, *(name for name in rest if name != target and frame[name].dtype == nw.Boolean)}
    if not aside or len(aside) == len(rest):
        return (), rest
    ids: tuple[str, ...] = ()
    moments = _moments(frame, times)
    if moments is not None and _count(moments) < len(frame):
        ids = _find(frame, moments, text)
        if not ids:
            return (), rest  # the refusal names the repeated time
    others = [name for name in rest if name in aside and name not in ids]
    if len(ids) > 1:
        notes.append(f"columns {listed(ids)} were taken as the id of the series")
    elif ids:
        notes.append(f"column {ids[0]!r} was taken as the id of the series")
    if others and target is None:
        holds, was = ("holds", "was") if len(others) == 1 else ("hold", "were")
        what = "booleans" if not set(others) & set(text) else "text" if set(others) <= set(text) else "text or booleans"
        notes.append(f"{listed(others)} {holds} {what} and {was} left out")
    return ids, [name for name in rest if name not in aside]


def holds_text(column: nw.Series[Any]) -> bool:
    """Whether all cells of a column are words: text that begins with a letter and is no number."""
    if isinstance(column.dtype, nw.Object) and not all(isinstance(cell, str) for cell in column.drop_nulls().to_list()):
        return False
    if not isinstance(column.dtype, nw.String | nw.Object | nw.Categorical | nw.Enum):
        return False
    known = column.drop_nulls()
    # polars finds no unique cells of type Object, but these are text here, which a set can hold
    cells = set(known.to_list()) if isinstance(column.dtype, nw.Object) else known.unique().to_list()
    cells = [cell for cell in cells if not is_missing(cell)]
    if not all(isinstance(cell, str) for cell in cells):  # categories may be of any type
        return False
    cells = [cell.strip() for cell in cells]
    return bool(cells) and all(cell[:1].isalpha() and not NUMBER.fullmatch(cell) for cell in cells)


def _find(frame: nw.DataFrame[Any], moments: np.ndarray, text: Sequence[str]) -> tuple[str, ...]:
    """Columns in which the rows of each moment differ; empty if there are none.

    One column is enough where it can be. Otherwise these are the columns that no choice can do without, if they
    suffice, and the columns that they determine, such as the state of a region.
    """
    codes = {name: factorize(frame[name])[0] for name in text}

    def together(names: Sequence[str]) -> np.ndarray:
        return join_codes([np.zeros(len(frame), dtype=np.int64), *(codes[name] for name in names)])

    def suffice(names: Sequence[str]) -> bool:
        return _count(join_codes([moments, together(names)])) == len(frame)

    def determine(names: Sequence[str], other: str) -> bool:
        return _count(together([*names, other])) == _count(together(names))

    def without(names: Sequence[str], one: str) -> list[str]:
        return [name for name in names if name != one]

    for name in text:
        if suffice([name]):
            return (name,)
    if not suffice(text):
        return ()
    independent = list(text)
    for name in reversed(text):
        if determine(without(independent, name), name):
            independent.remove(name)
    needed = [name for name in independent if not suffice(without(independent, name))]
    if not suffice(needed) or _count(together(needed)) * LEAST_ROWS > len(frame):
        raise TableError(
            f"only together do the columns {listed(text)} tell the series apart; name those that do in "
            "data.id_column, or keep the rows of one series"
        )
    return tuple(name for name in text if name in needed or determine(needed, name))


def _moments(frame: nw.DataFrame[Any], times: Sequence[str]) -> np.ndarray | None:
    """Return a code for each row, equal for equal times; None if a time is missing."""
    codes = []
    for name in times:
        code, first = factorize(frame[name])
        if any(map(is_missing, frame[name][first.tolist()].to_list())):
            return None
        codes.append(code)
    return join_codes(codes)


def _count(codes: np.ndarray) -> int:
    return len(pd.unique(codes))
