"""``swt-time backtest`` and ``evaluate --by-series``."""

import json

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster

FAST = ("--preset", "fast", "--set", "embedding.level=3", "--set", "data.context=48", "--set", "data.split=none")


@pytest.fixture(scope="module")
def folder(swt_time, tmp_path_factory, hourly_wide):
    root = tmp_path_factory.mktemp("backtest")
    table = hourly_wide.iloc[-300:]
    table.to_csv(root / "table.csv", index=False)
    long = table.melt("date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})
    long[["unique_id", "ds", "y"]].drop(long.index[300:560]).to_csv(root / "long.csv", index=False)
    words = ("--preset", "fast", "--set", "embedding.level=3", "--horizon", 12, "--context", 48)
    swt_time("train", "--data", root / "table.csv", "--out", root / "model", *words)
    return root


def test_a_backtest_prints_a_table_and_writes_files(swt_time, folder):
    files = {flag: folder / name for flag, name in {"out": "f.csv", "by-series": "s.parquet", "plot": "f.png"}.items()}
    words = [word for flag, path in files.items() for word in (f"--{flag}", path)]
    run = swt_time("backtest", "--data", folder / "table.csv", "--horizon", 12, *FAST, *words)
    assert "fitted before the first cutoff\n3 cutoffs, 2 series, horizon 12\n72 of 72 values were" in run.stdout
    # three cutoffs and all of them, twice; intervals of two levels, and quantiles
    for name, lines in {"swt-time": 8, "seasonal naive 24": 8, "last value": 5}.items():
        assert sum(line.startswith(f"  {name}") for line in run.stdout.splitlines()) == lines
    assert run.stderr.count("fitting on the rows up to 2024-01-24 11:00:00") == 1
    found = pd.read_csv(files["out"], parse_dates=["date", "cutoff"])
    assert list(found.columns) == ["unique_id", "date", "cutoff", "y", "yhat"]
    rows = pd.read_parquet(files["by-series"])
    assert rows["unique_id"].tolist() == ["load", "heat"]
    for name, one in found.groupby("unique_id"):
        error = one["yhat"] - one["y"]
        row = rows.set_index("unique_id").loc[name]
        np.testing.assert_allclose([row["mse"], row["mae"], row["points"]], [(error**2).mean(), error.abs().mean(), 36])
    assert all(str(path) in run.stdout for path in files.values())
    assert files["plot"].stat().st_size > 10_000


def test_the_command_equals_the_library(swt_time, folder):
    table = pd.read_csv(folder / "table.csv", parse_dates=["date"])
    words = ("--windows", 2, "--step", 7, "--refit", "--out", folder / "refit.csv")
    run = swt_time("backtest", "--data", folder / "table.csv", "--horizon", 12, *FAST, *words)
    assert run.stderr.count("fitting on the rows up to") == 2
    options = {"preset": "fast", "level": 3, "context": 48, "split": "none"}
    expected = Forecaster(horizon=12, **options).backtest(table, windows=2, step=7, refit=True)
    found = pd.read_csv(folder / "refit.csv", parse_dates=["date", "cutoff"])
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-6)


def test_a_model_is_backtested_as_it_is(swt_time, folder):
    words = ("backtest", "--data", folder / "table.csv", "--model", folder / "model")
    found = json.loads(swt_time(*words, "--windows", 2, "--json").stdout)
    assert found["fitted"] == f"model {folder / 'model'} as it is"
    assert (found["windows"], found["points"], found["horizon"]) == (2, 48, 12)
    assert found["original"]["swt-time"]["mae"] < found["original"]["last value"]["mae"]
    noted = swt_time(*words, "--windows", 10)
    assert "note: the model was trained on this table" in noted.stderr
    for more in (("--horizon", 12), ("--refit",), ("--preset", "fast")):
        refused = swt_time(*words, *more, check=False)
        assert refused.returncode == 2
        assert "--model is fitted already" in refused.stderr


def test_short_series_are_named(swt_time, folder):
    run = swt_time("backtest", "--data", folder / "long.csv", "--horizon", 12, *FAST)
    assert "1 of 2 series are too short and left out: 'heat'" in run.stderr
    assert "3 cutoffs, 1 series" in run.stdout
    refused = swt_time("backtest", "--data", folder / "long.csv", "--horizon", 12, *FAST, "--windows", 99, check=False)
    assert refused.returncode == 2
    assert "use fewer windows" in refused.stderr


