"""A backbone's files as a frozen model: architecture, weights and tokenizer, read as data.

A backbone that is missing or wrong is an error, never another model; remote code is never run, weights are read from
safetensors only.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from swt_time.config import Precision, PromptAttention
from swt_time.errors import BackboneError, first_line
from swt_time.files import MEBIBYTE, check_tensors, read_json
from swt_time.language.backbone import LanguageModel
from swt_time.language.families import ARCHITECTURE, FAMILIES, LAYER_COUNTS
from swt_time.language.finding import find_backbone
from swt_time.language.tokenizer import load_tokenizer
from swt_time.machine import computes_bfloat16, physical_memory

JSON_LIMIT = 64 * MEBIBYTE
"""Most bytes of a backbone's JSON file."""

LAYERS_LIMIT, SIZE_LIMIT = 1024, 2**24
"""Most layers and largest other size that a backbone may claim."""


def load_language_model(
    name: str,
    *,
    layers: int | None = None,
    random_init: bool = False,
    seed: int = 0,
    precision: Precision = "auto",
    prompt_attention: PromptAttention = "full",
) -> LanguageModel:
    """Load a frozen backbone.

    Parameters
    ----------
    name : str
        ``minilm``, a local folder, or a hub id of a BERT, GPT-2 or LLaMA family model.
    layers : int, optional
        Layers to keep, counted from the input.
    random_init : bool
        Draw the weights from ``seed`` instead of reading them.
    precision : {"auto", "float32", "bfloat16", "float16"}
        ``auto`` takes bfloat16 where the processor computes it natively.
    prompt_attention : {"full", "prefix"}
        See `LanguageModel`.

    Raises
    ------
    BackboneError
        Not found, of another family, incomplete, with fewer layers, or with other weights than recorded.
    """
    folder = find_backbone(name)
    config = _read_config(folder, name)
    if layers is not None:
        if layers > config.num_hidden_layers:
            raise BackboneError(
                f"backbone {name!r} has {config.num_hidden_layers} layers, {layers} were asked for; "
                f"set backbone.layers to at most {config.num_hidden_layers}"
            )
        config.num_hidden_layers = layers
    if getattr(config, "activation_function", None) == "gelu_new":
        config.activation_function = "gelu_pytorch_tanh"  # the same function in one kernel instead of seven
    model = _random_model(config, name, seed) if random_init else _pretrained_model(folder, config, name)
    tokenizer = load_tokenizer(folder, name)
    if len(tokenizer) > config.vocab_size:
        raise BackboneError(
            f"backbone {name!r}: the tokenizer in {folder} has {len(tokenizer)} tokens, the model {config.vocab_size}; "
            "they do not belong together"
        )
    return LanguageModel(model, tokenizer, name, resolve_precision(precision), prompt_attention)


def resolve_precision(precision: Precision) -> torch.dtype:
    """The number type of the frozen model; everything that is trained stays in float32.

    A forecast in bfloat16 differs from that in float32 by less than 1 % of its window's standard deviation (tested
    with MiniLM and a fresh head; 0.1 % was measured).

    Raises
    ------
    BackboneError
        float16 without CUDA: processors compute it in software, slower than float32.
    """
    if precision == "float16" and not torch.cuda.is_available():
        raise BackboneError("backbone.precision float16 needs CUDA; use auto, bfloat16 or float32")
    if precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
    return torch.bfloat16 if computes_bfloat16() else torch.float32


