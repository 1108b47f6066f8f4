"""From a table to the scaled windows of its train, validation and test parts."""

from dataclasses import dataclass

import numpy as np

from swt_time.data.scaling import Scaler, fit_scaler
from swt_time.data.series import SeriesTable
from swt_time.data.windows import (
    FlatSeries,
    Part,
    WindowIndex,
    flatten,
    gather,
    shorten_train,
    split_borders,
)
from swt_time.errors import TableError

FARTHEST = 1e15
"""Most deviations from the mean: squares of such values, summed over many windows, still fit into single precision."""


@dataclass(frozen=True)
class PartWindows:
    """All windows of one part, by number; ``len`` of them."""

    series: FlatSeries
    windows: WindowIndex
    table: SeriesTable
    scaler: Scaler
    train_rows: tuple[int, ...]
    """Rows of each series that are for training, all of which the scaler has seen."""

    def __len__(self) -> int:
        return self.windows.total

    def gather(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Contexts (B, T) and targets (B, H), float32, scaled."""
        return gather(self.series, self.windows.pairs(numbers), self.windows.context, self.windows.horizon)

    def unscaled_targets(self, numbers: np.ndarray) -> np.ndarray:
        """Targets (B, H) in the table's own units, float64."""
        first = self.windows.context
        rows = slice(first, first + self.windows.horizon)
        return np.stack([self.table.values[i][start:][rows] for i, start in self.windows.pairs(numbers)])

    def series_of(self, numbers: np.ndarray) -> np.ndarray:
        """Which series each window belongs to, (B,) int64."""
        return self.windows.pairs(numbers)[:, 0]


@dataclass(frozen=True)
class Parts:
    """A table split and scaled; the scaler has seen train rows only."""

    table: SeriesTable
    scaler: Scaler
    train: PartWindows
    validation: PartWindows
    test: PartWindows

    def part(self, part: Part) -> PartWindows:
        """A part by its name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]


def split_table(table: SeriesTable, split: str, context: int, horizon: int, *, train_fraction: float = 1.0) -> Parts:
    """Split each series in time, fit the scaler on train rows, and number the windows.

    A part may turn out to hold no window; `swt_time.data.windows.plan_split` refuses such a plan beforehand.

    Parameters
    ----------
    table : SeriesTable
    split : str
        See `swt_time.data.windows.split_borders`.
    context, horizon : int
        ``T`` and ``H``.
    train_fraction : float
        Share of the train windows that is kept; the scaler is fitted on the whole train part all the same.
    """
    borders = [split_borders(len(values), split) for values in table.values]
    train_rows = tuple(b.train[1] for b in borders)
    scaler = fit_scaler(table.values, train_rows)
    scaled = scaler.apply(table.values)
    for number, values in enumerate(scaled):
        refuse_far(table, number, values)
    flat = flatten(scaled)
    shortened = [shorten_train(b, context, train_fraction) for b in borders]

    def windows(part: Part) -> PartWindows:
        return PartWindows(flat, WindowIndex(shortened, part, context, horizon), table, scaler, train_rows)

    return Parts(table, scaler, windows("train"), windows("validation"), windows("test"))


def refuse_far(table: SeriesTable, number: int, scaled: np.ndarray, first: int = 0) -> None:
    """Refuse scaled values that single precision cannot compute with.

    Parameters
    ----------
    table : SeriesTable
    number : int
        Of the series that the values belong to.
    scaled : (n,) array
        Its values from row ``first`` on, in deviations from the mean.

    Raises
    ------
    TableError
        With the series and the time of the first such value.
    """
    far = ~(np.abs(scaled) <= FARTHEST)
    if far.any():
        i = first + int(np.argmax(far))
        raise TableError(
            f"series {table.ids[number]!r} at {table.times[number][i]}: the value {table.values[number][i]:g} lies "
            f"{abs(scaled[i - first]):.0e} standard deviations from the mean of the training rows; expected at most "
            f"{FARTHEST:.0e}: correct it, or begin the table after it"
        )
