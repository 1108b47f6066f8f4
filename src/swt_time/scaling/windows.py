"""Scaled windows of the series of a Parquet folder, of which a few buckets and a sample are in memory at a time.

The rows are read twice: once to find the length, the scale and the sums of each series, once for the windows of an even
sample, by which the form of the closed form is chosen. Only where windows are weighted or values are missing, when the
sums are those of a larger sample, are they read again.

Series are in the order of their ids, as in a table that is read whole, so windows have the same indices as there.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from swt_time.config import Config
from swt_time.data.frequency import season_length
from swt_time.data.ids import check_alike
from swt_time.data.origins import known_values
from swt_time.data.parquet_folder import Bucket
from swt_time.data.parts import Parts, split_table
from swt_time.data.scaling import Scaler
from swt_time.data.series import SeriesTable, read_series, series_sha256
from swt_time.data.splits import Part, series_borders, shorten_train
from swt_time.data.windows import WindowIndex, evenly
from swt_time.errors import SWTTimeWarning, TableError
from swt_time.intervals import reach
from swt_time.machine import one_thread
from swt_time.model.closed_form.lags import LaggedSums
from swt_time.model.closed_form.moments import Moments
from swt_time.model.closed_form.solving import MOST_WINDOWS

Report = Callable[[int, int], None]
PARTS: tuple[Part, ...] = ("train", "validation")


@dataclass(frozen=True)
class FolderSeries:
    """The series of a folder, without their rows.

    Attributes
    ----------
    config : Config
        With the frequency of the table.
    buckets : sequence of Bucket
    table : SeriesTable
        ``N`` series with their ids, in ascending order, and no rows.
    lengths : (N,) int array
    scaler : Scaler
    place : (N, 2) int array
        The bucket of each series, and its index in the table of the bucket.
    sums : mapping
        Sums over all windows of a part, see `swt_time.model.closed_form.lags.SummedWindows`.
    sha256 : str
        Hash of the series of all buckets.
    """

    config: Config
    buckets: Sequence[Bucket]
    table: SeriesTable
    lengths: np.ndarray
    scaler: Scaler
    place: np.ndarray
    sums: Mapping[Part, Moments | None]
    sha256: str

    @property
    def season(self) -> int:
        """Rows of a season."""
        return season_length(self.table.frequency)

    def windows(self, part: Part) -> "FolderWindows":
        """Return the windows of a part."""
        data, pad = self.config.data, self.config.short == "pad"
        borders = series_borders(self.lengths, data.split, pad=pad)
        shortened = [shorten_train(one, data.steps, data.train_fraction) for one in borders]
        return FolderWindows(self, part, WindowIndex(shortened, part, data.steps, data.horizon, pad=pad))

    def read(self, numbers: Sequence[int]) -> Iterator[tuple[int, Parts]]:
        """Read some buckets again, one after another."""
        for number in numbers:
            yield number, _split(_read(self.buckets[number], self.config), self.config)


class FolderWindows:
    """Windows of a part of the series of a folder; implements `swt_time.data.windows.Windows`.

    Parameters
    ----------
    series : FolderSeries
    part : {"train", "validation"}
    windows : WindowIndex
    """

    def __init__(self, series: FolderSeries, part: Part, windows: WindowIndex) -> None:
        self.series, self.part, self.windows = series, part, windows
        width = windows.context + windows.horizon
        self._held, self._rows = np.empty(0, dtype=np.int64), np.empty((0, width), dtype=np.float32)

    def __len__(self) -> int:
        return self.windows.total

    @property
    def season(self) -> int:
        """Rows of a season."""
        return self.series.season

    def places(self, indices: np.ndarray) -> np.ndarray:
        """Series index and first context row of each window, (B, 2) int64."""
        return self.windows.pairs(indices)

    def summed(self) -> Moments | None:
        """Second moments of all windows, if no value was missing."""
        return self.series.sums[self.part]

    def gather(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Contexts and targets of windows, as `swt_time.data.parts.PartWindows.gather`.

        Windows that are not in memory are read with an even sample of all, which the sums over windows that are
        weighted, or with missing values, run over.
        """
        indices = np.asarray(indices, dtype=np.int64)
        if not np.isin(indices, self._held).all():
            hold({self: np.union1d(indices, evenly(len(self), MOST_WINDOWS))})
        rows = self._rows[np.searchsorted(self._held, indices)]
        return rows[:, : self.windows.context], rows[:, self.windows.context :]

    def keep(self, indices: np.ndarray) -> "_Kept":
        """Prepare to hold some windows, and those that are held."""
        self._held = np.union1d(self._held, indices)
        self._rows = np.empty((len(self._held), self._rows.shape[1]), dtype=np.float32)
        return _Kept(self.windows.pairs(self._held), self._rows)


@dataclass(frozen=True)
class _Kept:
    """Series and first row of windows, and their values, which are written as they are read."""

    pairs: np.ndarray
    rows: np.ndarray


