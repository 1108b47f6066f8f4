"""The internal form of a table: gapless float64 series with one frequency."""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal, get_args

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.config import DataConfig, Fill
from swt_time.data.columns import is_missing, numeric_values, place
from swt_time.data.frames import column_labels, open_frame
from swt_time.data.frequency import future_times
from swt_time.data.layout import Layout, find_layout, listed
from swt_time.data.numbers import describe_styles, number_styles
from swt_time.data.regular import Block, regularize
from swt_time.data.time_columns import from_epochs, join_calendar
from swt_time.data.timestamps import timestamps
from swt_time.errors import TableError


@dataclass(frozen=True)
class SeriesTable:
    """Series of one table, sorted by id, without gaps; all values are finite.

    Parameters
    ----------
    ids : tuple of str
        ``N`` ids in ascending order: ``unique_id`` of a long table, column names of a wide one.
    values : tuple of float64 arrays
        One-dimensional; lengths may differ.
    times : tuple of pd.DatetimeIndex
        Timestamp of each value, in microseconds; the same object for series with equal times.
    frequency : str
        Canonical pandas alias, common to all series.
    layout : {"long", "wide"}
    id_column, time_column, value_column : str or None
        Column names of the input table; a wide table has no id column and no single value column.
    notes : tuple of str
        Repairs that were made, one sentence each.
    order : tuple of int
        Indices of the series in the order of their first row, or of their column, in the table; empty means the order
        of ``ids``.
    labels : Series or None
        The ``N`` ids with the type that they have in the table, as a column of its library; None if they are text.
    """

    ids: tuple[str, ...]
    values: tuple[np.ndarray, ...]
    times: tuple[pd.DatetimeIndex, ...]
    frequency: str
    layout: Literal["long", "wide"]
    id_column: str | None
    time_column: str
    value_column: str | None
    notes: tuple[str, ...] = ()
    order: tuple[int, ...] = ()
    labels: Any = None

    @property
    def lengths(self) -> np.ndarray:
        """Number of rows per series, ``(N,)`` int64."""
        return np.array([len(values) for values in self.values], dtype=np.int64)

    @property
    def last(self) -> pd.DatetimeIndex:
        """Last timestamp of each of the ``N`` series."""
        stamps = np.array([times.asi8[-1] for times in self.times], dtype="datetime64[us]")
        zone = self.times[0].tz
        index = pd.DatetimeIndex(stamps)
        return index if zone is None else index.tz_localize("UTC").tz_convert(zone)

    def index(self, name: str) -> int:
        """Index of the series with an id.

        Raises
        ------
        TableError
            If there is no such series; suggests similar ids.
        """
        if name in self.ids:
            return self.ids.index(name)
        near = get_close_matches(name, self.ids, n=3)
        hint = f"did you mean {listed(near)}?" if near else f"the table has {listed(self.ids)}"
        raise TableError(f"the table has no series {name!r}; {hint}")

    def future(self, horizon: int) -> pd.DatetimeIndex:
        """The ``horizon`` timestamps after the end of each series, ``N * horizon`` in total, series after series."""
        return future_times(self.last, self.frequency, horizon)


