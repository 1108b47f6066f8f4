"""Windows of the parts of a table: their number, their indices, and their values. Pure NumPy.

All window arithmetic of the package is here. Shapes: ``B`` windows in a batch, ``T`` context, ``H`` horizon, ``N``
series. The ``H`` target rows of a window lie inside one part of its series (`swt_time.data.splits`).
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from swt_time.data.splits import ETT_ROWS, Borders, Part, filled_parts, parse_split, series_borders, split_borders
from swt_time.errors import ConfigError, TableError


def plan_split(
    lengths: Sequence[int] | np.ndarray, split: str, context: int, horizon: int, *, pad: bool = False
) -> list[Borders]:
    """Compute the borders of all series and check that each part of the split has at least one window.

    Series that are too short contribute no windows; with ``pad`` they do, see `WindowIndex`, and a validation or a test
    part may have none.

    Raises
    ------
    ConfigError
        If the split is unknown, or the windows do not fit into a split of fixed length.
    TableError
        If a part has no window; the message gives the smallest sufficient length.
    """
    needed = smallest_length(split, context, horizon)
    borders = series_borders(lengths, split, pad=pad)
    if pad and WindowIndex(borders, "train", context, horizon, pad=True).total:
        return borders
    for part in filled_parts(split):
        if WindowIndex(borders, part, context, horizon).total == 0:
            raise TableError(
                f"too few rows: data.split {split!r} with data.context {context} and data.horizon {horizon} needs a "
                f"series of at least {needed} rows, the longest has {max(map(int, lengths), default=0)}; "
                "provide more rows, set data.context and data.split to auto, or set data.short to pad"
            )
    return borders


def smallest_length(split: str, context: int, horizon: int) -> int:
    """Compute the length from which on every series has at least one window in each part in `filled_parts`.

    A shorter one may have them too: by ``0.7/0.1/0.2``, 60 rows have 6 for validation, but 54 rows have 7.

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
        # by rounding, a part has at most two rows less than its share
        rows = int((rows + 2) / shares[0]) + 1
        rows = max(rows, *(int((horizon + 2) / share) + 1 for share in shares if share > 0))
    while _has_windows(rows - 1, split, context, horizon):
        rows -= 1
    return rows


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
    pad : bool
        Whether a series without a whole window in the part has windows that begin before its start: with at least one
        row before the targets, in the train part at least half of them. Training targets may end after the part, where
        they count as not observed; those of the other parts lie inside it.
    """

    def __init__(
        self,
        borders: Sequence[Borders],
        part: Part,
        context: int,
        horizon: int,
        *,
        stride: int = 1,
        pad: bool = False,
    ) -> None:
        if min(context, horizon, stride) < 1:
            raise ConfigError(f"context {context}, horizon {horizon} and stride {stride} must be at least 1")
        spans = np.array([border.part(part) for border in borders], dtype=np.int64).reshape(-1, 2)
        self.context, self.horizon, self.stride = context, horizon, stride
        self.first = np.maximum(spans[:, 0] - context, 0)
        last = spans[:, 1] - horizon - context
        self.counts = np.maximum((last - self.first) // stride + 1, 0)
        self.stops = spans[:, 1]
        self.pad, self.padded = pad, False
        if pad:
            train = part == "train"
            origins = np.maximum(-(-spans[:, 1] // 2) if train else spans[:, 0], 1)
            most = np.maximum(spans[:, 1] - horizon, origins) if train else spans[:, 1] - horizon
            padded = (self.counts == 0) & (origins < spans[:, 1])
            self.first = np.where(padded, origins - context, self.first)
            self.counts = np.where(padded, np.maximum((most - origins) // stride + 1, 0), self.counts)
            self.padded = bool(self.counts[padded].any())  # whether any series has such windows
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
    """Return the indices of at most ``most`` of ``total`` windows, evenly spaced from the first to the last, int64."""
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
