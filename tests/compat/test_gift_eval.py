"""The recipe for GIFT-Eval, with stand-ins of what it imports of gluonts and GIFT-Eval."""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster

SCRIPT = Path(__file__).parents[2] / "examples" / "gift_eval_scores.py"
HORIZON = 4

pytestmark = pytest.mark.filterwarnings("ignore::swt_time.errors.SWTTimeWarning")


@dataclass
class QuantileForecast:
    forecast_arrays: np.ndarray
    start_date: pd.Period
    forecast_keys: list
    item_id: str


def entry(name, values, start="2020-01-01 00:00"):
    return {"item_id": name, "start": pd.Period(start, freq="h"), "target": np.asarray(values, dtype="float32")}


def waves():
    """Hourly series with a season; the second starts later, the third has no values, the last misses its end."""
    hours = np.arange(120)
    values = [10 * number + 50 + 5 * np.sin(2 * np.pi * hours / 24) for number in range(4)]
    values[2] = np.full(120, np.nan)
    values[3][110:] = np.nan
    return [entry(f"s{n}", one, "2020-01-02 05:00" if n == 1 else "2020-01-01 00:00") for n, one in enumerate(values)]


class Dataset:
    target_dim, prediction_length, freq = 1, HORIZON, "H"

    def __init__(self, name, term, to_univariate=False):
        self.made = (name, term, to_univariate)
        self.validation_dataset = [{**one, "target": one["target"][:100]} for one in waves()]
        self.test_data = SimpleNamespace(input=[one for one in waves() for _ in range(2)])


@pytest.fixture
def recipe(monkeypatch):
    """The script, and the forecasts that its predictors give."""
    given = []

    def evaluate_model(predictor, *, test_data, metrics, **options):
        assert options["seasonality"] == 24
        given.extend(predictor.predict(test_data.input))
        return pd.DataFrame([range(len(metrics))], columns=list(script.METRICS))

    class Metrics(ModuleType):
        def __getattr__(self, name):
            return lambda **options: (name, options)

    contents = {
        "gluonts.ev.metrics": {},
        "gift_eval.data": {"Dataset": Dataset},
        "gluonts.model": {"evaluate_model": evaluate_model},
        "gluonts.model.forecast": {"QuantileForecast": QuantileForecast},
        "gluonts.time_feature": {"get_seasonality": lambda freq: 24},
    }
    for name in ("gluonts", "gluonts.ev", "gift_eval"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for name, values in contents.items():
        module = (Metrics if name.endswith("metrics") else ModuleType)(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, last = name.rpartition(".")
        setattr(sys.modules[parent], last, module)
    spec = importlib.util.spec_from_file_location("gift_eval_scores", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script, given


def test_every_window_is_forecast_after_its_last_row(recipe, monkeypatch):
    script, given = recipe
    monkeypatch.setattr(script, "BATCH", 3)
    row = script.score("KDD_cup_2018_with_missing/H/short", {"kdd_cup_2018": {"domain": "Nature", "num_variates": 1}})
    assert row[:2] == ["kdd_cup_2018/H/short", "swt-time"]
    assert row[2:] == [*range(len(script.METRICS)), "Nature", 1]
    entries = Dataset("", "").test_data.input
    assert [one.item_id for one in given] == [one["item_id"] for one in entries]
    assert [one.start_date for one in given] == [one["start"] + 120 for one in entries]
    assert given[0].forecast_keys == ["mean", *map(str, script.QUANTILES)]
    for one in given:
        assert one.forecast_arrays.shape == (10, HORIZON)
        assert np.isfinite(one.forecast_arrays).all()
        assert (np.diff(one.forecast_arrays[1:], axis=0) >= 0).all()
    hours = np.arange(120, 120 + HORIZON)
    for number in (0, 1):
        truth = 10 * number + 50 + 5 * np.sin(2 * np.pi * hours / 24)
        np.testing.assert_allclose(given[2 * number].forecast_arrays[0], truth, atol=0.5)
    np.testing.assert_array_equal(given[4].forecast_arrays, 0.0)


def test_a_forecaster_is_fitted_before_the_test_windows(recipe, monkeypatch):
    script, _ = recipe
    fitted = []
    fit = Forecaster.fit
    monkeypatch.setattr(Forecaster, "fit", lambda self, table: fitted.append(table) or fit(self, table))
    script.score("toy/H/short", {"toy": {"domain": "", "num_variates": 1}})
    assert fitted[0]["unique_id"].value_counts().tolist() == [100] * 4
    assert fitted[0].groupby("unique_id")["ds"].min()["1"] == pd.Timestamp("2020-01-02 05:00")


def test_long_series_are_cut_at_their_start(recipe, monkeypatch):
    script, _ = recipe
    monkeypatch.setattr(script, "LONGEST", 3)
    table = script.read([entry("a", range(10))])
    assert table["ds"].tolist() == list(pd.date_range("2020-01-01 07:00", periods=3, freq="h"))
    assert table["y"].tolist() == [7.0, 8.0, 9.0]
