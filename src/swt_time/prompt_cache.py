"""Prompts read once: keys and values of the prompt's tokens, kept apart from the patches that are trained through.

A frozen model's states of a prompt depend on no trained weight, as long as the prompt does not look at the patches.
So three parts of a sequence are read one after the other, each seeing the keys and values of those before it:

1. the shared part (description and task), once for the model's life;
2. each window's own part (its statistics), without a graph;
3. the patches, the only part with a backward pass.

In a causal model this is exact. In an encoder it is a choice (``prompt_attention="prefix"``): each part sees itself
both ways and the parts before it, never those behind it.

Shapes: ``M`` series, ``Q`` prompt tokens, ``P`` patches, ``L`` hidden size, ``A`` attention heads (of the keys).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from swt_time.layers.remembered import Remembered, fingerprint
from swt_time.layers.shared_attention import attend_shared, can_share


class Prompt(NamedTuple):
    """Token ids of M prompts, padded on the right.

    Attributes
    ----------
    ids : Tensor, (M, Q)
    lengths : Tensor, (M,)
    shared : tuple of int
        Tokens that prompts of this kind begin with. It must not depend on the batch; a row that begins otherwise is
        read on its own from its first token.
    """

    ids: Tensor
    lengths: Tensor
    shared: tuple[int, ...] = ()

    def to(self, device: torch.device) -> "Prompt":
        """Move both tensors."""
        return Prompt(self.ids.to(device), self.lengths.to(device), self.shared)

    def split(self, count: int) -> "list[Prompt]":
        """The prompts in ``count`` parts of about equal size, each padded as far as it needs."""
        parts = zip(self.ids.tensor_split(count), self.lengths.tensor_split(count), strict=True)
        return [Prompt(ids[:, : int(lengths.max())], lengths, self.shared) for ids, lengths in parts]


def pad_prompts(rows: Sequence[Sequence[int]], shared: Sequence[int] = ()) -> Prompt:
    """Stack token ids of unequal length; the padding is masked, so its value (0) never matters."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    ids = np.zeros((len(rows), lengths.max(initial=0)), dtype=np.int64)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate([np.empty(0, np.int64), *rows])
    return Prompt(torch.from_numpy(ids), torch.from_numpy(lengths), tuple(shared))


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


class _LastKeysKept(Exception):
    """All layers' keys are known: what the last layer makes of them is of no use to a prompt."""


