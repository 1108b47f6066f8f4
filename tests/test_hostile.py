"""Crafted files are refused in one line, without running code, without the network, within memory and time limits.

Each case is a file or folder as an attacker would craft it, passed to the command that a user would run on it. The
command runs in a separate process with limits on memory and time, and without a network (tests/offline).
"""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import pickle
import stat
import struct
import sys
import zipfile
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from support.command_cases import original_state
from support.flawed_tables import zstd_module
from support.parquet_files import (
    BYTE_ARRAY,
    GZIP,
    RLE_DICTIONARY,
    Long,
    leaf,
    page,
    parquet_file,
    root,
    varint,
    with_footer,
)
from support.trust import VARIABLE, record
from swt_time.checkpoints.checkpoint import FILES, Checkpoint, TrainedOn, write_checkpoint
from swt_time.config import Config
from swt_time.forecaster import Forecaster
from swt_time.model import build_model

MEMORY = 2**32
"""Most address space of a refusal in bytes, beyond that of the libraries, which reserve more than they use."""

RESIDENT = 3 * 2**28
"""Most resident memory of a refusal in bytes, beyond that of the libraries. Accepting the largest cases takes more."""

SECONDS = 10
"""Most seconds of CPU time of a refusal; it may wait three times as long on a busy machine."""

CASES: dict[str, dict[str, Any]] = {"checkpoint": {}, "backbone": {}, "state dict": {}, "config": {}, "table": {}}
"""For each kind of input and name of a case: the function that crafts it, and a text that the refusal must contain."""


def case(place: str, name: str, says: str):
    """Register the function that crafts a case.

    It takes the file or folder to craft, and a path that must not exist afterwards because only the payload creates it.
    """

    def register(craft):
        assert name not in CASES[place]
        CASES[place][name] = (craft, says)
        return craft

    return register


class Payload:
    """When unpickled, creates a folder, which shows that code was run."""

    def __init__(self, sign: Path):
        self.sign = sign

    def __reduce__(self):
        return os.mkdir, (str(self.sign),)


def seal(folder: Path) -> None:
    """Rewrite the manifest to match changed files, as an attacker would; unreadable content gets a wrong hash."""
    files = {}
    for name in FILES:
        facts = (folder / name).stat()
        with_content = stat.S_ISREG(facts.st_mode) and facts.st_size < 2**30
        sha256 = hashlib.sha256((folder / name).read_bytes()).hexdigest() if with_content else "0" * 64
        files[name] = {"bytes": facts.st_size, "sha256": sha256}
    own = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({"files": files, "sha256": own}, indent=2) + "\n")


def change_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def change_config(folder: Path, **changes: Any) -> None:
    """Change ``section__key`` in the configuration of a checkpoint."""
    values = json.loads((folder / "config.json").read_text())
    for name, value in changes.items():
        section, _, key = name.partition("__")
        values[section][key] = value
    (folder / "config.json").write_text(json.dumps(values))


def tensors_file(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


FEW = {"model__d_ff": 1, "model__n_heads": 1, "model__n_prototypes": 1, "model__skip": "none"}
"""Sizes of a model with a backbone that need no more weights than the checkpoint without one holds."""

# --- checkpoints ---------------------------------------------------------------------------------------------

WEIGHTS = "model.safetensors"


@case("checkpoint", "pickle for weights", WEIGHTS)
def _(folder, sign):
    (folder / WEIGHTS).write_bytes(pickle.dumps(Payload(sign)))


@case("checkpoint", "torch archive for weights", WEIGHTS)
def _(folder, sign):
    torch.save({"head.linear.weight": Payload(sign)}, folder / WEIGHTS)


@case("checkpoint", "pickle for configuration", "config.json")
def _(folder, sign):
    (folder / "config.json").write_bytes(pickle.dumps(Payload(sign)))


@case("checkpoint", "header of 200 MB", WEIGHTS)
def _(folder, sign):
    with (folder / WEIGHTS).open("wb") as file:
        file.write(struct.pack("<Q", 200_000_000) + b'{"__metadata__":{"a":"')
        file.truncate(200_000_008)


@case("checkpoint", "header longer than any file", WEIGHTS)
def _(folder, sign):
    (folder / WEIGHTS).write_bytes(tensors_file(b"{}", length=2**63))


@case("checkpoint", "tensors that overlap", "damaged")
def _(folder, sign):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    (folder / WEIGHTS).write_bytes(tensors_file(json.dumps({"a": entry, "b": entry}).encode(), bytes(8)))


@case("checkpoint", "tensor behind the end", "damaged")
def _(folder, sign):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [2**40, 2**40 + 8]}
    (folder / WEIGHTS).write_bytes(tensors_file(json.dumps({"a": entry}).encode(), bytes(8)))


@case("checkpoint", "tensor of a shape beyond all memory", "damaged")
def _(folder, sign):
    entry = {"dtype": "F32", "shape": [2**31, 2**31], "data_offsets": [0, 8]}
    (folder / WEIGHTS).write_bytes(tensors_file(json.dumps({"a": entry}).encode(), bytes(8)))


@case("checkpoint", "tensor named twice", "occurs twice")
def _(folder, sign):
    entry = json.dumps({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]})
    (folder / WEIGHTS).write_bytes(tensors_file(f'{{"a": {entry}, "a": {entry}}}'.encode(), bytes(8)))


@case("checkpoint", "weights file of 100 GB without content", "bytes")
def _(folder, sign):
    entry = {"dtype": "U8", "shape": [10**11], "data_offsets": [0, 10**11]}
    with (folder / WEIGHTS).open("wb") as file:
        file.write(tensors_file(json.dumps({"a": entry}).encode()))
        file.truncate(file.tell() + 10**11)


def change_weights(folder: Path, change) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS)


@case("checkpoint", "weights that are not numbers", "not finite")
def _(folder, sign):
    change_weights(folder, lambda w: w["head.linear.bias"].fill_(float("nan")))