def test_tables_on_standard_output(swt_time, folder):
    words = ("backtest", "--data", folder / "table.csv", "--model", folder / "model")
    run = swt_time(*words, "--out", "-")
    assert run.stdout.startswith("unique_id,date,cutoff,y,yhat\n")
    assert len(run.stdout.splitlines()) == 73
    assert "3 cutoffs, 2 series" in run.stderr
    refused = swt_time(*words, "--out", "-", "--by-series", "-", check=False)
    assert refused.returncode == 2
    assert "standard output (-) holds one table" in refused.stderr


def test_a_horizon_or_a_model_is_needed(swt_time, folder):
    run = swt_time("backtest", "--data", folder / "table.csv", check=False)
    assert run.returncode == 2
    assert "--horizon" in run.stderr


def test_evaluate_writes_the_errors_of_each_series(swt_time, folder):
    words = ("evaluate", "--data", folder / "table.csv", "--model", folder / "model")
    run = swt_time(*words, "--by-series", folder / "evaluated.csv", "--json")
    scores, rows = json.loads(run.stdout), pd.read_csv(folder / "evaluated.csv")
    assert rows["unique_id"].tolist() == ["load", "heat"]
    for row in rows.to_dict("records"):
        one = scores["per_series"][row["unique_id"]]
        assert row["points"] == one["points"] == scores["points"] / 2
        assert [row[key] for key in ("mae", "smape")] == pytest.approx([one["original"][k] for k in ("mae", "smape")])
        assert row["scaled_rmse"] == pytest.approx(one["rmse"])
    naive = (rows["seasonal_naive_mse"] * rows["points"]).sum() / rows["points"].sum()
    assert naive == pytest.approx(scores["seasonal_naive"]["original"]["mse"])
    shown = swt_time(*words, "--by-series", "-")
    assert shown.stdout.startswith("unique_id,points,mse,")
    assert "test windows" in shown.stderr
    refused = swt_time(*words, "--by-series", folder / "x.xyz", check=False)
    assert refused.returncode == 2
    assert ".parquet" in refused.stderr


def test_intervals_are_scored(swt_time, folder):
    words = ("--data", folder / "table.csv", "--model", folder / "model")
    for command, more in (("backtest", ("--windows", 2)), ("evaluate", ())):
        shown = swt_time(command, *words, *more).stdout.splitlines()
        assert [line for line in shown if line.endswith(" %") and line[0].isdigit()] == ["80 %", "95 %"]
        asked = (command, *words, *more, "--levels", "50", "--by-series", folder / f"{command}.csv", "--json")
        found = json.loads(swt_time(*asked).stdout)
        intervals = found["intervals"]["swt-time"]
        assert list(intervals["coverage"]) == ["50"]
        rows = pd.read_csv(folder / f"{command}.csv")
        assert rows["coverage_50"].mean() == pytest.approx(intervals["coverage"]["50"])
        assert rows["crps"].mean() == pytest.approx(intervals["original"]["crps"])
        assert list(json.loads(swt_time(*asked[:-5], "--levels", "none", "--json").stdout)["intervals"]) == [
            "swt-time",
            "seasonal naive",
        ]
        refused = swt_time(command, *words, "--levels", "100", check=False)
        assert refused.returncode == 2
        assert "levels are percentages" in refused.stderr


def test_a_picture_of_the_calibration(swt_time, folder):
    words = ("backtest", "--data", folder / "table.csv", "--model", folder / "model")
    run = swt_time(*words, "--plot-calibration", folder / "pit.png")
    assert f"calibration: {folder / 'pit.png'}" in run.stdout
    assert (folder / "pit.png").stat().st_size > 10_000
    refused = swt_time(*words, "--plot", folder / "x.png", "--plot-calibration", folder / "x.png", check=False)
    assert refused.returncode == 2
    assert "choose two names" in refused.stderr


def test_a_model_without_intervals(swt_time, folder):
    """Trained by gradients on all rows: there are none that it was not fitted to."""
    words = ("--backbone", "none", "--set", "model.skip=none", "--max-steps", 2, "--split", "none")
    model = folder / "bare"
    swt_time("train", "--data", folder / "table.csv", "--out", model, "--horizon", 12, "--context", 48, *words)
    words = ("--data", folder / "table.csv", "--model", model)
    for command, more in (("backtest", ()), ("evaluate", ("--split", "0.7/0.1/0.2"))):
        run = swt_time(command, *words, *more)
        assert run.stdout.count("intervals: none to score") == 1
        assert json.loads(swt_time(command, *words, *more, "--json").stdout)["intervals"] is None
    for flag, what, said in (
        ("--plot-calibration", folder / "none.png", "the model has no deciles"),
        ("--flag", 99, "the model has no intervals"),
    ):
        refused = swt_time("backtest", *words, flag, what, "--out", folder / "none.csv", check=False)
        assert refused.returncode == 2
        assert said in refused.stderr
        assert not list(folder.glob("none.*"))
