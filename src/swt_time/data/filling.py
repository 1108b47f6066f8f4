"""Filling of missing values: linear interpolation, the last value, or zero."""

import numpy as np
import pandas as pd

from swt_time.config import Fill
from swt_time.data.block import Block, GaplessSeries
from swt_time.data.frequency import Frequency, RowCount
from swt_time.data.zones import usual_time
from swt_time.errors import TableError


class Filling:
    """Fill the missing values of each series and count the changes.

    Parameters
    ----------
    block : Block
        Sorted, one frequency.
    grid : Frequency or RowCount
    ordinals : (R,) int array
        Position of each row on the grid.
    bad : (C, R) bool array
        Values that are missing or not usable.
    fill : {"linear", "ffill", "zero"}
    """

    def __init__(
        self, block: Block, grid: Frequency | RowCount, ordinals: np.ndarray, bad: np.ndarray, fill: Fill
    ) -> None:
        self.block, self.grid, self.ordinals, self.bad, self.fill = block, grid, ordinals, bad, fill
        self.filled = self.touched = self.cut = 0

    def series(self, starts: np.ndarray) -> GaplessSeries:
        """Return all series, filled; ``starts`` are the first rows of the series of a long table."""
        values: list[np.ndarray] = []
        times: list[pd.Index] = []
        observed: list[np.ndarray] = []
        ends = np.append(starts[1:], len(self.block.times))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            shared: dict[tuple[int, int], pd.Index] = {}
            for column in range(len(self.block.columns)):
                first, one, known = self._one(column, start, end)
                if (first, len(one)) not in shared:
                    grid = first + self.grid.step * np.arange(len(one))
                    shared[first, len(one)] = self.grid.stamps(grid, usual_time(self.block.times[start:end]))
                values.append(one)
                times.append(shared[first, len(one)])
                observed.append(known)
        return GaplessSeries(self.block.ids, tuple(values), tuple(times), tuple(observed))

    def _one(self, column: int, start: int, end: int) -> tuple[int, np.ndarray, np.ndarray]:
        """First ordinal, values and mask of observed values of one series.

        Filling with zeros covers all rows; otherwise the series starts at its first known value.
        """
        known = np.flatnonzero(~self.bad[column, start:end]) + start
        at, values = self.ordinals[known], self.block.values[column, known]
        begin = int(self.ordinals[start] if self.fill == "zero" else at[0])
        length = int(self.ordinals[end - 1] - begin) // self.grid.step + 1
        self.cut += int(known[0] - start) if self.fill != "zero" else 0
        missing = length - len(known)
        if missing == 0:
            return begin, values, np.ones(length, dtype=bool)
        if missing > len(known) and self.fill != "zero":
            block = self.block
            name = block.name(int(block.codes[start])) or f" of column {block.columns[column]!r}"
            raise TableError(
                f"{missing} of {length} values{name} are missing (frequency {self.grid.alias}), more than "
                "half; correct the times, resample to a longer step, set data.fill to zero if a missing value means "
                "zero, or remove the series"
            )
        self.filled += missing
        self.touched += 1
        grid = begin + self.grid.step * np.arange(length)
        observed = np.zeros(length, dtype=bool)
        observed[(at - begin) // self.grid.step] = True
        if self.fill == "linear":
            return begin, np.interp(grid, at, values), observed  # after the last known value: that value
        if self.fill == "ffill":
            return begin, values[np.searchsorted(at, grid, side="right") - 1], observed
        filled = np.zeros(length)
        filled[observed] = values
        return begin, filled, observed

    def notes(self) -> list[str]:
        """Describe the changes for the user."""
        notes = []
        if self.filled:
            notes.append(f"filled {self.filled} values in {self.touched} series ({self.fill})")
        if self.cut:
            notes.append(f"removed {self.cut} missing values before the first known value")
        return notes
