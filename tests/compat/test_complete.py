"""Forecasts for every series with every quantile, whatever a forecaster leaves out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from swt_time.compat.complete import fill_ends, forecast_all

TABLE = pd.DataFrame({"id": ["a", "a", "b", "b", "c"], "y": [3.0, np.nan, 4.0, 5.0, np.nan]})
FORECAST = pd.DataFrame({"id": ["b", "b"], "yhat": [1.0, 2.0], "0.25": [0.0, 1.0], "0.5": [5.0, 6.0]})


def forecaster(forecast, calibration="some"):
    """A stand-in that forecasts ``b`` alone."""
    return SimpleNamespace(
        config=SimpleNamespace(data=SimpleNamespace(id_column="id", target="y", horizon=2)),
        trained=SimpleNamespace(calibration=calibration),
        predict=lambda table, levels, quantiles, future: forecast if quantiles else forecast[["id", "yhat"]],
    )


def test_a_quantile_that_was_left_out_is_the_nearest_one_given():
    found = forecast_all(forecaster(FORECAST), TABLE, [0.1, 0.25, 0.5, 0.95])
    np.testing.assert_array_equal(found["b"], [[1, 2], [0, 1], [0, 1], [5, 6], [5, 6]])


def test_without_residuals_every_quantile_is_the_forecast():
    found = forecast_all(forecaster(FORECAST, calibration=None), TABLE, [0.1, 0.9])
    np.testing.assert_array_equal(found["b"], [[1, 2]] * 3)


def test_a_series_that_was_left_out_repeats_its_last_value():
    found = forecast_all(forecaster(FORECAST), TABLE, [0.9])
    assert list(found) == ["a", "b", "c"]
    np.testing.assert_array_equal(found["a"], [[3, 3]] * 2)
    np.testing.assert_array_equal(found["c"], [[0, 0]] * 2)


def test_only_missing_values_at_the_end_are_filled():
    table = pd.DataFrame({"id": list("aaaabb"), "y": [np.nan, 1.0, np.nan, 2.0, 3.0, np.nan]})
    np.testing.assert_array_equal(fill_ends(table, "id", "y")["y"], [np.nan, 1.0, np.nan, 2.0, 3.0, 3.0])
