"""One style for all pictures, in colours that people with any colour vision can tell apart; files by their suffix.

Source of the colours: Okabe and Ito, "Color universal design", 2008.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swt_time.errors import InputError, MissingDependencyError
from swt_time.folders import check_place, explained, replace_file

INK, SOFT, RULE = "#1f2430", "#5a6172", "#d9dce3"
"""Text and observed values; what is less important; grids."""

VERMILLION, BLUE, GREEN, PURPLE = "#D55E00", "#0072B2", "#009E73", "#CC79A7"

FORECAST, TRUTH, OTHER = VERMILLION, GREEN, BLUE
"""Forecasts and what is worse than a base; values that were observed afterwards; other methods and what is better."""

MOST_PANELS = 6
"""Most series in one picture."""

STYLE = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # a name may hold dollars
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.xmargin": 0.01,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "lines.linewidth": 1.6,
    "lines.solid_joinstyle": "round",
    "legend.frameon": False,
    "svg.hashsalt": "swt-time",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 130,
}
"""Settings of matplotlib."""

UNDATED: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
"""What matplotlib would write of its version and of the time; without it, equal pictures are equal files."""


def import_matplotlib() -> Any:
    """Return ``matplotlib``; pictures are drawn without pyplot, so a host program keeps its backend and its figures.

    Raises
    ------
    MissingDependencyError
    """
    try:
        import matplotlib
    except ImportError:
        raise MissingDependencyError(
            'plots need matplotlib, which is not installed: pip install "swt-time[plot]"'
        ) from None
    return matplotlib


@contextmanager
def drawing(
    path: Path, width: float, height: float, rows: int = 1, *, shared: bool = False
) -> Iterator[tuple[Any, Any]]:
    """Yield a figure with ``rows`` axes in the style of all pictures; it is written to ``path`` in the end.

    Parameters
    ----------
    path : Path
    width, height : float
        In inches.
    rows : int
    shared : bool
        Whether the axes share their horizontal axis.

    Yields
    ------
    figure : matplotlib Figure
    axes : (rows,) array of matplotlib Axes

    Raises
    ------
    MissingDependencyError
        Matplotlib is not installed.
    InputError
        The file cannot be written, or its suffix names no picture format.
    """
    matplotlib = import_matplotlib()
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(rows, 1, squeeze=False, sharex=shared)[:, 0]
        _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    content, kind = io.BytesIO(), path.suffix.lower().lstrip(".")
    try:
        figure.savefig(content, format=kind, metadata=UNDATED.get(kind))
    except ValueError as error:
        raise InputError(f"cannot write the picture {path}: {error}") from None
    with explained(f"cannot write the picture {path}", InputError, "choose another path"):
        replace_file(path, content.getvalue(), InputError)


def check_picture(path: Path) -> None:
    """Check that a picture can be written to a path, before any work is done.

    Raises
    ------
    MissingDependencyError
        Matplotlib is not installed.
    InputError
        Unknown format, or a folder that does not exist or is not writable.
    """
    import_matplotlib()
    from matplotlib.backend_bases import FigureCanvasBase

    formats = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower().lstrip(".") not in formats:
        raise InputError(f"cannot draw {path}: expected a name that ends in one of {', '.join(sorted(formats))}")
    check_place(path, f"cannot draw {path}", InputError)


def tint(colour: str, share: float) -> tuple[float, ...]:
    """Mix a colour ``#rrggbb`` with white."""
    return tuple(1 - share * (1 - int(colour[k : k + 2], 16) / 255) for k in (1, 3, 5))
