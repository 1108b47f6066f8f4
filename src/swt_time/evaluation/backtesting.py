"""Rolling origins: forecasts from several cutoffs inside a table, by a trained model or by one fitted before a cutoff.

Shapes: ``N`` series, ``K`` cutoffs of each, ``H`` horizon.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from swt_time.data.forecasts import cross_validation_frame
from swt_time.data.series import SeriesTable, series_sha256, too_short
from swt_time.data.splits import split_borders
from swt_time.data.windows import rolling_origins
from swt_time.errors import SWTTimeWarning, TableError
from swt_time.evaluation.trained import Trained
from swt_time.evaluation.uncertainty import NOTHING, Uncertainty
from swt_time.intervals import Calibration

SEEN = (
    "the model was trained on all rows of its table (data.split none): of that table it has seen the rows that are "
    "scored; train with data.split 0.7/0.1/0.2 to keep a test part"
)


@dataclass(frozen=True)
class Folds:
    """Forecasts from past cutoffs.

    Attributes
    ----------
    series : SeriesTable
        The series that were forecast.
    origins : (N, K) int64 array
        How many rows of each series are known at each cutoff, ascending.
    yhat : (N, K, H) float64 array
        Forecasts of the rows after each cutoff, in the units of the table.
    around : mapping of str to (N, K, H) float64 array
        Bounds, quantiles and sample paths by name of their column; see `swt_time.evaluation.uncertainty`.
    calibrations : tuple of K Calibration or None
        Of the model that forecast from each cutoff; may be empty.
    spread : (2, N, K, H) float64 array or None
        The models' own spread below and above each forecast, if a calibration is relative to it; else None.
    """

    series: SeriesTable
    origins: np.ndarray
    yhat: np.ndarray
    around: Mapping[str, np.ndarray] = field(default_factory=dict)
    calibrations: tuple[Calibration | None, ...] = ()
    spread: np.ndarray | None = None

    @property
    def pairs(self) -> np.ndarray:
        """Series index and known rows of each forecast, (N * K, 2)."""
        return _pairs(self.origins)

    def frame(self, like: Any) -> Any:
        """Return ids, time, ``cutoff``, true values, ``yhat`` and the columns around it in the library of a frame.

        See `cross_validation_frame`.
        """
        horizon = self.yhat.shape[2]
        around = {name: one.reshape(-1, horizon) for name, one in self.around.items()}
        return cross_validation_frame(self.series, self.pairs, self.yhat.reshape(-1, horizon), like, around)


def cross_validate(
    trained: Trained,
    series: SeriesTable,
    windows: int,
    step: int | None = None,
    *,
    strict: bool = False,
    asked: Uncertainty = NOTHING,
) -> Folds:
    """Forecast from several cutoffs of each series with a model as it is; see `Forecaster.cross_validation`."""
    horizon = trained.checkpoint.config.data.horizon
    chosen, origins = _roll(series, horizon, windows, step, least=trained.least_rows, strict=strict)
    _note_seen(trained, series, chosen, origins)
    series = series.select(chosen)
    yhat = trained.forecast_origins(series, _pairs(origins))
    spread = trained.spreads(series, _pairs(origins))
    around = asked.columns(trained, series, _pairs(origins), yhat, spread)
    shape = (*origins.shape, horizon)
    around = {name: one.reshape(shape) for name, one in around.items()}
    own = None if spread is None else spread.reshape(2, *shape)
    return Folds(series, origins, yhat.reshape(shape), around, (trained.calibration,) * windows, own)


def backtest(
    fit: Callable[[SeriesTable], Trained],
    series: SeriesTable,
    horizon: int,
    windows: int,
    step: int | None = None,
    *,
    refit: bool = False,
    asked: Uncertainty = NOTHING,
) -> Folds:
    """Forecast from several cutoffs of each series, with a model that was fitted on the rows before.

    Parameters
    ----------
    fit : callable
        Fits a model on the rows that are known at a cutoff.
    series : SeriesTable
        A series that is too short for all cutoffs is left out, with a warning.
    horizon, windows : int
    step : int, optional
        Rows between cutoffs; by default the horizon.
    refit : bool
        Fit before every cutoff; by default only before the first one.
    asked : Uncertainty
        What is computed around each forecast. A column that some fit cannot give is left out.

    Raises
    ------
    TableError
        No series is long enough.
    """
    chosen, origins = _roll(series, horizon, windows, step, least=1, strict=False)
    series = series.select(chosen)
    if len(np.unique(series.last)) > 1:
        _warn(
            "the series end at different times and their cutoffs are counted back from their own ends: a fit before a "
            "cutoff of one series may see rows of another series that are later in the calendar"
        )
    kept = np.arange(len(series.ids))
    yhat = np.empty((*origins.shape, horizon))
    around: list[dict[str, np.ndarray]] = []
    own = None
    calibrations: list[Calibration | None] = []
    for first in range(windows) if refit else [0]:
        trained = fit(series.cut(origins[:, first].tolist()))
        kept = kept[origins[kept, first] >= trained.least_rows]
        if len(kept) == 0:
            raise TableError(
                f"no series has the {trained.least_rows} rows before the first cutoff that the model needs (its "
                "context); use fewer windows or a smaller step"
            )
        known = origins[kept, first : first + 1] if refit else origins[kept]
        pairs = np.stack([np.repeat(kept, known.shape[1]), known.reshape(-1)], axis=1)
        forecasts = trained.forecast_origins(series, pairs)
        yhat[kept, first : first + known.shape[1]] = forecasts.reshape(*known.shape, horizon)
        calibrations += [trained.calibration] * known.shape[1]
        spread = trained.spreads(series, pairs)
        if spread is not None:
            own = np.full((2, *yhat.shape), np.nan) if own is None else own
            own[:, kept, first : first + known.shape[1]] = spread.reshape(2, *known.shape, horizon)
        found = asked.columns(trained, series, pairs, forecasts, spread)
        around.append({name: np.full_like(yhat, np.nan) for name in found})
        for name, one in found.items():
            around[-1][name][kept, first : first + known.shape[1]] = one.reshape(*known.shape, horizon)
    if len(kept) < len(series.ids):
        short = np.setdiff1d(np.arange(len(series.ids)), kept).tolist()
        _warn(too_short(series, short, "the model needs more rows before a cutoff (its context)"))
    series, own = series.select(kept.tolist()), None if own is None else own[:, kept]
    return Folds(series, origins[kept], yhat[kept], _together(around, kept), tuple(calibrations), own)


def _together(around: list[dict[str, np.ndarray]], kept: np.ndarray) -> dict[str, np.ndarray]:
    """Columns that every fit has, of the series that were kept; each value is of the fit that has it."""
    names = [name for name in around[0] if all(name in one for one in around)]
    found = {name: around[0][name] for name in names}
    for later in around[1:]:
        found = {name: np.where(np.isnan(one), later[name], one) for name, one in found.items()}
    return {name: one[kept] for name, one in found.items()}


def _pairs(origins: np.ndarray) -> np.ndarray:
    return np.stack([np.repeat(np.arange(len(origins)), origins.shape[1]), origins.reshape(-1)], axis=1)


def _roll(
    series: SeriesTable, horizon: int, windows: int, step: int | None, *, least: int, strict: bool
) -> tuple[list[int], np.ndarray]:
    """Return the indices of the series that are long enough, and their origins (N, K); a warning names the others."""
    chosen: list[int] = []
    short: list[int] = []
    origins = []
    for i, rows in enumerate(series.lengths.tolist()):
        try:
            found = rolling_origins(rows, horizon, windows, step, least)
            if not series.observed[i][: found[0]].any():
                raise TableError(f"series {series.ids[i]!r} has no observed value before the first cutoff")
        except TableError:
            short.append(i)
            if strict or len(short) == len(series.ids):
                raise
            continue
        chosen.append(i)
        origins.append(found)
    if short:
        _warn(too_short(series, short, f"{windows} cutoffs need more rows"))
    return chosen, np.stack(origins)


def _note_seen(trained: Trained, series: SeriesTable, chosen: list[int], origins: np.ndarray) -> None:
    """Warn if the model was trained on rows that it is about to be scored on."""
    seen = seen_rows(trained, series, series.lengths[chosen], origins[:, 0])
    if seen is not None:
        _warn(seen)


def seen_rows(trained: Trained, series: SeriesTable, lengths: np.ndarray, first: np.ndarray) -> str | None:
    """Say why a model was, or may have been, trained on rows after the first cutoffs; None if it was not.

    Parameters
    ----------
    trained : Trained
    series : SeriesTable
        The whole table.
    lengths, first : (M,) int arrays
        Rows of the series that are forecast, and those known at their first cutoff.
    """
    checkpoint = trained.checkpoint
    split = checkpoint.config.data.split
    if split == "none":
        return SEEN
    if checkpoint.provenance.get("data_sha256") != series_sha256(series):
        return None
    test = np.array([split_borders(rows, split).test[0] for rows in lengths.tolist()])
    if (first < test).any():
        return (
            f"the model was trained on this table (data.split {split}) and has seen some of the rows that are scored: "
            "the first cutoff lies before the test part; use fewer windows or a smaller step"
        )
    return None


def _warn(note: str) -> None:
    warnings.warn(note, SWTTimeWarning, stacklevel=5)
