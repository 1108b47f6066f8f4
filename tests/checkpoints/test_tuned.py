"""Checkpoints of tuned language models: they hold the tuned values alone, and runs resume with the same bits."""

import os
import signal

import numpy as np
import pytest
import torch

from support.models import TINY
from swt_time import Forecaster
from swt_time.checkpoints import Checkpoint
from swt_time.checkpoints.checkpoint import read_checkpoint
from swt_time.checkpoints.tuned import BACKBONE, describe_tuning
from swt_time.config.branch import without_branch
from swt_time.errors import MissingDependencyError
from swt_time.language import load_language_model, tuning
from swt_time.training import Step

OPTIONS = {
    "horizon": 12,
    "context": 48,
    **TINY,
    "max_steps": 8,
    "validate_every": 3,
    "validation_windows": 16,
    "learning_rate": 0.01,
    "model": {"skip": "linear", "attention_dropout": 0.2},
}


@pytest.fixture(params=["norms", "lora"])
def tune(request):
    """What is tuned; adapters only where peft is installed."""
    if request.param == "lora":
        pytest.importorskip("peft")
    return request.param


def make(backbone, tune, **changes) -> Forecaster:
    return Forecaster(backbone=str(backbone), tune=tune, **{**OPTIONS, **changes})


def tuned_weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return {name: weight for name, weight in checkpoint.weights.items() if name.startswith(BACKBONE)}


def test_runs_resume_with_the_same_bits_and_hold_the_tuned_values_alone(tmp_path, hourly_wide, tiny_backbones, tune):
    def report(event):
        if isinstance(event, Step) and event.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    folder = tiny_backbones["bert"]
    whole = make(folder, tune).fit(hourly_wide, out=tmp_path / "whole")
    with pytest.raises(SystemExit):
        make(folder, tune).fit(hourly_wide, out=tmp_path / "cut", report=report)
    torch.rand(7)  # the state of the global generator must not matter
    again = make(folder, tune).fit(hourly_wide, out=tmp_path / "cut", resume=True)
    assert (whole.result.best_step, whole.result.best_loss) == (again.result.best_step, again.result.best_loss)
    whole_file, cut_file = (tmp_path / name / "model.safetensors" for name in ("whole", "cut"))
    assert whole_file.read_bytes() == cut_file.read_bytes()

    checkpoint, model = read_checkpoint(tmp_path / "whole"), whole.model
    learned = {f"{BACKBONE}{name}" for name, p in model.language_model.named_parameters() if p.requires_grad}
    frozen = [name for name, p in model.language_model.named_parameters() if not p.requires_grad]
    assert tuned_weights(checkpoint).keys() == learned
    assert frozen
    assert f"{sum(w.size for w in tuned_weights(checkpoint).values()):,} tuned values" in describe_tuning(checkpoint)
    # the optimiser changed them, and nothing else of the language model
    torch.manual_seed(0)
    start = load_language_model(str(folder), tune=tune, precision="float32").state_dict()
    moved = tuned_weights(checkpoint)
    assert any(not np.array_equal(w, start[name.removeprefix(BACKBONE)]) for name, w in moved.items())
    assert all(torch.equal(model.language_model.state_dict()[name], start[name]) for name in frozen)

    loaded = Forecaster.load(tmp_path / "whole")
    assert loaded.predict(hourly_wide).equals(whole.predict(hourly_wide))


def test_tuned_values_change_the_forecast(tmp_path, hourly_wide, tiny_backbones):
    """Control: a checkpoint whose tuned values are those of the frozen model forecasts differently."""
    fitted = make(tiny_backbones["gpt2"], "norms").fit(hourly_wide)
    before = fitted.predict(hourly_wide)["yhat"]
    with torch.no_grad():
        for parameter in fitted.model.language_model.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.5)
    assert (fitted.predict(hourly_wide)["yhat"] - before).abs().max() > 1e-3


def test_a_branch_that_is_left_out_takes_its_tuned_values_with_it(tmp_path, hourly_wide, tiny_backbones):
    fitted = make(tiny_backbones["gpt2"], "norms", keep_branch=False, model={"skip": "ridge"}, max_steps=2)
    fitted.fit(hourly_wide, out=tmp_path / "m")
    checkpoint = read_checkpoint(tmp_path / "m")
    assert not checkpoint.provenance["branch"]["kept"]
    assert checkpoint.provenance["branch"]["asked"]["backbone.tune"] == "norms"
    assert not tuned_weights(checkpoint)
    assert checkpoint.config.backbone.tune == "none"
    assert describe_tuning(checkpoint) is None
    assert without_branch(fitted.config).backbone.tune == "none"


def test_a_tuned_checkpoint_is_described(tmp_path, hourly_wide, tiny_backbones, swt_time):
    options = ["--max-steps", 1, "--tune", "norms", "--keep-branch", "--horizon", 12, "--context", 48]
    small = ["--set", "model.d_ff=8", "--set", "model.n_prototypes=8", "--set", "training.validation_windows=8"]
    hourly_wide[-200:].to_csv(tmp_path / "t.csv", index=False)
    words = ["--data", tmp_path / "t.csv", "--out", tmp_path / "m", "--backbone", tiny_backbones["gpt2"]]
    swt_time("train", *words, *options, *small)
    shown = swt_time("info", "--model", tmp_path / "m").stdout
    found = "frozen but for its normalisations and learned positions, 33,088 tuned values"
    assert f"language model {tiny_backbones['gpt2']}: {found}" in shown


def test_a_checkpoint_with_adapters_needs_peft(tmp_path, hourly_wide, tiny_backbones, monkeypatch):
    pytest.importorskip("peft")
    make(tiny_backbones["gpt2"], "lora", max_steps=1).fit(hourly_wide).save(tmp_path / "m")
    monkeypatch.setattr(tuning, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install"):
        Forecaster.load(tmp_path / "m").predict(hourly_wide)


def test_a_run_starts_from_a_checkpoint_that_is_tuned_in_the_same_way(tmp_path, hourly_wide, tiny_backbones):
    make(tiny_backbones["gpt2"], "norms", max_steps=3).fit(hourly_wide, out=tmp_path / "m")
    again = make(tiny_backbones["gpt2"], "norms", max_steps=1, learning_rate=1e-12)
    again.fit(hourly_wide, start=tmp_path / "m")
    former = tuned_weights(read_checkpoint(tmp_path / "m"))
    for name, weight in again.model.trained_state().items():
        if name in former:
            np.testing.assert_allclose(weight.numpy(), former[name], atol=1e-6)
    with pytest.raises(ValueError, match=r"backbone.tune 'norms' \(not 'none'\)"):
        make(tiny_backbones["gpt2"], "none").fit(hourly_wide, start=tmp_path / "m")
