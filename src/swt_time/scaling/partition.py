"""Forecasts of a frame of many series by a saved model: the one function that every engine runs.

It is picklable by its name, and so is `functools.partial` of it. The model is loaded once per process.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swt_time.checkpoints.storage import Location, recorded_hash
from swt_time.data.forecasts import forecast_frame
from swt_time.data.origins import ends
from swt_time.data.series import SeriesTable
from swt_time.errors import CheckpointError, TableError
from swt_time.evaluation.told import from_ends
from swt_time.evaluation.uncertainty import LEVELS, Uncertainty
from swt_time.files import expand_user
from swt_time.forecaster import Forecaster

ZERO = (
    "data.fill zero fills up to the end of the whole table, which one part of it does not show; write the zeros into "
    "the table, and leave data.fill out"
)


def forecast_partition(
    frame: Any,
    model: str | Path,
    *,
    levels: Sequence[float] | None = LEVELS,
    quantiles: Sequence[float] | None = None,
    samples: int = 0,
    strict: bool = False,
    short: str | None = None,
    backbone: str | Path | None = None,
    device: str = "auto",
    allow_backbone_change: bool = False,
    reading: Mapping[str, Any] | None = None,
    sha256: str | None = None,
) -> Any:
    """Forecast the steps after the end of every series of a frame that holds these series whole.

    Parameters
    ----------
    frame : DataFrame
        Long; with all rows of its series. Rows after the last value, with the columns of ``data.known``, are the
        future, as in `Forecaster.predict`.
    model : path
        A checkpoint folder that every process can read.
    levels, quantiles, samples, strict
        As of `Forecaster.predict`. With ``strict`` a series that is too short is an error, otherwise it is left out
        with a warning, also if no series is left.
    short, backbone, device, allow_backbone_change
        As of `Forecaster.load`.
    reading : mapping, optional
        Keys of the section ``data``, see `Forecaster.read_series`. The frequency is that of the model by default.
    sha256 : str, optional
        Expected hash of the model, see `model_hash`; another model is refused.

    Returns
    -------
    DataFrame
        As of `Forecaster.predict`; the order of the series is that of the frame.

    Raises
    ------
    CheckpointError, TableError
        As of `Forecaster.load` and `Forecaster.predict`; the frame is not long, or ``data.fill`` is zero.
    """
    asked = Uncertainty(levels or (), quantiles or (), samples)
    folder = expand_user(model, CheckpointError).absolute()
    found = model_hash(folder)
    if sha256 is not None and found != sha256:
        raise CheckpointError(f"the model {folder} was replaced during the run; run it again")
    name = None if backbone is None else str(backbone)
    forecaster = _loaded(
        str(folder), found, backbone=name, device=device, allow_backbone_change=allow_backbone_change, short=short
    )
    options = dict(reading or {})
    frequency = forecaster.trained.checkpoint.trained_on.frequency
    if frequency is not None:
        options.setdefault("frequency", frequency)  # of a few short series none could be found
    series = from_ends(forecaster.read_series(frame, **options))
    if series.fill == "zero":
        raise TableError(ZERO)
    if series.layout != "long":
        raise TableError("expected a long table with a column of ids; a wide one cannot be divided by series")
    if not strict and series.lengths.max() < forecaster.trained.least_rows:
        return _nothing(forecaster, series, frame, asked)
    series = forecaster.forecastable(series, strict=strict)
    yhat = forecaster.predict_series(series)
    return forecast_frame(series, yhat, frame, asked.columns(forecaster.trained, series, ends(series), yhat))


def model_hash(model: str | Path) -> str:
    """Return the hash that the manifest of a checkpoint folder records.

    Raises
    ------
    CheckpointError
        There is none.
    """
    folder = expand_user(model, CheckpointError)
    found = recorded_hash(Location(folder))
    if found is None:
        raise CheckpointError(f"no checkpoint at {folder}; train a model and save it there first")
    return found


@functools.lru_cache(maxsize=1)
def _loaded(
    folder: str, sha256: str, *, backbone: str | None, device: str, allow_backbone_change: bool, short: str | None
) -> Forecaster:
    """Return the model of a folder with the hash of its manifest; one is kept in each process."""
    forecaster = Forecaster.load(
        folder, backbone=backbone, device=device, allow_backbone_change=allow_backbone_change, short=short
    )
    if model_hash(folder) != sha256:
        raise CheckpointError(f"the model {folder} was replaced while it was read; run it again")
    return forecaster


def _nothing(forecaster: Forecaster, series: SeriesTable, frame: Any, asked: Uncertainty) -> Any:
    """Return a frame of forecasts without rows, with the columns and the types that others have."""
    one = series.select([0])
    yhat = np.zeros((1, forecaster.trained.checkpoint.config.data.horizon))
    return forecast_frame(one, yhat, frame, asked.columns(forecaster.trained, one, ends(one), yhat)).head(0)
