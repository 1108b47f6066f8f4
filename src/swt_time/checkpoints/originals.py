"""Models and checkpoints from state dicts of Time-LLM and of its wavelet fork, SWT-Time.

=====================================================  =============================  =======================
name in the original                                   name here                      shape
=====================================================  =============================  =======================
``patch_embedding.value_embedding.tokenConv.weight``   ``embed.projection.weight``    (D, R, 3), plain
``patch_embedding.value_embedding.weight``             ``embed.projection.weight``    (D, R * K, 1), wavelet
``mapping_layer.*``                                    ``branch.prototypes.mapping``  (S, V)
``reprogramming_layer.{query,key,value,out}_...``      ``branch.reprogram``           (heads * d_ff, D or L)
``output_projection.linear.*``                         ``head.linear``                (H, d_ff * P)
``llm_model.*``, ``word_embeddings``                   left out: frozen
=====================================================  =============================  =======================

The shapes do not determine every option: the wavelet, the description, the factors of ``heads * d_ff``, and the context
within one stride must be given as they were in training. Later forms of SWT-Time (averaged bands, a prompt of wavelet
statistics, a head of wavelet coefficients) are other models and are not supported; nor is its transform without ptwt
installed, which orders and scales the bands differently.

An imported model forecasts each series as the original forecasts that series alone, from one contiguous window:

- The originals pad the prompts of a batch and do not mask the padding, so their forecast of several series at once
  depends on the longest prompt among them.
- The paper's prompt prints every digit of its statistics, so the last bit of a mean decides its tokens. The original's
  mean over a view that is not contiguous is summed in another order and may differ in that bit.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from swt_time.checkpoints.checkpoint import Checkpoint
from swt_time.checkpoints.trained_on import TrainedOn
from swt_time.config import STAND_INS, Config
from swt_time.errors import CheckpointError, ConfigError, SWTTimeWarning
from swt_time.files import file_sha256
from swt_time.language import LanguageModel
from swt_time.language.families import count_layers
from swt_time.model import SWTTime, build_model
from swt_time.model.weights import load_trained_state, to_arrays
from swt_time.state_dicts import read_state_dict, unwrapped, without_wrappers

ETT_DESCRIPTION = (
    "The Electricity Transformer Temperature (ETT) is a crucial indicator in the electric power long-term deployment."
)
"""The default description of a dataset in the originals; every letter matters."""

EMBEDDINGS = {
    "patch": "patch_embedding.value_embedding.tokenConv.weight",
    "wavelet": "patch_embedding.value_embedding.weight",
}
NAMES = {
    "mapping_layer": "branch.prototypes.mapping",
    "reprogramming_layer.query_projection": "branch.reprogram.query_projection",
    "reprogramming_layer.key_projection": "branch.reprogram.key_projection",
    "reprogramming_layer.value_projection": "branch.reprogram.value_projection",
    "reprogramming_layer.out_projection": "branch.reprogram.out_projection",
    "output_projection.linear": "head.linear",
}
"""Linear layers by their name in the originals, with their name here."""

FIXED = {
    "backbone.random_init": False,
    "backbone.prompt_attention": "full",
    "embedding.kernel_size": 3,
    "embedding.receptive_field": "patch",
    "embedding.boundary": "periodic",
    "embedding.pad": "coefficient",
    "embedding.norm": False,
    "embedding.bands": "all",
    "embedding.band_weights": "none",
    "embedding.shrink": "none",
    "embedding.projection": "joint",
    "embedding.positions": "none",
    "embedding.semantic": False,
    "embedding.learnable": "none",
    "model.skip": "none",
    "prompt.template": "paper",
}
"""Options that are the same for every original, by configuration key."""

FROZEN = "llm_model."
VOCABULARY = "word_embeddings"


def load_time_llm(  # noqa: PLR0913  an argument for each option that the state dict does not hold
    state_dict: Mapping[str, Tensor],
    *,
    backbone: str,
    embedding: str = "patch",
    wavelet: str = "db4",
    level: int = 3,
    context: int = 512,
    horizon: int = 96,
    patch_len: int = 16,
    stride: int = 8,
    d_model: int = 32,
    d_ff: int = 128,
    n_heads: int = 8,
    layers: int | None = None,
    description: str = ETT_DESCRIPTION,
    prompt: str = "paper",
    prototypes: str = "mapping",
    prompt_attention: str = "full",
    precision: str = "float32",
) -> SWTTime:
    """Build a model from a state dict of Time-LLM or SWT-Time.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Weights by name; the names of wrappers (``module.``, ``_orig_mod.``) are removed.
    backbone : str
        The language model it was trained with: ``minilm``, a local folder, or a hub id.
    embedding : {"patch", "wavelet"}
        The patch embedding of Time-LLM or of SWT-Time.
    wavelet : str
        Wavelet of the wavelet embedding.
    level : int
        Level of the wavelet embedding.
    context, horizon, patch_len, stride, d_model, d_ff, n_heads : int
        Sizes it was trained with; the originals call the first two ``seq_len`` and ``pred_len``.
    layers : int, optional
        Number of layers kept of the language model (``llm_layers``); all by default.
    description : str
        Description of the dataset in the prompt.
    prompt : {"paper", "compact", "none"}
        Prompt template; the originals use ``paper``.
    prototypes : {"mapping", "free"}
        ``free`` stores the prototypes that the mapping computes: many fewer weights, equal forecasts.
    prompt_attention : {"full", "prefix"}
        ``full`` lets an encoder read prompt and patches together, as the originals do.
    precision : {"auto", "float32", "bfloat16"}
        Precision of the frozen model.

    Returns
    -------
    SWTTime
        Maps ``(B, T, N)`` to ``(B, H, N)``; in eval mode.

    Raises
    ------
    CheckpointError
        Entries are unknown, missing, of the wrong shape or not finite (the message names them), or sizes contradict
        the options.
    ConfigError
        An option is out of range.
    BackboneError
        The backbone is not available.

    Warns
    -----
    SWTTimeWarning
        The frozen weights in the state dict differ from those of the backbone.
    """
    config = time_llm_config(
        {
            "backbone.name": backbone,
            "backbone.layers": layers,
            "backbone.precision": precision,
            "backbone.prompt_attention": prompt_attention,
            "data.context": context,
            "data.horizon": horizon,
            "data.description": description,
            "embedding.kind": embedding,
            "embedding.wavelet": wavelet,
            "embedding.level": level,
            "embedding.patch_len": patch_len,
            "embedding.stride": stride,
            "embedding.d_model": d_model,
            "model.d_ff": d_ff,
            "model.n_heads": n_heads,
            "model.prototypes": prototypes,
            "prompt.template": prompt,
        }
    )
    return _load(state_dict, config)[0]


def time_llm_config(options: Mapping[str, Any]) -> Config:
    """Return the configuration of the model that computes what an original computes.

    Parameters
    ----------
    options : mapping of str to object
        The options of the original's training, by configuration key; those of `FIXED` may be left out.

    Raises
    ------
    ConfigError
    """
    backbone = options["backbone.name"]
    if backbone in STAND_INS:
        raise ConfigError(f"backbone.name: the originals have no {backbone!r}; name the language model they used")
    return Config().replace({**FIXED, **options})


def import_checkpoint(file: Path, config: Config, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read the state dict of an original from a file and convert it to a checkpoint.

    Parameters
    ----------
    file : Path
        Written by ``torch.save(model.state_dict(), file)``; see `read_state_dict`.
    config : Config
        Made by `time_llm_config`.
    provenance : mapping, optional
        Recorded in the checkpoint together with the name and the hash of the file.

    Raises
    ------
    CheckpointError, ConfigError, BackboneError
        See `read_state_dict` and `load_time_llm`.
    """
    model, config = _load(read_state_dict(file), config)
    language_model = model.language_model
    return Checkpoint(
        config,
        to_arrays(model.trained_state()),
        TrainedOn.unknown(),
        language_model.identity if language_model else None,
        {**(provenance or {}), "imported_from": {"file": file.name, "sha256": file_sha256(file, CheckpointError)}},
    )


