"""The model of fev: the forecasts of a `Forecaster` for each window, in fev's form and order."""

import os
import subprocess
import sys
import warnings
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from support.environments import environment_with, snippet_of_the_page
from support.fev_stand_in import Task, check, convert_input_data, stand_in
from swt_time import ConfigError, Forecaster
from swt_time.compat import fev as adapter
from swt_time.errors import MissingDependencyError, SWTTimeWarning

LEVELS = [0.1, 0.5, 0.9]


@pytest.fixture
def fev(monkeypatch):
    module = stand_in()
    monkeypatch.setitem(sys.modules, "fev", module)
    return module


def panel(series=4, rows=48, seed=0):
    """Monthly series with a season, a column that explains half of each value, and a kind."""
    noise = np.random.default_rng(seed)
    frames = []
    for number in range(series):
        weather = noise.normal(size=rows)
        season = 5 * np.sin(2 * np.pi * np.arange(rows) / 12)
        frames.append(
            pd.DataFrame(
                {
                    "id": f"s{number}",
                    "timestamp": pd.date_range("2010-01-01", periods=rows, freq="MS"),
                    "target": 50 + 10 * number + season + 4 * weather + 0.3 * noise.normal(size=rows),
                    "weather": weather,
                    "kind": ["a", "b"][number % 2],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def run(task, **options):
    model = adapter.SWTTimeModel(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SWTTimeWarning)
        found = check(task, model.fit_predict(task))
    return found, model


def test_predictions_are_those_of_the_forecaster(fev):
    frame = panel()[["id", "timestamp", "target"]]
    task = Task(frame, horizon=6, freq="MS", quantile_levels=LEVELS)
    (found,), model = run(task)
    past = frame.groupby("id").head(42)
    options = {"id_column": "id", "time_column": "timestamp", "target": "target"}
    forecast = Forecaster(horizon=6, **options).fit(past).predict(past, levels=None, quantiles=LEVELS)
    for key, column in {"predictions": "yhat", "0.1": "0.1", "0.5": "0.5", "0.9": "0.9"}.items():
        np.testing.assert_array_equal(found["target"][key], forecast[column].to_numpy().reshape(4, 6))
    assert model.training_time > 0
    assert model.inference_time > 0
    assert (model.model_name, model.trained_on_datasets) == ("swt-time", [])


def test_a_window_sees_only_the_rows_before_it(fev):
    frame = panel(series=2)
    task = Task(frame, horizon=6, freq="MS", num_windows=2, quantile_levels=LEVELS)
    (first, second), _ = run(task)
    changed = frame.assign(target=frame["target"].where(frame.groupby("id").cumcount() < 36, 1000.0))
    (again, other), _ = run(Task(changed, horizon=6, freq="MS", num_windows=2, quantile_levels=LEVELS))
    np.testing.assert_array_equal(first["target"]["0.9"], again["target"]["0.9"])
    assert not np.allclose(second["target"]["0.9"], other["target"]["0.9"])


def test_known_columns_explain_the_future(fev):
    frame = panel(series=2, rows=80)
    truth = frame.groupby("id").tail(6)["target"].to_numpy().reshape(2, 6)
    (without,), _ = run(Task(frame, horizon=6, freq="MS", quantile_levels=LEVELS))
    (found,), _ = run(Task(frame, horizon=6, freq="MS", quantile_levels=LEVELS, known_dynamic_columns=["weather"]))
    errors = [np.abs(one["target"]["predictions"] - truth).mean() for one in (found, without)]
    assert errors[0] < 0.5 * errors[1]


def test_all_columns_of_a_task_become_covariates(fev):
    frame = panel().assign(visitors=1.0)
    task = Task(frame, 6, "MS", known_dynamic_columns=["weather"], past_dynamic_columns=["visitors"])
    task.static_columns = ["kind"]
    tables = adapter.read_window(fev, next(iter(task.iter_windows())), task.freq)
    shown = {key: tables.options[key] for key in ("known", "past", "static", "frequency")}
    assert shown == {"known": ("weather",), "past": ("visitors",), "static": ("kind",), "frequency": "MS"}
    assert list(tables.past) == ["id", "timestamp", "target", "weather", "visitors"]
    assert list(tables.future) == ["id", "timestamp", "weather"]
    assert tables.static["kind"].tolist() == ["a", "b", "a", "b"]
    without = Task(frame, 6, "MS")
    assert adapter.read_window(fev, next(iter(without.iter_windows())), "MS").future is None


def test_targets_of_an_item_are_series_in_its_order(fev):
    frame = panel(series=2).rename(columns={"target": "y"})
    frame = frame.assign(x=frame["y"] + 1000, target=0.0)  # the name that the targets have together elsewhere
    task = Task(frame, 6, "MS", target=["x", "y"], quantile_levels=LEVELS, known_dynamic_columns=["target"])
    (found,), _ = run(task)
    levels = [found[name]["predictions"].mean(axis=1).round(-1) for name in ("x", "y")]
    np.testing.assert_array_equal(levels, [[1050, 1060], [50, 60]])


def test_values_missing_before_the_cutoff_do_not_shift_the_forecast(fev):
    frame = panel(series=3, rows=80).assign(target=np.tile(np.arange(80.0), 3))
    rows = frame.groupby("id").cumcount()
    frame["target"] = frame["target"].mask((frame["id"] == "s0") & rows.between(72, 73) | rows.between(20, 22))
    frame.loc[frame["id"] == "s1", "target"] = np.nan
    task = Task(frame, 6, "MS", quantile_levels=LEVELS, known_dynamic_columns=["weather"])
    tables = adapter.read_window(fev, next(iter(task.iter_windows())), task.freq)
    seen = tables.past.groupby("id")["target"]
    assert seen.tail(3)[:3].tolist() == [71.0, 71.0, 71.0]
    assert seen.apply(lambda one: one.isna().sum()).tolist() == [3, 74, 3]
    (found,), _ = run(task)
    np.testing.assert_array_equal(found["target"]["0.9"][1], 0.0)
    np.testing.assert_allclose(found["target"]["predictions"][2], np.arange(74.0, 80.0), atol=1.0)


def test_series_too_short_for_intervals_have_a_forecast(fev):
    task = Task(panel(series=1, rows=9), 6, "MS", quantile_levels=LEVELS)
    (found,), _ = run(task)
    assert (found["target"]["0.1"] <= found["target"]["0.9"]).all()


def test_options_are_those_of_the_forecaster(fev):
    with pytest.raises(ConfigError, match="horizn"):
        adapter.SWTTimeModel(horizn=3)
    task = Task(panel(series=2, rows=80), 6, "MS", quantile_levels=LEVELS)
    (found,), _ = run(task, context=16, backbone="none", max_steps=1)
    assert not np.array_equal(found["target"]["predictions"], run(task)[0][0]["target"]["predictions"])


def test_a_missing_or_old_fev_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "fev", None)
    with pytest.raises(MissingDependencyError, match=r'needs the package fev: pip install "swt-time\[fev\]"'):
        _ = adapter.SWTTimeModel
    monkeypatch.setitem(sys.modules, "fev", ModuleType("fev"))
    with pytest.raises(MissingDependencyError, match=r"fev\.ForecastingModel.*pip install"):
        _ = adapter.SWTTimeModel
    with pytest.raises(AttributeError, match="no attribute 'Model'"):
        _ = adapter.Model


def test_the_stand_in_refuses_what_fev_refuses(fev):
    window = next(iter(Task(panel(), 6, "MS", target=["weather"]).iter_windows()))
    with pytest.raises(ValueError, match="already exists"):
        convert_input_data(window, as_univariate=True)
    with pytest.raises(AssertionError):
        check(Task(panel(), 6, "MS"), [{"target": [{"predictions": [np.nan] * 6}] * 4}])


REAL = """
import pandas as pd
frame = pd.read_csv("demand.csv", parse_dates=["timestamp"])
frame.to_parquet("demand.parquet", index=False)
{snippet}
assert type(model) is fev.ForecastingModel.get_model_cls("swt-time")
assert summary["num_forecasts"] == 6
assert summary["training_time_s"] > summary["inference_time_s"] > 0
board = fev.leaderboard([summary, {{**summary, "model_name": "worse", "test_error": 9.0}}], baseline_model="worse")
assert board.loc["swt-time", "win_rate"] == 1.0
print(summary["MASE"])
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_snippet_of_the_page_runs_with_fev_itself(tmp_path):
    """In an environment with fev from the package index, on top of the packages of this one."""
    snippet = snippet_of_the_page("import fev")
    days = panel(series=2, rows=24 * 20).rename(columns={"target": "demand", "weather": "wind"})
    days["timestamp"] = np.tile(pd.date_range("2024-01-01", periods=24 * 20, freq="h"), 2)
    days[["id", "timestamp", "demand", "wind"]].to_csv(tmp_path / "demand.csv", index=False)
    python = environment_with(tmp_path / "env", "fev>=0.10,<1")
    offline = {**os.environ, "HF_HOME": str(tmp_path / "cache")}
    run = [python, "-c", REAL.format(snippet=snippet)]
    shown = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True, env=offline)
    assert 0 < float(shown.stdout.split()[-1]) < 0.5
