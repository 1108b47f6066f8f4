"""The sums that a closed form is solved from, kept with a model so that more windows can be added to them.

They are sums over every window, in double precision, where a fit may take a sample of many windows with missing values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from swt_time.data.parts import PartWindows
from swt_time.errors import TableError
from swt_time.machine import one_thread
from swt_time.model.closed_form.lags import all_moments
from swt_time.model.closed_form.moments import CHUNK, MOST_PARTIAL, Moments, moments
from swt_time.model.weights import check_weights

PREFIX = "sums."
"""Prefix of the arrays among the weights of a checkpoint."""


@dataclass(frozen=True)
class Sums:
    """Second moments of windows, and how far they reach in each of ``N`` series.

    Attributes
    ----------
    moments : Moments
    rows : (N,) int64 array
        Rows of each series that were summed over.
    last : (N,) int64 array
        Time of the last of them: microseconds, or the integer that counts rows.
    """

    moments: Moments
    rows: np.ndarray
    last: np.ndarray

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, for a checkpoint."""
        found = {
            "inputs": self.moments.inputs,
            "products": self.moments.products,
            "targets": np.array(self.moments.targets),
            "points": np.array(self.moments.points, dtype=np.int64),
            "partial": self.moments.partial,
            "missing": self.moments.missing.astype(bool),
            "rows": self.rows,
            "last": self.last,
        }
        return {PREFIX + name: one for name, one in found.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], context: int, horizon: int, series: int) -> Self | None:
        """Restore the sums of a model from the weights of its checkpoint; None if it holds none.

        Raises
        ------
        CheckpointError
            An array is missing, does not fit the model, or holds impossible values.
        """
        found = {name: one for name, one in arrays.items() if name.startswith(PREFIX)}
        if not found:
            return None
        partial = found.get(PREFIX + "partial", np.empty(0))
        windows = len(partial) if partial.ndim else 0
        none = Moments(
            np.empty((context, context)),
            np.empty((context, horizon)),
            0.0,
            0,
            np.empty((windows, context)),
            np.empty((windows, horizon)),
        )
        counts = np.empty(series, dtype=np.int64)
        check_weights(cls(none, counts, counts).to_arrays(), found)
        plain = {name.removeprefix(PREFIX): one for name, one in found.items()}
        summed = Moments(
            plain["inputs"],
            plain["products"],
            float(plain["targets"]),
            int(plain["points"]),
            plain["partial"],
            plain["missing"].astype(np.float64),
        )
        return cls(summed, plain["rows"], plain["last"])


@one_thread()
def sum_all(windows: PartWindows, context: int, horizon: int, exponent: int) -> Moments:
    """Sum second moments over all windows, weighted as `swt_time.model.closed_form.moments.moments` does.

    Raises
    ------
    TableError
        More than `MOST_PARTIAL` windows have some missing targets; each of them is part of the sums.
    """
    runs = None if exponent else windows.runs()
    found = None if runs is None else all_moments(runs, context, horizon)
    if found is not None:
        return found
    none = np.empty((0, context)), np.empty((0, horizon))
    total = Moments(np.zeros((context, context)), np.zeros((context, horizon)), 0.0, 0, *none)
    exact = _Exactly(windows.series, windows.windows, windows.table, windows.scaler, windows.train_rows)
    for indices in np.array_split(np.arange(len(windows)), -(-len(windows) // CHUNK) or 1):
        if len(indices):
            total += moments(exact, indices, exponent, len(indices))
        check_partial(total)
    return total


def check_partial(sums: Moments) -> None:
    """Refuse sums of too many windows with missing targets."""
    if len(sums.partial) > MOST_PARTIAL:
        raise TableError(
            f"training.keep_sums: more than {MOST_PARTIAL:,} windows have some missing targets, which is too many to "
            "keep; set it to false, and train on all rows again for new ones"
        )


class _Exactly(PartWindows):
    """Windows that are not rounded to single precision."""

    def gather(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.gather_exactly(indices)
