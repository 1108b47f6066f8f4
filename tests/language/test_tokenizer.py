"""Loading a tokenizer, and shortening the description of prompts that are too long."""

import shutil
import warnings

import pytest

from support.backbones import load_backbone
from swt_time.errors import BackboneError, SWTTimeWarning
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


def test_statistics_that_do_not_fit_are_an_error(tiny_backbones):
    tokenizer = Tokenizer(load_backbone(tiny_backbones["gpt2"])._tokenizer, 10)
    with pytest.raises(BackboneError, match=r"task and statistics take \d+ tokens.*set prompt.template to compact"):
        tokenizer("about: word then: ", ["min 1, max 2, median 3"], (7, 11))
