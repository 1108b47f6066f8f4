"""The option ``--notes`` of the commands."""

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster

HORIZON = 24
FIT = ("--horizon", HORIZON, "--preset", "fast", "--set", "data.context=96")
TOLD = ("The office is closed today", "Factory shut down", "Nobody is at work", "Plant out of operation")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, random = tmp_path_factory.mktemp("notes"), np.random.default_rng(0)
    hours = pd.date_range("2024-01-01", periods=24 * 80, freq="h")
    load = 10 + 3 * np.sin(2 * np.pi * np.arange(len(hours)) / 24) + random.normal(0, 0.3, len(hours))
    days = [*range(6, 80, 6), 80]
    for day in days:
        load[24 * day : 24 * day + 24] -= 4
    pd.DataFrame({"time": hours, "load": load}).to_csv(root / "table.csv", index=False)
    dates = [str((hours[0] + pd.Timedelta(days=day)).date()) for day in days]
    notes = pd.DataFrame({"time": dates, "text": [TOLD[i % 4] for i in range(len(days))]})
    notes.to_csv(root / "notes.csv", index=False)
    notes.assign(time="soon").to_csv(root / "wrong.csv", index=False)
    return root


def test_one_command_uses_notes_and_says_so(swt_time, folder):
    data = ("--data", folder / "table.csv", *FIT)
    swt_time("forecast", *data, "--out", folder / "plain.csv")
    done = swt_time(
        "forecast", *data, "--notes", folder / "notes.csv", "--out", folder / "f.csv", "--save", folder / "m"
    )
    plain, told = (pd.read_csv(folder / name)["yhat"] for name in ("plain.csv", "f.csv"))
    assert (told - plain).mean() < -2
    assert "covariates: additive effects" in done.stderr
    shown = swt_time("info", "--model", folder / "m").stdout
    assert "notes  " in shown
    assert not any(text in shown for text in TOLD)


def test_a_trained_model_forecasts_and_is_scored_with_notes(swt_time, folder):
    data, notes = ("--data", folder / "table.csv"), ("--notes", folder / "notes.csv")
    done = swt_time("train", *data, *FIT, "--split", "0.6/0.1/0.3", *notes, "--out", folder / "model")
    assert "effects, which lower the squared error on held-out folds" in done.stdout
    assert "  notes  " in done.stdout
    swt_time("forecast", "--model", folder / "model", *data, *notes, "--out", folder / "g.csv")
    table, told = pd.read_csv(folder / "table.csv"), pd.read_csv(folder / "notes.csv")
    expected = Forecaster.load(folder / "model").predict(table, notes=told)["yhat"]
    np.testing.assert_allclose(pd.read_csv(folder / "g.csv")["yhat"], expected, rtol=1e-6)
    for command in (("evaluate",), ("backtest", "--windows", 12)):
        with_notes, without = (
            float(
                swt_time(*command, "--model", folder / "model", *data, *more, "--json")
                .stdout.split('"mse": ')[1]
                .split(",")[0]
            )
            for more in (notes, ())
        )
        assert with_notes < 0.9 * without, command


def test_what_cannot_be_read_is_refused_in_one_line(swt_time, folder):
    words = ("forecast", "--data", folder / "table.csv", *FIT, "--out", folder / "h.csv")
    for name, message in (("wrong.csv", "notes: column 'time', row 2: 'soon' is not a time"), ("none.csv", "none.csv")):
        done = swt_time(*words, "--notes", folder / name, check=False)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    done = swt_time(*words[:-1], folder / "notes.csv", "--notes", folder / "notes.csv", check=False)
    assert "is the file given as --notes; choose another name" in done.stderr
