"""Reading notes: what is known in words about a time, such as "street closed", as a table beside the series."""

import datetime
from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.columns import is_missing, listed, place
from swt_time.data.cutoff import read_moments
from swt_time.data.frames import open_frame
from swt_time.data.frequency import NO_FREQUENCY, parse_frequency
from swt_time.data.ids import join_cells
from swt_time.data.layout import TIME_NAMES
from swt_time.data.names import ID_NAME
from swt_time.data.series import SeriesTable
from swt_time.data.told import ALWAYS, Notes
from swt_time.data.zones import DAY, from_microseconds, localize, microseconds
from swt_time.errors import TableError

TEXT_NAME, END_NAME, KNOWN_NAME = "text", "end", "known_from"
"""Columns of a table of notes, beside the time and the id of a series."""

COLUMNS = "expected the columns ds and text, and if needed unique_id, end and known_from"


def read_notes(frame: Any, table: SeriesTable) -> Notes:
    """Read a table of notes on the series of another table.

    Its columns are the time (``ds``, or as the other table calls it) and ``text``; the id of a series (``unique_id``,
    or as the other table calls it; a blank one, or none, means all series), ``end``, the last moment of the note, and
    ``known_from``, before which no forecast may use it. Without an end a note covers one step. Times are written as
    those of the other table or in ISO 8601. Below steps of a day a date without a time of day means the whole day.

    Parameters
    ----------
    frame : DataFrame
        Pandas, polars or pyarrow.
    table : SeriesTable

    Raises
    ------
    TableError
        If a column is missing, a text or time cannot be read, a note ends before it starts, or none of the series
        exists; names the row and the remedy.
    """
    names = (*table.id_columns, ID_NAME, table.time_column)
    frame, rows, remarks = open_frame(frame, names)
    text = _column(frame, (TEXT_NAME,), "text")
    time = _column(frame, (table.time_column or "", *TIME_NAMES), "time")
    end, known = (_optional(frame, name) for name in (END_NAME, KNOWN_NAME))
    ids = _id_columns(frame, table)
    unused = [name for name in frame.columns if name not in {text, time, end, known, *ids}]
    if unused:
        remarks.append(f"notes: columns not used: {listed(unused)}")
    texts = _texts(frame[text], rows)
    starts, days = _moments(frame[time], rows, table)
    if _missing(frame[time]).any():
        row = int(np.argmax(_missing(frame[time])))
        raise TableError(f"notes: {place(time, rows[row])}: the time is missing; write it, or remove the row")
    ends, ends_days = starts, days
    if end is not None:
        given, whole = _moments(frame[end], rows, table)
        ends, ends_days = np.where(_missing(frame[end]), starts, given), np.where(_missing(frame[end]), days, whole)
    early = ends < starts
    if early.any():
        row = int(np.argmax(early))
        raise TableError(
            f"notes: {place(str(end), rows[row])}: the note ends before it starts; correct {time!r} or {end!r}"
        )
    known_from = np.full(len(texts), ALWAYS)
    if known is not None:
        moments, _ = _moments(frame[known], rows, table)
        known_from = np.where(_missing(frame[known]), ALWAYS, moments)
    series = _series(frame, ids, table, remarks)
    stops = np.where(ends_days, _next_days(ends, table.times[0]), ends + 1)
    found = Notes(tuple(texts), starts, stops, series, known_from, tuple(remarks))
    kept = np.array([one is None or one in table.ids for one in series], dtype=bool)
    return found if kept.all() else found.select(kept)


def _column(frame: nw.DataFrame[Any], names: Sequence[str], what: str) -> str:
    found = next((name for wanted in names for name in frame.columns if wanted and name.strip() == wanted), None)
    if found is None:
        raise TableError(f"notes: there is no column for the {what}, but {listed(frame.columns)}; {COLUMNS}")
    return found


def _optional(frame: nw.DataFrame[Any], name: str) -> str | None:
    return next((column for column in frame.columns if column.strip() == name), None)


def _id_columns(frame: nw.DataFrame[Any], table: SeriesTable) -> list[str]:
    own = [name for name in table.id_columns if name in frame.columns]
    if own and len(own) == len(table.id_columns):
        return own
    return [name for name in frame.columns if name.strip() == ID_NAME][:1]


