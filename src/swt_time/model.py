"""The forecasting model, composed; the one place where a configuration becomes layers.

Shapes: ``B`` batch, ``N`` channels, ``T`` context, ``H`` horizon, ``P`` patches, ``D`` = ``d_model``,
``L`` hidden size of the language model, ``M = B * N`` series.
"""

import hashlib
import itertools
from array import array
from typing import Any

import torch
from torch import Tensor, nn

from swt_time import prompts
from swt_time.backbones import (
    LanguageModel,
    Tokenizer,
    load_language_model,
)
from swt_time.config import MOST_WEIGHTS, Config, EmbeddingConfig
from swt_time.errors import ConfigError
from swt_time.layers import (
    FlattenHead,
    FreePrototypes,
    MappingPrototypes,
    PatchEmbedding,
    Reprogramming,
    WaveletPatchEmbedding,
    denormalize,
    normalize,
)
from swt_time.layers.remembered import Remembered, fingerprint
from swt_time.prompt_cache import Prompt, pad_prompts
from swt_time.ridge import RidgeSkip, Solution, Windows, solve
from swt_time.twins import TWINS, AttentionTwin, TransformerTwin
from swt_time.wavelets import FreeFilters, reach
from swt_time.wavelets.stationary import check_level, wavelet_support

TRANSFORMER_TWIN_LAYERS = 3
"""Layers of the ``transformer`` twin when ``backbone.layers`` is not given: PatchTST's."""


KNOWN_PROMPT_BYTES = 2**28
"""Most memory for the prompts of windows seen; when it is full, those known stay and others are written anew, since
an epoch in random order would push each one out before it is needed again."""

KNOWN_PROMPT_OVERHEAD = 250
"""Bytes that a known prompt takes beside its token ids."""


class Prompter:
    """Writes the prompt of each window: statistics, text, token ids.

    Parameters
    ----------
    template, description
        As in the configuration.
    context, horizon : int
        ``T`` and ``H``, named in the task.
    tokenizer : Tokenizer

    Attributes
    ----------
    shared : tuple of int
        Token ids that the prompts have in common: found by comparing two prompts, since the last token of the shared
        text may merge with what follows it.
    """

    def __init__(
        self,
        template: prompts.Template,
        description: str,
        context: int,
        horizon: int,
        tokenizer: Tokenizer,
    ):
        self.template = template
        self._text = prompts.shared_text(template, description, context, horizon)
        self._description = prompts.description_span(template, description)
        self._longest = prompts.longest_text(template, context)
        self._tokenizer = tokenizer
        self._known: dict[bytes, array[int]] = {}
        self._known_bytes = 0
        pairs = zip(*self._tokenise(prompts.opposite_texts(template)), strict=False)
        self.shared = tuple(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))

    def __call__(self, z: Tensor) -> list[list[int]]:
        """Token ids for normalised windows ``(M, T)``; each depends on its own window only.

        A window that was seen before is not tokenised again. It is known by a hash of its values: whatever else its
        prompt depends on is fixed in this object.
        """
        rows = z.detach().to("cpu", torch.float32).contiguous()
        keys = [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows.numpy()]
        fresh = {key: i for i, key in enumerate(keys) if key not in self._known}
        found = self._write(rows[list(fresh.values())]) if fresh else []
        ids = dict(zip(fresh, found, strict=True))
        for key, row in ids.items():
            if self._known_bytes < KNOWN_PROMPT_BYTES:
                self._known[key] = array("i", row)
                self._known_bytes += 4 * len(row) + KNOWN_PROMPT_OVERHEAD
        return [ids[key] if key in ids else self._known[key].tolist() for key in keys]

    def _write(self, z: Tensor) -> list[list[int]]:
        return self._tokenise(prompts.own_texts(self.template, prompts.window_statistics(z, self.template)))

    def _tokenise(self, own: list[str]) -> list[list[int]]:
        return self._tokenizer(self._text, own, self._description, self._longest)