@case("checkpoint", "infinite weights", "not finite")
def _(folder, sign):
    change_weights(folder, lambda w: w["head.linear.weight"].fill_(float("-inf")))


@case("checkpoint", "weights of another number type", "expected float32")
def _(folder, sign):
    change_weights(folder, lambda w: w.update({"head.linear.bias": torch.ones(12, dtype=torch.int64)}))


@case("checkpoint", "8-bit weights", "expected float32")
def _(folder, sign):
    change_weights(folder, lambda w: w.update({"head.linear.bias": torch.ones(12).to(torch.float8_e4m3fn)}))


@case("checkpoint", "weight named by an escape sequence", "unknown")
def _(folder, sign):
    change_weights(folder, lambda w: w.update({"\x1b[2J\x1b]0;owned\x07": torch.ones(1)}))


@case("checkpoint", "class path in the configuration", "_target_")
def _(folder, sign):
    change_json(folder / "config.json", _target_="os.mkdir", path=str(sign))


@case("checkpoint", "class path within a section", "model._target_")
def _(folder, sign):
    change_config(folder, model___target_="os.mkdir")


@case("checkpoint", "expression for a wavelet", "embedding")
def _(folder, sign):
    change_config(folder, embedding__wavelet=f"__import__('os').mkdir({str(sign)!r})")


@case("checkpoint", "model width of a billion", "d_model")
def _(folder, sign):
    change_config(folder, embedding__d_model=10**9)


@case("checkpoint", "widths that are allowed separately but not together", "at least")
def _(folder, sign):
    change_config(folder, embedding__d_model=2**20, data__horizon=2**20)


@case("checkpoint", "sizes that the weights do not have", "model.safetensors holds")
def _(folder, sign):
    change_config(folder, embedding__d_model=4096, embedding__patch_len=16, model__d_ff=30, data__horizon=4000)


@case("checkpoint", "deepest level of the longest wavelet", "needs 1,651,505,667 values")
def _(folder, sign):
    sizes = {"d_model": 1, "patch_len": 1, "stride": 2**20, "level": 20, "wavelet": "db38"}
    sizes = {f"embedding__{key}": value for key, value in sizes.items()}
    change_config(folder, data__context=2**20, model__skip="linear", **sizes)


@case("checkpoint", "negative width", "embedding.d_model")
def _(folder, sign):
    change_config(folder, embedding__d_model=-8)


@case("checkpoint", "number of 5,000 digits", "config.json")
def _(folder, sign):
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"horizon": 12', '"horizon": ' + "9" * 5000))


@case("checkpoint", "number of 4,000 digits", "data.horizon")
def _(folder, sign):
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"horizon": 12', '"horizon": ' + "9" * 4000))


@case("checkpoint", "configuration 100,000 levels deep", "config.json")
def _(folder, sign):
    (folder / "config.json").write_text('{"data":' + "[" * 100_000 + "]" * 100_000 + "}")


@case("checkpoint", "configuration 900 levels deep", "data")
def _(folder, sign):
    (folder / "config.json").write_text('{"data": {"horizon": ' + "[" * 900 + "]" * 900 + "}}")


@case("checkpoint", "description of 100 MB", "config.json")
def _(folder, sign):
    change_config(folder, data__description="x" * 10**8)


@case("checkpoint", "description of a megabyte", "data.description")
def _(folder, sign):
    change_config(folder, data__description="x " * 500_000)


@case("checkpoint", "lone surrogate in the description", "data.description")
def _(folder, sign):
    change_config(folder, data__description="\ud800")


@case("checkpoint", "NaN in JSON", "NaN")
def _(folder, sign):
    change_config(folder, training__learning_rate=float("nan"))


@case("checkpoint", "key named twice", "occurs twice")
def _(folder, sign):
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"horizon": 12', '"horizon": 12, "horizon": 24'))


@case("checkpoint", "scaler with NaN", "scaler.json")
def _(folder, sign):
    change_json(folder / "scaler.json", mean=[float("nan")], ids=["y"], deviation=[1.0])


@case("checkpoint", "scaler with a standard deviation of zero", "deviation must be positive")
def _(folder, sign):
    change_json(folder / "scaler.json", deviation=[0.0])


@case("checkpoint", "scaler of unequal lengths", "differ in length")
def _(folder, sign):
    change_json(folder / "scaler.json", mean=[])


@case("checkpoint", "scaler with objects for names", "ids")
def _(folder, sign):
    change_json(folder / "scaler.json", ids=[{"a": 1}])


@case("checkpoint", "weights linked from outside", "symbolic link")
def _(folder, sign):
    (folder / WEIGHTS).rename(folder.parent / "outside")
    (folder / WEIGHTS).symlink_to(folder.parent / "outside")


@case("checkpoint", "history linked to the user's own file", "symbolic link")
def _(folder, sign):
    (folder / "history.csv").unlink()
    (folder / "history.csv").symlink_to("/etc/passwd")


@case("checkpoint", "configuration linked to endless zeros", "config.json")
def _(folder, sign):
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("/dev/zero")


@case("checkpoint", "pipe for a configuration", "config.json")
def _(folder, sign):
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


@case("checkpoint", "backbone outside, relative", "backbone")
def _(folder, sign):
    change_config(folder, backbone__name="../../../../../../etc")


@case("checkpoint", "backbone outside, absolute", "backbone")
def _(folder, sign):
    change_config(folder, backbone__name="/etc")


@case("checkpoint", "backbone outside, recorded", "cannot read /etc/config.json")
def _(folder, sign):
    change_config(folder, backbone__name="/etc", **FEW)
    change_json(
        folder / "provenance.json", backbone={"name": "/etc", "family": "bert", "layers": 2, "sha256": "0" * 64}
    )


