"""The residuals that the intervals of a trained forecaster, and those of a baseline, are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from swt_time.checkpoints import Checkpoint
from swt_time.data.frequency import season_length
from swt_time.data.origins import known_values, values_after
from swt_time.data.parts import Parts, PartWindows
from swt_time.data.series import SeriesTable
from swt_time.data.windows import evenly
from swt_time.effects import FittedEffects
from swt_time.evaluation.forecasting import Scorable, TrainedModel, forecast_part, spread_part
from swt_time.evaluation.naive import SeasonalNaive, naive_forecasts
from swt_time.evaluation.trained import NEVER_CHANGED, Trained
from swt_time.intervals import Calibration, Residuals, fit_calibration, reach
from swt_time.model.alone import prior_of
from swt_time.model.closed_form import FormRecord, Prior, held_out_residuals

MOST_WINDOWS = 2**10
"""Most validation windows that are forecast for residuals; at most ``training.validation_windows``."""

STRETCHES = 4
"""Blocks that the validation windows are divided into, in time."""


def calibrate(
    trained: Trained,
    parts: Parts,
    chosen: Residuals | None,
    table: SeriesTable | None = None,
    effects: FittedEffects | None = None,
) -> Checkpoint:
    """Return the checkpoint of a forecaster with intervals, as far as there are rows that it was not fitted to.

    Parameters
    ----------
    trained : Trained
    parts : Parts
        Of the training table.
    chosen : Residuals or None
        Of the forecast that was chosen on held-out blocks.
    table : SeriesTable, optional
        The training table with the effects of covariates, where ``parts`` are without.
    effects : FittedEffects, optional
        These effects; the residuals of what is left without them are those of the whole where effects are added, and
        are multiplied where effects are.

    Returns
    -------
    Checkpoint

    Notes
    -----
    A network that was trained by gradients has residuals on the validation part. A closed form has them on the blocks
    on which it was chosen (`swt_time.selection`), or else on blocks of the training and validation windows of which
    each is left out once. A test part is never read.
    """
    checkpoint, most = trained.checkpoint, trained.checkpoint.config.training.validation_windows
    table = parts.table if table is None else table
    residuals = None
    if trained.is_closed_form:
        residuals = chosen
        if chosen is None and trained.blend is None:
            prior = prior_of(checkpoint.config.embedding)
            residuals = out_of_fold(prior, trained.closed_form, parts)
        if residuals is not None and effects is not None:
            residuals = effects.residuals(residuals)
    if residuals is None:
        residuals = _validation(trained, parts.validation, most, table)
    if residuals is None:
        return checkpoint
    season = season_length(table.frequency)
    return with_residuals(checkpoint, residuals, known_values(table, residuals.pairs, reach(season)), season)


def with_residuals(
    checkpoint: Checkpoint, residuals: Residuals, histories: Sequence[np.ndarray], season: int
) -> Checkpoint:
    """Return a checkpoint with the intervals that residuals give; see `swt_time.intervals.fit_calibration`."""
    calibration = fit_calibration(residuals, histories, season)
    if np.isnan(residuals.values).all():
        return checkpoint
    if calibration is None:
        return replace(checkpoint, provenance={**checkpoint.provenance, "intervals": NEVER_CHANGED})
    described: dict[str, Any] = {
        "residuals": f"of {residuals.source}",
        "blocks": len(np.unique(residuals.block)),
        "origins": len(residuals.pairs),
        "origins_without_overlap": residuals.independent,
        "per_step": int(calibration.counts.min()),
        "steps": "share their residuals" if calibration.shared else "have residuals of their own",
        "scale": _describe_scale(calibration),
        "widest_level": round(calibration.widest, 2),
    }
    return checkpoint.with_intervals(calibration, described)


def calibrate_windows(forecaster: Scorable, parts: Parts, most: int | None) -> Calibration | None:
    """Learn the intervals of a forecaster without a checkpoint, as `calibrate` does.

    Parameters
    ----------
    forecaster : Scorable
        A baseline that learns nothing has residuals on all rows before the test part.
    parts : Parts
        Of the training table.
    most : int or None
        ``training.validation_windows``.

    Returns
    -------
    Calibration or None
        None if there are no rows that the forecaster was not fitted to.
    """
    residuals = None
    match forecaster:
        case SeasonalNaive():
            return calibrate_naive(forecaster, parts.table, rows_before(parts.test))
        case TrainedModel(network=network, result=result) if network is not None and network.is_closed_form:
            residuals = out_of_fold(network.embed.prior(), result.closed_form, parts)
    if residuals is None:
        residuals = _validation(forecaster, parts.validation, most)
    return _learn(residuals, parts.table)


def _learn(residuals: Residuals | None, table: SeriesTable) -> Calibration | None:
    """Learn intervals from residuals, if there are any."""
    if residuals is None:
        return None
    season = season_length(table.frequency)
    return fit_calibration(residuals, known_values(table, residuals.pairs, reach(season)), season)


def _describe_scale(calibration: Calibration) -> str:
    if calibration.own == 1:
        return "of the network's quantiles"
    if calibration.own:
        return "of the window and of the network's quantiles"
    return "of the window" if calibration.coefficients.any() else "of the seasonal differences"


def out_of_fold(prior: Prior | None, solved: Mapping[str, Any] | None, parts: Parts) -> Residuals | None:
    """Residuals of the closed form on blocks that were left out; ``solved`` is the record of its form."""
    if solved is None:
        return None
    context = parts.train.windows.context
    form = FormRecord(**{one.name: solved[one.name] for one in fields(FormRecord)})
    found = held_out_residuals(parts.train, parts.validation, context, prior, form)
    if found is None:
        return None
    pairs = np.empty((len(found.index), 2), dtype=np.int64)
    for number, part in enumerate((parts.train, parts.validation)):
        rows = found.part == number
        pairs[rows] = part.places(found.index[rows]) + np.array([0, context])
    values = found.errors * parts.scaler.std[pairs[:, 0], None]
    return Residuals(pairs, values, found.block, "out-of-fold blocks")


def _validation(
    forecaster: Scorable, part: PartWindows, most: int | None, table: SeriesTable | None = None
) -> Residuals | None:
    """Return residuals on the validation part, of a ``table`` with effects where the part is without.

    None if the part has no window.
    """
    if not len(part):
        return None
    index, horizon = evenly(len(part), min(MOST_WINDOWS, most or MOST_WINDOWS)), part.windows.horizon
    pairs = part.places(index) + np.array([0, part.windows.context])
    if isinstance(forecaster, Trained) and table is not None and table is not part.table:
        values = values_after(table, pairs, horizon) - forecaster.forecast_origins(table, pairs)
        spread = forecaster.spreads_of_network(table, pairs)
    else:
        yhat = part.scaler.invert(forecast_part(forecaster, part, index), pairs[:, 0])
        values = values_after(part.table, pairs, horizon) - yhat
        spread = spread_part(forecaster, part, index)
    if part.windows.pad:  # targets beyond the validation part belong to the test part
        steps = pairs[:, 1:] + np.arange(horizon)
        values[steps >= part.windows.stops[pairs[:, :1]]] = np.nan
    return Residuals(pairs, values, _stretches(pairs), "validation part", spread)


def calibrate_naive(naive: SeasonalNaive, series: SeriesTable, rows: np.ndarray) -> Calibration | None:
    """Learn intervals of seasonal naive, or of the last value, from its errors within the first rows of each series.

    Parameters
    ----------
    naive : SeasonalNaive
    series : SeriesTable
    rows : (N,) int array
        Rows of each series that may be read.

    Returns
    -------
    Calibration or None
        None if no series has a season and a horizon of such rows.
    """
    first, horizon = naive.season, naive.horizon
    origins = np.maximum(rows - horizon - first + 1, 0)  # of each series, from its first season on
    ends = np.cumsum(origins)
    if not ends[-1]:
        return None
    chosen = evenly(int(ends[-1]), MOST_WINDOWS)
    index = np.searchsorted(ends, chosen, side="right")
    pairs = np.stack([index, first + chosen - (ends - origins)[index]], axis=1)
    values = values_after(series, pairs, horizon) - naive_forecasts(series, pairs, first, horizon)
    return _learn(Residuals(pairs, values, _stretches(pairs), "rows before"), series)


def rows_before(part: PartWindows) -> np.ndarray:
    """Rows of each series before the first target of a part, (N,); 0 of a series without windows in it."""
    windows = part.windows
    return np.where(windows.counts > 0, windows.first + windows.context, 0)


def _stretches(pairs: np.ndarray) -> np.ndarray:
    """Blocks of forecast origins in time."""
    order = np.argsort(np.argsort(pairs[:, 1], kind="stable"), kind="stable")
    return np.asarray(order * STRETCHES // len(order))
