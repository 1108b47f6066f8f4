"""Names of the columns of forecasts: those that the columns have in the table, beside the forecast's own."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from swt_time.errors import TableError

ID_NAME, TIME_NAME, VALUE_NAME = "unique_id", "ds", "y"
"""Standard names, used where the table has no name: of a wide table's ids and values, and of a time that is spread over
several columns."""

CUTOFF_NAME, FORECAST_NAME = "cutoff", "yhat"
"""Columns of a forecast that no table has."""

NAMELESS = re.compile(r"|Unnamed: \d+(\.\d+)?|__index_level_\d+__")
"""Names that pandas gives to a column without one."""


class Names(NamedTuple):
    """Names of the columns of a forecast: the ids, the time, and the true values."""

    ids: tuple[str, ...] = (ID_NAME,)
    time: str = TIME_NAME
    value: str = VALUE_NAME


STANDARD = Names()


def name_columns(ids: Sequence[str], time: str | None, value: str | None) -> Names:
    """Name the columns of a forecast as the table names them.

    Parameters
    ----------
    ids : sequence of str
        Id columns of the table, empty for a wide one.
    time : str or None
        Time column; None if the time is spread over several columns.
    value : str or None
        Target column of a long table. One that is called ``cutoff`` or ``yhat`` becomes ``y``.

    Raises
    ------
    TableError
        If an id or time column has the name of another column of the forecast.
    """
    names = Names(
        tuple(ids) if len(ids) > 1 else (_named(ids[0] if ids else None, ID_NAME),),
        _named(time, TIME_NAME),
        VALUE_NAME if value in (CUTOFF_NAME, FORECAST_NAME) else _named(value, VALUE_NAME),
    )
    columns = [*names.ids, names.time, CUTOFF_NAME, names.value, FORECAST_NAME]
    for key, given in (("data.id_column", ids), ("data.time_column", (time,))):
        clash = [name for name in given if name is not None and columns.count(name) > 1]
        if clash:
            raise TableError(f"{key}: forecasts have a column {clash[0]!r} of their own; rename the one of the table")
    return names


def _named(name: str | None, standard: str) -> str:
    return standard if name is None or NAMELESS.fullmatch(name.strip()) else name