def to_series(
    frame: Any,
    *,
    id_column: str | None = None,
    time_column: str | None = None,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    frequency: str | None = None,
    fill: Fill | None = None,
) -> SeriesTable:
    """Convert a pandas, polars or pyarrow table into series.

    The result does not depend on the order of rows and columns.

    Parameters
    ----------
    frame : DataFrame
        Long (columns ``unique_id``, ``ds``, ``y``, or other names given below) or wide (a time column and numeric
        columns). A pandas time index is used as the time column.
    id_column, time_column, target : str, optional
        Names of the id, time and value columns.
    columns : sequence of str, optional
        Columns of a wide table to use as series; all numeric columns by default.
    frequency : str, optional
        Pandas alias; inferred by default.
    fill : {"linear", "ffill"}, optional
        How to fill missing timestamps, NaN and infinities inside a series: linear interpolation in time, or the last
        known value. Missing values before the first or after the last known value of a series are removed. By default,
        missing values raise an error.

    Returns
    -------
    SeriesTable

    Raises
    ------
    TableError
        If the table cannot be converted; the message names the column and the row (the header is row 1).

    Examples
    --------
    >>> days = pd.date_range("2024-01-01", periods=3)
    >>> table = to_series(pd.DataFrame({"date": days, "load": [1.0, 2.0, 4.0]}))
    >>> table.ids, table.frequency, table.values[0].tolist()
    (('load',), 'D', [1.0, 2.0, 4.0])
    """
    if fill is not None and fill not in get_args(Fill):
        raise TableError(f"data.fill {fill!r} is unknown; expected one of {', '.join(get_args(Fill))}")
    table, rows, notes = open_frame(frame, (id_column, time_column))
    if len(table) == 0:
        raise TableError("the table has no rows; expected at least two rows of data")
    layout = find_layout(table, id_column=id_column, time_column=time_column, target=target, columns=columns)
    notes += layout.notes
    times, time_notes = _times(table, layout, rows)
    notes += time_notes
    if layout.id is None:
        names: list[str] = sorted(layout.values)
        _check_alike(names, notes)
        codes = np.zeros(len(rows), dtype=np.int64)
        first = {name: i for i, name in enumerate(table.columns)}
    else:
        names, codes, first = _ids(table[layout.id], rows, notes)
    roles = {layout.id, layout.time, *layout.values}
    others = [name for name in table.columns if name not in roles]
    styles = number_styles(table, sorted(layout.values), others, rows)
    values, text = [], []
    for name in sorted(layout.values):
        plain = styles[name].plain if name in styles else None
        column, was_text = numeric_values(table[name], rows, plain)
        values.append(column)
        text += [name] if was_text else []
    notes += describe_styles(styles, table)
    text = [name for name in text if name not in styles]
    if text:
        notes.append(f"text was converted to numbers in {listed(text)}")
    block = Block(
        times,
        codes,
        np.stack(values),
        rows,
        tuple(sorted(layout.values)),
        tuple(names),
        layout.id is not None,
    )
    (ids, series, stamps), alias, more = regularize(block, frequency, fill)
    return SeriesTable(
        ids=ids,
        values=series,
        times=stamps,
        frequency=alias,
        layout="wide" if layout.id is None else "long",
        id_column=layout.id,
        time_column=layout.time,
        value_column=None if layout.id is None else layout.values[0],
        notes=(*notes, *more),
        order=tuple(sorted(range(len(ids)), key=lambda i: first[ids[i]])),
        labels=_labels(frame, table, layout, ids, first),
    )


def _labels(frame: Any, table: nw.DataFrame, layout: Layout, ids: Sequence[str], first: dict[str, int]) -> Any:
    """The ids as a column of the table's library, with the type that they have in the table."""
    if layout.id is None:
        return column_labels(frame, ids)
    return nw.to_native(nw.maybe_reset_index(table[layout.id][[first[name] for name in ids]]))


def _times(table: nw.DataFrame, layout: Layout, rows: np.ndarray) -> tuple[pd.DatetimeIndex, list[str]]:
    """Timestamps of all rows, and notes on how they were read."""
    note = None
    if layout.calendar:
        column = join_calendar(table, layout.calendar, rows)
    else:
        column, note = from_epochs(table[layout.time], table, rows)
    times, more = timestamps(column, rows)
    return times, [one for one in (note, more) if one]


def read_series(frame: Any, data: DataConfig) -> SeriesTable:
    """Convert a table into series with the options of a ``data`` configuration; see `to_series`."""
    return to_series(
        frame,
        id_column=data.id_column,
        time_column=data.time_column,
        target=data.target,
        columns=data.columns,
        frequency=data.frequency,
        fill=data.fill,
    )


def series_sha256(series: SeriesTable) -> str:
    """SHA-256 of the ids, timestamps and values of a table, independent of its file or frame type."""
    digest = hashlib.sha256()
    for name, values, times in zip(series.ids, series.values, series.times, strict=True):
        digest.update(f"{name}\0{len(values)}\0".encode())
        digest.update(np.ascontiguousarray(times.asi8).data)
        digest.update(np.ascontiguousarray(values, np.float64).data)
    return digest.hexdigest()


