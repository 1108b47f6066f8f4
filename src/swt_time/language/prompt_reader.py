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

from typing import Any, NamedTuple

import torch
from torch import Tensor

from swt_time.language.attention import attention_mask
from swt_time.language.prompt import Prompt
from swt_time.language.shared_attention import can_share
from swt_time.remembered import Remembered, fingerprint


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

    Attributes
    ----------
    kept : list of pairs of Tensor, (M, A, Q, L/A)
        Keys and values of each layer that was kept so far.
    """

    def __init__(self, *earlier: "KeyValues", keep_layers: int = 0):
        self._earlier = earlier
        self._keep_layers = keep_layers
        self.kept: list[tuple[Tensor, Tensor]] = []

    def get_seq_length(self, layer: int = 0) -> int:
        """Tokens in all parts before this one."""
        return sum(keys.shape[2] for keys, _ in self.earlier(layer))

    def earlier(self, layer: int) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of a layer, of each part before this one."""
        return [part.kept[layer] for part in self._earlier]

    def begins_with_all_of(self, visible: Tensor) -> bool:
        """Whether the first part is a single row, and every row sees the whole of it by ``visible`` (M, K)."""
        if not self._earlier:
            return False
        keys, _ = self.earlier(0)[0]
        return len(keys) == 1 and bool(visible[:, : keys.shape[2]].all())

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any) -> tuple[Tensor, Tensor]:
        """Called by a layer with its new keys and values ``(M, A, Q, L/A)``; `attend` adds the earlier ones."""
        if self._keep_layers:
            self.kept.append((keys, values))
            if len(self.kept) == self._keep_layers:
                raise _LastKeysKept
        return keys, values


class ReadPrompt(NamedTuple):
    """What patches need of M prompts that were read before them.

    Attributes
    ----------
    parts : list of KeyValues
        The shared part, if there is one, and the own parts.
    visible : Tensor of bool, (M, K)
        False for padding.
    lengths : Tensor, (M,)
        Tokens of each prompt.
    """

    parts: list[KeyValues]
    visible: Tensor
    lengths: Tensor


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

    def __call__(self, prompt: Prompt | ReadPrompt, tokens: Tensor) -> Tensor:
        """Last hidden states of the patches; ``(M, P, L)`` to ``(M, P, L)``, both of the model's type."""
        parts, visible, lengths = prompt if isinstance(prompt, ReadPrompt) else self.read(prompt)
        n_patches = tokens.shape[1]
        position = lengths[:, None] + torch.arange(n_patches, device=tokens.device)
        visible = torch.cat([visible, visible.new_ones(len(tokens), n_patches)], dim=1)
        return self._run(tokens, position, visible, KeyValues(*parts))

    def read(self, prompt: Prompt) -> ReadPrompt:
        """Read the shared part and the own part of M prompts, without a graph."""
        with torch.inference_mode(False), torch.no_grad():
            parts, visible = self._read_parts(prompt)
        return ReadPrompt(parts, visible, prompt.lengths)

    def _read_parts(self, prompt: Prompt) -> tuple[list[KeyValues], Tensor]:
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
