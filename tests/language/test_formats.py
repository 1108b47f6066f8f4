"""Weights in other formats are refused with what converts them, a command or lines of Python, which is run here."""

import contextlib
import io
import json
import re
import shlex
import signal

import pytest
import torch
from safetensors.torch import load_file, save_file

from support.backbones import load_backbone, save_tiny_backbone
from swt_time import Forecaster, cli
from swt_time.errors import BackboneError, SWTTimeWarning

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path, family):
    """A tiny backbone of each family that a test may change."""
    return save_tiny_backbone(tmp_path / "tiny [1]", family)


@pytest.fixture
def gpt2(tmp_path):
    return save_tiny_backbone(tmp_path / "gpt2", "gpt2")


def take_weights(folder):
    """Remove the weights from a folder and return them."""
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    return weights


def halves(weights):
    names = sorted(weights)
    return [{name: weights[name] for name in part} for part in (names[::2], names[1::2])]


def refusal(folder, table):
    """Return the message with which training on a backbone is refused."""
    forecaster = Forecaster(12, 48, backbone=str(folder), max_steps=1)
    with pytest.raises(BackboneError) as refused:
        forecaster.fit(table)
    message = str(refused.value)
    assert message.startswith(f"backbone {str(folder)!r}: found ")
    return message


def run_lines(message):
    """Run the lines of Python at the end of a message."""
    with contextlib.redirect_stderr(io.StringIO()):
        exec(re.search(r"with Python: (.*)$", message)[1], {})


def run_command(message):
    """Run the command in a message, and load the backbone that the message advises to use."""
    command, name = re.search(r"convert it: swt-time (.*); then set backbone.name to (.*)$", message).groups()
    former = signal.getsignal(signal.SIGTERM)
    assert cli.run(shlex.split(command)) == 0
    signal.signal(signal.SIGTERM, former)
    return load_backbone(name)


def test_pickled_weights_are_converted(folder, hourly_wide):
    expected = load_backbone(folder).identity.sha256
    torch.save(take_weights(folder), folder / "pytorch_model.bin")
    message = refusal(folder, hourly_wide)
    assert "found pytorch_model.bin (weights as a pickle, which could run code)" in message
    assert run_command(message).identity.sha256 == expected


def test_the_lines_for_a_deep_folder_are_whole_on_the_command_line(tmp_path, hourly_wide, capsys):
    """The command line cuts a long line in its middle."""
    folder = save_tiny_backbone(tmp_path / ("x" * (220 - len(str(tmp_path)))), "gpt2")
    expected = load_backbone(folder).identity.sha256
    for i, part in enumerate(halves(take_weights(folder)), 1):
        save_file(part, folder / f"model-{i:05}-of-00002.safetensors")
    hourly_wide.to_csv(tmp_path / "t.csv", index=False)
    words = ("train", "--data", tmp_path / "t.csv", "--out", tmp_path / "m", "--horizon", 12, "--context", 48)
    capsys.readouterr()
    assert cli.run([str(word) for word in (*words, "--backbone", folder)]) == 2
    run_lines(capsys.readouterr().err.strip())
    assert load_backbone(folder).identity.sha256 == expected