@case("checkpoint", "backbone on another machine", "another machine")
def _(folder, sign):
    change_config(folder, backbone__name="//192.0.2.1/share/model", **FEW)
    change_json(folder / "provenance.json", backbone={"name": "x", "family": "bert", "layers": 2, "sha256": "0" * 64})


@case("checkpoint", "another backbone than recorded", "provide the same backbone")
def _(folder, sign, backbones):
    change_config(folder, backbone__name=str(backbones["gpt2"]), **FEW)
    change_json(
        folder / "provenance.json", backbone={"name": "gpt2", "family": "gpt2", "layers": 2, "sha256": "0" * 64}
    )


@case("checkpoint", "backbone without a hash", "without the hash")
def _(folder, sign, backbones):
    change_config(folder, backbone__name=str(backbones["gpt2"]))


@case("checkpoint", "number for a hash", "provenance.json")
def _(folder, sign, backbones):
    change_config(folder, backbone__name=str(backbones["gpt2"]))
    change_json(folder / "provenance.json", backbone={"name": "x", "family": "gpt2", "layers": 2, "sha256": 5})


# --- backbones -----------------------------------------------------------------------------------------------

EVIL = "import os\nos.mkdir({sign!r})\nclass Model: pass\nclass Tokenizer: pass\n"


@case("backbone", "modelling code", "auto_map")
def _(folder, sign):
    (folder / "evil.py").write_text(EVIL.format(sign=str(sign)))
    change_json(folder / "config.json", auto_map={"AutoModel": "evil.Model", "AutoConfig": "evil.Model"})


@case("backbone", "modelling code with trust_remote_code", "auto_map")
def _(folder, sign):
    (folder / "evil.py").write_text(EVIL.format(sign=str(sign)))
    change_json(folder / "config.json", auto_map={"AutoModel": "evil.Model"}, trust_remote_code=True)


