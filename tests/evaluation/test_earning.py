"""A branch that did not earn its place is neither saved nor run; one that did forecasts as before."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from support.models import TINY
from swt_time import Forecaster
from swt_time.checkpoints import read_checkpoint
from swt_time.checkpoints.branch import as_asked
from swt_time.checkpoints.branch_record import describe_branch
from swt_time.data.parts import split_table
from swt_time.data.series import to_series
from swt_time.errors import CheckpointError, SWTTimeWarning
from swt_time.evaluation import fitting
from swt_time.evaluation.earning import why_not_trained
from swt_time.model.inference import forecast_windows
from swt_time.selection import keeping

CODE = """
import sys, pandas as pd
from swt_time import Forecaster
forecast = Forecaster.load({folder!r}).predict(pd.read_pickle({table!r}))
forecast.to_pickle({out!r})
print(*(name for name in ("transformers", "tokenizers", "torch._dynamo") if name in sys.modules))
"""


def make(backbone="none", **changes):
    options = {**TINY, "keep_branch": False, "max_steps": 4, **changes}
    return Forecaster(12, 48, str(backbone), **options)


@pytest.fixture(scope="module")
def spikes():
    """Noise with spikes on one side, whose median a map without a bias cannot forecast: a trained head gains."""
    draw = np.random.default_rng(0)
    values = 0.1 * draw.standard_normal(1500) + 5 * (draw.random(1500) < 0.08)
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=1500, freq="h"), "y": values})


def gaining(**changes):
    return make(max_steps=200, loss="mae", learning_rate=0.02, **changes)


@pytest.fixture(scope="module")
def dropped(tiny_backbones, hourly_wide, tmp_path_factory):
    """The folder of a model whose language model is left out, with the forecaster."""
    folder = tmp_path_factory.mktemp("dropped") / "m"
    return folder, make(tiny_backbones["gpt2"]).fit(hourly_wide, out=folder)


def record(folder):
    return read_checkpoint(folder).provenance["branch"]


def test_model_without_its_branch_is_the_closed_form_bit_for_bit(dropped, hourly_wide, tmp_path):
    folder, forecaster = dropped
    alone = make(max_steps=0).fit(hourly_wide)
    pd.testing.assert_frame_equal(forecaster.predict(hourly_wide), alone.predict(hourly_wide), check_exact=True)
    alone.save(tmp_path / "alone")
    for name in ("model.safetensors", "config.json", "scaler.json"):
        assert (folder / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name
    assert forecaster.config == alone.config == read_checkpoint(folder).config
    assert forecaster.model.language_model is None


def test_forecast_loads_neither_transformers_nor_a_backbone(dropped, hourly_wide, tmp_path):
    folder, forecaster = dropped
    hourly_wide.to_pickle(tmp_path / "table")
    code = CODE.format(folder=str(folder), table=str(tmp_path / "table"), out=str(tmp_path / "out"))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
    pd.testing.assert_frame_equal(pd.read_pickle(tmp_path / "out"), forecaster.predict(hourly_wide), check_exact=True)


def test_check_of_loaded_packages_can_fail(tiny_backbones, hourly_wide, tmp_path):
    make(tiny_backbones["gpt2"], keep_branch=True).fit(hourly_wide).save(tmp_path / "m")
    hourly_wide.to_pickle(tmp_path / "table")
    code = CODE.format(folder=str(tmp_path / "m"), table=str(tmp_path / "table"), out=str(tmp_path / "out"))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "transformers" in run.stdout.split()


def test_record_says_what_was_asked_and_how_it_was_judged(dropped, tiny_backbones):
    folder, forecaster = dropped
    found = record(folder)
    name = str(tiny_backbones["gpt2"])
    assert found["asked"] == {"backbone.name": name, "training.max_steps": 4}
    assert found["backbone"]["name"] == name
    assert found["kept"] is False
    asked, backbone = as_asked(read_checkpoint(folder))
    assert (asked.backbone.name, asked.training.max_steps) == (name, 4)
    assert backbone.sha256 == found["backbone"]["sha256"]
    line = describe_branch(forecaster.trained.checkpoint.provenance)
    assert line == f"branch (language model {name}): left out, no validation was better with it, so its gate is zero"


def test_record_of_a_test_names_errors_and_blocks(hourly_wide):
    provenance = make("attention", max_steps=40).fit(hourly_wide).trained.checkpoint.provenance
    found, line = provenance["branch"]["test"], describe_branch(provenance)
    assert (found["blocks"], found["earned"]) == (5, False)
    assert line.startswith("branch (attention stand-in): left out, error 0.")
    assert f"on 5 held-out blocks of the validation part, a gain of {found['gain']:+.1%}" in line


def test_branch_that_gains_is_kept_and_forecasts_as_before(spikes):
    kept, asked = gaining().fit(spikes), gaining(keep_branch=True).fit(spikes)
    found = kept.trained.checkpoint.provenance["branch"]
    assert (found["kept"], found["test"]["earned"]) == (True, True)
    assert found["test"]["gain"] > 0.1
    assert kept.model.gate.item() != 0
    pd.testing.assert_frame_equal(kept.predict(spikes), asked.predict(spikes), check_exact=True)


def test_researchers_keep_every_branch(tiny_backbones, hourly_wide):
    forecaster = make(tiny_backbones["gpt2"], keep_branch=True).fit(hourly_wide)
    found = forecaster.trained.checkpoint.provenance["branch"]
    assert found["kept"] is True
    assert "as asked although" in found["reason"]
    assert forecaster.model.language_model is not None


def test_trained_linear_forecast_stays_without_the_branch(hourly_wide, monkeypatch):
    full = make("attention", skip="linear", keep_branch=True).fit(hourly_wide)
    monkeypatch.setattr(keeping, "MARGIN", 2.0)
    reduced = make("attention", skip="linear").fit(hourly_wide)
    assert (reduced.config.backbone.name, reduced.config.model.skip) == ("none", "none")
    contexts = np.random.default_rng(0).standard_normal((5, 48))
    with torch.no_grad():
        full.model.gate.zero_()
    assert full.model.gate is not None
    assert reduced.model.gate is None
    assert np.array_equal(forecast_windows(full.model, contexts), forecast_windows(reduced.model, contexts))


def test_intervals_are_those_of_the_forecast_that_is_saved(hourly_wide):
    dropped, alone = make("attention").fit(hourly_wide), make(max_steps=0).fit(hourly_wide)
    columns = [name for name in alone.predict(hourly_wide) if name.startswith("yhat-")]
    assert columns
    assert dropped.predict(hourly_wide)[columns].equals(alone.predict(hourly_wide)[columns])


def test_network_that_nothing_simpler_replaces_is_not_judged(hourly_wide):
    for options in ({"skip": "none"}, {"max_steps": 0}, {"loss": "quantile"}):
        assert "branch" not in make(**options).fit(hourly_wide).trained.checkpoint.provenance


def test_branch_that_could_not_be_judged_is_not_trained(tiny_backbones, hourly_wide):
    with pytest.warns(SWTTimeWarning, match=r"could not be judged: .* fewer than 4 blocks .* training.keep_branch"):
        forecaster = make(tiny_backbones["gpt2"], split="none").fit(hourly_wide)
    assert forecaster.result.steps == 0
    assert forecaster.config.backbone.name == "none"
    found = forecaster.trained.checkpoint.provenance["branch"]
    assert (found["kept"], found["test"]) == (False, None)
    assert found["asked"]["backbone.name"] == str(tiny_backbones["gpt2"])
    assert make(split="none", keep_branch=True).fit(hourly_wide).result.steps == 4


def test_branch_without_weight_or_steps_is_not_loaded(hourly_wide):
    config, series = make("/nowhere").config, to_series(hourly_wide)
    parts = split_table(series, "0.7/0.1/0.2", 48, 12)
    assert "the panel has all the weight" in why_not_trained(config, parts, weighed=False, starts=False)
    assert why_not_trained(config, parts, weighed=True, starts=False) is None
    make("/nowhere", max_steps=0).fit(hourly_wide)  # the folder is not looked for


def test_run_that_has_ended_is_resumed_to_its_result(dropped, tiny_backbones, hourly_wide):
    folder, forecaster = dropped
    before = (folder / "model.safetensors").read_bytes()
    with pytest.warns(SWTTimeWarning, match="nothing to resume"):
        again = make(tiny_backbones["gpt2"]).fit(hourly_wide, out=folder, resume=True)
    assert (folder / "model.safetensors").read_bytes() == before
    pd.testing.assert_frame_equal(again.predict(hourly_wide), forecaster.predict(hourly_wide), check_exact=True)
    with pytest.raises(CheckpointError, match=r"training\.max_steps 4 \(not 5\)"):
        make(tiny_backbones["gpt2"], max_steps=5).fit(hourly_wide, out=folder, resume=True)


def test_run_that_was_killed_before_the_test_is_judged_when_resumed(
    dropped, tiny_backbones, hourly_wide, tmp_path, monkeypatch
):
    folder, _ = dropped

    def killed(*_):
        raise KeyError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "judged", killed)
        with pytest.raises(KeyError):
            make(tiny_backbones["gpt2"]).fit(hourly_wide, out=tmp_path / "m")
    assert "branch" not in read_checkpoint(tmp_path / "m").provenance
    with pytest.warns(SWTTimeWarning, match="nothing to resume"):
        make(tiny_backbones["gpt2"]).fit(hourly_wide, out=tmp_path / "m", resume=True)
    assert record(tmp_path / "m") == record(folder)
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_start_from_a_model_without_its_branch(dropped, tiny_backbones, hourly_wide):
    folder, forecaster = dropped
    with pytest.raises(CheckpointError, match=r"holds no branch to start from.*training\.keep_branch"):
        make(tiny_backbones["gpt2"]).fit(hourly_wide, start=folder)
    again = Forecaster.load(folder).fit(hourly_wide, start=folder)
    pd.testing.assert_frame_equal(again.predict(hourly_wide), forecaster.predict(hourly_wide), check_exact=True)


def test_update_needs_no_backbone(tiny_backbones, hourly_wide):
    options = {"split": "none", "max_steps": 0, "keep_sums": True}
    model = make(tiny_backbones["gpt2"], **options).fit(hourly_wide[:500])
    assert model.model.language_model is None
    alone = make(**options).fit(hourly_wide[:500]).update(hourly_wide)
    pd.testing.assert_frame_equal(
        model.update(hourly_wide).predict(hourly_wide), alone.predict(hourly_wide), check_exact=True
    )


def test_backbone_that_is_not_needed_is_ignored(dropped, hourly_wide):
    folder, forecaster = dropped
    with pytest.warns(SWTTimeWarning, match="the backbone given is ignored"):
        loaded = Forecaster.load(folder, backbone="/nowhere")
    copy = pickle.loads(pickle.dumps(loaded))
    pd.testing.assert_frame_equal(copy.predict(hourly_wide), forecaster.predict(hourly_wide), check_exact=True)


def test_damaged_record_is_refused(dropped):
    checkpoint = read_checkpoint(dropped[0])
    for asked in (None, [1], {"nonsense": 1}):
        checkpoint.provenance["branch"]["asked"] = asked
        with pytest.raises(CheckpointError, match=r"record of the branch in provenance\.json is damaged"):
            as_asked(checkpoint)
