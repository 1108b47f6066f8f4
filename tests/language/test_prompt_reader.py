"""Prompts read part by part: equal to the whole sequence, forward and backward, whatever the lengths."""

import warnings
from types import SimpleNamespace

import pytest
import torch

from swt_time.config import Config
from swt_time.language import backbone
from swt_time.language.attention import attend, attend_by_parts, attention_mask
from swt_time.language.backbone import LanguageModel
from swt_time.language.loading import load_language_model
from swt_time.language.prompt import pad_prompts
from swt_time.language.prompt_reader import KeyValues
from swt_time.model import build_model

SHARED = (5, 6, 7, 8, 9, 10, 11)
OWN = [[12, 13, 14], [15], [], [16, 17, 18, 19, 20, 21]]


def read(folder, **options) -> LanguageModel:
    return load_language_model(str(folder), **{"precision": "float32", "prompt_attention": "prefix", **options})


def patches(rows, count=5, seed=0):
    tokens = torch.randn(rows, count, 32, generator=torch.Generator().manual_seed(seed))
    return tokens.requires_grad_()


def prefix_by_mask(model, prompt, tokens):
    """The three levels written as one 4-D mask over each whole, unpadded sequence: the slow twin."""
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


def oracle(model, prompt, tokens):
    return (
        prefix_by_mask(model, prompt, tokens) if model.identity.family == "bert" else model.read_whole(prompt, tokens)
    )


def assert_equal_with_gradients(model, prompt):
    ours, theirs = patches(len(prompt.ids)), patches(len(prompt.ids))
    got, expected = model(prompt, ours), oracle(model, prompt, theirs)
    assert (got - expected).abs().max() < 1e-5
    probe = torch.randn(got.shape, generator=torch.Generator().manual_seed(1))
    (got * probe).sum().backward()
    (expected * probe).sum().backward()
    assert theirs.grad.abs().max() > 1e-3
    assert (ours.grad - theirs.grad).abs().max() < 1e-4 * theirs.grad.abs().max()


@pytest.mark.parametrize("shared", [SHARED, SHARED[:1], (), (99, 98)], ids=["all", "first token", "nothing", "wrong"])
def test_parts_equal_the_whole(tiny_backbones, family, shared):
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], shared)
    assert_equal_with_gradients(read(tiny_backbones[family]), prompt)


def test_a_row_that_begins_otherwise_is_read_on_its_own(tiny_backbones, family):
    rows = [[*SHARED, *own] for own in OWN] + [[5, 6, 30, 31], [7], list(SHARED[:4])]
    assert_equal_with_gradients(read(tiny_backbones[family]), pad_prompts(rows, SHARED))


def test_the_longest_prompt_reaches_the_last_position(tiny_backbones, family):
    model = read(tiny_backbones[family])
    rows = [[*SHARED, *range(20, 20 + 1024 - 5 - len(SHARED) - 900), *[3] * 900], [4] * (1024 - 5), [*SHARED, 3]]
    assert max(map(len, rows)) + 5 == model.max_positions
    assert_equal_with_gradients(model, pad_prompts(rows, SHARED))


