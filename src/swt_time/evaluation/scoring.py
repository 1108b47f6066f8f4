"""Scores of a forecaster over every window of a part."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swt_time.data.frequency import season_length
from swt_time.data.origins import known_values
from swt_time.data.parts import PartWindows, split_table
from swt_time.data.scaling import Scaler
from swt_time.data.series import SeriesTable
from swt_time.errors import ConfigError, TableError
from swt_time.evaluation.calibrating import calibrate_naive, rows_before
from swt_time.evaluation.forecasting import Scorable, forecast_part, spread_part
from swt_time.evaluation.interval_metrics import IntervalSums
from swt_time.evaluation.interval_scores import (
    IntervalScores,
    add_windows,
    interval_json,
    interval_lines,
    interval_scores,
    sampled,
)
from swt_time.evaluation.metrics import ErrorSums, seasonal_scale
from swt_time.evaluation.naive import SeasonalNaive
from swt_time.evaluation.text import METRICS, TITLES, finite_only, line, shortened, spread
from swt_time.evaluation.uncertainty import LEVELS
from swt_time.intervals import Calibration
from swt_time.machine import peak_memory

BATCH = 512

SHOWN_SERIES = 10
"""Maximum number of series in the text; of a larger table, those with the largest errors are listed."""

SHOWN_STEPS = 6
"""Maximum number of steps of the horizon in the text."""


@dataclass(frozen=True)
class Scores:
    """Errors over all points of all windows, on scaled data and in the units of the table.

    Each set of errors is ``{"mse", "mae", "rmse", "mase", "smape"}``, see `swt_time.evaluation.metrics`. MASE is
    relative to the seasonal naive error within the train part of each series, so it is the same on scaled data. Errors
    in original units mix the units of the columns of a table; those in ``per_series`` do not.

    Attributes
    ----------
    scaled, original : dict
    per_series : dict
        ``{id: {errors on scaled data, "original": {errors}, "points": observed targets}}``.
    per_step : dict
        ``{metric: [error of each step], "original": {...}}``.
    points, unobserved : int
        Targets that were observed and scored, and targets that were not observed and are left out.
    windows : int
        Number of forecast origins: the columns of a wide table share a window, each series of a long table has its own.
    horizon, series : int
    seconds : float
        Wall time of forecasting and scoring.
    peak_memory_bytes : int or None
        See `swt_time.machine.peak_memory`.
    intervals : IntervalScores or None
    """

    scaled: dict[str, float]
    original: dict[str, float]
    per_series: dict[str, dict[str, Any]]
    per_step: dict[str, Any]
    points: int
    unobserved: int
    windows: int
    horizon: int
    series: int
    seconds: float
    peak_memory_bytes: int | None
    intervals: IntervalScores | None = None

    @property
    def mse(self) -> float:
        """Mean squared error on scaled data."""
        return self.scaled["mse"]

    @property
    def mae(self) -> float:
        """Mean absolute error on scaled data."""
        return self.scaled["mae"]


def score(
    forecaster: Scorable,
    part: PartWindows,
    *,
    calibration: Calibration | None = None,
    levels: Sequence[float] = LEVELS,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Scores:
    """Score every window of a part.

    Parameters
    ----------
    forecaster : Scorable
    part : PartWindows
    calibration : Calibration, optional
        Of the forecaster; without it no intervals are scored.
    levels : sequence of float
        Intervals that are scored, in percent.
    report : callable
        Called with the number of windows done and the total number.
    """
    began = time.perf_counter()
    table, scaler, total = part.table, part.scaler, len(part)
    scales = mase_scales(table, part.train_rows)
    scaled = ErrorSums(part.windows.horizon, len(table.ids), scales / scaler.std)
    original = ErrorSums(part.windows.horizon, len(table.ids), scales)
    around, chosen = IntervalSums(levels, len(table.ids), scales), sampled(total, part.season)
    for begin in range(0, total, BATCH):
        indices = np.arange(begin, min(begin + BATCH, total))
        _, targets = part.gather(indices)
        forecasts, series = forecast_part(forecaster, part, indices), part.series_of(indices)
        scaled.update(forecasts, targets, series)
        yhat, truth = _unscaled(forecasts, series, scaler), part.unscaled_targets(indices)
        original.update(yhat, truth, series)
        if calibration is not None:
            rows = chosen[indices]
            pairs = part.places(indices[rows]) + np.array([0, part.windows.context])
            spread = spread_part(forecaster, part, indices[rows]) if calibration.own else None
            add_windows(around, calibration, table, pairs, yhat=yhat[rows], target=truth[rows], spread=spread)
        report(int(indices[-1]) + 1, total)
    if not scaled.points.any():
        raise TableError("no value of the scored part was observed; provide more rows, or set data.split otherwise")
    return Scores(
        scaled=scaled.overall(),
        original=original.overall(),
        per_series=errors_by_series(table.ids, scaled, original),
        per_step={**_lists(scaled.per_step()), "original": _lists(original.per_step())},
        points=int(scaled.points.sum()),
        unobserved=total * part.windows.horizon - int(scaled.points.sum()),
        windows=int(part.windows.counts.max()) if table.layout == "wide" else total,
        horizon=part.windows.horizon,
        series=len(table.ids),
        seconds=time.perf_counter() - began,
        peak_memory_bytes=peak_memory(),
        intervals=interval_scores(around, table.ids, scaler.std) if around.points.any() else None,
    )


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model and of seasonal naive on the same windows.

    The intervals of seasonal naive are made as those of the model, from its errors on the rows before the test part.
    """

    model: Scores
    seasonal_naive: Scores
    season: int
    split: str

    @property
    def intervals(self) -> dict[str, IntervalScores]:
        """Scores of intervals by method; empty if the model has none."""
        methods = {"swt-time": self.model, "seasonal naive": self.seasonal_naive}
        return {name: one.intervals for name, one in methods.items() if one.intervals is not None}

    def as_json(self) -> dict[str, Any]:
        """Return the scores as plain values; the errors of the model on scaled data are at the top level."""
        naive = {**self.seasonal_naive.scaled, "original": self.seasonal_naive.original, "season": self.season}
        found: dict[str, Any] = finite_only(
            {
                **self.model.scaled,
                **{name: value for name, value in vars(self.model).items() if name != "scaled"},
                "split": self.split,
                "seasonal_naive": naive,
                "intervals": interval_json(self.intervals),
            }
        )
        return found

    def by_series(self) -> dict[str, np.ndarray]:
        """Return the errors of each series as columns, see `series_columns`."""
        naive = {"seasonal_naive": self.seasonal_naive.per_series}
        return series_columns(self.model.per_series, naive, self.model.intervals)

    def as_text(self) -> Iterator[str]:
        """Yield the lines of a text table."""
        model, naive = self.model, self.seasonal_naive
        memory = "" if model.peak_memory_bytes is None else f", peak memory {model.peak_memory_bytes / 2**20:.0f} MiB"
        yield (
            f"{model.windows} test windows, {model.series} series, horizon {model.horizon}, split {self.split}; "
            f"{model.seconds:.1f} s{memory}"
        )
        if model.unobserved:
            total = model.points + model.unobserved
            yield f"{model.points:,} of {total:,} values were observed and are scored"
        yield ""
        yield line("scaled data", *TITLES)
        names = ("swt-time", f"seasonal naive {self.season}")
        for name, one in zip(names, (model, naive), strict=True):
            yield line(name, *(one.scaled[metric] for metric in METRICS))
        yield line("original units")
        for name, one in zip(names, (model, naive), strict=True):
            yield line(name, *(one.original[metric] for metric in METRICS))
        yield from interval_lines(dict(zip(names, self.intervals.values(), strict=False)), scaled=True)
        if model.intervals is not None and model.intervals.points < model.points:
            yield f"intervals are scored on {model.intervals.points:,} of these values, evenly spread over the windows"
        yield ""
        yield line("step (scaled)", *TITLES)
        for step in spread(model.horizon, SHOWN_STEPS):
            yield line(str(step + 1), *(model.per_step[metric][step] for metric in METRICS))
        if model.series > 1:
            yield ""
            shown = list(model.per_series.items())
            worst = len(shown) > SHOWN_SERIES
            if worst:
                shown = sorted(shown, key=lambda item: -np.nan_to_num(item[1]["mse"], nan=-1))[:SHOWN_SERIES]
            title = f"worst {SHOWN_SERIES} (scaled)" if worst else "series (scaled)"
            shorter, width = shortened([name for name, _ in shown])
            yield line(title, *TITLES, width=width)
            for name, (_, errors) in zip(shorter, shown, strict=True):
                yield line(name, *(errors[metric] for metric in METRICS), width=width)


