"""Warm starts: weights, refusals, provenance, and resumed runs that end with the same bits."""

import json
import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from support.models import TINY
from swt_time import Forecaster
from swt_time.checkpoints import read_checkpoint, start
from swt_time.checkpoints.run_state import read_run
from swt_time.cli import run
from swt_time.errors import CheckpointError, ConfigError, SWTTimeWarning
from swt_time.training import Solved, Step

OPTIONS = {
    "horizon": 12,
    "context": 48,
    **TINY,
    "max_steps": 12,
    "validate_every": 5,
    "split": "none",  # the latest weights count, so that the gate of the checkpoint is not zero
    "model": {"dropout": 0.3, "skip": "ridge"},
}


def make(backbone="none", **changes):
    return Forecaster(backbone=str(backbone), **{**OPTIONS, **changes})


@pytest.fixture(scope="module")
def shorter(hourly_wide):
    return hourly_wide.iloc[:-60]


@pytest.fixture(scope="module", params=["none", "gpt2"])
def trained(request, tmp_path_factory, shorter, tiny_backbones):
    """A checkpoint of a shorter table, and its backbone."""
    backbone = "none" if request.param == "none" else tiny_backbones["gpt2"]
    folder = tmp_path_factory.mktemp(request.param) / "m"
    make(backbone).fit(shorter, out=folder)
    return folder, backbone


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())["sha256"]


def provenance(folder):
    return json.loads((folder / "provenance.json").read_text())


def stop_at(step):
    def report(event):
        if isinstance(event, Step) and event.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return report


@pytest.mark.parametrize("saved", [True, False])
def test_run_starts_from_the_weights_and_solves_the_closed_form_anew(trained, hourly_wide, tmp_path, saved):
    folder, backbone = trained
    out = {"out": tmp_path / "m"} if saved else {}
    warm = make(backbone, max_steps=0).fit(hourly_wide, start=folder, **out)
    fresh = make(backbone, max_steps=0).fit(hourly_wide)
    weights, former = warm.model.trained_state(), load_file(folder / "model.safetensors")
    assert warm.result.steps == 0
    assert former["gate"].item() != 0
    assert weights.keys() == former.keys()
    for name in weights.keys() - {"skip.weight"}:
        assert torch.equal(weights[name], former[name]), name
    assert torch.equal(weights["skip.weight"], fresh.model.skip.weight)
    assert not torch.equal(weights["skip.weight"], former["skip.weight"])
    if not saved:
        warm.save(tmp_path / "m")
    expected = {"folder": str(folder), "sha256": manifest(folder)}
    assert provenance(tmp_path / "m")["started_from"] == expected
    assert "started_from" not in provenance(folder)


def test_loaded_forecaster_brings_the_configuration(trained, hourly_wide):
    folder, _ = trained
    warm = Forecaster.load(folder).fit(hourly_wide, start=folder)
    assert warm.config == read_checkpoint(folder).config
    assert warm.result.steps == 12


