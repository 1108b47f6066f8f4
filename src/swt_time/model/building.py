"""Build the model, or its patch embedding, from a configuration."""

from typing import Any

from swt_time.config import MOST_WEIGHTS, STAND_INS, Config, EmbeddingConfig
from swt_time.errors import ConfigError
from swt_time.language import LanguageModel, Prompter, load_language_model
from swt_time.machine import torch_defaults
from swt_time.model.branch import Branch, Reprogrammed
from swt_time.model.closed_form.skip import RidgeSkip
from swt_time.model.embedding import WaveletPatchEmbedding
from swt_time.model.heads import FlattenHead, LinearSkip
from swt_time.model.network import SWTTime
from swt_time.model.patching import PatchEmbedding
from swt_time.model.quantiles import QuantileHead
from swt_time.model.reprogramming import FreePrototypes, MappingPrototypes, Reprogramming
from swt_time.model.stand_ins import AttentionStandIn, TransformerStandIn
from swt_time.wavelets import reach, wavelet_support
from swt_time.wavelets.boundaries import check_level

GATED_STD = 20.0
"""Standard deviation from which the quantiles behind a gate start. The optimiser moves the gate by one learning rate a
step, and the sum over the features of a head by many, so the gate should have only a short way to go."""

TRANSFORMER_LAYERS = 3
"""Layers of the stand-in ``transformer`` if ``backbone.layers`` is not set; PatchTST's number."""


@torch_defaults()
def build_model(config: Config, language_model: LanguageModel | None = None, *, start: bool = True) -> SWTTime:
    """Build the model that a configuration describes.

    Parameters
    ----------
    config : Config
    language_model : LanguageModel, optional
        A loaded backbone; by default the configuration's backbone is loaded.
    start : bool
        Whether to compute the initial prototypes from the vocabulary. Set it to False if trained weights are loaded
        next, since they replace the initial values.

    Returns
    -------
    SWTTime
        With newly initialised weights, except for the frozen backbone.

    Raises
    ------
    ConfigError
        Options contradict each other, or the model would be too large.
    BackboneError
        The backbone cannot be loaded, or its longest sequence is too short for the patches.
    """
    d_model, n_patches = config.embedding.d_model, config.n_patches
    horizon, model = config.data.horizon, config.model
    embed = build_embedding(config.embedding, config.data.steps)
    name = config.backbone.name
    ridge = RidgeSkip(config.data.steps, horizon) if model.skip == "ridge" else None
    if name == "none":
        return SWTTime(embed, Branch(), _build_head(config, d_model), ridge, model.closed_form)
    branch: Branch
    if name in STAND_INS:
        branch, width = _build_stand_in(config), d_model
    else:
        branch, width = _build_reprogrammed(config, language_model, start)
    head = _build_head(config, width)
    linear = LinearSkip(d_model, n_patches, horizon, model.dropout) if model.skip == "linear" else None
    return SWTTime(embed, branch, head, ridge or linear, model.closed_form)


def _build_head(config: Config, width: int) -> FlattenHead:
    """Return the head on ``width`` hidden dimensions of each patch."""
    sizes = width, config.n_patches, config.data.horizon, config.model.dropout
    if config.training.loss != "quantile":
        return FlattenHead(*sizes)
    return QuantileHead(*sizes, std=1.0 if config.model.skip == "none" else GATED_STD)


def build_embedding(config: EmbeddingConfig, context: int) -> PatchEmbedding | WaveletPatchEmbedding:
    """Build the patch embedding that a configuration describes, ``(B, N, T)`` to ``(M, P, D)``.

    Raises
    ------
    ConfigError
        Options contradict each other, or the embedding would be too large.
    """
    shared: dict[str, Any] = {"positions": config.positions, "dropout": config.dropout, "context": context}
    try:
        if config.kind == "wavelet" or config.receptive_field == "wavelet":
            check_level(config.levels, context)
            # Checked before any tensor is allocated: the filters of deep levels are long.
            _check_size(
                (config.d_model + config.levels) * (config.patch_len + wavelet_support(config.wavelet, config.levels)),
                f"embedding.level {config.levels} of {config.wavelet}",
                "embedding.level or embedding.d_model",
            )
        if config.kind == "patch":
            wide = config.receptive_field == "wavelet"
            return PatchEmbedding(
                config.d_model,
                config.patch_len,
                config.stride,
                kernel_size=config.kernel_size,
                receptive_field=reach(config.wavelet, config.levels, config.boundary) if wide else None,
                boundary=config.boundary if wide else "replicate",
                **shared,
            )
        return WaveletPatchEmbedding(
            config.d_model,
            config.patch_len,
            config.stride,
            wavelet=config.wavelet,
            level=config.levels,
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


def _check_size(size: int, what: str, remedy: str) -> None:
    if size > MOST_WEIGHTS:
        raise ConfigError(f"{what} needs {size:,} values, at most {MOST_WEIGHTS:,} are allowed; lower {remedy}")


def _build_stand_in(config: Config) -> Branch:
    d_model, heads, dropout = config.embedding.d_model, config.model.n_heads, config.model.dropout
    if d_model % heads:
        raise ConfigError(
            f"embedding.d_model is {d_model}; expected a multiple of model.n_heads, which is {heads}, for the backbone "
            f"{config.backbone.name}"
        )
    if config.backbone.name == "attention":
        return AttentionStandIn(d_model, heads, dropout)
    layers = config.backbone.layers or TRANSFORMER_LAYERS
    return TransformerStandIn(
        d_model, config.n_patches, n_heads=heads, d_ff=config.model.d_ff, layers=layers, dropout=dropout
    )


def _build_reprogrammed(config: Config, language_model: LanguageModel | None, start: bool) -> tuple[Reprogrammed, int]:
    """Return the language-model branch, and the number of hidden dimensions that the head reads."""
    model, backbone = config.model, config.backbone
    if language_model is None:
        language_model = load_language_model(
            backbone.name,
            layers=backbone.layers,
            random_init=backbone.random_init,
            precision=backbone.precision,
            prompt_attention=backbone.prompt_attention,
            tune=backbone.tune,
        )
    width, most = language_model.embedding_size, language_model.hidden_size
    if model.d_ff > most:
        raise ConfigError(
            f"model.d_ff is {model.d_ff}, but the backbone has only {most} hidden dimensions; set it to at most {most}"
        )
    vocabulary, count = language_model.word_embeddings, model.n_prototypes
    _check_size(
        count * len(vocabulary) + model.n_heads * model.d_ff * (config.embedding.d_model + 3 * width),
        f"model: {count} prototypes of {len(vocabulary)} words with {model.n_heads} heads of {model.d_ff}",
        "model.n_prototypes, model.n_heads or model.d_ff",
    )
    tokenizer = language_model.tokenizer(config.n_patches)
    prompter = None
    if config.prompt.template != "none":
        data = config.data
        prompter = Prompter(config.prompt.template, data.description, data.steps, data.horizon, tokenizer)
    mapping = model.prototypes == "mapping"
    prototypes = MappingPrototypes(vocabulary, count) if mapping else FreePrototypes(vocabulary, count, start=start)
    reprogram = Reprogramming(config.embedding.d_model, width, model.n_heads, model.d_ff, model.attention_dropout)
    return Reprogrammed(prototypes, reprogram, language_model, prompter), model.d_ff
