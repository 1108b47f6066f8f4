"""Contexts at forecast origins: what was known of a series when a forecast began."""

from collections.abc import Sequence

import numpy as np

from swt_time.data.parts import refuse_far
from swt_time.data.scaling import Scaler
from swt_time.data.series import SeriesTable


def ends(table: SeriesTable) -> np.ndarray:
    """Return the origin at the end of each series, (N, 2): its index, and the number of its rows."""
    return np.stack([np.arange(len(table.ids)), table.lengths], axis=1)


def contexts_at(table: SeriesTable, pairs: np.ndarray, context: int, scaler: Scaler) -> np.ndarray:
    """Scaled contexts of forecast origins.

    Parameters
    ----------
    table : SeriesTable
    pairs : (M, 2) int array
        Series index, and how many of its rows are known at the origin, at least one.
    context : int
        ``T``.
    scaler : Scaler

    Returns
    -------
    (M, T) float64 array
        NaN before the start of a series.

    Raises
    ------
    TableError
        A value is too far from the training rows, see `swt_time.data.parts.refuse_far`.
    """
    raw = np.full((len(pairs), context), np.nan)
    for row, (index, origin) in zip(raw, pairs.tolist(), strict=True):
        known = table.context(index, origin, min(context, origin))
        row[context - len(known) :] = known
    contexts = scaler.apply_to_windows(raw, pairs[:, 0])
    for (index, origin), values in zip(pairs.tolist(), contexts, strict=True):
        rows = min(context, origin)
        refuse_far(table, index, values[context - rows :], origin - rows)
    return contexts


def known_values(table: SeriesTable, pairs: np.ndarray, most: int | None = None) -> list[np.ndarray]:
    """Return the observed values before each origin, NaN where nothing was observed.

    With ``most``, only so many of the latest ones where all of them were observed.
    """
    found = []
    for index, origin in pairs.tolist():
        values, known = table.values[index][:origin], table.observed[index][:origin]
        if most is not None and known[-most:].all():
            found.append(values[-most:])
        else:
            found.append(values if known.all() else np.where(known, values, np.nan))
    return found


def never_negative(histories: Sequence[np.ndarray]) -> np.ndarray:
    """Whether each of M arrays of known values has no negative one, (M,) bool; NaN where nothing was observed."""
    return np.array([not (one < 0).any() for one in histories])  # a comparison with NaN is false


def values_after(table: SeriesTable, pairs: np.ndarray, horizon: int) -> np.ndarray:
    """Return the ``horizon`` values after each origin, (M, H); NaN where nothing was observed, or after the end."""
    found = np.full((len(pairs), horizon), np.nan)
    for row, (index, origin) in zip(found, pairs.tolist(), strict=True):
        rows = slice(origin, origin + horizon)
        values = np.where(table.observed[index][rows], table.values[index][rows], np.nan)
        row[: len(values)] = values
    return found
