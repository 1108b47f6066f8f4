"""Which column of a frame is the series' id, which the time, and which hold values."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import narwhals as nw
import numpy as np

from swt_time.data.timestamps import looks_like_time
from swt_time.errors import TableError

ID_NAME = "unique_id"
TIME_NAMES = ("ds", "date", "datetime", "date_time", "timestamp", "time")
LATE_TIME_NAMES = ("period", "month", "week", "quarter", "year", "day")
"""Names that also stand for a covariate: taken as the time only when nothing else fits."""

NAMELESS = re.compile(r"|Unnamed: \d+|__index_level_\d+__")


@dataclass(frozen=True)
class Layout:
    """Roles of the columns: ``id`` is None in a wide table."""

    id: str | None
    time: str
    values: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())


def find_layout(
    frame: nw.DataFrame,
    *,
    id_column: str | None = None,
    time_column: str | None = None,
    target: str | None = None,
    columns: Sequence[str] | None = None,
) -> Layout:
    """Decide the role of each column.

    A table is long if ``id_column`` is given or a column is called ``unique_id``; its values are in
    ``target``, in ``y``, or in the only other column. Any other table is wide: every column beside the
    time is a series, or those that ``target`` or ``columns`` name.

    Raises
    ------
    TableError
        If a named column does not exist, or the roles cannot be told.
    """
    for option, name in (("--id-column", id_column), ("--time-column", time_column), ("--target", target)):
        if name is not None:
            _require(frame, name, option)
    for name in columns or ():
        _require(frame, name, "--columns")
    if target is not None and columns is not None:
        raise TableError("--target names one column and --columns several; give only one of them")

    notes: list[str] = []
    if id_column is None and ID_NAME in frame.columns and time_column != ID_NAME:
        id_column = ID_NAME
    chosen = set(columns or ()) | {target} - {None}
    time = time_column or _find_time(frame, skip={id_column, *chosen})
    if id_column == time:
        raise TableError(f"column {time!r} cannot be both the id and the time; see --id-column and --time-column")
    if time in chosen:
        raise TableError(f"column {time!r} is the time and cannot be forecast; see --time-column and --columns")
    rest = [name for name in frame.columns if name not in (id_column, time)]
    if id_column is not None:
        if columns is not None:
            raise TableError("--columns chooses among the columns of a wide table; a long table takes --target")
        value = target or _find_value(rest)
        unused = [name for name in rest if name != value]
        if unused:
            notes.append(f"columns not used: {', '.join(map(repr, unused))}")
        return Layout(id_column, time, (value,), tuple(notes))
    if target is not None or columns is not None:
        values = [target] if target is not None else list(dict.fromkeys(columns or ()))
        if not values:
            raise TableError("--columns names no column; expected at least one")
    else:
        values = [name for name in rest if not _is_row_counter(frame, name, notes)]
        if not values:
            raise TableError(f"no numeric column: the table holds only the time column {time!r}; add the values")
    return Layout(None, time, tuple(values), tuple(notes))


def _require(frame: nw.DataFrame, name: str, option: str) -> None:
    if name not in frame.columns:
        near = [other for other in frame.columns if other.strip().casefold() == name.strip().casefold()]
        near = near or get_close_matches(name, frame.columns, n=3, cutoff=0.6)
        hint = f"did you mean {listed(near)}?" if near else f"the table has {listed(frame.columns)}"
        raise TableError(f"{option}: the table has no column {name!r}; {hint}")


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names for a message, the first few of many."""
    names = list(names)
    shown = ", ".join(map(repr, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _find_time(frame: nw.DataFrame, skip: set[str | None]) -> str:
    """The time column: by name and content, by content, by name, and last by names that could be covariates."""
    names = [name for name in frame.columns if name not in skip]
    found = [name for name in names if looks_like_time(frame[name])]
    named = _first_named(found, TIME_NAMES)
    if named is not None:
        return named
    if len(found) == 1:
        return found[0]
    if found:
        raise TableError(f"several columns hold times ({listed(found)}); choose one with --time-column")
    possible = [name for name in names if not _is_quantity(frame[name].dtype)]
    named = _first_named(possible, TIME_NAMES) or _first_named(possible, LATE_TIME_NAMES)
    if named is not None:
        return named
    raise TableError(
        f"no time column found among {listed(frame.columns)}; expected dates in a column such as 'ds' or "
        "'date': name it with --time-column"
    )


def _first_named(names: list[str], wanted: tuple[str, ...]) -> str | None:
    ranked = [name for want in wanted for name in names if name.strip().lower() == want]
    return ranked[0] if ranked else None


def _is_quantity(dtype: nw.dtypes.DType) -> bool:
    """Whether a column of this type cannot hold points in time."""
    return dtype.is_float() or dtype.is_decimal() or dtype.is_nested() or dtype == nw.Boolean


def _find_value(rest: list[str]) -> str:
    if "y" in rest:
        return "y"
    if len(rest) == 1:
        return rest[0]
    if not rest:
        raise TableError("no numeric column: the long table has only an id and a time; add the values as column 'y'")
    raise TableError(f"which column holds the values: {listed(rest)}? Name it with --target")


def _is_row_counter(frame: nw.DataFrame, name: str, notes: list[str]) -> bool:
    """Whether a column without a name only counts the rows or is blank: it is left out with a note."""
    if not NAMELESS.fullmatch(name):
        return False
    column = frame[name]
    shown = f"column {frame.columns.index(name) + 1} without a name"
    if column.is_null().all():
        notes.append(f"{shown} is blank and was left out")
        return True
    if column.dtype.is_integer() and not column.is_null().any():
        values = np.sort(np.array(column.to_list(), dtype=np.float64))
        if (np.diff(values) == 1).all() and values[0] in (0, 1):
            notes.append(f"{shown} counts the rows and was left out")
            return True
    raise TableError(f"{shown} holds values; give it a name in the header or choose the columns with --columns")
