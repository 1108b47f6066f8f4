"""Write the quantised backbones of ``tests/language/quantised``, by the libraries whose formats they are in.

Needs ``pip install torchao bitsandbytes accelerate`` beside the packages of the tests:

    PYTHONPATH=src:tests python tests/support/quantised_backbones.py tests/language/quantised
"""

import shutil
import sys
import tempfile
from pathlib import Path

import torch

from support.backbones import save_tiny_backbone

SIZES = {"layers": 1, "hidden": 64, "positions": 64}
"""Of the models before they are quantised; `save_tiny_backbone` draws the same weights again. On CPUs bitsandbytes 0.50
decodes rows that are shorter than a block of 64 values wrongly."""

COMPARED = ("o_proj", "down_proj", "c_proj", "output.dense")
"""Ends of the names of the layers whose decoded weights are saved; fewer files for the same formats."""

FAMILIES = {
    "bitsandbytes-int8": ("llama", "bert"),
    "bitsandbytes-nf4": ("llama", "gpt2"),
    "bitsandbytes-fp4": ("llama",),
    "torchao-int8": ("llama",),
    "torchao-int4": ("llama",),
}
"""Families of the models in each format."""


def main(root: Path) -> None:
    """Save each model with its config, and the weights that its library decodes (``expected.safetensors``)."""
    from safetensors.torch import save_file
    from transformers import AutoModel

    for kind, families in FAMILIES.items():
        for family in families:
            folder = root / f"{family}-{kind}"
            shutil.rmtree(folder, ignore_errors=True)
            with tempfile.TemporaryDirectory() as place:
                plain = save_tiny_backbone(Path(place) / "plain", family, **SIZES)
                options = {"dtype": torch.bfloat16, "quantization_config": configuration(kind)}
                AutoModel.from_pretrained(plain, **options).save_pretrained(folder)
            model = AutoModel.from_pretrained(folder, dtype=torch.bfloat16)
            save_file(decoded(model, transposed=family == "gpt2"), folder / "expected.safetensors")


def configuration(kind: str):
    """Return what transformers quantises by."""
    from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, MappingType
    from torchao.quantization.granularity import PerGroup
    from transformers import BitsAndBytesConfig, TorchAoConfig

    match kind:
        case "bitsandbytes-int8":
            return BitsAndBytesConfig(load_in_8bit=True)
        case "bitsandbytes-nf4":
            return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
        case "bitsandbytes-fp4":
            return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="fp4")
        case "torchao-int8":
            return TorchAoConfig(Int8WeightOnlyConfig())
        case "torchao-int4":
            options = {
                "granularity": PerGroup(16),
                "mapping_type": MappingType.ASYMMETRIC,
            }  # zero points that are not 0
            return TorchAoConfig(IntxWeightOnlyConfig(weight_dtype=torch.int4, **options))
    raise ValueError(kind)


def decoded(model, transposed: bool) -> dict[str, torch.Tensor]:
    """Return the weights of compared layers as their library decodes them, in the layout of the plain model."""
    from bitsandbytes.functional import dequantize_4bit, int8_vectorwise_dequant
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    found = {}
    for name, layer in model.named_modules():
        if not name.endswith(COMPARED):
            continue
        if isinstance(layer, Linear8bitLt):
            weight = int8_vectorwise_dequant(layer.weight.data, layer.weight.SCB)
        elif isinstance(layer, Linear4bit):
            weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        elif type(getattr(layer, "weight", None)).__name__ in ("Int8Tensor", "IntxUnpackedToInt8Tensor"):
            weight = layer.weight.dequantize()
        else:
            continue
        found[f"{name}.weight"] = (weight.T if transposed else weight).to(torch.bfloat16).contiguous()
    assert found
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
