"""Attention to keys shared by all rows and to each row's own keys, without repeating the shared keys.

Softmax attention over two sets of keys is a mean of the attention over each set, weighted by their sums of exponentials
``e^l``: ``o = (e^l1 o1 + e^l2 o2) / (e^l1 + e^l2)``. So the queries of all rows are concatenated for the shared keys,
which makes large, efficient matrix products, and only the own keys are processed row by row. The backward pass needs
only ``o`` and the combined ``l``, because the attention weights of each set are ``exp(scores - l)`` (Dao et al., arXiv
2205.14135). The shared keys get no gradient: those of a model that
learns are read without this function (`swt_time.language.prompt_reader.PromptReader.learns`).

Shapes: ``M`` rows, ``A`` heads, ``P`` queries per row, ``C`` shared keys, ``K`` own keys, ``E`` width of a head.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from swt_time.language.private_kernels import agrees, default_settings, ramp
from swt_time.remembered import Remembered

QUERIES_AT_ONCE = 256
"""Number of queries per head whose scores the backward pass computes at once, so that they fit into the CPU's cache."""


def can_share() -> bool:
    """Return whether this PyTorch has, as expected, the CPU kernel that also returns ``l``, and its backward pass."""
    return _can_share.get((), _try)


_can_share: Remembered[bool] = Remembered()


@default_settings()
def _try() -> bool:
    queries, keys, values = (ramp(2, 2, 3, 8).add(shift).requires_grad_() for shift in (0.0, 0.5, 1.0))
    shared = ramp(1, 2, 5, 8).add(0.25), ramp(1, 2, 5, 8).sub(0.25)
    mask = torch.zeros(2, 1, 3, 3, device="cpu")

    def gradients(mixed: Tensor) -> list[Tensor]:
        return [mixed.detach(), *torch.autograd.grad(mixed.square().sum(), (queries, keys, values))]

    def kernel() -> list[Tensor]:
        return gradients(attend_shared(queries, shared, keys, values, mask, scaling=0.5))

    def public() -> list[Tensor]:
        all_keys, all_values = (
            torch.cat([first.expand(2, -1, -1, -1), own], dim=2)
            for first, own in zip(shared, (keys, values), strict=True)
        )
        return gradients(F.scaled_dot_product_attention(queries, all_keys, all_values, scale=0.5))

    return agrees(kernel, public, 1e-4)


def attend_shared(
    query: Tensor,
    shared: tuple[Tensor, Tensor],
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    *,
    scaling: float,
) -> Tensor:
    """Compute softmax attention of each row to the shared keys and its own keys, on a CPU in float32.

    Parameters
    ----------
    query : Tensor, (M, A, P, E)
    shared : pair of Tensor, (1, A, C, E)
        Keys and values that are visible to every query; they get no gradient.
    keys, values : Tensor, (M, A, K, E)
    mask : Tensor, broadcastable to (M, 1, P, K)
        Added to the scores of a row's own keys.
    scaling : float

    Returns
    -------
    Tensor, (M, A, P, E)
    """
    mask = mask.expand(len(query), -1, query.shape[2], -1)
    attended: Tensor = _AttendShared.apply(  # type: ignore[no-untyped-call]  # Function.apply has no annotations
        query, *shared, keys, values, mask, scaling
    )
    return attended


class _AttendShared(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917  Function.apply takes no keywords
        ctx: Any,
        query: Tensor,
        shared_keys: Tensor,
        shared_values: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor,
        scaling: float,
    ) -> Tensor:
        attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        rows = len(query)
        to_shared, shared_log = attend(_join_rows(query), shared_keys, shared_values, scale=scaling)
        to_own, own_log = attend(query, keys, values, attn_mask=mask, scale=scaling)
        to_shared, shared_log = _split_rows(to_shared, rows), _split_rows(shared_log.unsqueeze(-1), rows)
        log = torch.logaddexp(shared_log, own_log.unsqueeze(-1))
        mixed = torch.lerp(to_own, to_shared, torch.exp(shared_log - log))
        ctx.save_for_backward(query, shared_keys, shared_values, keys, values, mask, mixed, log)
        ctx.scaling = scaling
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, shared_keys, shared_values, keys, values, mask, mixed, log = ctx.saved_tensors
        backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        to_query, to_keys, to_values = backward(
            gradient, query, keys, values, mixed, log.squeeze(-1), 0.0, False, attn_mask=mask, scale=ctx.scaling
        )
        # d scores = weights * (gradient . values - gradient . mixed), for QUERIES_AT_ONCE queries at a time.
        kept = (gradient * mixed).sum(-1, keepdim=True)
        queries, gradients, logs, means = (_join_rows(x)[0] for x in (query, gradient, log, kept))
        from_shared = torch.empty_like(queries)
        for begin in range(0, queries.shape[1], QUERIES_AT_ONCE):
            some = slice(begin, begin + QUERIES_AT_ONCE)
            weights = torch.baddbmm(logs[:, some], queries[:, some], shared_keys[0].mT, beta=-1, alpha=ctx.scaling)
            slope = torch.baddbmm(means[:, some], gradients[:, some], shared_values[0].mT, beta=-1)
            torch.bmm(slope.mul_(weights.exp_()), shared_keys[0], out=from_shared[:, some])
        to_query = torch.add(to_query, _split_rows(from_shared[None], len(query)), alpha=ctx.scaling)
        return to_query, None, None, to_keys, to_values, None, None


def _join_rows(x: Tensor) -> Tensor:
    """Concatenate the queries of all rows: ``(M, A, P, E)`` to ``(1, A, M * P, E)``."""
    return x.transpose(0, 1).flatten(1, 2)[None]


def _split_rows(x: Tensor, rows: int) -> Tensor:
    """Invert `_join_rows`: ``(1, A, M * P, E)`` to ``(M, A, P, E)``."""
    split: Tensor = x[0].unflatten(1, (rows, -1)).transpose(0, 1)
    return split