def _load(state_dict: Mapping[str, Tensor], config: Config) -> tuple[SWTTime, Config]:
    """Return the model, and the configuration with its number of prototypes and the absolute path of its backbone."""
    state = without_wrappers(unwrapped(state_dict))
    trained = {k: v for k, v in state.items() if not k.startswith(FROZEN) and k != VOCABULARY}
    _check_names(trained, config.embedding.kind)
    _check_shapes(trained, config)
    _check_values(trained)
    config = config.replace({"model.n_prototypes": trained["mapping_layer.weight"].shape[0]})
    model = build_model(config)
    language_model = model.language_model
    assert language_model is not None
    _check_backbone(state, language_model)
    load_trained_state(model, _renamed(trained, config, language_model))
    return model.eval(), config.replace({"backbone.name": language_model.identity.name})


def _check_names(trained: Mapping[str, Tensor], embedding: str) -> None:
    """Raise if entries are missing or unknown; the message names all of them."""
    for kind, name in EMBEDDINGS.items():
        if kind != embedding and name in trained and EMBEDDINGS[embedding] not in trained:
            raise CheckpointError(
                f"the state dict has {name}, which is the {kind} embedding, not {EMBEDDINGS[embedding]}; "
                f"set the embedding to {kind!r}"
            )
    expected = [EMBEDDINGS[embedding], *(f"{layer}.{part}" for layer in NAMES for part in ("weight", "bias"))]
    missing = [name for name in expected if name not in trained]
    unknown = sorted(set(trained) - set(expected))
    clauses = [f"{what}: {', '.join(names)}" for what, names in (("missing", missing), ("unknown", unknown)) if names]
    if clauses:
        raise CheckpointError(f"the state dict is not Time-LLM's with {embedding} embedding; {'; '.join(clauses)}")


