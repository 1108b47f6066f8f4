"""Networks as programs of ``torch.export``: equal forecasts for other windows, prompts and numbers of windows."""

import json

import pytest
import torch

from support.backbones import save_tiny_backbone
from swt_time import CheckpointError, ConfigError, Forecaster
from swt_time.checkpoints import Checkpoint, TrainedOn
from swt_time.config import Config
from swt_time.evaluation.trained import Trained
from swt_time.exporting import export_program
from swt_time.exporting.programs import PROPERTIES
from swt_time.model import build_model
from swt_time.model.weights import to_arrays
from test_contracts import CONTEXT, HORIZON, TINY

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """Make a tiny backbone of a family, or name a stand-in."""
    root = tmp_path_factory.mktemp("backbones")

    def make(name):
        return str(save_tiny_backbone(root / name, name, layers=1)) if name in ("bert", "gpt2") else name

    return make


def forecaster(name, changes):
    """A forecaster with random weights and an open gate."""
    config = Config.parse(TINY).replace({"backbone.name": name, "prompt.template": "compact", **changes})
    torch.manual_seed(0)
    model = build_model(config)
    with torch.no_grad():
        for weight in model.trained_state().values():
            weight += 0.3 * torch.randn_like(weight)
    identity = model.language_model.identity if model.language_model else None
    checkpoint = Checkpoint(
        config, to_arrays(model.trained_state()), TrainedOn("wide", "h", ["a"], [1.0], [2.0]), identity
    )
    made = Forecaster.from_config(config)
    made._found = Trained(checkpoint, model.eval(), "cpu")
    return made


CASES = {
    "BERT whose prompts are read first": ("bert", {}),
    "BERT that reads prompts with the patches": ("bert", {"backbone.prompt_attention": "full"}),
    "GPT-2": ("gpt2", {"model.skip": "ridge"}),
    "GPT-2 without prompts": ("gpt2", {"prompt.template": "none"}),
    "transformer": ("transformer", {"embedding.pad": "coefficient"}),
}


SLOW = [name for name in CASES if name != "BERT whose prompts are read first"]


@pytest.mark.parametrize("case", [pytest.param(one, marks=pytest.mark.slow) if one in SLOW else one for one in CASES])
def test_a_program_forecasts_other_windows(case, backbone, tmp_path):
    name, changes = CASES[case]
    made = forecaster(backbone(name), changes)
    path = export_program(made, tmp_path / "out.pt2")
    files = {PROPERTIES: ""}
    program = torch.export.load(path, extra_files=files).module()
    assert json.loads(files[PROPERTIES])["deviation"] == json.dumps({"a": 2.0})
    for count, scale in ((5, 1.0), (1, 300.0)):  # prompts name the values, so they have other lengths
        windows = scale * torch.randn(count, CONTEXT, 1, generator=torch.Generator().manual_seed(count))
        prompt = made.model.write_prompt(windows)
        with torch.no_grad():
            expected = made.model(windows)
            found = program(windows) if prompt is None else program(windows, prompt.ids, prompt.lengths)
        assert found.shape == (count, HORIZON, 1)
        assert (prompt is None) == (name == "transformer" or "prompt.template" in changes)
        torch.testing.assert_close(found / scale, expected / scale, rtol=TOLERANCE, atol=TOLERANCE)
        other = made.model(windows.flip(1))
        assert (other - expected).abs().max() > 1e-3 * scale, "the control"


def test_what_is_refused(tmp_path, monkeypatch):
    made = forecaster("none", {})
    with pytest.raises(ConfigError, match=r"expected a name ending in \.pt2"):
        export_program(made, tmp_path / "out.onnx")
    monkeypatch.setattr("swt_time.exporting.trained.Blend.from_arrays", lambda weights: Half())
    with pytest.raises(CheckpointError, match="have 50% of its forecast"):
        export_program(made, tmp_path / "out.pt2")
    assert list(tmp_path.iterdir()) == []


class Half:
    """A panel with half of the forecast."""

    weight, weekly = 0.5, None
