"""Attention of new tokens to themselves and to cached keys and values of earlier tokens.

Shapes: ``M`` series, ``P`` queries, ``K`` keys, ``L`` hidden size, ``A`` attention heads (of the keys).
"""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from swt_time.language.shared_attention import attend_shared

KeysValues = tuple[Tensor, Tensor]
"""Keys and values of one layer, both ``(M, A, K, L/A)``."""


class Memory(Protocol):
    """Cached keys and values of the earlier parts of a sequence."""

    def earlier(self, layer: int) -> list[KeysValues]:
        """Return the keys and values of a layer for each earlier part."""


def attention_mask(visible: Tensor, queries: int, *, causal: bool, dtype: torch.dtype) -> Tensor:
    """Return the additive attention mask for the last ``queries`` of ``K`` tokens.

    Parameters
    ----------
    visible : Tensor of bool, (M, K)
        False for padding.
    queries : int
    causal : bool
        Whether a token attends only to itself and the tokens before it.
    dtype : torch.dtype

    Returns
    -------
    Tensor, (M, 1, queries, K) if causal, else (M, 1, 1, K)
        0 where a key is visible, otherwise the lowest finite value of ``dtype``: with minus infinity, a row of padding
        that sees no key would become NaN.
    """
    visible = visible[:, None, None, :]
    if causal:
        keys = visible.shape[-1]
        visible = visible & torch.ones(queries, keys, dtype=torch.bool, device=visible.device).tril(keys - queries)
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill(~visible, torch.finfo(dtype).min)


def attend(
    module: Any,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    *,
    scaling: float,
    memory: Memory,
    shared_first: bool = False,
    **_: Any,
) -> tuple[Tensor, None]:
    """Compute attention to the current part and to all earlier parts; called by Hugging Face layers.

    Parameters
    ----------
    module
        The attention layer; its ``layer_idx`` selects the cached keys and values.
    query : Tensor, (M, A, P, L/A)
    keys, values : Tensor, (M, A, P, L/A)
        Of the current part. Fewer heads than the query has in grouped-query attention.
    mask : Tensor
        As returned by `attention_mask`.
    scaling : float
    memory : Memory
        Keys and values of the earlier parts.
    shared_first : bool
        Whether to use `attend_shared` for the first part, which must have a single row that every row sees completely.

    Returns
    -------
    output : Tensor, (M, P, A, L/A)
    weights : None
        Attention weights are not returned; the layer expects a pair.
    """
    groups = query.shape[1] // keys.shape[1]
    parts = [*memory.earlier(module.layer_idx), (keys, values)]
    if groups > 1:
        parts = [(k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)) for k, v in parts]
    if query.requires_grad and query.dtype == torch.bfloat16 and query.device.type == "cpu":
        return attend_by_parts(query, parts, mask, scaling).transpose(1, 2), None
    shared = None
    if shared_first:
        shared = parts.pop(0)
        mask = mask[..., shared[0].shape[2] :]
    rows = len(query)
    keys, values = (torch.cat([x.expand(rows, -1, -1, -1) for x in side], dim=2) for side in zip(*parts, strict=True))
    if shared is None:
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scaling)
    else:
        mixed = attend_shared(query, shared, keys, values, mask, scaling)
    return mixed.transpose(1, 2), None


def attend_by_parts(query: Tensor, parts: list[tuple[Tensor, Tensor]], mask: Tensor, scaling: float) -> Tensor:
    """Compute attention from plain matrix products, without repeating a shared part for each row.

    All tensors are shaped as in `attend`. The backward pass of PyTorch's fused CPU kernel also differentiates the keys
    of the prompt, which takes most of its time; in bfloat16 the plain products take half as long. They store the
    attention weights, ``(A, M, P, K)``, for the backward pass.
    """
    rows, heads, n_queries, _ = query.shape
    query = (query * scaling).transpose(0, 1)

    def times(left: Tensor, right: Tensor) -> Tensor:
        """Multiply for each head and row; a right side with one row multiplies all rows in one product."""
        if len(right) == 1:
            return (left.reshape(heads, rows * n_queries, -1) @ right[0]).unflatten(1, (rows, n_queries))
        return left @ right.transpose(0, 1)

    scores = torch.cat([times(query, keys.mT) for keys, _ in parts], dim=-1)
    weights = torch.softmax(scores.add_(mask.transpose(0, 1)), dim=-1)
    shares = weights.split([keys.shape[2] for keys, _ in parts], dim=-1)
    mixed = sum(times(share, values) for share, (_, values) in zip(shares, parts, strict=True))
    assert isinstance(mixed, Tensor)
    return mixed.transpose(0, 1)


def register_attention() -> str:
    """Register `attend` with transformers and return its name; calls without ``memory`` use PyTorch's attention."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attend_or_sdpa(*arguments: Any, **options: Any) -> Any:
        return (attend if "memory" in options else sdpa_attention_forward)(*arguments, **options)

    AttentionInterface.register("swt_time", attend_or_sdpa)
    AttentionMaskInterface.register("swt_time", sdpa_mask)
    return "swt_time"
