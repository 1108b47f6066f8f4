"""A forecaster of sktime: ``SWTTimeForecaster`` is a ``BaseForecaster`` around `swt_time.Forecaster`.

The class is made when it is first asked for, since its base is in sktime, an optional package.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from swt_time.compat.complete import fill_ends, forecast_all
from swt_time.errors import MissingDependencyError
from swt_time.forecaster import Forecaster

COLUMNS = {"id_column": "unique_id", "time_column": "ds", "target": "y"}


def as_table(y: pd.Series) -> pd.DataFrame:
    """Return a series as a long table; positions of a series without times count from 1.

    Examples
    --------
    >>> as_table(pd.Series([2.0, 3.0], index=pd.period_range("2024-01", periods=2, freq="M")))
      unique_id         ds    y
    0         y 2024-01-01  2.0
    1         y 2024-02-01  3.0
    """
    times: Any = y.index.to_timestamp() if isinstance(y.index, pd.PeriodIndex) else y.index
    if not isinstance(times, pd.DatetimeIndex):
        times = pd.RangeIndex(1, len(y) + 1)
    table = pd.DataFrame({"unique_id": "y", "ds": times, "y": y.to_numpy(dtype=np.float64)})
    return fill_ends(table, "unique_id", "y")


@functools.cache
def _forecaster_class(base: Any) -> Any:
    class SWTTimeForecaster(base):  # type: ignore[misc]  # the class of an optional package
        """A `swt_time.Forecaster` as a forecaster of sktime, for one series without exogenous data.

        Missing values are interpolated. ``update`` takes new rows, and fits again if parameters are to be updated.

        Parameters
        ----------
        options : dict, optional
            Of `swt_time.Forecaster`; by default everything is chosen on held-out rows, without a language model.

        Examples
        --------
        >>> from sktime.datasets import load_airline
        >>> from swt_time.compat.sktime import SWTTimeForecaster
        >>> forecaster = SWTTimeForecaster().fit(load_airline(), fh=[1, 2, 3])
        >>> len(forecaster.predict_quantiles(alpha=[0.1, 0.9]))
        3
        """

        _tags = {  # noqa: RUF012  sktime reads them from the class
            "authors": ["The swt-time authors"],
            "maintainers": ["The swt-time authors"],
            "python_dependencies": ["swt-time"],
            "y_inner_mtype": "pd.Series",
            "requires-fh-in-fit": True,
            "capability:exogenous": False,
            "capability:insample": False,
            "capability:missing_values": True,
            "capability:pred_int": True,
            "capability:pred_int:insample": False,
            "capability:update": True,
        }

        def __init__(self, options: dict[str, Any] | None = None) -> None:
            self.options = options
            super().__init__()

        def _fit(self, y: pd.Series, X: Any, fh: Any) -> Any:
            horizon = int(self._steps(fh).max())
            frequency = None if isinstance(y.index, pd.DatetimeIndex | pd.PeriodIndex) else "none"
            options = {"horizon": horizon, **COLUMNS, "frequency": frequency, "fill": "linear", **(self.options or {})}
            self.seen_ = y
            self.forecaster_ = Forecaster(**options).fit(as_table(y))
            return self

        def _update(self, y: pd.Series, X: Any = None, update_params: bool = True) -> Any:
            self.seen_ = y.combine_first(self.seen_)
            return self._fit(self.seen_, None, self.fh) if update_params else self

        def _predict(self, fh: Any, X: Any) -> pd.Series:
            values = self._forecast(fh, ())[:, 0]
            return pd.Series(values, index=fh.to_absolute_index(self.cutoff), name=self.seen_.name)

        def _predict_quantiles(self, fh: Any, X: Any, alpha: Sequence[float]) -> pd.DataFrame:
            columns = pd.MultiIndex.from_product([self._get_varnames(), alpha])
            return pd.DataFrame(self._forecast(fh, alpha)[:, 1:], fh.to_absolute_index(self.cutoff), columns)

        def _forecast(self, fh: Any, levels: Sequence[float]) -> np.ndarray:
            """Return the forecast and quantiles at each asked step, (S, 1 + Q)."""
            (found,) = forecast_all(self.forecaster_, as_table(self.seen_), levels).values()
            return found[:, self._steps(fh) - 1].T

        def _steps(self, fh: Any) -> np.ndarray:
            return np.asarray(fh.to_relative(self.cutoff).to_pandas(), dtype=np.int64)

        @classmethod
        def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
            """Return the arguments with which sktime's checks are run."""
            return [{}, {"options": {"preset": "panel"}}]

    SWTTimeForecaster.__qualname__ = "SWTTimeForecaster"
    return SWTTimeForecaster


def __getattr__(name: str) -> Any:
    if name != "SWTTimeForecaster":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from sktime.forecasting.base import BaseForecaster
    except ImportError:
        raise MissingDependencyError(
            'a forecaster of sktime needs the package sktime: pip install "swt-time[sktime]"'
        ) from None
    return _forecaster_class(BaseForecaster)
