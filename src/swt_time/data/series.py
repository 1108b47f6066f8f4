"""The internal form of a table: gapless float64 series with one frequency."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal, get_args

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.config import Config, DataConfig, Fill
from swt_time.data.block import Block
from swt_time.data.columns import listed, numeric_columns
from swt_time.data.covariate_columns import Asked, set_aside
from swt_time.data.covariates import NO_COVARIATES, Covariates
from swt_time.data.cutoff import read_cutoff
from swt_time.data.dates import TimeForm
from swt_time.data.frames import ENCODED, column_labels, open_frame, take_rows
from swt_time.data.frequency import NO_FREQUENCY
from swt_time.data.future import continue_series, note_median_step
from swt_time.data.ids import check_alike, find_ids
from swt_time.data.layout import Layout, as_names, find_layout
from swt_time.data.names import ID_NAME, STANDARD, Names
from swt_time.data.numbers import describe_styles, number_styles
from swt_time.data.observed import hold_last, last_observed
from swt_time.data.regular import regularize
from swt_time.data.table_times import read_times
from swt_time.data.zones import from_microseconds, microseconds
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
    times : tuple of pd.Index
        Timestamp of each value, in microseconds, or integers that count rows; the same object for series with equal
        times.
    frequency : str
        Canonical pandas alias, common to all series; ``none`` if rows are counted and their times ignored.
    layout : {"long", "wide"}
    id_columns : tuple of str
        Columns of the input table that are the id; their cells are joined if there are several
        (`swt_time.data.ids.join_cells`). Empty for a wide table.
    time_column, value_column : str or None
        Column names of the input table; a wide table has no single value column.
    notes : tuple of str
        Repairs that were made, one sentence each.
    observed : tuple of bool arrays
        Which values were observed; the others were filled. Zeros for missing days count as observed. By default all.
    fill : {"linear", "ffill", "zero"} or None
        How the others were filled.
    time_form : TimeForm
        How the cells of the time column were read.
    order : tuple of int
        Indices of the series in the order of their first row, or of their column, in the table; empty means the order
        of ``ids``.
    labels : mapping of str to Series
        The ``N`` ids as columns of the table's library, with the types that they have in the table, by the name of
        their column in a forecast, in the order of the table. Empty if the ids are column names that are text.
    left_out : tuple of str
        Series of the table that are not among these, because most of their values are missing.
    names : Names
        Names of the columns of a forecast.
    covariates : Covariates
    """

    ids: tuple[str, ...]
    values: tuple[np.ndarray, ...]
    times: tuple[pd.Index, ...]
    frequency: str
    layout: Literal["long", "wide"]
    id_columns: tuple[str, ...]
    time_column: str
    value_column: str | None
    notes: tuple[str, ...] = ()
    observed: tuple[np.ndarray, ...] = ()
    fill: Fill | None = None
    time_form: TimeForm = field(default_factory=TimeForm)
    order: tuple[int, ...] = ()
    labels: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    names: Names = STANDARD
    covariates: Covariates = NO_COVARIATES

    def __post_init__(self) -> None:
        if not self.observed:
            object.__setattr__(self, "observed", tuple(np.ones(len(one), dtype=bool) for one in self.values))

    def cut(self, rows: Sequence[int]) -> "SeriesTable":
        """Keep the first rows of each series, as they were known then: gaps at the end are filled from before."""
        observed = tuple(one[:n] for one, n in zip(self.observed, rows, strict=True))
        values = tuple(one[:n] for one, n in zip(self.values, rows, strict=True))
        if self.fill == "linear":
            values = tuple(hold_last(one, known) for one, known in zip(values, observed, strict=True))
        ends = list(zip(self.times, rows, strict=True))
        shared = {(id(one), n): one[:n] for one, n in {(id(one), n): (one, n) for one, n in ends}.values()}
        times = tuple(shared[id(one), n] for one, n in ends)
        return replace(self, values=values, times=times, observed=observed)

    def context(self, index: int, origin: int, length: int) -> np.ndarray:
        """Return the ``length`` values before row ``origin`` of a series, as they were known then."""
        values = self.values[index][origin - length : origin]
        if self.fill != "linear" or self.observed[index][origin - 1]:
            return values
        last = int(last_observed(self.observed[index][:origin])[-1])
        held = self.values[index][last]
        return np.where(np.arange(origin - length, origin) > last, held, values)

    @property
    def gapless(self) -> bool:
        """Whether every value was observed."""
        return all(one.all() for one in self.observed)

    def select(self, indices: Sequence[int]) -> "SeriesTable":
        """Return the series with these indices."""
        return replace(
            self,
            ids=tuple(self.ids[i] for i in indices),
            values=tuple(self.values[i] for i in indices),
            times=tuple(self.times[i] for i in indices),
            observed=tuple(self.observed[i] for i in indices),
            order=self._order_of(indices),
            labels={name: take_rows(labels, indices) for name, labels in self.labels.items()},
            covariates=self.covariates.select(indices),
        )

    def _order_of(self, indices: Sequence[int]) -> tuple[int, ...]:
        """Order of some of the series in the table, as indices into ``indices``."""
        places = {index: place for place, index in enumerate(self.order)}
        return tuple(sorted(range(len(indices)), key=lambda i: places[indices[i]])) if self.order else ()

    @property
    def lengths(self) -> np.ndarray:
        """Number of rows per series, ``(N,)`` int64."""
        return np.array([len(values) for values in self.values], dtype=np.int64)

    @property
    def last(self) -> pd.Index:
        """Last timestamp of each of the ``N`` series."""
        stamps = np.array([microseconds(times, wall=False)[-1] for times in self.times], dtype=np.int64)
        last: pd.Index = from_microseconds(stamps, self.times[0])
        return last

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

    def future(self, horizon: int) -> pd.Index:
        """Return the ``horizon`` timestamps after the end of each series, series after series, ``N * horizon`` in all.

        With the frequency ``none`` they continue with the median step of each series.
        """
        return continue_series(self.times, self.frequency, horizon)


