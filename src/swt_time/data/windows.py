"""The one place for split and window arithmetic. Pure NumPy.

Shapes: ``B`` windows in a batch, ``T`` context, ``H`` horizon, ``N`` series.

A series of ``n`` rows is cut into three parts in time: train, validation, test. A window's ``H`` target
rows lie inside one part; its ``T`` context rows may reach back across the border (the standard protocol of
Informer and its successors), so targets of different parts never meet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np

from swt_time.errors import ConfigError, TableError

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")

MONTH = 30 * 24
"""Rows of a month of 30 days in an hourly table."""

ETT_ROWS = {
    "etth": (12 * MONTH, 4 * MONTH, 4 * MONTH),
    "ettm": (4 * 12 * MONTH, 4 * 4 * MONTH, 4 * 4 * MONTH),
}
"""Rows of train, validation and test in the ETT benchmarks; rows beyond are unused there."""


@dataclass(frozen=True)
class Borders:
    """Target rows of each part of a series: ``start <= row < stop``."""

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]

    def part(self, part: Part) -> tuple[int, int]:
        """Target rows of a part by its name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]


def parse_split(split: str) -> tuple[float, float, float] | None:
    """Shares of a split such as ``0.7/0.1/0.2``; None for the named splits.

    Raises
    ------
    ConfigError
        If it is neither a name nor three shares that add up to 1.
    """
    if split in ("etth", "ettm", "none"):
        return None
    try:
        shares = tuple(float(share) for share in split.split("/"))
    except ValueError:
        shares = ()
    fits = len(shares) == 3 and all(0 <= share <= 1 for share in shares) and abs(sum(shares) - 1) < 1e-9
    if not fits or shares[0] == 0:
        raise ConfigError(
            f"split {split!r} is unknown; expected etth, ettm, none, or shares of train, validation and test "
            "that add up to 1, such as 0.7/0.1/0.2"
        )
    return shares[0], shares[1], shares[2]


def split_borders(n_rows: int, split: str) -> Borders:
    """Borders of the parts of one series.

    Parameters
    ----------
    n_rows : int
        Length of the series.
    split : str
        ``etth`` or ``ettm``: 12, 4 and 4 months of 30 days of hours or quarter hours. ``a/b/c``: shares,
        rounded as the field does (Informer's ``Dataset_Custom``): ``int(n * a)`` rows for train, ``int(n *
        c)`` for test, the rest for validation. ``none``: everything is train.

    Raises
    ------
    ConfigError
        If the split is unknown.
    TableError
        If the series is shorter than a fixed split demands.
    """
    shares = parse_split(split)
    if split == "none":
        return Borders((0, n_rows), (n_rows, n_rows), (n_rows, n_rows))
    if shares is None:
        train, validation, test = ETT_ROWS[split]
        if n_rows < train + validation + test:
            raise TableError(
                f"split {split!r} needs at least {train + validation + test} rows, the series has {n_rows}; "
                "use shares such as 0.7/0.1/0.2"
            )
    else:
        test = int(n_rows * shares[2])
        train = int(n_rows * shares[0]) if shares[1] > 0 else n_rows - test
        validation = n_rows - train - test
    return Borders((0, train), (train, train + validation), (train + validation, train + validation + test))