def _missing(column: nw.Series[Any]) -> np.ndarray:
    return np.array([is_missing(cell) for cell in column.to_list()], dtype=bool)


def _texts(column: nw.Series[Any], rows: np.ndarray) -> list[str]:
    texts = []
    for cell, row in zip(column.to_list(), rows, strict=True):
        if is_missing(cell):
            raise TableError(f"notes: {place(column.name, row)}: the text is missing; write it, or remove the row")
        if not isinstance(cell, str):
            raise TableError(f"notes: {place(column.name, row)}: {cell!r} is no text; write the note in words")
        texts.append(cell.strip())
    return texts


def _series(
    frame: nw.DataFrame[Any], ids: Sequence[str], table: SeriesTable, remarks: list[str]
) -> tuple[str | None, ...]:
    """Id of the series of each note; None for all."""
    if not ids:
        return (None,) * len(frame)
    cells = zip(*(frame[name].to_list() for name in ids), strict=True)
    found = []
    for several in cells:
        words = ["" if is_missing(cell) else str(cell).strip() for cell in several]
        found.append(None if not any(words) else words[0] if len(words) == 1 else join_cells(words))
    known = set(table.ids)
    strange = sorted({one for one in found if one is not None and one not in known})
    if strange and len(found) == sum(one in strange for one in found):
        raise TableError(
            f"notes: the table has no series {listed(strange)}, but {listed(table.ids)}; correct {ids[0]!r}, or "
            "leave it blank for notes on all series"
        )
    if strange:
        remarks.append(f"notes on series that the table does not have were ignored: {listed(strange)}")
    return tuple(found)


def _moments(column: nw.Series[Any], rows: np.ndarray, table: SeriesTable) -> tuple[np.ndarray, np.ndarray]:
    """Moments of the cells, 0 where one is missing, and which of them mean a whole day."""
    cells = column.to_list()
    known = [i for i, cell in enumerate(cells) if not is_missing(cell)]
    texts = [_as_text(cells[i]) for i in known]
    like, form = table.times[0], table.time_form
    moments, days = np.zeros(len(cells), dtype=np.int64), np.zeros(len(cells), dtype=bool)
    if not known:
        return moments, days
    if form.counts:
        bad = [not text.lstrip("-").isdecimal() for text in texts]
        found, whole = None, np.zeros(len(known), dtype=bool)
    else:
        try:
            found = read_moments(texts, form, like)
        except TableError as error:
            raise TableError(f"notes: column {column.name!r}: {error}") from None
        bad = found.isna().tolist()
        whole = _begins_day(found)
    if any(bad):
        one = bad.index(True)
        raise TableError(
            f"notes: {place(column.name, rows[known[one]])}: {texts[one]!r} is not a time; expected one in the format "
            f"of the table, such as {form.example(table.times[0][-1])}"
        )
    moments[known] = [int(text) for text in texts] if found is None else microseconds(found, wall=False)
    # Spreadsheets add a midnight to dates, so a time of day counts only where one of the column is no midnight.
    days[known] = whole if whole.all() and _below_a_day(table.frequency) else False
    return moments, days


def _begins_day(times: pd.DatetimeIndex) -> np.ndarray:
    """Whether each time is the first moment of its day, which is not midnight where clocks go forward at midnight."""
    before = from_microseconds(microseconds(times, wall=False) - 1, times)
    return np.asarray(microseconds(before, wall=True) // DAY < microseconds(times, wall=True) // DAY)


def _next_days(moments: np.ndarray, like: pd.Index) -> np.ndarray:
    """Return the first moment of the day after each moment; a day on which clocks change has not 24 hours."""
    times = from_microseconds(moments, like)
    if not isinstance(times, pd.DatetimeIndex):
        return moments
    wall = (microseconds(times, wall=True) // DAY + 1) * DAY
    days = pd.DatetimeIndex(wall.astype("datetime64[us]"))
    return microseconds(days if times.tz is None else localize(days, times.tz), wall=False)


def _below_a_day(frequency: str) -> bool:
    if frequency == NO_FREQUENCY:
        return False
    grid = parse_frequency(frequency)
    return grid.kind == "elapsed" and grid.step < DAY


def _as_text(cell: Any) -> str:
    if isinstance(cell, pd.Period):
        cell = cell.start_time
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ")
    return cell.isoformat() if isinstance(cell, datetime.date) else str(cell).strip()
