"""Attention to the patches and to keys and values that were computed before them.

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
    """Keys and values of the parts of a sequence that were read before, layer by layer."""

    def earlier(self, layer: int) -> list[KeysValues]:
        """Keys and values of a layer, of each part before this one."""


def attention_mask(visible: Tensor, queries: int, *, causal: bool, dtype: torch.dtype) -> Tensor:
    """What is added to the scores of the last ``queries`` of ``K`` tokens.

    Parameters
    ----------
    visible : Tensor of bool, (M, K)
        False for padding.
    causal : bool
        Whether a token sees only itself and those before it.

    Returns
    -------
    Tensor, (M, 1, queries, K) if causal, else (M, 1, 1, K)
        0, or the lowest number: not minus infinity, since the rows of padding may see nothing at all.
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
    begins_alike: bool = False,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention to this part and those before it, as a Hugging Face layer calls it.

    Parameters
    ----------
    query : Tensor, (M, A, P, L/A)
    keys, values : Tensor, (M, A, P, L/A)
        Fewer heads where queries share them in groups.
    mask : Tensor
        As `attention_mask` makes it.
    scaling : float
    memory : Memory
        Of the part that is being read.
    begins_alike : bool
        Whether the first part is to be attended to apart: a single row that every row sees whole.

    Returns
    -------
    Tensor, (M, P, A, L/A)
    """
    groups = query.shape[1] // keys.shape[1]
    parts = [*memory.earlier(module.layer_idx), (keys, values)]
    if groups > 1:
        parts = [(k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)) for k, v in parts]
    if query.requires_grad and query.dtype == torch.bfloat16 and query.device.type == "cpu":
        return attend_by_parts(query, parts, mask, scaling).transpose(1, 2), None
    shared = None
    if begins_alike:
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
    """Attention written out, without repeating a shared part for each row; all tensors as in `attend`.

    PyTorch's kernel for processors spends most of its time in a backward pass that also differentiates the prompt's
    keys; written out, in bfloat16, attention takes half as long. It keeps its weights, ``(A, M, P, K)``.
    """
    rows, heads, n_queries, _ = query.shape
    query = (query * scaling).transpose(0, 1)

    def times(left: Tensor, right: Tensor) -> Tensor:
        """Products over heads and rows; all rows at once with a right side of one row."""
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
    """Register `attend` with transformers and return its name; a call without a memory is PyTorch's attention."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attend_or_sdpa(*arguments: Any, **options: Any) -> Any:
        return (attend if "memory" in options else sdpa_attention_forward)(*arguments, **options)

    AttentionInterface.register("swt_time", attend_or_sdpa)
    AttentionMaskInterface.register("swt_time", sdpa_mask)
    return "swt_time"
