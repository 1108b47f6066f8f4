"""Forecasts from past cutoffs over what was observed, and their calibration."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from swt_time.data.zones import wall_times
from swt_time.evaluation.backtesting import Folds
from swt_time.pictures.style import FORECAST, INK, MOST_PANELS, OTHER, SOFT, drawing


def plot_folds(folds: Folds, path: Path) -> None:
    """Draw the end of each series with its cutoffs and the forecasts from them; one panel for each series.

    Raises
    ------
    MissingDependencyError, InputError
        As `swt_time.pictures.plot_forecasts`.
    """
    series, horizon = folds.series, folds.yhat.shape[2]
    shown = (series.order or range(len(series.ids)))[:MOST_PANELS]
    with drawing(path, 10, 1.2 + 2.6 * len(shown), len(shown)) as (figure, axes):
        for axis, i in zip(axes, shown, strict=True):
            times, origins = wall_times(series.times[i]), folds.origins[i].tolist()
            values = np.where(series.observed[i], series.values[i], np.nan)
            # before the first cutoff, as much again as is forecast
            first = max(origins[0] - max(2 * horizon, len(values) - origins[0]), 0)
            axis.plot(times[first:], values[first:], color=INK, lw=1.1, label="observed")
            for k, origin in enumerate(origins):
                after = times[origin : origin + horizon]
                style = {"marker": "."} if horizon == 1 else {}
                axis.plot(after, folds.yhat[i, k], color=FORECAST, label="" if k else "forecast", **style)
                axis.axvline(times[origin - 1], color=SOFT, lw=0.8, ls=":", label="" if k else "cutoff")
            axis.set_title(series.ids[i])
        # below the panels, where it covers no curve
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
        if len(series.ids) > len(shown):
            figure.suptitle(f"{len(shown)} of {len(series.ids)} series")


def plot_calibration(pits: Mapping[str, np.ndarray], path: Path) -> None:
    """Draw in which deciles of their forecast the observed values lie: the first method as bars, the others as lines.

    Parameters
    ----------
    pits : mapping of str to (10,) array
        Share of the observed values between neighbouring deciles, by method; a tenth each if the deciles are right.
    path : Path

    Raises
    ------
    MissingDependencyError, InputError
        As `swt_time.pictures.plot_forecasts`.
    """
    edges = np.linspace(0, 1, 11)
    with drawing(path, 7, 4) as (figure, axes):
        axis = axes[0]
        for number, (name, shares) in enumerate(pits.items()):
            style = {"fill": True, "color": OTHER} if number == 0 else {"color": INK, "lw": 1.4}
            axis.stairs(100 * shares, edges, baseline=0 if number == 0 else None, label=name, **style)
        axis.axhline(10, color=SOFT, lw=1.2, ls="--", label="calibrated")
        axis.set_xticks(edges)
        axis.set_ylim(bottom=0)
        axis.set_xlabel("quantile of the forecast at the observed value (too many at both ends: intervals too narrow)")
        axis.set_ylabel("observed values, %")
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=6)
