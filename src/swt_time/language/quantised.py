"""Weights in 8 and 4 bits, as bitsandbytes and torchao save them, decoded to the model's own precision.

A decoded model takes the memory of 16 or 32 bits and computes as any other. Neither library is needed, so nothing in a
stranger's file reaches its code. The formats store, beside the codes ``q`` of a weight ``w``:

- bitsandbytes, 8 bits: the largest value of each row, ``w = q * SCB / 127``;
- bitsandbytes, 4 bits (NF4, FP4): a table of 16 values and the largest value ``a`` of each block,
  ``w = table[q] * a``. With double quantisation ``a`` is itself stored in 8 bits, with a table of 256 values and an
  offset;
- torchao, integers of 8 bits, or of fewer bits in one byte each: a scale and a zero point of each block,
  ``w = (q - zero_point) * scale``.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from swt_time.errors import BackboneError
from swt_time.files import parse_json

METHODS = ("bitsandbytes", "torchao")
"""Values of ``quant_method`` in a backbone's ``config.json`` whose weights are decoded."""

TRANSPOSED = frozenset({"gpt2"})
"""Families whose linear layers hold weights as ``(in, out)``; bitsandbytes stores them as ``(out, in)``."""

FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)

STATE = ".quant_state.bitsandbytes__"
"""In the name of what describes a weight in 4 bits, after the name of the weight."""

AFFINE = ("Int8Tensor", "IntxUnpackedToInt8Tensor")
"""Kinds of torchao's tensors that are decoded; the others are packed for one kind of accelerator."""

STATE_BYTES = 4096
"""Maximum size of the description of a weight in bytes."""


def decode(
    state: Mapping[str, Tensor], metadata: Mapping[str, str], dtype: torch.dtype | None, family: str
) -> dict[str, Tensor]:
    """Return weights with those in 8 and 4 bits decoded, and without what describes them.

    Parameters
    ----------
    state : mapping of str to Tensor
        Weights by name.
    metadata : mapping of str to str
        Of their safetensors files; torchao describes each weight there.
    dtype : torch.dtype, optional
        Of the decoded weights, by default float32, in which they are computed.
    family : str
        ``model_type`` of the backbone.

    Raises
    ------
    BackboneError
        The parts of a weight do not fit each other, or it is in another format.
    """
    rest, dtype = dict(state), dtype if dtype in FLOATS else torch.float32
    for name, text in metadata.items():
        if f"{_torchao(name)}qdata" in rest:
            values = parse_json(text.encode(), f"the metadata of {name}", BackboneError)
            rest[name] = _decode_affine(name, values, rest, dtype)
    for name in [name for name in rest if STATE in name]:
        weight = name.partition(STATE)[0]
        rest[weight] = _oriented(_decode_blocks(weight, name, rest, dtype), family)
    for name in [name for name in rest if name.endswith(".SCB")]:
        weight = name.removesuffix("SCB") + "weight"
        rest[weight] = _oriented(_decode_rows(weight, rest, dtype), family)
    for name, tensor in rest.items():
        if name.endswith(".weight") and tensor.dtype not in FLOATS:
            raise BackboneError(
                f"cannot decode {name}: expected weights in 16 or 32 bits, or quantised by {' or '.join(METHODS)}, got "
                f"{str(tensor.dtype).removeprefix('torch.')}; save the model in 16 bits"
            )
    return rest