class KeyValues:
    """Keys and values of tokens already read, layer by layer; stands where a Hugging Face model expects its cache.

    Parameters
    ----------
    *earlier : KeyValues
        Parts that stand before this one; one with a single row serves every row.
    keep_layers : int
        Layers whose keys and values are to be kept for later parts; 0 for the patches, which are the last part.
    """

    def __init__(self, *earlier: "KeyValues", keep_layers: int = 0):
        self._earlier = earlier
        self._keep_layers = keep_layers
        self._kept: list[tuple[Tensor, Tensor]] = []

    def get_seq_length(self, layer: int = 0) -> int:
        """Tokens in all parts before this one."""
        return sum(keys.shape[2] for keys, _ in self.earlier(layer))

    def earlier(self, layer: int) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of a layer, of each part before this one."""
        return [part._kept[layer] for part in self._earlier]

    def begins_with_all_of(self, visible: Tensor) -> bool:
        """Whether the first part is a single row, and every row sees the whole of it by ``visible`` (M, K)."""
        if not self._earlier:
            return False
        keys, _ = self.earlier(0)[0]
        return len(keys) == 1 and bool(visible[:, : keys.shape[2]].all())

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any) -> tuple[Tensor, Tensor]:
        """Called by a layer with its new keys and values ``(M, A, Q, L/A)``; `attend` adds the earlier ones."""
        if self._keep_layers:
            self._kept.append((keys, values))
            if len(self._kept) == self._keep_layers:
                raise _LastKeysKept
        return keys, values


def attend(
    module: Any,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    *,
    scaling: float,
    memory: KeyValues,
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
    memory : KeyValues
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


class PromptReader:
    """Reads prompts and patches part by part with a frozen Hugging Face model.

    Parameters
    ----------
    model
        BERT, GPT-2 or LLaMA; its layers hand new keys and values to ``past_key_values.update``, and `attend` with all
        arguments of the model's call.
    causal : bool
        Whether tokens see only those before them, which a model's own mask would do and an explicit one must.
    """

    def __init__(self, model: Any, *, causal: bool):
        self.model = model
        self.causal = causal
        self._shared: Remembered[KeyValues] = Remembered()

    def __call__(self, prompt: Prompt, tokens: Tensor) -> Tensor:
        """Last hidden states of the patches; ``(M, P, L)`` to ``(M, P, L)``, both of the model's type."""
        with torch.inference_mode(False), torch.no_grad():
            parts, visible = self._read_prompts(prompt)
        n_patches = tokens.shape[1]
        position = prompt.lengths[:, None] + torch.arange(n_patches, device=tokens.device)
        visible = torch.cat([visible, visible.new_ones(len(tokens), n_patches)], dim=1)
        return self._run(tokens, position, visible, KeyValues(*parts))

    def _read_prompts(self, prompt: Prompt) -> tuple[list[KeyValues], Tensor]:
        """The shared and the own part of M prompts, and which of their tokens ``(M, K)`` are no padding."""
        n_shared = len(prompt.shared)
        shared = torch.tensor(prompt.shared, dtype=torch.long, device=prompt.ids.device)
        begins = torch.zeros_like(prompt.lengths, dtype=torch.bool)
        if 0 < n_shared <= prompt.ids.shape[1]:
            begins = (prompt.ids[:, :n_shared] == shared).all(dim=1) & (prompt.lengths >= n_shared)
        any_shared = bool(begins.any())
        parts = [self._read_shared(prompt.shared, shared)] if any_shared else []
        visible = begins[:, None].expand(-1, n_shared if any_shared else 0)

        start = begins.long() * n_shared
        own_lengths = prompt.lengths - start
        width = int(own_lengths.max()) if len(own_lengths) else 0
        if width == 0:
            return parts, visible
        slots = torch.arange(width, device=prompt.ids.device)
        # Padding repeats a row's last token and position, so that neither leaves the model's range.
        position = torch.minimum(start[:, None] + slots, (prompt.lengths[:, None] - 1).clamp_min(0))
        visible = torch.cat([visible, slots < own_lengths[:, None]], dim=1)
        own = self._keep(prompt.ids.gather(1, position), position, visible, parts)
        return [*parts, own], visible

    def _read_shared(self, ids: tuple[int, ...], row: Tensor) -> KeyValues:
        """Keys and values of the shared part, kept until its ids, the weights or their type or place change."""
        position = torch.arange(len(ids), device=row.device)[None]
        visible = torch.ones_like(position, dtype=torch.bool)
        key = ids, fingerprint(self.model.parameters())
        return self._shared.get(key, lambda: self._keep(row[None], position, visible, []))

    def _keep(self, ids: Tensor, position: Tensor, visible: Tensor, earlier: list[KeyValues]) -> KeyValues:
        part = KeyValues(*earlier, keep_layers=self.model.config.num_hidden_layers)
        try:
            self._run(self.model.get_input_embeddings()(ids), position, visible, part)
        except _LastKeysKept:
            return part
        raise AssertionError("the model ended without handing over the keys of all its layers")

    def _run(self, inputs: Tensor, position: Tensor, visible: Tensor, memory: KeyValues) -> Tensor:
        mask = attention_mask(visible, inputs.shape[1], causal=self.causal, dtype=inputs.dtype)
        begins_alike = (
            not torch.compiler.is_compiling()
            and inputs.device.type == "cpu"
            and inputs.dtype == torch.float32
            and can_share()
            and memory.begins_with_all_of(visible)
        )
        output = self.model(
            inputs_embeds=inputs,
            attention_mask=mask,
            position_ids=position,
            past_key_values=memory,
            memory=memory,
            begins_alike=begins_alike,
            use_cache=False,
        )
        return output.last_hidden_state
