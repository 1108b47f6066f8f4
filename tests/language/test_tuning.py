"""Trained parts of a language model: the gradients of whole sequences, and a frozen rest that stays as it was."""

import copy
import pickle
import sys

import pytest
import torch

from support.backbones import load_backbone
from support.models import make_model, windows
from swt_time.errors import BackboneError, MissingDependencyError
from swt_time.language import LanguageModel, backbone, load_language_model, tuning
from swt_time.language.prompt import pad_prompts

SHARED = (5, 6, 7, 8, 9, 10, 11)
ROWS = [[*SHARED, 12, 13, 14], [*SHARED, 15], [*SHARED], [5, 6, 30, 31], [*SHARED, 16, 17, 18, 19, 20, 21]]
PREFIX = {"prompt_attention": "prefix"}


@pytest.fixture(params=["norms", "lora"])
def tune(request):
    """What is tuned; adapters only where peft is installed."""
    if request.param == "lora":
        pytest.importorskip("peft")
    return request.param


def load(folder, tune, **options) -> LanguageModel:
    """Load a tuned model whose tuned values differ from those of the frozen one, as after some steps."""
    torch.manual_seed(1)
    model = load_backbone(folder, **{"tune": tune, **PREFIX, **options})
    for parameter in trained(model).values():
        with torch.no_grad():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def trained(model) -> dict[str, torch.nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def patches(rows=len(ROWS)):
    return torch.randn(rows, 5, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()


def whole_sequences(model, prompt, tokens) -> tuple[torch.Tensor, dict[str, torch.nn.Parameter]]:
    """Reference implementation: each sequence alone through transformers' own eager attention, with nothing cached.

    An encoder sees each part of the sequence and those before it, by an explicit mask.
    """
    plain = copy.deepcopy(model.model)
    plain.set_attn_implementation("eager")
    rows = []
    for ids, length, patch in zip(prompt.ids, prompt.lengths.tolist(), tokens, strict=True):
        ids, mask = ids[:length], None
        if not model.causal:
            n_shared = len(prompt.shared) if tuple(ids[: len(prompt.shared)].tolist()) == prompt.shared else 0
            level = [0] * n_shared + [1] * (length - n_shared) + [2] * len(patch)
            seen = torch.tensor([[key <= query for key in level] for query in level])
            mask = torch.where(seen, 0.0, -torch.inf)[None, None]
        sequence = torch.cat([plain.get_input_embeddings()(ids), patch])[None]
        hidden = plain(inputs_embeds=sequence, attention_mask=mask, use_cache=False).last_hidden_state
        rows.append(hidden[0, length:])
    return torch.stack(rows), dict(plain.named_parameters())


@pytest.mark.parametrize("at_once", [10**9, 40], ids=["whole batch", "slices"])
def test_gradients_equal_those_of_whole_sequences(tiny_backbones, family, tune, at_once, monkeypatch):
    """Of the tuned values and of the patches, to 1e-5 of the largest; twice, so that no graph is used again."""
    model, prompt = load(tiny_backbones[family], tune), pad_prompts(ROWS, SHARED)
    monkeypatch.setattr(backbone, "TOKENS_AT_ONCE", at_once)
    for seed in range(2):
        ours, theirs = patches(), patches()
        expected, plain = whole_sequences(model, prompt, theirs)
        got = model(prompt, ours)
        assert (got - expected).abs().max() < 1e-5
        probe = torch.randn(got.shape, generator=torch.Generator().manual_seed(seed))
        model.zero_grad()
        (got * probe).sum().backward()
        (expected * probe).sum().backward()
        assert (ours.grad - theirs.grad).abs().max() < 1e-5 * theirs.grad.abs().max()
        parameters = trained(model.model)
        assert parameters
        largest = max(plain[name].grad.abs().max() for name in parameters)
        for name, parameter in parameters.items():
            assert (parameter.grad - plain[name].grad).abs().max() < 1e-5 * largest, name
            assert plain[name].grad.abs().max() > 1e-4 * largest, name


def test_gradients_would_differ_without_a_graph_through_the_prompt(tiny_backbones, family, tune, monkeypatch):
    """Control: reading the prompt as that of a frozen model changes the gradients by far more than the tolerance."""
    model, prompt = load(tiny_backbones[family], tune), pad_prompts(ROWS, SHARED)
    found = []
    for learns in (True, False):
        monkeypatch.setattr(type(model._reader), "learns", learns)
        model.zero_grad()
        probe = torch.randn(len(ROWS), 5, 32, generator=torch.Generator().manual_seed(0))
        (model(prompt, patches()) * probe).sum().backward()
        found.append(torch.cat([p.grad.flatten() for p in trained(model).values()]))
    right, wrong = found
    assert (right - wrong).abs().max() > 1e-2 * right.abs().max()


def test_full_attention_of_an_encoder_is_differentiated_too(tiny_backbones, tune):
    model = load(tiny_backbones["bert"], tune, prompt_attention="full")
    model(pad_prompts(ROWS, SHARED), patches()).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in trained(model).values())


def test_inference_reads_the_shared_part_once_for_each_step_of_the_optimiser(tiny_backbones, family, tune):
    model, prompt = load(tiny_backbones[family], tune), pad_prompts(ROWS, SHARED)
    optimizer = torch.optim.AdamW(trained(model).values(), lr=1e-2, fused=True)
    counts, states = [], []
    model.model.get_input_embeddings().register_forward_hook(lambda _, ids, out: counts.append(tuple(ids[0].shape)))
    for _ in range(2):
        with torch.no_grad():
            states.append([model(prompt, patches()) for _ in range(2)])
        model(prompt, patches()).square().sum().backward()
        optimizer.step()
    (first, again), (other, _) = states
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 1e-3
    shared, own = (1, 7), (5, 6)
    assert counts == 2 * [shared, own, own, shared, own]  # twice in inference, once in training


def test_a_frozen_model_has_no_graph_and_the_weights_of_its_files(tiny_backbones, family):
    frozen = load_backbone(tiny_backbones[family], **PREFIX)
    assert not trained(frozen)
    assert not frozen(pad_prompts(ROWS, SHARED), patches().detach()).requires_grad
    read = frozen.read_prompt(pad_prompts(ROWS, SHARED))
    assert not any(x.requires_grad for part in read.parts for pair in part.kept for x in pair)


def test_tuning_starts_from_the_frozen_model(tiny_backbones, family, tune):
    """Before the first step the states are those of the frozen model, and so is the recorded identity."""
    frozen = load_backbone(tiny_backbones[family], **PREFIX)
    tuned = load_backbone(tiny_backbones[family], tune=tune, **PREFIX)
    assert tuned.identity == frozen.identity
    prompt = pad_prompts(ROWS, SHARED)
    torch.testing.assert_close(tuned(prompt, patches()), frozen(prompt, patches()), atol=1e-6, rtol=0)


def test_what_is_tuned(tiny_backbones, family):
    names = set(trained(load_backbone(tiny_backbones[family], tune="norms").model))
    layers = {
        "bert": ["attention.output.LayerNorm", "output.LayerNorm"],
        "gpt2": ["ln_1", "ln_2"],
        "llama": ["input_layernorm", "post_attention_layernorm"],
    }[family]
    stem = {"bert": "encoder.layer", "gpt2": "h", "llama": "layers"}[family]
    parts = ["weight"] if family == "llama" else ["weight", "bias"]
    expected = {f"{stem}.{i}.{layer}.{part}" for i in range(2) for layer in layers for part in parts}
    expected |= {
        "bert": {"embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias", "embeddings.position_embeddings.weight"},
        "gpt2": {"ln_f.weight", "ln_f.bias", "wpe.weight"},
        "llama": {"norm.weight"},
    }[family]
    assert names == expected


def test_adapters_are_of_queries_and_values(tiny_backbones, family):
    pytest.importorskip("peft")
    model = load_backbone(tiny_backbones[family], tune="lora").model
    layers = {"bert": ("query", "value"), "gpt2": ("c_attn",), "llama": ("q_proj", "v_proj")}[family]
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in trained(model)} == set(layers)
    assert len(trained(model)) == 2 * 2 * len(layers)  # A and B in two layers


