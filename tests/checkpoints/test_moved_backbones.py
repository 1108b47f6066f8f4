"""A checkpoint outlives the folder of its backbone: the name is absolute, the weights decide, the hub is not asked."""

import json
import os
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from support.backbones import save_tiny_backbone
from swt_time import Forecaster
from swt_time.checkpoints.checkpoint import read_checkpoint
from swt_time.errors import BackboneError, CheckpointError, SWTTimeWarning
from swt_time.training import Step

OPTIONS = {"max_steps": 2, "d_ff": 8, "n_heads": 2, "n_prototypes": 8, "precision": "float32", "keep_branch": True}


def make(backbone, **changes):
    return Forecaster(12, 48, str(backbone), seed=1, **{**OPTIONS, **changes})


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working directory with a backbone in ``models/bert``; the hub must not be asked."""
    save_tiny_backbone(tmp_path / "models" / "bert", "bert")
    asked = []

    def ask(name, **_):
        asked.append(name)
        raise AssertionError(f"{name} was looked up on the hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", ask)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert asked == []


@pytest.fixture
def moved(home, hourly_wide):
    """A model on a backbone that was moved to another folder, and its forecast."""
    forecaster = make("models/bert").fit(hourly_wide, out="m")
    forecast = forecaster.predict(hourly_wide)
    shutil.move(home / "models" / "bert", home / "kept")
    return home / "m", home / "kept", forecast


def test_names_of_folders_are_stored_absolute(home, hourly_wide, tmp_path_factory, monkeypatch):
    make("models/bert").fit(hourly_wide, out="m")
    make("./models/../models/bert/").fit(hourly_wide).save("n")
    make(home / "models" / "bert").fit(hourly_wide, out="o")
    for folder in ("m", "n", "o"):
        checkpoint = read_checkpoint(home / folder)
        assert checkpoint.config.backbone.name == checkpoint.backbone.name == str(home / "models" / "bert")
        for file in ("config.json", "model.safetensors", "scaler.json"):
            assert (home / folder / file).read_bytes() == (home / "m" / file).read_bytes()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    Forecaster.load(home / "m").predict(hourly_wide)


@pytest.mark.parametrize("name", ["minilm", "none", "transformer"])
def test_other_names_are_stored_as_they_are(home, hourly_wide, name):
    (home / name).mkdir()  # a folder of this name is not the backbone
    make(name, layers=None if name == "none" else 1).fit(hourly_wide, out="m")
    assert read_checkpoint(home / "m").config.backbone.name == name


def test_a_moved_backbone_is_found_by_its_path(moved, hourly_wide):
    folder, backbone, expected = moved
    for place in (backbone, str(backbone), "kept", "./kept"):
        forecaster = Forecaster.load(folder, backbone=place)
        pd.testing.assert_frame_equal(forecaster.predict(hourly_wide), expected, check_exact=True)
    forecaster.save("again")  # the new place is recorded
    assert read_checkpoint(folder.parent / "again").config.backbone.name == str(backbone)
    pd.testing.assert_frame_equal(Forecaster.load("again").predict(hourly_wide), expected, check_exact=True)
    model = read_checkpoint(folder).build(backbone=backbone)
    assert model.language_model.identity.name == str(backbone)


def test_a_missing_folder_names_the_remedy_and_is_not_looked_up_on_the_hub(moved):
    folder, _, _ = moved
    sha256 = read_checkpoint(folder).backbone.sha256
    with pytest.raises(BackboneError) as refused:
        Forecaster.load(folder)
    former = str(folder.parent / "models" / "bert")
    assert str(refused.value) == (
        f"the backbone of the model is not available: there is no folder {former!r} here; pass backbone=PATH, where "
        f"PATH is a folder or a hub id with the same weights (sha256 {sha256[:12]})"
    )


@pytest.mark.parametrize("name", [r"C:\models\bert", r"\\server\models\bert", "/home/someone/bert", "//server/bert"])
def test_paths_of_other_machines_are_not_looked_up_on_the_hub(moved, name):
    folder, _, _ = moved
    with pytest.raises(BackboneError):
        Forecaster.load(folder, backbone=name)


def change_weights(folder):
    weights = load_file(folder / "model.safetensors")
    next(weight for _, weight in sorted(weights.items()) if weight.dim() == 2)[0, 0] += 1
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def test_other_weights_are_refused_unless_allowed(moved, hourly_wide):
    folder, backbone, expected = moved
    change_weights(backbone)
    with pytest.raises(CheckpointError, match=r"with weights .*provide the same backbone \(backbone=PATH\), or pass"):
        Forecaster.load(folder, backbone=backbone)
    with pytest.warns(SWTTimeWarning, match="not those that were tested"):
        changed = Forecaster.load(folder, backbone=backbone, allow_backbone_change=True)
    assert changed.predict(hourly_wide).shape == expected.shape


def test_a_backbone_that_the_model_has_no_use_for_is_refused(moved, hourly_wide):
    folder, backbone, _ = moved
    with pytest.raises(CheckpointError, match="was trained with a language model, the backbone 'none' is none"):
        Forecaster.load(folder, backbone="none")
    make("none").fit(hourly_wide, out="n")
    with pytest.raises(
        CheckpointError, match=r"was trained without a language model \(none\), so it takes no backbone"
    ):
        Forecaster.load("n", backbone=backbone)


def stop_at(step):
    """A report that sends a signal to this process at the end of a step."""

    def report(event):
        if isinstance(event, Step) and event.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return report


def fit_and_stop(forecaster, table, step, **options):
    """Train until a signal stops the run, in whichever way the run ends then."""
    try:
        forecaster.fit(table, report=stop_at(step), **options)
    except SystemExit:
        return
    assert forecaster.result.ended == "interrupted"


def test_a_stopped_run_is_resumed_with_a_moved_backbone(home, hourly_wide):
    changes = {"max_steps": 6, "validate_every": 2, "model": {"skip": "linear"}}
    make("models/bert", **changes).fit(hourly_wide, out="whole")
    fit_and_stop(make("models/bert", **changes), hourly_wide, 3, out="m")
    shutil.move("models/bert", "kept")
    with pytest.raises(BackboneError, match="is not a folder"):
        make(home / "models" / "bert", **changes).fit(hourly_wide, out="m", resume=True)
    again = make("kept", **changes).fit(hourly_wide, out="m", resume=True)
    assert (again.result.ended, again.result.steps) == ("finished", 6)
    assert (home / "m" / "model.safetensors").read_bytes() == (home / "whole" / "model.safetensors").read_bytes()
    assert read_checkpoint(home / "m").config.backbone.name == str(home / "kept")
    with pytest.warns(SWTTimeWarning, match="has ended"):  # the run of the other folder too
        make("kept", **changes).fit(hourly_wide, out="whole", resume=True)


def test_a_stopped_run_is_not_resumed_with_other_weights(home, hourly_wide):
    changes = {"max_steps": 6, "validate_every": 2, "model": {"skip": "linear"}}
    fit_and_stop(make("models/bert", **changes), hourly_wide, 3, out="m")
    shutil.copytree("models/bert", "kept")
    change_weights(home / "kept")
    with pytest.raises(
        CheckpointError, match=r"was started with the backbone '.*bert' with weights .*, not with '.*kept'"
    ):
        make("kept", **changes).fit(hourly_wide, out="m", resume=True)
    with pytest.raises(CheckpointError, match=r"was started with backbone.name '.*bert' \(not 'none'\)"):
        make("none", **changes).fit(hourly_wide, out="m", resume=True)


@pytest.fixture(scope="module")
def on_disk(swt_time, tmp_path_factory, hourly_wide):
    """A model that was trained on a backbone that was moved since, with the command line."""
    root = tmp_path_factory.mktemp("moved")
    hourly_wide.to_csv(root / "table.csv", index=False)
    save_tiny_backbone(root / "bert", "bert")
    settings = "model.d_ff=8 model.n_heads=2 model.n_prototypes=8 training.max_steps=2"
    swt_time(
        *("train", "--data", root / "table.csv", "--out", root / "m", "--horizon", 12, "--context", 48),
        *("--backbone", root / "bert", "--precision", "float32", "--keep-branch"),
        *(word for setting in settings.split() for word in ("--set", setting)),
    )
    shutil.move(root / "bert", root / "kept")
    return root


def commands(root, *more):
    model = ("--model", root / "m", "--data", root / "table.csv")
    return ("forecast", *model, "--out", root / "f.csv", *more), ("evaluate", *model, "--json", *more)


def test_commands_take_the_folder_of_a_moved_backbone(swt_time, on_disk, hourly_wide):
    forecast, evaluate = commands(on_disk, "--backbone", on_disk / "kept")
    swt_time(*forecast)
    expected = Forecaster.load(on_disk / "m", backbone=on_disk / "kept").predict(hourly_wide)
    np.testing.assert_allclose(pd.read_csv(on_disk / "f.csv")["yhat"], expected["yhat"], rtol=1e-5)
    assert json.loads(swt_time(*evaluate).stdout)["windows"] > 0


def test_commands_name_the_flag_where_the_folder_is_missing(swt_time, on_disk):
    for command in commands(on_disk):
        run = swt_time(*command, check=False)
        assert run.returncode == 2
        assert run.stderr.startswith("error: the backbone of the model is not available: there is no folder")
        assert "pass --backbone PATH, where PATH is a folder" in run.stderr


def test_an_import_stores_the_absolute_name(home):
    """Also if the path of its backbone is relative."""
    from swt_time.checkpoints.originals import import_checkpoint, time_llm_config

    words = load_file(home / "models" / "bert" / "model.safetensors")["embeddings.word_embeddings.weight"]
    shapes = {
        "mapping_layer": (8, len(words)),
        "reprogramming_layer.query_projection": (16, 8),
        "reprogramming_layer.key_projection": (16, 32),
        "reprogramming_layer.value_projection": (16, 32),
        "reprogramming_layer.out_projection": (32, 16),
        "output_projection.linear": (12, 8 * 6),
    }
    state = {f"{name}.weight": torch.zeros(shape) for name, shape in shapes.items()}
    state |= {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
    state["patch_embedding.value_embedding.tokenConv.weight"] = torch.zeros(8, 16, 3)
    torch.save(state, "weights.pth")
    sizes = {"data.context": 48, "data.horizon": 12, "embedding.kind": "patch", "embedding.d_model": 8}
    sizes |= {"model.d_ff": 8, "model.n_heads": 2, "model.prototypes": "mapping", "backbone.name": "models/bert"}
    checkpoint = import_checkpoint(home / "weights.pth", time_llm_config(sizes))
    assert checkpoint.config.backbone.name == str(home / "models" / "bert")