@pytest.mark.parametrize("step", [1, 5, 7])
def test_stopped_and_resumed_warm_run_ends_with_the_same_bits(trained, hourly_wide, tmp_path, step):
    folder, backbone = trained
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    make(backbone).fit(hourly_wide, start=folder, out=whole)
    with pytest.raises(SystemExit):
        make(backbone).fit(hourly_wide, start=folder, out=cut, report=stop_at(step))
    assert read_run(cut).state.progress["steps"] == step
    make(backbone).fit(hourly_wide, out=cut, resume=True)
    assert (cut / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert provenance(cut)["started_from"] == provenance(whole)["started_from"]
    make(backbone).fit(hourly_wide, out=tmp_path / "cold")
    assert (tmp_path / "cold" / "model.safetensors").read_bytes() != (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("former", "later"), [("mse", "quantile"), ("quantile", "huber")])
def test_start_with_another_head_is_refused_by_its_key(shorter, hourly_wide, tmp_path, former, later):
    make(loss=former).fit(shorter, out=tmp_path / "m")
    with pytest.raises(CheckpointError, match=rf"another model: training.loss '{former}' \(not '{later}'\); use"):
        make(loss=later).fit(hourly_wide, start=tmp_path / "m")


def test_quantiles_start_from_quantiles(shorter, hourly_wide, tmp_path):
    make(loss="quantile").fit(shorter, out=tmp_path / "m")
    warm = make(loss="quantile", max_steps=0).fit(hourly_wide, start=tmp_path / "m")
    former = load_file(tmp_path / "m" / "model.safetensors")
    assert former["gate"].item() != 0
    assert torch.equal(warm.model.trained_state()["head.distances.weight"], former["head.distances.weight"])


def test_run_killed_before_its_first_save_starts_from_the_checkpoint_again(shorter, hourly_wide, tmp_path):
    folder, whole, cut = tmp_path / "m", tmp_path / "whole", tmp_path / "cut"
    make().fit(shorter, out=folder)
    make().fit(hourly_wide, start=folder, out=whole)

    def die(event):
        if isinstance(event, Solved):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make().fit(hourly_wide, start=folder, out=cut, report=die)
    assert read_run(cut).state is None
    with pytest.warns(SWTTimeWarning, match="starts from the beginning"):
        make().fit(hourly_wide, out=cut, resume=True)
    assert (cut / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        make().fit(hourly_wide, start=folder, out=cut, report=die)
    make(seed=1).fit(shorter, out=folder)
    with (
        pytest.raises(CheckpointError, match=r"was started from the checkpoint .* which now has"),
        pytest.warns(SWTTimeWarning),
    ):
        make().fit(hourly_wide, out=cut, resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": 64}, r"data\.context 48 \(not 64\)"),
        ({"horizon": 6}, r"data\.horizon 12 \(not 6\)"),
        ({"d_model": 16, "level": 1}, r"embedding\.d_model 8 \(not 16\), embedding\.level 2 \(not 1\)"),
        ({"wavelet": "haar"}, r"embedding\.wavelet 'db4' \(not 'haar'\)"),
        ({"model": {"skip": "linear"}}, r"model\.skip 'ridge' \(not 'linear'\)"),
        ({"backbone": "attention"}, r"backbone\.name .* \(not 'attention'\)"),
    ],
)
def test_another_model_is_refused_by_its_keys(trained, hourly_wide, tmp_path, changes, message):
    folder, backbone = trained
    for out in ({}, {"out": tmp_path / "m"}):
        with pytest.raises(CheckpointError, match=message):
            make(**{"backbone": backbone, **changes}).fit(hourly_wide, start=folder, **out)
        assert not list(tmp_path.glob("m/*.json"))


def test_another_language_model_is_refused(shorter, hourly_wide, tmp_path, tiny_backbones):
    make(tiny_backbones["gpt2"]).fit(shorter, out=tmp_path / "m")
    with pytest.raises(CheckpointError, match=r"has another model|backbone\.name"):
        make(tiny_backbones["bert"]).fit(hourly_wide, start=tmp_path / "m")


def test_options_of_the_training_may_differ(trained, hourly_wide):
    folder, backbone = trained
    changes = {"seed": 3, "learning_rate": 0.01, "model": {"dropout": 0.0, "skip": "ridge"}, "loss": "mae"}
    assert make(backbone, **changes).fit(hourly_wide, start=folder).result.steps == 12


def test_start_and_resume_exclude_each_other_and_the_checkpoint_is_kept(trained, hourly_wide, tmp_path):
    folder, backbone = trained
    before = manifest(folder)
    with pytest.raises(ConfigError, match="pass one of them"):
        make(backbone).fit(hourly_wide, start=folder, out=tmp_path / "m", resume=True)
    with pytest.raises(ConfigError, match="would replace the checkpoint"):
        make(backbone).fit(hourly_wide, start=folder, out=folder)
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        make(backbone).fit(hourly_wide, start=tmp_path / "nothing")
    assert manifest(folder) == before


def test_the_command_reads_its_checkpoint_once(hourly_wide, tmp_path, monkeypatch):
    make(max_steps=1).fit(hourly_wide, out=tmp_path / "former")
    hourly_wide.to_csv(tmp_path / "table.csv", index=False)
    read, real = [], start.read_identified
    monkeypatch.setattr(start, "read_identified", lambda folder: read.append(folder) or real(folder))
    words = ["--data", tmp_path / "table.csv", "--from", tmp_path / "former", "--out", tmp_path / "new"]
    assert run(["train", *map(str, words)]) == 0
    assert read == [tmp_path / "former"]
