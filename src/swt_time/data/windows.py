"""Splits, window indices and batches. Pure NumPy.

All split and window arithmetic of the package is here. Shapes: ``B`` windows in a batch, ``T`` context, ``H`` horizon,
``N`` series.

Each series is split in time into a train, a validation and a test part. The ``H`` target rows of a window lie inside
one part; its ``T`` context rows may extend into earlier parts, as in the protocol of Informer and its successors.
Targets of different parts never overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol, runtime_checkable

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
"""Rows of the train, validation and test parts in the ETT benchmarks, which leave the remaining rows unused."""


@dataclass(frozen=True)
class Borders:
    """Target rows of each part of one series, as ``(start, stop)``: ``start <= row < stop``."""

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]

    def part(self, part: Part) -> tuple[int, int]:
        """Return the target rows of a part by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]


SMALLEST_SHARE = 1e-4
"""Smallest share of a part that has rows; the time to find the smallest sufficient table grows with its inverse."""


def parse_split(split: str) -> tuple[float, float, float] | None:
    """Parse the shares of a split such as ``0.7/0.1/0.2``; return None for the named splits.

    Raises
    ------
    ConfigError
        If ``split`` is neither a known name nor three shares that add up to 1 with a positive train share.

    Examples
    --------
    >>> parse_split("0.7/0.1/0.2")
    (0.7, 0.1, 0.2)
    """
    if split in ("etth", "ettm", "none"):
        return None
    try:
        shares = tuple(float(share) for share in split.split("/"))
    except ValueError:
        shares = ()
    fits = len(shares) == 3 and all(0 <= share <= 1 for share in shares) and abs(sum(shares) - 1) < 1e-9
    if not fits or shares[0] == 0 or any(0 < share < SMALLEST_SHARE for share in shares):
        raise ConfigError(
            f"data.split {split!r} is unknown; expected etth, ettm, none, or shares of train, validation and test "
            f"that add up to 1, such as 0.7/0.1/0.2, each of them 0 or at least {SMALLEST_SHARE}"
        )
    return shares[0], shares[1], shares[2]


def split_borders(n_rows: int, split: str) -> Borders:
    """Compute the borders of the parts of one series.

    Parameters
    ----------
    n_rows : int
        Length of the series.
    split : str
        ``etth`` or ``ettm``: 12, 4 and 4 months of 30 days, in hours or quarter hours. ``a/b/c``: shares, rounded as in
        Informer's ``Dataset_Custom``: ``int(n * a)`` train rows, ``int(n * c)`` test rows, the rest validation.
        ``none``: all rows are train rows.

    Raises
    ------
    ConfigError
        If the split is unknown.
    TableError
        If the series is too short for ``etth`` or ``ettm``.

    Examples
    --------
    >>> split_borders(100, "0.6/0.2/0.2")
    Borders(train=(0, 60), validation=(60, 80), test=(80, 100))
    """
    shares = parse_split(split)
    if split == "none":
        return Borders((0, n_rows), (n_rows, n_rows), (n_rows, n_rows))
    if shares is None:
        train, validation, test = ETT_ROWS[split]
        if n_rows < train + validation + test:
            raise TableError(
                f"data.split {split!r} needs at least {train + validation + test} rows, the series has {n_rows}; "
                "use shares such as 0.7/0.1/0.2"
            )
    else:
        test = int(n_rows * shares[2])
        train = int(n_rows * shares[0]) if shares[1] > 0 else n_rows - test
        validation = n_rows - train - test
    return Borders((0, train), (train, train + validation), (train + validation, train + validation + test))


