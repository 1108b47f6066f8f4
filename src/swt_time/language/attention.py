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
    """Cached keys and values of the parts of a sequence."""

    def add(self, keys: Tensor, values: Tensor) -> list[KeysValues]:
        """Add the keys and values of the next layer for the last part; return those of all parts."""

    def positions(self) -> Tensor:
        """Return the positions ``(M, K)`` of all keys, those of the queries last."""


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


class Masks:
    """Additive masks of one pass by sliding window, each computed once.

    Parameters
    ----------
    everywhere : Tensor
        As returned by `attention_mask`.
    queries : int
    memory : Memory
        Gives the positions of the keys.
    """

    def __init__(self, everywhere: Tensor, queries: int, memory: Memory):
        self.everywhere = everywhere
        self._queries = queries
        self._memory = memory
        self._near: dict[int, Tensor] = {}

    def limits(self, window: int | None) -> bool:
        """Return whether a sliding window is shorter than the sequence; None is no window."""
        return window is not None and window < self.everywhere.shape[-1]

    def __call__(self, window: int | None) -> Tensor:
        """Return the mask of layers in which a token sees less than ``window`` positions away."""
        if window is None or not self.limits(window):
            return self.everywhere
        if window not in self._near:
            # Positions, not places: the places in a batch depend on the padding between its parts.
            keys = self._memory.positions()
            far = (keys[:, -self._queries :, None] - keys[:, None, :]).abs() >= window
            low = torch.finfo(self.everywhere.dtype).min
            self._near[window] = self.everywhere.masked_fill(far[:, None], low)
        return self._near[window]


def attend(
    module: Any,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    *,
    scaling: float,
    memory: Memory,
    masks: Masks,
    shared_first: bool = False,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Compute attention to the current part and to all earlier parts; called by Hugging Face layers.

    Parameters
    ----------
    module
        The attention layer.
    query : Tensor, (M, A, P, L/A)
    keys, values : Tensor, (M, A, P, L/A)
        Of the current part. Fewer heads than the query has in grouped-query attention.
    mask : Tensor
        What the model made of the mask; ``masks`` stands in its place.
    scaling : float
    memory : Memory
        Keys and values of the earlier parts.
    masks : Masks
    shared_first : bool
        Whether to use `attend_shared` for the first part, which must have a single row that every row sees completely.
    sliding_window : int, optional
        How far the tokens of this layer see.
    softcap : float, optional
        Bound of the scores, ``softcap * tanh(scores / softcap)``.

    Returns
    -------
    output : Tensor, (M, P, A, L/A)
    weights : None
        Attention weights are not returned; the layer expects a pair.
    """
    groups = query.shape[1] // keys.shape[1]
    parts = memory.add(keys, values)
    mask = masks(sliding_window)
    if groups > 1:
        parts = [(k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)) for k, v in parts]
    trains_half = query.requires_grad and query.dtype == torch.bfloat16 and query.device.type == "cpu"
    if trains_half or softcap is not None:
        return attend_by_parts(query, parts, mask, scaling, softcap).transpose(1, 2), None
    shared = None
    if shared_first and not masks.limits(sliding_window):
        shared = parts.pop(0)
        mask = mask[..., shared[0].shape[2] :]
    rows = query.shape[0]
    keys, values = (torch.cat([x.expand(rows, -1, -1, -1) for x in side], dim=2) for side in zip(*parts, strict=True))
    if shared is None:
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scaling)
    else:
        mixed = attend_shared(query, shared, keys, values, mask, scaling=scaling)
    return mixed.transpose(1, 2), None


def attend_by_parts(
    query: Tensor, parts: list[tuple[Tensor, Tensor]], mask: Tensor, scaling: float, softcap: float | None = None
) -> Tensor:
    """Compute attention from plain matrix products, without repeating a shared part for each row.

    All tensors are shaped as in `attend`. The backward pass of PyTorch's fused CPU kernel also differentiates the keys
    of the prompt, which takes most of its time; in bfloat16 the plain products take half as long. They store the
    attention weights, ``(A, M, P, K)``, for the backward pass. They also serve scores with a bound (``softcap``), which
    the fused kernels do not have.
    """
    rows, heads, n_queries, _ = query.shape
    query = (query * scaling).transpose(0, 1)

    def times(left: Tensor, right: Tensor) -> Tensor:
        """Multiply for each head and row; a right side with one row multiplies all rows in one product."""
        if len(right) == 1:
            product: Tensor = (left.reshape(heads, rows * n_queries, -1) @ right[0]).unflatten(1, (rows, n_queries))
            return product
        return left @ right.transpose(0, 1)

    scores = torch.cat([times(query, keys.mT) for keys, _ in parts], dim=-1)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    weights = torch.softmax(scores.add_(mask.transpose(0, 1)), dim=-1)
    shares = weights.split([keys.shape[2] for keys, _ in parts], dim=-1)
    mixed = sum(times(share, values) for share, (_, values) in zip(shares, parts, strict=True))
    assert isinstance(mixed, Tensor)
    return mixed.transpose(0, 1)


def register_attention() -> str:
    """Register `attend` with transformers and return its name; calls without ``memory`` read a whole sequence."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attend_or_read_whole(*arguments: Any, **options: Any) -> Any:
        if "memory" in options:
            return attend(*arguments, **options)
        return (sdpa_attention_forward if options.get("softcap") is None else _attend_whole)(*arguments, **options)

    AttentionInterface.register("swt_time", attend_or_read_whole)
    AttentionMaskInterface.register("swt_time", sdpa_mask)
    return "swt_time"


def _attend_whole(
    module: Any,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    *,
    scaling: float,
    softcap: float,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention with bounded scores within one whole sequence; without a mask it is causal."""
    length, groups = query.shape[2], query.shape[1] // keys.shape[1]
    if mask is None:
        mask = torch.ones(1, 1, length, length, dtype=torch.bool, device=query.device).tril()
    low = torch.zeros(mask.shape, dtype=query.dtype, device=query.device).masked_fill(
        ~mask, torch.finfo(query.dtype).min
    )
    part = (keys.repeat_interleave(groups, dim=1), values.repeat_interleave(groups, dim=1))
    return attend_by_parts(query, [part], low, scaling, softcap).transpose(1, 2), None
