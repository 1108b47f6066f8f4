"""What the page draws: for each series its newest values, its forecast with intervals, and forecasts from the past."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swt_time.data.frequency import season_length
from swt_time.data.series import SeriesTable
from swt_time.data.zones import microseconds
from swt_time.evaluation.backtesting import Folds
from swt_time.report.facts import Ahead, Past

MOST_SERIES = 1000
"""Most series that are drawn; the table of the forecast has all."""

LEAST_ROWS, MOST_ROWS = 60, 2000
"""Fewest and most values before a forecast that are drawn, if there are as many."""

DIGITS = 7
"""Significant digits of a number."""


def write_charts(path: Path, ahead: Ahead, past: Past | None) -> list[str]:
    """Write one line of JSON for each series, in the order of the table.

    Parameters
    ----------
    path : path
    ahead : Ahead
        The forecast.
    past : Past or None
        Forecasts from past cutoffs.

    Returns
    -------
    list of str
        Names of the series that were written.
    """
    series, yhat, folds = ahead.series, ahead.yhat, None if past is None else past.folds
    order = list(series.order or range(len(series.ids)))[:MOST_SERIES]
    horizon = yhat.shape[1]
    future = series.future(horizon)
    with open(path, "w", encoding="utf-8") as file:
        for index in order:
            after = future[index * horizon : (index + 1) * horizon]
            own = {name: one[index] for name, one in ahead.around.items()}
            before = _past(folds, series.ids[index])
            chart = _chart(
                series, index, after, yhat[index], around=own, past=before, season=season_length(series.frequency)
            )
            print(json.dumps(chart, allow_nan=False), file=file)
    return [series.ids[i] for i in order]


def _chart(
    series: SeriesTable,
    index: int,
    after: pd.Index,
    yhat: np.ndarray,
    *,
    around: Mapping[str, np.ndarray],
    past: list[dict[str, Any]],
    season: int,
) -> dict[str, Any]:
    horizon = len(yhat)
    reach = max([len(series.values[index]) - one["row"] for one in past], default=0) + 2 * horizon
    rows = min(max(LEAST_ROWS, 4 * season, reach), MOST_ROWS, len(series.values[index]))
    first = len(series.values[index]) - rows
    values = np.where(series.observed[index], series.values[index], np.nan)[first:]
    return {
        "name": series.ids[index],
        "calendar": isinstance(after, pd.DatetimeIndex),
        "times": [*_times(series.times[index][first:]), *_times(after)],
        "texts": [str(moment) for moment in after],
        "known": rows,
        "values": _numbers(values),
        "yhat": _numbers(yhat),
        "around": {name: _numbers(one) for name, one in around.items()},
        "past": [{**one, "row": one["row"] - first} for one in past if one["row"] >= first],
    }


def _past(folds: Folds | None, name: str) -> list[dict[str, Any]]:
    """Forecasts of one series from the past, by the row that each begins at."""
    if folds is None or name not in folds.series.ids:
        return []
    index = folds.series.ids.index(name)
    return [
        {"row": int(origin), "yhat": _numbers(yhat)}
        for origin, yhat in zip(folds.origins[index], folds.yhat[index], strict=True)
    ]


def _times(times: pd.Index) -> list[float]:
    """Seconds of wall-clock time since 1970, or counts of rows."""
    stamps = microseconds(times, wall=True)
    seconds: list[float] = (stamps / 1e6 if isinstance(times, pd.DatetimeIndex) else stamps).tolist()
    return seconds


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values]