def cut_series(table: SeriesTable, cutoff: str) -> SeriesTable:
    """Keep the rows of each series up to and including a cutoff time.

    Parameters
    ----------
    table : SeriesTable
    cutoff : str
        A date or time; without an offset, in the time zone of the table.

    Raises
    ------
    TableError
        If the cutoff is not a valid time, or a series starts after it.
    """
    try:
        moment = pd.to_datetime([cutoff])[0]
    except ValueError as error:
        raise _no_time(cutoff) from error
    if pd.isna(moment):
        raise _no_time(cutoff)
    zone = table.times[0].tz
    if zone is not None and moment.tz is None:
        # the later of two ambiguous hours, so that both are kept
        moment = moment.tz_localize(zone, ambiguous=False, nonexistent="shift_forward")
    elif zone is None and moment.tz is not None:
        raise TableError(f"cutoff {cutoff!r} has a time zone, the table has none; give it without a time zone")
    kept = [int(times.searchsorted(moment, side="right")) for times in table.times]
    for name, rows, times in zip(table.ids, kept, table.times, strict=True):
        if rows == 0:
            raise TableError(f"series {name!r} begins at {times[0]}, after the cutoff {cutoff}; choose a later cutoff")
    return replace(
        table,
        values=tuple(values[:rows] for values, rows in zip(table.values, kept, strict=True)),
        times=tuple(times[:rows] for times, rows in zip(table.times, kept, strict=True)),
    )


def _no_time(cutoff: str) -> TableError:
    return TableError(f"cutoff {cutoff!r} is not a time; expected one such as 2024-06-30 or 2024-06-30T12:00")


def _ids(column: nw.Series, rows: np.ndarray, notes: list[str]) -> tuple[list[str], np.ndarray, dict[str, int]]:
    """Sorted ids of a long table, the series index of each row, and the position of each id's first row."""
    if column.dtype.is_nested() or column.dtype == nw.Binary:
        kind = "bytes" if column.dtype == nw.Binary else "nested values"
        raise TableError(f"column {column.name!r} holds {kind}; expected the id of a series in each row")
    cells = column.to_list()
    blank = np.array([not cell.strip() if isinstance(cell, str) else is_missing(cell) for cell in cells])
    if blank.any():
        raise TableError(
            f"{place(column.name, int(rows[int(np.argmax(blank))]))}: the id is missing "
            f"({int(blank.sum())} such rows); every row of a long table needs the id of its series"
        )
    texts = np.array([str(cell) for cell in cells], dtype=object)
    codes, found = pd.factorize(texts, sort=True)
    ids = [str(one) for one in found]
    _check_alike(ids, notes)
    first = np.unique(codes, return_index=True)[1]
    if isinstance(column.dtype, nw.Object):
        _check_types(cells, codes, first)
    return ids, codes.astype(np.int64), dict(zip(ids, first.tolist(), strict=True))


def _check_types(cells: list[Any], codes: np.ndarray, first: np.ndarray) -> None:
    """Refuse ids that are written alike but differ in type, such as 1 and '1'."""
    for cell, code in zip(cells, codes, strict=True):
        other = cells[first[code]]
        if type(cell) is not type(other):
            raise TableError(f"ids {other!r} and {cell!r} differ only in type; make them equal, or clearly different")


def _check_alike(ids: list[str], notes: list[str]) -> None:
    """Refuse ids that look the same; add a note for ids that differ only in case."""
    seen: dict[str, str] = {}
    for one in ids:
        other = seen.setdefault(_visible(one), one)
        if other != one:
            blanks = "".join(other.split()) == "".join(one.split())
            what = "whitespace" if blanks else f"characters that look the same ({other!a} and {one!a})"
            raise TableError(f"ids {other!r} and {one!r} differ only in {what}; make them equal, or clearly different")
    folded: dict[str, str] = {}
    pairs = [(other, one) for one in ids if (other := folded.setdefault(one.casefold(), one)) != one]
    if pairs:
        more = f" ({len(pairs)} such pairs)" if len(pairs) > 1 else ""
        notes.append(f"ids {pairs[0][0]!r} and {pairs[0][1]!r} differ only in case and are separate series{more}")


def _visible(text: str) -> str:
    """Normalize text to what is visible: single spaces, composed accents, no zero-width characters."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(c for c in composed if unicodedata.category(c) != "Cf").split())
