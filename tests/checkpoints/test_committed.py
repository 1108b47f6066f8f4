"""Checkpoints that an earlier version wrote are read, and forecast what that version forecast.

The folders of `CASES` in ``committed`` are checkpoints of commit 547628e, trained on `table`. ``forecast.csv`` is the
forecast that this version made of the same table; ``forecast_gate_0.7.csv`` is that of the same weights with the gate
set to 0.7, since the gates of such short runs are nearly closed and hide the branch.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.checkpoints import read_checkpoint, write_checkpoint

COMMITTED = Path(__file__).parent / "committed"

TOLERANCE = 1e-5
"""In standard deviations of each series; another CPU may round differently."""

CASES = [
    ("fast", None),
    ("none_lattice", None),
    ("attention_free", None),
    ("transformer_patch", None),
    ("minilm", None),
    ("fast", 0.7),
    ("transformer_patch", 0.7),
    ("minilm", 0.7),
]
"""Folder, and value of the gate if it is not the saved one."""


@pytest.fixture(scope="module")
def table():
    """The table that the checkpoints were trained on: two noisy daily cycles, hourly."""
    noise = np.random.default_rng(0)
    cycle = np.sin(2 * np.pi * np.arange(600) / 24)
    return pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=600, freq="h"),
            "load": 10 + 3 * cycle + 0.2 * noise.standard_normal(600),
            "heat": -5 + 2 * np.roll(cycle, 6) + 0.2 * noise.standard_normal(600),
        }
    )


def forecast(folder, table, tmp_path, gate=None, doubled=None, **known):
    """Forecast with a committed checkpoint whose gate is replaced, or one of whose weights is doubled."""
    checkpoint = read_checkpoint(COMMITTED / folder)
    weights = dict(checkpoint.weights)
    if gate is not None:
        weights["gate"] = np.full_like(weights["gate"], gate)
    if doubled is not None:
        weights[doubled] = 2 * weights[doubled]
    write_checkpoint(tmp_path / "m", replace(checkpoint, weights=weights))
    return Forecaster.load(tmp_path / "m", device="cpu").predict(table, **known)


def distance(found, folder, gate):
    """Largest difference from the committed forecast, in standard deviations of each series."""
    suffix = "" if gate is None else f"_gate_{gate}"
    expected = pd.read_csv(COMMITTED / folder / f"forecast{suffix}.csv", parse_dates=["ds"])
    # That version listed the series by name, not in the order of the table.
    found = found.sort_values("unique_id", kind="stable", ignore_index=True)
    assert found["unique_id"].tolist() == expected["unique_id"].tolist()
    assert found["date"].tolist() == expected["ds"].tolist()
    assert len(found) == 2 * 24
    trained_on = read_checkpoint(COMMITTED / folder).trained_on
    std = found["unique_id"].map(dict(zip(trained_on.ids, trained_on.deviation, strict=True)))
    return ((found["yhat"] - expected["yhat"]).abs() / std).max()


@pytest.mark.parametrize(("folder", "gate"), CASES)
def test_forecast_of_a_committed_checkpoint_is_unchanged(folder, gate, table, tmp_path):
    assert distance(forecast(folder, table, tmp_path, gate), folder, gate) < TOLERANCE


@pytest.mark.parametrize(("folder", "gate"), CASES)
def test_changed_weight_moves_the_forecast_beyond_the_tolerance(folder, gate, table, tmp_path):
    """Control of the test above."""
    # A gate near zero hides all but the linear skip.
    hidden = gate is None and "gate" in read_checkpoint(COMMITTED / folder).weights
    doubled = "skip.weight" if hidden else "embed.projection.weight"
    assert distance(forecast(folder, table, tmp_path, gate, doubled), folder, gate) > 10 * TOLERANCE


@pytest.mark.parametrize("folder", sorted({folder for folder, _ in CASES}))
def test_committed_checkpoint_is_loaded_as_it_is(folder, table):
    """Loaded from its own folder; what is recorded about its training is read too."""
    checkpoint = read_checkpoint(COMMITTED / folder)
    assert checkpoint.provenance["commit"] == "547628eebbe7"
    assert checkpoint.trained_on.ids == ["heat", "load"]
    assert checkpoint.history[-1].step == checkpoint.provenance["training"]["steps"]
    assert distance(Forecaster.load(COMMITTED / folder, device="cpu").predict(table), folder, None) < TOLERANCE


@pytest.fixture(scope="module")
def promotions():
    """What the checkpoints of commit 90877e2 were trained on, with a covariate, and the rows after it."""
    rng = np.random.default_rng(0)
    hot, later = (rng.random(400) < 0.2).astype(float), (rng.random(6) < 0.5).astype(float)
    values = 20 + 3 * np.sin(2 * np.pi * np.arange(400) / 24) + 4 * hot + 0.3 * rng.normal(size=400)
    times = pd.date_range("2024-01-01", periods=406, freq="h")
    return pd.DataFrame({"ds": times[:400], "y": values, "hot": hot}), pd.DataFrame({"ds": times[400:], "hot": later})


@pytest.mark.parametrize("folder", ["effects", "left_out"])
def test_a_checkpoint_that_holds_layers_beside_its_closed_form_forecasts_the_same(folder, promotions, tmp_path):
    """Commit 90877e2 stored all layers: with effects of a covariate, and of a branch that was left out."""
    table, future = promotions
    known = {"future": future} if folder == "effects" else {}
    expected = pd.read_csv(COMMITTED / folder / "forecast.csv", parse_dates=["ds"])
    forecaster = Forecaster.load(COMMITTED / folder)
    assert "head.linear.weight" in forecaster.trained.checkpoint.weights
    table = table if known else table[["ds", "y"]]
    pd.testing.assert_frame_equal(forecaster.predict(table, **known), expected, check_dtype=False, rtol=1e-6)
    control = forecast(folder, table, tmp_path, doubled="skip.weight", **known)
    assert (control["yhat"] - expected["yhat"]).abs().min() > 0.01, "the control"
