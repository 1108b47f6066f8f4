"""Find the columns of covariates in a table, in a table of future rows, and in one of series."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.block import Block, GaplessSeries
from swt_time.data.columns import listed
from swt_time.data.covariates import Covariate, Covariates, Rows, read_covariates
from swt_time.data.frames import open_frame
from swt_time.data.ids import find_ids
from swt_time.data.layout import Layout, require
from swt_time.data.names import ID_NAME, TIME_NAME
from swt_time.data.static import read_static
from swt_time.data.table_times import read_times
from swt_time.data.titles import Titles, read_titles
from swt_time.data.zones import microseconds
from swt_time.errors import TableError


@dataclass(frozen=True)
class Asked:
    """Which columns are covariates, and where more of their rows are.

    Attributes
    ----------
    known : tuple of str
        Columns that are known in advance.
    future : DataFrame, optional
        Rows after the table: its id and time columns (or ``unique_id`` and ``ds``) and the known columns.
    past : tuple of str
        Columns that are known as far as the series.
    static : tuple of str
        Columns with one value for each series. A table that has none of them is read without.
    static_table : DataFrame, optional
        A row for each series: the id column (or ``unique_id``) and the static columns; without ``static`` all others.
    titles : str, optional
        Column of the table or of the static one with a text about each series. Tables without it are read without.
    """

    known: tuple[str, ...] = ()
    future: Any = None
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    static_table: Any = None
    titles: str | None = None


@dataclass(frozen=True)
class Beside:
    """The covariates of a table, set aside before the roles of its other columns are found."""

    table: nw.DataFrame[Any]
    asked: Asked
    names: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    titles: str | None = None

    def without_future(self, block: Block) -> Block:
        """Remove the rows after the last value of each series, or of a wide table, which hold covariates only."""
        if not self.names:
            return block
        stamps = microseconds(block.times, wall=False)
        known = ~np.isnan(block.values).all(axis=0)
        last = np.full(len(block.ids), np.iinfo(np.int64).min)
        np.maximum.at(last, block.codes[known], stamps[known])
        kept = stamps <= last[block.codes]
        empty = last == np.iinfo(np.int64).min  # refused by name later
        kept |= empty[block.codes]
        return block if kept.all() else block.take(np.flatnonzero(kept))

    def read(self, block: Block, layout: Layout, gapless: GaplessSeries, frequency: str, *,
             date_format: str | None, fill: Any) -> Covariates:  # fmt: skip
        """Align the covariates with the series; ``block`` holds all rows of the table."""
        if not (self.names or self.past or self.static or self.titles or self.asked.static_table is not None):
            return Covariates()
        places = {name: i for i, name in enumerate(gapless.ids)}
        codes = None
        if layout.ids:
            codes = np.array([places.get(name, -1) for name in block.ids], dtype=np.int64)[block.codes]
        rows = Rows(self.table, block.rows, block.times, codes)
        ahead = self._ahead(layout, places, frequency, date_format, block.times)
        known = read_covariates(self.names, rows, ahead, gapless.ids, gapless.times, frequency=frequency, fill=fill)
        past = read_covariates(
            self.past, rows, None, gapless.ids, gapless.times, frequency=frequency, fill=fill, role="past"
        )
        static, titles = self._static(layout, places, rows, gapless.ids)
        return Covariates((*known, *past, *static), titles=None if titles is None else Titles(titles))

    def _static(
        self, layout: Layout, places: dict[str, int], rows: Rows, ids: Sequence[str]
    ) -> tuple[list[Covariate], tuple[str, ...] | None]:
        """Columns of the static table, or those of the table itself, and the titles."""
        titles = None
        if self.titles is not None:
            titles = read_titles(rows.table[self.titles], rows.numbers, rows.codes, ids)
        if self.asked.static_table is None:
            return read_static(self.static, rows.table, rows.numbers, rows.codes, ids), titles
        table, numbers, _ = open_frame(self.asked.static_table, layout.ids)
        columns = _named(table, layout.ids or (ID_NAME,), (ID_NAME,), "the static table")
        found, own, _ = find_ids([table[one] for one in columns], numbers, [])
        codes = np.array([places.get(one, -1) for one in found], dtype=np.int64)[own]
        taken = {*columns, *self.names, *self.past}
        if self.asked.titles is not None and titles is None:
            name = require(table, self.asked.titles, "data.titles")
            titles = read_titles(table[name], numbers, codes, ids)
            taken.add(name)
        names = self.asked.static or [name for name in table.columns if name not in taken]
        for name in names:
            require(table, name, "data.static")
        return read_static(names, table, numbers, codes, ids), titles

    def _ahead(
        self, layout: Layout, places: dict[str, int], frequency: str, date_format: str | None, like: pd.Index
    ) -> Rows | None:
        if self.asked.future is None:
            return None
        table, rows, _ = open_frame(self.asked.future, (*layout.ids, layout.time))
        if not len(table):
            return None
        missing = [name for name in self.names if name not in table.columns]
        if missing:
            raise TableError(f"the table of future rows has no column {missing[0]!r}; expected {listed(self.names)}")
        codes = None
        if layout.ids:
            names = _named(table, layout.ids, (ID_NAME,), "the table of future rows")
            found, own, _ = find_ids([table[one] for one in names], rows, [])
            codes = np.array([places.get(one, -1) for one in found], dtype=np.int64)[own]
        calendar = layout.calendar if all(one in table.columns for one in layout.calendar.values()) else {}
        time = layout.time if calendar else _named(table, (layout.time,), (TIME_NAME,), "the table of future rows")[0]
        where = replace(layout, time=time, calendar=calendar)
        groups = np.zeros(len(rows), dtype=np.int64) if codes is None else codes + 1
        times, _, _ = read_times(
            table, where, rows, groups, frequency=frequency, date_format=date_format if time == layout.time else None
        )
        if isinstance(times, pd.DatetimeIndex) != isinstance(like, pd.DatetimeIndex) or (
            (getattr(times, "tz", None) is None) != (getattr(like, "tz", None) is None)
        ):
            raise TableError(
                "the times of the future rows and of the table are of different kinds (with and without a time zone, "
                "or dates and counts); write both alike"
            )
        if isinstance(times, pd.DatetimeIndex) and isinstance(like, pd.DatetimeIndex) and like.tz is not None:
            times = times.tz_convert(like.tz)
        return Rows(table, rows, times, codes)


def set_aside(table: nw.DataFrame[Any], asked: Asked | None) -> tuple[nw.DataFrame[Any], Beside]:
    """Remove the covariates from a table, so that they are taken neither for series nor for ids.

    Raises
    ------
    TableError
        A column does not exist, or is named twice.
    """
    if asked is None:
        return table, Beside(table, Asked())
    roles: dict[str, str] = {}
    titles = (asked.titles,) if asked.titles is not None and asked.titles in table.columns else ()
    inside = asked.static_table is None and any(name in table.columns for name in asked.static)
    static = asked.static if inside else ()
    for role, names in ("known", asked.known), ("past", asked.past), ("static", static), ("titles", titles):
        for name in names:
            found = require(table, name, f"data.{role}")
            if found in roles:
                where = f"in data.{roles[found]} and in data.{role}"
                raise TableError(f"covariate {found!r} is named twice, {where}; name it once")
            roles[found] = role
    known, past, static = (
        tuple(name for name, one in roles.items() if one == role) for role in ("known", "past", "static")
    )
    beside = Beside(table, asked, known, past, static, next(iter(titles), None))
    return table.drop(list(roles)) if roles else table, beside


def _named(table: nw.DataFrame[Any], names: Sequence[str], standard: Sequence[str], what: str) -> tuple[str, ...]:
    """Return the columns with the names of the table, or else with the standard ones."""
    for some in (names, standard):
        if all(name in table.columns for name in some):
            return tuple(some)
    raise TableError(f"{what} has no column {names[0]!r}; it has {listed(table.columns)}")