class Reprogrammed(nn.Module):
    """The language path: patches reprogrammed onto text prototypes, then read by a frozen language model.

    Parameters
    ----------
    prototypes : module
        Called without arguments; gives ``(S, L)``.
    reprogram : Reprogramming
    language_model : LanguageModel
    prompter : Prompter or None
        None for the template ``none``.
    """

    def __init__(
        self,
        prototypes: nn.Module,
        reprogram: Reprogramming,
        language_model: LanguageModel,
        prompter: Prompter | None,
    ):
        super().__init__()
        self.prototypes = prototypes
        self.reprogram = reprogram
        self.language_model = language_model
        self.prompter = prompter
        self._text: Remembered[tuple[Tensor, Tensor]] = Remembered()

    def train(self, mode: bool = True) -> "Reprogrammed":
        """Drop the keys and values that were kept for inference when training begins."""
        if mode:
            self._text.forget()
        return super().train(mode)

    def write_prompt(self, z: Tensor) -> Prompt | None:
        """Prompts for normalised windows ``(B, N, T)``, or None where the template is ``none``."""
        if self.prompter is None:
            return None
        return pad_prompts(self.prompter(z.flatten(0, 1)), self.prompter.shared).to(z.device)

    def forward(self, tokens: Tensor, prompt: Prompt | None) -> Tensor:
        """``(M, P, D)`` to last hidden states ``(M, P, L)``.

        What feeds a bfloat16 language model is multiplied in bfloat16 too; weights and gradients stay float32.
        """
        half = self.language_model.model.dtype == torch.bfloat16
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=half):
            reprogrammed = self.reprogram(tokens, *self._keys_values()).to(tokens.dtype)
        return self.language_model(prompt, reprogrammed)

    def _keys_values(self) -> tuple[Tensor, Tensor]:
        """Keys and values of the prototypes: in inference computed once for as long as the weights stay."""
        if self.training or torch.is_grad_enabled():
            return self._project_prototypes()
        weights = [*self.prototypes.parameters(), *self.reprogram.parameters()]
        return self._text.get(fingerprint(weights), self._project_prototypes)

    def _project_prototypes(self) -> tuple[Tensor, Tensor]:
        return self.reprogram.keys_values(self.prototypes())


