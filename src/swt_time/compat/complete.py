"""Forecasts without gaps, as other software wants them: for every series, at every step, with every quantile."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from swt_time.forecaster import Forecaster


def fill_ends(table: pd.DataFrame, id_column: str, target: str) -> pd.DataFrame:
    """Return a long table in which values that are missing at the end of a series are its last known one.

    So a forecast begins after the last row. Otherwise rows with known columns and without a value are the future.
    """
    values = table[target].groupby(table[id_column], sort=False)
    return table.assign(**{target: table[target].where(values.bfill().notna(), values.ffill())})


def forecast_all(
    forecaster: Forecaster, table: pd.DataFrame, levels: Sequence[float], *, future: pd.DataFrame | None = None
) -> dict[str, np.ndarray]:
    """Forecast each series of a long table: by id, (1 + Q, H), the forecast and its quantiles.

    A quantile that the forecaster leaves out, since it has too few residuals, is the nearest one that it gives, and the
    forecast itself if there is none. A series that it leaves out repeats its last value, and is zero if it has none.

    Parameters
    ----------
    forecaster : Forecaster
        Fitted, with the options ``data.id_column`` and ``data.target``.
    table, future : DataFrame
        As in `Forecaster.predict`.
    levels : sequence of Q float
        Between 0 and 1.
    """
    data = forecaster.config.data
    names, target = str(data.id_column), str(data.target)
    asked = levels if forecaster.trained.calibration is not None else ()
    forecast = forecaster.predict(table, levels=None, quantiles=asked, future=future)
    given = [level for level in asked if f"{level:g}" in forecast]
    columns = ["yhat", *(_column(level, given) for level in levels)]
    rows = forecast[columns].to_numpy(dtype=np.float64)
    found = {str(one): rows[places].T for one, places in forecast.groupby(names, sort=False).indices.items()}
    last = table.groupby(names, sort=False)[target].last().fillna(0.0)
    shape = (len(columns), data.horizon)
    return {str(one): found.get(str(one), np.full(shape, value)) for one, value in last.items()}


def _column(level: float, given: Sequence[float]) -> str:
    """Name of the quantile that stands for a level."""
    return f"{min(given, key=lambda one: abs(one - level)):g}" if given else "yhat"
