"""What of a language model is trained: nothing, its normalisations and learned positions, or low-rank adapters.

Training the normalisations and positions of a frozen language model is the method of GPT4TS (Zhou et al., "One Fits
All: Power General Time Series Analysis by Pretrained LM", arXiv 2302.11939). Low-rank adapters add
``(alpha / r) B A x`` to linear layers, with ``A (r, in)`` and ``B (out, r)``, which starts at zero (Hu et al., "LoRA",
arXiv 2106.09685); they are those of the package peft.

Tuned values are float32, whichever the dtype of the frozen weights: bfloat16 would round most steps of the optimiser to
nothing. Normalisations and positions then compute in float32 and round their results, as adapters do.
"""

import re
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from swt_time.config import Tune
from swt_time.errors import BackboneError, MissingDependencyError, first_line
from swt_time.language.frozen import is_transposed

RANK, ALPHA = 8, 16
"""``r`` and ``alpha`` of the adapters."""

QUERIES_AND_VALUES = r".*\b(q_proj|v_proj|query|value|q_lin|v_lin|attn\.q|attn\.v|c_attn|query_key_value|qkv_proj|Wqkv)"
"""Names of the linear layers that get adapters: those that compute queries and values, as in the paper, or queries,
keys and values together."""


def check_tuning(tune: Tune, dtype: torch.dtype) -> None:
    """Raise if a language model cannot be tuned here, before it is read.

    Raises
    ------
    BackboneError
        The frozen weights are float16, whose gradients are scaled (`swt_time.language.backbone.scale_gradients`) for
        the patches only.
    MissingDependencyError
        Adapters need peft.
    """
    if tune != "none" and dtype == torch.float16:
        raise BackboneError(
            f"backbone.tune {tune} needs backbone.precision bfloat16 or float32, not float16, which is too narrow for "
            "the gradients of weights"
        )
    if tune == "lora" and find_spec("peft") is None:
        raise MissingDependencyError(
            'backbone.tune lora needs the package peft: pip install "swt-time[lora]", or set backbone.tune to norms'
        )


def freeze(model: Any, tune: Tune, dtype: torch.dtype) -> None:
    """Cast the weights of a Hugging Face model and freeze them, except for those that are tuned.

    Parameters
    ----------
    model
        Changed in place.
    tune : {"none", "norms", "lora"}
    dtype : torch.dtype
        Of the frozen weights.

    Raises
    ------
    BackboneError
        The model has nothing of the kind.
    """
    layers = {"none": _nothing, "norms": _norms_and_positions, "lora": _adapters}[tune](model)
    tuned = [parameter for layer in layers for parameter in layer.parameters()]
    if tune != "none" and not tuned:
        raise BackboneError(
            f"backbone.tune {tune}: a model of the family {model.config.model_type!r} has no such part to tune; set "
            "backbone.tune to none"
        )
    values = [parameter.detach().float().clone() for parameter in tuned]  # before they are rounded
    for parameter in model.parameters():  # not the constants: rotary frequencies need the digits of float32
        parameter.data = parameter.data.to(dtype)
    model.requires_grad_(False).eval()
    for parameter, value in zip(tuned, values, strict=True):
        parameter.data = value
        parameter.requires_grad_(True)
    if tune == "norms" and dtype != torch.float32:
        for layer in layers:
            layer.register_forward_pre_hook(_widen)
            layer.register_forward_hook(partial(_round, dtype))


def _nothing(model: Any) -> list[nn.Module]:
    return []


def _norms_and_positions(model: Any) -> list[nn.Module]:
    words = model.get_input_embeddings()
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
        or type(module).__name__.endswith("Norm")
        or (isinstance(module, nn.Embedding) and module is not words and _holds_positions(name))
    ]


def _holds_positions(name: str) -> bool:
    """Whether embeddings of this name are learned positions."""
    last = name.rpartition(".")[2]
    return last == "wpe" or "position" in last


def _adapters(model: Any) -> list[nn.Module]:
    """Add adapters to a model and return their linear layers."""
    from peft import LoraConfig, inject_adapter_in_model

    # whether the weights are stored as (in, out)
    transposed = any(is_transposed(module) for module in model.modules())
    settings = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=QUERIES_AND_VALUES, fan_in_fan_out=transposed)
    try:
        inject_adapter_in_model(settings, model)
    except ValueError as error:  # no layer has such a name
        raise BackboneError(
            f"backbone.tune lora: peft cannot adapt a model of the family {model.config.model_type!r} "
            f"({first_line(error)}); set backbone.tune to norms or none"
        ) from None
    return [module for name, module in model.named_modules() if re.search(r"\.lora_[AB]\.\w+$", name)]


def _widen(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.float() if x.is_floating_point() else x for x in inputs)


def _round(dtype: torch.dtype, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output.to(dtype)