class SWTTime(nn.Module):
    """Time-LLM with a wavelet view: normalise, embed, reprogram, read with a frozen language model, project.

    Parameters
    ----------
    embed : module
        ``(B, N, T)`` to ``(M, P, D)``.
    branch : module or None
        `Reprogrammed`, a twin ``(M, P, D)`` to ``(M, P, D)``, or None: no branch at all, the head reads the patches.
    head : FlattenHead
    skip : FlattenHead or RidgeSkip, optional
        A head straight from the patches, or from the window. The branch then enters through a gate that starts at
        zero, so that the network starts as its own twin without a language model.
    """

    def __init__(
        self,
        embed: nn.Module,
        branch: nn.Module | None,
        head: FlattenHead,
        skip: FlattenHead | RidgeSkip | None = None,
    ):
        super().__init__()
        self.embed = embed
        self.branch = branch
        self.head = head
        self.skip = skip
        self.gate = nn.Parameter(torch.zeros(())) if skip is not None else None

    def forward(self, context: Tensor, prompt: Prompt | None = None) -> Tensor:
        """Forecast.

        Parameters
        ----------
        context : Tensor, (B, T, N)
        prompt : Prompt, optional
            Of the M = B * N series, when it is at hand; written from the context otherwise.

        Returns
        -------
        Tensor, (B, H, N)
        """
        z, scale = normalize(context)  # (B, N, T)
        tokens = self.embed(z)  # SWT, patches: (M, P, D)
        prompt = self.write_prompt(context) if prompt is None else prompt
        hidden = self._read(tokens, prompt)  # reprogramming, prompt, language model: (M, P, L)
        forecast = self.head(hidden)  # (M, H)
        if self.skip is not None:
            forecast = self.skip(z if isinstance(self.skip, RidgeSkip) else tokens) + self.gate * forecast
        return denormalize(forecast.unflatten(0, z.shape[:2]), scale)  # (B, H, N)

    def _read(self, tokens: Tensor, prompt: Prompt | None) -> Tensor:
        if isinstance(self.branch, Reprogrammed):
            return self.branch(tokens, prompt)
        return tokens if self.branch is None else self.branch(tokens)

    def write_prompt(self, context: Tensor) -> Prompt | None:
        """Prompts for windows ``(B, T, N)``, on their device; None for a model that reads none.

        Always written on the CPU, so that a window has the same prompt on every device.
        """
        if not isinstance(self.branch, Reprogrammed):
            return None
        prompt = self.branch.write_prompt(normalize(context.detach().cpu())[0])
        return None if prompt is None else prompt.to(context.device)

    @property
    def language_model(self) -> LanguageModel | None:
        """The frozen backbone, if there is one."""
        return self.branch.language_model if isinstance(self.branch, Reprogrammed) else None

    def penalty(self) -> Tensor | None:
        """What the trainer adds to the loss: the reconstruction penalty of free wavelet filters, if there are any."""
        if isinstance(self.embed, WaveletPatchEmbedding) and isinstance(self.embed.bank, FreeFilters):
            return self.embed.reconstruction_penalty()
        return None

    def solve(self, windows: Windows, validation: Windows | None) -> Solution | None:
        """Solve a ridge skip in closed form; the branch then learns what it leaves over. None for any other skip.

        The wavelet embedding's transform is the prior of the map; plain patches have none.
        """
        if not isinstance(self.skip, RidgeSkip):
            return None
        embed = self.embed
        prior = (embed.wavelet, embed.level, embed.boundary) if isinstance(embed, WaveletPatchEmbedding) else None
        solution = solve(windows, validation, self.skip.weight.shape[1], prior)
        self.skip.weight.copy_(solution.weight)
        return solution

    def trained_state(self) -> dict[str, Tensor]:
        """The trained weights by name: what a checkpoint holds. The frozen backbone is not among them."""
        trained = {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}
        if isinstance(self.skip, RidgeSkip):
            trained["skip.weight"] = self.skip.weight
        return trained


def build_model(config: Config, language_model: LanguageModel | None = None, *, start: bool = True) -> SWTTime:
    """Compose the model that a configuration describes.

    Parameters
    ----------
    config : Config
    language_model : LanguageModel, optional
        Loaded already; otherwise the configuration's backbone is loaded.
    start : bool
        False where trained weights are read right after: prototypes are then not computed from the vocabulary.

    Raises
    ------
    ConfigError
        Options that contradict each other.
    BackboneError
        The backbone cannot be had, or has no room for the patches.
    """
    d_model, n_patches = config.embedding.d_model, config.n_patches
    horizon, model = config.data.horizon, config.model
    embed = build_embedding(config.embedding, config.data.context)
    name = config.backbone.name
    ridge = RidgeSkip(config.data.context, horizon) if model.skip == "ridge" else None
    if name == "none":
        return SWTTime(embed, None, FlattenHead(d_model, n_patches, horizon, model.dropout), ridge)
    if name in TWINS:
        branch, width = _build_twin(config), d_model
    else:
        branch, width = _build_reprogrammed(config, language_model, start)
    head = FlattenHead(width, n_patches, horizon, model.dropout)
    linear = FlattenHead(d_model, n_patches, horizon, model.dropout) if model.skip == "linear" else None
    return SWTTime(embed, branch, head, ridge or linear)


