"""State dicts of Time-LLM, and of SWT-Time, its wavelet fork, as models and checkpoints of ours.

=====================================================  =============================  =======================
the originals' name                                    ours                           shape
=====================================================  =============================  =======================
``patch_embedding.value_embedding.tokenConv.weight``   ``embed.projection.weight``    (D, R, 3), plain
``patch_embedding.value_embedding.weight``             ``embed.projection.weight``    (D, R * K, 1), wavelet
``mapping_layer.*``                                    ``branch.prototypes.mapping``  (S, V)
``reprogramming_layer.{query,key,value,out}_...``      ``branch.reprogram``           (heads * d_ff, D or L)
``output_projection.linear.*``                         ``head.linear``                (H, d_ff * P)
``llm_model.*``, ``word_embeddings``                   left out: frozen
=====================================================  =============================  =======================

Not every option leaves a trace in the shapes: the wavelet, the description, the division of ``heads * d_ff``, and the
context within one stride must be given as they were in training. SWT-Time's later forms (bands averaged, a prompt
made of wavelet statistics, a head of wavelet coefficients) are other models and are not read; nor is its transform
without ptwt installed, which orders and scales the bands differently.

What an imported model gives for a series is what the original gives for it alone, as one contiguous window:

- The originals pad the prompts of a batch and do not mask the padding, so that their forecast of several series at once
  depends on the longest prompt among them.
- The paper's prompt prints every digit of its statistics, so that the last bit of a mean decides its tokens. The
  original's mean over a view that is not contiguous is summed in another order and may differ in that bit.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from swt_time.checkpoints.checkpoint import Checkpoint, TrainedOn
from swt_time.checkpoints.state_dicts import read_state_dict
from swt_time.config import STAND_INS, Config
from swt_time.errors import CheckpointError, ConfigError, SWTTimeWarning
from swt_time.files import file_sha256
from swt_time.language import LanguageModel
from swt_time.language.families import count_layers
from swt_time.model import SWTTime, build_model
from swt_time.model.weights import load_trained_state

ETT_DESCRIPTION = (
    "The Electricity Transformer Temperature (ETT) is a crucial indicator in the electric power long-term deployment."
)
"""What the originals say of every data set unless told otherwise; needed to the letter."""

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
"""The originals' linear layers, and ours."""

FROZEN = "llm_model."
VOCABULARY = "word_embeddings"