@case("backbone", "tokenizer code", "tokenizer")
def _(folder, sign):
    (folder / "evil.py").write_text(EVIL.format(sign=str(sign)))
    change_json(
        folder / "tokenizer_config.json",
        auto_map={"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]},
        tokenizer_class="Tokenizer",
        trust_remote_code=True,
    )


@case("backbone", "pickled weights only", "safetensors")
def _(folder, sign):
    torch.save({"wte.weight": Payload(sign)}, folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


@case("backbone", "pickle for weights", WEIGHTS)
def _(folder, sign):
    (folder / WEIGHTS).write_bytes(pickle.dumps(Payload(sign)))


@case("backbone", "index with a path outside the folder", "of this folder only")
def _(folder, sign):
    (folder / WEIGHTS).rename(folder.parent / "outside.safetensors")
    places = {"wte.weight": "../outside.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


@case("backbone", "index with an absolute path", "of this folder only")
def _(folder, sign):
    (folder / WEIGHTS).rename(folder.parent / "outside.safetensors")
    places = {"wte.weight": str(folder.parent / "outside.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


@case("backbone", "header of 200 MB", WEIGHTS)
def _(folder, sign):
    CASES["checkpoint"]["header of 200 MB"][0](folder, sign)


@case("backbone", "width of a billion", "n_embd")
def _(folder, sign):
    change_json(folder / "config.json", n_embd=10**9)


@case("backbone", "sizes that its weights do not have", "do not fill the model")
def _(folder, sign):
    change_json(folder / "config.json", n_embd=2**16, vocab_size=2**20)


@case("backbone", "a billion layers", "n_layer")
def _(folder, sign):
    change_json(folder / "config.json", n_layer=10**9)


@case("backbone", "text for a size", "config.json")
def _(folder, sign):
    change_json(folder / "config.json", n_embd="wide")


@case("backbone", "unknown activation", "config.json")
def _(folder, sign):
    change_json(folder / "config.json", activation_function="__import__('os').abort()")


@case("backbone", "no heads", "config.json")
def _(folder, sign):
    change_json(folder / "config.json", n_head=0)


@case("backbone", "configuration 100,000 levels deep", "config.json")
def _(folder, sign):
    (folder / "config.json").write_text('{"model_type":' + "[" * 100_000 + "]" * 100_000 + "}")


@case("backbone", "pipe for a tokenizer file", "neither a file nor a folder")
def _(folder, sign):
    os.mkfifo(folder / "special_tokens_map.json")


@case("backbone", "tokenizer linked to endless zeros", "neither a file nor a folder")
def _(folder, sign):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").symlink_to("/dev/zero")


@case("backbone", "vocabulary of a gigabyte", "tokenizer.json")
def _(folder, sign):
    with (folder / "tokenizer.json").open("ab") as file:
        file.truncate(2**30)


@case("backbone", "invalid tokenizer", "tokenizer")
def _(folder, sign):
    (folder / "tokenizer.json").write_text('{"model": {"type": "BPE", "vocab": 5}}')


# --- state dicts ---------------------------------------------------------------------------------------------


@case("state dict", "pickle with code", "could run code")
def _(file, sign):
    file.write_bytes(pickle.dumps(Payload(sign), protocol=2))


@case("state dict", "archive with code", "could run code")
def _(file, sign):
    torch.save({"mapping_layer.weight": Payload(sign)}, file)


@case("state dict", "archive that inflates to a gigabyte", "compressed archive")
def _(file, sign):
    archive = io.BytesIO()
    torch.save({"a": torch.ones(2)}, archive)
    with zipfile.ZipFile(archive) as given, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name in given.namelist():
            made.writestr(name, given.read(name) + bytes(2**30 if name.endswith("data.pkl") else 0), compresslevel=1)


def original(backbones) -> dict[str, torch.Tensor]:
    """Return a state dict of an original with the sizes in ``IMPORT``."""
    return original_state(backbones["gpt2"])


IMPORT = ["--context", "48", "--horizon", "12", "--d-model", "8", "--d-ff", "8", "--n-heads", "2"]


@case("state dict", "one value expanded to a huge tensor", "mapping_layer.weight")
def _(file, sign, backbones):
    state = original(backbones)
    state["mapping_layer.weight"] = torch.ones(1).expand(10**9, state["mapping_layer.weight"].shape[1])
    state["mapping_layer.bias"] = torch.ones(1).expand(10**9)
    torch.save(state, file)


@case("state dict", "tensor without values", "mapping_layer.weight")
def _(file, sign, backbones):
    state = original(backbones)
    torch.save({**state, "mapping_layer.weight": state["mapping_layer.weight"].to("meta")}, file)


@case("state dict", "sparse tensor", "mapping_layer.weight")
def _(file, sign, backbones):
    state = original(backbones)
    torch.save({**state, "mapping_layer.weight": state["mapping_layer.weight"].to_sparse()}, file)


@case("state dict", "8-bit floats", "mapping_layer.weight")
def _(file, sign, backbones):
    state = original(backbones)
    torch.save({**state, "mapping_layer.weight": state["mapping_layer.weight"].to(torch.float8_e5m2)}, file)


@case("state dict", "NaN weights", "not finite")
def _(file, sign, backbones):
    torch.save({**original(backbones), "mapping_layer.bias": torch.full((20,), float("nan"))}, file)


@case("state dict", "pipe", "weights.pth")
def _(file, sign):
    os.mkfifo(file)


# --- configuration files -------------------------------------------------------------------------------------


@case("config", "class path", "_target_")
def _(folder, sign):
    (folder / "run.toml").write_text(f'_target_ = "os.mkdir"\npath = "{sign}"\n')
    return folder / "run.toml"


@case("config", "pickle", "run.json")
def _(folder, sign):
    (folder / "run.json").write_bytes(pickle.dumps(Payload(sign)))
    return folder / "run.json"


@case("config", "100,000 levels of TOML", "TOML")
def _(folder, sign):
    (folder / "run.toml").write_text("a = " + "[" * 100_000 + "]" * 100_000)
    return folder / "run.toml"


@case("config", "a key of 100,000 parts", "parts")
def _(folder, sign):
    (folder / "run.toml").write_text("a." * 100_000 + "a = 1")
    return folder / "run.toml"


@case("config", "100,000 levels of JSON", "JSON")
def _(folder, sign):
    (folder / "run.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    return folder / "run.json"


@case("config", "number of 5,000 digits", "TOML")
def _(folder, sign):
    (folder / "run.toml").write_text("[data]\nhorizon = " + "9" * 5000)
    return folder / "run.toml"


@case("config", "100 MB", "bytes")
def _(folder, sign):
    (folder / "run.toml").write_text("#" * 10**8)
    return folder / "run.toml"


@case("config", "endless zeros", "device")
def _(folder, sign):
    (folder / "run.toml").symlink_to("/dev/zero")
    return folder / "run.toml"


@case("config", "pipe", "pipe")
def _(folder, sign):
    os.mkfifo(folder / "run.toml")
    return folder / "run.toml"


@case("config", "absurd sizes", "embedding.d_model")
def _(folder, sign):
    (folder / "run.toml").write_text("[embedding]\nd_model = 1000000000\n")
    return folder / "run.toml"


@case("config", "sizes that are allowed separately but not together", "trained weights")
def _(folder, sign):
    (folder / "run.toml").write_text("[embedding]\nd_model = 1000000\nsemantic = true\n")
    return folder / "run.toml"


# --- tables --------------------------------------------------------------------------------------------------


@case("table", "pickle", "binary file")
def _(file, sign):
    file.write_bytes(pickle.dumps(Payload(sign)))


@case("table", "pickled frame", "binary file")
def _(file, sign):
    pd.DataFrame({"date": [Payload(sign)], "y": [1]}).to_pickle(file)


@case("table", "zip of a workbook's part", "no time column found")
def _(file, sign):
    with zipfile.ZipFile(file, "w") as book:
        book.writestr("xl/workbook.xml", "<workbook/>\n1\n")


@case("table", "NumPy archive with objects", "binary file")
def _(file, sign):
    np.savez(file.open("wb"), a=np.array([Payload(sign)], dtype=object))


@case("table", "HDF5", "binary file")
def _(file, sign):
    file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(2048))


@case("table", "gzip of four gigabytes", "--memory-limit")
def _(file, sign):
    chunk = gzip.compress(bytes(2**26))
    file.write_bytes(gzip.compress(b"date,y\n") + 64 * chunk)


@case("table", "bzip2 of four gigabytes", "--memory-limit")
def _(file, sign):
    file.write_bytes(bz2.compress(b"date,y\n") + 64 * bz2.compress(bytes(2**26)))


@case("table", "xz of four gigabytes", "--memory-limit")
def _(file, sign):
    file.write_bytes(lzma.compress(b"date,y\n") + 64 * lzma.compress(bytes(2**26), preset=0))


@case("table", "xz with a dictionary of a gigabyte", "smaller dictionary")
def _(file, sign):
    # an encoder would take the memory: the size is written into the header of the first block, with its checksum
    made = bytearray(lzma.compress(b"date,y\n2024-01-01,1\n"))
    assert made[12:16] == b"\x02\x00\x21\x01"
    made[16] = 36
    made[20:24] = struct.pack("<I", zlib.crc32(bytes(made[12:20])))
    file.write_bytes(made)


@case("table", "Zstandard of four gigabytes", "--memory-limit")
def _(file, sign):
    if sys.version_info < (3, 14):
        pytest.importorskip("backports.zstd")
    compress = zstd_module().compress
    file.write_bytes(compress(b"date,y\n") + 64 * compress(bytes(2**26)))


@case("table", "zip of four gigabytes", "--memory-limit")
def _(file, sign):
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("t.csv", "w", force_zip64=True) as made,
    ):
        for _ in range(64):
            made.write(bytes(2**26))


@case("table", "zip that lies about its size", "damaged or truncated zip file")
def _(file, sign):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", "date,y\n" + "2024-01-01,1\n" * 2**20)
    made = bytearray(file.read_bytes())
    place = made.index(b"PK\x01\x02") + 24
    made[place : place + 4] = struct.pack("<I", 8)
    file.write_bytes(made)


@case("table", "zip of a million files", "holds 1,000,000 files")
def _(file, sign):
    count = 10**6
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    size = count * len(entry)
    end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, len(local))
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(local) + size, 1)
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 0)
    file.write_bytes(local + entry * count + end + locator + last)


def write_workbook(file: Path, sheet: str, strings: str = "", more: tuple[str, bytes] = ("", b"")) -> None:
    """Write a workbook with this XML in its sheet; ``more`` is a further part."""
    book = io.BytesIO()
    pytest.importorskip("openpyxl").Workbook().save(book)
    with zipfile.ZipFile(book) as archive, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name in archive.namelist():
            if name != "xl/worksheets/sheet1.xml":
                made.writestr(name, archive.read(name))
        space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        made.writestr(
            "xl/worksheets/sheet1.xml",
            f'{strings}<worksheet xmlns="{space}"><sheetData>{sheet}</sheetData></worksheet>',
        )
        if more[0]:
            with made.open(more[0], "w") as part:
                part.write(more[1])


HEADER = '<row r="1"><c r="A1" t="str"><v>date</v></c><c r="B1" t="str"><v>y</v></c></row>'


@case("table", "workbook of a gigabyte", "--memory-limit")
def _(file, sign):
    write_workbook(file, HEADER, more=("xl/other.xml", b" " * 2**30))


@case("table", "workbook with row 10^12", "rows")
def _(file, sign):
    write_workbook(file, HEADER + '<row r="1000000000000"><c r="A1000000000000"><v>1</v></c></row>')


@case("table", "workbook with wide rows", "the header has 2")
def _(file, sign):
    rows = (f'<row r="{i}"><c r="ZZZ{i}"><v>1</v></c></row>' for i in range(2, 20_000))
    write_workbook(file, HEADER + "".join(rows))


@case("table", "workbook with a wide header and wide rows", "--memory-limit")
def _(file, sign):
    rows = (f'<row r="{i}"><c r="ZZZ{i}"><v>1</v></c></row>' for i in range(1, 20_000))
    write_workbook(file, "".join(rows))


@case("table", "workbook with entities in entities", "damaged Excel workbook")
def _(file, sign):
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
    text = f'<!DOCTYPE x [<!ENTITY e0 "{"1" * 100}">{entities}]>'
    write_workbook(file, HEADER + '<row r="2"><c r="A2" t="str"><v>&e9;</v></c></row>', strings=text)


@case("table", "workbook with a file from outside", "damaged Excel workbook")
def _(file, sign):
    text = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    write_workbook(file, HEADER + '<row r="2"><c r="A2" t="str"><v>&e;</v></c></row>', strings=text)


@case("table", "Parquet with hundreds of millions of equal cells", "--memory-limit")
def _(file, sign):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    part = arrow.table({"date": arrow.array(np.zeros(2**24, np.int32)), "y": arrow.array(np.zeros(2**24, np.int32))})
    with parquet.ParquetWriter(file, part.schema) as writer:
        for _ in range(10):
            writer.write_table(part)


@case("table", "endless zeros", "device")
def _(file, sign):
    file.symlink_to("/dev/zero")


@case("table", "pipe", "pipe")
def _(file, sign):
    os.mkfifo(file)


@case("table", "a terabyte without content", "bytes")
def _(file, sign):
    with file.open("wb") as made:
        made.write(b"date,y\n")
        made.truncate(10**12)


@case("table", "formula for a number", "is not a number")
def _(file, sign):
    file.write_text("date,y\n2024-01-01,1\n2024-01-02,=cmd|'/C calc'!A0\n")


@case("table", "cell of a megabyte among semicolons", "cannot be read as CSV")
def _(file, sign):
    file.write_text('date;y\n2024-01-01;"' + "9" * 10**6 + '"\n')


@case("table", "a million columns", "columns")
def _(file, sign):
    file.write_text(",".join(f"c{i}" for i in range(10**6)) + "\n")


# --- bombs: small files that mean a large table -----------------------------------------------------------------

NEWLINES = b"\n" * 2**26
FORMER = {(place, name) for place, cases in CASES.items() for name in cases}


def compressed(file: Path, *parts: bytes) -> None:
    """Write a gzip file of about a thousandth of the size."""
    with gzip.open(file, "wb") as made:
        for part in parts:
            made.write(part)


@case("table", "gzip of newlines", "is empty")
def _(file, sign):
    compressed(file, NEWLINES)


@case("table", "gzip of newlines between rows", "row 67108867")
def _(file, sign):
    compressed(file, b"date,y\n2024-01-01,1\n", NEWLINES, b"2024-01-02,x\n")


@case("table", "gzip of newlines and quotation marks", "--memory-limit")
def _(file, sign):
    compressed(file, b'"date","y"\n', NEWLINES, b"2024-01-02,2\n")


@case("table", "gzip of commas", "columns")
def _(file, sign):
    compressed(file, b"," * 2**26)


@case("table", "gzip of commas in the second row", "columns")
def _(file, sign):
    compressed(file, b"date,y\n", b"," * 2**26)


@case("table", "gzip of rows of commas", "no rows")
def _(file, sign):
    compressed(file, b"date,y\n", b",\n" * 2**24)


@case("table", "gzip of quotation marks", "cannot be read as CSV")
def _(file, sign):
    compressed(file, b'"' * 2**26)


@case("table", "gzip of quoted blanks", "no rows")
def _(file, sign):
    compressed(file, b"date,y\n", b'"",""\n' * 2**23)


@case("table", "gzip of one cell", "is not a date")
def _(file, sign):
    compressed(file, b"date,y\n", b"9" * 2**26, b",1\n")


@case("table", "gzip of one quoted cell over many lines", "")
def _(file, sign):
    compressed(file, b'date,y\n"', b"9\n" * 2**24, b'",1\n')


@case("table", "gzip of one open quotation mark", "")
def _(file, sign):
    compressed(file, b'date,y\n2024-01-01,"', b"9\n" * 2**24)


@case("table", "gzip of short texts", "--memory-limit")
def _(file, sign):
    compressed(file, b"a,b\n" * 2**23)


@case("table", "gzip of equal dates", "")
def _(file, sign):
    compressed(file, b"date,y\n", b"2024-01-01,1\n" * 2**21)


@case("table", "wide header and short rows", "--memory-limit")
def _(file, sign):
    header = ",".join(f"c{i}" for i in range(60_000)).encode()
    compressed(file, header, b"\n1" * 2**20)


@case("table", "wide header and a few short rows", "header")
def _(file, sign):
    header = ",".join(f"c{i}" for i in range(60_000)).encode()
    compressed(file, header, b"\n1" * 1000)


@case("table", "wide header without names", "")
def _(file, sign):
    file.write_bytes(b"date" + b"," * 60_000 + b"\n2024-01-01" + b"," * 60_000 + b"\n")


@case("table", "bzip2 of newlines", "--memory-limit")
def _(file, sign):
    file.write_bytes(bz2.compress(b"date,y\n") + 16 * bz2.compress(NEWLINES))


@case("table", "xz of newlines", "--memory-limit")
def _(file, sign):
    file.write_bytes(lzma.compress(b"date,y\n") + 16 * lzma.compress(NEWLINES, preset=0))


@case("table", "Zstandard of newlines", "--memory-limit")
def _(file, sign):
    if sys.version_info < (3, 14):
        pytest.importorskip("backports.zstd")
    compress = zstd_module().compress
    file.write_bytes(compress(b"date,y\n") + 16 * compress(NEWLINES))


@case("table", "zip of newlines", "--memory-limit")
def _(file, sign):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("t.csv", "w") as made:
        for _ in range(16):
            made.write(NEWLINES)


@case("table", "UTF-16 of one character beyond the first plane", "")
def _(file, sign):
    compressed(file, ("date,y\n" + "9" * 2**24 + "\U0001f600,1\n").encode("utf-16"))


def parquet_case(name: str, says: str):
    """Register a case of the bytes of a Parquet file."""

    def register(make):
        def craft(file, sign):
            pytest.importorskip("pyarrow")
            file.write_bytes(make())

        case("table", f"Parquet with {name}", says)(craft)
        return make

    return register


@parquet_case("a forged number of rows", "--memory-limit")
def _():
    return parquet_file(page(struct.pack("<d", 1), 1), rows=2**40)


@parquet_case("a forged number of values", "damaged Parquet")
def _():
    return parquet_file(page(struct.pack("<d", 1), 2**31 - 1), rows=1000)


@parquet_case("a page that repeats one value", "--memory-limit")
def _():
    first = page(struct.pack("<d", 1), 1, dictionary=True)
    runs = b"\x01" + varint((2**30) << 1) + b"\0"
    return parquet_file(first + page(runs, 2**30, RLE_DICTIONARY), rows=2**30, dictionary=len(first))


@parquet_case("a forged dictionary", "damaged Parquet")
def _():
    first = page(struct.pack("<d", 1), 2**31 - 1, dictionary=True)
    return parquet_file(first + page(b"\x01\x02\0", 1, RLE_DICTIONARY), rows=1, dictionary=len(first))


@parquet_case("a forged dictionary of text", "damaged Parquet")
def _():
    first = page(struct.pack("<I", 1) + b"a", 2**31 - 1, dictionary=True)
    made = first + page(b"\x01\x02\0", 1, RLE_DICTIONARY)
    return parquet_file(made, rows=1, kind=BYTE_ARRAY, dictionary=len(first))


@parquet_case("a forged length of a text", "damaged Parquet")
def _():
    return parquet_file(page(struct.pack("<I", 2**31 - 1) + b"a", 1), rows=1, kind=BYTE_ARRAY)


@parquet_case("a forged size of a page", "--memory-limit")
def _():
    return parquet_file(page(zlib.compress(bytes(8)), 1, size=2**31 - 1), rows=1, codec=GZIP)


@parquet_case("a negative size of a page", "damaged Parquet")
def _():
    return parquet_file(page(zlib.compress(bytes(8)), 1, size=-1), rows=1, codec=GZIP)


@parquet_case("a page of a gigabyte", "--memory-limit")
def _():
    return parquet_file(page(gzip.compress(bytes(2**30), 1), 2**27, size=2**30), rows=2**20, codec=GZIP)


@parquet_case("one long text in every row", "--memory-limit")
def _():
    text = b"x" * 2**20
    first = page(struct.pack("<I", len(text)) + text, 1, dictionary=True)
    runs = b"\x01" + varint((2**20) << 1) + b"\0"
    made = first + page(runs, 2**20, RLE_DICTIONARY)
    return parquet_file(made, rows=2**20, kind=BYTE_ARRAY, dictionary=len(first))


@parquet_case("texts that share one long beginning", "--memory-limit")
def _():
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    table = arrow.table({"y": ["x" * 2**18] * 2**12})
    parquet.write_table(table, file, use_dictionary=False, column_encoding={"y": "DELTA_BYTE_ARRAY"})
    return file.getvalue()


@parquet_case("many row groups", "")
def _():
    group = {1: [], 2: Long(0), 3: Long(0)}
    return with_footer({1: 1, 2: [root(1), leaf("y")], 3: Long(0), 4: [group] * 400_000})


@parquet_case("many columns", "columns")
def _():
    return with_footer({1: 1, 2: [root(10**5), *(leaf(f"c{i}") for i in range(10**5))], 3: Long(0), 4: []})


@parquet_case("many columns in its row group", "")
def _():
    group = {1: [{2: Long(0)}] * 10**6, 2: Long(0), 3: Long(0)}
    return with_footer({1: 1, 2: [root(1), leaf("y")], 3: Long(0), 4: [group]})


@parquet_case("a deep schema", "damaged Parquet")
def _():
    if int(version("pyarrow").split(".")[0]) < 26:
        pytest.skip("the parser of Arrow overflows its stack")
    return with_footer({1: 1, 2: [root(1), *[{3: 0, 4: b"a", 5: 1}] * 10**5, leaf("y")], 3: Long(0), 4: []})


@parquet_case("a list of a hundred million values in one cell", "holds lists")
def _():
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    days = pd.date_range("2024-01-01", periods=2)
    lists = arrow.ListArray.from_arrays([0, 0, 10**8], np.zeros(10**8, np.int8))
    parquet.write_table(arrow.table({"date": days, "y": lists}), file)
    return file.getvalue()


@case("table", "workbook of shared texts", "XML tags")
def _(file, sign):
    write_workbook(file, HEADER, more=("xl/sharedStrings.xml", b"<sst>" + b"<si><t/></si>" * 2**22 + b"</sst>"))


@case("table", "workbook of styles", "XML tags")
def _(file, sign):
    write_workbook(file, HEADER, more=("xl/other.xml", b"<cellXfs>" + b"<xf/>" * 2**21 + b"</cellXfs>"))


@case("table", "workbook of one long text", "")
def _(file, sign):
    cells = "".join(f'<row r="{i}"><c r="A{i}" t="str"><v>{"x" * 2**15}</v></c></row>' for i in range(2, 2000))
    write_workbook(file, HEADER + cells)


@case("table", "workbook of blank cells", "XML tags")
def _(file, sign):
    write_workbook(file, HEADER + '<row r="2">' + "<c/>" * 2**23 + "</row>")


@case("checkpoint", "history of commas", "history.csv")
def _(folder, sign):
    (folder / "history.csv").write_bytes(b"," * (8 * 2**20 - 8))


@case("checkpoint", "history of newlines", "history.csv")
def _(folder, sign):
    (folder / "history.csv").write_bytes(b"\n" * (8 * 2**20 - 8))


@case("checkpoint", "history of short rows", "damaged")
def _(folder, sign):
    head = b"step,epoch,train_loss,validation_loss,learning_rate,gate,windows_per_second,seconds,best\n"
    (folder / "history.csv").write_bytes(head + b"1,1,1,,1,,1,1,\n" * (2**19 - 16))


@case("checkpoint", "history of 15 MiB", "bytes")
def _(folder, sign):
    (folder / "history.csv").write_bytes(b"a,b\n" + b"1,2\n" * (15 * 2**18))


@case("checkpoint", "scaler of empty objects", "objects and lists")
def _(folder, sign):
    (folder / "scaler.json").write_bytes(b'{"ids":[' + b"{}," * (10 * 2**20) + b"{}]}")


@case("checkpoint", "scaler of numbers for names", "scaler.json")
def _(folder, sign):
    change_json(folder / "scaler.json", ids=[0] * (8 * 2**20))


@case("checkpoint", "scaler of short names", "differ in length")
def _(folder, sign):
    (folder / "scaler.json").write_bytes(
        b'{"layout":"wide","frequency":"D","mean":[1.0],"deviation":[0.5],"ids":[' + b'"ab",' * (6 * 2**20) + b'"c"]}'
    )


@case("checkpoint", "configuration of unknown keys", "unknown configuration key")
def _(folder, sign):
    change_config(folder, **{f"data__{i}": 0 for i in range(50_000)})


@case("checkpoint", "provenance of lists", "provenance.json")
def _(folder, sign):
    (folder / "provenance.json").write_bytes(b'{"a":[' + b"[]," * (340 * 2**10) + b"[]]}")


@case("checkpoint", "weights with a header of objects", "objects and lists")
def _(folder, sign):
    header = b'{"__metadata__":[' + b"{}," * (2 * 2**20) + b"{}]}"
    (folder / WEIGHTS).write_bytes(tensors_file(header))


# --- the tests -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def libraries(swt_time):
    """Peak memory of a command that only imports the libraries."""
    return swt_time("info").peak


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """A folder with a valid checkpoint and a table for it."""
    folder = tmp_path_factory.mktemp("valid")
    config = Config.parse(
        {
            "data": {"context": 48, "horizon": 12},
            "embedding": {"d_model": 8, "level": 1},
            "backbone": {"name": "none", "precision": "float32"},
            "model": {"d_ff": 8, "n_heads": 2, "n_prototypes": 10},
        }
    )
    model = build_model(config)
    trained_on = TrainedOn("wide", "D", ["y"], [1.0], [0.5])
    write_checkpoint(folder / "model", Checkpoint(config, model.trained_state(), trained_on, None, {"seed": 0}))
    days = pd.date_range("2024-01-01", periods=120, freq="D")
    pd.DataFrame({"date": days, "y": np.arange(120.0) % 7}).to_csv(folder / "table.csv", index=False)
    return folder


def copy(folder: Path, to: Path) -> Path:
    to.mkdir()
    for file in folder.iterdir():
        if file.is_file():
            (to / file.name).write_bytes(file.read_bytes())
    return to


def craft_case(place: str, craft, folder: Path, valid: Path, backbones: dict[str, Path]) -> list[Any]:
    """Craft a case in a folder and return the command that a user would run on it."""
    more = {"backbones": backbones} if "backbones" in craft.__code__.co_varnames else {}
    sign, table, out = folder / "ran", valid / "table.csv", folder / "out"
    train = ["train", "--data", table, "--out", out, "--horizon", 12, "--context", 48, "--max-steps", 1]
    if place == "checkpoint":
        craft(copy(valid / "model", folder / "model"), sign, **more)
        seal(folder / "model")
        return ["forecast", "--model", folder / "model", "--data", table, "--out", folder / "out.csv"]
    if place == "backbone":
        craft(copy(backbones["gpt2"], folder / "backbone"), sign, **more)
        return [*train, "--backbone", folder / "backbone", "--set", "model.d_ff=8", "--keep-branch"]
    if place == "state dict":
        craft(folder / "weights.pth", sign, **more)
        return ["import", folder / "weights.pth", "--out", out, "--backbone", backbones["gpt2"], *IMPORT]
    if place == "config":
        return [*train, "--backbone", "none", "--config", craft(folder, sign)]
    craft(folder / "crafted.csv", sign)
    return ["train", "--data", folder / "crafted.csv", *train[3:], "--backbone", "none"]


EVERY = [(place, name) for place, cases in CASES.items() for name in cases]
BOMBS = [one for one in EVERY if one not in FORMER]
OUTCOMES: dict[tuple[str, str], bool] = {}


@pytest.mark.parametrize(("place", "name"), EVERY, ids=lambda text: text)
def test_crafted_input_is_refused(swt_time, libraries, valid, tiny_backbones, tmp_path, place, name):
    craft, says = CASES[place][name]
    words = craft_case(place, craft, tmp_path, valid, tiny_backbones)
    before = {path.name for path in tmp_path.iterdir()}
    OUTCOMES[place, name] = False
    run = swt_time(*words, check=False, memory=MEMORY, seconds=3 * SECONDS)
    assert run.returncode == 2, run.stderr
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert line.isprintable()
    assert len(line) < 2000
    assert run.peak - libraries < RESIDENT
    assert run.cpu < SECONDS
    assert {path.name for path in tmp_path.iterdir()} == before  # nothing was written and no code was run
    OUTCOMES[place, name] = True


def test_number_of_cases():
    assert len(EVERY) >= 140
    assert len(BOMBS) >= 45
    assert all(CASES.values())


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} is not set")
def test_results_are_recorded():
    """Runs after all cases, in the same session."""
    assert len(OUTCOMES) == len(EVERY)
    places = ", ".join(f"{place} {len(cases)}" for place, cases in CASES.items())
    record(
        "trust_hostile.csv",
        "hostile files",
        f"crafted files ({places}) are refused with a one-line error: no code is run, the network is not used, nothing "
        f"is written, at most {RESIDENT // 2**20} MiB of memory and {SECONDS} seconds of CPU time are used",
        len(EVERY),
        sum(OUTCOMES.values()),
        "python -m pytest tests/test_hostile.py",
    )
    record(
        "trust_hostile.csv",
        "hostile files",
        "small files that mean a large table, histories and JSON of checkpoints that mean large objects are refused "
        f"within {RESIDENT // 2**20} MiB of memory beside the libraries and {SECONDS} seconds of CPU time",
        len(BOMBS),
        sum(OUTCOMES[one] for one in BOMBS),
        "python -m pytest tests/test_hostile.py",
    )


