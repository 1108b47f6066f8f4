"""Errors of candidates on held-out blocks, in units that make series comparable."""

from collections.abc import Sequence

import numpy as np

from swt_time.data.origins import known_values, values_after
from swt_time.data.series import SeriesTable
from swt_time.intervals import Residuals
from swt_time.selection.blocks import Block


def scales(table: SeriesTable, blocks: Sequence[Block], season: int) -> np.ndarray:
    """Mean absolute seasonal difference of each series before its earliest block, (N,), as in MASE.

    Where there is none (a short or a constant series) it is the mean absolute difference of neighbours, then the mean
    absolute value, then 1.
    """
    rows = np.zeros(len(table.ids), dtype=np.int64)
    for block in blocks:  # the latest first, so that the earliest counts
        rows[block.series] = block.rows
    found = np.ones(len(rows))
    used = np.flatnonzero(rows)
    known = known_values(table, np.stack([used, rows[used]], axis=1))
    for index, one in zip(used.tolist(), known, strict=True):
        found[index] = _scale(one, season)
    return found


def _scale(values: np.ndarray, season: int) -> float:
    for lag in (season, 1):
        changes = np.abs(values[lag:] - values[:-lag]) if len(values) > lag else np.empty(0)
        changes = changes[~np.isnan(changes)]
        if changes.size and changes.mean() > 0:
            return float(changes.mean())
    size = np.nanmean(np.abs(values)) if not np.isnan(values).all() else 0.0
    return float(size) if size > 0 else 1.0


class HeldOut:
    """Targets of all blocks; the error of a candidate is one number.

    Forecasts are those from all origins of a block; only from ``pairs`` are they judged.

    Parameters
    ----------
    table : SeriesTable
    blocks : sequence of Block
    horizon, season : int

    Attributes
    ----------
    points : int
        Number of observed targets that are judged.
    """

    def __init__(self, table: SeriesTable, blocks: Sequence[Block], horizon: int, season: int) -> None:
        self.pairs = np.concatenate([block.origins for block in blocks])
        judged = np.concatenate([np.arange(len(block.origins)) < len(block.pairs) for block in blocks])
        self.targets = values_after(table, self.pairs, horizon)
        self.units = scales(table, blocks, season)[self.pairs[:, :1]]
        _, series = np.unique(self.pairs[:, 0], return_inverse=True)
        observed = (~np.isnan(self.targets)).sum(axis=1) * judged
        points = np.bincount(series, weights=observed)
        # every series counts as much as any other, however many of its values were observed
        self.shares = (judged / np.maximum(points[series], 1))[:, None]
        self.points = int(observed.sum())
        self.total = float(np.count_nonzero(points))
        # a group is a block, or a stretch of a long block in which origins lie within one horizon
        self.block = np.repeat(np.arange(len(blocks)), [len(block.origins) for block in blocks])
        first = np.concatenate([block.rows[np.searchsorted(block.series, block.origins[:, 0])] for block in blocks])
        stretch = (self.pairs[:, 1] - first) // horizon
        _, self.group = np.unique(np.stack([self.block, stretch], axis=1), axis=0, return_inverse=True)

    def error(self, forecasts: np.ndarray) -> float:
        """Mean absolute error of forecasts (M, H), in units of each series (`scales`), averaged over series."""
        errors = np.abs(forecasts - self.targets) / self.units
        return float(np.nansum(errors * self.shares)) / max(self.total, 1.0)

    def by_group(self, forecasts: np.ndarray) -> np.ndarray:
        """Error in each group of origins with an observed target: the mean of absolute and root mean squared error.

        A group is a block, or a stretch of a long block whose origins lie within one horizon; so groups hardly overlap.
        Series have equal shares.
        """
        absolute, squared = self._group_means(forecasts)
        return np.asarray(absolute + np.sqrt(squared)) / 2

    def absolute_by_group(self, forecasts: np.ndarray) -> np.ndarray:
        """Mean absolute error in each group of origins with an observed target; see `by_group`."""
        return self._group_means(forecasts)[0]

    def _group_means(self, forecasts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean absolute and mean squared error in each group of origins with an observed target."""
        errors = np.abs(forecasts - self.targets) / self.units
        known = ~np.isnan(errors)
        absolute, squared, shares = (
            np.bincount(self.group, weights=(one * self.shares).sum(axis=1))
            for one in (np.where(known, errors, 0.0), np.where(known, errors**2, 0.0), known)
        )
        counted = shares > 0
        return absolute[counted] / shares[counted], squared[counted] / shares[counted]

    def residuals(self, forecasts: np.ndarray) -> Residuals:
        """Observed values minus forecasts (M, H), from all origins."""
        return Residuals(self.pairs, self.targets - forecasts, self.block, "held-out blocks")