def hold(samples: Mapping[FolderWindows, np.ndarray], origins: np.ndarray | None = None) -> dict[int, np.ndarray]:
    """Read windows of some parts into memory, and the values that were known before some forecast origins.

    Parameters
    ----------
    samples : mapping of FolderWindows to int array
        Indices of the windows of each part.
    origins : (M, 2) int array, optional
        Series index and known rows.

    Returns
    -------
    dict of int to array
        The known values by the index of the origin, as far back as intervals depend on them.
    """
    kept = {windows: windows.keep(indices) for windows, indices in samples.items()}
    series = next(iter(samples)).series
    origins = np.empty((0, 2), dtype=np.int64) if origins is None else origins
    needed = [series.place[one.pairs[:, 0], 0] for one in kept.values()] + [series.place[origins[:, 0], 0]]
    histories: dict[int, np.ndarray] = {}
    for number, parts in series.read(np.unique(np.concatenate(needed)).tolist()):
        for windows, one in kept.items():
            here = np.flatnonzero(series.place[one.pairs[:, 0], 0] == number)
            local = parts.part(windows.part)
            index = series.place[one.pairs[here, 0], 1]
            before = np.cumsum(local.windows.counts) - local.windows.counts
            context, target = local.gather(before[index] + one.pairs[here, 1] - local.windows.first[index])
            one.rows[here] = np.concatenate([context, target], axis=1)
        some = np.flatnonzero(series.place[origins[:, 0], 0] == number)
        pairs = np.stack([series.place[origins[some, 0], 1], origins[some, 1]], axis=1)
        for at, values in zip(some.tolist(), known_values(parts.table, pairs, reach(series.season)), strict=True):
            histories[at] = values.copy()  # not a view that keeps the bucket in memory
    return histories


@one_thread()
def survey(buckets: Sequence[Bucket], config: Config, report: Report = lambda done, total: None) -> FolderSeries:
    """Read all buckets once, for the lengths, the scales and the sums of their series.

    Raises
    ------
    TableError
        A bucket cannot be read as series, or two ids look alike.
    """
    data = config.data
    sums = {part: LaggedSums(data.steps, data.horizon) for part in PARTS}
    gapless = dict.fromkeys(PARTS, True)
    found: list[pd.DataFrame] = []
    digest, notes, first = hashlib.sha256(), dict[str, None](), None
    for number, bucket in enumerate(buckets):
        table = _read(bucket, config)
        if first is None:  # the frequency of a few series is not always found
            config, first = config.replace({"data.frequency": table.frequency}), table
        notes.update(dict.fromkeys(table.notes))
        digest.update(series_sha256(table).encode())
        parts = _split(table, config)
        for part in PARTS:
            runs = parts.part(part).runs()
            if runs is None:
                gapless[part] = False
            else:
                sums[part].add(runs)
        columns = {"id": table.ids, "rows": table.lengths, "mean": parts.scaler.mean, "std": parts.scaler.std}
        found.append(pd.DataFrame({**columns, "bucket": number, "index": np.arange(len(table.ids))}))
        report(number + 1, len(buckets))
    assert first is not None, "a folder has a bucket"
    whole = pd.concat(found).sort_values("id", kind="stable")
    names, alike = whole["id"].tolist(), list[str]()
    check_alike(names, alike)
    for note in [*notes, *alike][:SHOWN_NOTES]:
        warnings.warn(note, SWTTimeWarning, stacklevel=3)
    if len(set(names)) < len(names):
        raise TableError(
            f"the id {whole['id'][whole['id'].duplicated()].iloc[0]!r} occurs in two types; make them equal"
        )
    empty = np.empty(0)
    return FolderSeries(
        config,
        buckets,
        SeriesTable(
            tuple(names),
            (empty,) * len(names),
            (first.times[0][:0],) * len(names),
            first.frequency,
            first.layout,
            first.id_columns,
            first.time_column,
            first.value_column,
            observed=(empty.astype(bool),) * len(names),
            fill=first.fill,
        ),
        whole["rows"].to_numpy(np.int64),
        Scaler(whole["mean"].to_numpy(np.float64), whole["std"].to_numpy(np.float64)),
        whole[["bucket", "index"]].to_numpy(np.int64),
        {part: sums[part].moments() if gapless[part] else None for part in PARTS},
        digest.hexdigest(),
    )


SHOWN_NOTES = 5
"""Notes on the tables of buckets that are shown."""


def _read(bucket: Bucket, config: Config) -> SeriesTable:
    table = read_series(bucket.read(config.data.memory_limit), config.data)
    if table.layout != "long":
        raise TableError(f"{bucket.described}: expected a long table with a column of ids")
    return table


def _split(table: SeriesTable, config: Config) -> Parts:
    data = config.data
    pad = config.short == "pad"
    return split_table(table, data.split, data.steps, data.horizon, train_fraction=data.train_fraction, pad=pad)
