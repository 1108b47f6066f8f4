"""The residuals that the intervals of a trained forecaster, and those of seasonal naive, are made of."""

from dataclasses import fields
from typing import Any

import numpy as np

from swt_time.checkpoints import Checkpoint
from swt_time.data.frequency import season_length
from swt_time.data.origins import known_values, values_after
from swt_time.data.parts import Parts
from swt_time.data.series import SeriesTable
from swt_time.data.windows import evenly
from swt_time.evaluation.naive import naive_forecasts
from swt_time.evaluation.trained import Trained
from swt_time.intervals import Calibration, Residuals, fit_calibration, reach
from swt_time.model.alone import prior_of
from swt_time.model.closed_form import FormRecord, held_out_residuals

MOST_WINDOWS = 2**10
"""Most validation windows that are forecast for residuals; at most ``training.validation_windows``."""

STRETCHES = 4
"""Blocks that the validation windows are divided into, in time."""


def calibrate(trained: Trained, parts: Parts, chosen: Residuals | None) -> Checkpoint:
    """Return the checkpoint of a forecaster with intervals, as far as there are rows that it was not fitted to.

    Parameters
    ----------
    trained : Trained
    parts : Parts
        Of the training table.
    chosen : Residuals or None
        Of the forecast that was chosen on held-out blocks.

    Returns
    -------
    Checkpoint

    Notes
    -----
    A network that was trained by gradients has residuals on the validation part. A closed form has them on the blocks
    on which it was chosen (`swt_time.selection`), or else on blocks of the training and validation windows of which
    each is left out once. A test part is never read.
    """
    checkpoint = trained.checkpoint
    residuals = None
    if trained.is_closed_form:
        residuals = chosen if chosen is not None or trained.blend is not None else _out_of_fold(trained, parts)
    if residuals is None:
        residuals = _validation(trained, parts)
    if residuals is None:
        return checkpoint
    season = season_length(parts.table.frequency)
    histories = known_values(parts.table, residuals.pairs, reach(season))
    calibration = fit_calibration(residuals, histories, season)
    if calibration is None:
        return checkpoint
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


def _describe_scale(calibration: Calibration) -> str:
    if calibration.own == 1:
        return "of the network's quantiles"
    if calibration.own:
        return "of the window and of the network's quantiles"
    return "of the window" if calibration.coefficients.any() else "of the seasonal differences"


def _out_of_fold(trained: Trained, parts: Parts) -> Residuals | None:
    """Residuals of the closed form on blocks that were left out."""
    solved = trained.closed_form
    if solved is None:
        return None
    context, prior = trained.context, prior_of(trained.checkpoint.config.embedding)
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


def _validation(trained: Trained, parts: Parts) -> Residuals | None:
    """Residuals on the validation part; None if it has no window."""
    part, config = parts.validation, trained.checkpoint.config
    if not len(part):
        return None
    index = evenly(len(part), min(MOST_WINDOWS, config.training.validation_windows or MOST_WINDOWS))
    pairs = part.places(index) + np.array([0, trained.context])
    values = values_after(part.table, pairs, config.data.horizon) - trained.forecast_origins(part.table, pairs)
    spread = trained.spreads(part.table, pairs)
    if part.windows.pad:  # targets beyond the validation part belong to the test part
        steps = pairs[:, 1:] + np.arange(config.data.horizon)
        values[steps >= part.windows.stops[pairs[:, :1]]] = np.nan
    return Residuals(pairs, values, _stretches(pairs), "validation part", spread)


def calibrate_naive(series: SeriesTable, rows: np.ndarray, season: int, horizon: int) -> Calibration | None:
    """Learn intervals of seasonal naive from its errors within the first rows of each series.

    Parameters
    ----------
    series : SeriesTable
    rows : (N,) int array
        Rows of each series that may be read.
    season, horizon : int

    Returns
    -------
    Calibration or None
        None if no series has a season and a horizon of such rows.
    """
    origins = np.maximum(rows - horizon - season + 1, 0)  # of each series, from its first season on
    ends = np.cumsum(origins)
    if not ends[-1]:
        return None
    chosen = evenly(int(ends[-1]), MOST_WINDOWS)
    index = np.searchsorted(ends, chosen, side="right")
    pairs = np.stack([index, season + chosen - (ends - origins)[index]], axis=1)
    values = values_after(series, pairs, horizon) - naive_forecasts(series, pairs, season, horizon)
    residuals = Residuals(pairs, values, _stretches(pairs), "rows before")
    return fit_calibration(residuals, known_values(series, pairs, reach(season)), season)


def _stretches(pairs: np.ndarray) -> np.ndarray:
    """Blocks of forecast origins in time."""
    order = np.argsort(np.argsort(pairs[:, 1], kind="stable"), kind="stable")
    return np.asarray(order * STRETCHES // len(order))
