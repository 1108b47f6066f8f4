"""The command ``update``."""

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.checkpoints import read_checkpoint

HORIZON, CONTEXT = 12, 48
FIT = ("--preset", "fast", "--set", "embedding.level=3", "--horizon", HORIZON, "--context", CONTEXT, "--split", "none")


@pytest.fixture(scope="module")
def folder(swt_time, tmp_path_factory, hourly_wide):
    root = tmp_path_factory.mktemp("update")
    hourly_wide.to_csv(root / "all.csv", index=False)
    hourly_wide[:-100].to_csv(root / "table.csv", index=False)
    hourly_wide[-100 - CONTEXT - HORIZON + 1 :].to_csv(root / "newer.csv", index=False)
    words = ("--data", root / "table.csv", *FIT, "--set", "training.keep_sums=true")
    swt_time("train", *words, "--out", root / "model")
    swt_time("train", *words, "--out", root / "again")
    return root


def test_a_model_takes_in_new_rows(swt_time, folder):
    before = read_checkpoint(folder / "model").weights["skip.weight"]
    words = ("update", "--model", folder / "model", "--data", folder / "newer.csv", "--out", folder / "updated")
    assert f"model: {folder / 'updated'}" in swt_time(*words).stdout
    np.testing.assert_array_equal(read_checkpoint(folder / "model").weights["skip.weight"], before)
    after = read_checkpoint(folder / "updated").weights
    expected = Forecaster.load(folder / "model").update(pd.read_csv(folder / "newer.csv"))
    np.testing.assert_array_equal(after["skip.weight"], expected.model.skip.weight)
    assert not np.array_equal(after["skip.weight"], before)
    swt_time("forecast", "--model", folder / "updated", "--data", folder / "all.csv", "--out", folder / "f.csv")
    found = pd.read_csv(folder / "f.csv")["yhat"]
    np.testing.assert_allclose(found, expected.predict(pd.read_csv(folder / "all.csv"))["yhat"], rtol=1e-6)


def test_a_model_is_replaced_once(swt_time, folder):
    words = ("update", "--model", folder / "again", "--data", folder / "newer.csv")
    swt_time(*words)
    once = read_checkpoint(folder / "again")
    assert len(once.provenance["updates"]) == 1
    refused = swt_time(*words, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: the model was trained on all rows of the table, which ends at 2024-")
    assert read_checkpoint(folder / "again").provenance == once.provenance


def test_what_cannot_be_updated_is_refused(swt_time, folder, tmp_path):
    words = ("--data", folder / "newer.csv")
    refused = swt_time("update", "--model", tmp_path / "none", *words, check=False)
    assert refused.returncode == 2
    assert not (tmp_path / "none").exists()
    swt_time("train", "--data", folder / "table.csv", *FIT, "--out", tmp_path / "plain")
    for out in ((), ("--out", tmp_path / "out")):
        refused = swt_time("update", "--model", tmp_path / "plain", *words, *out, check=False)
        assert refused.returncode == 2
        assert "train it with training.keep_sums true" in refused.stderr
    assert not (tmp_path / "out").exists()
    inside = ("--out", folder / "model" / "m")
    assert swt_time("update", "--model", folder / "model", *words, *inside, check=False).returncode == 2
