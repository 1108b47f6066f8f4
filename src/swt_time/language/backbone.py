"""The frozen transformer that reads prompts and patches."""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from swt_time.config import PromptAttention, Tune
from swt_time.errors import BackboneError
from swt_time.language.attention import register_attention
from swt_time.language.families import FAMILIES, longest_sequence
from swt_time.language.frozen import can_fuse, fuse_linear_layers
from swt_time.language.identity import BackboneIdentity
from swt_time.language.prompt import Prompt
from swt_time.language.prompt_reader import PromptReader, ReadPrompt
from swt_time.language.tokenizer import Tokenizer
from swt_time.language.tuning import freeze

TOKENS_AT_ONCE = 4096
"""Maximum number of tokens (prompts and patches) that a CPU reads at once. Larger batches are not faster: their
activations of 32 MiB and more exceed the cache, and glibc requests such blocks from the system every time."""


def weights_sha256(model: nn.Module) -> str:
    """Return the SHA-256 of all weights with their names, shapes and dtypes, in hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


class LanguageModel(nn.Module):
    """A frozen transformer that reads a prompt followed by patches.

    The model stays in eval mode, and its weights have no gradients, except for those that are tuned. Padding between a
    prompt and its patches is masked and takes no position, so a forecast does not depend on the other prompts in the
    batch.

    Parameters
    ----------
    model
        A Hugging Face base model of a supported family.
    tokenizer
        Its fast tokenizer.
    name : str
        Name of the backbone as given by the user.
    dtype : torch.dtype
        Dtype of the frozen weights and their computations; tokens and results are float32.
    prompt_attention : {"full", "prefix"}
        For an encoder: ``full`` lets prompts attend to the patches, as in the Time-LLM paper; with ``prefix`` each part
        of the sequence attends only to itself and the parts before it, so prompts are read without a graph. The two
        are equal for a causal model. A family that cannot read a prompt before the patches is read as with ``full``.
    tune : {"none", "norms", "lora"}
        What of the model is trained; see `swt_time.language.tuning`. Prompts are then read with a graph.

    Attributes
    ----------
    identity : BackboneIdentity
    hidden_size : int
        Width of the hidden states, ``L``.
    embedding_size : int
        Width of the tokens that are read, also ``L`` in most families.
    causal : bool
        Whether a token attends only to itself and the tokens before it.
    max_positions : int
        Maximum length of prompt and patches together.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        name: str,
        *,
        dtype: torch.dtype = torch.float32,
        prompt_attention: PromptAttention = "full",
        tune: Tune = "none",
    ):
        super().__init__()
        # Hashed before the cast, so that the identity is the same in every precision.
        self.identity = BackboneIdentity(
            name, model.config.model_type, model.config.num_hidden_layers, weights_sha256(model)
        )
        freeze(model, tune, dtype)
        self.model: Any = model
        if dtype == torch.bfloat16 and self.identity.family in ("bert", "gpt2") and can_fuse():
            fuse_linear_layers(self.model)
        self._tokenizer = tokenizer
        family = FAMILIES[self.identity.family]
        self.causal = family.is_causal(model.config)
        self.embedding_size: int = model.get_input_embeddings().embedding_dim
        # OPT maps its last hidden states back to the width of its word embeddings.
        self.hidden_size: int = getattr(model.config, "word_embed_proj_dim", model.config.hidden_size)
        self._first_position = family.first_position(model)
        self.max_positions = longest_sequence(model.config, self._first_position)
        self._reader = None
        if family.reads_prompts_first(causal=self.causal, prompt_attention=prompt_attention):
            if family.reading == "attention":
                model.set_attn_implementation(register_attention())
            self._reader = PromptReader(
                model,
                causal=self.causal,
                tuned=tune != "none",
                reading=family.reading,
                first_position=self._first_position,
            )

    @property
    def word_embeddings(self) -> Tensor:
        """The frozen word embeddings of the vocabulary as the model reads them, ``(V, L)``, in float32.

        Some families scale the stored ones (Gemma).
        """
        words = self.model.get_input_embeddings()
        if type(words) is nn.Embedding:
            return words.weight.detach().float()
        with torch.no_grad():
            vectors: Tensor = words(torch.arange(words.num_embeddings, device=words.weight.device)).float()
            return vectors

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # Module has no annotation here
        if self._reader is not None and self._reader.reading == "attention":
            register_attention()  # unpickled in a process in which no backbone was loaded

    def train(self, mode: bool = True) -> "LanguageModel":
        """Stay in eval mode whatever ``mode`` is, because a frozen model needs no dropout."""
        return super().train(False)

    @property
    def reads_prompts_first(self) -> bool:
        """Whether `read_prompt` can read prompts before the patches are known."""
        return self._reader is not None

    def read_prompt(self, prompt: Prompt) -> ReadPrompt:
        """Read prompts in advance, so that `forward` reads only the patches.

        Parameters
        ----------
        prompt : Prompt
            Of M series.

        Returns
        -------
        ReadPrompt
            Valid for this model on this device until a weight changes. That of a tuned model has a graph for one
            backward pass where gradients are enabled.

        Raises
        ------
        BackboneError
            If the model is an encoder with ``prompt_attention="full"``, whose prompts attend to the patches.
        """
        if self._reader is None:
            raise BackboneError(
                f"backbone {self.identity.name!r} reads prompts together with the patches, not before them; "
                "set backbone.prompt_attention to prefix"
            )
        return self._reader.read(prompt)

    def tokenizer(self, n_patches: int) -> Tokenizer:
        """Return the tokenizer for prompts that precede ``n_patches`` patches.

        Raises
        ------
        BackboneError
            If the patches alone exceed the model's positions.
        """
        max_tokens = self.max_positions - n_patches
        if max_tokens < 0:
            raise BackboneError(
                f"{n_patches} patches do not fit into the {self.max_positions} positions of backbone "
                f"{self.identity.name!r}; lower data.context, raise embedding.stride or use a backbone with more "
                "positions"
            )
        return Tokenizer(self._tokenizer, max_tokens, self.model.get_input_embeddings().num_embeddings)

    def forward(self, prompt: Prompt | ReadPrompt | None, tokens: Tensor, visible: Tensor | None = None) -> Tensor:
        """Compute the last hidden states of the patches.

        Parameters
        ----------
        prompt : Prompt, ReadPrompt or None
            Prompts of M series, as token ids or as returned by `read_prompt`; None for no prompt.
        tokens : Tensor, (M, P, L)
            Reprogrammed patches.
        visible : Tensor of bool, (M, P), optional
            False for patches that no other one attends to. They keep their places. By default all are visible.

        Returns
        -------
        Tensor, (M, P, L)
            In the dtype of ``tokens``.
        """
        if self.model.dtype == torch.float16 and tokens.requires_grad:
            return scale_gradients(lambda inputs: self._read(prompt, inputs, visible), tokens)
        return self._read(prompt, tokens, visible)

    def _read(self, prompt: Prompt | ReadPrompt | None, tokens: Tensor, visible: Tensor | None = None) -> Tensor:
        """Read in slices of at most `TOKENS_AT_ONCE` tokens on a CPU, and all series at once elsewhere."""
        if isinstance(prompt, ReadPrompt) or tokens.device.type != "cpu" or torch.compiler.is_compiling():
            return self._read_slice(prompt, tokens, visible)
        length = tokens.shape[1]
        if prompt is not None:  # a reader reads the shared part once, not once for each series
            length += prompt.ids.shape[1] - (0 if self._reader is None else len(prompt.shared))
        n_slices = min(math.ceil(len(tokens) * length / TOKENS_AT_ONCE), len(tokens))
        if n_slices <= 1:
            return self._read_slice(prompt, tokens, visible)
        prompts = [None] * n_slices if prompt is None else prompt.split(n_slices)
        shown = [None] * n_slices if visible is None else visible.tensor_split(n_slices)
        slices = zip(prompts, tokens.tensor_split(n_slices), shown, strict=True)
        return torch.cat([self._read_slice(*one) for one in slices])

    def _read_slice(self, prompt: Prompt | ReadPrompt | None, tokens: Tensor, visible: Tensor | None) -> Tensor:
        if self._reader is None or prompt is None:
            assert not isinstance(prompt, ReadPrompt), "read_prompt raises for models without a reader"
            return self.read_whole(prompt, tokens, visible)
        return self._reader(prompt, tokens.to(self.model.dtype), visible).to(tokens.dtype)

    def read_whole(self, prompt: Prompt | None, tokens: Tensor, visible: Tensor | None = None) -> Tensor:
        """Read prompt and patches as one sequence, with the prompt in the graph; parameters as in `forward`.

        An encoder computes ``prompt_attention="full"`` here, whichever it was created with.
        """
        n_patches = tokens.shape[1]
        inputs = tokens.to(self.model.dtype)
        position = torch.arange(n_patches, device=tokens.device).expand(tokens.shape[0], -1)
        mask = visible
        if prompt is not None:
            # Padding stands on the left, so that tokens are as far from each other as their positions: sliding windows
            # and relative positions count places.
            width = prompt.ids.shape[1]
            slots = torch.arange(width, device=tokens.device) - width + prompt.lengths.unsqueeze(1)
            text = self.model.get_input_embeddings()(prompt.ids.gather(1, slots.clamp_min(0)))
            inputs = torch.cat([text, inputs], dim=1)
            position = torch.cat([slots.clamp_min(0), position + prompt.lengths.unsqueeze(1)], dim=1)
            if visible is None:
                visible = torch.ones_like(tokens[..., 0], dtype=torch.bool)
            mask = torch.cat([slots >= 0, visible], dim=1)
        output = self.model(
            inputs_embeds=inputs, attention_mask=mask, position_ids=position + self._first_position, use_cache=False
        )
        hidden: Tensor = output.last_hidden_state[:, -n_patches:].to(tokens.dtype)
        return hidden


def scale_gradients(read: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
    """Apply ``read`` with gradients that are scaled to a magnitude near 1 inside it and scaled back outside.

    The gradients of a mean over many points are around 1e-6, which float16 rounds to a few bits or to zero. The scale
    is a power of two, so scaling itself is exact.
    """
    factor = []

    def enlarge(gradient: Tensor) -> Tensor:
        size = gradient.abs().amax().clamp_min(torch.finfo(gradient.dtype).tiny)
        factor.append(torch.exp2(-torch.log2(size).floor()))
        return gradient * factor[-1]

    inputs = tokens.view_as(tokens)
    inputs.register_hook(lambda gradient: gradient / factor.pop())
    hidden = read(inputs)
    hidden.register_hook(enlarge)
    return hidden