# --- controls ------------------------------------------------------------------------------------------------


def test_valid_input_is_accepted(swt_time, valid, tiny_backbones, tmp_path):
    """Each command of the cases above succeeds with a file that was not changed."""

    def untouched(path, sign, backbones):
        if path.name == "weights.pth":
            torch.save(original(backbones), path)
        if path.name == "crafted.csv":
            path.write_bytes((valid / "table.csv").read_bytes())

    def config(folder, sign):
        (folder / "run.toml").write_text("[embedding]\nd_model = 8\n")
        return folder / "run.toml"

    for place in CASES:
        craft = config if place == "config" else (lambda path, sign: untouched(path, sign, tiny_backbones))
        folder = tmp_path / place
        folder.mkdir()
        swt_time(*craft_case(place, craft, folder, valid, tiny_backbones), memory=4 * MEMORY, seconds=60)


def test_the_payload_runs_when_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))
    assert (tmp_path / "ran").is_dir()


def test_the_limits_take_effect(swt_time, valid, tmp_path):
    """A command that takes more memory than allowed fails, and one that takes too long is killed."""
    hours = pd.date_range("2000-01-01", periods=200_000, freq="h")
    pd.DataFrame({"date": hours, "y": np.arange(200_000.0) % 7}).to_csv(tmp_path / "table.csv", index=False)
    words = ["forecast", "--model", valid / "model", "--data", tmp_path / "table.csv", "--out", tmp_path / "out.csv"]
    words += ["--cutoff", "2001-01-01"]
    assert swt_time(*words, check=False, memory=MEMORY).returncode == 0
    words = ["train", "--data", tmp_path / "table.csv", "--out", tmp_path / "m", "--backbone", "none"]
    assert swt_time(*words, check=False, memory=2**20).returncode not in (0, 2)
    assert swt_time(*words, check=False, seconds=1).returncode == -14


def test_info_and_bands_refuse_a_crafted_checkpoint(swt_time, valid, tmp_path):
    folder = copy(valid / "model", tmp_path / "model")
    (folder / WEIGHTS).write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    seal(folder)
    for words in (["info"], ["bands", "--data", valid / "table.csv", "--out", tmp_path / "bands.png"]):
        run = swt_time(*words, "--model", folder, check=False)
        assert run.returncode == 2, run.stderr
    assert not (tmp_path / "ran").exists()


def test_loading_in_python_refuses_a_crafted_checkpoint(valid, tmp_path):
    folder = copy(valid / "model", tmp_path / "model")
    (folder / WEIGHTS).write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    seal(folder)
    with pytest.raises(ValueError, match=WEIGHTS):
        Forecaster.load(folder)
    assert not (tmp_path / "ran").exists()