def _check_shapes(trained: Mapping[str, Tensor], config: Config) -> None:
    """Raise if shapes contradict the options; the backbone's own sizes are checked by `_check_backbone`."""
    mapping, key = trained["mapping_layer.weight"], trained["reprogramming_layer.key_projection.weight"]
    for name, tensor in (("mapping_layer.weight", mapping), ("reprogramming_layer.key_projection.weight", key)):
        if tensor.dim() != 2:
            raise CheckpointError(f"{name} has shape {tuple(tensor.shape)}, expected two dimensions")
    size, heads, d_ff = config.embedding, config.model.n_heads, config.model.d_ff
    wavelet = size.kind == "wavelet"
    # Each dimension with its size and the options that determine it.
    D = size.d_model, f"d_model = {size.d_model}"
    R = size.patch_len, f"patch_len = {size.patch_len}"
    if wavelet:
        R = size.patch_len * (size.levels + 1), f"patch_len * (level + 1) = {size.patch_len} * {size.levels + 1}"
    kernel = (1, "kernel 1") if wavelet else (3, "kernel 3")
    S, L = (mapping.shape[0], "prototypes"), (key.shape[1], "hidden size")
    A = heads * d_ff, f"n_heads * d_ff = {heads} * {d_ff}"
    H = config.data.horizon, f"horizon = {config.data.horizon}"
    F = d_ff * config.n_patches, f"d_ff * patches = {d_ff} * {config.n_patches}"
    expected: dict[str, tuple[tuple[int, str], ...]] = {
        EMBEDDINGS[size.kind]: (D, R, kernel),
        "mapping_layer.bias": (S,),
        "reprogramming_layer.query_projection.weight": (A, D),
        "reprogramming_layer.query_projection.bias": (A,),
        "reprogramming_layer.out_projection.weight": (L, A),
        "reprogramming_layer.out_projection.bias": (L,),
        "output_projection.linear.weight": (H, F),
        "output_projection.linear.bias": (H,),
        "reprogramming_layer.key_projection.weight": (A, L),
        "reprogramming_layer.key_projection.bias": (A,),
        "reprogramming_layer.value_projection.weight": (A, L),
        "reprogramming_layer.value_projection.bias": (A,),
    }
    wrong = [
        f"{name} has shape {tuple(trained[name].shape)}, expected {tuple(s for s, _ in sizes)}: "
        f"({', '.join(text for _, text in sizes)})"
        for name, sizes in expected.items()
        if tuple(trained[name].shape) != tuple(s for s, _ in sizes)
    ]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointError(
            f"the state dict contradicts the options; {'; '.join(wrong[:3])}{more}; give the sizes it was trained with"
        )


