"""A closed form alone: forecast, saved and loaded without PyTorch, with the same forecasts as its layers."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from support.promotions import promoted
from swt_time import Forecaster
from swt_time.checkpoints import read_checkpoint
from swt_time.errors import CheckpointError
from swt_time.model.alone import BATCH_SIZE, WEIGHT, ClosedForm

SMALL = {"horizon": 6, "context": 48, "preset": "fast", "level": 2, "patch_len": 8, "stride": 4}
HEAVY = {"torch", "transformers", "huggingface_hub", "matplotlib", "scipy"}


@pytest.fixture(scope="module")
def table(tmp_path_factory, hourly_wide):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    hourly_wide.iloc[:400].to_csv(path, index=False)
    return path


def modules_after(*words):
    """Modules that a fresh process has loaded after one command."""
    code = (
        "import sys; from swt_time.cli import run; code = run(sys.argv[1:]); print('\\n'.join(sys.modules)); exit(code)"
    )
    run = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


@pytest.fixture(scope="module")
def saved(table, tmp_path_factory):
    """Modules of the one command, and the checkpoint that it saved."""
    folder = tmp_path_factory.mktemp("saved")
    out, model = folder / "f.csv", folder / "m"
    return modules_after("forecast", "--data", table, "--horizon", 6, "--out", out, "--save", model), model


def test_one_command_loads_no_network(saved):
    loaded, _ = saved
    assert "pandas" in loaded, "the control"
    assert loaded.isdisjoint(HEAVY)


def test_a_forecast_by_its_checkpoint_loads_no_network(saved, table, tmp_path):
    loaded = modules_after("forecast", "--data", table, "--model", saved[1], "--out", tmp_path / "f.csv")
    assert loaded.isdisjoint(HEAVY)


@pytest.fixture
def promotions(tmp_path):
    """A table with covariates and the rows after it, as files."""
    frame = promoted(207)
    files = tmp_path / "table.csv", tmp_path / "future.csv"
    frame.iloc[:200].to_csv(files[0], index=False)
    frame.iloc[200:].drop(columns="sales").to_csv(files[1], index=False)
    return files


def test_effects_of_covariates_load_no_network(promotions, tmp_path):
    table, future = promotions
    words = ["forecast", "--data", table, "--future", future, "--out", tmp_path / "f.csv"]
    fit = ["--horizon", 7, "--target", "sales", "--known", "promotion,rain", "--save", tmp_path / "m"]
    assert modules_after(*words, *fit).isdisjoint(HEAVY)
    assert len(Forecaster.load(tmp_path / "m").trained.effects.groups), "the control"
    assert modules_after(*words, "--model", tmp_path / "m").isdisjoint(HEAVY)


def test_texts_of_the_training_load_no_network(tmp_path):
    rng, days, starts = np.random.default_rng(0), pd.date_range("2023-01-01", periods=300), np.arange(10, 298, 6)
    values, good = rng.normal(50, 1, 300), rng.random(len(starts)) < 0.5
    values[starts] += np.where(good, 12, -12)
    table = pd.DataFrame({"ds": days, "y": values})
    texts = np.where(good, "half price for all customers", "the street is closed")
    notes = pd.DataFrame({"ds": days[starts], "text": texts})
    forecaster = Forecaster(horizon=7, preset="fast", context=70).fit(table, notes=notes)
    assert [group.name for group in forecaster.trained.effects.groups] == ["notes"]
    forecaster.save(tmp_path / "m")
    table.to_csv(tmp_path / "t.csv", index=False)
    pd.concat([notes, notes.tail(1).assign(ds=days[-1] + pd.Timedelta("2D"))]).to_csv(tmp_path / "n.csv", index=False)
    words = ["forecast", "--data", tmp_path / "t.csv", "--model", tmp_path / "m", "--out", tmp_path / "f.csv"]
    assert modules_after(*words, "--notes", tmp_path / "n.csv").isdisjoint(HEAVY)


def test_a_branch_that_was_left_out_loads_no_network(table, hourly_wide, tmp_path):
    """Trained and judged; only the map of its closed form is saved."""
    branch = Forecaster(**SMALL, backbone="attention", skip="ridge", max_steps=1)
    branch.fit(hourly_wide.iloc[:400], out=tmp_path / "m")
    assert branch.result.steps == 1
    checkpoint = read_checkpoint(tmp_path / "m")
    assert not checkpoint.provenance["branch"]["kept"]
    assert checkpoint.trained_weights.keys() == {WEIGHT}
    words = ["forecast", "--data", table, "--model", tmp_path / "m", "--out", tmp_path / "f.csv"]
    assert modules_after(*words).isdisjoint(HEAVY)
    expected = branch.predict(hourly_wide.iloc[:400])["yhat"]
    np.testing.assert_allclose(pd.read_csv(tmp_path / "f.csv")["yhat"], expected, rtol=1e-9)


def test_a_network_is_loaded_where_it_is_asked_for(table, tmp_path):
    """The control of the tests above."""
    words = ["--preset", "fast", "--set", "training.max_steps=1", "--set", "data.context=48", "--set"]
    words += ["embedding.level=2", "--set", "embedding.patch_len=8", "--set", "embedding.stride=4"]
    assert "torch" in modules_after("forecast", "--data", table, "--horizon", 6, "--out", tmp_path / "f.csv", *words)


def test_the_layers_forecast_the_same(hourly_wide):
    forecaster = Forecaster(**SMALL).fit(hourly_wide)
    assert isinstance(forecaster.trained.network, ClosedForm)
    contexts = np.random.default_rng(0).normal(size=(5, 48)).cumsum(axis=1)
    found = forecaster.forecast_windows(contexts)
    with torch.no_grad():
        layers = forecaster.model(torch.from_numpy(contexts).float().unsqueeze(-1))[..., 0].numpy()
    np.testing.assert_allclose(found, layers, rtol=0, atol=1e-5)
    assert np.abs(found - contexts[:, -1:]).max() > 1e-2, "the control"
    assert forecaster.model is forecaster.model


def test_the_checkpoint_holds_the_map_alone_however_it_was_written(hourly_wide, tmp_path):
    Forecaster(**SMALL).fit(hourly_wide).save(tmp_path / "memory")
    Forecaster(**SMALL).fit(hourly_wide, out=tmp_path / "folder")
    memory, folder = (tmp_path / name / "model.safetensors" for name in ("memory", "folder"))
    assert memory.read_bytes() == folder.read_bytes()
    checkpoint = read_checkpoint(tmp_path / "memory")
    assert checkpoint.trained_weights.keys() == {WEIGHT}
    model = checkpoint.build()
    assert model.is_closed_form
    assert torch.equal(model.skip.weight, torch.tensor(checkpoint.weights[WEIGHT]))
    assert torch.equal(model.head.linear.weight, checkpoint.build().head.linear.weight), "drawn from the seed"


def test_a_map_of_another_shape_is_refused(hourly_wide, tmp_path):
    forecaster = Forecaster(**SMALL).fit(hourly_wide)
    forecaster.trained.checkpoint.weights[WEIGHT] = np.zeros((6, 47), dtype=np.float32)
    forecaster.save(tmp_path / "m")
    with pytest.raises(CheckpointError, match=r"skip.weight has shape \(6, 47\), expected \(6, 48\)"):
        Forecaster.load(tmp_path / "m")


def test_layers_too_large_for_a_checkpoint_without_them_are_not_built(hourly_wide, tmp_path):
    """A stranger's configuration cannot make a forecast take memory; its layers are refused."""
    forecaster = Forecaster(**SMALL).fit(hourly_wide)
    config = forecaster.trained.checkpoint.config.replace({"embedding.d_model": 2**20})
    object.__setattr__(forecaster.trained.checkpoint, "config", config)
    forecaster.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    pd.testing.assert_frame_equal(loaded.predict(hourly_wide), forecaster.predict(hourly_wide))
    with pytest.raises(CheckpointError, match="the weights do not fit the configuration"):
        _ = loaded.model