def test_tuned_values_are_float32_beside_bfloat16(tiny_backbones, family, tune):
    """The gradients are close to those in float32, where frozen layers are fused and where they are not."""
    gradients = []
    for precision in ("float32", "bfloat16"):
        model = load(tiny_backbones[family], tune, precision=precision)
        assert {p.dtype for p in trained(model).values()} == {torch.float32}
        hidden = model(pad_prompts(ROWS, SHARED), patches())
        (hidden * torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in trained(model).values()]))
    full, half = gradients
    assert (half - full).norm() < 0.05 * full.norm()


def test_tuned_values_start_unrounded(tiny_backbones, tune):
    """In bfloat16 they are those of the files, not rounded ones."""
    folder = tiny_backbones["gpt2"]
    torch.manual_seed(0)
    full = trained(load_backbone(folder, tune=tune))
    torch.manual_seed(0)
    half = trained(load_backbone(folder, tune=tune, precision="bfloat16"))
    assert full.keys() == half.keys()
    assert all(torch.equal(full[name], half[name]) for name in full)


def test_a_prompt_read_in_advance_is_in_the_graph(tiny_backbones, family, tune):
    """As the compiled step reads it."""
    model, prompt = load(tiny_backbones[family], tune), pad_prompts(ROWS, SHARED)
    found = []
    for given in (prompt, model.read_prompt(prompt)):
        model.zero_grad()
        model(given, patches()).square().sum().backward()
        found.append(torch.cat([p.grad.flatten() for p in trained(model).values()]))
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        read = model.read_prompt(prompt)
    assert not any(x.requires_grad for part in read.parts for pair in part.kept for x in pair)


def test_a_tuned_model_can_be_pickled(tiny_backbones, tune):
    model = make_model(tiny_backbones["gpt2"], **{"backbone.tune": tune, "backbone.precision": "bfloat16"})
    again = pickle.loads(pickle.dumps(model))
    with torch.no_grad():
        assert torch.equal(again(windows(2)), model(windows(2)))


def test_float16_cannot_be_tuned(tiny_backbones, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(BackboneError, match=r"backbone.tune norms needs backbone.precision bfloat16 or float32"):
        load_language_model(str(tiny_backbones["gpt2"]), tune="norms", precision="float16")


def test_without_peft_the_error_names_the_install_command(tiny_backbones, monkeypatch):
    monkeypatch.setattr(tuning, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r'backbone.tune lora .*pip install "swt-time\[lora\]"'):
        load_language_model(str(tiny_backbones["gpt2"]), tune="lora")


@pytest.mark.parametrize("how", ["none", "norms"])
def test_peft_is_imported_for_adapters_only(tiny_backbones, how, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)  # an import of it raises
    load_language_model(str(tiny_backbones["gpt2"]), tune=how)
