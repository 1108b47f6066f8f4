"""Ids of the series of a table: found, counted, and checked for ids that cannot be told apart."""

import unicodedata
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.columns import is_missing, place
from swt_time.errors import TableError


def find_ids(column: nw.Series, rows: np.ndarray, notes: list[str]) -> tuple[list[str], np.ndarray, dict[str, int]]:
    """Sorted ids of a long table, the series index of each row, and the position of each id's first row."""
    if column.dtype.is_nested() or column.dtype == nw.Binary:
        kind = "bytes" if column.dtype == nw.Binary else "nested values"
        raise TableError(f"column {column.name!r} holds {kind}; expected the id of a series in each row")
    cells = column.to_list()
    blank = np.array([not cell.strip() if isinstance(cell, str) else is_missing(cell) for cell in cells])
    if blank.any():
        raise TableError(
            f"{place(column.name, int(rows[int(np.argmax(blank))]))}: the id is missing "
            f"({int(blank.sum())} such rows); every row of a long table needs the id of its series"
        )
    texts = np.array([str(cell) for cell in cells], dtype=object)
    codes, found = pd.factorize(texts, sort=True)
    ids = [str(one) for one in found]
    check_alike(ids, notes)
    first = np.unique(codes, return_index=True)[1]
    if isinstance(column.dtype, nw.Object):
        _check_types(cells, codes, first)
    return ids, codes.astype(np.int64), dict(zip(ids, first.tolist(), strict=True))


def _check_types(cells: list[Any], codes: np.ndarray, first: np.ndarray) -> None:
    """Refuse ids that are written alike but differ in type, such as 1 and '1'."""
    for cell, code in zip(cells, codes, strict=True):
        other = cells[first[code]]
        if type(cell) is not type(other):
            raise TableError(f"ids {other!r} and {cell!r} differ only in type; make them equal, or clearly different")


def check_alike(ids: list[str], notes: list[str]) -> None:
    """Refuse ids that look the same; add a note for ids that differ only in case."""
    seen: dict[str, str] = {}
    for one in ids:
        other = seen.setdefault(_visible(one), one)
        if other != one:
            blanks = "".join(other.split()) == "".join(one.split())
            what = "whitespace" if blanks else f"characters that look the same ({other!a} and {one!a})"
            raise TableError(f"ids {other!r} and {one!r} differ only in {what}; make them equal, or clearly different")
    folded: dict[str, str] = {}
    pairs = [(other, one) for one in ids if (other := folded.setdefault(one.casefold(), one)) != one]
    if pairs:
        more = f" ({len(pairs)} such pairs)" if len(pairs) > 1 else ""
        notes.append(f"ids {pairs[0][0]!r} and {pairs[0][1]!r} differ only in case and are separate series{more}")


def _visible(text: str) -> str:
    """Normalize text to what is visible: single spaces, composed accents, no zero-width characters."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(c for c in composed if unicodedata.category(c) != "Cf").split())
