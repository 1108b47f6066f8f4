"""Checkpoints: equal after a round trip, verified strictly, never partly written."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from swt_time import Forecaster
from swt_time.checkpoints import checkpoint as module
from swt_time.checkpoints.checkpoint import (
    Checkpoint,
    TrainedOn,
    read_checkpoint,
    write_checkpoint,
)
from swt_time.checkpoints.output import check_output_folder
from swt_time.checkpoints.storage import Location, replace_files
from swt_time.config import Config
from swt_time.errors import CheckpointError, ConfigError, SWTTimeWarning
from swt_time.language.backbone import BackboneIdentity
from swt_time.model import build_model
from swt_time.model.weights import to_arrays
from swt_time.training import Validation


def make(folder, name="none"):
    config = Config.parse(
        {
            "data": {"context": 48, "horizon": 12},
            "embedding": {"d_model": 8, "level": 1},
            "backbone": {"name": str(name), "precision": "float32"},
            "model": {"d_ff": 8, "n_heads": 2, "n_prototypes": 10},
        }
    )
    torch.manual_seed(0)
    model = build_model(config)
    language_model = model.language_model
    made = Checkpoint(
        config,
        to_arrays(model.trained_state()),
        TrainedOn("wide", "h", ["ä", "b"], [1.0, 2.0], [0.5, 1e-7]),
        language_model.identity if language_model else None,
        {"seed": 0},
        [Validation(1, 0.1, 0.5, None, 1e-3, None, 20.0, 2.5, True)],
    )
    write_checkpoint(folder, made)
    return model.eval(), made


def change(folder, **files):
    """Replace files of a checkpoint together with its manifest, as a forger would."""
    content = {name: (folder / name).read_bytes() for name in module.FILES}
    replace_files(
        Location(folder), content | {name.replace("_", "."): data for name, data in files.items()}, "checkpoint"
    )


def test_round_trip_is_exact(tiny_backbones, family, tmp_path):
    model, made = make(tmp_path / "m", tiny_backbones[family])
    read = read_checkpoint(tmp_path / "m")
    assert read.config == made.config
    assert read.trained_on == made.trained_on
    assert read.backbone == made.backbone
    assert read.provenance == {"seed": 0}
    x = torch.randn(3, 48, 1)
    with torch.no_grad():
        assert torch.equal(read.build()(x), model(x))


def test_only_trained_weights_are_saved(tiny_backbones, tmp_path):
    model, _ = make(tmp_path / "m", tiny_backbones["gpt2"])
    saved = load_file(tmp_path / "m" / "model.safetensors")
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert set(saved) == trained | {"skip.weight"}  # the latter is solved in closed form
    assert not any("language_model" in name for name in saved)


def test_equal_runs_give_equal_weight_files(tmp_path):
    make(tmp_path / "a")
    make(tmp_path / "b")
    for name in ("model.safetensors", "config.json", "scaler.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_no_temporary_folder_is_left(tmp_path):
    make(tmp_path / "m")
    make(tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("name", [*module.FILES, "manifest.json"])
def test_missing_file_is_named(tmp_path, name):
    make(tmp_path / "m")
    (tmp_path / "m" / name).unlink()
    with pytest.raises(CheckpointError, match=f"incomplete: {name} missing"):
        read_checkpoint(tmp_path / "m")


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        read_checkpoint(tmp_path / "m")


def test_unknown_configuration_key_is_an_error(tmp_path):
    make(tmp_path / "m")
    values = json.loads((tmp_path / "m" / "config.json").read_text())
    change(tmp_path / "m", config_json=json.dumps({**values, "_target_": "os.system"}).encode())
    with pytest.raises(ConfigError, match="_target_"):
        read_checkpoint(tmp_path / "m")


@pytest.mark.parametrize(
    ("alter", "text"),
    [
        (lambda w: w.pop("head.linear.bias"), "missing head.linear.bias"),
        (lambda w: w.update(extra=torch.zeros(1)), "unknown extra"),
        (
            lambda w: w.update({"head.linear.bias": torch.zeros(3)}),
            r"head.linear.bias has shape \(3,\), expected \(12,\)",
        ),
        (lambda w: w.update({"head.linear.bias": torch.full((12,), float("nan"))}), "not finite"),
    ],
)
def test_weights_load_strictly(tmp_path, alter, text):
    make(tmp_path / "m")
    weights = load_file(tmp_path / "m" / "model.safetensors")
    alter(weights)
    change(tmp_path / "m", model_safetensors=save(weights))
    with pytest.raises(CheckpointError, match=text):
        read_checkpoint(tmp_path / "m").build()


def test_other_backbone_is_refused(tiny_backbones, tmp_path):
    _, made = make(tmp_path / "m", tiny_backbones["gpt2"])
    other = replace(made, backbone=BackboneIdentity("gpt2", "gpt2", 2, "0" * 64))
    with pytest.raises(
        CheckpointError, match=r"provide the same backbone \(backbone=PATH\), or pass allow_backbone_change=True"
    ):
        other.build()
    with pytest.warns(SWTTimeWarning, match="not those that were tested"):
        changed = other.build(allow_backbone_change=True)
    assert np.array_equal(changed.head.linear.weight.detach(), made.weights["head.linear.weight"])


def test_existing_output_needs_overwrite(tmp_path):
    make(tmp_path / "m")
    with pytest.raises(CheckpointError, match="exists; choose another one or pass overwrite=True"):
        check_output_folder(tmp_path / "m", overwrite=False)
    check_output_folder(tmp_path / "m", overwrite=True)
    check_output_folder(tmp_path / "new" / "deep", overwrite=False)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("names", [["cat.jpg"], ["config.json"], ["config.json", "model.safetensors", ".training"]])
def test_overwrite_replaces_checkpoints_only(tmp_path, hourly_wide, names):
    """A ``config.json`` and a ``model.safetensors`` are those of a language model, or of any other program."""
    for name in names:
        (tmp_path / name).write_bytes(b"mine")
    make(tmp_path.parent / f"{tmp_path.name} checkpoint")
    forecaster = Forecaster.load(tmp_path.parent / f"{tmp_path.name} checkpoint")
    for write in (
        lambda: check_output_folder(tmp_path, overwrite=True),
        lambda: forecaster.save(tmp_path, overwrite=True),
        lambda: forecaster.fit(hourly_wide, out=tmp_path),
        lambda: forecaster.fit(hourly_wide, out=tmp_path, resume=True),
    ):
        with pytest.raises(CheckpointError, match="is not a checkpoint"):
            write()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(names, b"mine")


def test_folder_of_a_killed_run_can_be_overwritten(tmp_path):
    (tmp_path / "m" / ".training").mkdir(parents=True)
    (tmp_path / "m" / ".lock").write_text("4194304\n")
    check_output_folder(tmp_path / "m", overwrite=True)
    with pytest.raises(CheckpointError, match="pass resume=True to continue its run, or pass overwrite=True"):
        check_output_folder(tmp_path / "m", overwrite=False)


def test_output_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="cannot write the output folder"):
        check_output_folder(tmp_path / "file" / "m", overwrite=False)
