"""Reading a prompt in advance: its keys and values are computed once, without a graph, before the patches are read.

The hidden states of a prompt depend on no trained weight, as long as the model is frozen and the prompt does not attend
to the patches. So a sequence is read in three parts, each of which attends to the keys and values of the parts before
it:

1. the shared part (description and task), once for all batches;
2. each window's own part (its statistics), without a graph;
3. the patches, the only part with a backward pass.

While a model that is tuned learns, its prompts depend on trained weights: all parts are read in every step and have a
backward pass. In inference it is read like a frozen one. `PromptReader.learns` is the only place that decides this.

For a causal model this is exact. For an encoder it is a variant (``prompt_attention="prefix"``): each part attends to
itself in both directions and to the parts before it, but not to the parts after it. Sliding windows count positions,
not places in the batch.

Shapes: ``M`` series, ``Q`` prompt tokens, ``P`` patches, ``L`` hidden size, ``A`` attention heads (of the keys).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from swt_time.language.attention import KeysValues, Masks, attention_mask
from swt_time.language.families import Reading
from swt_time.language.prompt import Prompt
from swt_time.language.shared_attention import can_share
from swt_time.remembered import Remembered, fingerprint


class _LastKeysKept(Exception):
    """Raised to end the forward pass of a prompt once the keys of all layers are stored: its output is not needed."""


class KeyValues:
    """Keys and values of one part of a sequence for each layer.

    `attend` adds those of each layer. It is also a cache of Hugging Face models (`update` and the methods after it),
    for models whose layers do not call `attend`.

    Parameters
    ----------
    *earlier : KeyValues
        The parts before this one. A part with a single row is used for every row.
    position : Tensor, (M, Q)
        Positions of this part, with one row if all rows have the same.
    keep_layers : int
        Number of layers whose keys and values are stored for later parts; 0 for the patches, which are the last part.

    Attributes
    ----------
    kept : list of pairs of Tensor, (M, A, Q, L/A)
        Keys and values of each layer stored so far.
    """

    def __init__(self, *earlier: "KeyValues", position: Tensor, keep_layers: int = 0):
        self.position = position
        self._earlier = earlier
        self._keep_layers = keep_layers
        self._layer = 0
        self.kept: list[KeysValues] = []

    def earlier(self, layer: int) -> list[KeysValues]:
        """Return the keys and values of a layer for each earlier part."""
        return [part.kept[layer] for part in self._earlier]

    def shares_first_part(self, visible: Tensor) -> bool:
        """Return whether the first part has a single row and is completely visible to every row, ``visible`` (M, K)."""
        if not self._earlier:
            return False
        keys, _ = self.earlier(0)[0]
        return len(keys) == 1 and bool(visible[:, : keys.shape[2]].all())

    def add(self, keys: Tensor, values: Tensor) -> list[KeysValues]:
        """Add the new keys and values ``(M, A, Q, L/A)`` of the next layer; return those of all parts."""
        parts = [*self.earlier(self._layer), (keys, values)]
        self._layer += 1
        if self._keep_layers:
            self.kept.append((keys, values))
            if len(self.kept) == self._keep_layers and not torch.compiler.is_exporting():
                raise _LastKeysKept
        return parts

    def positions(self) -> Tensor:
        """Return the positions ``(M, K)`` of all parts."""
        parts = [*(part.position for part in self._earlier), self.position]
        rows = max(map(len, parts))
        return torch.cat([part.expand(rows, -1) for part in parts], dim=1)

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any) -> KeysValues:
        """Add the new keys and values of a layer; return those of all parts together, ``(M, A, K, L/A)``."""
        parts = self.add(keys, values)
        keys, values = (
            torch.cat([x.expand(keys.shape[0], -1, -1, -1) for x in side], dim=2) for side in zip(*parts, strict=True)
        )
        return keys, values

    def get_seq_length(self, layer: int = 0) -> int:
        """Return the number of tokens in all earlier parts."""
        return sum(part.position.shape[1] for part in self._earlier)

    def get_query_offset(self, layer: int = 0) -> int:
        """Return the place of the first new token."""
        return self.get_seq_length()

    def get_mask_sizes(self, queries: int, layer: int = 0) -> tuple[int, int]:
        """Return the number of keys that new tokens see, and the place of the first."""
        return self.get_seq_length() + queries, 0


class ReadPrompt(NamedTuple):
    """M prompts that were read in advance by `LanguageModel.read_prompt`.

    Attributes
    ----------
    parts : list of KeyValues
        The shared part, if there is one, and the windows' own parts.
    visible : Tensor of bool, (M, K)
        False for padding.
    lengths : Tensor, (M,)
        Number of tokens in each prompt.
    """

    parts: list[KeyValues]
    visible: Tensor
    lengths: Tensor


class PromptReader:
    """Reads prompts and patches part by part with a frozen Hugging Face model.

    Parameters
    ----------
    model
        A base model. Its layers must pass new keys and values, and all keyword arguments of the model's call, to
        `attend`, or with ``reading="cache"`` new keys and values to ``past_key_values.update``.
    causal : bool
        Whether a token attends only to itself and the tokens before it. The explicit mask replaces the model's own
        causal mask.
    tuned : bool
        Whether some of its weights are trained.
    reading : {"attention", "cache"}
    first_position : int
        Position of the first token.
    """

    def __init__(
        self, model: Any, *, causal: bool, tuned: bool = False, reading: Reading = "attention", first_position: int = 0
    ):
        self.model = model
        self.causal = causal
        self.tuned = tuned
        self.reading = reading
        self.first_position = first_position
        self._shared: Remembered[KeyValues] = Remembered()

    @property
    def learns(self) -> bool:
        """Whether what is read now depends on weights that gradients are computed for."""
        return self.tuned and torch.is_grad_enabled()

    def __call__(self, prompt: Prompt | ReadPrompt, tokens: Tensor, patches: Tensor | None = None) -> Tensor:
        """Compute the last hidden states of the patches; ``(M, P, L)`` to ``(M, P, L)``, both in the model's dtype.

        ``patches`` (M, P) is False for those that no other one attends to.
        """
        parts, visible, lengths = prompt if isinstance(prompt, ReadPrompt) else self.read(prompt)
        n_patches = tokens.shape[1]
        position = lengths[:, None] + torch.arange(n_patches, device=tokens.device)
        patches = visible.new_ones(tokens.shape[0], n_patches) if patches is None else patches
        visible = torch.cat([visible, patches], dim=1)
        return self._run(tokens, visible, KeyValues(*parts, position=position))

    def read(self, prompt: Prompt) -> ReadPrompt:
        """Read the shared part and the own part of M prompts, with a graph only if the model `learns`."""
        learns = self.learns  # before it is lost: leaving inference mode enables gradients
        with torch.inference_mode(False), torch.set_grad_enabled(learns):
            parts, visible = self._read_parts(prompt)
        return ReadPrompt(parts, visible, prompt.lengths)

    def _read_parts(self, prompt: Prompt) -> tuple[list[KeyValues], Tensor]:
        """Return the shared and own parts of M prompts, and a mask ``(M, K)`` that is False for padding.

        In a graph that is exported no size depends on values: the shared part and all padding are always read.
        """
        exporting = torch.compiler.is_exporting()
        n_shared = len(prompt.shared)
        shared = torch.tensor(prompt.shared, dtype=torch.long, device=prompt.ids.device)
        starts_shared = torch.zeros_like(prompt.lengths, dtype=torch.bool)
        if 0 < n_shared <= prompt.ids.shape[1]:
            starts_shared = (prompt.ids[:, :n_shared] == shared).all(dim=1) & (prompt.lengths >= n_shared)
        any_shared = n_shared > 0 if exporting else bool(starts_shared.any())
        parts = [self._read_shared(prompt.shared, shared)] if any_shared else []
        visible = starts_shared[:, None].expand(-1, n_shared if any_shared else 0)

        start = starts_shared.long() * n_shared
        own_lengths = prompt.lengths - start
        width = prompt.ids.shape[1] if exporting else int(own_lengths.max()) if len(own_lengths) else 0
        if width == 0:
            return parts, visible
        slots = torch.arange(width, device=prompt.ids.device)
        # Padding repeats a row's last token and position, so that both stay in the model's range.
        position = torch.minimum(start[:, None] + slots, (prompt.lengths[:, None] - 1).clamp_min(0))
        visible = torch.cat([visible, slots < own_lengths[:, None]], dim=1)
        own = self._keep(prompt.ids.gather(1, position), position, visible, parts)
        return [*parts, own], visible

    def _read_shared(self, ids: tuple[int, ...], row: Tensor) -> KeyValues:
        """Return the keys and values of the shared part, cached until its ids or the model's weights change.

        Those of a model that `learns` belong to the graph of one step, and are read again for the next. The cache is
        dropped then, because the step of a fused optimiser that may follow is no new version of a weight.
        """
        position = torch.arange(len(ids), device=row.device)[None]
        visible = torch.ones_like(position, dtype=torch.bool)
        if self.learns or torch.compiler.is_exporting():
            self._shared.forget()
            return self._keep(row[None], position, visible, [])
        key = ids, fingerprint(self.model.parameters())
        return self._shared.get(key, lambda: self._keep(row[None], position, visible, []))

    def _keep(self, ids: Tensor, position: Tensor, visible: Tensor, earlier: list[KeyValues]) -> KeyValues:
        part = KeyValues(*earlier, position=position, keep_layers=self.model.config.num_hidden_layers)
        try:
            self._run(self.model.get_input_embeddings()(ids), visible, part)
        except _LastKeysKept:
            return part
        assert torch.compiler.is_exporting(), "the model returned without adding the keys of all layers"
        return part  # an exception would lose track of the modules that the graph is made of

    def _run(self, inputs: Tensor, visible: Tensor, memory: KeyValues) -> Tensor:
        options: dict[str, Any] = {"inputs_embeds": inputs, "position_ids": memory.position + self.first_position}
        if self.reading == "cache":
            # The model's own mask: its sizes are those of the cache.
            output = self.model(**options, attention_mask=visible, past_key_values=memory, use_cache=False)
            cached: Tensor = output.last_hidden_state
            return cached
        mask = attention_mask(visible, inputs.shape[1], causal=self.causal, dtype=inputs.dtype)
        shared_first = (
            not self.learns  # its shared keys and values would need gradients
            and not torch.compiler.is_compiling()
            and inputs.device.type == "cpu"
            and inputs.dtype == torch.float32
            and can_share()
            and memory.shares_first_part(visible)
        )
        output = self.model(
            **options,
            attention_mask=mask,
            memory=memory,
            masks=Masks(mask, inputs.shape[1], memory),
            shared_first=shared_first,
            use_cache=False,
        )
        hidden: Tensor = output.last_hidden_state
        return hidden
