"""Forecast a Parquet folder of many series into another one, bucket by bucket.

A bucket is some series with all their rows, in whatever parts of the folder they lie. It is read, forecast and written
as one part by one process, so the memory of a process depends on the size of a bucket, not on the number of series. A
part is written under another name and then renamed, so a part that is there is complete: a run that was stopped, in
whatever way, is repeated with the same call and goes on with the buckets that have none.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from swt_time.checkpoints import read_checkpoint
from swt_time.config.choices import Engine
from swt_time.data.columns import listed
from swt_time.data.layout import as_names
from swt_time.data.names import ID_NAME
from swt_time.data.parquet_folder import Bucket, divide, open_parquet_folder
from swt_time.data.writing import write_table
from swt_time.errors import CheckpointError, ConfigError, SWTTimeError, SWTTimeWarning, TableError
from swt_time.files import expand_user
from swt_time.scaling.engines import start_engine
from swt_time.scaling.partition import ZERO, forecast_partition, model_hash
from swt_time.scaling.record import begin, part_name

BUCKET_ROWS = 2**18
"""Rows of a bucket at most, where no series is longer."""

RETRIES = 2
"""Times that a bucket that failed is forecast again."""

SHOWN = 5
"""Failed buckets, and notes on tables, that are shown."""


@dataclass(frozen=True)
class FolderForecast:
    """What became of the series of a folder.

    Attributes
    ----------
    series, left_out : int
        Series that were forecast, and those that were too short; of this run.
    buckets, skipped : int
        Buckets of the folder, and those that a former run had finished.
    retried : int
        Attempts that failed before a bucket was finished.
    """

    series: int
    left_out: int
    buckets: int
    skipped: int
    retried: int


@dataclass(frozen=True)
class Task:
    """A bucket to forecast, and where the forecasts are written."""

    bucket: Bucket
    path: Path
    memory_limit: int | None


@dataclass(frozen=True)
class Done:
    """The series of a bucket that were forecast and left out, and the notes on them."""

    series: int
    left_out: int
    notes: tuple[str, ...]


def forecast_folder(
    data: str | Path,
    model: str | Path,
    out: str | Path,
    *,
    engine: Engine = "local",
    workers: int | None = None,
    bucket_rows: int = BUCKET_ROWS,
    retries: int = RETRIES,
    report: Callable[[int, int], None] = lambda done, total: None,
    **options: Any,
) -> FolderForecast:
    """Forecast every series of a folder of Parquet files by a saved model.

    Parameters
    ----------
    data : path
        Folder of Parquet files with one long table. The rows of a series may lie in several files; each is read once
        where the series follow each other.
    model : path
        Checkpoint folder. Like ``data`` and ``out``, all machines of a cluster must see it under this name.
    out : path
        Folder of Parquet files to write. If it holds finished parts of the same input, model and options, these are
        skipped.
    engine : {"local", "ray"}
        Where buckets are forecast: in processes of this machine or by Ray (extra ``ray``).
    workers : int, optional
        Processes at most; by default one for each CPU, and one alone for a model with a language model, which each
        process loads and which uses all CPUs.
    bucket_rows : int
        Rows of a bucket at most; a series is never divided.
    retries : int
        Times that a bucket that failed is forecast again.
    report : callable
        Called with the number of finished buckets and of all.
    **options
        Of `forecast_partition`.

    Returns
    -------
    FolderForecast

    Raises
    ------
    TableError, CheckpointError, ConfigError
        Input, model, options or output folder cannot be used; nothing was written.
    MissingDependencyError
        The package of the engine is not installed.
    SWTTimeError
        Buckets failed in all attempts: the message names them. The others are in ``out``.
    """
    if min(bucket_rows, 1 if workers is None else workers) < 1 or retries < 0:
        raise ConfigError(
            f"expected workers and bucket_rows of at least 1 and retries of at least 0, got {workers}, {bucket_rows} "
            f"and {retries}"
        )
    data, out = expand_user(data, TableError).absolute(), expand_user(out, TableError).absolute()
    model = expand_user(model, CheckpointError).absolute()
    sha256 = model_hash(model)
    reading = dict(options.pop("reading", None) or {})
    memory_limit = reading.get("memory_limit")
    checkpoint = read_checkpoint(model)
    settings = checkpoint.config.data
    if workers is None and checkpoint.backbone is not None:
        workers = 1
    run = start_engine(engine, workers)
    if reading.get("fill", settings.fill) == "zero":
        raise TableError(ZERO)
    ids = as_names(reading.get("id_column", settings.id_column)) or (ID_NAME,)
    folder = open_parquet_folder(data)
    buckets = divide(folder, ids, bucket_rows, memory_limit)
    function = partial(forecast_bucket, model=str(model), sha256=sha256, reading=reading, **options)
    asked = {
        key: str(value) for key, value in {**options, **reading, "ids": ids, "rows of a bucket": bucket_rows}.items()
    }
    begin(out, {"input": folder.identity, "model": {"sha256": sha256}, "options": asked})
    tasks = [Task(one, out / part_name(one.number), memory_limit) for one in buckets]
    waiting = [task for task in tasks if not task.path.exists()]
    skipped, retried = len(tasks) - len(waiting), 0
    finished: list[Done] = []
    failed: dict[int, str] = {}
    for attempt in range(1 + retries):
        failed = {}
        for outcome in run(function, waiting):
            if outcome.error is None:
                finished.append(outcome.result)
            else:
                failed[outcome.index] = outcome.error
            report(skipped + len(finished), len(tasks))
        waiting = [waiting[index] for index in sorted(failed)]
        if not waiting:
            break
        retried += len(waiting) if attempt < retries else 0
    if waiting:
        raise SWTTimeError(
            _failures(waiting, list(dict(sorted(failed.items())).values()), len(tasks), 1 + retries, out)
        )
    _pass_on([note for done in finished for note in done.notes])
    return FolderForecast(
        sum(done.series for done in finished), sum(done.left_out for done in finished), len(tasks), skipped, retried
    )


def forecast_bucket(task: Task, **options: Any) -> Done:
    """Read the series of a bucket, forecast them, and write the part with their forecasts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SWTTimeWarning)
        found = forecast_partition(task.bucket.read(task.memory_limit), **options)
    write_table(found, task.path)
    notes = tuple(dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, SWTTimeWarning)))
    names = list(found.columns[: len(task.bucket.ids)])
    series = len(found[names].drop_duplicates())
    return Done(series, len(task.bucket.keys) - series, notes)


def _failures(tasks: Sequence[Task], reasons: Sequence[str], total: int, attempts: int, out: Path) -> str:
    """Name the buckets that failed, each with its series and its last error."""
    named = [
        f"{task.path.name} ({task.bucket.described}): {reason}"
        for task, reason in list(zip(tasks, reasons, strict=True))[:SHOWN]
    ]
    more = [f"and {listed([task.path.name for task in tasks[SHOWN:]])}"] if len(tasks) > SHOWN else []
    return (
        f"{len(tasks)} of {total} buckets failed in {attempts} attempts: {'; '.join(named + more)}. The others are in "
        f"{out}: fix the cause and run the same again to forecast the missing ones"
    )


def _pass_on(notes: Sequence[str]) -> None:
    """Warn of the first notes on tables that the workers have made."""
    found = list(dict.fromkeys(notes))
    for note in found[:SHOWN]:
        warnings.warn(note, SWTTimeWarning, stacklevel=3)
    if len(found) > SHOWN:
        warnings.warn(f"{len(found) - SHOWN} more notes like these", SWTTimeWarning, stacklevel=3)
