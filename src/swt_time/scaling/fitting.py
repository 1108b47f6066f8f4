"""The closed form fitted to a Parquet folder that may be larger than memory, one bucket of series after another.

The closed form depends on the training windows only through sums of second moments, which are added up over the
buckets. Its form is chosen, and intervals are learned, on the same even samples of windows as in memory. So the result
is that of a fit in memory, up to the rounding of sums.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swt_time.checkpoints import check_output_folder, describe_training, locked, make_checkpoint, write_checkpoint
from swt_time.checkpoints.checkpoint import FILES
from swt_time.config import Config
from swt_time.data.layout import as_names
from swt_time.data.names import ID_NAME
from swt_time.data.parquet_folder import divide, open_parquet_folder
from swt_time.data.series import remember_ids
from swt_time.data.windows import evenly, plan_split
from swt_time.errors import CheckpointError, ConfigError, TableError
from swt_time.evaluation.calibrating import out_of_fold, with_residuals
from swt_time.files import expand_user
from swt_time.model.alone import check_levels, prior_of
from swt_time.model.closed_form.folds import Blocks
from swt_time.model.closed_form.residuals import MOST_RESIDUALS, MOST_WINDOWS
from swt_time.scaling.forecasting import BUCKET_ROWS
from swt_time.scaling.windows import FolderWindows, Report, hold, survey
from swt_time.training import Event, TrainingResult, solve_alone, solves_alone

SCALE_BYTES = 60
"""Bytes that a checkpoint takes for a series, beside its id: its mean and its standard deviation in words."""


def fit_folder(
    data: str | Path,
    out: str | Path,
    config: Config,
    *,
    overwrite: bool = False,
    bucket_rows: int = BUCKET_ROWS,
    report: Callable[[Event], None] = lambda event: None,
    progress: Report = lambda done, total: None,
) -> TrainingResult:
    """Fit the closed form to all series of a folder of Parquet files, and save it as a checkpoint folder.

    Parameters
    ----------
    data : path
        Folder of Parquet files with one long table. The rows of a series may lie in several files.
    out : path
        Checkpoint folder to write.
    config : Config
        Of the closed form alone with a fixed context, such as ``Forecaster(24, 168, preset="fast").config``.
    overwrite : bool
        Replace a checkpoint in ``out``.
    bucket_rows : int
        Rows that are in memory at a time at most, where no series is longer.
    report, progress : callable
        Called with the events of the fit, and with the buckets that were read and all of them.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ConfigError
        The configuration asks for what needs the whole table; the message names the key.
    TableError
        The folder is no table, or has too few rows or too many series.
    CheckpointError, SaveError
        ``out`` cannot be written.
    """
    _check(config)
    out = expand_user(out, CheckpointError)
    check_output_folder(out, overwrite)
    folder = open_parquet_folder(expand_user(data, TableError).absolute())
    ids = as_names(config.data.id_column) or (ID_NAME,)
    series = survey(divide(folder, ids, bucket_rows, config.data.memory_limit), config, progress)
    _check_size(series.table.ids)
    fitted, table = remember_ids(config, series.table), series.table
    size = fitted.data
    plan_split(series.lengths, size.split, size.steps, size.horizon, pad=fitted.short == "pad")
    parts: Any = _Parts(series, series.windows("train"), series.windows("validation"))
    histories = _hold(parts, fitted)
    model, result = solve_alone(fitted, parts, report)
    described = {
        **describe_training(table, fitted.training.seed),
        "data_sha256": series.sha256,
        "rows": int(series.lengths.sum()),
        "buckets": len(series.buckets),
    }
    checkpoint = make_checkpoint(fitted, model, parts, described, result)
    residuals = out_of_fold(prior_of(fitted.embedding), result.closed_form, parts)
    assert residuals is not None, "there are blocks, see _hold"
    checkpoint = with_residuals(checkpoint, residuals, histories, series.season)
    with locked(out):
        write_checkpoint(out, checkpoint)
    return result


class _Parts:
    """What a fit reads of `swt_time.data.parts.Parts`: a table without rows, scales, and windows."""

    def __init__(self, series: Any, train: FolderWindows, validation: FolderWindows) -> None:
        self.table, self.scaler = series.table, series.scaler
        self.train, self.validation = train, validation


def _hold(parts: Any, config: Config) -> list[np.ndarray]:
    """Read the windows that a form is chosen and judged on; return the values before those that give intervals."""
    train, validation, horizon = parts.train, parts.validation, config.data.horizon
    both = [train, validation] if len(validation) else [train]
    samples = {one: np.arange(1) for one in both}
    samples[validation] = (
        evenly(len(validation), config.training.validation_windows) if len(validation) else np.arange(0)
    )
    origins = np.empty((0, 2), dtype=np.int64)
    for most in (None, MOST_WINDOWS):
        blocks = Blocks.divide(both, horizon, most)
        if blocks is None:
            raise TableError(
                "the folder holds one series with too few rows for held-out blocks; fit it to a table in memory"
            )
        for number, one in enumerate(both):
            samples[one] = np.union1d(samples[one], blocks.index[blocks.part == number])
        if most is not None:
            used = evenly(len(blocks.index), MOST_RESIDUALS)
            origins = np.empty((len(used), 2), dtype=np.int64)
            for number, one in enumerate(both):
                rows = blocks.part[used] == number
                origins[rows] = one.places(blocks.index[used][rows]) + np.array([0, config.data.steps])
    found = hold(samples, origins)
    return [found[i] for i in range(len(origins))]


def _check(config: Config) -> None:
    """Refuse a configuration that needs the whole table in memory."""
    data = config.data
    remedies = {
        "is auto, which is chosen on held-out blocks of a whole table; set it": config.automatic,
        "needs the whole table; leave it out": [
            *(["model.panel"] if config.model.panel else []),
            *(["training.keep_sums"] if config.training.keep_sums else []),
            *(["data.fill zero"] if data.fill == "zero" else []),
            *[f"data.{key}" for key in ("known", "past", "static", "calendar", "holidays") if getattr(data, key)],
        ],
        "is fitted to a table in memory; a folder takes the closed form alone (preset fast)": (
            [] if solves_alone(config) else ["a model with a branch, or with training steps,"]
        ),
    }
    for remedy, keys in remedies.items():
        if keys:
            raise ConfigError(
                f"{', '.join(keys)} {remedy}: or fit it to a table with some of the series, since a model forecasts "
                "others too"
            )
    check_levels(config)


def _check_size(ids: Sequence[str]) -> None:
    """Refuse more series than a checkpoint can hold the scales of."""
    size, limit = sum(map(len, ids)) + SCALE_BYTES * len(ids), FILES["scaler.json"]
    if size > limit:
        raise TableError(
            f"the scales of {len(ids):,} series take about {size:,} bytes, a checkpoint records at most {limit:,}; fit "
            "it to fewer series, since a model forecasts others too"
        )