def _decode_rows(name: str, parts: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """Decode 8 bits of bitsandbytes, ``(out, in)``, and remove what describes them."""
    scale = parts.pop(name.removesuffix("weight") + "SCB")
    layout = parts.pop(f"{name}_format", torch.tensor(0))
    codes = parts.get(name)
    _check(name, codes is not None and codes.dtype == torch.int8 and codes.ndim == 2 and not layout.any())
    assert codes is not None
    _check(name, scale.shape == codes.shape[:1] and scale.dtype in FLOATS)
    return (codes.float() * (scale.float() / 127).unsqueeze(1)).to(dtype)


def _decode_blocks(name: str, state_name: str, parts: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """Decode 4 bits of bitsandbytes and remove what describes them."""
    described = parts.pop(state_name)
    _check(name, described.dtype == torch.uint8 and described.numel() <= STATE_BYTES)
    values = parse_json(bytes(described.tolist()), f"the description of {name}", BackboneError)
    shape, size = values.get("shape"), values.get("blocksize")
    table, largest = (parts.pop(f"{name}.{part}", torch.empty(0)) for part in ("quant_map", "absmax"))
    if f"{name}.nested_absmax" in parts:
        outer, outer_table = (parts.pop(f"{name}.nested_{part}", torch.empty(0)) for part in ("absmax", "quant_map"))
        offset: Any = values.get("nested_offset")
        _check(name, largest.dtype == torch.uint8 and len(outer_table) == 256 and isinstance(offset, int | float))
        largest = _by_blocks(name, outer_table.float()[largest.int()], outer, values.get("nested_blocksize")) + offset
    packed = parts.get(name)
    _check(name, packed is not None and packed.is_contiguous() and len(table) == 16 and isinstance(shape, list))
    assert packed is not None
    assert isinstance(shape, list)
    codes = packed.flatten().view(torch.uint8)
    _check(name, all(isinstance(n, int) and n > 0 for n in shape) and torch.Size(shape).numel() == 2 * len(codes))
    codes = torch.stack([codes >> 4, codes & 15], dim=1).flatten()
    return _by_blocks(name, table.float()[codes.int()], largest, size).reshape(shape).to(dtype)


def _by_blocks(name: str, values: Tensor, scale: Tensor, size: Any) -> Tensor:
    """Multiply each block of ``size`` values by its scale; the last block may be shorter."""
    _check(name, isinstance(size, int) and size > 0 and scale.dtype in FLOATS and values.ndim == scale.ndim == 1)
    _check(name, len(scale) == -(-len(values) // size))
    return values * scale.float().repeat_interleave(min(size, len(values)))[: len(values)]


def _decode_affine(name: str, values: Mapping[str, Any], parts: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """Decode integers of torchao, ``(out, in)``, and remove what describes them."""
    if values.get("_type") not in AFFINE or f"{_torchao(name)}act_pre_scale" in parts:
        raise BackboneError(
            f"cannot decode {name}: torchao saved it as {values.get('_type')}, expected {' or '.join(AFFINE)} without "
            "scaled activations; save the model in 16 bits"
        )
    codes, scale = (parts.pop(_torchao(name) + part, torch.empty(0)) for part in ("qdata", "scale"))
    zero = parts.pop(f"{_torchao(name)}zero_point", None)
    _check(name, codes.dtype == torch.int8 and scale.dtype in FLOATS and codes.ndim == scale.ndim == 2)
    _check(name, all(few > 0 and many % few == 0 for many, few in zip(codes.shape, scale.shape, strict=True)))
    _check(name, zero is None or zero.shape == scale.shape)
    blocks = [part for many, few in zip(codes.shape, scale.shape, strict=True) for part in (few, many // few)]
    shifted = codes.float().reshape(blocks)
    if zero is not None:
        shifted = shifted - zero.float()[:, None, :, None]
    return (shifted * scale.float()[:, None, :, None]).reshape(codes.shape).to(dtype)


def _torchao(name: str) -> str:
    """Return the start of the names under which torchao saves the parts of a weight."""
    module, _, weight = name.rpartition(".")
    return f"{module}._{weight}_"


def _oriented(weight: Tensor, family: str) -> Tensor:
    return weight.T.contiguous() if family in TRANSPOSED else weight


def _check(name: str, fits: bool) -> None:
    if not fits:
        raise BackboneError(f"cannot decode the quantised weight {name}: its parts do not fit each other")
