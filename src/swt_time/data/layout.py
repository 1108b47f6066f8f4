"""Find the id, time and value columns of a table."""

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
"""Names that may also be covariates: used as the time column only if no other column qualifies."""

NAMELESS = re.compile(r"|Unnamed: \d+|__index_level_\d+__")


@dataclass(frozen=True)
class Layout:
    """Roles of the columns of a table; ``id`` is None in a wide table."""

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
    date_format: str | None = None,
) -> Layout:
    """Determine the role of each column.

    A table is long if ``id_column`` is given or a column is called ``unique_id``; its values are in ``target``, in
    ``y``, or in the only remaining column. Any other table is wide: every column except the time column is a series, or
    only the columns named by ``target`` or ``columns``.

    Raises
    ------
    TableError
        If a named column does not exist, or the roles are ambiguous.
    """
    for key, name in (("data.id_column", id_column), ("data.time_column", time_column), ("data.target", target)):
        if name is not None:
            _require(frame, name, key)
    for name in columns or ():
        _require(frame, name, "data.columns")
    if target is not None and columns is not None:
        raise TableError("data.target and data.columns both choose what to forecast; set only one of them")

    notes: list[str] = []
    if id_column is None and ID_NAME in frame.columns and time_column != ID_NAME:
        id_column = ID_NAME
    chosen = set(columns or ()) | {target} - {None}
    time = time_column or _find_time(frame, {id_column, *chosen}, date_format)
    if id_column == time:
        raise TableError(f"data.id_column and data.time_column are both {time!r}; expected two different columns")
    if time in chosen:
        raise TableError(
            f"column {time!r} is the time column and cannot be forecast; change data.time_column, data.target or "
            "data.columns"
        )
    rest = [name for name in frame.columns if name not in (id_column, time)]
    if id_column is not None:
        if columns is not None:
            raise TableError("data.columns applies to wide tables only; for a long table set data.target")
        value = target or _find_value(rest)
        unused = [name for name in rest if name != value]
        if unused:
            notes.append(f"columns not used: {', '.join(map(repr, unused))}")
        return Layout(id_column, time, (value,), tuple(notes))
    if target is not None or columns is not None:
        values = [target] if target is not None else list(dict.fromkeys(columns or ()))
        if not values:
            raise TableError("data.columns is empty; expected at least one column name")
    else:
        values = [name for name in rest if not _is_row_counter(frame, name, notes)]
        if not values:
            raise TableError(f"no numeric column: the table holds only the time column {time!r}; add the values")
    return Layout(None, time, tuple(values), tuple(notes))


def _require(frame: nw.DataFrame, name: str, key: str) -> None:
    if name not in frame.columns:
        near = [other for other in frame.columns if other.strip().casefold() == name.strip().casefold()]
        near = near or get_close_matches(name, frame.columns, n=3, cutoff=0.6)
        hint = f"did you mean {listed(near)}?" if near else f"the table has {listed(frame.columns)}"
        raise TableError(f"{key}: the table has no column {name!r}; {hint}")


def listed(names: Iterable[str], most: int = 8) -> str:
    """Join names for a message, at most ``most`` of them."""
    names = list(names)
    shown = ", ".join(map(repr, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _find_time(frame: nw.DataFrame, skip: set[str | None], date_format: str | None) -> str:
    """Find the time column by name and content, then by content, by name, and last by `LATE_TIME_NAMES`."""
    names = [name for name in frame.columns if name not in skip]
    found = [name for name in names if looks_like_time(frame[name], date_format, coarse=False)]
    found = found or [name for name in names if looks_like_time(frame[name], date_format)]
    named = _first_named(found, TIME_NAMES)
    if named is not None:
        return named
    if len(found) == 1:
        return found[0]
    if found:
        raise TableError(f"several columns hold times ({listed(found)}); choose one with data.time_column")
    possible = [name for name in names if not _is_quantity(frame[name].dtype)]
    named = _first_named(possible, TIME_NAMES) or _first_named(possible, LATE_TIME_NAMES)
    if named is not None:
        return named
    raise TableError(
        f"no time column found among {listed(frame.columns)}; expected dates in a column such as 'ds' or "
        "'date': choose it with data.time_column"
    )


def _first_named(names: list[str], wanted: tuple[str, ...]) -> str | None:
    ranked = [name for want in wanted for name in names if name.strip().lower() == want]
    return ranked[0] if ranked else None


def _is_quantity(dtype: nw.dtypes.DType) -> bool:
    """Whether a column of this type cannot hold timestamps."""
    return dtype.is_float() or dtype.is_decimal() or dtype.is_nested() or dtype == nw.Boolean


def _find_value(rest: list[str]) -> str:
    if "y" in rest:
        return "y"
    if len(rest) == 1:
        return rest[0]
    if not rest:
        raise TableError("no numeric column: the long table has only an id and a time; add a column 'y' of values")
    raise TableError(f"several columns could hold the values ({listed(rest)}); choose one with data.target")


def _is_row_counter(frame: nw.DataFrame, name: str, notes: list[str]) -> bool:
    """Whether a column is a nameless row counter or blank, to be ignored with a note."""
    if not NAMELESS.fullmatch(name):
        return False
    column = frame[name]
    shown = f"column {frame.columns.index(name) + 1} without a name"
    if column.is_null().all():
        notes.append(f"{shown} is blank and was ignored")
        return True
    if column.dtype.is_integer() and not column.is_null().any():
        values = np.sort(np.array(column.to_list(), dtype=np.float64))
        if (np.diff(values) == 1).all() and values[0] in (0, 1):
            notes.append(f"{shown} counts the rows and was ignored")
            return True
    raise TableError(f"{shown} holds values; name it in the header or choose the columns with data.columns")
