"""Forecasts as a frame of the kind that came in: always ``unique_id, ds, yhat``."""

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.series import SeriesTable


def forecast_frame(table: SeriesTable, yhat: np.ndarray, like: Any) -> Any:
    """Forecasts after the end of each series.

    Parameters
    ----------
    table : SeriesTable
        ``N`` series.
    yhat : (N, H) array
        Forecasts in the order of ``table.ids``.
    like : DataFrame
        The frame that came in: the forecast is of the same library and repeats its type of time and id.

    Returns
    -------
    DataFrame
        ``N * H`` rows: ``unique_id``, ``ds``, ``yhat``.
    """
    yhat = np.asarray(yhat, dtype=np.float64)
    if yhat.ndim != 2 or yhat.shape[0] != len(table.ids):
        raise ValueError(f"expected one row for each of {len(table.ids)} series, got shape {yhat.shape}")
    horizon = yhat.shape[1]
    return _frame(
        table,
        np.repeat(np.arange(len(table.ids)), horizon),
        table.future(horizon),
        {},
        yhat.reshape(-1),
        like,
    )


def cross_validation_frame(
    table: SeriesTable, pairs: np.ndarray, yhat: np.ndarray, like: Any, *, name: str = "yhat"
) -> Any:
    """Forecasts of known stretches beside the truth.

    Parameters
    ----------
    table : SeriesTable
    pairs : (W, 2) int array
        Number of the series, and number of its rows that are known at the cutoff.
    yhat : (W, H) array
    like : DataFrame
        See ``forecast_frame``.

    Returns
    -------
    DataFrame
        ``W * H`` rows: ``unique_id``, ``ds``, ``cutoff`` (the last known stamp), ``y``, ``yhat``.
    """
    yhat = np.asarray(yhat, dtype=np.float64)
    horizon = yhat.shape[1]
    series = np.repeat(pairs[:, 0], horizon)
    zone = table.times[0].tz
    stamps, cutoffs, truth = [], [], []
    for number, origin in pairs.tolist():
        known = table.times[number].asi8
        stamps.append(known[origin : origin + horizon])
        cutoffs.append(np.repeat(known[origin - 1], horizon))
        truth.append(table.values[number][origin : origin + horizon])
    extra = {"cutoff": _index(np.concatenate(cutoffs), zone), "y": np.concatenate(truth)}
    return _frame(table, series, _index(np.concatenate(stamps), zone), extra, yhat.reshape(-1), like, name=name)


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
    ids = np.array(table.ids, dtype=object)[series].tolist()
    data: dict[str, Any] = {"unique_id": ids, "ds": ds, **extra, name: yhat}
    schema = frame.schema
    columns = []
    for key, values in data.items():
        if isinstance(values, pd.DatetimeIndex):
            columns.append(_times(key, values, frame.implementation, schema.get(table.time_column)))
            continue
        dtype = nw.String if key == "unique_id" else nw.Float64
        column = nw.new_series(key, values, dtype, backend=frame.implementation)
        if key == "unique_id" and table.id_column in schema and schema[table.id_column].is_integer():
            column = column.cast(schema[table.id_column])
        columns.append(column)
    return nw.to_native(columns[0].to_frame().with_columns(*columns[1:]))


def _times(name: str, times: pd.DatetimeIndex, backend: Any, dtype: nw.dtypes.DType | None) -> nw.Series:
    """Stamps as a column of a backend, of the input's type of time where it had one."""
    if backend is nw.Implementation.PANDAS:
        column: nw.Series = nw.from_native(pd.Series(times, name=name), series_only=True)
    else:
        utc = times if times.tz is None else times.tz_convert("UTC").tz_localize(None)
        column = nw.new_series(name, utc.to_numpy(), nw.Datetime("us"), backend=backend)
        if times.tz is not None:
            # other backends know named zones only: a bare offset such as +01:00 stays in UTC
            zone = getattr(times.tz, "key", None) or getattr(times.tz, "zone", None) or "UTC"
            column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    if isinstance(dtype, nw.Date) or (isinstance(dtype, nw.Datetime) and dtype.time_zone == _zone(column)):
        return column.cast(dtype)
    return column


def _zone(column: nw.Series) -> str | None:
    assert isinstance(column.dtype, nw.Datetime)
    return column.dtype.time_zone
