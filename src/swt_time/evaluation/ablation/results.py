"""Results files: one CSV row per run, appended completely or not at all."""

import contextlib
import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter, ValidationError

from swt_time.checkpoints.locking import is_file_at, lock_file
from swt_time.errors import InputError, SWTTimeError
from swt_time.files import MEBIBYTE, read_bytes
from swt_time.folders import explained, replace_file

OURS = "swt-time"
"""Name of the model of this package among the models of an experiment."""

UNTRAINED = frozenset({"seasonal-naive", "last-value"})
"""Baselines that learn nothing."""


def is_deterministic(model: str, steps: int | None) -> bool:
    """Whether every seed gives the same result: nothing is learned, or the closed form alone, which takes no step.

    The branch of the model is initialised at random, but its gate is zero until the first step.
    """
    return model in UNTRAINED or (model == OURS and steps == 0)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One finished run; the fields are the columns of a results file, in this order.

    Attributes
    ----------
    dataset, trained_on : str
        Names of the dataset that was scored and of the one that was trained on; they differ in a zero-shot run.
    model, preset, variant : str
        As in `swt_time.evaluation.ablation.cells.Cell`.
    validation_mse : float or None
        Over every validation window; None if there is none.
    mse, mae, windows : float, float, int or None
        Errors over every test window, and their number; None if the test part was not scored.
    gate : float or None
        Of the weights that were kept.
    seconds, score_seconds : float or None
        Time of the training, and of all scoring, intervals included.
    peak_mb : int or None
        Peak memory of the process or of the GPU, in MiB.
    data_sha256 : str
        Hash of the scored dataset, followed by ``from`` and the hash of the one trained on if that is another.
    options : str
        Options that differ from the reference configuration (`swt_time.config.identity.options_of`), as JSON:
        enough to compute the row again.
    coverage_80, coverage_95 : float or None
        Share of the observed targets inside the intervals of 80 and 95 %. These and the scores below are computed over
        the test windows as ``swt-time evaluate`` does; None without test scores or without enough residuals.
    interval_score_80, interval_score_95, crps : float or None
        On scaled data.
    msis_80, msis_95, weighted_quantile_loss : float or None
        Without units.
    """

    dataset: str
    trained_on: str
    horizon: int
    context: int | None = None
    split: str = ""
    model: str
    preset: str = ""
    variant: str = ""
    backbone: str = ""
    embedding: str = ""
    seed: int
    train_fraction: float | None = None
    steps: int | None = None
    best_step: int | None = None
    ended: str = ""
    validation_mse: float | None = None
    mse: float | None = None
    mae: float | None = None
    windows: int | None = None
    gate: float | None = None
    seconds: float | None = None
    score_seconds: float | None = None
    peak_mb: int | None = None
    device: str = ""
    machine: str = ""
    threads: int | None = None
    config_hash: str
    data_sha256: str
    commit: str = ""
    versions: str = ""
    finished: str = ""
    options: str = ""
    coverage_80: float | None = None
    coverage_95: float | None = None
    interval_score_80: float | None = None
    interval_score_95: float | None = None
    msis_80: float | None = None
    msis_95: float | None = None
    crps: float | None = None
    weighted_quantile_loss: float | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """Equal to `swt_time.evaluation.ablation.cells.Cell.key` of the cell that was run."""
        scored, _, trained_on = self.data_sha256.partition(" from ")
        return self.model, self.config_hash, scored, trained_on or scored

    @property
    def deterministic(self) -> bool:
        """Whether every seed gives this result; a time budget that allowed no step does not count."""
        return is_deterministic(self.model, self.steps if self.ended == "finished" else None)

    def cells(self) -> dict[str, str]:
        """Return the text of each column in a results file; empty for None."""
        return {column: _text(column, getattr(self, column)) for column in COLUMNS}


COLUMNS = tuple(field.name for field in fields(Row))

FILE_LIMIT = 64 * MEBIBYTE
"""Maximum size of a results file in bytes; 64 MiB are more than 50,000 rows."""

REQUIRED = tuple(field.name for field in fields(Row) if field.default is MISSING)
"""Columns that every results file has; an older file may lack others."""

INTERVALS = tuple(column for column in COLUMNS if column.startswith(("coverage_", "interval_score_", "msis_")))
INTERVALS += ("crps", "weighted_quantile_loss")
"""Columns of intervals and quantiles."""

DECIMALS = dict.fromkeys(("validation_mse", "mse", "mae", *INTERVALS, "gate"), 6) | {"seconds": 2, "score_seconds": 2}
"""Decimals of the rounded columns."""

_ROW = TypeAdapter(Row)


def _text(column: str, value: object) -> str:
    if value is None:
        return ""
    return f"{value:.{DECIMALS[column]}f}" if column in DECIMALS else str(value)


def read_rows(path: Path) -> list[Row]:
    """Read the complete rows of a results file; none if there is no file yet.

    Columns that are not fields of `Row` are ignored. A last line without an end was cut off by a crash of the machine
    and is left out.

    Raises
    ------
    InputError
        The file is not a results file.
    """
    with explained(f"cannot write {path}", InputError, "choose another file"):
        if not path.parent.is_dir():
            raise InputError(f"cannot write {path}: the folder {path.parent} does not exist; create it first")
        if not path.exists():
            return []
    try:
        text = read_bytes(path, FILE_LIMIT, InputError).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read the results {path}: {error}") from None
    if not _header(text, path):
        return []
    reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
    rows = []
    try:
        for cells in reader:
            rows.append(_ROW.validate_python({column: cells[column] for column in COLUMNS if cells.get(column)}))
    except (ValidationError, csv.Error) as error:
        what = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            what = f"column {first['loc'][0]}: {first['msg']}"
        raise InputError(f"{path}, line {reader.line_num}, {what}; correct or remove the line") from None
    return rows


def _header(text: str, path: Path) -> list[str]:
    """Return the columns of a results file; none if it is empty, or a crash of the machine cut off its first line.

    Raises
    ------
    InputError
        The file is not a results file.
    """
    end = text.find("\n")
    line = text[: None if end < 0 else end]
    try:
        names = next(csv.reader([line]), [])
    except csv.Error as error:
        raise InputError(f"{path} is not a results file: {error}; choose another file") from None
    if end < 0 and line:
        whole, cut = names[:-1], names[-1]
        unknown = [name for name in whole if name not in COLUMNS]
        unknown += [] if any(column.startswith(cut) for column in COLUMNS) else [cut]
        if unknown:
            raise InputError(f"{path} is not a results file: {unknown[0][:40]!r} is no column; choose another file")
    if end < 0:
        return []
    missing = [column for column in REQUIRED if column not in names]
    if missing:
        raise InputError(f"{path} is not a results file: it lacks the column {missing[0]}; choose another file")
    return names


def append_row(path: Path, row: Row) -> None:
    """Append a row to a results file, which is created if it does not exist.

    The row is written at once, under a lock, so neither a kill nor a second writer leaves half a row. Columns that the
    file lacks are added to it first; columns that are not fields of `Row` stay.

    Raises
    ------
    InputError
        The file is not a results file.
    SWTTimeError
        The operating system refused to write the file; the rows before are kept.
    """
    cells = row.cells()
    with explained(f"cannot append a row to the results {path}", SWTTimeError), _locked(path) as file:
        content = file.read()
        complete = content[: content.rfind(b"\n") + 1]
        header = _header(content.decode("utf-8", "replace"), path)
        added = [column for column in cells if column not in header]
        if not header or not added:
            file.seek(len(complete))
            file.truncate()
            file.write(_line(header or added, cells, with_header=not header))
            file.flush()
            os.fsync(file.fileno())
            return
        rows = [*csv.DictReader(io.StringIO(complete.decode("utf-8"))), cells]
        columns = [*header, *added]
        lines = [_line(columns, one, with_header=i == 0) for i, one in enumerate(rows)]
        replace_file(path.resolve(), b"".join(lines), InputError)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading and writing, locked on platforms that have such locks."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o644)
        with os.fdopen(descriptor, "r+b") as file:
            # Another writer may have replaced the file while this one waited for the lock.
            if lock_file(file.fileno(), wait=True) and not is_file_at(file.fileno(), path):
                continue
            yield file
            return


def _line(columns: Sequence[str], cells: Mapping[str, str], *, with_header: bool) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="", extrasaction="ignore")
    if with_header:
        writer.writeheader()
    writer.writerow(cells)
    return text.getvalue().encode("utf-8")
