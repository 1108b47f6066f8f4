"""Backbones are loaded completely or refused; a wrong backbone is never replaced by another."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file, save_model
from transformers.utils import logging

from support.backbones import load_backbone
from swt_time import Forecaster
from swt_time.errors import BackboneError, SWTTimeWarning
from swt_time.language import loading, weight_files
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


def test_quantization_config_null_is_none(broken, tiny_backbones, hourly_wide):
    change_config(broken, quantization_config=None)
    model = Forecaster(12, 48, str(broken), 1, layers=1, d_ff=8, n_heads=2, keep_branch=True).fit(hourly_wide).model
    assert model.language_model.identity.sha256 == load_backbone(tiny_backbones["gpt2"], layers=1).identity.sha256


def test_quantised_weights_are_an_error(broken):
    change_config(broken, quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(BackboneError, match=r"is quantised .*; expected weights in 16 or 32 bits"):
        load_backbone(broken)


def name_embeddings_as_output(folder, prefix):
    """Save the weights of a GPT-2 or LLaMA with a tied output layer, whose name alone is kept."""
    weights = load_file(folder / "model.safetensors")
    embeddings = next(name for name in weights if name in ("wte.weight", "embed_tokens.weight"))
    renamed = {f"{prefix}{name}": tensor for name, tensor in weights.items() if name != embeddings}
    save_file(renamed | {"lm_head.weight": weights[embeddings]}, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("family", "prefix"), [("gpt2", ""), ("gpt2", "transformer."), ("llama", ""), ("llama", "model.")]
)
def test_tied_weights_named_as_the_output_layer_are_loaded(tiny_backbones, tmp_path, hourly_wide, family, prefix):
    folder = shutil.copytree(tiny_backbones[family], tmp_path / "tied")
    expected = load_backbone(folder).identity.sha256
    name_embeddings_as_output(folder, prefix)
    change_config(folder, tie_word_embeddings=True)
    model = Forecaster(12, 48, str(folder), 1, d_ff=8, n_heads=2, keep_branch=True).fit(hourly_wide).model
    assert model.language_model.identity.sha256 == expected


def test_weights_of_save_model_are_loaded(tmp_path, tiny_backbones):
    """``save_model`` of safetensors keeps one name of tied weights, that of the output layer."""
    from transformers import GPT2LMHeadModel

    folder = shutil.copytree(tiny_backbones["gpt2"], tmp_path / "tied")
    expected = load_backbone(folder)
    save_model(GPT2LMHeadModel.from_pretrained(folder), folder / "model.safetensors")
    assert "transformer.wte.weight" not in load_file(folder / "model.safetensors")
    assert load_backbone(folder).identity.sha256 == expected.identity.sha256


def test_untied_output_layer_is_no_embedding(tiny_backbones, tmp_path):
    folder = shutil.copytree(tiny_backbones["llama"], tmp_path / "untied")
    name_embeddings_as_output(folder, "model.")
    change_config(folder, tie_word_embeddings=False)
    with pytest.raises(BackboneError, match=r"missing or of another shape: .*embed_tokens.weight"):
        load_backbone(folder)


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


@pytest.mark.parametrize("kind", [RuntimeError, OSError])
def test_weights_that_cannot_be_mapped_into_memory_are_an_error(tiny_backbones, monkeypatch, kind):
    """PyTorch maps the file, and raises a plain RuntimeError where the disk fails."""

    def fail(*_, **__):
        raise kind("unable to mmap 16 bytes from file: Stale file handle (116)")

    monkeypatch.setattr(weight_files, "safe_open", fail)
    with pytest.raises(BackboneError, match=r"cannot load weights from .*Stale file handle"):
        load_language_model(str(tiny_backbones["gpt2"]))


def test_transformers_prints_nothing_while_the_tokenizer_is_read(tiny_backbones, monkeypatch):
    found = []
    load = loading.load_tokenizer
    monkeypatch.setattr(loading, "load_tokenizer", lambda *words: found.append(logging.get_verbosity()) or load(*words))
    before = logging.get_verbosity()
    load_language_model(str(tiny_backbones["gpt2"]))
    assert (found, logging.get_verbosity()) == ([logging.ERROR], before)


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


def add_tokens(folder, *tokens, **special):
    """Add tokens to a saved tokenizer; the model gets no embeddings for them."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(list(tokens))
    tokenizer.add_special_tokens(special)
    tokenizer.save_pretrained(folder)


