"""A model that is pushed to the hub is loaded from it bit for bit; everything else is refused with a remedy."""

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from support.hub import TOKEN
from swt_time import CheckpointError, ConfigError, Forecaster, HubError, SWTTimeWarning, cli
from swt_time.checkpoints.checkpoint import FILES, content_of
from swt_time.hub.downloading import LIMITS, _write
from swt_time.hub.names import HubName, hub_name
from swt_time.hub.sharing import push
from swt_time.language import BackboneIdentity

NAME = "acme/demand"


@pytest.fixture
def commit(hub, fitted) -> str:
    """The commit of a forecaster that was pushed."""
    return fitted.push_to_hub(NAME, license="mit")


def same(loaded, fitted, table):
    pd.testing.assert_frame_equal(loaded.predict(table), fitted.predict(table), check_exact=True)


def listing(hub):
    return hub.asked["list"], hub.asked["file"]


def test_a_pushed_model_forecasts_the_same_bit_for_bit(hub, commit, fitted, table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(Forecaster.from_pretrained(NAME, revision=commit), fitted, table)
    assert hub.commits[NAME, commit].keys() == {*LIMITS, "README.md", ".gitattributes"}
    assert [headers.get("Authorization") for headers in hub.elsewhere] == [None]  # the token stays with the hub


def test_a_pinned_commit_is_downloaded_once(hub, commit, fitted, table):
    Forecaster.from_pretrained(f"{NAME}@{commit}")
    before = listing(hub)
    same(Forecaster.load(f"{NAME}@{commit}"), fitted, table)
    assert listing(hub) == before == (1, before[1])


def test_only_files_of_a_checkpoint_are_downloaded(hub, commit, tmp_path):
    hub.commit(NAME, {"evil.py": b"raise SystemExit", "model.pkl": b"\x80\x04."})
    with pytest.warns(SWTTimeWarning, match="took commit"):
        Forecaster.from_pretrained(NAME)
    downloaded = {path.name for path in (tmp_path / "hub-cache").rglob("snapshots/*/*")}
    assert downloaded == {path.name for path in (tmp_path / "cache/swt-time/hub/acme").rglob("demand/*")} == {*LIMITS}


def test_without_a_revision_the_commit_is_named(hub, commit, fitted, table):
    with pytest.warns(SWTTimeWarning, match=f"took commit {commit} of {NAME}.*{NAME}@{commit}"):
        same(Forecaster.load(NAME), fitted, table)


def test_a_revision_means_its_own_files(hub, commit, fitted, table, tmp_path):
    other = Forecaster(horizon=2, preset="fast", context=96).fit(table)
    newer = other.push_to_hub(NAME, revision="two-steps")
    assert len(Forecaster.from_pretrained(NAME, revision=newer).predict(table)) == 2
    with pytest.warns(SWTTimeWarning, match=f"took commit {newer}"):
        assert len(Forecaster.load(f"{NAME}@two-steps").predict(table)) == 2
    same(Forecaster.from_pretrained(NAME, revision=commit), fitted, table)


def test_offline_the_cache_is_used(hub, commit, fitted, table, monkeypatch, tmp_path):
    with pytest.warns(SWTTimeWarning):
        Forecaster.load(NAME)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    before = listing(hub)
    with pytest.warns(SWTTimeWarning, match=f"took commit {commit}"):
        same(Forecaster.load(NAME), fitted, table)
    same(Forecaster.load(f"{NAME}@{commit}"), fitted, table)
    assert listing(hub) == before
    with pytest.raises(HubError, match=r"downloads are turned off.*unset HF_HUB_OFFLINE"):
        Forecaster.from_pretrained("acme/another")
    with pytest.raises(HubError, match="the hub is turned off: unset HF_HUB_OFFLINE"):
        fitted.push_to_hub(NAME)


def changed(data: bytes) -> bytes:
    return data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]


