"""Fan charts: what was observed, the forecast with its intervals, and what came afterwards where it is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swt_time.data.origins import ends
from swt_time.data.series import SeriesTable, cut_series
from swt_time.data.zones import wall_times
from swt_time.evaluation.told import from_ends
from swt_time.evaluation.uncertainty import LEVELS, Uncertainty
from swt_time.pictures.style import FORECAST, INK, MOST_PANELS, SOFT, TRUTH, check_picture, drawing, tint

if TYPE_CHECKING:
    from swt_time.forecaster import Forecaster


@dataclass(frozen=True)
class ForecastPanel:
    """One series in a picture: the context, the forecast, and the true values where they are known.

    Times are datetime64 arrays; ``truth`` may be shorter than ``forecast``, or empty.
    """

    title: str
    context_times: np.ndarray
    context: np.ndarray
    forecast_times: np.ndarray
    forecast: np.ndarray
    truth: np.ndarray
    bounds: Sequence[tuple[str, np.ndarray, np.ndarray]] = ()
    """Level, lower and upper bounds of each interval."""


def plot_forecast(
    forecaster: "Forecaster",
    table: Any,
    path: str | Path,
    *,
    levels: Sequence[float] | None = LEVELS,
    future: Any = None,
    notes: Any = None,
    static: Any = None,
    cutoff: str | None = None,
    series: Sequence[str] | None = None,
    title: str = "",
) -> None:
    """Draw the forecast of a table: the context, the forecast and its intervals, one panel for each series.

    Parameters
    ----------
    forecaster : Forecaster
        Trained.
    table, future, notes, static : DataFrame
        As in `swt_time.Forecaster.predict`.
    path : path
        Picture to write; its suffix names the format: .svg and .pdf are drawings that can be scaled, .png is not.
    levels : sequence of float, optional
        Intervals, in percent.
    cutoff : str, optional
        Forecast as if the table ended at this time; what follows is drawn as truth.
    series : sequence of str, optional
        Ids of the series to draw; by default the first `MOST_PANELS` of the table.
    title : str

    Raises
    ------
    MissingDependencyError
        Matplotlib is not installed.
    InputError
        The table cannot be forecast, or the file cannot be written.
    """
    path = Path(path)
    check_picture(path)
    whole = forecaster.read_series(table, future, notes, static)
    if series is not None:
        whole = whole.select([whole.index(name) for name in series])
    known = forecaster.forecastable(from_ends(whole if cutoff is None else cut_series(whole, cutoff)))
    yhat = forecaster.predict_series(known)
    around = Uncertainty(levels or ()).columns(forecaster.trained, known, ends(known), yhat)
    plot_forecasts(series_panels(whole, known, yhat, around), path, title)


def plot_forecasts(panels: Sequence[ForecastPanel], path: Path, title: str = "") -> None:
    """Draw panels below each other, at most `MOST_PANELS`.

    Raises
    ------
    MissingDependencyError
        Matplotlib is not installed.
    InputError
        The file cannot be written, or its suffix names no picture format.
    """
    shown = panels[:MOST_PANELS]
    with drawing(path, 10, 1.2 + 2.6 * len(shown), len(shown)) as (figure, axes):
        for axis, panel in zip(axes, shown, strict=True):
            _draw(axis, panel)
        # below the panels, where it covers no curve
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
        rest = f"  ({len(shown)} of {len(panels)} series)" if len(panels) > len(shown) else ""
        if title or rest:
            figure.suptitle(title + rest)


def _draw(axis: Any, panel: ForecastPanel) -> None:
    # With more context than four horizons the forecast would be too small to read.
    shown = min(len(panel.context), max(4 * len(panel.forecast), 48))
    times, context = panel.context_times[-shown:], panel.context[-shown:]
    joined_times = np.concatenate([times[-1:], panel.forecast_times])
    widest_first = sorted(panel.bounds, key=lambda one: -float(one[0]))
    for number, (level, lower, upper) in enumerate(widest_first):
        bounds = (np.concatenate([context[-1:], one]) for one in (lower, upper))
        shade = min(0.2 + 0.18 * number, 0.9)  # a colour without transparency, so that the legend shows the same
        axis.fill_between(joined_times, *bounds, color=tint(FORECAST, shade), lw=0, label=f"{level} %")
    axis.plot(times, context, color=INK, lw=1.1, label="observed")
    if len(panel.truth):
        truth = np.concatenate([context[-1:], panel.truth])
        axis.plot(joined_times[: len(truth)], truth, color=TRUTH, lw=1.4, label="observed afterwards")
    axis.plot(joined_times, np.concatenate([context[-1:], panel.forecast]), color=FORECAST, label="forecast")
    axis.axvline(times[-1], color=SOFT, lw=0.8, ls=":")
    axis.set_title(panel.title)


def series_panels(
    series: SeriesTable, known: SeriesTable, yhat: np.ndarray, around: Mapping[str, np.ndarray] | None = None
) -> list[ForecastPanel]:
    """Make one panel for each series, in the order of the table.

    Parameters
    ----------
    series : SeriesTable
        All known values.
    known : SeriesTable
        The values that the forecast was made from.
    yhat : (N, H) array
    around : mapping of str to (N, H) array, optional
        Columns of intervals, by name; see `swt_time.evaluation.uncertainty`.
    """
    horizon, around = yhat.shape[1], around or {}
    levels = [name.removeprefix("yhat-lo-") for name in around if name.startswith("yhat-lo-")]
    future = wall_times(known.future(horizon)).reshape(-1, horizon)
    now = dict(zip(series.ids, series.values, strict=True))
    panels = []
    for i in known.order or range(len(known.ids)):
        name, seen = known.ids[i], len(known.values[i])
        times = wall_times(known.times[i])
        truth = now[name][seen : seen + horizon]
        bounds = [(one, around[f"yhat-lo-{one}"][i], around[f"yhat-hi-{one}"][i]) for one in levels]
        panels.append(ForecastPanel(name, times, known.values[i], future[i], yhat[i], truth, bounds))
    return panels