def shorten_train(borders: Borders, context: int, fraction: float) -> Borders:
    """Shorten the train part to its first ``fraction``, for few-shot training.

    As Time-LLM's ``percent``: ``(train - context) * percent // 100 + context`` rows remain. The scaler is still fitted
    on the whole train part.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"data.train_fraction {fraction} is out of range; expected 0 < fraction <= 1")
    start, stop = borders.train
    if stop - start <= context:
        return borders
    kept = int((stop - start - context) * Fraction(repr(float(fraction)))) + context
    return Borders((start, start + kept), borders.validation, borders.test)


def plan_split(lengths: Sequence[int] | np.ndarray, split: str, context: int, horizon: int) -> list[Borders]:
    """Compute the borders of all series and check that each part of the split has at least one window.

    Series that are too short contribute no windows.

    Raises
    ------
    ConfigError
        If the split is unknown, or the windows do not fit into a split of fixed length.
    TableError
        If a part has no window; the message gives the smallest sufficient length.
    """
    needed = smallest_length(split, context, horizon)
    borders = [split_borders(int(rows), split) for rows in lengths]
    for part in filled_parts(split):
        if WindowIndex(borders, part, context, horizon).total == 0:
            raise TableError(
                f"too few rows: data.split {split!r} with data.context {context} and data.horizon {horizon} needs a "
                f"series of at least {needed} rows, the longest has {max(map(int, lengths), default=0)}; "
                "provide more rows, or set data.context and data.split to auto"
            )
    return borders


def smallest_length(split: str, context: int, horizon: int) -> int:
    """Compute the smallest length of a series with at least one window in each part in `filled_parts`.

    Raises
    ------
    ConfigError
        If the windows do not fit into the parts of ``etth`` or ``ettm``.
    """
    shares = parse_split(split)
    if shares is None and split != "none":
        rows = sum(ETT_ROWS[split])
        if not _has_windows(rows, split, context, horizon):
            raise ConfigError(
                f"data.context {context} and data.horizon {horizon} do not fit into the parts of data.split {split!r} "
                f"({'/'.join(map(str, ETT_ROWS[split]))} rows); choose shorter ones"
            )
        return rows
    rows = context + horizon
    if shares is not None:
        # by rounding, a part has at most two rows more than its share
        rows = max(rows, int((rows - 2) / shares[0]))
        rows = max(rows, *(int((horizon - 2) / share) for share in shares if share > 0))
    while not _has_windows(rows, split, context, horizon):
        rows += 1
    return rows


def filled_parts(split: str) -> tuple[Part, ...]:
    """Return the parts that have rows under a split."""
    if split == "none":
        return ("train",)
    shares = parse_split(split) or (1, 1, 1)
    return tuple(part for part, share in zip(PARTS, shares, strict=True) if share > 0)


def _has_windows(rows: int, split: str, context: int, horizon: int) -> bool:
    borders = [split_borders(rows, split)]
    return all(WindowIndex(borders, part, context, horizon).total for part in filled_parts(split))


class Windows(Protocol):
    """Interface of the windows that a model is trained on: ``len(windows)`` windows, accessed by index."""

    @property
    def season(self) -> int:
        """Rows of a season; 1 if there is none."""
        ...

    def __len__(self) -> int: ...

    def places(self, indices: np.ndarray) -> np.ndarray:
        """Return series index and first context row of the windows with indices (M,), (M, 2)."""
        ...

    def gather(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return contexts (M, T) and targets (M, H), float32, scaled, of the windows with indices (M,)."""
        ...


@runtime_checkable
class ConsecutiveWindows(Windows, Protocol):
    """Windows that follow each other row by row, so that sums over them need not read each one."""

    def runs(self) -> list[np.ndarray] | None:
        """Return the scaled rows that the windows of each series cover; None if some value was not observed."""
        ...


class WindowIndex:
    """Index arithmetic of all windows of one part: maps a window index to its series and first row.

    Window indices run from 0 to ``total - 1``, series after series. Only the first window and the number of windows of
    each series are stored. No window is dropped.

    Parameters
    ----------
    borders : sequence of Borders
        One per series; a series that is too short contributes no windows.
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
        """Number of windows of all series."""
        return int(self.counts.sum())

    def pairs(self, indices: np.ndarray | None = None) -> np.ndarray:
        """Series index and first context row of windows.

        Parameters
        ----------
        indices : (B,) int array, optional
            Window indices; all windows by default.

        Returns
        -------
        (B, 2) int64 array

        Raises
        ------
        IndexError
            If an index is out of range.
        """
        indices = np.arange(self.total) if indices is None else np.asarray(indices, dtype=np.int64)
        if indices.size and not (indices.min() >= 0 and indices.max() < self.total):
            raise IndexError(f"window index out of range; expected 0 to {self.total - 1}")
        series = np.searchsorted(self._ends, indices, side="right")
        before = self._ends[series] - self.counts[series]
        return np.stack([series, self.first[series] + (indices - before) * self.stride], axis=1)


def evenly(total: int, most: int) -> np.ndarray:
    """Indices of at most ``most`` of ``total`` windows, evenly spaced from the first to the last, int64."""
    return np.linspace(0, total - 1, min(total, most)).round().astype(np.int64)


def rolling_origins(n_rows: int, horizon: int, windows: int, step: int | None = None, context: int = 1) -> np.ndarray:
    """Compute the cutoffs of a rolling-origin evaluation; the last one is ``horizon`` rows before the end.

    Parameters
    ----------
    n_rows : int
    horizon : int
    windows : int
        Number of cutoffs.
    step : int, optional
        Rows between cutoffs; ``horizon`` by default.
    context : int
        Minimum number of rows before the first cutoff.

    Returns
    -------
    (windows,) int64 array
        Number of known rows at each cutoff, ascending: row ``origin`` is the first one to forecast.

    Raises
    ------
    ConfigError
        If ``horizon``, ``windows`` or ``step`` is less than 1.
    TableError
        If the series is too short; the message gives the smallest sufficient length.

    Examples
    --------
    >>> rolling_origins(100, horizon=10, windows=3)
    array([70, 80, 90])
    """
    step = horizon if step is None else step
    if min(horizon, windows, step) < 1:
        raise ConfigError(f"horizon {horizon}, windows {windows} and step {step} must be at least 1")
    needed = context + horizon + (windows - 1) * step
    if n_rows < needed:
        raise TableError(f"{windows} windows need at least {needed} rows, the series has {n_rows}; use fewer windows")
    return n_rows - horizon - step * np.arange(windows - 1, -1, -1, dtype=np.int64)
