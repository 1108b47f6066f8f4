"""Errors of forecasts from several cutoffs, beside those of seasonal naive and of the last value on the same rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swt_time.data.frequency import season_length
from swt_time.data.origins import values_after
from swt_time.data.scaling import fit_scaler
from swt_time.data.series import SeriesTable
from swt_time.errors import CheckpointError, TableError
from swt_time.evaluation.backtesting import Folds
from swt_time.evaluation.calibrating import calibrate_naive
from swt_time.evaluation.interval_metrics import IntervalSums
from swt_time.evaluation.interval_scores import (
    IntervalScores,
    add_windows,
    interval_json,
    interval_lines,
    interval_scores,
)
from swt_time.evaluation.metrics import ErrorSums
from swt_time.evaluation.naive import SeasonalNaive, naive_forecasts
from swt_time.evaluation.scoring import errors_by_series, mase_scales, series_columns
from swt_time.evaluation.text import METRICS, NAME_WIDTH, TITLES, finite_only, line, spread
from swt_time.evaluation.uncertainty import LEVELS

MODEL, BASELINES = "swt-time", ("seasonal naive", "last value")

SHOWN_CUTOFFS = 12
"""Most cutoffs in the text."""

Errors = dict[str, dict[str, float]]
"""Errors by method, then by metric."""


@dataclass(frozen=True)
class FoldScores:
    """Errors of a model and of two baselines on the rows after each cutoff.

    MASE is relative to the seasonal naive error within the rows before the first cutoff of each series, and errors on
    scaled data are in units of the standard deviation of these rows.

    Attributes
    ----------
    cutoffs : list of str or None
        The last known time of each fold; None where it differs between series.
    per_cutoff : list of dict
        Errors of each fold in the units of the table.
    original, scaled : dict
        Errors over all folds in the units of the table, and on scaled data.
    per_series : dict
        By method, see `swt_time.evaluation.scoring.errors_by_series`.
    points, unobserved : int
        Values that were observed and scored, and values that were not observed and are left out.
    series, horizon, season : int
    intervals : dict of str to IntervalScores
        Of the model, and of intervals that are made in the same way for seasonal naive from its errors before the first
        cutoff; empty if a model has none.
    """

    cutoffs: list[str | None]
    per_cutoff: list[Errors]
    original: Errors
    scaled: Errors
    per_series: dict[str, dict[str, dict[str, Any]]]
    points: int
    unobserved: int
    series: int
    horizon: int
    season: int
    intervals: dict[str, IntervalScores]

    def as_json(self) -> dict[str, Any]:
        """Return the scores as plain values."""
        folds = [{"cutoff": at, **errors} for at, errors in zip(self.cutoffs, self.per_cutoff, strict=True)]
        own = {name: value for name, value in vars(self).items() if name != "cutoffs"}
        own |= {"windows": len(folds), "per_cutoff": folds, "intervals": interval_json(self.intervals)}
        found: dict[str, Any] = finite_only(own)
        return found

    def by_series(self) -> dict[str, np.ndarray]:
        """Return the errors of each series as columns, see `swt_time.evaluation.scoring.series_columns`."""
        baselines = {name.replace(" ", "_"): self.per_series[name] for name in BASELINES}
        return series_columns(self.per_series[MODEL], baselines, self.intervals.get(MODEL))

    def pits(self) -> dict[str, np.ndarray]:
        """Return the share of observed values between neighbouring deciles by method, (10,) each.

        Raises
        ------
        CheckpointError
            The model has no deciles.
        """
        found = {self._shown(name): one.pit for name, one in self.intervals.items() if np.isfinite(one.pit).all()}
        if MODEL not in found:
            raise CheckpointError(
                "the model has no deciles, or too few errors on rows that it was not fitted to for them; use a longer "
                "table, or a validation part (data.split 0.7/0.1/0.2)"
            )
        return found

    def as_text(self) -> Iterator[str]:
        """Yield the lines of a text table."""
        yield f"{len(self.cutoffs)} cutoffs, {self.series} series, horizon {self.horizon}"
        yield f"{self.points:,} of {self.points + self.unobserved:,} values were observed and are scored"
        yield ""
        yield line("original units", *TITLES, width=NAME_WIDTH + 4)
        for k in spread(len(self.cutoffs), SHOWN_CUTOFFS):
            at = self.cutoffs[k]
            yield f"cutoff {k + 1}" + ("" if at is None else f", {at}")
            yield from self._lines(self.per_cutoff[k])
        yield "all cutoffs"
        yield from self._lines(self.original)
        yield "all cutoffs, scaled data"
        yield from self._lines(self.scaled, METRICS[:3])
        intervals = {f"  {self._shown(name)}": one for name, one in self.intervals.items()}
        yield from interval_lines(intervals, width=NAME_WIDTH + 4)

    def _lines(self, errors: Errors, metrics: Sequence[str] = METRICS) -> Iterator[str]:
        for name, one in errors.items():
            yield line(f"  {self._shown(name)}", *(one[metric] for metric in metrics), width=NAME_WIDTH + 4)

    def _shown(self, name: str) -> str:
        return f"{name} {self.season}" if name == BASELINES[0] else name


def score_folds(folds: Folds, levels: Sequence[float] = LEVELS) -> FoldScores:
    """Score forecasts from past cutoffs.

    Parameters
    ----------
    folds : Folds
    levels : sequence of float
        Intervals that are scored, in percent.

    Raises
    ------
    TableError
        No value after a cutoff was observed.
    """
    series, origins, pairs = folds.series, folds.origins, folds.pairs
    count, windows, horizon = folds.yhat.shape
    season = season_length(series.frequency)
    target = values_after(series, pairs, horizon)
    if np.isnan(target).all():
        raise TableError("no value after a cutoff was observed; provide more rows, or use more windows")
    forecasts = {
        MODEL: folds.yhat.reshape(-1, horizon),
        BASELINES[0]: naive_forecasts(series, pairs, season, horizon),
        BASELINES[1]: naive_forecasts(series, pairs, 1, horizon),
    }
    scaler = fit_scaler(series.values, origins[:, 0].tolist(), series.observed)
    scales = mase_scales(series, origins[:, 0].tolist())
    fold = np.tile(np.arange(windows), count)
    cutoff_errors: list[Errors] = [{} for _ in range(windows)]
    original: Errors = {}
    scaled: Errors = {}
    per_series = {}
    for name, yhat in forecasts.items():
        whole = ErrorSums(horizon, count, scales)
        relative = ErrorSums(horizon, count, scales / scaler.std)
        whole.update(yhat, target, pairs[:, 0])
        scaled_yhat, scaled_target = (scaler.apply_to_windows(one, pairs[:, 0]) for one in (yhat, target))
        relative.update(scaled_yhat, scaled_target, pairs[:, 0])
        original[name], scaled[name] = whole.overall(), relative.overall()
        per_series[name] = errors_by_series(series.ids, relative, whole)
        for k in range(windows):
            part = ErrorSums(horizon, count, scales)
            part.update(yhat[fold == k], target[fold == k], pairs[fold == k, 0])
            cutoff_errors[k][name] = part.overall()
    points = int(whole.points.sum())
    return FoldScores(
        cutoffs=[_common_time(series, origins[:, k]) for k in range(windows)],
        per_cutoff=cutoff_errors,
        original=original,
        scaled=scaled,
        per_series=per_series,
        points=points,
        unobserved=target.size - points,
        series=count,
        horizon=horizon,
        season=season,
        intervals=_score_intervals(folds, levels, target, naive=forecasts[BASELINES[0]], scales=scales, std=scaler.std),
    )


def _score_intervals(
    folds: Folds, levels: Sequence[float], target: np.ndarray, *, naive: np.ndarray, scales: np.ndarray, std: np.ndarray
) -> dict[str, IntervalScores]:
    """Scores of the intervals of the model and of seasonal naive, whose forecasts are ``naive``."""
    series, pairs, (count, windows, horizon) = folds.series, folds.pairs, folds.yhat.shape
    own = [one for one in folds.calibrations if one is not None]
    if len(own) < windows:
        return {}
    found = {MODEL: IntervalSums(levels, count, scales)}
    for k, calibration in enumerate(own):
        rows = slice(k, None, windows)
        spread = None if folds.spread is None else folds.spread[:, :, k]
        add_windows(
            found[MODEL], calibration, series, pairs[rows], yhat=folds.yhat[:, k], target=target[rows], spread=spread
        )
    seasonal = SeasonalNaive(season_length(series.frequency), horizon)
    baseline = calibrate_naive(seasonal, series, folds.origins[:, 0])
    if baseline is not None:
        found[BASELINES[0]] = IntervalSums(levels, count, scales)
        add_windows(found[BASELINES[0]], baseline, series, pairs, yhat=naive, target=target)
    return {name: interval_scores(sums, series.ids, std) for name, sums in found.items()}


def _common_time(series: SeriesTable, rows: np.ndarray) -> str | None:
    """Return the last known time, if it is the same in all series."""
    times = {str(times[stop - 1]) for times, stop in zip(series.times, rows.tolist(), strict=True)}
    return times.pop() if len(times) == 1 else None