def load_time_llm(
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
    """Make a model of an original's state dict.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Of Time-LLM or SWT-Time; the prefix ``module.`` of a wrapped model is taken off.
    backbone : str
        The language model it was trained with: ``minilm``, a local folder, or a hub id.
    embedding : {"patch", "wavelet"}
        Time-LLM's patches, or SWT-Time's.
    wavelet, level
        Of the wavelet embedding.
    context, horizon, patch_len, stride, d_model, d_ff, n_heads
        Sizes it was trained with (``seq_len`` and ``pred_len`` are the originals' names of the first two).
    layers : int, optional
        Layers of the language model that were kept (``llm_layers``); all when not given.
    description : str
        What the prompt says of the data.
    prompt : {"paper", "compact", "none"}
        ``paper`` is the originals'.
    prototypes : {"mapping", "free"}
        ``free`` stores the prototypes that the mapping gives, which are many fewer weights; forecasts are equal.
    prompt_attention : {"full", "prefix"}
        ``full`` is the originals': an encoder reads prompt and patches together.
    precision : {"auto", "float32", "bfloat16"}
        Of the frozen model.

    Returns
    -------
    SWTTime
        ``(B, T, N)`` to ``(B, H, N)``, in eval mode.

    Raises
    ------
    CheckpointError
        Entries that are unknown, missing, misshapen or not finite, by name; sizes that contradict the options.
    ConfigError
        An option out of range.
    BackboneError
        The backbone cannot be had.

    Warns
    -----
    SWTTimeWarning
        The frozen weights in the state dict are not the backbone's.
    """
    config = time_llm_config(
        backbone=backbone,
        embedding=embedding,
        wavelet=wavelet,
        level=level,
        context=context,
        horizon=horizon,
        patch_len=patch_len,
        stride=stride,
        d_model=d_model,
        d_ff=d_ff,
        n_heads=n_heads,
        layers=layers,
        description=description,
        prompt=prompt,
        prototypes=prototypes,
        prompt_attention=prompt_attention,
        precision=precision,
    )
    return _load(state_dict, config)[0]


def time_llm_config(
    *,
    backbone: str,
    embedding: str,
    wavelet: str,
    level: int,
    context: int,
    horizon: int,
    patch_len: int,
    stride: int,
    d_model: int,
    d_ff: int,
    n_heads: int,
    layers: int | None,
    description: str,
    prompt: str = "paper",
    prototypes: str = "mapping",
    prompt_attention: str = "full",
    precision: str = "float32",
) -> Config:
    """The configuration that makes our model the originals'; parameters as in `load_time_llm`."""
    if backbone in STAND_INS:
        raise ConfigError(f"backbone: the originals have no {backbone!r}; name the language model they were given")
    return Config.parse(
        {
            "data": {"context": context, "horizon": horizon, "description": description},
            "embedding": {
                "kind": embedding,
                "d_model": d_model,
                "patch_len": patch_len,
                "stride": stride,
                "kernel_size": 3,
                "receptive_field": "patch",
                "wavelet": wavelet,
                "level": level,
                "boundary": "periodic",
                "pad": "coefficient",
                "norm": False,
                "bands": "all",
                "band_weights": "none",
                "shrink": "none",
                "projection": "joint",
                "positions": "none",
                "semantic": False,
                "learnable": "none",
            },
            "prompt": {"template": prompt},
            "backbone": {
                "name": backbone,
                "layers": layers,
                "random_init": False,
                "precision": precision,
                "prompt_attention": prompt_attention,
            },
            "model": {"d_ff": d_ff, "n_heads": n_heads, "prototypes": prototypes, "skip": "none"},
        }
    )


def import_checkpoint(file: Path, config: Config, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read an original's state dict from a file, as a checkpoint of ours.

    Parameters
    ----------
    file : Path
        Written by ``torch.save(model.state_dict(), file)``.
    config : Config
        Of `time_llm_config`.
    provenance : mapping, optional
        To be recorded beside the name and the hash of the file.

    Raises
    ------
    CheckpointError, ConfigError, BackboneError
        As `read_state_dict` and `load_time_llm`.
    """
    model, config = _load(read_state_dict(file), config)
    language_model = model.language_model
    return Checkpoint(
        config,
        {name: tensor.clone() for name, tensor in model.trained_state().items()},
        TrainedOn.unknown(),
        language_model.identity if language_model else None,
        {**(provenance or {}), "imported_from": {"file": file.name, "sha256": file_sha256(file)}},
    )


def _load(state_dict: Mapping[str, Tensor], config: Config) -> tuple[SWTTime, Config]:
    """The model, and the configuration with the number of prototypes that the weights have."""
    state = _without_wrapper(state_dict)
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
    return model.eval(), config


def _without_wrapper(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    wrapped = bool(state_dict) and all(name.startswith("module.") for name in state_dict)
    return {name.removeprefix("module.") if wrapped else name: tensor for name, tensor in state_dict.items()}


def _check_names(trained: Mapping[str, Tensor], embedding: str) -> None:
    """Refuse missing and unknown entries, all of them at once."""
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
    """Refuse sizes that contradict the options, in the options' words; the backbone's own sizes come later."""
    mapping, key = trained["mapping_layer.weight"], trained["reprogramming_layer.key_projection.weight"]
    for name, tensor in (("mapping_layer.weight", mapping), ("reprogramming_layer.key_projection.weight", key)):
        if tensor.dim() != 2:
            raise CheckpointError(f"{name} has shape {tuple(tensor.shape)}, expected two dimensions")
    heads, size = config.model.n_heads, config.embedding
    rows = f"n_heads * d_ff = {heads} * {config.model.d_ff}"
    width = heads * config.model.d_ff
    columns = f"d_ff * patches = {config.model.d_ff} * {config.n_patches}"
    features, words = size.patch_len, f"patch_len = {size.patch_len}"
    if size.kind == "wavelet":
        features *= size.level + 1
        words = f"patch_len * (level + 1) = {size.patch_len} * {size.level + 1}"
    d_model, horizon = f"d_model = {size.d_model}", f"horizon = {config.data.horizon}"
    hidden, prototypes = "hidden size", "prototypes"
    attention = "reprogramming_layer.{}_projection.{}"
    expected: dict[str, tuple[tuple[int, str], ...]] = {
        EMBEDDINGS[size.kind]: (
            (size.d_model, d_model),
            (features, words),
            (1, "kernel 1") if size.kind == "wavelet" else (3, "kernel 3"),
        ),
        "mapping_layer.bias": ((mapping.shape[0], prototypes),),
        attention.format("query", "weight"): ((width, rows), (size.d_model, d_model)),
        attention.format("query", "bias"): ((width, rows),),
        attention.format("out", "weight"): ((key.shape[1], hidden), (width, rows)),
        attention.format("out", "bias"): ((key.shape[1], hidden),),
        "output_projection.linear.weight": (
            (config.data.horizon, horizon),
            (config.model.d_ff * config.n_patches, columns),
        ),
        "output_projection.linear.bias": ((config.data.horizon, horizon),),
    }
    for part in ("key", "value"):
        expected[attention.format(part, "weight")] = ((width, rows), (key.shape[1], hidden))
        expected[attention.format(part, "bias")] = ((width, rows),)
    wrong = [
        f"{name} has shape {tuple(trained[name].shape)}, expected {tuple(s for s, _ in sizes)}: "
        f"({', '.join(text for _, text in sizes)})"
        for name, sizes in expected.items()
        if tuple(trained[name].shape) != tuple(s for s, _ in sizes)
    ]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointError(
            f"the state dict contradicts the options; {'; '.join(wrong[:3])}{more}; give the sizes of its training"
        )


def _check_values(trained: Mapping[str, Tensor]) -> None:
    for name, tensor in trained.items():
        if tensor.dtype not in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
            raise CheckpointError(f"{name} holds {tensor.dtype}, expected floating-point numbers of 16 to 64 bits")
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{name} holds values that are not finite; the training of this state dict failed")


def _check_backbone(state: Mapping[str, Tensor], language_model: LanguageModel) -> None:
    """Refuse another vocabulary, width or depth than the state dict's; warn of other frozen weights."""
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
            f"({len(other)} differ, first {other[0]}): it was trained with another language model, so that forecasts "
            "will differ from the original's",
            SWTTimeWarning,
            stacklevel=4,
        )


def _equal(theirs: Tensor, ours: Tensor) -> bool:
    """Whether weights are the same up to the rounding of the coarser of their number types."""
    if theirs.shape != ours.shape:
        return False
    if not (theirs.is_floating_point() and ours.is_floating_point()):
        return torch.equal(theirs, ours)
    coarse = max(torch.finfo(theirs.dtype).eps, torch.finfo(ours.dtype).eps)
    return torch.allclose(theirs.float(), ours.float(), rtol=coarse, atol=coarse * 1e-4)


def _renamed(trained: Mapping[str, Tensor], config: Config, language_model: LanguageModel) -> dict[str, Tensor]:
    """The trained weights by our names, in our layout, in float32."""
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
