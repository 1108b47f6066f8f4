"""Run what is not finished yet: each cell that ends well becomes a row at once."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from swt_time.evaluation.ablation.cells import Cell, check_windows, finished, run_cell
from swt_time.evaluation.ablation.table import append_row
from swt_time.evaluation.ablation.workers import run_parallel


def missing_cells(cells: Iterable[Cell], rows: Iterable[Mapping[str, str]], *, with_test: bool) -> list[Cell]:
    """The cells without a row, or without a test score where one is wanted."""
    done = finished(rows)
    return [cell for cell in cells if cell.key not in done or (with_test and not done[cell.key]["mse"])]


def run_cells(
    cells: Sequence[Cell],
    out: Path,
    *,
    jobs: int,
    threads: int,
    with_test: bool,
    say: Callable[[str], None],
) -> int:
    """Run every given cell, append its row to ``out``, and say a line about it; the number of cells that failed.

    Raises
    ------
    TableError, ConfigError
        A table that is too short for its windows, or a split without a test part: before anything runs.
    """
    check_windows(cells)
    failed = 0
    outcomes = run_parallel(run_cell, [(cell, with_test) for cell in cells], jobs=jobs, threads=threads)
    # Closed at once on Ctrl-C, so that the workers end with us.
    with contextlib.closing(outcomes):
        for number, outcome in enumerate(outcomes, 1):
            row = outcome.result
            if outcome.error is None:
                append_row(out, row)
                test = f", test {row['mse']}" if row["mse"] else ""
                note = f"validation {row['validation_mse']}{test}, {row['seconds']} s"
            else:
                failed += 1
                note = f"failed: {outcome.error}"
            say(f"{number}/{len(cells)}  {cells[outcome.number].describe()}: {note}")
    return failed