def fit(folder, table, template="compact", description=""):
    """Train one step on a backbone."""
    options = {"d_ff": 8, "n_heads": 2, "n_prototypes": 8, "template": template, "description": description}
    options["keep_branch"] = True  # a forecast reads prompts
    return Forecaster(12, 48, str(folder), 1, **options).fit(table)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("template", ["paper", "compact", "none"])
def test_added_tokens_that_no_prompt_uses_are_read(tiny_backbones, tmp_path, hourly_wide, family, template):
    """The alphabet of the prompts is not enough: <pad> has only characters that the paper's prompts have."""
    folder = shutil.copytree(tiny_backbones[family], tmp_path / "padded")
    # The tag at the end of the paper's prompts is <|<end_prompt>|>.
    add_tokens(folder, "<pad>", "minimum", "<|end", pad_token="[PAD]")
    with pytest.warns(SWTTimeWarning, match=r"no embedding for added tokens .*'<pad>', 'minimum', .*\.\.\.\)"):
        padded = fit(folder, hourly_wide, template)
    forecast = fit(tiny_backbones[family], hourly_wide, template).predict(hourly_wide)
    assert padded.predict(hourly_wide).equals(forecast)


@pytest.mark.parametrize(
    ("token", "template", "description"),
    [
        ("[PAD]", "compact", "values are [PAD]ded"),
        ("median", "compact", ""),
        ("e -", "paper", ""),
        ("e-05,", "compact", ""),
        ("17", "compact", ""),
        ("s: min", "compact", ""),  # begins in the shared text
        ("lags 7.", "compact", ""),
        ("none.", "compact", ""),
        (" downward,", "paper", ""),
    ],
)
@pytest.mark.filterwarnings("ignore:backbone")
def test_added_tokens_that_a_prompt_may_use_are_an_error(broken, hourly_wide, token, template, description):
    add_tokens(broken, token)
    with pytest.raises(BackboneError) as refused:
        fit(broken, hourly_wide, template, description)
    assert f"prompts contain the token {token!r}, which the tokenizer of the backbone gives the id" in str(
        refused.value
    )
    assert "take it out of data.description if it is there, otherwise replace the tokenizer" in str(refused.value)


def test_an_added_token_around_every_prompt_is_an_error(tiny_backbones, tmp_path, hourly_wide):
    folder = shutil.copytree(tiny_backbones["llama"], tmp_path / "begin")
    add_tokens(folder, bos_token="[BEGIN]")
    values = json.loads((folder / "tokenizer.json").read_text())
    new = next(one["id"] for one in values["added_tokens"] if one["content"] == "[BEGIN]")
    text = json.dumps(values["post_processor"]).replace("<s>", "[BEGIN]").replace("[0]", f"[{new}]")
    (folder / "tokenizer.json").write_text(json.dumps({**values, "post_processor": json.loads(text)}))
    with pytest.warns(SWTTimeWarning), pytest.raises(BackboneError, match=r"prompts contain the token '\[BEGIN\]'"):
        fit(folder, hourly_wide)


@pytest.mark.filterwarnings("ignore:backbone")
def test_many_added_tokens_are_an_error(broken):
    add_tokens(broken, *(f"[{i}]" for i in range(1001)))
    with pytest.raises(BackboneError, match=r"tokenizer in .* has \d+ tokens, but the model has \d+; replace"):
        load_backbone(broken)
