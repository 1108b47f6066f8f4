"""Backbones are loaded completely or refused; a wrong backbone is never replaced by another."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from support.backbones import load_backbone
from swt_time.errors import BackboneError
from swt_time.language import loading
from swt_time.language.loading import load_language_model, resolve_precision


@pytest.fixture
def broken(tiny_backbones, tmp_path):
    """A copy of the tiny GPT-2 that a test may damage."""
    return shutil.copytree(tiny_backbones["gpt2"], tmp_path / "broken")


def change_config(folder, **changes):
    """Change values in a backbone's ``config.json``."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_minilm_is_loaded():
    model = load_language_model("minilm", layers=2, precision="float32")
    assert (model.hidden_size, model.max_positions, model.identity.layers) == (384, 512, 2)
    assert model.word_embeddings.shape == (30522, 384)
    assert all(not p.requires_grad for p in model.parameters())


def test_last_layers_are_removed(tiny_backbones, family):
    whole, cut = load_backbone(tiny_backbones[family]), load_backbone(tiny_backbones[family], layers=1)
    assert (whole.identity.layers, cut.identity.layers) == (2, 1)
    assert whole.identity.sha256 != cut.identity.sha256
    kept = dict(whole.model.named_parameters())
    assert all(torch.equal(p, kept[name]) for name, p in cut.model.named_parameters())


def test_random_init_keeps_only_the_architecture(tiny_backbones, family):
    first = load_backbone(tiny_backbones[family], random_init=True)
    again = load_backbone(tiny_backbones[family], random_init=True)
    assert first.identity == again.identity
    assert first.identity.sha256 != load_backbone(tiny_backbones[family]).identity.sha256


def test_random_init_does_not_change_the_global_generator(tiny_backbones):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_backbone(tiny_backbones["bert"], random_init=True)
    assert torch.equal(torch.rand(3), expected)


def test_random_weights_beyond_the_memory_are_an_error(tiny_backbones, monkeypatch):
    monkeypatch.setattr(loading, "physical_memory", lambda: 1000)
    with pytest.raises(BackboneError, match=r"random weights need .* GiB .*backbone.layers"):
        load_backbone(tiny_backbones["bert"], random_init=True)


def test_identity_does_not_depend_on_precision(tiny_backbones):
    half = load_backbone(tiny_backbones["bert"], precision="bfloat16")
    assert half.model.dtype == torch.bfloat16
    assert half.identity == load_backbone(tiny_backbones["bert"]).identity
    assert half(None, torch.randn(1, 3, 32)).dtype == torch.float32


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_precision_auto_is_bfloat16_where_the_hardware_computes_it(monkeypatch, native, dtype):
    monkeypatch.setattr(loading, "computes_bfloat16", lambda: native)
    assert resolve_precision("auto") is dtype


def test_other_family_is_an_error(broken):
    change_config(broken, model_type="t5")
    with pytest.raises(BackboneError, match="family 't5'; expected one of bert, gpt2, llama"):
        load_backbone(broken)


def test_custom_model_code_is_an_error(broken):
    change_config(broken, auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(BackboneError, match=r"needs custom code \(auto_map in .*\), which swt-time never runs"):
        load_backbone(broken)


def test_incomplete_weights_are_an_error(broken):
    weights = load_file(broken / "model.safetensors")
    weights.pop(next(name for name in weights if "mlp" in name))
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match=r"do not fill the model: expected [\d,]+ values, got"):
        load_backbone(broken)


def test_renamed_weights_are_an_error(broken):
    """As many values as needed, but one of the model's weights is missing."""
    weights = load_file(broken / "model.safetensors")
    weights["other.weight"] = weights.pop("h.1.mlp.c_fc.weight")
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match=r"do not fill the model; missing or of another shape: h.1.mlp.c_fc.weight"):
        load_backbone(broken)


def test_weights_of_another_shape_are_an_error(broken):
    weights = load_file(broken / "model.safetensors")
    weights["h.1.mlp.c_fc.weight"] = weights["h.1.mlp.c_fc.weight"].T.contiguous()
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match=r"cannot load weights from .* \(safetensors\)"):
        load_backbone(broken)


def test_pickled_weights_are_an_error(broken):
    torch.save(load_file(broken / "model.safetensors"), broken / "pytorch_model.bin")
    (broken / "model.safetensors").unlink()
    with pytest.raises(BackboneError, match="safetensors"):
        load_backbone(broken)


def test_damaged_weights_are_an_error(broken):
    path = broken / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BackboneError, match=r"cannot read .*model.safetensors"):
        load_backbone(broken)


def test_tokenizer_with_too_many_tokens_is_an_error(broken, tiny_backbones):
    shutil.copy(tiny_backbones["bert"] / "tokenizer.json", broken / "tokenizer.json")
    values = json.loads((broken / "tokenizer.json").read_text())
    values["model"]["vocab"] |= {f"more{i}": 1000 + i for i in range(300)}
    (broken / "tokenizer.json").write_text(json.dumps(values))
    with pytest.raises(BackboneError, match=r"tokenizer in .* has \d+ tokens, but the model has \d+; replace"):
        load_backbone(broken)


def test_too_many_layers_are_an_error(tiny_backbones):
    with pytest.raises(BackboneError, match=r"has 2 layers, but backbone.layers is 3; set it to at most 2"):
        load_backbone(tiny_backbones["gpt2"], layers=3)
