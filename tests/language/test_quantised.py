"""Weights in 8 and 4 bits: verified against the libraries that saved them, and refused if their parts do not fit.

``quantised/`` holds models of ``support/quantised_backbones.py`` with the weights that the libraries decode.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from support.backbones import load_backbone, save_tiny_backbone
from support.quantised_backbones import FAMILIES, SIZES
from swt_time.errors import BackboneError
from swt_time.language.formats import WEIGHTS
from swt_time.language.quantised import decode

SAVED = Path(__file__).parent / "quantised"
CASES = [f"{family}-{kind}" for kind, families in FAMILIES.items() for family in families]

BFLOAT16 = 2**-8
"""Relative rounding error of bfloat16, in which the libraries decode."""

LOSS = {"int8": 0.01, "int4": 0.15, "nf4": 0.15, "fp4": 0.2}
"""Most RMS error of quantised weights relative to the plain ones, by format."""


def read(folder):
    """Return the weights of a quantised model, and the metadata of their file."""
    with safe_open(folder / WEIGHTS, "pt") as file:
        return load_file(folder / WEIGHTS), file.metadata()


@pytest.fixture
def copied(tmp_path):
    """Return a function that makes a complete backbone of a saved case, and the plain weights it was made of."""

    def copy(case):
        folder = save_tiny_backbone(tmp_path / case, case.partition("-")[0], **SIZES)
        plain = {name: weight.clone() for name, weight in load_file(folder / WEIGHTS).items()}  # no mapped file
        for name in ("config.json", WEIGHTS):
            shutil.copy(SAVED / case / name, folder / name)
        return folder, plain

    return copy


def test_every_case_is_saved():
    assert sorted(path.name for path in SAVED.iterdir()) == sorted(CASES)


@pytest.mark.parametrize("case", CASES)
def test_weights_are_those_that_the_library_decodes(copied, case):
    folder, plain = copied(case)
    expected = load_file(SAVED / case / "expected.safetensors")
    found = dict(load_backbone(folder).model.named_parameters())
    assert len(expected) == 2
    for name, weight in expected.items():
        assert torch.allclose(found[name], weight.float(), rtol=2 * BFLOAT16, atol=0), name
    losses = {name: ((found[name] - plain[name]).norm() / plain[name].norm()).item() for name in found}
    if min(losses[name] for name in expected) > 1:
        pytest.skip("this release of PyTorch draws other weights than those that were quantised")
    assert max(losses.values()) < LOSS[case.split("-", 2)[2]]
    assert sum(loss > BFLOAT16 for loss in losses.values()) >= 4  # the quantised layers


def test_a_quantised_backbone_reads_and_learns(copied):
    folder, _ = copied("llama-bitsandbytes-nf4")
    model = load_backbone(folder, precision="bfloat16")
    tokens = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    model(None, tokens).square().sum().backward()
    assert torch.isfinite(tokens.grad).all()
    assert (tokens.grad.norm(dim=-1) > 0).all()


def test_values_are_decoded_in_float32_by_default():
    state = {"a.weight": torch.tensor([[127, -64]], dtype=torch.int8), "a.SCB": torch.tensor([2.0])}
    found = decode(state, {}, None, "llama")
    assert found.keys() == {"a.weight"}
    assert torch.allclose(found["a.weight"], torch.tensor([[2.0, -128 / 127]]))


def test_the_last_block_may_be_shorter():
    described = json.dumps({"blocksize": 64, "shape": [1, 66], "dtype": "float32", "quant_type": "nf4"}).encode()
    state = {
        "a.weight": torch.full((33, 1), 0x10, dtype=torch.uint8),
        "a.weight.absmax": torch.tensor([1.0, 3.0]),
        "a.weight.quant_map": torch.linspace(-1, 1, 16),
        "a.weight.quant_state.bitsandbytes__nf4": torch.tensor(list(described), dtype=torch.uint8),
    }
    found = decode(state, {}, None, "llama")["a.weight"]
    pairs = torch.tensor([-13 / 15, -1.0])  # the high bits come first
    assert torch.allclose(found, torch.cat([pairs.repeat(32), 3 * pairs])[None])


def change(kind, folder):
    """Damage a saved model, or give it a format that is not decoded."""
    weights, metadata = read(folder)
    name = next(name for name in sorted(weights) if "o_proj" in name or "c_proj" in name).split("_proj")[0] + "_proj"
    described = next((key for key in weights if key.startswith(name) and "quant_state" in key), None)

    def describe(**values):
        known = json.loads(bytes(weights[described].tolist()))
        weights[described] = torch.tensor(list(json.dumps(known | values).encode()), dtype=torch.uint8)

    match kind:
        case "rows":
            weights[f"{name}.SCB"] = weights[f"{name}.SCB"][:-1]
        case "layout of a GPU":
            weights[f"{name}.weight_format"] = torch.tensor(1, dtype=torch.uint8)
        case "no description":
            del weights[described]
        case "no scale":
            del weights[f"{name}.weight.absmax"]
        case "huge shape":
            describe(shape=[2**40, 2**20])
        case "shape that is text":
            describe(shape="64")
        case "huge blocks":
            describe(blocksize=2**60)
        case "blocks of nothing":
            describe(blocksize=0)
        case "another offset":
            describe(nested_offset="1e9")
        case "no JSON":
            weights[described] = torch.zeros(9, dtype=torch.uint8)
        case "large description":
            weights[described] = torch.full((2**20,), 32, dtype=torch.uint8)
        case "packed for a GPU" | "no metadata":
            values = json.loads(metadata[f"{name}.weight"])
            metadata[f"{name}.weight"] = json.dumps({**values, "_type": "Int4TilePackedTo4dTensor"})
            metadata = {} if kind == "no metadata" else metadata
        case "scaled activations":
            weights[f"{name}._weight_act_pre_scale"] = torch.ones(1)
        case "blocks that do not divide":
            weights[f"{name}._weight_scale"] = torch.ones(5, 1)
        case "8-bit floats":
            weights = {n: w.to(torch.float8_e4m3fn) if n.endswith("proj.weight") else w for n, w in weights.items()}
    save_file(weights, folder / WEIGHTS, {"format": "pt", **metadata})


REFUSED = {
    "rows": ("llama-bitsandbytes-int8", "its parts do not fit each other"),
    "layout of a GPU": ("llama-bitsandbytes-int8", "its parts do not fit each other"),
    "8-bit floats": ("llama-bitsandbytes-int8", "its parts do not fit each other"),
    "no description": ("llama-bitsandbytes-nf4", "got uint8; save the model in 16 bits"),
    "no scale": ("llama-bitsandbytes-fp4", "its parts do not fit each other"),
    "huge shape": ("llama-bitsandbytes-nf4", "its parts do not fit each other"),
    "shape that is text": ("llama-bitsandbytes-nf4", "its parts do not fit each other"),
    "huge blocks": ("llama-bitsandbytes-nf4", "its parts do not fit each other"),
    "blocks of nothing": ("llama-bitsandbytes-nf4", "its parts do not fit each other"),
    "another offset": ("llama-bitsandbytes-nf4", "its parts do not fit each other"),
    "no JSON": ("llama-bitsandbytes-nf4", "is not valid JSON"),
    "large description": ("llama-bitsandbytes-nf4", "its parts do not fit each other"),
    "packed for a GPU": ("llama-torchao-int8", "torchao saved it as Int4TilePackedTo4dTensor"),
    "no metadata": ("llama-torchao-int8", "do not fill the model"),
    "scaled activations": ("llama-torchao-int8", "without scaled activations"),
    "blocks that do not divide": ("llama-torchao-int4", "its parts do not fit each other"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_parts_that_do_not_fit_are_an_error(copied, kind):
    case, says = REFUSED[kind]
    folder, _ = copied(case)
    change(kind, folder)
    with pytest.raises(BackboneError) as refused:
        load_backbone(folder)
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"backbone {str(folder)!r}: ")


@pytest.mark.parametrize("kind", ["bitsandbytes", "torchao"])
def test_other_methods_are_an_error(copied, kind):
    folder, _ = copied("llama-torchao-int8")
    values = json.loads((folder / "config.json").read_text())
    for other in ({"quant_method": "gptq"}, {}, "fp8", ["torchao"]):
        (folder / "config.json").write_text(json.dumps({**values, "quantization_config": other}))
        with pytest.raises(BackboneError, match=rf"is quantised by .*; expected .* or quantised by .*{kind}"):
            load_backbone(folder)
