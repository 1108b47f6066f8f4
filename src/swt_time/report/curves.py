"""The curves of one series: what was observed, the forecast, its intervals, and what came afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swt_time.data.series import SeriesTable
from swt_time.data.zones import wall_times
from swt_time.evaluation.backtesting import Folds
from swt_time.report.facts import Ahead


@dataclass(frozen=True)
class Curves:
    """What is drawn of one series.

    Attributes
    ----------
    name : str
    context_times, context : (T,) arrays
        Times as of `swt_time.data.zones.wall_times`; values are NaN where nothing was observed, but for the last.
    times : (H,) array
    yhat : (H,) array
    bounds : sequence of (level, (H,) array, (H,) array)
        The widest interval first.
    truth : (<= H,) array or None
        What was observed after the cutoff of a past forecast.
    """

    name: str
    context_times: np.ndarray
    context: np.ndarray
    times: np.ndarray
    yhat: np.ndarray
    bounds: Sequence[tuple[str, np.ndarray, np.ndarray]]
    truth: np.ndarray | None = None


def in_order(series: SeriesTable) -> list[int]:
    """Return the indices of the series in the order of the table."""
    return list(series.order or range(len(series.ids)))


def span(series: SeriesTable) -> tuple[Any, Any]:
    """Return the first and the last wall-clock time of a table, or count of rows."""
    ends = [wall_times(times[[0, -1]]) for times in {id(times): times for times in series.times}.values()]
    return min(one[0] for one in ends), max(one[1] for one in ends)


def curves_ahead(ahead: Ahead, index: int) -> Curves:
    """Return the curves of a forecast after the end of a series."""
    series, horizon = ahead.series.select([index]), ahead.yhat.shape[1]
    bounds = [
        (one, ahead.around[f"yhat-lo-{one}"][index], ahead.around[f"yhat-hi-{one}"][index]) for one in ahead.levels
    ]
    context = _seen(series.values[0], series.observed[0])
    return Curves(
        series.ids[0],
        wall_times(series.times[0]),
        context,
        wall_times(series.future(horizon)),
        ahead.yhat[index],
        bounds,
    )


def curves_back(folds: Folds, levels: Sequence[str], index: int) -> Curves:
    """Return the curves of the forecast from the last cutoff of a series."""
    series, origin, horizon = folds.series, int(folds.origins[index, -1]), folds.yhat.shape[2]
    times = wall_times(series.times[index])
    values, observed = series.values[index], series.observed[index]
    truth = np.where(observed, values, np.nan)[origin : origin + horizon]
    bounds = [
        (one, folds.around[f"yhat-lo-{one}"][index, -1], folds.around[f"yhat-hi-{one}"][index, -1]) for one in levels
    ]
    context = _seen(values[:origin], observed[:origin])
    return Curves(
        series.ids[index],
        times[:origin],
        context,
        times[origin : origin + horizon],
        folds.yhat[index, -1],
        bounds,
        truth,
    )


def _seen(values: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Observed values; the last one is kept, because the forecast begins there."""
    seen = np.where(observed, values, np.nan)
    seen[-1] = values[-1]
    return seen
