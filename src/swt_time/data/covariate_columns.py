"""Find the columns of covariates in a table, in a table of future rows, and in a static table."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.block import Block
from swt_time.data.columns import listed
from swt_time.data.covariates import Covariates, Role, Rows, read_covariates
from swt_time.data.frames import open_frame
from swt_time.data.ids import find_ids
from swt_time.data.layout import Layout, require
from swt_time.data.names import ID_NAME, TIME_NAME
from swt_time.data.regular import GaplessSeries
from swt_time.data.table_times import read_times
from swt_time.data.zones import microseconds
from swt_time.errors import TableError


@dataclass(frozen=True)
class Asked:
    """Which columns are covariates, and where more of their rows are.

    Attributes
    ----------
    known, past, static : tuple of str
        Columns by role, see `swt_time.data.covariates`.
    future : DataFrame, optional
        Rows after the table: its id and time columns (or ``unique_id`` and ``ds``) and the known columns.
    static_table : DataFrame, optional
        One row for each series: the id column and the static columns; without ``static`` all other columns.
    """

    known: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    future: Any = None
    static_table: Any = None


@dataclass(frozen=True)
class Beside:
    """The covariates of a table, set aside before the roles of its other columns are found."""

    table: nw.DataFrame
    asked: Asked
    roles: dict[str, Role] = field(default_factory=dict)
    static: nw.DataFrame | None = None

    def without_future(self, block: Block) -> Block:
        """Remove the rows after the last value of each series, which hold covariates only."""
        if not self.roles or not block.long:
            return block
        stamps = microseconds(block.times, wall=False)
        known = ~np.isnan(block.values[0])
        last = np.full(len(block.ids), np.iinfo(np.int64).min)
        np.maximum.at(last, block.codes[known], stamps[known])
        kept = stamps <= last[block.codes]
        empty = last == np.iinfo(np.int64).min  # refused by name later
        kept |= empty[block.codes]
        return block if kept.all() else block.take(np.flatnonzero(kept))

    def read(self, block: Block, layout: Layout, gapless: GaplessSeries, frequency: str, date_format: str | None,
             fill: Any) -> Covariates:  # fmt: skip
        """Align the covariates with the series; ``block`` holds all rows of the table."""
        if not self.roles:
            return Covariates()
        places = {name: i for i, name in enumerate(gapless.ids)}
        codes = None
        if layout.ids:
            codes = np.array([places.get(name, -1) for name in block.ids], dtype=np.int64)[block.codes]
        rows = Rows(self.table, block.rows, block.times, codes)
        ahead = self._ahead(layout, places, frequency, date_format, block.times)
        static = None
        if self.static is not None:
            name = _named(self.static, layout.ids or (ID_NAME,), (ID_NAME,), "the static table")
            found, own, _ = find_ids([self.static[one] for one in name], np.arange(2, len(self.static) + 2), [])
            static = self.static, np.array([places.get(one, -1) for one in found], dtype=np.int64)[own]
        return read_covariates(self.roles, rows, ahead, static, gapless.ids, gapless.times, frequency, fill)

    def _ahead(
        self, layout: Layout, places: dict[str, int], frequency: str, date_format: str | None, like: pd.Index
    ) -> Rows | None:
        known = [name for name, role in self.roles.items() if role == "known"]
        if self.asked.future is None or not known:
            return None
        table, rows, _ = open_frame(self.asked.future, (*layout.ids, layout.time))
        if not len(table):
            return None
        missing = [name for name in known if name not in table.columns]
        if missing:
            raise TableError(f"the table of future rows has no column {missing[0]!r}; expected {listed(known)}")
        codes = None
        if layout.ids:
            names = _named(table, layout.ids, (ID_NAME,), "the table of future rows")
            found, own, _ = find_ids([table[one] for one in names], rows, [])
            codes = np.array([places.get(one, -1) for one in found], dtype=np.int64)[own]
        calendar = layout.calendar if all(one in table.columns for one in layout.calendar.values()) else {}
        time = layout.time if calendar else _named(table, (layout.time,), (TIME_NAME,), "the table of future rows")[0]
        where = replace(layout, time=time, calendar=calendar)
        groups = np.zeros(len(rows), dtype=np.int64) if codes is None else codes + 1
        times, _, _ = read_times(table, where, rows, groups, frequency, date_format if time == layout.time else None)
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


def set_aside(table: nw.DataFrame, asked: Asked | None) -> tuple[nw.DataFrame, Beside]:
    """Remove the covariates from a table, so that they are taken neither for series nor for ids.

    Raises
    ------
    TableError
        A column does not exist, or has two roles.
    """
    if asked is None:
        return table, Beside(table, Asked())
    roles: dict[str, Role] = {}
    static_table = None if asked.static_table is None else open_frame(asked.static_table, ())[0]
    static = asked.static
    if static_table is not None and not static:
        static = tuple(name for name in static_table.columns if name != ID_NAME and name not in table.columns)
    for role, names in _by_role(asked, static):
        for name in names:
            found = name if role == "static" and static_table is not None else require(table, name, f"data.{role}")
            if found in roles:
                raise TableError(f"covariate {found!r} is both {roles[found]} and {role}; name it once")
            if role == "static" and static_table is not None:
                found = require(static_table, name, "data.static")
            roles[found] = role
    inside = [name for name, role in roles.items() if role != "static" or static_table is None]
    return table.drop(inside) if inside else table, Beside(table, asked, roles, static_table)


def _by_role(asked: Asked, static: tuple[str, ...]) -> list[tuple[Role, tuple[str, ...]]]:
    return [("known", asked.known), ("past", asked.past), ("static", static)]


def _named(table: nw.DataFrame, names: Sequence[str], standard: Sequence[str], what: str) -> tuple[str, ...]:
    """The columns with the names of the table, or else with the standard ones."""
    for some in (names, standard):
        if all(name in table.columns for name in some):
            return tuple(some)
    raise TableError(f"{what} has no column {names[0]!r}; it has {listed(table.columns)}")
