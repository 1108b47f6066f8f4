"""Filling of missing values: linear interpolation, the last value, or zero.

Interpolated and repeated values are no observations. A zero for a missing day is one: a day without sales is a value 0,
which is trained on and scored. A day is missing if its cell is empty, or if it has no row and lies between the first
row of its series and the last value of the whole table: a series of a long table whose rows begin later than others
begins later. An infinity is no day without sales: it is replaced, but not observed.
"""

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


def steps_to_the_end(last: np.ndarray, grid: Frequency | RowCount) -> np.ndarray:
    """Return the steps from the last row of each series, at ordinals ``last``, to that of the whole table.

    They are 0 if rows are counted, since then series share no calendar.
    """
    if isinstance(grid, RowCount):
        return np.zeros_like(last)
    return np.asarray((last.max() - last) // grid.step)


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
        self.filled = self.touched = self.cut = self.before = self.after = 0

    def series(self, starts: np.ndarray) -> GaplessSeries:
        """Return all series, filled; ``starts`` are the first rows of the series of a long table."""
        ends = np.append(starts[1:], len(self.block.times))
        last = self.ordinals[ends - 1]
        if self.fill == "zero":
            last = last + steps_to_the_end(last, self.grid) * self.grid.step
            rows = (last - self.ordinals[starts]) // self.grid.step + 1
            self._refuse_far(int(rows.sum()) * len(self.block.columns))
        made = [
            [self._one(column, *span) for column in range(len(self.block.columns))]
            for span in zip(starts.tolist(), ends.tolist(), last.tolist(), strict=True)
        ]
        times: list[pd.Index] = []
        for calendar, some in zip(self._calendars(starts, last, made), made, strict=True):
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
        self, starts: np.ndarray, last: np.ndarray, made: list[list[tuple[np.ndarray, np.ndarray]]]
    ) -> list[pd.Index]:
        """Timestamps of the longest series of each span of rows."""
        lengths = np.array([max(len(values) for values, _ in some) for some in made])
        first = last - self.grid.step * (lengths - 1)
        stops = np.cumsum(lengths)
        within = np.arange(int(lengths.sum())) - np.repeat(stops - lengths, lengths)
        like = self.block.times[np.repeat(usual_rows(self.block.times, starts), lengths)]
        stamps = self.grid.stamps(np.repeat(first, lengths) + self.grid.step * within, like)
        return [stamps[stop - length : stop] for stop, length in zip(stops.tolist(), lengths.tolist(), strict=True)]

    def _one(self, column: int, start: int, end: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Values and mask of observed values of one series up to the ordinal ``last``.

        Filling with zeros covers all rows; otherwise the series starts at its first known value.
        """
        known = np.flatnonzero(~self.bad[column, start:end]) + start
        at, values = self.ordinals[known], self.block.values[column, known]
        begin = int(self.ordinals[start] if self.fill == "zero" else at[0])
        length = (last - begin) // self.grid.step + 1
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
        self.before += int(at[0] - begin) // self.grid.step
        self.after += int(last - self.ordinals[end - 1]) // self.grid.step
        unusable = np.flatnonzero(self.bad[column, start:end] & ~np.isnan(self.block.values[column, start:end])) + start
        observed[:] = True
        observed[(self.ordinals[unusable] - begin) // self.grid.step] = False
        return filled, observed

    def notes(self) -> list[str]:
        """Describe the changes for the user."""
        notes = []
        if self.filled:
            note = f"filled {self.filled} values in {self.touched} series ({self.fill})"
            beyond = ((self.before, "before the first value of their series"), (self.after, "after its last row"))
            notes.append(note + "".join(f", {count} of them {where}" for count, where in beyond if count))
        if self.cut:
            notes.append(f"removed {self.cut} missing values before the first known value")
        return notes
