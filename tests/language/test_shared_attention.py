"""Separate attention to shared keys, verified against softmax attention over all keys in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swt_time.language import shared_attention
from swt_time.language.shared_attention import attend_shared, can_share

pytestmark = pytest.mark.skipif(
    not can_share(), reason="this PyTorch has no attention kernel that returns the log-sum-exp"
)
LOWEST = torch.finfo(torch.float32).min


def draw(rows, heads, queries, common, own, width, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    tensors = [normal(rows, heads, queries, width), *(normal(rows, heads, own, width) for _ in range(2))]
    shared = [normal(1, heads, common, width) for _ in range(2)]
    hidden = torch.rand(rows, 1, queries, own, generator=generator) < 0.3
    mask = torch.zeros(rows, 1, queries, own).masked_fill(hidden, LOWEST)
    return tensors, shared, mask


def reference_attention(query, shared, keys, values, mask, scaling):
    """Reference implementation: softmax attention over repeated keys."""
    rows = len(query)
    keys, values = (torch.cat([s.expand(rows, -1, -1, -1), x], 2) for s, x in zip(shared, (keys, values), strict=True))
    mask = torch.cat([torch.zeros(*mask.shape[:-1], shared[0].shape[2]), mask], -1).double()
    return torch.softmax(query @ keys.mT * scaling + mask, -1) @ values


def results(attend, tensors, shared, mask, dtype):
    """Return the output, and the gradients of query, keys and values."""
    tensors = [x.to(dtype, copy=True).requires_grad_() for x in tensors]
    mixed = attend(tensors[0], tuple(x.to(dtype) for x in shared), *tensors[1:], mask, scaling=0.3)
    mixed.square().sum().backward()
    return [mixed.detach(), *(x.grad for x in tensors)]


@given(
    rows=st.integers(1, 4),
    heads=st.integers(1, 3),
    queries=st.integers(1, 9),
    common=st.integers(1, 40),
    own=st.integers(1, 12),
    width=st.sampled_from([1, 4, 8, 33]),
    at_once=st.sampled_from([1, 7, 256]),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_results_equal_attention_over_repeated_keys(rows, heads, queries, common, own, width, at_once, seed):
    tensors, shared, mask = draw(rows, heads, queries, common, own, width, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_attention, "QUERIES_AT_ONCE", at_once)
        ours = results(attend_shared, tensors, shared, mask, torch.float32)
    for mine, exact in zip(ours, results(reference_attention, tensors, shared, mask, torch.float64), strict=True):
        torch.testing.assert_close(mine.double(), exact, atol=1e-4, rtol=1e-4)


def test_row_with_no_visible_own_keys_attends_to_the_shared_keys():
    (query, keys, values), shared, mask = draw(2, 2, 3, 5, 4, 8)
    mask = torch.full_like(mask, LOWEST)
    query, keys, values = (x.float() for x in (query, keys, values))
    mixed = attend_shared(query, tuple(x.float() for x in shared), keys, values, mask, scaling=0.3)
    alone = torch.softmax(query @ shared[0].float().mT * 0.3, -1) @ shared[1].float()
    torch.testing.assert_close(mixed, alone)


def test_results_are_finite_for_large_scores_of_either_part():
    tensors, shared, mask = draw(2, 2, 3, 5, 4, 8)
    for factor, part in ((100.0, 0), (100.0, 1), (1e-6, 0)):
        keys = tensors[1] * (factor if part == 0 else 1)
        scaled = [tensors[0] * 10, keys, tensors[2]], [shared[0] * (factor if part else 1), shared[1]]
        ours = results(attend_shared, *scaled, torch.zeros_like(mask), torch.float32)
        exact = results(reference_attention, *scaled, torch.zeros_like(mask), torch.float64)
        assert all(torch.isfinite(x).all() for x in ours)
        torch.testing.assert_close(ours[0].double(), exact[0], atol=1e-3, rtol=1e-3)
