"""Find the id, time and value columns of a table."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.columns import SHOWN, is_missing, listed
from swt_time.data.id_columns import holds_text, set_text_aside
from swt_time.data.ids import factorize, join_codes
from swt_time.data.names import ID_NAME, NAMELESS, STANDARD, TIME_NAME, VALUE_NAME, Names, name_columns
from swt_time.data.time_columns import calendar_columns, holds_decimal_years, holds_epochs
from swt_time.data.timestamps import looks_like_time
from swt_time.errors import TableError

TIME_NAMES = (TIME_NAME, "date", "datetime", "date_time", "timestamp", "time")
LATE_TIME_NAMES = ("period", "month", "week", "quarter", "year", "day")
"""Names that may also be covariates: used as the time column only if no other column qualifies."""
NUMERIC_TIMES = (*TIME_NAMES, "year")
"""Names of columns whose numbers may be times."""

COUNTER_NAMES = re.compile(r"index|level_\d+|rownames", re.IGNORECASE)
"""Names that pandas and R give to a column without a name, and to row numbers that became a column."""


@dataclass(frozen=True)
class Layout:
    """Roles of the columns of a table; ``ids`` is empty in a wide table.

    ``calendar`` is filled where the time is spread over several columns (`time_columns.calendar_columns`); ``time`` is
    then the list of their names and not a column. ``names`` are the names of the columns of a forecast.
    """

    ids: tuple[str, ...]
    time: str
    values: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())
    calendar: Mapping[str, str] = field(default_factory=dict)
    names: Names = STANDARD


def find_layout(
    frame: nw.DataFrame[Any],
    *,
    id_column: str | Sequence[str] | None = None,
    time_column: str | None = None,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    date_format: str | None = None,
) -> Layout:
    """Determine the role of each column.

    A table is long if ``id_column`` is given or a column is called ``unique_id``; several id columns tell its series
    apart together. Its values are in ``target``, in ``y``, or in the only remaining column. Any other table is wide:
    every column except the time column is a series, or only the columns named by ``target`` or ``columns``. Columns
    that count the rows, and times beside the time column, are left out with a note. Blanks around names do not matter.

    Raises
    ------
    TableError
        If a named column does not exist, or the roles are ambiguous.
    """
    ids = tuple(dict.fromkeys(require(frame, name, "data.id_column") for name in as_names(id_column)))
    time_column = _named(frame, time_column, "data.time_column")
    target = _named(frame, target, "data.target")
    if columns is not None:
        columns = list(dict.fromkeys(require(frame, name, "data.columns") for name in columns))
    if target is not None and columns is not None:
        raise TableError("data.target and data.columns both choose what to forecast; set only one of them")

    if id_column is not None and not ids:
        raise TableError("data.id_column is empty; expected at least one column name")
    if not ids:
        ids = tuple([one for one in frame.columns if one.strip() == ID_NAME and one != time_column][:1])
    chosen = set(columns or ()) | {target} - {None}
    times = _find_times(frame, ids, time_column, {*ids, *chosen}, date_format)
    time, notes = times.time, list[str]()
    if time in ids:
        raise TableError(f"data.id_column and data.time_column are both {time!r}; expected two different columns")
    if target in ids:
        raise TableError(f"data.id_column and data.target are both {target!r}; expected two different columns")
    if time in chosen:
        raise TableError(
            f"column {time!r} is the time column and cannot be forecast; change data.time_column, data.target or "
            "data.columns"
        )
    notes += times.notes()
    taken = {*ids, time, *times.others, *times.calendar.values()}
    places = {name: place for place, name in enumerate(frame.columns, 1)}
    blank = _blank_columns(frame, [name for name in places if name not in taken and NAMELESS.fullmatch(name.strip())])
    if len(blank) > SHOWN:
        notes.append(f"{len(blank):,} columns without a name are blank and were ignored")
    else:
        notes += [f"column {places[name]} without a name is blank and was ignored" for name in blank]
    taken.update(blank)
    rest = [name for name in places if name not in taken]
    if not ids and columns is None:
        ids, rest = set_text_aside(frame, tuple(times.calendar.values()) or (time,), rest, target, notes)
    if ids:
        if columns is not None:
            raise TableError("data.columns applies to wide tables only; for a long table set data.target")
        rest = [name for name in rest if name == target or not _is_row_counter(frame, name, places, ids, notes)]
        value = target or _find_value(frame, rest)
        unused = [name for name in rest if name != value]
        if unused:
            notes.append(f"columns not used: {listed(unused)}")
        return Layout(ids, time, (value,), tuple(notes), times.calendar, name_columns(ids, times.column, value))
    if target is not None or columns is not None:
        values = [target] if target is not None else list(columns or ())
        if not values:
            raise TableError("data.columns is empty; expected at least one column name")
    else:
        values = [name for name in rest if not _is_row_counter(frame, name, places, (), notes)]
        if not values:
            raise TableError(f"no numeric column: the table holds only the time column {time!r}; add the values")
    return Layout((), time, tuple(values), tuple(notes), times.calendar, name_columns((), times.column, None))


def _named(frame: nw.DataFrame[Any], name: str | None, key: str) -> str | None:
    return None if name is None else require(frame, name, key)


def as_names(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name, several or none as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names or ())


def require(frame: nw.DataFrame[Any], name: str, key: str) -> str:
    """Return the column with a name, which may differ in blanks at its ends."""
    if name in frame.columns:
        return name
    trimmed = [other for other in frame.columns if other.strip() == name.strip()]
    if len(trimmed) == 1:
        return trimmed[0]
    near = trimmed or [other for other in frame.columns if other.strip().casefold() == name.strip().casefold()]
    near = near or get_close_matches(name, frame.columns, n=3, cutoff=0.6)
    hint = f"did you mean {listed(near)}?" if near else f"the table has {listed(frame.columns)}"
    raise TableError(f"{key}: the table has no column {name!r}; {hint}")


@dataclass(frozen=True)
class _Times:
    """The time column, further columns that hold times, and the calendar columns if there are any."""

    time: str
    others: tuple[str, ...] = ()
    calendar: Mapping[str, str] = field(default_factory=dict)

    @property
    def column(self) -> str | None:
        """The time column; None if the time is spread over calendar columns."""
        return None if self.calendar else self.time

    def notes(self) -> list[str]:
        """Say which of several columns hold the time."""
        left = ""
        if self.others:
            holds, was = ("holds", "was") if len(self.others) == 1 else ("hold", "were")
            left = f"; {listed(self.others)} {holds} times too and {was} left out"
        if self.calendar:
            return [f"columns {listed(self.calendar.values())} were read as the time{left}"]
        return [f"column {self.time!r} was taken as the time column{left}"] if left else []


def _find_times(
    frame: nw.DataFrame[Any],
    ids: Sequence[str],
    time_column: str | None,
    skip: set[str | None],
    date_format: str | None,
) -> _Times:
    """Find the time column by content and name, then calendar columns, and last by `LATE_TIME_NAMES`.

    Of several columns that hold times, the one without missing and duplicate times is used, or the one with a usual
    name. Quarters, weeks and months are the time only if no other column is.
    """
    schema = frame.schema
    names = [name for name in schema if name not in skip]
    found = _hold_times(frame, names, date_format, coarse=False) or _hold_times(frame, names, date_format, coarse=True)
    if time_column is not None:
        return _Times(time_column, tuple(name for name in found if name != time_column))
    calendar = calendar_columns(names)
    unique = found
    if len(found) > 1 or (found and calendar):
        unique = [name for name in found if _is_unique(frame, name, *ids)]
    if found and not (calendar and not unique):
        usable = unique or found
        time = usable[0] if len(usable) == 1 else _first_named(usable, TIME_NAMES)
        if time is None:
            raise TableError(f"several columns hold times ({listed(usable)}); choose one with data.time_column")
        return _Times(time, tuple(name for name in found if name != time))
    possible = [name for name in names if not _is_quantity(schema[name])]
    time = None if found else _first_named(possible, TIME_NAMES)
    if calendar and time is None:
        quarter = [name for name in names if name.strip().lower() == "quarter" and name not in calendar.values()]
        return _Times(", ".join(calendar.values()), (*found, *quarter), calendar)
    time = time or _first_named(possible, LATE_TIME_NAMES)
    if time is not None:
        return _Times(time)
    raise TableError(
        f"no time column found among {listed(frame.columns)}; expected dates in a column such as 'ds' or "
        "'date': choose it with data.time_column"
    )


def _hold_times(frame: nw.DataFrame[Any], names: list[str], date_format: str | None, *, coarse: bool) -> list[str]:
    """Return the columns that hold times."""
    schema = frame.schema
    # a frame takes long to give a column: of a wide table, ask for those that can be times
    possible = [
        name for name in names if not schema[name].is_numeric() or _first_named([name], NUMERIC_TIMES) is not None
    ]
    found = [
        name
        for name in possible
        if looks_like_time(frame[name], date_format, coarse=coarse)
        or (date_format is None and _is_named_number(frame, name))
    ]
    if date_format is not None:
        return found
    # text of digits alone is a number rather than a year, if another column can be the time
    return [name for name in found if not _only_digits(frame[name])] or found


def _is_named_number(frame: nw.DataFrame[Any], name: str) -> bool:
    """Whether a column of numbers has the name of a time column and holds times since 1970 or decimal years."""
    if _first_named([name], NUMERIC_TIMES) is None:
        return False
    return holds_epochs(frame[name]) or holds_decimal_years(frame[name])


def _only_digits(column: nw.Series[Any]) -> bool:
    if not isinstance(column.dtype, nw.String | nw.Object):
        return False
    cells = [cell for cell in column.head(50).to_list() if not is_missing(cell)][:3]
    return all(isinstance(cell, str) and cell.strip().isdigit() for cell in cells)


def _is_unique(frame: nw.DataFrame[Any], name: str, *ids: str) -> bool:
    """Whether each series has every time of a column once, and none is missing."""
    cells = frame[name].to_list()
    codes = join_codes([factorize(frame[one])[0] for one in (name, *ids)])  # cells may be lists, which no set holds
    return not any(map(is_missing, cells)) and int(codes.max(initial=-1)) + 1 == len(cells)


def _first_named(names: list[str], wanted: tuple[str, ...]) -> str | None:
    ranked = [name for want in wanted for name in names if name.strip().lower() == want]
    return ranked[0] if ranked else None


def _is_quantity(dtype: nw.dtypes.DType) -> bool:
    """Whether a column of this type cannot hold timestamps."""
    return dtype.is_float() or dtype.is_decimal() or dtype.is_nested() or dtype == nw.Boolean


def _find_value(frame: nw.DataFrame[Any], rest: list[str]) -> str:
    named = [name for name in rest if name.strip() == VALUE_NAME]
    if len(named) == 1:
        return named[0]
    numbers = [name for name in rest if frame[name].dtype != nw.Boolean and not holds_text(frame[name])]
    if len(numbers) == 1 or len(rest) == 1:
        return (numbers or rest)[0]
    if not rest:
        raise TableError("no numeric column: the long table has only an id and a time; add a column 'y' of values")
    raise TableError(f"several columns could hold the values ({listed(rest)}); choose one with data.target")


def _is_row_counter(
    frame: nw.DataFrame[Any], name: str, places: Mapping[str, int], ids: Sequence[str], notes: list[str]
) -> bool:
    """Whether a column without a name of its own counts the rows; it is then ignored with a note."""
    nameless = NAMELESS.fullmatch(name.strip()) is not None
    if not nameless and not COUNTER_NAMES.fullmatch(name.strip()):
        return False
    shown = f"column {places[name]} without a name" if nameless else f"column {name!r}"
    if _counts_by_one(frame, name, ids):
        notes.append(f"{shown} counts the rows and was ignored")
        return True
    if nameless and not ids:
        raise TableError(f"{shown} holds values; name it in the header or choose the columns with data.columns")
    return False


def _blank_columns(frame: nw.DataFrame[Any], names: list[str]) -> list[str]:
    native = nw.to_native(frame)
    if isinstance(native, pd.DataFrame):
        blank = native[names].isna().all(axis=0).to_numpy() if names else np.empty(0, bool)
        return [name for name, is_blank in zip(names, blank, strict=True) if is_blank]
    return [name for name in names if frame[name].is_null().all()]


def _counts_by_one(frame: nw.DataFrame[Any], name: str, ids: Sequence[str]) -> bool:
    """Whether a column of integers counts all rows by one, or those of each series."""
    column = frame[name]
    if not column.dtype.is_integer() or column.is_null().any():
        return False
    values = np.array(column.to_list(), dtype=np.float64)
    if len(values) == 1:
        return bool(values[0] in (0, 1))
    if (np.diff(np.sort(values)) == 1).all():
        return True
    if not ids:
        return False
    codes = join_codes([factorize(frame[one])[0] for one in ids])
    order = np.lexsort((values, codes))
    steps = np.diff(values[order])[np.diff(codes[order]) == 0]
    return len(steps) > 0 and bool((steps == 1).all())