@pytest.mark.parametrize("file", [*FILES, "manifest.json"])
def test_a_file_that_its_manifest_does_not_record_is_refused(hub, commit, file):
    tampered = hub.commit(NAME, {file: changed(hub.commits[NAME, commit][file])})
    with pytest.raises(CheckpointError, match=rf"the checkpoint {NAME}@{tampered} of the hub is damaged: {file}"):
        Forecaster.from_pretrained(NAME, revision=tampered)
    assert not list(Path("cache").rglob("config.json"))


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_content_that_the_hub_does_not_list_is_refused(hub, commit, file, fitted, table, monkeypatch):
    """As a redirect to another server could give it; the manifest is not even asked, and the cache forgets it."""
    hub.tampered[file] = changed(hub.commits[NAME, commit][file])
    with pytest.raises(CheckpointError, match=rf"{file} of .* is not the file that the hub lists, and was removed"):
        Forecaster.from_pretrained(NAME, revision=commit)
    with monkeypatch.context() as offline:
        offline.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(HubError, match="not in the cache"):
            Forecaster.from_pretrained(NAME, revision=commit)
    hub.tampered.clear()
    same(Forecaster.from_pretrained(NAME, revision=commit), fitted, table)


@pytest.mark.parametrize("file", LIMITS)
def test_too_large_files_are_refused_before_they_are_downloaded(hub, commit, file):
    hub.sizes[file] = LIMITS[file] + 1
    with pytest.raises(CheckpointError, match=rf"{file} of the repository .* is too large: expected at most"):
        Forecaster.from_pretrained(NAME, revision=commit)
    assert listing(hub) == (1, 0)


def test_more_than_was_listed_is_not_read(hub, commit):
    hub.tampered["provenance.json"] = b" " * (LIMITS["provenance.json"] + 1)
    with pytest.raises(CheckpointError, match=r"cannot read .*provenance.json: expected at most 1,048,576 bytes"):
        Forecaster.from_pretrained(NAME, revision=commit)


def test_a_repository_that_is_no_checkpoint(hub):
    commit = hub.commit("acme/other", {"config.json": b"{}", "pytorch_model.bin": b"\x80\x04."})
    with pytest.raises(CheckpointError, match=r"holds no checkpoint of swt-time: manifest.json, model.safetensors"):
        Forecaster.from_pretrained("acme/other", revision=commit)
    assert listing(hub) == (1, 0)


def test_what_the_hub_refuses_has_a_remedy(hub, commit, fitted, monkeypatch):
    def refused(action, text):
        with pytest.raises(HubError, match=text) as error:
            action()
        assert "\n" not in str(error.value)

    refused(lambda: Forecaster.from_pretrained("acme/missing"), "no such model, or it is private: check the name")
    refused(lambda: Forecaster.load("acme/missing"), "there is no folder 'acme/missing' here, and the checkpoint")
    refused(lambda: Forecaster.from_pretrained(NAME, revision="v9"), "no such revision: expected a branch")
    refused(lambda: Forecaster.from_pretrained(NAME, token="hf_wrong"), r"refuses the access token.*\(401\)")
    refused(lambda: fitted.push_to_hub(NAME, token="hf_wrong"), r"refuses the access token.*\(401\).*hf auth login")
    refused(lambda: fitted.push_to_hub("somebody/demand"), r"may not write it \(403\)")
    refused(lambda: fitted.push_to_hub(NAME, license="no-such-license"), "Invalid metadata.*license.*must be one of")
    hub.page = b"<html>"
    refused(lambda: Forecaster.from_pretrained(NAME), "check the name, and HF_ENDPOINT")
    hub.page = b'{"id": "acme/demand", "sha": "../../../escape", "siblings": []}'
    refused(lambda: Forecaster.from_pretrained(NAME), "answers for acme/demand with the commit '../../../escape'")
    hub.page = None
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    refused(
        lambda: Forecaster.from_pretrained(NAME), r"cannot be reached \(.*refused.*check the network.*HF_HUB_OFFLINE=1"
    )
    refused(lambda: fitted.push_to_hub(NAME), "cannot be pushed.*cannot be reached")


def test_a_language_model_in_a_folder_is_noted(hub, fitted):
    found = fitted.trained
    named = replace(found.checkpoint, backbone=BackboneIdentity("/home/me/llama", "llama", 1, "ab12"))
    with pytest.warns(SWTTimeWarning, match="show where the language model is on this machine, /home/me/llama"):
        push(named, HubName(NAME), private=None, license=None, token=None, message="message")
    assert b"/home/me" not in hub.commits[NAME, hub.branches[NAME, "main"]]["README.md"]