def _check_values(trained: Mapping[str, Tensor]) -> None:
    for name, tensor in trained.items():
        if tensor.dtype not in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
            raise CheckpointError(f"{name} holds {tensor.dtype}, expected a floating-point type of 16 to 64 bits")
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{name} holds values that are not finite; the training of this state dict failed")


def _check_backbone(state: Mapping[str, Tensor], language_model: LanguageModel) -> None:
    """Raise if the backbone has another vocabulary, width or depth than the state dict; warn if its weights differ."""
    name = language_model.identity.name
    vocabulary, width = language_model.word_embeddings.shape
    trained_with = state["mapping_layer.weight"].shape[1], state["reprogramming_layer.key_projection.weight"].shape[1]
    for what, theirs, ours in zip(("words", "hidden dimensions"), trained_with, (vocabulary, width), strict=True):
        if theirs != ours:
            raise CheckpointError(
                f"the state dict was trained with a language model of {theirs} {what}, the backbone {name!r} has "
                f"{ours}; name the backbone it was trained with"
            )
    layers = count_layers(key.removeprefix(FROZEN) for key in state if key.startswith(FROZEN))
    if layers and layers != language_model.identity.layers:
        raise CheckpointError(
            f"the state dict was trained with {layers} layers of its language model, the backbone {name!r} is "
            f"read with {language_model.identity.layers}; set layers to {layers}"
        )
    own = {FROZEN + key: tensor for key, tensor in language_model.model.state_dict().items()}
    own[VOCABULARY] = language_model.model.get_input_embeddings().weight
    other = [key for key, tensor in state.items() if key in own and not _equal(tensor, own[key])]
    if other:
        warnings.warn(
            f"the frozen weights in the state dict are left out, but they are not those of the backbone {name!r} "
            f"({len(other)} differ, first {other[0]}): the original was trained with another language model, so "
            "forecasts will differ from its own",
            SWTTimeWarning,
            stacklevel=4,
        )


def _equal(theirs: Tensor, ours: Tensor) -> bool:
    """Whether weights are equal up to the rounding of the coarser of their dtypes."""
    if theirs.shape != ours.shape:
        return False
    if not (theirs.is_floating_point() and ours.is_floating_point()):
        return torch.equal(theirs, ours)
    coarse = max(torch.finfo(theirs.dtype).eps, torch.finfo(ours.dtype).eps)
    return torch.allclose(theirs.float(), ours.float(), rtol=coarse, atol=coarse * 1e-4)


def _renamed(trained: Mapping[str, Tensor], config: Config, language_model: LanguageModel) -> dict[str, Tensor]:
    """Return the trained weights by their names here, in the layout used here, in float32."""
    found = {
        f"{ours}.{part}": trained[f"{theirs}.{part}"] for theirs, ours in NAMES.items() for part in ("weight", "bias")
    }
    projection = trained[EMBEDDINGS[config.embedding.kind]]
    found["embed.projection.weight"] = projection.squeeze(-1) if config.embedding.kind == "wavelet" else projection
    found = {name: tensor.detach().float() for name, tensor in found.items()}
    if config.model.prototypes == "free":
        weight, bias = (found.pop(f"branch.prototypes.mapping.{part}") for part in ("weight", "bias"))
        found["branch.prototypes.prototypes"] = torch.addmm(bias.unsqueeze(1), weight, language_model.word_embeddings)
    return found