def shorten_train(borders: Borders, context: int, fraction: float) -> Borders:
    """Few-shot training: keep the first ``fraction`` of the train windows' span.

    The convention of Time-LLM's ``percent``: ``(train - context) * percent // 100 + context`` rows remain,
    and the scaler is still fitted on the whole train part.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"train fraction {fraction} is out of range; expected 0 < fraction <= 1")
    start, stop = borders.train
    if stop - start <= context:
        return borders
    kept = int((stop - start - context) * Fraction(repr(float(fraction)))) + context
    return Borders((start, start + kept), borders.validation, borders.test)


def plan_split(lengths: Sequence[int] | np.ndarray, split: str, context: int, horizon: int) -> list[Borders]:
    """Borders of every series, after making sure that each part of the split has a window.

    A series that is too short contributes no windows; there must be windows from the others.

    Raises
    ------
    TableError
        If a part would have no window; the message gives the smallest length that would work.
    """
    needed = smallest_length(split, context, horizon)
    borders = [split_borders(int(rows), split) for rows in lengths]
    for part in filled_parts(split):
        if WindowIndex(borders, part, context, horizon).total == 0:
            raise TableError(
                f"too few rows: split {split!r} with context {context} and horizon {horizon} needs a "
                f"series of at least {needed} rows, the longest has {max(map(int, lengths), default=0)}; "
                "give more rows, or choose a shorter context or horizon"
            )
    return borders


def smallest_length(split: str, context: int, horizon: int) -> int:
    """Fewest rows of a series that has at least one window in every part that the split fills.

    Raises
    ------
    ConfigError
        If the split has a fixed length and the windows do not fit into it.
    """
    shares = parse_split(split)
    if shares is None and split != "none":
        rows = sum(ETT_ROWS[split])
        if not _has_windows(rows, split, context, horizon):
            raise ConfigError(
                f"context {context} and horizon {horizon} do not fit into the parts of split {split!r} "
                f"({'/'.join(map(str, ETT_ROWS[split]))} rows); choose shorter ones"
            )
        return rows
    rows = context + horizon
    if shares is not None:
        # a part has at most two rows more than its share, by rounding
        rows = max(rows, int((rows - 2) / shares[0]))
        rows = max(rows, *(int((horizon - 2) / share) for share in shares if share > 0))
    while not _has_windows(rows, split, context, horizon):
        rows += 1
    return rows


def filled_parts(split: str) -> tuple[Part, ...]:
    """The parts that a split gives rows to."""
    if split == "none":
        return ("train",)
    shares = parse_split(split) or (1, 1, 1)
    return tuple(part for part, share in zip(PARTS, shares, strict=True) if share > 0)


def _has_windows(rows: int, split: str, context: int, horizon: int) -> bool:
    borders = [split_borders(rows, split)]
    return all(WindowIndex(borders, part, context, horizon).total for part in filled_parts(split))


class Windows(Protocol):
    """Windows of one part of a table, by index; ``len`` of them. What training and the closed form read."""

    def __len__(self) -> int: ...

    def gather(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Contexts (M, T) and targets (M, H), float32, scaled, of the windows with these indices (M,)."""
        ...


class WindowIndex:
    """All windows of one part of a set of series; every window, none dropped.

    Only the first window and the number of windows of each series are stored; window numbers run through the
    series one after the other.

    Parameters
    ----------
    borders : sequence of Borders
        One for each of ``N`` series; a series that is too short contributes no windows.
    part : {"train", "validation", "test"}
    context, horizon : int
        ``T`` and ``H``.
    stride : int
        Rows between the starts of neighbouring windows.
    """

    def __init__(self, borders: Sequence[Borders], part: Part, context: int, horizon: int, *, stride: int = 1) -> None:
        if min(context, horizon, stride) < 1:
            raise ConfigError(f"context {context}, horizon {horizon} and stride {stride} must be at least 1")
        spans = np.array([border.part(part) for border in borders], dtype=np.int64).reshape(-1, 2)
        self.context, self.horizon, self.stride = context, horizon, stride
        self.first = np.maximum(spans[:, 0] - context, 0)
        last = spans[:, 1] - horizon - context
        self.counts = np.maximum((last - self.first) // stride + 1, 0)
        self._ends = np.cumsum(self.counts)

    @property
    def total(self) -> int:
        """Number of windows over all series."""
        return int(self.counts.sum())

    def pairs(self, numbers: np.ndarray | None = None) -> np.ndarray:
        """Series and first context row of windows.

        Parameters
        ----------
        numbers : (B,) int array, optional
            Window numbers from 0 to ``total - 1``; default all.

        Returns
        -------
        (B, 2) int64 array
        """
        numbers = np.arange(self.total) if numbers is None else np.asarray(numbers, dtype=np.int64)
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < self.total):
            raise IndexError(f"window numbers run from 0 to {self.total - 1}")
        series = np.searchsorted(self._ends, numbers, side="right")
        before = self._ends[series] - self.counts[series]
        return np.stack([series, self.first[series] + (numbers - before) * self.stride], axis=1)


@dataclass(frozen=True)
class FlatSeries:
    """Series of unequal length end to end in one float32 array; series ``i`` begins at ``offsets[i]``."""

    flat: np.ndarray
    offsets: np.ndarray


