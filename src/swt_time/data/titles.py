"""Titles: a text about each series as a whole, such as the name of a product."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from swt_time.data.columns import is_missing, place
from swt_time.errors import TableError


@dataclass(frozen=True)
class Titles:
    """The titles of ``N`` series.

    Attributes
    ----------
    texts : tuple of N str
        Empty for a series without a title.
    vectors : (N, L) float array or None
        What a language model makes of them, of length 1; zeros for empty ones. None as long as they are not read.
    backbone, sha256 : str
        Name of the language model, and hash of its weights.
    """

    texts: tuple[str, ...]
    vectors: np.ndarray | None = None
    backbone: str = ""
    sha256: str = ""

    def select(self, indices: Sequence[int]) -> "Titles":
        """Return those of the series with these indices."""
        vectors = None if self.vectors is None else self.vectors[list(indices)]
        return replace(self, texts=tuple(self.texts[i] for i in indices), vectors=vectors)


def read_titles(
    column: nw.Series[Any], numbers: np.ndarray, codes: np.ndarray | None, ids: Sequence[str]
) -> tuple[str, ...]:
    """Read a column with one text for each series.

    Parameters
    ----------
    column : nw.Series
        ``R`` cells; a series with missing ones only has no title.
    numbers : (R,) int array
        Row numbers for messages.
    codes : (R,) int array, optional
        Series of each row; -1 for a series that is not read. None if every row is one of all series.
    ids : sequence of N str

    Raises
    ------
    TableError
        A cell is no text, or a series has several titles; names the row.
    """
    found: dict[int, str] = {}
    series = np.zeros(len(column), dtype=np.int64) if codes is None else codes
    for cell, row, one in zip(column.to_list(), numbers, series.tolist(), strict=True):
        if one < 0 or is_missing(cell):
            continue
        if not isinstance(cell, str):
            raise TableError(
                f"data.titles: {place(column.name, row)}: {cell!r} is no text; write the title in words, or name "
                "columns of numbers in data.static"
            )
        text = cell.strip()
        if found.setdefault(one, text) != text:
            raise TableError(
                f"data.titles: {place(column.name, row)}: series {ids[one]!r} has several titles, {found[one]!r} and "
                f"{text!r}; expected one: tell what changes in time in notes"
            )
    if codes is None:
        return (found.get(0, ""),) * len(ids)
    return tuple(found.get(i, "") for i in range(len(ids)))
