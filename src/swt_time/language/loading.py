"""Loading a frozen backbone: architecture, weights and tokenizer, read as data.

A missing or wrong backbone is an error and is never replaced by another model. Remote code is never run, and weights
are read from safetensors files only.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from swt_time.config import Precision, PromptAttention, Tune
from swt_time.errors import BackboneError, first_line
from swt_time.files import read_json
from swt_time.folders import explained
from swt_time.language.backbone import LanguageModel
from swt_time.language.families import FAMILIES, LAYER_COUNTS, architecture_keys
from swt_time.language.finding import absolute_name, find_backbone
from swt_time.language.formats import refuse_other_formats
from swt_time.language.quantised import METHODS, decode
from swt_time.language.tokenizer import check_vocabulary, load_tokenizer
from swt_time.language.tuning import check_tuning
from swt_time.language.weight_files import JSON_LIMIT, read_weights
from swt_time.machine import computes_bfloat16, physical_memory

LAYERS_LIMIT, SIZE_LIMIT = 1024, 2**24
"""Maximum number of layers, and maximum of every other size, in a backbone's ``config.json``."""


def load_language_model(
    name: str,
    *,
    layers: int | None = None,
    random_init: bool = False,
    seed: int = 0,
    precision: Precision = "auto",
    prompt_attention: PromptAttention = "full",
    tune: Tune = "none",
) -> LanguageModel:
    """Load a frozen backbone.

    Parameters
    ----------
    name : str
        ``minilm``, a local folder, or a hub id of a model of a supported family (`FAMILIES`).
    layers : int, optional
        Number of layers to keep, counted from the input. By default all.
    random_init : bool
        Draw the weights with ``seed`` instead of reading them.
    seed : int
    precision : {"auto", "float32", "bfloat16", "float16"}
        Dtype of the frozen weights; see `resolve_precision`.
    prompt_attention : {"full", "prefix"}
    tune : {"none", "norms", "lora"}
        See `LanguageModel`.

    Returns
    -------
    LanguageModel

    Raises
    ------
    BackboneError
        If the backbone is not found, of an unsupported family, incomplete or damaged, or has fewer layers.
    MissingDependencyError
        If a package that adapts its layers is not installed.
    """
    dtype = resolve_precision(precision)
    check_tuning(tune, dtype)
    folder = find_backbone(name)
    name = absolute_name(name)
    with explained(f"cannot read the backbone {name!r} in {folder}", BackboneError):
        if not random_init:
            refuse_other_formats(folder, name)
        config = _read_config(folder, name)
        if layers is not None:
            if layers > config.num_hidden_layers:
                raise BackboneError(
                    f"backbone {name!r} has {config.num_hidden_layers} layers, but backbone.layers is {layers}; "
                    f"set it to at most {config.num_hidden_layers}"
                )
            config.num_hidden_layers = layers
        if getattr(config, "activation_function", None) == "gelu_new":
            config.activation_function = "gelu_pytorch_tanh"  # the same function in one kernel instead of seven
        model = _random_model(config, name, seed) if random_init else _pretrained_model(folder, config, name)
        with _quiet_transformers():
            tokenizer = load_tokenizer(folder, name)
        check_vocabulary(tokenizer, config.vocab_size, name, folder)
        return LanguageModel(model, tokenizer, name, dtype=dtype, prompt_attention=prompt_attention, tune=tune)


def resolve_precision(precision: Precision) -> torch.dtype:
    """Return the dtype of the frozen model. Trained weights are always float32.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16", "float16"}
        ``auto`` is bfloat16 where the hardware computes it natively, otherwise float32.

    Returns
    -------
    torch.dtype

    Raises
    ------
    BackboneError
        For float16 without CUDA: CPUs compute it in software, slower than float32.

    Notes
    -----
    Forecasts in bfloat16 and in float32 differ by less than 1 % of the window's standard deviation (tested with MiniLM
    and an untrained head; the measured difference is 0.1 %).
    """
    if precision == "float16" and not torch.cuda.is_available():
        raise BackboneError("backbone.precision float16 needs CUDA; use auto, bfloat16 or float32")
    if precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
    return torch.bfloat16 if computes_bfloat16() else torch.float32


