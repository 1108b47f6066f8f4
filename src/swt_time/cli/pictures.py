"""Plots of forecasts, calibration, wavelet bands and differences; needs the extra ``plot``."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swt_time.data.series import SeriesTable
from swt_time.data.zones import wall_times
from swt_time.errors import InputError, MissingDependencyError
from swt_time.folders import explained, replace_file

if TYPE_CHECKING:
    from swt_time.evaluation.ablation import Difference
    from swt_time.evaluation.backtesting import Folds
    from swt_time.evaluation.bands import Bands

MOST_PANELS = 6
"""Most series in one plot."""

INK, TRUTH, FORECAST, ACCENT = "#3b4252", "#8a93a6", "#d1495b", "#2a9d8f"


@dataclass(frozen=True)
class ForecastPanel:
    """One series in a plot: the context, the forecast, and the true values where they are known.

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


def import_pyplot() -> Any:
    """Return ``matplotlib.pyplot`` with a backend that needs no screen.

    Raises
    ------
    MissingDependencyError
    """
    try:
        import matplotlib
    except ImportError:
        raise MissingDependencyError(
            'plots need matplotlib, which is not installed: pip install "swt-time[plot]"'
        ) from None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def plot_forecasts(panels: Sequence[ForecastPanel], path: Path, title: str = "") -> None:
    """Draw the context, the forecast and, where they are known, the true values; one panel for each series.

    Raises
    ------
    MissingDependencyError
        Matplotlib is not installed.
    InputError
        The file cannot be written, or its suffix names no picture format.
    """
    plt = import_pyplot()
    shown = panels[:MOST_PANELS]
    figure, axes = plt.subplots(
        len(shown), 1, figsize=(10, 1.2 + 2.6 * len(shown)), squeeze=False, layout="constrained"
    )
    for axis, panel in zip(axes[:, 0], shown, strict=True):
        _draw(axis, panel)
    axes[0, 0].legend(loc="upper left", frameon=False, ncols=6)
    rest = f"  ({len(shown)} of {len(panels)} series)" if len(panels) > len(shown) else ""
    if title or rest:
        figure.suptitle(title + rest, color=INK, parse_math=False)
    _save(plt, figure, path)


def _draw(axis: Any, panel: ForecastPanel) -> None:
    # With more context than four horizons the forecast would be too small to read.
    shown = min(len(panel.context), max(4 * len(panel.forecast), 48))
    times, context = panel.context_times[-shown:], panel.context[-shown:]
    joined_times = np.concatenate([times[-1:], panel.forecast_times])
    if len(panel.truth):
        truth = np.concatenate([context[-1:], panel.truth])
        axis.plot(joined_times[: len(truth)], truth, color=TRUTH, lw=1.6, label="truth")
    axis.plot(times, context, color=INK, lw=1.1, label="context")
    widest_first = sorted(panel.bounds, key=lambda one: -float(one[0]))
    for number, (level, lower, upper) in enumerate(widest_first):
        bounds = (np.concatenate([context[-1:], one]) for one in (lower, upper))
        shade = min(0.18 + 0.14 * number, 0.9)  # a colour without transparency, so that the legend shows the same
        axis.fill_between(joined_times, *bounds, color=tint(FORECAST, shade), lw=0, label=f"{level} %")
    axis.plot(joined_times, np.concatenate([context[-1:], panel.forecast]), color=FORECAST, lw=1.6, label="forecast")
    axis.axvline(times[-1], color=INK, lw=0.8, ls=":")
    axis.set_title(panel.title, loc="left", fontsize=10, color=INK, parse_math=False)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.01)


def tint(colour: str, share: float) -> tuple[float, ...]:
    """Mix a colour ``#rrggbb`` with white."""
    return tuple(1 - share * (1 - int(colour[k : k + 2], 16) / 255) for k in (1, 3, 5))


def check_picture(path: Path) -> None:
    """Check that a plot can be written to a path, before any work is done.

    Raises
    ------
    MissingDependencyError
        Matplotlib is not installed.
    InputError
        Unknown format, or a folder that does not exist.
    """
    formats = import_pyplot().gcf().canvas.get_supported_filetypes()
    if path.suffix.lower().lstrip(".") not in formats:
        raise InputError(f"cannot draw {path}: expected a name that ends in one of {', '.join(sorted(formats))}")
    with explained(f"cannot draw {path}", InputError, "choose another path"):
        if path.is_dir():
            raise InputError(f"cannot draw {path}: it is a folder; expected a file name")
        if not path.parent.is_dir():
            raise InputError(f"cannot draw {path}: the folder {path.parent} does not exist; create it first")


