"""The cells of a table before and after validation."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Block:
    """All cells of a table before validation: ``R`` rows, ``C`` value columns.

    A long table has one value column and one code per series; a wide table has one column per series and the code 0.

    Parameters
    ----------
    times : pd.Index
        ``R`` timestamps, or integers that count rows.
    codes : (R,) int array
        Series index of each row.
    values : (C, R) float64 array
        NaN where missing.
    rows : (R,) int array
        Row numbers for messages.
    columns : tuple of str
        ``C`` names of value columns.
    ids : tuple of str
        Names of the series: one per code if ``long``, else one per column.
    long : bool
    """

    times: pd.Index
    codes: np.ndarray
    values: np.ndarray
    rows: np.ndarray
    columns: tuple[str, ...]
    ids: tuple[str, ...]
    long: bool

    def take(self, rows: np.ndarray) -> "Block":
        """Return the given rows, in the given order."""
        return Block(
            self.times[rows],
            self.codes[rows],
            self.values[:, rows],
            self.rows[rows],
            self.columns,
            self.ids,
            self.long,
        )

    def without(self, dropped: np.ndarray) -> "Block":
        """Return the block without the series that a boolean array (N,) marks."""
        kept = np.flatnonzero(~dropped)
        ids = tuple(self.ids[i] for i in kept)
        if not self.long:
            columns = tuple(self.columns[i] for i in kept)
            return replace(self, values=self.values[kept], columns=columns, ids=ids)
        rows = self.take(np.flatnonzero(~dropped[self.codes]))
        return replace(rows, codes=np.searchsorted(kept, rows.codes), ids=ids)

    def name(self, code: int) -> str:
        """Text for messages: `` of series 'a'`` in a long table, empty in a wide one."""
        return f" of series {self.ids[code]!r}" if self.long else ""


class GaplessSeries(NamedTuple):
    """Series on a regular calendar, which of their values were observed, not filled, and ids that were left out."""

    ids: tuple[str, ...]
    values: tuple[np.ndarray, ...]
    times: tuple[pd.Index, ...]
    observed: tuple[np.ndarray, ...]
    left_out: tuple[str, ...] = ()
