"""The internal form of a table: float64 series on regular calendars, whatever frame they came in."""

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
from swt_time.data.columns import is_missing, numbers, place
from swt_time.data.frames import open_frame
from swt_time.data.frequency import future_times
from swt_time.data.layout import find_layout, listed
from swt_time.data.regular import Block, regularize
from swt_time.data.timestamps import timestamps
from swt_time.errors import TableError


@dataclass(frozen=True)
class SeriesTable:
    """Series of one table, sorted by id, without gaps, every value finite.

    Parameters
    ----------
    ids : tuple of str
        ``unique_id`` of a long table, column name of a wide one; ``N`` of them in ascending order.
    values : tuple of float64 arrays
        One-dimensional; lengths may differ.
    times : tuple of pd.DatetimeIndex
        Stamp of each value, in microseconds; the same object for series of equal times.
    frequency : str
        Canonical pandas alias of the one calendar of all series.
    layout : {"long", "wide"}
    id_column, time_column, value_column : str or None
        Names in the table that came in; a wide table has no id and no single value column.
    notes : tuple of str
        Repairs that were made, one sentence each, for the user.
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

    @property
    def lengths(self) -> np.ndarray:
        """Number of rows of each series, ``(N,)`` int64."""
        return np.array([len(values) for values in self.values], dtype=np.int64)

    @property
    def last(self) -> pd.DatetimeIndex:
        """Last stamp of each series, ``N`` of them."""
        stamps = np.array([times.asi8[-1] for times in self.times], dtype="datetime64[us]")
        zone = self.times[0].tz
        index = pd.DatetimeIndex(stamps)
        return index if zone is None else index.tz_localize("UTC").tz_convert(zone)

    def index(self, name: str) -> int:
        """Position of a series by its id.

        Raises
        ------
        TableError
            No such series, with the nearest ids.
        """
        if name in self.ids:
            return self.ids.index(name)
        near = get_close_matches(name, self.ids, n=3)
        hint = f"did you mean {listed(near)}?" if near else f"the table has {listed(self.ids)}"
        raise TableError(f"the table has no series {name!r}; {hint}")

    def future(self, horizon: int) -> pd.DatetimeIndex:
        """The ``N * horizon`` stamps after the end of each series, one series after the other."""
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
    """Turn a pandas, polars or pyarrow table into series.

    Neither the order of rows nor that of series or columns changes the result.

    Parameters
    ----------
    frame : DataFrame
        Long (``unique_id, ds, y`` or other names by the options) or wide (a time column and numeric
        columns). A pandas time index serves as the time column.
    id_column, time_column, target : str, optional
        The columns with the id, the time, and the values.
    columns : sequence of str, optional
        The columns of a wide table that are series; default all.
    frequency : str, optional
        Pandas alias; inferred by default.
    fill : {"linear", "ffill"}, optional
        Repair missing stamps, NaN and infinity inside a series: by a straight line in time, or by the last
        value. What is missing before the first or after the last value of a series is cut off, never
        invented. Without ``fill`` they are errors.

    Returns
    -------
    SeriesTable

    Raises
    ------
    TableError
        With the column and the row (the header is row 1) of what cannot be read as series.
    """
    if fill is not None and fill not in get_args(Fill):
        raise TableError(f"data.fill {fill!r} is unknown; expected one of {', '.join(get_args(Fill))}")
    table, rows, notes = open_frame(frame, (id_column, time_column))
    if len(table) == 0:
        raise TableError("the table has no rows; expected at least two rows of data")
    layout = find_layout(table, id_column=id_column, time_column=time_column, target=target, columns=columns)
    notes += layout.notes
    times, note = timestamps(table[layout.time], rows)
    notes += [note] if note else []
    if layout.id is None:
        names: list[str] = sorted(layout.values)
        _check_alike(names, notes)
        codes = np.zeros(len(rows), dtype=np.int64)
    else:
        names, codes = _ids(table[layout.id], rows, notes)
    values, text = [], []
    for name in sorted(layout.values):
        column, was_text = numbers(table[name], rows)
        values.append(column)
        text += [name] if was_text else []
    if text:
        notes.append(f"numbers were written as text in {listed(text)}")
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
    )


def read_series(frame: Any, data: DataConfig) -> SeriesTable:
    """Turn a table into series as the section ``data`` of a configuration says; see `to_series`."""
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
    """Hash of ids, stamps and values of a table, whatever file or frame they came from."""
    digest = hashlib.sha256()
    for name, values, times in zip(series.ids, series.values, series.times, strict=True):
        digest.update(f"{name}\0{len(values)}\0".encode())
        digest.update(np.ascontiguousarray(times.asi8).data)
        digest.update(np.ascontiguousarray(values, np.float64).data)
    return digest.hexdigest()


def cut_series(table: SeriesTable, cutoff: str) -> SeriesTable:
    """The table as it was at a time: rows up to and including the cutoff.

    Raises
    ------
    TableError
        The cutoff is no time, or lies before every row of some series.
    """
    try:
        moment = pd.to_datetime([cutoff])[0]
    except ValueError as error:
        raise _no_time(cutoff) from error
    if pd.isna(moment):
        raise _no_time(cutoff)
    zone = table.times[0].tz
    if zone is not None and moment.tz is None:
        # the later of two equal hours, so that both are kept
        moment = moment.tz_localize(zone, ambiguous=False, nonexistent="shift_forward")
    elif zone is None and moment.tz is not None:
        raise TableError(f"cutoff {cutoff!r} has a time zone, the table has none; give the plain clock time")
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


def _ids(column: nw.Series, rows: np.ndarray, notes: list[str]) -> tuple[list[str], np.ndarray]:
    """Sorted ids of a long table, and the number of its series for each row."""
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
    return ids, codes.astype(np.int64)


def _check_alike(ids: list[str], notes: list[str]) -> None:
    """Ids that differ in nothing one can see are refused as slips; those that differ only in case stay apart."""
    seen: dict[str, str] = {}
    for one in ids:
        other = seen.setdefault(_visible(one), one)
        if other != one:
            blanks = "".join(other.split()) == "".join(one.split())
            what = "blanks" if blanks else f"characters that look alike ({other!a} and {one!a})"
            raise TableError(
                f"ids {other!r} and {one!r} differ only in {what}; write them alike, or make them distinct"
            )
    folded: dict[str, str] = {}
    pairs = [(other, one) for one in ids if (other := folded.setdefault(one.casefold(), one)) != one]
    if pairs:
        more = f" ({len(pairs)} such pairs)" if len(pairs) > 1 else ""
        notes.append(f"ids {pairs[0][0]!r} and {pairs[0][1]!r} differ only in case and were kept apart{more}")


def _visible(text: str) -> str:
    """Text as one sees it: blanks joined, accents composed, characters without a width left out."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(c for c in composed if unicodedata.category(c) != "Cf").split())
