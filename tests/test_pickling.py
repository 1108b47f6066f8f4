"""A fitted forecaster is pickled, and forecasts equally in a fresh process that has loaded no backbone."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from swt_time import Forecaster

BACKBONES = [("gpt2", "prefix"), ("bert", "prefix"), ("bert", "full")]

READ = """
import pickle, sys
import numpy as np, pandas as pd, torch

torch.set_num_threads(1)
kind, file, table, out = sys.argv[1:]
assert "swt_time" not in sys.modules and "transformers" not in sys.modules
if kind == "model":
    model = torch.load(file, weights_only=False)
    with torch.no_grad():
        found = model(torch.from_numpy(np.load(table))).numpy()
else:
    if kind == "joblib":  # a format of its own for arrays
        import joblib

        forecaster = joblib.load(file)
    else:
        with open(file, "rb") as stream:
            forecaster = pickle.load(stream)
    found = forecaster.predict(pd.read_parquet(table))["yhat"].to_numpy()
np.save(out, found)
"""


def fit(table, backbone, attention="prefix", **changes):
    options = {"d_ff": 8, "n_heads": 2, "n_prototypes": 8, "precision": "float32", "prompt_attention": attention}
    return Forecaster(12, 48, str(backbone), 2, **{**options, "model": {"skip": "linear"}, **changes}).fit(table)


@pytest.fixture(params=BACKBONES, ids=" ".join)
def fitted(request, tiny_backbones, hourly_wide):
    name, attention = request.param
    forecaster = fit(hourly_wide, tiny_backbones.get(name, name), attention)
    with torch.no_grad():  # the gate starts at zero; open it, so that the language model takes part
        if forecaster.model.gate is not None:
            forecaster.model.gate.fill_(0.7)
    return forecaster


def in_a_fresh_process(kind, file, table, folder):
    """Read a pickle in a new process and return its forecast."""
    words = [kind, file, table, folder / "found.npy"]
    run = subprocess.run([sys.executable, "-c", READ, *map(str, words)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return np.load(folder / "found.npy")


def test_a_pickled_forecaster_forecasts_equally_in_a_fresh_process(fitted, hourly_wide, tmp_path):
    (tmp_path / "forecaster.pickle").write_bytes(pickle.dumps(fitted))
    hourly_wide.to_parquet(tmp_path / "table.parquet")
    expected = fitted.predict(hourly_wide)["yhat"].to_numpy()
    found = in_a_fresh_process("forecaster", tmp_path / "forecaster.pickle", tmp_path / "table.parquet", tmp_path)
    np.testing.assert_array_equal(found, expected)


def test_a_saved_model_forecasts_equally_in_a_fresh_process(fitted, tmp_path):
    windows = torch.randn(3, 48, 2, generator=torch.Generator().manual_seed(1))
    torch.save(fitted.model, tmp_path / "model.pt")
    np.save(tmp_path / "windows.npy", windows.numpy())
    with torch.no_grad():
        expected = fitted.model(windows).numpy()
    found = in_a_fresh_process("model", tmp_path / "model.pt", tmp_path / "windows.npy", tmp_path)
    np.testing.assert_array_equal(found, expected)


def test_copies_forecast_equally(fitted, hourly_wide):
    expected = fitted.predict(hourly_wide)
    for again in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert again.model is not fitted.model
        pd.testing.assert_frame_equal(again.predict(hourly_wide), expected, check_exact=True)
        again.model.head.linear.weight.data.zero_()  # a copy shares no weights
    pd.testing.assert_frame_equal(fitted.predict(hourly_wide), expected, check_exact=True)


@pytest.mark.parametrize("package", ["cloudpickle", "joblib"])
def test_other_picklers(package, tiny_backbones, hourly_wide, tmp_path):
    pickler = pytest.importorskip(package)
    forecaster = fit(hourly_wide, tiny_backbones["gpt2"])
    with (tmp_path / "forecaster.pickle").open("wb") as stream:
        pickler.dump(forecaster, stream)
    hourly_wide.to_parquet(tmp_path / "table.parquet")
    found = in_a_fresh_process(package, tmp_path / "forecaster.pickle", tmp_path / "table.parquet", tmp_path)
    np.testing.assert_array_equal(found, forecaster.predict(hourly_wide)["yhat"].to_numpy())


def test_a_copy_can_be_trained_further_and_saved(tiny_backbones, hourly_wide, tmp_path):
    forecaster = pickle.loads(pickle.dumps(fit(hourly_wide, tiny_backbones["gpt2"])))
    forecaster.save(tmp_path / "m")
    expected = forecaster.predict(hourly_wide)
    pd.testing.assert_frame_equal(Forecaster.load(tmp_path / "m").predict(hourly_wide), expected, check_exact=True)
    assert len(forecaster.fit(hourly_wide).predict(hourly_wide)) == len(expected)