def test_pickled_shards_with_an_index_are_converted(gpt2, hourly_wide):
    expected = load_backbone(gpt2).identity.sha256
    places = {}
    for i, part in enumerate(halves(take_weights(gpt2)), 1):
        torch.save(part, gpt2 / f"pytorch_model-{i:05}-of-00002.bin")
        places |= dict.fromkeys(part, f"pytorch_model-{i:05}-of-00002.bin")
    (gpt2 / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert run_command(refusal(gpt2, hourly_wide)).identity.sha256 == expected


def test_shards_without_an_index_are_joined(folder, hourly_wide):
    expected = load_backbone(folder).identity.sha256
    for i, part in enumerate(halves(take_weights(folder)), 1):
        save_file(part, folder / f"model-{i:05}-of-00002.safetensors")
    message = refusal(folder, hourly_wide)
    assert "found model-00001-of-00002.safetensors without model.safetensors.index.json" in message
    run_lines(message)
    assert load_backbone(folder).identity.sha256 == expected


def test_pickled_shards_without_an_index_are_converted(folder, hourly_wide):
    expected = load_backbone(folder).identity.sha256
    for i, part in enumerate(halves(take_weights(folder)), 1):
        torch.save(part, folder / f"pytorch_model-{i:05}-of-00002.bin")
    message = refusal(folder, hourly_wide)
    assert "found pytorch_model-00001-of-00002.bin (weights as a pickle, which could run code)" in message
    assert run_command(message).identity.sha256 == expected


def test_missing_shards_are_counted(gpt2, hourly_wide):
    save_file(take_weights(gpt2), gpt2 / "model-00002-of-00003.safetensors")
    message = refusal(gpt2, hourly_wide)
    assert "found 1 of 3 files model-*.safetensors, and no index" in message
    assert "download all of them" in message


def test_variants_are_converted(folder, hourly_wide):
    expected = load_backbone(folder).identity.sha256
    save_file(take_weights(folder), folder / "model.fp16.safetensors", {"format": "pt"})
    message = refusal(folder, hourly_wide)
    assert "found model.fp16.safetensors (a variant)" in message
    run_lines(message)
    assert load_backbone(folder).identity.sha256 == expected


@pytest.mark.parametrize("file", ["consolidated.safetensors", "consolidated.00.pth"])
def test_consolidated_weights_are_named(gpt2, hourly_wide, file):
    take_weights(gpt2)
    (gpt2 / "config.json").unlink()  # such folders hold params.json
    (gpt2 / file).write_bytes(b"weights")
    message = refusal(gpt2, hourly_wide)
    assert f"found {file} (weights with the names of the model's authors" in message
    assert "snapshot_download('OWNER/MODEL'" in message


def test_gguf_weights_are_named(gpt2, hourly_wide):
    for path in gpt2.iterdir():
        path.unlink()
    (gpt2 / "tiny-q4.gguf").write_bytes(b"GGUF")
    message = refusal(gpt2, hourly_wide)
    assert "found tiny-q4.gguf (quantised weights of llama.cpp)" in message
    assert "pip install gguf" in message
    assert "gguf_file='tiny-q4.gguf', quantization_config=GgufConfig(dequantize=True)" in message
    compile(re.search(r"with Python: (.*)$", message)[1], "lines", "exec")


@pytest.mark.parametrize(("task", "kind"), [("CAUSAL_LM", "AutoPeftModelForCausalLM"), (None, "AutoPeftModel")])
def test_adapters_are_named(gpt2, hourly_wide, task, kind):
    for path in gpt2.iterdir():
        path.unlink()
    values = {"base_model_name_or_path": "openai/gpt2", "task_type": task}
    (gpt2 / "adapter_config.json").write_text(json.dumps(values))
    (gpt2 / "adapter_model.safetensors").write_bytes(b"weights")
    message = refusal(gpt2, hourly_wide)
    assert "found adapter_config.json (an adapter of 'openai/gpt2', not a model)" in message
    assert "pip install peft" in message
    assert f"{kind}.from_pretrained({str(gpt2)!r}).merge_and_unload()" in message
    compile(re.search(r"with Python: (.*)$", message)[1], "lines", "exec")


def test_an_adapter_beside_weights_gives_a_warning(gpt2):
    (gpt2 / "adapter_config.json").write_text("{}")
    with pytest.warns(SWTTimeWarning, match=r"the adapter in .* is not applied to the weights beside it"):
        load_backbone(gpt2)


@pytest.mark.parametrize("file", ["tf_model.h5", "flax_model.msgpack", "weights.safetensors"])
def test_other_weights_are_named(gpt2, hourly_wide, file):
    take_weights(gpt2)
    (gpt2 / file).write_bytes(b"weights")
    (gpt2 / "training_args.bin").write_bytes(b"no weights")
    assert f"found {file}, expected model.safetensors; save" in refusal(gpt2, hourly_wide)


def test_a_folder_without_weights_is_an_error(gpt2, hourly_wide):
    take_weights(gpt2)
    with pytest.raises(BackboneError, match=r"cannot read .*model.safetensors: No such file"):
        Forecaster(12, 48, backbone=str(gpt2)).fit(hourly_wide)


def test_random_weights_need_no_file(gpt2):
    take_weights(gpt2)
    assert load_backbone(gpt2, random_init=True).identity.layers == 2


def test_pickled_weights_on_the_hub_are_converted_to_a_new_folder(gpt2, hourly_wide, monkeypatch):
    """The hub's files that were not downloaded count too."""
    take_weights(gpt2)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(gpt2))
    monkeypatch.setattr("huggingface_hub.list_repo_files", lambda _: ["config.json", "pytorch_model.bin", "a/b.bin"])
    message = refusal("tiny/gpt2", hourly_wide)
    assert (
        "found pytorch_model.bin (weights as a pickle, which could run code) in the repository 'tiny/gpt2'" in message
    )
    assert "swt-time backbone convert tiny/gpt2 backbone; then set backbone.name to backbone" in message
