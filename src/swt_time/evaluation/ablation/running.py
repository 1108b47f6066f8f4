"""Running the cells that are not finished yet; each cell that succeeds is appended to the results at once."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from swt_time.evaluation.ablation.cells import Cell, check_windows, finished, run_cell
from swt_time.evaluation.ablation.results import Row, append_row
from swt_time.workers import run_parallel


def missing_cells(cells: Iterable[Cell], rows: Iterable[Row], *, with_test: bool) -> list[Cell]:
    """Return the cells that have no row, or no test score if ``with_test`` is True."""
    done = finished(rows)
    return [cell for cell in cells if cell.key not in done or (with_test and done[cell.key].mse is None)]


def run_cells(
    cells: Sequence[Cell],
    out: Path,
    *,
    jobs: int,
    threads: int,
    with_test: bool,
    say: Callable[[str], None],
) -> int:
    """Run cells, append the row of each to a results file, and report each in a line.

    Parameters
    ----------
    cells : sequence of Cell
    out : Path
        The results file.
    jobs, threads : int
        Number of worker processes, and of threads in each.
    with_test : bool
        Score the test part as well.
    say : callable
        Called with a line about each cell.

    Returns
    -------
    int
        The number of cells that failed.

    Raises
    ------
    TableError, ConfigError
        A dataset has no test part or is too short for its windows; raised before anything runs.
    """
    check_windows(cells)
    failed = 0
    outcomes = run_parallel(run_cell, [(cell, with_test) for cell in cells], jobs=jobs, threads=threads)
    # Closing the generator ends the workers at once when Ctrl-C arrives.
    with contextlib.closing(outcomes):
        for count, outcome in enumerate(outcomes, 1):
            if outcome.error is None:
                append_row(out, outcome.result)
                note = _scores(outcome.result)
            else:
                failed += 1
                note = f"failed: {outcome.error}"
            say(f"{count}/{len(cells)}  {cells[outcome.index].describe()}: {note}")
    return failed


def _scores(row: Row) -> str:
    text = row.cells()
    test = f", test {text['mse']}" if text["mse"] else ""
    return f"validation {text['validation_mse'] or None}{test}, {text['seconds']} s"