def test_a_folder_wins_and_a_path_is_no_repository(hub, commit, fitted, table, tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        Forecaster.load(Path(NAME))
    fitted.save(tmp_path / NAME)
    same(Forecaster.load(NAME), fitted, table)
    with pytest.raises(CheckpointError, match="no checkpoint folder at acme/demnad"):
        Forecaster.load("acme/demnad")
    assert listing(hub) == (0, 0)
    assert hub_name(f"acme/missing@{commit}") == HubName("acme/missing", commit)
    (tmp_path / "acme/missing@v1").mkdir()
    assert hub_name("acme/missing@v1") is None


@pytest.mark.parametrize(
    "text",
    ["model", "./a/b", "/a/b", "~/a/b", "../b", "a/b/c", "a//b", "a/../b", "a/b@", "a/b@../c", "ä/b", "a/b\n", ""],
)
def test_names_that_are_no_repository(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hub_name(text) is None
    with pytest.raises(ConfigError, match=r"expected owner/name|expected a branch"):
        HubName.parse(text)


def test_a_revision_is_given_once():
    assert HubName.parse("a/b@v1") == HubName.parse("a/b", "v1") == HubName("a/b", "v1")
    with pytest.raises(ConfigError, match="given twice"):
        HubName.parse("a/b@v1", "v1")


def test_commands_take_models_of_the_hub(hub, commit, table, fitted, capsys):
    table.to_csv("table.csv", index=False)
    name = f"{NAME}@{commit}"
    assert cli.run(["forecast", "--model", name, "--data", "table.csv", "--out", "forecast.csv"]) == 0
    assert len(pd.read_csv("forecast.csv")) == 4
    assert cli.run(["info", "--model", name]) == 0
    assert "closed_form" in capsys.readouterr().out
    assert cli.run(["update", "--model", name, "--data", "table.csv"]) == 2
    assert cli.run(["info", "--model", "acme/missing"]) == 2
    assert "there is no folder 'acme/missing' here" in capsys.readouterr().err


def test_commands_that_read_a_folder_take_models_of_the_hub(hub, commit, fitted, monkeypatch, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("fastapi")
    name, served = f"{NAME}@{commit}", []
    assert cli.run(["export", "m.onnx", "--model", name]) == 0
    assert Path("m.onnx").stat().st_size > 1000
    monkeypatch.setattr("swt_time.serve.server.serve", served.append)
    assert cli.run(["serve", "--model", name, "--port", "0"]) == 0
    assert served[0].model.name == "demand"
    fitted.save("demand")
    for file in LIMITS:
        assert (served[0].model / file).read_bytes() == Path("demand", file).read_bytes()


def test_another_process_may_have_written_the_copy(fitted, tmp_path):
    content = content_of(fitted.trained.checkpoint)
    for _ in range(2):
        _write(tmp_path / "commit" / "demand", content)
    assert {path.name for path in tmp_path.rglob("*")} == {"commit", "demand", *LIMITS}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "demand").write_text("a file")
    with pytest.raises(CheckpointError, match=r"cannot write .*set XDG_CACHE_HOME"):
        _write(tmp_path / "other" / "demand", content)


CODE = """
import sys, pandas as pd
from swt_time import Forecaster
assert "huggingface_hub" not in sys.modules
loaded = Forecaster.load({name!r})
assert "huggingface_hub" in sys.modules
loaded.predict(pd.read_csv("table.csv")).to_json("loaded.json", double_precision=15)
"""


def test_the_environment_says_where_the_hub_is(hub, commit, fitted, table, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    table.to_csv("table.csv", index=False)
    run = subprocess.run([sys.executable, "-c", CODE.format(name=NAME)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert f"took commit {commit}" in run.stderr
    loaded, own = json.loads(Path("loaded.json").read_text()), fitted.predict(pd.read_csv("table.csv"))
    assert list(loaded["yhat"].values()) == pytest.approx(own["yhat"].tolist(), rel=1e-14)
    assert TOKEN not in run.stderr