def to_series(
    frame: Any,
    *,
    id_column: str | Sequence[str] | None = None,
    time_column: str | None = None,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    frequency: str | None = None,
    fill: Fill | None = None,
    date_format: str | None = None,
    covariates: Asked | None = None,
) -> SeriesTable:
    """Convert a pandas, polars or pyarrow table into series.

    The result does not depend on the order of rows and columns.

    Parameters
    ----------
    frame : DataFrame
        Long (columns ``unique_id``, ``ds``, ``y``, or other names given below) or wide (a time column and numeric
        columns). A pandas time index is used as the time column.
    id_column : str or sequence of str, optional
        Name of the id column, or of several columns that tell the series apart together.
    time_column, target : str, optional
        Names of the time and value columns.
    columns : sequence of str, optional
        Columns of a wide table to use as series; all numeric columns by default.
    frequency : str, optional
        Pandas alias; inferred by default. ``none`` counts rows and ignores the calendar: for business hours, trading
        days, dekads, and an integer index as time column. The times of a forecast then continue with the median step of
        the series: an integer index with the following integers, timestamps with a note, since the calendar of future
        rows is not known.
    fill : {"linear", "ffill", "zero"}, optional
        How to fill missing timestamps, NaN and infinities: by linear interpolation in time (after the last known value:
        that value), by the last known value, or by zero. Zeros count as observed, since a missing day is a day without
        sales: they reach from the first row of a series, with or without a value, to the last value of the whole table.
        Other filled values, and zeros for infinities, are not observed, and the series starts at its first known value
        and ends at its last row. By default, missing values raise an error. Rows after the last value of the whole
        table, which hold no value yet, are always left out.
    date_format : str, optional
        Strptime format of the text or integers in the time column, such as ``%d/%m/%Y``, ``%Y%m``, ``%b-%y`` or
        ``%YQ%q`` (quarter). By default it is found: where day and month could be swapped, by the order that gives
        gapless series, and by ``frequency`` where both do.
    covariates : Asked, optional
        Columns that are covariates rather than series, and tables with more of their rows.

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
    if frequency is not None and frequency.strip().lower() == NO_FREQUENCY:
        frequency = NO_FREQUENCY
    table, rows, notes = open_frame(frame, (*as_names(id_column), time_column))
    if len(table) == 0:
        raise TableError("the table has no rows; expected at least two rows of data")
    table, beside = set_aside(table, covariates)
    layout = find_layout(
        table, id_column=id_column, time_column=time_column, target=target, columns=columns, date_format=date_format
    )
    notes += layout.notes
    alike: list[str] = []
    if not layout.ids:
        names: list[str] = sorted(layout.values)
        check_alike(names, alike)
        codes = np.zeros(len(rows), dtype=np.int32)
        first = {name: i for i, name in enumerate(table.columns)}
    else:
        names, codes, first = find_ids([table[name] for name in layout.ids], rows, alike)
    times, form, on_times = read_times(table, layout, rows, codes, frequency=frequency, date_format=date_format)
    notes += on_times + alike
    roles = {*layout.ids, layout.time, *layout.values}
    others = [name for name in table.columns if name not in roles]
    styles = number_styles(table, sorted(layout.values), others, rows)
    plain = {name: style.plain for name, style in styles.items()}
    values, text = numeric_columns(table, sorted(layout.values), rows, plain)
    notes += describe_styles(styles, table)
    text = [name for name in text if name not in styles]
    if text:
        notes.append(f"text was converted to numbers in {listed(text)}")
    block = Block(
        times,
        codes,
        values,
        rows,
        tuple(sorted(layout.values)),
        tuple(names),
        bool(layout.ids),
    )
    gapless, alias, more = regularize(beside.without_future(block), frequency, fill)
    if alias == NO_FREQUENCY and isinstance(times, pd.DatetimeIndex):
        more += note_median_step(gapless.times)
    return SeriesTable(
        ids=gapless.ids,
        values=gapless.values,
        times=gapless.times,
        observed=gapless.observed,
        fill=fill,
        left_out=gapless.left_out,
        time_form=form,
        frequency=alias,
        layout="long" if layout.ids else "wide",
        id_columns=layout.ids,
        time_column=layout.time,
        value_column=layout.values[0] if layout.ids else None,
        notes=(*notes, *more),
        order=tuple(sorted(range(len(gapless.ids)), key=lambda i: first[gapless.ids[i]])),
        labels=_labels(frame, table, layout, gapless.ids, first),
        names=layout.names,
        covariates=beside.read(block, layout, gapless, alias, date_format=date_format, fill=fill),
    )


def _labels(
    frame: Any, table: nw.DataFrame[Any], layout: Layout, ids: Sequence[str], first: dict[str, int]
) -> dict[str, Any]:
    """Return the ids as columns of the table's library, with the types that they have in the table."""
    if not layout.ids:
        labels = column_labels(frame, ids)
        return {} if labels is None else {layout.names.ids[0]: labels}
    rows, encoded = [first[name] for name in ids], getattr(frame, "attrs", {}).get(ENCODED, {})
    names, found = dict(zip(layout.ids, layout.names.ids, strict=True)), {}
    for column in (name for name in table.columns if name in layout.ids):
        labels = take_rows(nw.to_native(table[column]), rows)
        found[names[column]] = labels.astype(encoded[column]) if column in encoded else labels
    return found


