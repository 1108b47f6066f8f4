"""Filling of missing values: linear interpolation, the last value, or zero."""

import numpy as np
import pandas as pd

from swt_time.config import Fill
from swt_time.data.block import Block, GaplessSeries
from swt_time.data.frequency import Frequency, RowCount
from swt_time.data.zones import usual_rows
from swt_time.errors import TableError

FILLED_LIMIT, FILLED_SHARE = 2**24, 2**8
"""Values after filling with zeros that are always allowed, and otherwise those for each known one: a gap of a thousand
years is an error in the times."""


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
        ends = np.append(starts[1:], len(self.block.times))
        if self.fill == "zero":
            rows = (self.ordinals[ends - 1] - self.ordinals[starts]) // self.grid.step + 1
            self._refuse_far(int(rows.sum()) * len(self.block.columns))
        made = [
            [self._one(column, start, end) for column in range(len(self.block.columns))]
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
        times: list[pd.Index] = []
        for calendar, some in zip(self._calendars(starts, ends, made), made, strict=True):
            # the series of one calendar end together
            shared = {len(values): calendar[len(calendar) - len(values) :] for values, _ in some}
            times += [shared[len(values)] for values, _ in some]
        series = [one for some in made for one in some]
        values, observed = zip(*series, strict=True)
        return GaplessSeries(self.block.ids, values, tuple(times), observed)

    def _refuse_far(self, cells: int) -> None:
        """Refuse zeros that would take far more memory than the table."""
        known = self.bad.size - int(np.count_nonzero(self.bad))
        if cells > max(FILLED_LIMIT, FILLED_SHARE * known):
            raise TableError(
                f"filling with zeros would turn {known:,} values into {cells:,} (frequency {self.grid.alias}); correct "
                "the times, resample to a longer step, or set data.fill to another value"
            )

    def _calendars(
        self, starts: np.ndarray, ends: np.ndarray, made: list[list[tuple[np.ndarray, np.ndarray]]]
    ) -> list[pd.Index]:
        """Timestamps of the longest series of each span of rows."""
        lengths = np.array([max(len(values) for values, _ in some) for some in made])
        first = self.ordinals[ends - 1] - self.grid.step * (lengths - 1)
        stops = np.cumsum(lengths)
        within = np.arange(int(lengths.sum())) - np.repeat(stops - lengths, lengths)
        like = self.block.times[np.repeat(usual_rows(self.block.times, starts), lengths)]
        stamps = self.grid.stamps(np.repeat(first, lengths) + self.grid.step * within, like)
        return [stamps[stop - length : stop] for stop, length in zip(stops.tolist(), lengths.tolist(), strict=True)]

    def _one(self, column: int, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Values and mask of observed values of one series.

        Filling with zeros covers all rows; otherwise the series starts at its first known value.
        """
        known = np.flatnonzero(~self.bad[column, start:end]) + start
        at, values = self.ordinals[known], self.block.values[column, known]
        begin = int(self.ordinals[start] if self.fill == "zero" else at[0])
        length = int(self.ordinals[end - 1] - begin) // self.grid.step + 1
        self.cut += int(known[0] - start) if self.fill != "zero" else 0
        missing = length - len(known)
        if missing == 0:
            return values, np.ones(length, dtype=bool)
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
            return np.interp(grid, at, values), observed  # after the last known value: that value
        if self.fill == "ffill":
            return values[np.searchsorted(at, grid, side="right") - 1], observed
        filled = np.zeros(length)
        filled[observed] = values
        return filled, observed

    def notes(self) -> list[str]:
        """Describe the changes for the user."""
        notes = []
        if self.filled:
            note = f"filled {self.filled} values in {self.touched} series ({self.fill})"
            if self.fill == "zero":
                note += (
                    "; they count as not observed: if they are values to be forecast, write the zeros into the table"
                )
            notes.append(note)
        if self.cut:
            notes.append(f"removed {self.cut} missing values before the first known value")
        return notes
