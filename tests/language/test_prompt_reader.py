"""Prompts read part by part give the states and gradients of the whole sequence, for all combinations of lengths."""

import pytest
import torch

from support.backbones import load_backbone
from support.models import make_model, windows
from swt_time.errors import BackboneError
from swt_time.language import LanguageModel, ReadPrompt, backbone
from swt_time.language.prompt import pad_prompts

SHARED = (5, 6, 7, 8, 9, 10, 11)
OWN = [[12, 13, 14], [15], [], [16, 17, 18, 19, 20, 21]]


def load(folder, **options) -> LanguageModel:
    return load_backbone(folder, **{"prompt_attention": "prefix", **options})


def patches(rows, count=5, seed=0):
    tokens = torch.randn(rows, count, 32, generator=torch.Generator().manual_seed(seed))
    return tokens.requires_grad_()


def prefix_by_mask(model, prompt, tokens):
    """Reference implementation of prefix attention: one explicit mask over each whole, unpadded sequence."""
    rows = []
    for ids, length, patch in zip(prompt.ids, prompt.lengths.tolist(), tokens, strict=True):
        ids = ids[:length]
        n_shared = len(prompt.shared) if tuple(ids[: len(prompt.shared)].tolist()) == prompt.shared else 0
        level = [0] * n_shared + [1] * (length - n_shared) + [2] * len(patch)
        seen = torch.tensor([[key <= query for key in level] for query in level])
        mask = torch.where(seen, 0.0, -torch.inf)[None, None]
        sequence = torch.cat([model.model.get_input_embeddings()(ids), patch])[None]
        hidden = model.model(inputs_embeds=sequence, attention_mask=mask).last_hidden_state
        rows.append(hidden[0, length:])
    return torch.stack(rows)


def reference_states(model, prompt, tokens):
    """The hidden states of whole sequences: by an explicit mask for an encoder, by `read_whole` otherwise."""
    return (
        prefix_by_mask(model, prompt, tokens) if model.identity.family == "bert" else model.read_whole(prompt, tokens)
    )


def assert_equals_reference(model, prompt):
    """Compare hidden states, and the gradients of the patches, with the reference."""
    ours, theirs = patches(len(prompt.ids)), patches(len(prompt.ids))
    got, expected = model(prompt, ours), reference_states(model, prompt, theirs)
    assert (got - expected).abs().max() < 1e-5
    probe = torch.randn(got.shape, generator=torch.Generator().manual_seed(1))
    (got * probe).sum().backward()
    (expected * probe).sum().backward()
    assert theirs.grad.abs().max() > 1e-3
    assert (ours.grad - theirs.grad).abs().max() < 1e-4 * theirs.grad.abs().max()


@pytest.mark.parametrize("shared", [SHARED, SHARED[:1], (), (99, 98)], ids=["all", "first token", "nothing", "wrong"])
def test_parts_equal_the_whole_sequence(tiny_backbones, family, shared):
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], shared)
    assert_equals_reference(load(tiny_backbones[family]), prompt)


def test_rows_that_do_not_start_with_the_shared_part_equal_the_reference(tiny_backbones, family):
    rows = [[*SHARED, *own] for own in OWN] + [[5, 6, 30, 31], [7], list(SHARED[:4])]
    assert_equals_reference(load(tiny_backbones[family]), pad_prompts(rows, SHARED))


def test_longest_prompts_use_all_positions(tiny_backbones, family):
    model = load(tiny_backbones[family])
    rows = [[*SHARED, *range(20, 20 + 1024 - 5 - len(SHARED) - 900), *[3] * 900], [4] * (1024 - 5), [*SHARED, 3]]
    assert max(map(len, rows)) + 5 == model.max_positions
    assert_equals_reference(model, pad_prompts(rows, SHARED))


