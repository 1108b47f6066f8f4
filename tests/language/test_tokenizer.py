"""Loading a tokenizer, and shortening the description of prompts that are too long."""

import shutil
import warnings

import pytest

from support.backbones import load_backbone, save_tiny_backbone
from support.families import save_tokenizer
from swt_time import Forecaster, cli
from swt_time.errors import BackboneError, SWTTimeWarning
from swt_time.language import tokenizer as module
from swt_time.language.tokenizer import Tokenizer, load_tokenizer


def test_missing_tokenizer_is_an_error(tiny_backbones, tmp_path):
    folder = shutil.copytree(tiny_backbones["gpt2"], tmp_path / "broken")
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(BackboneError, match=r"has no tokenizer in .*; expected one of tokenizer.json"):
        load_backbone(folder)


def test_custom_tokenizer_code_is_an_error(tiny_backbones, tmp_path):
    folder = shutil.copytree(tiny_backbones["gpt2"], tmp_path / "broken")
    (folder / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": "evil.Tokenizer"}}')
    with pytest.raises(BackboneError, match=r"needs custom tokenizer code \(auto_map in .*never runs"):
        load_tokenizer(folder, "broken")


def test_description_is_shortened_and_statistics_are_kept(tiny_backbones, family):
    model = load_backbone(tiny_backbones[family])
    shared, own = "about: " + "word " * 60 + "then: ", ["min 1, max 2.", "min 1, max 2, and much more to say."]
    span = (len("about: "), len("about: ") + 60 * 5)
    complete = Tokenizer(model._tokenizer, 1000)(shared, own, span)
    max_tokens = len(complete[1]) - 40
    tokenizer = Tokenizer(model._tokenizer, max_tokens)
    with pytest.warns(SWTTimeWarning, match=r"data.description is too long.* are left out of the prompt"):
        shortened = tokenizer(shared, own, span)
    assert len(shortened[1]) == max_tokens
    assert all(len(ids) <= max_tokens for ids in shortened)
    texts = [model._tokenizer.decode(ids, skip_special_tokens=True) for ids in shortened]
    texts = [text.replace(" ", "").replace("##", "") for text in texts]
    for text, tail in zip(texts, own, strict=True):
        assert text.endswith(("then:" + tail).replace(" ", ""))
        assert text.startswith("about:wordword")
    with warnings.catch_warnings():  # the warning is given once
        warnings.simplefilter("error")
        tokenizer(shared, own, span)


@pytest.mark.parametrize("kind", ["bytes", "unigrams", "word pieces"])
def test_every_kind_of_tokenizer_is_read_without_a_padding_token(tmp_path, kind):
    save_tokenizer(tmp_path, kind)
    tokenizer = load_tokenizer(tmp_path, kind)
    assert tokenizer.pad_token is None
    shared, span = "the data: " + "theatre " * 20 + "then: ", (10, 170)
    whole = Tokenizer(tokenizer, 1000)(shared, ["min -1.5, max 2e-05."], span)[0]
    with pytest.warns(SWTTimeWarning, match=r"data.description is too long"):
        [ids] = Tokenizer(tokenizer, len(whole) - 30)(shared, ["min -1.5, max 2e-05."], span)
    assert len(ids) == len(whole) - 30
    texts = [tokenizer.decode(found, skip_special_tokens=True) for found in (ids, whole)]
    kept, after = (text.replace(" ", "").replace("##", "") for text in texts)
    assert kept.startswith("thedata:theatre")
    assert kept.endswith("then:min-1.5,max2e-05.")
    assert after == shared.replace(" ", "") + "min-1.5,max2e-05."


def test_statistics_that_do_not_fit_are_an_error(tiny_backbones):
    tokenizer = Tokenizer(load_backbone(tiny_backbones["gpt2"])._tokenizer, 10)
    with pytest.raises(BackboneError, match=r"task and statistics take \d+ tokens.*set prompt.template to compact"):
        tokenizer.check("about: word then: ", ["min 1, max 2, median 3"], (7, 11))


@pytest.mark.parametrize(
    ("content", "kind", "packages"),
    [
        (b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02", "SentencePiece", ["sentencepiece", "protobuf"]),
        (b"IQ== 0\nIg== 1\n", "tiktoken", ["tiktoken"]),
    ],
)
def test_packages_that_convert_tokenizer_model_are_named(tmp_path, hourly_wide, monkeypatch, content, kind, packages):
    folder = save_tiny_backbone(tmp_path / "llama", "llama")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(content)
    monkeypatch.setattr(module, "find_spec", lambda name: None)  # neither is installed
    with pytest.raises(BackboneError) as refused:
        Forecaster(12, 48, backbone=str(folder)).fit(hourly_wide)
    message = str(refused.value)
    assert f"has no tokenizer.json, and converting {folder / 'tokenizer.model'} ({kind}) needs" in message
    remedy = f"copy tokenizer.json into the folder, or pip install {' '.join(packages)}"
    assert message.endswith(f" {' and '.join(packages)}; {remedy}")


def test_a_folder_with_tokenizer_model_alone_is_wrong_input(tmp_path, hourly_wide, monkeypatch, capsys):
    folder = save_tiny_backbone(tmp_path / "llama", "llama")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(b"IQ== 0\n")
    hourly_wide.to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    words = ["--data", tmp_path / "table.csv", "--out", tmp_path / "model", "--backbone", folder, "--context", 48]
    words += ["--horizon", 12]
    assert cli.run(["train", *map(str, words)]) == 2
    assert "copy tokenizer.json into the folder, or pip install tiktoken" in capsys.readouterr().err
    assert not (tmp_path / "model" / "config.json").exists()


def test_packages_are_looked_for_only_if_they_are_needed(tiny_backbones, tmp_path, monkeypatch):
    folder = shutil.copytree(tiny_backbones["llama"], tmp_path / "llama")
    (folder / "tokenizer.model").write_bytes(b"not used")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert len(load_tokenizer(folder, "llama")) == len(load_tokenizer(tiny_backbones["llama"], "llama"))


def test_installed_modules_are_found():
    assert module._installed(["torch", "torch.nn"])
    assert not module._installed(["torch", "no_such_package"])
    assert not module._installed(["no_such_package.part"])


def test_statistics_beyond_those_that_were_checked_are_shortened(tiny_backbones):
    tokenizer = Tokenizer(load_backbone(tiny_backbones["gpt2"])._tokenizer, 36)
    tokenizer.check("about: word then: ", ["min 1, max 2."], (7, 11))
    with pytest.warns(SWTTimeWarning, match=r"last 4 tokens of the description and the last \d+ of the statistics"):
        long, short = tokenizer("about: word then: ", ["min 1.2345678, max 2.3456789.", "min 1, max 2."], (7, 11))
    assert len(long) == 36
    assert short == tokenizer("about: word then: ", ["min 1, max 2."], (7, 11))[0]
