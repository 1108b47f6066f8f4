"""A frozen transformer that reads a prompt and then the patches."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import ConfigDict
from torch import Tensor, nn

from swt_time.config import PromptAttention
from swt_time.errors import BackboneError
from swt_time.language.attention import register_attention
from swt_time.language.families import FAMILIES
from swt_time.language.frozen import can_fuse, fuse_linear_layers
from swt_time.language.prompt import Prompt
from swt_time.language.prompt_reader import PromptReader, ReadPrompt
from swt_time.language.tokenizer import Tokenizer

TOKENS_AT_ONCE = 4096
"""Patches and prompt tokens that a CPU reads at once. More of them fill no product better, but make activations of 32
MiB and more: beyond the cache, and glibc requests such a block from the system anew every time."""


@dataclass(frozen=True)
class BackboneIdentity:
    """What a checkpoint records of a frozen backbone: enough to find it again and to know that it is the same."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    family: str
    layers: int
    sha256: str


def weights_sha256(model: nn.Module) -> str:
    """Hash of all weights and their names, shapes and types, in hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


class LanguageModel(nn.Module):
    """A frozen transformer that reads a prompt and then the patches.

    Always in eval mode and without gradients for its own weights. Padding between a prompt and its patches is
    masked and takes no position, so a forecast does not depend on the other prompts of its batch.

    Parameters
    ----------
    model
        A Hugging Face BERT, GPT-2 or LLaMA base model.
    tokenizer
        Its fast tokenizer.
    name : str
        What the user called it.
    dtype : torch.dtype
        Number type in which the frozen weights compute; tokens and results are float32.
    prompt_attention : {"full", "prefix"}
        Of an encoder: whether prompts see the patches (the paper's form), or each part of the sequence only itself
        and the parts before it, so that prompts are read without a graph. To a causal model both mean the same.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        name: str,
        dtype: torch.dtype = torch.float32,
        prompt_attention: PromptAttention = "full",
    ):
        super().__init__()
        # The identity is taken of the weights as they were read, so that it is the same in every precision.
        self.identity = BackboneIdentity(
            name, model.config.model_type, model.config.num_hidden_layers, weights_sha256(model)
        )
        self.model = model.to(dtype).requires_grad_(False).eval()
        if dtype == torch.bfloat16 and self.identity.family in ("bert", "gpt2") and can_fuse():
            fuse_linear_layers(self.model)
        self._tokenizer = tokenizer
        self.hidden_size: int = model.config.hidden_size
        self.max_positions: int = model.config.max_position_embeddings
        self._family = FAMILIES[self.identity.family]
        self._reader = None
        if self._family.causal or prompt_attention == "prefix":
            model.set_attn_implementation(register_attention())
            self._reader = PromptReader(model, causal=self._family.causal)

    @property
    def word_embeddings(self) -> Tensor:
        """The frozen vocabulary, ``(V, L)``, in float32."""
        return self.model.get_input_embeddings().weight.detach().float()

    def train(self, mode: bool = True) -> "LanguageModel":
        """Stay in eval mode: a frozen model has no use for dropout."""
        return super().train(False)

    @property
    def reads_prompts_first(self) -> bool:
        """Whether prompts can be read on their own, before the patches: `read_prompt`."""
        return self._reader is not None

    def read_prompt(self, prompt: Prompt) -> ReadPrompt:
        """Read prompts once, so that `forward` reads only the patches.

        What it returns holds for this model, on this device, until a weight changes.

        Raises
        ------
        BackboneError
            An encoder with ``prompt_attention="full"``, whose prompts see the patches.
        """
        if self._reader is None:
            raise BackboneError(
                f"{self.identity.name!r} reads prompts and patches together; set backbone.prompt_attention to prefix"
            )
        return self._reader.read(prompt)

    def tokenizer(self, n_patches: int) -> Tokenizer:
        """The tokenizer for prompts that share the positions with ``n_patches`` patches.

        Raises
        ------
        BackboneError
            The patches alone do not fit.
        """
        room = self.max_positions - n_patches
        if room < 0:
            raise BackboneError(
                f"{n_patches} patches do not fit into the {self.max_positions} positions of {self.identity.name!r}; "
                "use a shorter context, a larger stride or a backbone with more positions"
            )
        return Tokenizer(self._tokenizer, room)

    def forward(self, prompt: Prompt | ReadPrompt | None, tokens: Tensor) -> Tensor:
        """Last hidden states of the patches.

        Parameters
        ----------
        prompt : Prompt, ReadPrompt or None
            Of M series, as token ids or read already by `read_prompt`.
        tokens : Tensor, (M, P, L)
            Reprogrammed patches.

        Returns
        -------
        Tensor, (M, P, L), of the tokens' type
        """
        if self.model.dtype == torch.float16 and tokens.requires_grad:
            return scale_gradients(lambda inputs: self._read(prompt, inputs), tokens)
        return self._read(prompt, tokens)

    def _read(self, prompt: Prompt | ReadPrompt | None, tokens: Tensor) -> Tensor:
        """On a CPU in slices of some series, whose activations stay in its cache and in memory held already."""
        if isinstance(prompt, ReadPrompt) or tokens.device.type != "cpu" or torch.compiler.is_compiling():
            return self._read_slice(prompt, tokens)
        length = tokens.shape[1]
        if prompt is not None:  # its shared part is read once, unless every series reads the whole prompt
            length += prompt.ids.shape[1] - (0 if self._reader is None else len(prompt.shared))
        n_slices = min(math.ceil(len(tokens) * length / TOKENS_AT_ONCE), len(tokens))
        if n_slices <= 1:
            return self._read_slice(prompt, tokens)
        prompts = [None] * n_slices if prompt is None else prompt.split(n_slices)
        slices = zip(prompts, tokens.tensor_split(n_slices), strict=True)
        return torch.cat([self._read_slice(own, part) for own, part in slices])

    def _read_slice(self, prompt: Prompt | ReadPrompt | None, tokens: Tensor) -> Tensor:
        if self._reader is None or prompt is None:
            assert not isinstance(prompt, ReadPrompt), "read_prompt refuses models without a reader"
            return self.read_whole(prompt, tokens)
        return self._reader(prompt, tokens.to(self.model.dtype)).to(tokens.dtype)

    def read_whole(self, prompt: Prompt | None, tokens: Tensor) -> Tensor:
        """Read prompt and patches as one sequence, the prompt within the graph: the plain form of `forward`.

        To an encoder this is ``prompt_attention="full"``, whatever it was made with.
        """
        n_patches = tokens.shape[1]
        inputs = tokens.to(self.model.dtype)
        position = torch.arange(n_patches, device=tokens.device).expand(len(tokens), -1)
        mask = None
        if prompt is not None:
            text = self.model.get_input_embeddings()(prompt.ids)
            inputs = torch.cat([text, inputs], dim=1)
            slots = torch.arange(text.shape[1], device=tokens.device).expand(len(tokens), -1)
            position = torch.cat([slots, position + prompt.lengths.unsqueeze(1)], dim=1)
            mask = torch.cat(
                [slots < prompt.lengths.unsqueeze(1), torch.ones_like(tokens[..., 0], dtype=torch.bool)], dim=1
            )
        options = self._family.call_options
        output = self.model(inputs_embeds=inputs, attention_mask=mask, position_ids=position, **options)
        return output.last_hidden_state[:, -n_patches:].to(tokens.dtype)


def scale_gradients(read: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
    """Apply ``read`` so that gradients within it are near 1 in size, and as they would be before and behind it.

    Those of a mean over many points are around 1e-6, which float16 rounds to a few steps or to zero. The factor is a
    power of two, so it rounds nothing itself.
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