def flatten(values: Sequence[np.ndarray]) -> FlatSeries:
    """Join series for ``gather``.

    Raises
    ------
    TableError
        If a value does not fit into single precision: scale first.
    """
    lengths = np.array([len(one) for one in values], dtype=np.int64)
    with np.errstate(over="ignore"):
        flat = np.concatenate(values).astype(np.float32)
    if not np.isfinite(flat).all():
        raise TableError("values beyond 3.4e38 do not fit into single precision; scale the table")
    return FlatSeries(flat, np.cumsum(lengths) - lengths)


def gather(series: FlatSeries, pairs: np.ndarray, context: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Contexts and targets of windows by one indexing operation.

    Parameters
    ----------
    series : FlatSeries
    pairs : (B, 2) int array
        See ``Windows.pairs``.
    context, horizon : int
        ``T`` and ``H``.

    Returns
    -------
    context : (B, T) float32 array
    target : (B, H) float32 array
    """
    begin = series.offsets[pairs[:, 0]] + pairs[:, 1]
    both = series.flat[begin[:, None] + np.arange(context + horizon)]
    return both[:, :context], both[:, context:]


def evenly(total: int, most: int) -> np.ndarray:
    """Numbers of at most ``most`` of ``total`` windows, evenly spread, first and last among them; int64."""
    return np.linspace(0, total - 1, min(total, most)).round().astype(np.int64)


def rolling_origins(n_rows: int, horizon: int, windows: int, step: int | None = None, context: int = 1) -> np.ndarray:
    """Cutoffs of a rolling-origin evaluation, the last one ``horizon`` rows before the end.

    Parameters
    ----------
    n_rows : int
    horizon : int
    windows : int
        Number of cutoffs.
    step : int, optional
        Rows between cutoffs; default ``horizon``.
    context : int
        Fewest rows that must be known at the first cutoff.

    Returns
    -------
    (windows,) int64 array
        Rows known at each cutoff, ascending: row ``origin`` is the first one to forecast.

    Raises
    ------
    TableError
        If the series is too short; the message gives the smallest length that would work.
    """
    step = horizon if step is None else step
    if min(horizon, windows, step) < 1:
        raise ConfigError(f"horizon {horizon}, windows {windows} and step {step} must be at least 1")
    needed = context + horizon + (windows - 1) * step
    if n_rows < needed:
        raise TableError(f"{windows} windows need at least {needed} rows, the series has {n_rows}; ask for fewer")
    return n_rows - horizon - step * np.arange(windows - 1, -1, -1, dtype=np.int64)


class ShuffledBatches:
    """Batches of window numbers in an order that is a function of seed and epoch alone.

    So the position ``(epoch, step)`` is all the state there is. The bit stream is Philox's, which NumPy
    promises to keep across releases (NEP 19).

    Parameters
    ----------
    total : int
        Number of windows.
    batch_size : int
        The last batch of an epoch may be smaller.
    seed : int
    """

    def __init__(self, total: int, batch_size: int, seed: int) -> None:
        if total < 1 or batch_size < 1 or seed < 0:
            raise ConfigError(f"expected windows, batch size >= 1 and seed >= 0, got {total}, {batch_size}, {seed}")
        self.total, self.batch_size, self.seed = total, batch_size, seed
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        """Steps of an epoch."""
        return -(-self.total // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """Window numbers of an epoch in their order, ``(total,)`` int64."""
        if epoch != self._epoch:
            bits = np.random.Philox(np.random.SeedSequence([self.seed, epoch])).random_raw(self.total)
            self._order, self._epoch = np.argsort(bits, kind="stable"), epoch
        return self._order

    def batch(self, epoch: int, step: int) -> np.ndarray:
        """Window numbers of one batch, ``(B,)`` int64."""
        if not 0 <= step < len(self):
            raise IndexError(f"an epoch has steps 0 to {len(self) - 1}, asked for {step}")
        return self.order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]

    def from_position(self, epoch: int, step: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """``(epoch, step, window numbers)`` from a position on, without end."""
        while True:
            if step >= len(self):
                epoch, step = epoch + 1, 0
            yield epoch, step, self.batch(epoch, step)
            step += 1