def test_padding_does_not_affect_the_result(tiny_backbones, family):
    model = load(tiny_backbones[family])
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    tokens = patches(len(OWN))
    other = prompt.ids.clone()
    other[torch.arange(prompt.ids.shape[1]) >= prompt.lengths[:, None]] = 50
    together = model(prompt, tokens)
    assert torch.equal(together, model(prompt._replace(ids=other), tokens))
    for i, own in enumerate(OWN):
        alone = model(pad_prompts([[*SHARED, *own]], SHARED), tokens[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("attention", ["prefix", "full"])
@pytest.mark.parametrize("at_once", [1, 30])
def test_slices_of_a_batch_equal_the_whole_batch(tiny_backbones, family, attention, at_once, monkeypatch):
    model = load(tiny_backbones[family], prompt_attention=attention)
    rows = [[*SHARED, *own] for own in OWN] + [[5, 6, 30, 31], [7], [*SHARED, *range(20, 40)], [*SHARED, 9]]
    calls = []
    model.model.register_forward_pre_hook(lambda *_: calls.append(None))
    for prompt in (pad_prompts(rows, SHARED), None):
        results = []
        for limit in (10**9, at_once):
            calls.clear()
            monkeypatch.setattr(backbone, "TOKENS_AT_ONCE", limit)
            tokens = patches(len(rows))
            hidden = model(prompt, tokens)
            hidden.square().sum().backward()
            results.append((hidden.detach(), tokens.grad, len(calls)))
        (whole, whole_gradient, few), (sliced, gradient, more) = results
        assert more > few, "the limit must have split the batch"
        torch.testing.assert_close(sliced, whole, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(gradient, whole_gradient, atol=1e-4, rtol=1e-4)


def test_full_attention_counts_whole_prompts_when_it_splits_a_batch(tiny_backbones, monkeypatch):
    model = load(tiny_backbones["bert"], prompt_attention="full")
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    tokens = patches(len(OWN))
    monkeypatch.setattr(backbone, "TOKENS_AT_ONCE", prompt.ids.shape[1] + tokens.shape[1])
    read_at_once = []
    model.model.register_forward_pre_hook(
        lambda _, words, named: read_at_once.append(len(named["inputs_embeds"])), with_kwargs=True
    )
    model(prompt, tokens)
    assert read_at_once == [1] * len(OWN)


def test_full_and_prefix_attention_of_an_encoder_differ(tiny_backbones):
    """Control: the tests above can detect the difference between the paper's attention and prefix attention."""
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    tokens = patches(len(OWN))
    prefix, full = (load(tiny_backbones["bert"], prompt_attention=kind) for kind in ("prefix", "full"))
    assert (prefix(prompt, tokens) - full(prompt, tokens)).abs().max() > 1e-2
    assert torch.equal(full(prompt, tokens), full.read_whole(prompt, tokens))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_full_and_prefix_attention_of_a_causal_model_are_equal(tiny_backbones, family):
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    tokens = patches(len(OWN))
    prefix, full = (load(tiny_backbones[family], prompt_attention=kind) for kind in ("prefix", "full"))
    assert torch.equal(prefix(prompt, tokens), full(prompt, tokens))


def embedded_tokens(model):
    """Return a list that receives the shape of each batch of prompt tokens that the model embeds."""
    counts = []
    model.model.get_input_embeddings().register_forward_hook(lambda _, inputs, out: counts.append(inputs[0].shape))
    return counts


def test_shared_part_is_read_once_until_weights_or_ids_change(tiny_backbones, family):
    model = load(tiny_backbones[family])
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    counts = embedded_tokens(model)
    for seed in range(3):
        model(prompt, patches(len(OWN), seed=seed))
    assert counts == [(1, 7), (4, 6), (4, 6), (4, 6)]

    counts.clear()
    with torch.no_grad():
        next(model.model.parameters()).mul_(1.1)
    assert_equals_reference(model, prompt)
    assert (1, 7) in counts
    counts.clear()
    model.model.load_state_dict({name: 0.9 * w for name, w in model.model.state_dict().items()})
    assert_equals_reference(model, prompt)
    assert (1, 7) in counts
    counts.clear()
    assert model.double()(prompt, patches(len(OWN)).double()).dtype == torch.float64
    assert (1, 7) in counts
    counts.clear()
    model.float()(pad_prompts([[*SHARED[:3], 50], [*SHARED[:3], 51, 52]], SHARED[:3]), patches(2))
    assert (1, 3) in counts


def test_shared_part_read_in_inference_mode_can_be_used_in_training(tiny_backbones, family):
    model = load(tiny_backbones[family])
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    with torch.inference_mode():
        model(pad_prompts([[*SHARED, 1]], SHARED), patches(1))
    assert_equals_reference(model, prompt)


def test_only_patches_are_in_the_graph(tiny_backbones, family):
    """The backward pass of a linear layer sees the patches and no prompt tokens."""
    model = load(tiny_backbones[family])
    seen = []
    last = [m for m in model.model.modules() if hasattr(m, "weight") and m.weight.dim() == 2][-1]
    last.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append(grad_out[0].shape[1]))
    tokens = patches(4)
    model(pad_prompts([[*SHARED, *own] for own in OWN], SHARED), tokens).sum().backward()
    assert seen == [5]


def test_gradients_in_bfloat16_are_close_to_those_in_float32(tiny_backbones, family):
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    gradients = []
    for precision in ("float32", "bfloat16"):
        tokens = patches(len(OWN))
        hidden = load(tiny_backbones[family], precision=precision)(prompt, tokens)
        (hidden * torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
        gradients.append(tokens.grad)
    full, half = gradients
    assert (half - full).norm() < 0.05 * full.norm()


@pytest.mark.parametrize("shared", [SHARED, ()], ids=["shared part", "no shared part"])
def test_prompt_read_in_advance_gives_the_same_states_and_gradients(tiny_backbones, family, shared):
    model = load(tiny_backbones[family])
    prompt = pad_prompts([[*SHARED, *own] for own in OWN] + [[5, 30]], shared)
    read = model.read_prompt(prompt)
    assert isinstance(read, ReadPrompt)
    probe = torch.randn(len(prompt.ids), 5, 32, generator=torch.Generator().manual_seed(1))
    for seed in range(2):  # the same read prompt is valid for other patches
        results = []
        for given in (prompt, read):
            tokens = patches(len(prompt.ids), seed=seed)
            hidden = model(given, tokens)
            (hidden * probe).sum().backward()
            results.append((hidden.detach(), tokens.grad))
        (hidden, gradient), (hidden_read, gradient_read) = results
        assert gradient.abs().max() > 1e-3
        torch.testing.assert_close(hidden_read, hidden, atol=1e-6, rtol=0)
        torch.testing.assert_close(gradient_read, gradient, atol=1e-6, rtol=0)


def test_forward_embeds_no_token_of_a_prompt_read_in_advance(tiny_backbones, family):
    model = load(tiny_backbones[family])
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    counts = embedded_tokens(model)
    read = model.read_prompt(prompt)
    assert counts == [(1, 7), (4, 6)]
    model(read, patches(len(OWN)))
    assert counts == [(1, 7), (4, 6)]


def test_encoder_with_full_attention_cannot_read_a_prompt_in_advance(tiny_backbones):
    model = load(tiny_backbones["bert"], prompt_attention="full")
    assert not model.reads_prompts_first
    with pytest.raises(BackboneError, match=r"set backbone.prompt_attention to prefix"):
        model.read_prompt(pad_prompts([[*SHARED, 1]], SHARED))


@pytest.mark.parametrize("attention", ["prefix", "full"])
def test_causal_model_reads_a_prompt_in_advance_with_either_attention(tiny_backbones, attention):
    model = load(tiny_backbones["gpt2"], prompt_attention=attention)
    assert model.reads_prompts_first
    assert isinstance(model.read_prompt(pad_prompts([[*SHARED, 1]], SHARED)), ReadPrompt)


def test_forecast_with_a_prompt_read_in_advance_is_the_same(tiny_backbones, family):
    model = make_model(tiny_backbones[family], **{"backbone.prompt_attention": "prefix"})
    context = windows(3, channels=2)
    read = model.language_model.read_prompt(model.write_prompt(context))
    with torch.no_grad():
        forecast = model(context)
        torch.testing.assert_close(model(context, read), forecast, atol=1e-6, rtol=1e-6)
        # Control: the prompts of other windows change the forecast.
        other = model.language_model.read_prompt(model.write_prompt(context.flip(0)))
        assert ((model(context, other) - forecast).abs() > 1e-4 * context.std(dim=1, keepdim=True)).any()