def test_a_trained_branch_starts_from_it(hourly_wide, tmp_path):
    Forecaster(**SMALL).fit(hourly_wide, out=tmp_path / "m")
    warm = Forecaster(**SMALL, max_steps=2, keep_branch=True).fit(hourly_wide, start=tmp_path / "m")
    assert warm.result.steps == 2
    assert "head.linear.weight" in warm.trained.checkpoint.weights


@pytest.mark.parametrize("count", [1, BATCH_SIZE, BATCH_SIZE + 3])
def test_a_forecast_depends_on_no_other_window(count):
    rng = np.random.default_rng(0)
    form, contexts = ClosedForm(rng.normal(size=(7, 20)).astype(np.float32)), rng.normal(size=(count, 20))
    whole = form.forecast_windows(contexts)
    mean = contexts.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(whole, mean + (contexts - mean) @ form.weight.T.astype(float), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(form.forecast_windows(contexts[:1]), whole[:1])


def test_padding_counts_as_the_mean():
    rng = np.random.default_rng(1)
    form, context = ClosedForm(rng.normal(size=(3, 10)).astype(np.float32)), rng.normal(size=10)
    context[:4] = np.nan
    known = context[4:]
    expected = known.mean() + form.weight[:, 4:].astype(float) @ (known - known.mean())
    np.testing.assert_allclose(form.forecast_windows(context[None])[0], expected, rtol=0, atol=1e-13)
    assert form.forecast_windows(np.empty((0, 10))).shape == (0, 3)
