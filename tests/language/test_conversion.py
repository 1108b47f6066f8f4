"""Pickled weights become equal safetensors, all or nothing, and no code in a pickle is run."""

import json
import os
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file

from support.backbones import load_backbone, save_tiny_backbone
from swt_time.errors import BackboneError, SaveError
from swt_time.language import conversion
from swt_time.language.conversion import convert_backbone
from swt_time.language.formats import INDEX, WEIGHTS

BIN = "pytorch_model.bin"


class Payload:
    """When unpickled, creates a folder, which shows that code was run."""

    def __init__(self, sign):
        self.sign = sign

    def __reduce__(self):
        return os.mkdir, (str(self.sign),)


@pytest.fixture
def source(tmp_path):
    """A tiny GPT-2 without weights, and its weights."""
    folder = save_tiny_backbone(tmp_path / "source", "gpt2")
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    return folder, weights


def halves(weights):
    names = sorted(weights)
    return [{name: weights[name] for name in part} for part in (names[::2], names[1::2])]


def save_shards(folder, parts, *, index):
    places = {}
    for i, part in enumerate(parts, 1):
        name = f"pytorch_model-{i:05}-of-{len(parts):05}.bin"
        torch.save(part, folder / name)
        places |= dict.fromkeys(part, name)
    if index:
        (folder / f"{BIN}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def read_all(folder):
    return {name: w for file in folder.glob("*.safetensors") for name, w in load_file(file).items()}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


def entries(folder):
    return {path.relative_to(folder).as_posix(): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("zipped", [True, False])
def test_one_file_is_converted_tensor_for_tensor(tmp_path, family, zipped):
    """Releases of PyTorch before 1.6 wrote no archive."""
    folder = save_tiny_backbone(tmp_path / "tiny [1]", family)
    expected, weights = load_backbone(folder).identity, load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    torch.save(weights, folder / BIN, _use_new_zipfile_serialization=zipped)
    (folder / "README.md").write_text("not copied")
    out = tmp_path / "out"
    assert set(convert_backbone(str(folder), out)) == set(weights)
    assert_equal(load_file(out / WEIGHTS), weights)
    copied = {path.name for path in folder.glob("*.json")}
    assert {path.name for path in out.iterdir()} == copied | {WEIGHTS}
    assert all((out / name).read_bytes() == (folder / name).read_bytes() for name in copied)
    (tmp_path / "new").touch()
    assert {path.stat().st_mode for path in out.iterdir()} == {(tmp_path / "new").stat().st_mode}
    assert load_backbone(out).identity.sha256 == expected.sha256


@pytest.mark.parametrize("index", [True, False])
def test_several_files_are_converted(source, tmp_path, index):
    folder, weights = source
    save_shards(folder, halves(weights), index=index)
    done = []
    convert_backbone(str(folder), tmp_path / "out", report=lambda *counts: done.append(counts))
    assert_equal(read_all(tmp_path / "out"), weights)
    assert not list((tmp_path / "out").glob("pytorch_model*"))
    assert len(json.loads((tmp_path / "out" / INDEX).read_text())["weight_map"]) == len(weights)
    assert len(done) == 2
    assert done[-1][0] == done[-1][1] == sum(file.stat().st_size for file in folder.glob("*.bin"))
    assert load_backbone(tmp_path / "out").identity.layers == 2


def test_dtypes_ties_and_views_are_kept(source, tmp_path):
    folder, _ = source
    matrix = torch.randn(4, 6)
    weights = {
        "half": matrix.half(),
        "bfloat16": matrix.bfloat16(),
        "double": matrix.double(),
        "float8": matrix.to(torch.float8_e4m3fn),
        "long": torch.arange(3),
        "flags": torch.tensor([True, False]),
        "none": torch.zeros(0, 3),
        "scalar": torch.tensor(2.0),
        "tied": matrix,
        "tied again": matrix,
        "transposed": matrix.T,
        "part": matrix[1:3, 2:],
    }
    torch.save(weights, folder / BIN)
    convert_backbone(str(folder), tmp_path / "out")
    found = load_file(tmp_path / "out" / WEIGHTS)
    assert torch.equal(found.pop("float8").view(torch.uint8), weights.pop("float8").view(torch.uint8))
    assert_equal(found, weights)


def test_code_is_never_run(source, tmp_path):
    folder, weights = source
    torch.save({**weights, "wte.weight": Payload(tmp_path / "ran")}, folder / BIN)
    with pytest.raises(BackboneError, match=r"would import .*mkdir, which could run code"):
        convert_backbone(str(folder), tmp_path / "out")
    (folder / BIN).write_bytes(pickle.dumps(Payload(tmp_path / "ran"), protocol=2))
    with pytest.raises(BackboneError, match="could run code"):
        convert_backbone(str(folder), tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


def test_code_runs_without_the_protection(source, tmp_path):
    """Control of the test above."""
    torch.save({"a": Payload(tmp_path / "ran")}, source[0] / BIN)
    torch.load(source[0] / BIN, weights_only=False)
    assert (tmp_path / "ran").is_dir()


def damage(kind, folder, weights, out):
    """Make a source or an output that is refused."""
    if kind not in ("no weights", "no configuration", "weights of another format"):
        torch.save(weights, folder / BIN)
    if kind == "converted before":
        (folder / WEIGHTS).write_bytes(b"")
    if kind == "no configuration":
        (folder / "config.json").unlink()
    if kind == "truncated":
        (folder / BIN).write_bytes((folder / BIN).read_bytes()[:1000])
    if kind == "one value as a huge tensor":
        torch.save({"a": torch.ones(1).expand(10**12)}, folder / BIN)
    if kind == "one tensor with many names":
        torch.save({f"a{i}": weights["wte.weight"] for i in range(20)}, folder / BIN)
    if kind == "a dtype that safetensors lacks":
        torch.save({"a": torch.ones(2, dtype=torch.complex128)}, folder / BIN)
    if kind in ("missing part", "listed part is missing", "outside", "twice"):
        (folder / BIN).unlink()
        save_shards(folder, [weights, weights] if kind == "twice" else halves(weights), index="part is" in kind)
        if "missing" in kind:
            (folder / "pytorch_model-00002-of-00002.bin").unlink()
        if kind == "outside":
            (folder / f"{BIN}.index.json").write_text('{"weight_map": {"a": "../a.bin"}}')
    if kind == "pipe":
        (folder / BIN).unlink()
        os.mkfifo(folder / BIN)
    if kind == "large tokenizer":
        with (folder / "tokenizer.json").open("ab") as file:
            file.truncate(2**30)
    if kind == "output exists":
        out.mkdir()
    if kind == "output is a file":
        out.write_text("mine")


REFUSED = {
    "no weights": "no pytorch_model.bin in",
    "no configuration": "no config.json in",
    "converted before": "holds model.safetensors and needs no conversion",
    "truncated": "damaged or not a state dict",
    "one value as a huge tensor": "not a dense tensor",
    "one tensor with many names": "more than 8 times its size",
    "a dtype that safetensors lacks": "complex128",
    "missing part": "found 1 of 2 files of weights",
    "listed part is missing": "00002.bin is missing or no file",
    "outside": "must list bin files of this folder only",
    "twice": "is in two files",
    "pipe": "is missing or no file",
    "large tokenizer": "expected at most 67,108,864 bytes",
    "output exists": "exists; choose another one or pass overwrite=True",
    "output is a file": "is a file",
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_leaves_nothing(source, tmp_path, kind):
    folder, weights = source
    damage(kind, folder, weights, tmp_path / "out")
    before = entries(tmp_path) if kind not in ("pipe", "large tokenizer") else set(tmp_path.rglob("*"))
    with pytest.raises(BackboneError) as refused:
        convert_backbone(str(folder), tmp_path / "out")
    assert REFUSED[kind] in str(refused.value)
    assert before == (entries(tmp_path) if isinstance(before, dict) else set(tmp_path.rglob("*")))


@pytest.mark.parametrize("place", ["inner", "", "a link"])
def test_an_output_in_the_source_is_refused(source, tmp_path, place):
    folder, weights = source
    torch.save(weights, folder / BIN)
    (tmp_path / "a link").symlink_to(folder)
    out = tmp_path / place / "inner" if place == "a link" else folder / place
    before = entries(folder)
    with pytest.raises(BackboneError, match=r"lies in the backbone|is not a converted backbone"):
        convert_backbone(str(folder), out, overwrite=True)
    assert entries(folder) == before


def test_only_a_converted_backbone_is_overwritten(source, tmp_path):
    folder, weights = source
    torch.save(weights, folder / BIN)
    out = tmp_path / "out"
    convert_backbone(str(folder), out)
    torch.save({"wte.weight": weights["wte.weight"]}, folder / BIN)
    convert_backbone(str(folder), out, overwrite=True)
    assert list(load_file(out / WEIGHTS)) == ["wte.weight"]
    (out / "notes.docx").write_text("mine")
    with pytest.raises(BackboneError, match=r"is not a converted backbone \(it holds notes.docx\)"):
        convert_backbone(str(folder), out, overwrite=True)
    shutil.rmtree(out)
    out.mkdir()
    with pytest.raises(BackboneError, match=r"is not a converted backbone \(it holds no model.safetensors\)"):
        convert_backbone(str(folder), out, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"source", "out"}


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("moment", ["first file", "renamed away", "in place"])
def test_an_interrupted_conversion_leaves_the_old_or_the_new_folder(source, tmp_path, monkeypatch, moment, existing):
    folder, weights = source
    save_shards(folder, halves(weights), index=True)
    out, old = tmp_path / "out", None
    if existing:
        convert_backbone(str(folder), out)
        old = entries(out)
    rename = conversion.Path.rename

    def interrupt(path, target):
        if moment == "renamed away" and path.suffix == ".part":
            raise KeyboardInterrupt
        rename(path, target)
        if moment == "in place" and path.suffix == ".part":
            raise KeyboardInterrupt

    def report(done, total):
        if moment == "first file":
            raise KeyboardInterrupt

    monkeypatch.setattr(conversion.Path, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert_backbone(str(folder), out, overwrite=existing, report=report)
    monkeypatch.undo()
    expected = {"source", "out"} if existing or moment == "in place" else {"source"}
    assert {path.name for path in tmp_path.iterdir()} == expected
    if existing and moment != "in place":
        assert entries(out) == old
    elif moment == "in place":
        assert_equal(read_all(out), weights)


def test_an_old_folder_that_cannot_be_moved_back_is_kept(source, tmp_path, monkeypatch):
    folder, weights = source
    torch.save(weights, folder / BIN)
    out = tmp_path / "out"
    convert_backbone(str(folder), out)
    old, rename = entries(out), conversion.Path.rename

    def fail(path, target):
        if path != out:
            raise OSError(5, "Input/output error")
        rename(path, target)

    monkeypatch.setattr(conversion.Path, "rename", fail)
    with pytest.raises(OSError, match="Input/output error"):
        convert_backbone(str(folder), out, overwrite=True)
    monkeypatch.undo()
    (kept,) = tmp_path.glob(".*.old")
    assert entries(kept) == old


def test_an_error_of_the_disk_leaves_nothing(source, tmp_path, monkeypatch):
    folder, weights = source
    torch.save(weights, folder / BIN)

    def fail(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion.os, "fsync", fail)
    with pytest.raises(SaveError, match=r"cannot write .*out: No space left on device; nothing was kept"):
        convert_backbone(str(folder), tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


def test_a_repository_of_the_hub_is_downloaded_and_converted(source, tmp_path, monkeypatch):
    folder, weights = source
    torch.save(weights, folder / BIN)
    asked = []

    def download(repo_id, allow_patterns):
        asked.append((repo_id, allow_patterns))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    convert_backbone("tiny/gpt2", tmp_path / "out")
    assert asked == [("tiny/gpt2", ["*.json", "*.txt", "*.model", "pytorch_model*.bin"])]
    assert_equal(load_file(tmp_path / "out" / WEIGHTS), weights)


# --- the command ---------------------------------------------------------------------------------------------


def test_command(swt_time, source, tmp_path):
    folder, weights = source
    torch.save(weights, folder / BIN)
    run = swt_time("backbone", "convert", folder, tmp_path / "out")
    assert run.stdout.splitlines() == [f"converted {len(weights)} tensors of {folder}", f"backbone: {tmp_path / 'out'}"]
    assert_equal(load_file(tmp_path / "out" / WEIGHTS), weights)
    again = swt_time("backbone", "convert", folder, tmp_path / "out", check=False)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "exists; choose another one or pass --overwrite" in again.stderr
    swt_time("backbone", "convert", folder, tmp_path / "out", "--overwrite")