def build_embedding(config: EmbeddingConfig, context: int) -> nn.Module:
    """The patch embedding of a configuration; ``(B, N, T)`` to ``(M, P, D)``."""
    shared: dict[str, Any] = {"positions": config.positions, "dropout": config.dropout, "context": context}
    try:
        if config.kind == "wavelet" or config.receptive_field == "wavelet":
            check_level(config.level, context)
            # Known before anything is made: the filters of deep levels are long.
            _check_size(
                (config.d_model + config.level) * (config.patch_len + wavelet_support(config.wavelet, config.level)),
                f"level {config.level} of {config.wavelet}",
                "level or d_model",
            )
        if config.kind == "patch":
            wide = config.receptive_field == "wavelet"
            return PatchEmbedding(
                config.d_model,
                config.patch_len,
                config.stride,
                kernel_size=config.kernel_size,
                receptive_field=reach(config.wavelet, config.level, config.boundary) if wide else None,
                boundary=config.boundary if wide else "replicate",
                **shared,
            )
        return WaveletPatchEmbedding(
            config.d_model,
            config.patch_len,
            config.stride,
            wavelet=config.wavelet,
            level=config.level,
            boundary=config.boundary,
            norm=config.norm,
            bands=config.bands,
            band_weights=config.band_weights,
            shrink=config.shrink,
            projection=config.projection,
            semantic=config.semantic,
            learnable=config.learnable,
            pad=config.pad,
            **shared,
        )
    except ValueError as error:
        raise ConfigError(f"embedding: {error}") from None


def _check_size(numbers: int, what: str, remedy: str) -> None:
    if numbers > MOST_WEIGHTS:
        raise ConfigError(f"{what} takes {numbers:,} numbers, at most {MOST_WEIGHTS:,} are allowed; lower {remedy}")


def _build_twin(config: Config) -> nn.Module:
    d_model, heads, dropout = config.embedding.d_model, config.model.n_heads, config.model.dropout
    if d_model % heads:
        raise ConfigError(f"embedding.d_model {d_model} must be a multiple of model.n_heads {heads} for this twin")
    if config.backbone.name == "attention":
        return AttentionTwin(d_model, heads, dropout)
    layers = config.backbone.layers or TRANSFORMER_TWIN_LAYERS
    return TransformerTwin(d_model, config.n_patches, heads, config.model.d_ff, layers, dropout)


def _build_reprogrammed(config: Config, language_model: LanguageModel | None, start: bool) -> tuple[Reprogrammed, int]:
    """The language path and the number of hidden dimensions that the head reads."""
    model, backbone = config.model, config.backbone
    if language_model is None:
        language_model = load_language_model(
            backbone.name,
            layers=backbone.layers,
            random_init=backbone.random_init,
            precision=backbone.precision,
            prompt_attention=backbone.prompt_attention,
        )
    width = language_model.hidden_size
    if model.d_ff > width:
        raise ConfigError(
            f"model.d_ff {model.d_ff} is larger than the backbone's {width} hidden dimensions; "
            f"set it to at most {width}"
        )
    vocabulary, count = language_model.word_embeddings, model.n_prototypes
    _check_size(
        count * len(vocabulary) + model.n_heads * model.d_ff * (config.embedding.d_model + 3 * width),
        f"model: {count} prototypes of {len(vocabulary)} words with {model.n_heads} heads of {model.d_ff}",
        "n_prototypes, n_heads or d_ff",
    )
    tokenizer = language_model.tokenizer(config.n_patches)
    prompter = None
    if config.prompt.template != "none":
        data = config.data
        prompter = Prompter(config.prompt.template, data.description, data.context, data.horizon, tokenizer)
    mapping = model.prototypes == "mapping"
    prototypes = MappingPrototypes(vocabulary, count) if mapping else FreePrototypes(vocabulary, count, start=start)
    reprogram = Reprogramming(config.embedding.d_model, width, model.n_heads, model.d_ff, model.attention_dropout)
    return Reprogrammed(prototypes, reprogram, language_model, prompter), model.d_ff