def read_series(frame: Any, data: DataConfig, future: Any = None, static: Any = None) -> SeriesTable:
    """Convert a table into series with the options of a ``data`` configuration; see `to_series`."""
    asked = Asked(data.known or (), future, data.past or (), data.static or (), static, data.titles)
    return to_series(
        frame,
        id_column=data.id_column,
        time_column=data.time_column,
        target=data.target,
        columns=data.columns,
        frequency=data.frequency,
        fill=data.fill,
        date_format=data.date_format,
        covariates=asked,
    )


def remember_ids(config: Config, table: SeriesTable) -> Config:
    """Return a configuration that names the id columns that were found by their content.

    Another table of the same kind, such as one of a single series, may not show them.
    """
    if config.data.id_column is not None or table.id_columns in ((), (ID_NAME,)):
        return config
    return config.replace({"data.id_column": table.id_columns})


def too_short(series: SeriesTable, indices: Sequence[int], reason: str) -> str:
    """Return a note that names the series that were left out."""
    names = [series.ids[i] for i in indices]
    return f"{len(names)} of {len(series.ids)} series are too short and left out: {listed(names)}; {reason}"


def series_sha256(series: SeriesTable) -> str:
    """SHA-256 of the ids, timestamps, values, titles and notes of a table, independent of its file or frame type."""
    digest = hashlib.sha256()
    stamps = {id(times): np.ascontiguousarray(microseconds(times, wall=False)) for times in series.times}
    for name, values, times in zip(series.ids, series.values, series.times, strict=True):
        digest.update(f"{name}\0{len(values)}\0".encode())
        digest.update(stamps[id(times)].data)
        digest.update(np.ascontiguousarray(values, np.float64).data)
    if not series.gapless:
        digest.update(np.concatenate(series.observed).data)
    for column in series.covariates.columns:
        digest.update(f"{column.name}\0".encode())
        for cells in column.values:
            digest.update(repr(cells.tolist()).encode() if cells.dtype == object else cells.tobytes())
    if series.covariates.titles is not None:
        digest.update(repr(series.covariates.titles.texts).encode())
    if series.covariates.told is not None:
        digest.update(series.covariates.told.notes.digest())
    return digest.hexdigest()


def cut_series(table: SeriesTable, cutoff: str) -> SeriesTable:
    """Keep the rows of each series up to and including a cutoff time.

    Parameters
    ----------
    table : SeriesTable
    cutoff : str
        A time, in the format of the table's time column or in ISO 8601; without an offset, in the time zone of the
        table.

    Raises
    ------
    TableError
        If the cutoff is not a valid time, every series ends before it, or every series starts after it. A series that
        starts after it is left out.
    """
    moment = read_cutoff(cutoff, table.time_form, table.times)
    kept = [int(times.searchsorted(moment, side="right")) for times in table.times]
    begun = [i for i, rows in enumerate(kept) if rows > 0]
    if not begun:
        first = min(times[0] for times in table.times)
        raise TableError(f"every series begins after the cutoff {cutoff}, the first at {first}; choose a later cutoff")
    table, kept = table.select(begun), [kept[i] for i in begun]
    return table.cut(kept)