def _read_config(folder: Path, name: str) -> Any:
    """Return the transformers configuration from ``config.json``, using only the `architecture_keys`."""
    import transformers

    for entry in folder.iterdir():
        if not (entry.is_file() or entry.is_dir()):
            raise BackboneError(f"backbone {name!r}: {entry} is neither a file nor a folder; remove it")
    path = folder / "config.json"
    values = read_json(path, JSON_LIMIT, BackboneError)
    family = values.get("model_type")
    if family not in FAMILIES:
        raise BackboneError(
            f"backbone {name!r} is of the family {family!r}; expected one of {', '.join(FAMILIES)} "
            "(other families lay out positions and masks differently)"
        )
    if "auto_map" in values:
        raise BackboneError(f"backbone {name!r} needs custom code (auto_map in {path}), which swt-time never runs")
    quantised = values.get("quantization_config")
    if quantised is not None:
        method = quantised.get("quant_method") if isinstance(quantised, dict) else quantised
        if method not in METHODS:
            raise BackboneError(
                f"backbone {name!r} is quantised by {method!r} ({path}); expected weights in 16 or 32 bits, or "
                f"quantised by {' or '.join(METHODS)}"
            )
    used = architecture_keys(family)
    kept = {key: value for key, value in values.items() if key in used}
    for key, value in kept.items():
        limit = LAYERS_LIMIT if key in LAYER_COUNTS else SIZE_LIMIT
        if isinstance(value, int | float) and "rope" not in key and not -1 <= value <= limit:
            raise BackboneError(f"backbone {name!r}: expected {key} from -1 to {limit:,} in {path}, got {value:.3g}")
    try:
        with _quiet_transformers():
            return getattr(transformers, FAMILIES[family].model_class).config_class(**kept)
    except Exception as error:  # the type of the error depends on the value and the version of transformers
        raise BackboneError(f"backbone {name!r}: cannot configure a model from {path}: {first_line(error)}") from None


def _pretrained_model(folder: Path, config: Any, name: str) -> Any:
    """Return the model with its weights. They are read here, so that transformers opens no file in the folder."""
    state, metadata = read_weights(folder, name, config.num_hidden_layers)
    try:
        state = _with_embeddings(decode(state, metadata, config.dtype, config.model_type), config)
    except BackboneError as error:
        raise BackboneError(f"backbone {name!r}: {error}") from None
    needed, held = _count_weights(config, name), sum(tensor.numel() for tensor in state.values())
    if needed > held:
        # Checked before memory is allocated, because transformers would fill in missing weights at random.
        raise BackboneError(
            f"backbone {name!r}: the weights in {folder} do not fill the model: "
            f"expected {needed:,} values, got {held:,}"
        )
    try:
        with _quiet_transformers():
            model, report = _model_class(config).from_pretrained(
                None, config=config, state_dict=state, dtype="auto", output_loading_info=True, **_build_options(config)
            )
    except Exception as error:  # the type of the error depends on the weights and the version of transformers
        raise BackboneError(
            f"backbone {name!r}: cannot load weights from {folder} (safetensors): {first_line(error)}"
        ) from None
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        raise BackboneError(
            f"backbone {name!r}: the weights in {folder} do not fill the model; missing or of another shape: "
            f"{', '.join(map(str, missing[:3]))}{' ...' if len(missing) > 3 else ''}"
        )
    return model


def _with_embeddings(state: dict[str, Tensor], config: Any) -> dict[str, Tensor]:
    """Name the word embeddings where a file holds tied weights under the name of the output layer only.

    ``safetensors.torch.save_model`` keeps one of the names of a tensor, the first in alphabetical order.
    """
    family = FAMILIES[config.model_type]
    prefix = f"{_model_class(config).base_model_prefix}."
    names = (family.embeddings, prefix + family.embeddings)
    if config.tie_word_embeddings and family.output in state and not any(name in state for name in names):
        wrapped = any(name.startswith(prefix) for name in state)
        state[names[wrapped]] = state.pop(family.output)
    return state


def _count_weights(config: Any, name: str) -> int:
    """Return the number of weights of a model, without allocating memory for them."""
    try:
        with torch.device("meta"), _quiet_transformers():
            model = _model_class(config)(config, **_build_options(config))
    except Exception as error:  # the type of the error depends on the value and the version of transformers
        raise BackboneError(f"backbone {name!r}: cannot build a model from config.json: {first_line(error)}") from None
    return sum(parameter.numel() for parameter in model.parameters())


def _build_options(config: Any) -> Mapping[str, Any]:
    return FAMILIES[config.model_type].build_options


def _model_class(config: Any) -> Any:
    import transformers

    return getattr(transformers, FAMILIES[config.model_type].model_class)


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Hide progress bars, and reports of what is read here and of weights of layers that are removed on purpose."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def _random_model(config: Any, name: str, seed: int) -> Any:
    needed, available = 4 * _count_weights(config, name), physical_memory()
    if needed > available:
        raise BackboneError(
            f"backbone {name!r}: random weights need {needed / 2**30:,.0f} GiB of memory, but this machine has "
            f"{available / 2**30:,.0f} GiB; use a smaller backbone or fewer layers (backbone.layers)"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _model_class(config)(config, **_build_options(config))
