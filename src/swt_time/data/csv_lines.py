"""Checks of the lines of a CSV file on its bytes, before a parser makes an object of each cell."""

import re

import numpy as np
import pandas as pd

from swt_time.data.budget import CELL_BYTES, Budget
from swt_time.data.limits import COLUMNS_LIMIT
from swt_time.errors import TableError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

PIECE = 2**16
"""Bytes that are searched for an end of line at a time; a shorter line has not too many cells."""

GAP = 2**10
"""Blank lines in a row that are taken out before the file is parsed."""

RAGGED_LIMIT, RAGGED_SHARE = 2**24, 2**4
"""Cells of a table with short rows that are always allowed, and otherwise those for each cell that is written."""


def refuse_wide_lines(raw: bytes, name: str) -> None:
    """Refuse a line with far more cells than a table may have columns."""
    run = dict.fromkeys(DELIMITERS, 0)
    for start in range(0, len(raw), PIECE):
        if raw.find(b"\n", start, start + PIECE) >= 0:
            run = dict.fromkeys(DELIMITERS, 0)
            continue
        run = {mark: count + raw.count(mark.encode(), start, start + PIECE) for mark, count in run.items()}
        if max(run.values()) > COLUMNS_LIMIT:
            row = raw.count(b"\n", 0, start) + 1
            raise TableError(
                f"{name}: row {row} has more than {COLUMNS_LIMIT:,} columns; expected at most {COLUMNS_LIMIT:,}: use a "
                "long table"
            )


def check_cells(raw: bytes, name: str, columns: int, delimiter: str, budget: Budget) -> None:
    """Refuse a table of more cells than its budget, and one whose rows are far shorter than its header."""
    lines = raw.count(b"\n") + 1
    cells, written = lines * columns, lines + raw.count(delimiter.encode())
    budget.check(CELL_BYTES * cells)
    if cells > RAGGED_LIMIT and cells > RAGGED_SHARE * written:
        raise TableError(
            f"{name} has {written:,} cells in {lines:,} rows, but {columns:,} names in the header; every row needs as "
            "many cells as the header"
        )


class Gaps:
    """Long runs of blank lines that were taken out of a file without quotation marks.

    Parameters
    ----------
    raw : bytes

    Attributes
    ----------
    raw : bytes
        Without the blank lines.
    skipped : int
        How many were taken out.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw, self._lines, self._counts = raw, [0], [0]
        # within quotation marks, blank lines belong to a cell
        if b"\n" * (GAP + 1) in raw and b'"' not in raw:
            parts, place = [], 0
            for run in re.finditer(rb"\n{%d,}" % (GAP + 1), raw):
                parts.append(raw[place : run.start() + 1])
                self._lines.append(self._lines[-1] + parts[-1].count(b"\n"))
                self._counts.append(self._counts[-1] + run.end() - run.start() - 1)
                place = run.end()
            self.raw = b"".join((*parts, raw[place:]))
        self.skipped = self._counts[-1]

    def rows(self, index: pd.Index) -> pd.Index:
        """Row numbers of the file, less 2, of the rows with these numbers in the shortened file."""
        if not self.skipped:
            return index
        rows: np.ndarray = index.to_numpy()
        skipped = np.array(self._counts)[np.searchsorted(self._lines, rows + 1, side="right") - 1]
        found: pd.Index = pd.Index(rows + skipped)
        return found
