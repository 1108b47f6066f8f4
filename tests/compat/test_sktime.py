"""The forecaster of sktime: with a stand-in of its base class, and by sktime's own checks."""

import subprocess
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from support.environments import environment_with, snippet_of_the_page
from swt_time import Forecaster
from swt_time.compat import sktime as adapter
from swt_time.errors import MissingDependencyError


class Steps:
    """As sktime's ``ForecastingHorizon`` of relative steps."""

    def __init__(self, steps):
        self.steps = pd.Index(steps)

    def to_relative(self, cutoff):
        return self

    def to_pandas(self):
        return self.steps

    def to_absolute_index(self, cutoff):
        return pd.Index([cutoff + step for step in self.steps])


class BaseForecaster:
    """What `swt_time.compat.sktime` needs of sktime's base class, written from its interface in version 1.2."""

    def fit(self, y, fh):
        self.cutoff, self.fh = y.index[-1], Steps(fh)
        return self._fit(y, None, self.fh)

    def update(self, y, update_params=True):
        self.cutoff = y.index[-1]
        return self._update(y, None, update_params)

    def predict(self):
        return self._predict(self.fh, None)

    def predict_quantiles(self, alpha):
        return self._predict_quantiles(self.fh, None, alpha)

    def _get_varnames(self):
        return [0]


@pytest.fixture
def sktime(monkeypatch):
    for name in ("sktime", "sktime.forecasting", "sktime.forecasting.base"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["sktime.forecasting.base"].BaseForecaster = BaseForecaster


def series(rows=60):
    months = np.arange(rows)
    noise = np.random.default_rng(0).normal(size=rows)
    values = 50 + 5 * np.sin(2 * np.pi * months / 12) + 0.3 * noise
    return pd.Series(values, pd.period_range("2010-01", periods=rows, freq="M"), name="sales")


def test_forecasts_are_those_of_the_forecaster(sktime):
    y = series()
    mine = adapter.SWTTimeForecaster().fit(y, fh=[2, 5])
    table = pd.DataFrame({"ds": y.index.to_timestamp(), "y": y.to_numpy()})
    expected = Forecaster(horizon=5).fit(table).predict(table, levels=None, quantiles=[0.1, 0.9]).iloc[[1, 4]]
    found = mine.predict()
    assert (found.index.astype(str).tolist(), found.name) == (["2015-02", "2015-05"], "sales")
    np.testing.assert_array_equal(found, expected["yhat"])
    quantiles = mine.predict_quantiles([0.1, 0.9])
    assert quantiles.columns.tolist() == [(0, 0.1), (0, 0.9)]
    np.testing.assert_array_equal(quantiles, expected[["0.1", "0.9"]])


def test_an_update_moves_the_forecast_and_fits_again_only_if_asked(sktime):
    y = series()
    mine = adapter.SWTTimeForecaster().fit(y[:48], fh=[1, 2])
    fitted = mine.forecaster_
    mine.update(y[46:54] + 100, update_params=False)
    assert mine.forecaster_ is fitted
    assert mine.predict().index.astype(str).tolist() == ["2014-07", "2014-08"]
    np.testing.assert_array_equal(mine.seen_, pd.concat([y[:46], y[46:54] + 100]))
    mine.update(y[54:])
    assert mine.forecaster_ is not fitted


def test_a_series_without_times_is_counted(sktime):
    y = pd.Series(series().to_numpy(), name=None)
    mine = adapter.SWTTimeForecaster({"seed": 1}).fit(y, fh=[1])
    assert mine.forecaster_.config.data.frequency == "none"
    assert mine.forecaster_.config.training.seed == 1
    assert np.isfinite(mine.predict()).all()


def test_a_missing_sktime_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "sktime", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "swt-time\[sktime\]"'):
        _ = adapter.SWTTimeForecaster


CHECK = """
from sktime.utils.estimator_checks import check_estimator
from swt_time.compat.sktime import SWTTimeForecaster
results = check_estimator(SWTTimeForecaster, raise_exceptions=False, verbose=False)
failed = {name: one for name, one in results.items() if one != "PASSED"}
print(len(results), failed)
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_checks_of_sktime_pass(tmp_path):
    """In an environment with sktime from the package index, on top of the packages of this one; seven minutes."""
    python = environment_with(tmp_path / "env", "sktime>=1.2,<2")
    code = snippet_of_the_page("from sktime") + "assert intervals.shape == (12, 4)" + CHECK
    shown = subprocess.run([python, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    count, _, failed = shown.stdout.strip().splitlines()[-1].partition(" ")
    assert int(count) > 700
    assert failed == "{}"
