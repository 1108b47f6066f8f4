"""Make a report and write it as one file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swt_time.data.series import SeriesTable
from swt_time.errors import InputError
from swt_time.evaluation.trained import Trained
from swt_time.evaluation.uncertainty import LEVELS
from swt_time.folders import check_place, explained, replace_file
from swt_time.report.facts import Facts, Past, collected, look_ahead, look_back
from swt_time.report.page import page

if TYPE_CHECKING:
    from swt_time.forecaster import Forecaster

SUFFIXES = (".html", ".htm")


def check_report(path: str | Path) -> Path:
    """Check that a report can be written to a path, before any work is done.

    Raises
    ------
    InputError
        The name does not end in .html, the folder does not exist or is not writable, or the path is a folder.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"cannot write the report {path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    check_place(path, f"cannot write the report {path}", InputError)
    return path


def write_report(
    forecaster: "Forecaster",
    table: Any,
    path: str | Path,
    *,
    future: Any = None,
    notes: Any = None,
    static: Any = None,
    levels: Sequence[float] | None = LEVELS,
    windows: int = 3,
    step: int | None = None,
    strict: bool = False,
    title: str = "Forecast report",
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Forecast a table and write what there is to know about the forecast as one HTML file of less than 1 MB.

    The file needs no network and no script to be read; names in the table cannot become markup in it.

    Parameters
    ----------
    forecaster : Forecaster
        Trained.
    table, future, notes, static : DataFrame
        As in `swt_time.Forecaster.predict`.
    path : path
        Of the file; its name ends in .html. A file that exists is replaced.
    levels : sequence of float, optional
        Intervals, in percent.
    windows, step : int
        Past cutoffs that are forecast to measure the errors, and the rows between them (by default the horizon); fewer
        where the series are short.
    strict : bool
        Whether a series that is too short to forecast is an error, not left out with a warning.
    title : str
    report : callable
        Called with what is being done, in words.

    Raises
    ------
    InputError
        The table cannot be forecast, or the file cannot be written.
    """
    path = check_report(path)
    remarks: list[str] = []
    with collected(remarks):
        series = forecaster.read_series(table, future, notes, static)
    write_series_report(
        forecaster.trained, series, path, levels=levels or (), windows=windows, step=step, strict=strict, title=title,
        remarks=remarks, report=report,
    )  # fmt: skip


def write_series_report(
    trained: Trained,
    series: SeriesTable,
    path: Path,
    *,
    levels: Sequence[float] = LEVELS,
    windows: int = 3,
    step: int | None = None,
    strict: bool = False,
    title: str = "Forecast report",
    remarks: Sequence[str] = (),
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Write the report of a table that was read before; otherwise as `write_report`."""
    said = list(remarks)
    with collected(said):
        report("forecasting the table")
        ahead = look_ahead(trained, series, levels, strict=strict)
        report("forecasting from past cutoffs")
        past = look_back(trained, series, windows, step=step, levels=levels, report=report)
    _write(Facts(title, trained, series, ahead, past, tuple(said)), path)


def write_backtest_report(trained: Trained, past: Past, path: Path, *, title: str = "Backtest report") -> None:
    """Write the report of a backtest; ``trained`` is the model of its first cutoff."""
    _write(Facts(title, trained, past.folds.series, None, past), path)


def _write(facts: Facts, path: Path) -> None:
    content = page(facts).encode()
    with explained(f"cannot write the report {path}", InputError, "choose another path"):
        replace_file(path, content, InputError)
