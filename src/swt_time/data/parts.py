"""Scaled windows of the train, validation and test parts of a table."""

from dataclasses import dataclass

import numpy as np

from swt_time.data.frequency import season_length
from swt_time.data.gathering import FlatSeries, flatten, gather
from swt_time.data.scaling import Scaler, fit_scaler
from swt_time.data.series import SeriesTable
from swt_time.data.splits import Borders, Part, series_borders, shorten_train
from swt_time.data.windows import WindowIndex
from swt_time.errors import TableError

FARTHEST = 1e15
"""Largest scaled value, in standard deviations: sums of squares of such values over many windows fit into float32."""


@dataclass(frozen=True)
class PartWindows:
    """The windows of one part, by index; implements `swt_time.data.windows.Windows`."""

    series: FlatSeries
    windows: WindowIndex
    table: SeriesTable
    scaler: Scaler
    train_rows: tuple[int, ...]
    """Number of training rows of each series; the scaler is fitted on all of them."""

    def __len__(self) -> int:
        return self.windows.total

    def gather(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return contexts (B, T) and targets (B, H), float32, scaled.

        They are NaN before the start of a series, and where a target was not observed.
        """
        context, target = self.gather_exactly(indices)
        return context.astype(np.float32), target.astype(np.float32)

    def gather_exactly(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `gather`, but float64."""
        pairs = self.windows.pairs(indices)
        context, target = gather(self.series, pairs, self.windows.context, self.windows.horizon)
        if self.windows.pad:
            steps = pairs[:, 1:] + self.windows.context + np.arange(self.windows.horizon)
            target = np.where(steps < self.windows.stops[pairs[:, :1]], target, np.nan)
        return context, target

    def places(self, indices: np.ndarray) -> np.ndarray:
        """Series index and first context row of each window, (B, 2) int64."""
        return self.windows.pairs(indices)

    def runs(self) -> list[np.ndarray] | None:
        """Return the scaled rows that the windows of each series cover, float64; None if some value was not observed.

        A window that begins before its series, or ends after its part, is not such rows.
        """
        series, windows = self.series, self.windows
        if series.observed is not None or windows.stride > 1 or windows.padded:
            return None
        more = windows.context + windows.horizon - 1
        begins = (series.offsets + windows.first).tolist()
        return [series.flat[i : i + n + more] for i, n in zip(begins, windows.counts.tolist(), strict=True) if n]

    @property
    def season(self) -> int:
        """Rows of a season of the table's frequency; 1 if it has none."""
        return season_length(self.table.frequency)

    def contexts(self, indices: np.ndarray, history: int = 0) -> np.ndarray:
        """Scaled contexts in double precision, or the ``history`` values before the targets if that is longer.

        Returns
        -------
        (B, max(T, history)) float64 array
            NaN before the start of a series.
        """
        pairs, length = self.windows.pairs(indices), max(self.windows.context, history)
        return gather(self.series, pairs - [0, length - self.windows.context], length, 0)[0]

    def unscaled_targets(self, indices: np.ndarray) -> np.ndarray:
        """Targets (B, H) in the units of the table, float64; NaN where nothing was observed."""
        table, horizon = self.table, self.windows.horizon
        targets = self.windows.pairs(indices) + np.array([0, self.windows.context])
        spans = [(i, slice(row, row + horizon)) for i, row in targets]
        values = np.stack([table.values[i][rows] for i, rows in spans])
        if self.series.observed is None:
            return values
        return np.where(np.stack([table.observed[i][rows] for i, rows in spans]), values, np.nan)

    def series_of(self, indices: np.ndarray) -> np.ndarray:
        """Series index of each window, (B,) int64."""
        return self.windows.pairs(indices)[:, 0]


@dataclass(frozen=True)
class Parts:
    """A table, split and scaled; the scaler is fitted on train rows only."""

    table: SeriesTable
    scaler: Scaler
    train: PartWindows
    validation: PartWindows
    test: PartWindows

    def part(self, part: Part) -> PartWindows:
        """Return a part by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]


@dataclass(frozen=True)
class ScaledTable:
    """A table that is split in time and scaled, of which contexts of several lengths can be tried."""

    table: SeriesTable
    borders: tuple[Borders, ...]
    scaler: Scaler
    series: FlatSeries
    pad: bool

    def parts(self, context: int, horizon: int, train_fraction: float = 1.0) -> Parts:
        """Index the windows; see `split_table`."""
        shortened = [shorten_train(b, context, train_fraction) for b in self.borders]
        train_rows = tuple(b.train[1] for b in self.borders)

        def windows(part: Part) -> PartWindows:
            index = WindowIndex(shortened, part, context, horizon, pad=self.pad)
            return PartWindows(self.series, index, self.table, self.scaler, train_rows)

        return Parts(self.table, self.scaler, windows("train"), windows("validation"), windows("test"))


def scale_table(table: SeriesTable, split: str, *, pad: bool = False) -> ScaledTable:
    """Split each series in time and scale it; see `split_table`."""
    borders = tuple(series_borders(table.lengths, split, pad=pad))
    scaler = fit_scaler(table.values, [b.train[1] for b in borders], table.observed)
    scaled = scaler.apply(table.values)
    for index, values in enumerate(scaled):
        refuse_far(table, index, values)
    return ScaledTable(table, borders, scaler, flatten(scaled, table.observed, hold=table.fill == "linear"), pad)


def split_table(
    table: SeriesTable, split: str, context: int, horizon: int, *, train_fraction: float = 1.0, pad: bool = False
) -> Parts:
    """Split each series in time, fit the scaler on the train rows, and index the windows.

    Parts may be empty; call `swt_time.data.windows.plan_split` first to refuse such a split.

    Parameters
    ----------
    table : SeriesTable
    split : str
        See `swt_time.data.splits.split_borders`.
    context, horizon : int
        ``T`` and ``H``.
    train_fraction : float
        Share of the train windows to keep; the scaler is always fitted on the whole train part.
    pad : bool
        Whether series that are too short have padded windows; see `swt_time.data.windows.WindowIndex`.

    Raises
    ------
    ConfigError
        If ``split`` is unknown or ``train_fraction`` is out of range.
    TableError
        If a series is too short for the split, or a value is too large after scaling (see `refuse_far`).
    """
    return scale_table(table, split, pad=pad).parts(context, horizon, train_fraction)


def refuse_far(table: SeriesTable, index: int, scaled: np.ndarray, first: int = 0) -> None:
    """Refuse scaled values that are too large for float32 arithmetic.

    Parameters
    ----------
    table : SeriesTable
    index : int
        Index of the series.
    scaled : (n,) array
        Scaled values of the series from row ``first`` on.
    first : int

    Raises
    ------
    TableError
        If a value is more than `FARTHEST` standard deviations from the mean; names its series and time.
    """
    if len(scaled) and not max(scaled.max(), -scaled.min()) <= FARTHEST:
        far = ~(np.abs(scaled) <= FARTHEST)
        i = first + int(np.argmax(far))
        raise TableError(
            f"series {table.ids[index]!r} at {table.times[index][i]}: the value {table.values[index][i]:g} lies "
            f"{abs(scaled[i - first]):.0e} standard deviations from the mean of the training rows; expected at most "
            f"{FARTHEST:.0e}: correct it, or start the table after it"
        )
