"""Attention to cached parts, verified against softmax attention over all keys."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from swt_time.language.attention import Masks, attend, attend_by_parts, attention_mask
from swt_time.language.prompt_reader import KeyValues


def test_mask_values():
    visible = torch.tensor([[True, True, False, True, True]])
    low = torch.finfo(torch.float32).min
    causal = attention_mask(visible, 2, causal=True, dtype=torch.float32)
    assert causal.tolist() == [[[[0, 0, low, 0, low], [0, 0, low, 0, 0]]]]
    bidirectional = attention_mask(visible, 2, causal=False, dtype=torch.float32)
    assert bidirectional.tolist() == [[[[0, 0, low, 0, 0]]]]


def repeat_parts(parts, rows=3, groups=1):
    """Keys and values of all parts, repeated for each row and each query head, and concatenated."""
    return [
        torch.cat([x.expand(rows, -1, -1, -1).repeat_interleave(groups, dim=1) for x in side], dim=2)
        for side in zip(*parts, strict=True)
    ]


def attention_case(groups):
    """Queries of 3 rows, and three parts: shared by all rows (one row), each row's own, and that of the queries."""
    draw = torch.Generator().manual_seed(0)
    shapes = [(3, 4, 5, 8), *2 * [(1, 4 // groups, 6, 8)], *2 * [(3, 4 // groups, 2, 8)], *2 * [(3, 4 // groups, 5, 8)]]
    query, *rest = (torch.randn(shape, generator=draw).requires_grad_() for shape in shapes)
    parts = list(zip(rest[::2], rest[1::2], strict=True))
    visible = torch.ones(3, 13, dtype=torch.bool)
    visible[1, 7] = visible[2, :6] = False
    return query, parts, attention_mask(visible, 5, causal=True, dtype=torch.float32)


def cache(parts, dtype=torch.float32):
    """The first two parts as a `KeyValues` each."""
    shared, own = (KeyValues(position=torch.arange(n)[None], keep_layers=2) for n in (6, 2))
    shared.add(*(x.to(dtype) for x in parts[0]))
    own.add(*(x.to(dtype) for x in parts[1]))
    return shared, own


def patches_after(*earlier, mask):
    """The memory and the masks of the queries after earlier parts."""
    memory = KeyValues(*earlier, position=torch.arange(8, 13)[None])
    return {"memory": memory, "masks": Masks(mask, 5, memory)}


def test_attention_by_parts_equals_pytorch():
    results = []
    for by_parts in (True, False):
        query, parts, mask = attention_case(groups=1)
        if by_parts:
            mixed = attend_by_parts(query, parts, mask, 0.3)
        else:
            mixed = scaled_dot_product_attention(query, *repeat_parts(parts), attn_mask=mask, scale=0.3)
        mixed.square().sum().backward()
        results.append([mixed, query.grad, parts[-1][0].grad, parts[-1][1].grad])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_to_cached_parts_equals_softmax_attention(groups, dtype):
    query, parts, mask = attention_case(groups)
    options = patches_after(*cache(parts, dtype), mask=mask.to(dtype))
    assert options["memory"].get_seq_length() == 8
    tensors = [x.to(dtype) for x in (query, *parts[2], mask)]
    got, _ = attend(None, *tensors, scaling=0.3, **options, is_causal=True)
    keys, values = repeat_parts(parts, groups=groups)
    expected = torch.softmax(query @ keys.mT * 0.3 + mask, dim=-1) @ values
    tolerance = 1e-5 if dtype == torch.float32 else 3e-2
    torch.testing.assert_close(got.float(), expected.transpose(1, 2), atol=tolerance, rtol=tolerance)


def test_first_part_is_shared_if_it_has_one_row_that_all_rows_see():
    _, parts, _ = attention_case(groups=1)
    shared, own = cache(parts)
    visible = torch.ones(3, 13, dtype=torch.bool)
    last = torch.arange(8, 13)[None]
    assert KeyValues(shared, own, position=last).shares_first_part(visible)
    assert not KeyValues(own, position=last).shares_first_part(visible[:, 6:])
    assert not KeyValues(position=last).shares_first_part(visible)
    visible[2, :6] = False
    assert not KeyValues(shared, own, position=last).shares_first_part(visible)


@pytest.mark.parametrize("groups", [1, 2])
def test_separate_attention_to_the_shared_part_gives_the_same_result(groups):
    query, parts, mask = attention_case(groups)
    mask = mask.clone()
    mask[..., :6] = 0
    shared, own = cache([[x.detach() for x in part] for part in parts])
    results = []
    for separate in (True, False):
        tensors = [query, *parts[2]]
        for tensor in tensors:
            tensor.grad = None
        options = patches_after(shared, own, mask=mask)
        mixed, _ = attend(None, *tensors, mask, scaling=0.3, shared_first=separate, **options)
        mixed.square().sum().backward()
        results.append([mixed.detach(), *(tensor.grad for tensor in tensors)])
    for apart, together in zip(*results, strict=True):
        torch.testing.assert_close(apart, together, atol=1e-5, rtol=1e-5)