def _read_config(folder: Path, name: str) -> Any:
    """The architecture that ``config.json`` describes; of its keys only those in `ARCHITECTURE` are read."""
    import transformers

    for entry in folder.iterdir():
        if not (entry.is_file() or entry.is_dir()):
            raise BackboneError(f"backbone {name!r}: {entry} is neither a file nor a folder")
    path = folder / "config.json"
    values = read_json(path, JSON_LIMIT, BackboneError)
    family = values.get("model_type")
    if family not in FAMILIES:
        raise BackboneError(
            f"backbone {name!r} is of the family {family!r}; expected one of {', '.join(FAMILIES)} "
            "(other families lay out positions and masks differently)"
        )
    if "auto_map" in values:
        raise BackboneError(f"backbone {name!r} asks to run code of its own (auto_map in {path}); that is never done")
    if "quantization_config" in values:
        raise BackboneError(f"backbone {name!r} is quantised ({path}); expected weights in 16 or 32 bits")
    kept = {key: value for key, value in values.items() if key in ARCHITECTURE}
    for key, value in kept.items():
        limit = LAYERS_LIMIT if key in LAYER_COUNTS else SIZE_LIMIT
        if isinstance(value, int | float) and not key.startswith("rope") and not -1 <= value <= limit:
            raise BackboneError(f"backbone {name!r}: {key} is {value:.3g} in {path}; expected at most {limit:,}")
    try:
        with _quiet_transformers():
            return getattr(transformers, FAMILIES[family].config_class)(**kept)
    except Exception as error:  # whatever a wrong value leads to, by the version of transformers
        raise BackboneError(f"backbone {name!r}: {path} describes no model: {first_line(error)}") from None


def _pretrained_model(folder: Path, config: Any, name: str) -> Any:
    """The model with its weights; transformers never looks into the folder itself."""
    state = _read_weights(folder, name)
    needed, held = _count_weights(config, name), sum(tensor.numel() for tensor in state.values())
    if needed > held:
        # Known before memory is taken: what is missing would be made up.
        raise BackboneError(
            f"backbone {name!r}: the weights in {folder} do not fill the model: {held:,} values, {needed:,} are needed"
        )
    try:
        with _quiet_transformers():
            model, report = _model_class(config).from_pretrained(
                None, config=config, state_dict=state, dtype="auto", output_loading_info=True, **_build_options(config)
            )
    except Exception as error:  # whatever wrong weights lead to, by the version of transformers
        raise BackboneError(
            f"backbone {name!r}: cannot load weights from {folder} (safetensors): {first_line(error)}"
        ) from None
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        raise BackboneError(
            f"backbone {name!r}: the weights in {folder} do not fill the model; missing or misshapen: "
            f"{', '.join(map(str, missing[:3]))}{' ...' if len(missing) > 3 else ''}"
        )
    return model


def _read_weights(folder: Path, name: str) -> dict[str, Tensor]:
    """All tensors of a folder: of ``model.safetensors``, or of the files that its index names; mapped, not copied."""
    files = [folder / "model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if not files[0].is_file() and index.is_file():
        places = read_json(index, JSON_LIMIT, BackboneError).get("weight_map")
        names = set(places.values()) if isinstance(places, dict) and all(map(_is_text, places.values())) else set()
        if not names or any(Path(file).name != file or not file.endswith(".safetensors") for file in names):
            raise BackboneError(f"backbone {name!r}: {index} must name safetensors files of this folder only")
        files = [folder / file for file in sorted(names)]
    state: dict[str, Tensor] = {}
    for file in files:
        check_tensors(file, BackboneError)
        try:
            state |= load_file(file)
        except (SafetensorError, OSError, ValueError) as error:
            raise BackboneError(
                f"backbone {name!r}: cannot load weights from {file} (safetensors): {first_line(error)}"
            ) from None
    return state


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _count_weights(config: Any, name: str) -> int:
    """Weights of a model, without taking memory for them."""
    try:
        with torch.device("meta"), _quiet_transformers():
            model = _model_class(config)(config, **_build_options(config))
    except Exception as error:  # whatever a wrong value leads to, by the version of transformers
        raise BackboneError(f"backbone {name!r}: its config.json describes no model: {first_line(error)}") from None
    return sum(parameter.numel() for parameter in model.parameters())


def _build_options(config: Any) -> Mapping[str, Any]:
    return FAMILIES[config.model_type].build_options


def _model_class(config: Any) -> Any:
    import transformers

    return getattr(transformers, FAMILIES[config.model_type].model_class)


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bar and no report of the layers that were cut off by intention; missing weights are refused."""
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
    needed, there = 4 * _count_weights(config, name), physical_memory()
    if needed > there:
        raise BackboneError(
            f"backbone {name!r}: random weights take {needed / 2**30:,.0f} GiB, this machine has {there / 2**30:,.0f}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _model_class(config)(config, **_build_options(config))