def test_padding_never_matters(tiny_backbones, family):
    model = read(tiny_backbones[family])
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
def test_slices_of_a_batch_equal_the_whole(tiny_backbones, family, attention, at_once, monkeypatch):
    model = read(tiny_backbones[family], prompt_attention=attention)
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
        assert more > few, "the limit must have been felt"
        torch.testing.assert_close(sliced, whole, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(gradient, whole_gradient, atol=1e-4, rtol=1e-4)


def test_with_full_attention_a_slice_counts_the_whole_prompt(tiny_backbones, monkeypatch):
    model = read(tiny_backbones["bert"], prompt_attention="full")
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    tokens = patches(len(OWN))
    monkeypatch.setattr(backbone, "TOKENS_AT_ONCE", prompt.ids.shape[1] + tokens.shape[1])
    read_at_once = []
    model.model.register_forward_pre_hook(
        lambda _, words, named: read_at_once.append(len(named["inputs_embeds"])), with_kwargs=True
    )
    model(prompt, tokens)
    assert read_at_once == [1] * len(OWN)


def test_full_attention_of_an_encoder_is_another_model(tiny_backbones):
    """The control: the three levels are not what the paper does, and the tests above would see the difference."""
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    tokens = patches(len(OWN))
    prefix, full = (read(tiny_backbones["bert"], prompt_attention=kind) for kind in ("prefix", "full"))
    assert (prefix(prompt, tokens) - full(prompt, tokens)).abs().max() > 1e-2
    assert torch.equal(full(prompt, tokens), full.read_whole(prompt, tokens))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_both_words_mean_the_same_to_a_causal_model(tiny_backbones, family):
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    tokens = patches(len(OWN))
    prefix, full = (read(tiny_backbones[family], prompt_attention=kind) for kind in ("prefix", "full"))
    assert torch.equal(prefix(prompt, tokens), full(prompt, tokens))


def embedded_tokens(model):
    """Counts the prompt tokens that the model embeds."""
    counts = []
    model.model.get_input_embeddings().register_forward_hook(lambda _, inputs, out: counts.append(inputs[0].shape))
    return counts


def test_the_shared_part_is_read_once_and_again_when_anything_changes(tiny_backbones, family):
    model = read(tiny_backbones[family])
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    counts = embedded_tokens(model)
    for seed in range(3):
        model(prompt, patches(len(OWN), seed=seed))
    assert counts == [(1, 7), (4, 6), (4, 6), (4, 6)]

    counts.clear()
    with torch.no_grad():
        next(model.model.parameters()).mul_(1.1)
    assert_equal_with_gradients(model, prompt)
    assert (1, 7) in counts
    counts.clear()
    model.model.load_state_dict({name: 0.9 * w for name, w in model.model.state_dict().items()})
    assert_equal_with_gradients(model, prompt)
    assert (1, 7) in counts
    counts.clear()
    assert model.double()(prompt, patches(len(OWN)).double()).dtype == torch.float64
    assert (1, 7) in counts
    counts.clear()
    model.float()(pad_prompts([[*SHARED[:3], 50], [*SHARED[:3], 51, 52]], SHARED[:3]), patches(2))
    assert (1, 3) in counts


def test_a_prefix_read_in_inference_mode_serves_training(tiny_backbones, family):
    model = read(tiny_backbones[family])
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    with torch.inference_mode():
        model(pad_prompts([[*SHARED, 1]], SHARED), patches(1))
    assert_equal_with_gradients(model, prompt)


def test_prompts_hold_no_graph_and_patches_do(tiny_backbones, family):
    """Only the patches' own tokens reach the backward pass of a linear layer."""
    model = read(tiny_backbones[family])
    seen = []
    last = [m for m in model.model.modules() if hasattr(m, "weight") and m.weight.dim() == 2][-1]
    last.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append(grad_out[0].shape[1]))
    tokens = patches(4)
    model(pad_prompts([[*SHARED, *own] for own in OWN], SHARED), tokens).sum().backward()
    assert seen == [5]


def test_mask_of_a_small_case():
    visible = torch.tensor([[True, True, False, True, True]])
    causal = attention_mask(visible, 2, causal=True, dtype=torch.float32)
    low = torch.finfo(torch.float32).min
    assert causal.tolist() == [[[[0, 0, low, 0, low], [0, 0, low, 0, 0]]]]
    both_ways = attention_mask(visible, 2, causal=False, dtype=torch.float32)
    assert both_ways.tolist() == [[[[0, 0, low, 0, 0]]]]


def sides(parts, rows=3):
    """Keys of all parts and values of all parts, repeated for each row."""
    return ([x.expand(rows, -1, -1, -1) for x in side] for side in zip(*parts, strict=True))


