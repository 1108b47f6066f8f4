"""Forecasts as data frames of the user's library.

Ids, times and true values have the names of their columns in the table; where it has none, they are ``unique_id``,
``ds`` and ``y`` (`swt_time.data.names`). Forecasts are ``yhat``.
"""

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.frames import take_rows
from swt_time.data.names import CUTOFF_NAME, FORECAST_NAME
from swt_time.data.series import SeriesTable
from swt_time.data.timestamps import native_zone_type
from swt_time.data.zones import from_microseconds, microseconds, named_zone
from swt_time.errors import TableError


def forecast_frame(
    table: SeriesTable, yhat: np.ndarray, like: Any, around: Mapping[str, np.ndarray] | None = None
) -> Any:
    """Build the frame of forecasts that follow the end of each series.

    Parameters
    ----------
    table : SeriesTable
        ``N`` series.
    yhat : (N, H) array
        Forecasts in the order of ``table.ids``.
    like : DataFrame
        The input frame; the result uses its library and its type of times.
    around : mapping of str to (N, H) array, optional
        More columns by name, such as those of intervals.

    Returns
    -------
    DataFrame
        ``N * H`` rows: the ids with the names and types that they have in the table, the time, ``yhat``, then what is
        ``around`` it. Series stand in the order in which the table shows them first.

    Raises
    ------
    ValueError
        If ``yhat`` does not have ``N`` rows.
    """
    yhat = np.asarray(yhat, dtype=np.float64)
    if yhat.ndim != 2 or yhat.shape[0] != len(table.ids):
        raise ValueError(f"expected one row for each of {len(table.ids)} series, got shape {yhat.shape}")
    horizon = yhat.shape[1]
    order = _order(table)
    rows = (order[:, None] * horizon + np.arange(horizon)).reshape(-1)
    values = {FORECAST_NAME: yhat, **(around or {})}
    columns = {
        table.names.time: table.future(horizon)[rows],
        **{name: one[order].reshape(-1) for name, one in values.items()},
    }
    return _frame(table, np.repeat(order, horizon), columns, like)


def cross_validation_frame(
    table: SeriesTable,
    pairs: np.ndarray,
    yhat: np.ndarray,
    like: Any,
    around: Mapping[str, np.ndarray] | None = None,
) -> Any:
    """Build the frame of forecasts from past cutoffs, with the true values.

    Parameters
    ----------
    table : SeriesTable
    pairs : (W, 2) int array
        Index of the series, and how many of its rows are known at the cutoff.
    yhat : (W, H) array
        Forecast of the ``H`` rows after each cutoff.
    like : DataFrame
        See `forecast_frame`.
    around : mapping of str to (W, H) array, optional
        See `forecast_frame`.

    Returns
    -------
    DataFrame
        ``W * H`` rows: the ids, the time, ``cutoff`` (the last known timestamp), the true values, ``yhat``; ids and the
        order of the series are those of `forecast_frame`.
    """
    places = np.argsort(_order(table))
    by_series = np.argsort(places[pairs[:, 0]], kind="stable")
    pairs, horizon = pairs[by_series], np.shape(yhat)[1]
    series = np.repeat(pairs[:, 0], horizon)
    like_times = table.times[0]
    stamps, cutoffs, truth = [], [], []
    for index, origin in pairs.tolist():
        known = microseconds(table.times[index], wall=False)
        stamps.append(known[origin : origin + horizon])
        cutoffs.append(np.repeat(known[origin - 1], horizon))
        rows = slice(origin, origin + horizon)
        truth.append(np.where(table.observed[index][rows], table.values[index][rows], np.nan))
    columns: dict[str, Any] = {
        table.names.time: from_microseconds(np.concatenate(stamps), like_times),
        CUTOFF_NAME: from_microseconds(np.concatenate(cutoffs), like_times),
        table.names.value: np.concatenate(truth),
    }
    for name, values in {FORECAST_NAME: yhat, **(around or {})}.items():
        columns[name] = np.asarray(values, dtype=np.float64)[by_series].reshape(-1)
    return _frame(table, series, columns, like)


