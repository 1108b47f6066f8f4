"""Evaluation by fev: ``SWTTimeModel`` is a ``fev.ForecastingModel`` around `swt_time.Forecaster`.

The class is made when it is first asked for, since its base is in fev, an optional package.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from swt_time.compat.complete import fill_ends, forecast_all
from swt_time.errors import MissingDependencyError
from swt_time.forecaster import Forecaster

INSTALL = 'pip install "swt-time[fev]", in an environment of its own if that would replace packages of this one'

Predictions = dict[str, list[dict[str, list[float]]]]
"""Of a window: for each target column a dictionary for each series, as ``fev.Task.evaluation_summary`` takes them."""


@dataclass(frozen=True)
class WindowTables:
    """What fev shows of a window, as tables of a `Forecaster`.

    Parameters
    ----------
    past : DataFrame
        Long: ids, times, the target, and the columns that change with time. Several targets are series of their own:
        the targets of the first item, those of the second one, and so on.
    future : DataFrame or None
        Ids, times and known columns of the steps to forecast; None if nothing is known of them.
    static : DataFrame or None
        A row for each series.
    options : dict
        Options of the forecaster that the window determines.
    """

    past: pd.DataFrame
    future: pd.DataFrame | None
    static: pd.DataFrame | None
    options: dict[str, Any]


def read_window(fev: Any, window: Any, frequency: str | None) -> WindowTables:
    """Return the tables of an evaluation window.

    Parameters
    ----------
    fev : module
    window : fev.EvaluationWindow
    frequency : str, optional
        Pandas alias of the time step.
    """
    target = window.target_columns[0]
    if len(window.target_columns) > 1:
        others = {*window.known_dynamic_columns, *window.past_dynamic_columns, *window.static_columns}
        target = "target"
        while target in others | {*window.target_columns, window.id_column, window.timestamp_column}:
            target += "_"
    past, future, static = fev.convert_input_data(
        window, adapter="pandas", as_univariate=True, univariate_target_column=target
    )
    options = {
        "id_column": window.id_column,
        "time_column": window.timestamp_column,
        "target": target,
        "frequency": frequency,
        "fill": "linear",
        "known": tuple(window.known_dynamic_columns) or None,
        "past": tuple(window.past_dynamic_columns) or None,
        "static": tuple(window.static_columns) or None,
    }
    known = future if window.known_dynamic_columns else None
    return WindowTables(fill_ends(past, window.id_column, target), known, static, options)


def predictions(forecasts: Sequence[np.ndarray], targets: Sequence[str], levels: Sequence[float]) -> Predictions:
    """Return forecasts of a window, (1 + Q, H) for each series in the order of `WindowTables`, as fev expects them."""
    names = ("predictions", *map(str, levels))
    series = [dict(zip(names, one.tolist(), strict=True)) for one in forecasts]
    return {name: series[index :: len(targets)] for index, name in enumerate(targets)}


def import_fev() -> Any:
    """Return the module ``fev``.

    Raises
    ------
    MissingDependencyError
        It is not installed, or older than its base class of models.
    """
    try:
        import fev
    except ImportError:
        raise MissingDependencyError(f"an evaluation by fev needs the package fev: {INSTALL}") from None
    if not hasattr(fev, "ForecastingModel"):
        found = getattr(fev, "__version__", "an unknown version")
        raise MissingDependencyError(f"an evaluation by fev needs fev.ForecastingModel, which {found} lacks: {INSTALL}")
    return fev


@functools.cache
def _model_class(base: Any) -> Any:
    class SWTTimeModel(base):  # type: ignore[misc]  # the class of an optional package
        """A `swt_time.Forecaster` as a model of fev.

        A forecaster is fitted anew on what each window shows, on all its series together; it sees no other window and
        no other task. Known, past and static columns of a task are its covariates, missing values are interpolated.
        fev counts fitting as training time.

        Parameters
        ----------
        **options
            Of `swt_time.Forecaster`; by default everything is chosen on held-out rows, without a language model.

        Raises
        ------
        ConfigError
            An option is unknown or out of range.
        """

        model_name = "swt-time"
        trained_on_datasets: list[str] = []  # noqa: RUF012  the name and type are those of the base class

        def __init__(self, **options: Any) -> None:
            super().__init__()
            Forecaster(**options)
            self.options = options

        def _fit_predict(self, task: Any) -> list[Predictions]:
            return [self._forecast(task, window) for window in task.iter_windows()]

        def _forecast(self, task: Any, window: Any) -> Predictions:
            tables = read_window(import_fev(), window, task.freq)
            with self._record_training_time():
                forecaster = Forecaster(**{"horizon": task.horizon, **tables.options, **self.options})
                forecaster.fit(tables.past, static=tables.static)
            with self._record_inference_time():
                found = forecast_all(forecaster, tables.past, task.quantile_levels, future=tables.future)
            return predictions(list(found.values()), task.target_columns, task.quantile_levels)

    SWTTimeModel.__qualname__ = "SWTTimeModel"
    return SWTTimeModel


def __getattr__(name: str) -> Any:
    if name != "SWTTimeModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _model_class(import_fev().ForecastingModel)