def attention_case(groups):
    """Queries of 3 rows, a shared part of one row, an own part and the queries' own keys and values."""
    draw = torch.Generator().manual_seed(0)
    shapes = [(3, 4, 5, 8), *2 * [(1, 4 // groups, 6, 8)], *2 * [(3, 4 // groups, 2, 8)], *2 * [(3, 4 // groups, 5, 8)]]
    query, *rest = (torch.randn(shape, generator=draw).requires_grad_() for shape in shapes)
    parts = list(zip(rest[::2], rest[1::2], strict=True))
    visible = torch.ones(3, 13, dtype=torch.bool)
    visible[1, 7] = visible[2, :6] = False
    return query, parts, attention_mask(visible, 5, causal=True, dtype=torch.float32)


def test_attention_by_parts_equals_pytorchs():
    results = []
    for by_parts in (True, False):
        query, parts, mask = attention_case(groups=1)
        if by_parts:
            mixed = attend_by_parts(query, parts, mask, 0.3)
        else:
            keys, values = (
                torch.cat([x.expand(3, -1, -1, -1) for x in side], dim=2) for side in zip(*parts, strict=True)
            )
            mixed = torch.nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=0.3)
        mixed.square().sum().backward()
        results.append([mixed, query.grad, parts[-1][0].grad, parts[-1][1].grad])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_with_a_memory_reads_parts_in_their_order(groups, dtype):
    query, parts, mask = attention_case(groups)
    shared, own = KeyValues(keep_layers=2), KeyValues(keep_layers=2)
    for part, tensors in ((shared, parts[0]), (own, parts[1])):
        part.update(*(x.to(dtype) for x in tensors), 0)
    memory = KeyValues(shared, own)
    assert memory.get_seq_length() == 8
    new = memory.update(*(x.to(dtype) for x in parts[2]), 0)
    layer = SimpleNamespace(layer_idx=0)
    got, _ = attend(layer, query.to(dtype), *new, mask.to(dtype), scaling=0.3, memory=memory, is_causal=True)
    repeated = [
        [x.expand(3, -1, -1, -1).repeat_interleave(groups, dim=1) for x in side] for side in zip(*parts, strict=True)
    ]
    scores = query @ torch.cat(repeated[0], dim=2).mT * 0.3 + mask
    expected = torch.softmax(scores, dim=-1) @ torch.cat(repeated[1], dim=2)
    tolerance = 1e-5 if dtype == torch.float32 else 3e-2
    torch.testing.assert_close(got.float(), expected.transpose(1, 2), atol=tolerance, rtol=tolerance)


def test_a_first_part_is_shared_where_it_is_one_row_that_all_see():
    _, parts, _ = attention_case(groups=1)
    shared, own = KeyValues(keep_layers=2), KeyValues(keep_layers=2)
    shared.update(*parts[0], 0)
    own.update(*parts[1], 0)
    visible = torch.ones(3, 13, dtype=torch.bool)
    assert KeyValues(shared, own).begins_with_all_of(visible)
    assert not KeyValues(own).begins_with_all_of(visible)
    assert not KeyValues().begins_with_all_of(visible)
    visible[2, :6] = False
    assert not KeyValues(shared, own).begins_with_all_of(visible)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_shared_first_part_is_attended_to_apart_with_the_same_result(groups):
    query, parts, mask = attention_case(groups)
    mask = mask.clone()
    mask[..., :6] = 0
    shared, own = KeyValues(keep_layers=2), KeyValues(keep_layers=2)
    shared.update(*(x.detach() for x in parts[0]), 0)
    own.update(*(x.detach() for x in parts[1]), 0)
    results = []
    for alike in (True, False):
        tensors = [query, *parts[2]]
        for tensor in tensors:
            tensor.grad = None
        layer = SimpleNamespace(layer_idx=0)
        mixed, _ = attend(
            layer, *tensors, mask, scaling=0.3, memory=KeyValues(shared, own), begins_alike=alike, is_causal=True
        )
        mixed.square().sum().backward()
        results.append([mixed.detach(), *(tensor.grad for tensor in tensors)])
    for apart, together in zip(*results, strict=True):
        torch.testing.assert_close(apart, together, atol=1e-5, rtol=1e-5)


def test_gradients_in_bfloat16_point_where_those_in_float32_do(tiny_backbones, family):
    prompt = pad_prompts([[*SHARED, *own] for own in OWN], SHARED)
    gradients = []
    for precision in ("float32", "bfloat16"):
        tokens = patches(len(OWN))
        hidden = read(tiny_backbones[family], precision=precision)(prompt, tokens)
        (hidden * torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
        gradients.append(tokens.grad)
    full, half = gradients
    assert (half - full).norm() < 0.05 * full.norm()


@pytest.mark.parametrize("template", ["paper", "compact"])
def test_prompts_begin_with_the_shared_tokens(tiny_backbones, family, template):
    """Of every window, even where the description had to give way."""
    walks = torch.randn(40, 96, generator=torch.Generator().manual_seed(0)).cumsum(dim=1)
    z = (walks - walks.mean(dim=1, keepdim=True)) / walks.std(dim=1, keepdim=True)
    for words in (3, 400):
        config = Config.parse(
            {
                "data": {"context": 96, "horizon": 24, "description": "load " * words},
                "prompt": {"template": template},
                "backbone": {"name": str(tiny_backbones[family]), "precision": "float32"},
                "model": {"d_ff": 16},
            }
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            prompter = build_model(config).branch.prompter
            rows = prompter(z)
        assert all(tuple(row[: len(prompter.shared)]) == prompter.shared for row in rows)
        assert len(prompter.shared) > 20
        lengths = {len(row) for row in rows}
        assert len(lengths) > 1
        assert max(lengths) <= 1024 - config.n_patches
        if words == 400:
            assert len(prompter.shared) > 600
