"""Forecasts as data frames of the user's library, with the columns ``unique_id``, ``ds`` and ``yhat``."""

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.series import SeriesTable


def forecast_frame(table: SeriesTable, yhat: np.ndarray, like: Any) -> Any:
    """Build the frame of forecasts that follow the end of each series.

    Parameters
    ----------
    table : SeriesTable
        ``N`` series.
    yhat : (N, H) array
        Forecasts in the order of ``table.ids``.
    like : DataFrame
        The input frame; the result uses its library and its type of times.

    Returns
    -------
    DataFrame
        ``N * H`` rows: ``unique_id`` with the type of the table's ids, ``ds``, ``yhat``. Series stand in the order in
        which the table shows them first.

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
    return _frame(table, np.repeat(order, horizon), table.future(horizon)[rows], {}, yhat[order].reshape(-1), like)


def cross_validation_frame(
    table: SeriesTable, pairs: np.ndarray, yhat: np.ndarray, like: Any, *, name: str = "yhat"
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
    name : str
        Name of the forecast column.

    Returns
    -------
    DataFrame
        ``W * H`` rows: ``unique_id``, ``ds``, ``cutoff`` (the last known timestamp), ``y``, ``yhat``; ids and the order
        of the series are those of `forecast_frame`.
    """
    places = np.argsort(_order(table))
    rows = np.argsort(places[pairs[:, 0]], kind="stable")
    pairs, yhat = pairs[rows], np.asarray(yhat, dtype=np.float64)[rows]
    horizon = yhat.shape[1]
    series = np.repeat(pairs[:, 0], horizon)
    zone = table.times[0].tz
    stamps, cutoffs, truth = [], [], []
    for index, origin in pairs.tolist():
        known = table.times[index].asi8
        stamps.append(known[origin : origin + horizon])
        cutoffs.append(np.repeat(known[origin - 1], horizon))
        truth.append(table.values[index][origin : origin + horizon])
    extra = {"cutoff": _index(np.concatenate(cutoffs), zone), "y": np.concatenate(truth)}
    return _frame(table, series, _index(np.concatenate(stamps), zone), extra, yhat.reshape(-1), like, name=name)


def _order(table: SeriesTable) -> np.ndarray:
    """Indices of the series in the order of the table."""
    return np.array(table.order or range(len(table.ids)), dtype=np.int64)


def _index(stamps: np.ndarray, zone: Any) -> pd.DatetimeIndex:
    index = pd.DatetimeIndex(stamps.astype("datetime64[us]"))
    return index if zone is None else index.tz_localize("UTC").tz_convert(zone)


def _frame(
    table: SeriesTable,
    series: np.ndarray,
    ds: pd.DatetimeIndex,
    extra: dict[str, Any],
    yhat: np.ndarray,
    like: Any,
    *,
    name: str = "yhat",
) -> Any:
    frame = nw.from_native(like, eager_only=True)
    schema = frame.schema
    columns = [_ids(table, series, frame.implementation)]
    for key, values in {"ds": ds, **extra, name: yhat}.items():
        if isinstance(values, pd.DatetimeIndex):
            columns.append(_times(key, values, frame.implementation, schema.get(table.time_column)))
        else:
            columns.append(nw.new_series(key, values, nw.Float64, backend=frame.implementation))
    return nw.to_native(columns[0].to_frame().with_columns(*columns[1:]))


def _ids(table: SeriesTable, series: np.ndarray, backend: Any) -> nw.Series:
    """The id of each row, with the type that ids have in the table."""
    if table.labels is None:
        ids = np.array(table.ids, dtype=object)[series].tolist()
        return nw.new_series("unique_id", ids, nw.String, backend=backend)
    column: nw.Series = nw.from_native(table.labels, series_only=True)[series.tolist()]
    return nw.maybe_reset_index(column.alias("unique_id"))


def _times(name: str, times: pd.DatetimeIndex, backend: Any, dtype: nw.dtypes.DType | None) -> nw.Series:
    """Timestamps as a column of a backend, with the time type of the input column if it had one."""
    if backend is nw.Implementation.PANDAS:
        column: nw.Series = nw.from_native(pd.Series(times, name=name), series_only=True)
    else:
        utc = times if times.tz is None else times.tz_convert("UTC").tz_localize(None)
        column = nw.new_series(name, utc.to_numpy(), nw.Datetime("us"), backend=backend)
        if times.tz is not None:
            # other backends support named time zones only: a fixed offset such as +01:00 becomes UTC
            zone = getattr(times.tz, "key", None) or getattr(times.tz, "zone", None) or "UTC"
            column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    if isinstance(dtype, nw.Date) or (isinstance(dtype, nw.Datetime) and dtype.time_zone == _zone(column)):
        return column.cast(dtype)
    return column


def _zone(column: nw.Series) -> str | None:
    assert isinstance(column.dtype, nw.Datetime)
    return column.dtype.time_zone