def evaluate_table(
    forecaster: Scorable,
    series: SeriesTable,
    split: str,
    context: int,
    horizon: int,
    *,
    pad: bool = False,
    calibration: Calibration | None = None,
    levels: Sequence[float] = LEVELS,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Score a forecaster and seasonal naive on every test window of a table.

    The scaler is fitted on the train part of this table, so a model can be scored on a table that it never saw.

    Parameters
    ----------
    forecaster : Scorable
    series : SeriesTable
    split : str
    context, horizon : int
    pad : bool
        Whether windows that begin before their series are scored too, of series that have no others.
    calibration, levels
        See `score`.
    report : callable
        Called with the number of windows done and the total number.

    Raises
    ------
    ConfigError
        The split has no test part.
    TableError
        The test part is too short for a single window.
    """
    parts = split_table(series, split, context, horizon, pad=pad)
    if len(parts.test) == 0:
        if split == "none":
            raise ConfigError("data.split 'none' has no test part; set it to a split with one, such as 0.7/0.1/0.2")
        raise TableError(
            f"the test part of data.split {split!r} holds no window of horizon {horizon}; provide more rows or set "
            "data.split to a longer test part"
        )
    season = season_length(series.frequency)
    seasonal = SeasonalNaive(season, horizon)
    own = None if calibration is None else calibrate_naive(seasonal, series, rows_before(parts.test))
    naive = score(seasonal, parts.test, calibration=own, levels=levels)
    model = score(forecaster, parts.test, calibration=calibration, levels=levels, report=report)
    return Evaluation(model, naive, season, split)


def mase_scales(table: SeriesTable, rows: Sequence[int]) -> np.ndarray:
    """Seasonal naive error within the first rows of each series, (N,); NaN if they are not longer than a season."""
    season = season_length(table.frequency)
    known = known_values(table, np.stack([np.arange(len(table.ids)), rows], axis=1))
    return np.array([seasonal_scale(one, season) if len(one) > season else math.nan for one in known])


def _unscaled(forecasts: np.ndarray, series: np.ndarray, scaler: Scaler) -> np.ndarray:
    """Return forecasts (B, H) in the units of the table."""
    values = scaler.invert(forecasts, series)
    # A zero becomes a rounding error of the mean, which sMAPE would count as an error of 200 %.
    rounding = float(np.finfo(np.float32).eps) * np.abs(scaler.mean[series])[:, None]
    return np.where(np.abs(values) <= rounding, 0.0, values)


def errors_by_series(ids: tuple[str, ...], scaled: ErrorSums, original: ErrorSums) -> dict[str, dict[str, Any]]:
    """Errors of each series on scaled data, ``"original"`` ones, and the number of observed ``"points"``."""
    one, other, points = _lists(scaled.per_channel()), _lists(original.per_channel()), original.points.sum(axis=1)
    return {
        name: {
            **{k: v[i] for k, v in one.items()},
            "original": {k: v[i] for k, v in other.items()},
            "points": int(points[i]),
        }
        for i, name in enumerate(ids)
    }


def series_columns(
    model: Mapping[str, dict[str, Any]],
    baselines: Mapping[str, Mapping[str, dict[str, Any]]],
    intervals: IntervalScores | None = None,
) -> dict[str, np.ndarray]:
    """Arrange errors by series as columns of a table.

    Parameters
    ----------
    model : mapping
        See `errors_by_series`.
    baselines : mapping of str to mapping
        The same of each baseline, by the prefix of its columns.
    intervals : IntervalScores, optional
        Of the model.

    Returns
    -------
    dict of str to (N,) array
        ``points``; the errors of the model in the units of the table, ``mse`` to ``smape``; ``scaled_mse``,
        ``scaled_mae`` and ``scaled_rmse``; ``coverage_80`` and so on and ``crps``; the errors of each baseline in the
        units of the table.
    """
    columns = {"points": np.array([one["points"] for one in model.values()], dtype=np.int64)}
    for name in METRICS:
        columns[name] = np.array([one["original"][name] for one in model.values()])
    for name in METRICS[:3]:
        columns[f"scaled_{name}"] = np.array([one[name] for one in model.values()])
    columns |= {} if intervals is None else intervals.columns()
    for prefix, errors in baselines.items():
        for name in METRICS:
            columns[f"{prefix}_{name}"] = np.array([one["original"][name] for one in errors.values()])
    return columns


def _lists(errors: dict[str, np.ndarray]) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in errors.items()}
