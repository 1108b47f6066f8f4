"""Only the weights of the layers in use are read, whatever their dtype and number of files."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from support.backbones import load_backbone, save_tiny_backbone
from swt_time.errors import BackboneError
from swt_time.language.formats import INDEX, WEIGHTS
from swt_time.language.loading import load_language_model

MARGIN = 32 * 2**20
"""Bytes by which loading may exceed the weights in use: headers of files, modules, the tokenizer, and fragments."""

WIDTH, LAYERS = 1024, 60


def shard(folder, parts):
    """Replace ``model.safetensors`` by several files and an index."""
    (folder / WEIGHTS).unlink()
    places = {}
    for i, part in enumerate(parts, 1):
        name = f"model-{i:05}-of-{len(parts):05}.safetensors"
        save_file(part, folder / name, {"format": "pt"})
        places |= dict.fromkeys(part, name)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))


def set_dtype(folder, dtype):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "dtype": str(dtype).removeprefix("torch.")}))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_several_files_in_half_precision_are_read_as_they_are(tmp_path, family, dtype):
    folder = save_tiny_backbone(tmp_path / "tiny", family)
    weights = {name: tensor.to(dtype) for name, tensor in load_file(folder / WEIGHTS).items()}
    set_dtype(folder, dtype)
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    alone = load_backbone(folder)
    names = sorted(weights)
    shard(folder, [{name: weights[name] for name in names[start::3]} for start in range(3)])
    found = load_backbone(folder)
    assert found.identity.sha256 == alone.identity.sha256
    values = dict(found.model.named_parameters())
    assert values
    assert all(torch.equal(value, weights[name].float()) for name, value in values.items())


def test_files_of_later_layers_are_not_opened(tmp_path, family):
    folder = save_tiny_backbone(tmp_path / "tiny", family)
    expected = load_backbone(folder, layers=1).identity
    weights = load_file(folder / WEIGHTS)
    later = {name for name in weights if ".1." in f".{name}"}
    shard(folder, [{n: w for n, w in weights.items() if (n in later) == last} for last in (False, True)])
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert load_backbone(folder, layers=1).identity.sha256 == expected.sha256
    with pytest.raises(BackboneError, match=r"1 of 2 files .* missing .* first model-00002-of-00002.safetensors"):
        load_backbone(folder)


def sparse_backbone(folder: Path) -> int:
    """Create a LLaMA of 2 GB in bfloat16 whose weights are a hole in the file; return the bytes of a layer."""
    from transformers import LlamaConfig, LlamaModel

    save_tiny_backbone(folder, "llama")
    path = folder / "config.json"
    sizes = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": LAYERS, "head_dim": 128}
    values = {**json.loads(path.read_text()), **sizes, "num_attention_heads": 8, "num_key_value_heads": 8}
    path.write_text(json.dumps({**values, "dtype": "bfloat16"}))
    with torch.device("meta"):
        shapes = {name: tuple(w.shape) for name, w in LlamaModel(LlamaConfig(**values)).state_dict().items()}
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with (folder / WEIGHTS).open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    assert end > 2e9
    assert os.stat(folder / WEIGHTS).st_blocks * 512 < 2**20
    return sum(2 * torch.Size(shape).numel() for name, shape in shapes.items() if name.startswith("layers.0."))


def peak_growth(folder: Path, layers: int) -> int:
    """Load layers of a backbone; return by how much the peak of the resident memory exceeds what was resident."""

    def status(field: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))

    Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is resident now
    before = status("VmRSS")
    model = load_language_model(str(folder), layers=layers, precision="bfloat16")
    assert model.identity.layers == layers
    return status("VmHWM") - before


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident memory from /proc")
def test_two_layers_of_a_large_model_are_loaded_without_the_others(tmp_path, tiny_backbones):
    load_language_model(str(tiny_backbones["llama"]), precision="bfloat16")  # imports the libraries
    layer = sparse_backbone(tmp_path / "large")
    assert layer > MARGIN
    assert peak_growth(tmp_path / "large", 2) < 2 * layer + MARGIN
    assert peak_growth(tmp_path / "large", 6) > 6 * layer  # control: the measure counts what is read


def test_missing_files_of_an_index_are_named(tmp_path):
    folder = save_tiny_backbone(tmp_path / "gpt2", "gpt2")
    weights = load_file(folder / WEIGHTS)
    names = sorted(weights)
    shard(folder, [{name: weights[name] for name in names[start::3]} for start in range(3)])
    for number in (2, 3):
        (folder / f"model-0000{number}-of-00003.safetensors").unlink()
    expected = (
        rf"backbone '.*gpt2': 2 of 3 files that {INDEX} lists are missing in {folder}, first model-00002-of-00003"
    )
    with pytest.raises(BackboneError, match=rf"{expected}.safetensors; copy or download all of them"):
        load_backbone(folder)
