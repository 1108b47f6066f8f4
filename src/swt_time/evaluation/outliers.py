"""Observed values outside the interval that was forecast one step before."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from swt_time.data.origins import values_after
from swt_time.data.series import SeriesTable
from swt_time.errors import CheckpointError
from swt_time.evaluation.trained import Trained
from swt_time.evaluation.uncertainty import Uncertainty

SHOWN = 20
"""Most values in the text."""


@dataclass(frozen=True)
class Outliers:
    """What `find_outliers` found.

    Attributes
    ----------
    frame : DataFrame
        One row for each value: ``unique_id, ds, y, yhat``, the bounds ``lo`` and ``hi``, and the ``surprise``: its
        distance from the nearer bound in widths of the interval; the largest first.
    level : float
        Level of the interval in percent; lower than asked for where there are too few residuals.
    checked : int
        Observed values that were compared with their interval.
    """

    frame: pd.DataFrame
    level: float
    checked: int

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        rows = self.frame.assign(ds=self.frame["ds"].astype(str)).to_dict("records")
        return {"level": self.level, "checked": self.checked, "values": rows}

    def as_text(self) -> Iterator[str]:
        """Yield a line for each value, the most surprising first."""
        yield ""
        yield (
            f"{len(self.frame):,} of {self.checked:,} values lie outside their interval of {self.level:g} % one step "
            "ahead"
        )
        for one in self.frame.head(SHOWN).itertuples(index=False):
            yield f"  {one.unique_id}  {one.ds}  {one.y:.6g}  (expected {one.lo:.6g} to {one.hi:.6g})"
        if len(self.frame) > SHOWN:
            yield f"  and {len(self.frame) - SHOWN:,} more (--json lists all)"


def find_outliers(trained: Trained, series: SeriesTable, first: np.ndarray, level: float) -> Outliers:
    """Forecast every row after the first cutoff of each series from the rows before it.

    Parameters
    ----------
    trained : Trained
    series : SeriesTable
        ``N`` series.
    first : (N,) int array
        Number of rows of each series before the first forecast.
    level : float
        Percent: of values that behave as before, ``100 - level`` percent are found.

    Raises
    ------
    CheckpointError
        The model has no intervals, or too few residuals for one.
    ConfigError
        The level is out of range.
    """
    asked = Uncertainty(levels=[level])
    rows = [np.arange(max(begin, trained.least_rows), n) for begin, n in zip(first, series.lengths, strict=True)]
    pairs = np.stack([np.repeat(np.arange(len(rows)), [len(one) for one in rows]), np.concatenate(rows)], axis=1)
    yhat = trained.forecast_origins(series, pairs, steps=1)
    around = asked.columns(trained, series, pairs, yhat)
    names = list(around)
    if not names:
        raise CheckpointError("the model has too few residuals for any interval; train it on a longer table")
    lower, upper = (around[name][:, 0] for name in names)
    truth = values_after(series, pairs, 1)[:, 0]
    outside = np.maximum(lower - truth, truth - upper)
    found = np.flatnonzero(outside > 0)  # a comparison with NaN is false
    width = np.maximum(upper - lower, np.finfo(np.float64).tiny)
    frame = pd.DataFrame(
        {
            "unique_id": [series.ids[i] for i in pairs[found, 0]],
            "ds": [series.times[i][row] for i, row in pairs[found].tolist()],
            "y": truth[found],
            "yhat": yhat[found, 0],
            "lo": lower[found],
            "hi": upper[found],
            "surprise": outside[found] / width[found],
        }
    )
    frame = frame.sort_values("surprise", ascending=False, kind="stable", ignore_index=True)
    return Outliers(frame, float(names[0].removeprefix("yhat-lo-")), int((~np.isnan(truth)).sum()))