def series_frame(table: SeriesTable, columns: Mapping[str, np.ndarray], like: Any) -> Any:
    """Build a frame with one row for each series.

    Parameters
    ----------
    table : SeriesTable
        ``N`` series.
    columns : mapping of str to (N,) array
        Numbers by name of the column, in the order of ``table.ids``.
    like : DataFrame
        See `forecast_frame`.

    Returns
    -------
    DataFrame
        The ids and the columns; ids and the order of the series are those of `forecast_frame`.
    """
    order, backend = _order(table), nw.from_native(like, eager_only=True).implementation
    found = [nw.new_series(name, np.asarray(values)[order], backend=backend) for name, values in columns.items()]
    ids = _ids(table, order, backend)
    clash = sorted({one.name for one in ids} & set(columns))
    if clash:
        raise TableError(
            f"the id column {clash[0]!r} has the name of a column of the errors of each series; rename it in the table"
        )
    return nw.to_native(ids[0].to_frame().with_columns(*ids[1:], *found))


def _order(table: SeriesTable) -> np.ndarray:
    """Return the indices of the series in the order of the table."""
    return np.array(table.order or range(len(table.ids)), dtype=np.int64)


def _frame(table: SeriesTable, series: np.ndarray, values: Mapping[str, Any], like: Any) -> Any:
    """Columns with the id of each row, then times (an index) and numbers by name."""
    frame = nw.from_native(like, eager_only=True)
    schema = frame.schema
    columns = _ids(table, series, frame.implementation)
    clash = sorted({one.name for one in columns} & set(values))
    if clash:
        raise TableError(f"forecasts have a column {clash[0]!r} of their own; rename the id column of the table")
    given = frame[table.time_column] if table.time_column in schema else None
    for name, column in values.items():
        if isinstance(column, pd.Index):
            columns.append(_times(name, column, frame.implementation, given))
        else:
            columns.append(nw.new_series(name, column, nw.Float64, backend=frame.implementation))
    return nw.to_native(columns[0].to_frame().with_columns(*columns[1:]))


def _ids(table: SeriesTable, series: np.ndarray, backend: Any) -> list[nw.Series[Any]]:
    """Columns with the id of each row, with the types that ids have in the table."""
    if not table.labels:
        ids = np.array(table.ids, dtype=object)[series].tolist()
        return [nw.new_series(table.names.ids[0], ids, nw.String, backend=backend)]
    rows = series.tolist()
    return [
        nw.from_native(take_rows(labels, rows), series_only=True).alias(name) for name, labels in table.labels.items()
    ]


def _times(name: str, times: pd.Index, backend: Any, given: nw.Series[Any] | None) -> nw.Series[Any]:
    """Return the times as a column of a backend, with the type of the input's time column if that holds times."""
    dtype = None if given is None else given.dtype
    if not isinstance(times, pd.DatetimeIndex):
        column = nw.new_series(name, times.to_numpy(), nw.Int64, backend=backend)
        return column.cast(dtype) if dtype is not None and dtype.is_integer() else column
    if backend is nw.Implementation.PANDAS:
        found = None if given is None else native_zone_type(given)
        unit: Any = found[0] if found else dtype.time_unit if isinstance(dtype, nw.Datetime) else "us"
        series = pd.Series(times.as_unit(unit), name=name)
        column = nw.from_native(series, series_only=True)
        return column.cast(dtype) if isinstance(dtype, nw.Date) else column
    utc = times if times.tz is None else times.tz_convert("UTC").tz_localize(None)
    column = nw.new_series(name, utc.to_numpy(), nw.Datetime("us"), backend=backend)
    zone = None
    if times.tz is not None:
        # other backends support named time zones only, not fixed offsets such as +05:30
        zone = named_zone(times)
        column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    if isinstance(dtype, nw.Date) or (isinstance(dtype, nw.Datetime) and dtype.time_zone == zone):
        return column.cast(dtype)
    return column
