"""Contexts and targets of windows, gathered from series that are concatenated into one array. Pure NumPy.

Shapes: ``B`` windows, ``T`` context, ``H`` horizon, ``N`` series.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from swt_time.data.observed import last_observed
from swt_time.errors import TableError


@dataclass(frozen=True)
class FlatSeries:
    """Series concatenated into one array; series ``i`` starts at ``offsets[i]``.

    Attributes
    ----------
    flat : float64 array
    offsets : int array
    observed : bool array or None
        Which values were observed; None if all were.
    held : int array or None
        For each value the index of the last observed one at or before it; None if filled values may be read as they
        are, because none of them was computed from later values.
    """

    flat: np.ndarray
    offsets: np.ndarray
    observed: np.ndarray | None = None
    held: np.ndarray | None = None


def flatten(
    values: Sequence[np.ndarray], observed: Sequence[np.ndarray] | None = None, *, hold: bool = False
) -> FlatSeries:
    """Concatenate series for `gather`.

    Parameters
    ----------
    values : sequence of N arrays
    observed : sequence of N bool arrays, optional
        Which values were observed; all by default.
    hold : bool
        Whether filled values were computed from later values, so that a context must hold its last observed value.

    Raises
    ------
    TableError
        If a value overflows float32.
    """
    lengths = np.array([len(one) for one in values], dtype=np.int64)
    flat = np.concatenate(values) if len(values) > 1 else values[0]
    if len(flat) and not max(flat.max(), -flat.min()) <= np.finfo(np.float32).max:  # NaN is refused too
        raise TableError("values beyond 3.4e38 overflow float32; scale the table first")
    offsets = np.cumsum(lengths) - lengths
    if observed is None or all(one.all() for one in observed):
        return FlatSeries(flat, offsets)
    held = np.concatenate([last_observed(one) + offset for one, offset in zip(observed, offsets, strict=True)])
    return FlatSeries(flat, offsets, np.concatenate(observed), held if hold else None)


def gather(series: FlatSeries, pairs: np.ndarray, context: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Gather contexts and targets of windows with one indexing operation.

    Parameters
    ----------
    series : FlatSeries
    pairs : (B, 2) int array
        See `WindowIndex.pairs`; the first context row may be negative.
    context, horizon : int
        ``T`` and ``H``.

    Returns
    -------
    context : (B, T) float64 array
        As known at its end: a gap that reaches the end holds the last observed value. NaN before the series starts.
    target : (B, H) float64 array
        NaN where nothing was observed.
    """
    begins = series.offsets[pairs[:, 0]] + pairs[:, 1]
    inside = len(pairs) and pairs[:, 1].min() >= 0 and begins.max() + context + horizon <= len(series.flat)
    if series.observed is None and inside:
        rows = sliding_window_view(series.flat, context + horizon)[begins]
        return rows[:, :context], rows[:, context:]
    columns = pairs[:, 1:] + np.arange(context + horizon)
    rows = series.offsets[pairs[:, :1]] + np.maximum(columns, 0)
    np.minimum(rows, len(series.flat) - 1, out=rows)  # targets of a padded window may end after the last series
    values = series.flat[rows]
    before, target = values[:, :context], values[:, context:]
    if series.observed is not None:
        target = np.where(series.observed[rows[:, context:]], target, np.nan)
    if series.held is not None:
        last = series.held[rows[:, context - 1 : context]]
        before = np.where(rows[:, :context] > last, series.flat[last], before)
    if (pairs[:, 1] < 0).any():
        before = np.where(columns[:, :context] < 0, np.nan, before)
    return before, target