def series_panels(
    series: SeriesTable, known: SeriesTable, yhat: np.ndarray, around: Mapping[str, np.ndarray] | None = None
) -> list[ForecastPanel]:
    """Make one panel for each series.

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
    for i, name in enumerate(known.ids):
        seen = len(known.values[i])
        times = wall_times(known.times[i])
        truth = now[name][seen : seen + horizon]
        bounds = [(one, around[f"yhat-lo-{one}"][i], around[f"yhat-hi-{one}"][i]) for one in levels]
        panels.append(ForecastPanel(name, times, known.values[i], future[i], yhat[i], truth, bounds))
    return panels


def plot_folds(folds: "Folds", path: Path) -> None:
    """Draw the end of each series with its cutoffs and the forecasts from them; one panel for each series.

    Raises
    ------
    MissingDependencyError, InputError
        As `plot_forecasts`.
    """
    plt = import_pyplot()
    series, horizon = folds.series, folds.yhat.shape[2]
    shown = (series.order or range(len(series.ids)))[:MOST_PANELS]
    figure, axes = plt.subplots(
        len(shown), 1, figsize=(10, 1.2 + 2.6 * len(shown)), squeeze=False, layout="constrained"
    )
    for axis, i in zip(axes[:, 0], shown, strict=True):
        times, origins = wall_times(series.times[i]), folds.origins[i].tolist()
        values = np.where(series.observed[i], series.values[i], np.nan)
        # before the first cutoff, as much again as is forecast
        first = max(origins[0] - max(2 * horizon, len(values) - origins[0]), 0)
        axis.plot(times[first:], values[first:], color=INK, lw=1.1, label="truth")
        for k, origin in enumerate(origins):
            after = times[origin : origin + horizon]
            style = {"marker": "."} if horizon == 1 else {}
            axis.plot(after, folds.yhat[i, k], color=FORECAST, lw=1.6, label="" if k else "forecast", **style)
            axis.axvline(times[origin - 1], color=INK, lw=0.8, ls=":", label="" if k else "cutoff")
        axis.set_title(series.ids[i], loc="left", fontsize=10, color=INK, parse_math=False)
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.01)
    # beside the panels, where it covers no curve
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", frameon=False, ncols=3)
    if len(series.ids) > len(shown):
        figure.suptitle(f"{len(shown)} of {len(series.ids)} series", color=INK)
    _save(plt, figure, path)


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
        As `plot_forecasts`.
    """
    plt = import_pyplot()
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    edges = np.linspace(0, 1, 11)
    for number, (name, shares) in enumerate(pits.items()):
        style = {"fill": True, "alpha": 0.55, "color": FORECAST} if number == 0 else {"color": INK, "lw": 1.4}
        axis.stairs(100 * shares, edges, baseline=0 if number == 0 else None, label=name, **style)
    axis.axhline(10, color=TRUTH, lw=1.2, ls="--", label="calibrated")
    axis.set_xticks(edges)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("quantile of the forecast at the observed value (too many at both ends: intervals too narrow)")
    axis.set_ylabel("observed values, %")
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.01)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper right", frameon=False, ncols=3)
    _save(plt, figure, path)


def plot_bands(
    bands: "Bands",
    times: np.ndarray,
    values: np.ndarray,
    path: Path,
    *,
    title: str,
    weights: Sequence[float] | None = None,
) -> None:
    """Draw a series above its wavelet bands, on one time axis.

    Parameters
    ----------
    bands : Bands
    times : (T,) datetime64 array
    values : (T,) array
        The series in its own units.
    path : Path
    title : str
    weights : K floats, optional
        Band weights of a trained model, shown in the title of each band.

    Raises
    ------
    MissingDependencyError, InputError
        As `plot_forecasts`.
    """
    plt = import_pyplot()
    rows = len(bands.names) + 1
    figure, axes = plt.subplots(rows, 1, figsize=(10, 1 + 1.5 * rows), sharex=True, layout="constrained")
    axes[0].plot(times, values, color=INK, lw=1.0)
    axes[0].set_title(title, loc="left", fontsize=10, color=INK, parse_math=False)
    for k, (name, axis) in enumerate(zip(bands.names, axes[1:], strict=True)):
        axis.plot(times, bands.coefficients[k], color=FORECAST if k == 0 else ACCENT, lw=0.9)
        weight = "" if weights is None else f"   weight {weights[k]:.3f}"
        axis.set_title(f"${name}$   {bands.share[k]:.1%} of the energy{weight}", loc="left", fontsize=9, color=INK)
    axes[-1].set_xlabel(f"the bands add up to the series within {bands.error:.1e} standard deviations", fontsize=9)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.01)
    _save(plt, figure, path)


def plot_differences(found: "Sequence[Difference]", path: Path) -> None:
    """Draw the paired difference of each contender from the base with its 95 % interval, sorted.

    Raises
    ------
    MissingDependencyError, InputError
        As `plot_forecasts`; nothing to compare with the base.
    """
    shown = sorted((one for one in found if one.difference is not None), key=lambda one: -(one.difference or 0.0))
    if not shown:
        raise InputError("there is no difference to draw: no variant shares a seed with the base")
    plt = import_pyplot()
    figure, axis = plt.subplots(figsize=(9, 1.2 + 0.3 * len(shown)), layout="constrained")
    colours = {"better": ACCENT, "worse": FORECAST}
    for row, one in enumerate(shown):
        colour = colours.get(one.verdict, TRUTH)
        axis.errorbar(one.difference, row, xerr=one.half_width, fmt="o", ms=4, color=colour, capsize=3, lw=1.2)
    axis.axvline(0, color=INK, lw=0.8)
    axis.set_yticks(range(len(shown)), [one.contender for one in shown], fontsize=8, parse_math=False)
    axis.set_xlabel("MSE less the base's, paired by seed, with 95 % t-interval", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    _save(plt, figure, path)


def _save(plt: Any, figure: Any, path: Path) -> None:
    content, kind = io.BytesIO(), path.suffix.lower().lstrip(".")
    try:
        # Matplotlib writes its version into PNG files; without it, equal plots are equal files.
        figure.savefig(content, format=kind, dpi=130, metadata={"Software": None} if kind == "png" else None)
    except ValueError as error:
        raise InputError(f"cannot write the picture {path}: {error}") from None
    finally:
        plt.close(figure)
    with explained(f"cannot write the picture {path}", InputError, "choose another path"):
        replace_file(path, content.getvalue(), InputError)
