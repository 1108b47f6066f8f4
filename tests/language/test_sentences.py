"""Texts as vectors, verified against plain calls of transformers."""

import numpy as np
import pytest
import torch

from support.backbones import load_backbone
from swt_time.errors import BackboneError, SWTTimeWarning
from swt_time.language.sentences import LONGEST, SentenceReader
from swt_time.language.text_key import text_key

TEXTS = ["street closed", "a public strike, no trains at all today", "sale", "", "a street", "  "]
ALONE = 1e-6


def reader_of(folder) -> SentenceReader:
    return SentenceReader(load_backbone(folder))


def plain(folder, text: str) -> np.ndarray:
    """The vector by transformers alone: its own model, tokenizer and forward pass."""
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        states = model(**batch).last_hidden_state[0]
    return (states.mean(dim=0) if model.config.model_type == "bert" else states[-1]).numpy()


def test_vectors_are_those_of_transformers(tiny_backbones, family):
    vectors = reader_of(tiny_backbones[family])(TEXTS)
    assert (vectors.dtype, vectors.shape) == (np.float32, (6, 32))
    for text, vector in zip(TEXTS, vectors, strict=True):
        expected = plain(tiny_backbones[family], text) if text.strip() else np.zeros(32)
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_the_other_pooling_would_be_noticed(tiny_backbones):
    """Control for the test above: the mean of a causal model, and the last state of an encoder, are far away."""
    reader = reader_of(tiny_backbones["gpt2"])
    assert np.abs(reader(["a public strike"])[0] - plain(tiny_backbones["gpt2"], "a public strike")).max() < 1e-5
    reader = reader_of(tiny_backbones["gpt2"])
    reader.model.causal = False
    assert np.abs(reader(["a public strike"])[0] - plain(tiny_backbones["gpt2"], "a public strike")).max() > 1e-2


def test_a_text_alone_is_the_text_in_company(tiny_backbones, family):
    together = reader_of(tiny_backbones[family])(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(reader_of(tiny_backbones[family])([text])[0], vector, atol=ALONE)


def test_minilm_is_that_of_transformers_and_knows_what_texts_have_in_common():
    from swt_time.language import find_backbone, load_language_model

    reader = SentenceReader(load_language_model("minilm", precision="float32"))
    texts = ["Unions call a public transport strike", "Railway staff walk out", "Black Friday sale"]
    vectors = reader(texts)
    np.testing.assert_allclose(vectors[0], plain(find_backbone("minilm"), texts[0]), atol=1e-5)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > unit[0] @ unit[2] + 0.2


def test_a_text_is_read_once(tiny_backbones, monkeypatch):
    reader = reader_of(tiny_backbones["bert"])
    first = reader(["street closed", "sale", "street closed "])
    np.testing.assert_array_equal(first[0], first[2])
    monkeypatch.setattr(reader.model, "forward", lambda *_: pytest.fail("read again"))
    np.testing.assert_array_equal(reader(["sale", "street closed"]), first[[1, 0]])


def test_long_texts_are_read_up_to_the_limit(tiny_backbones, family):
    reader = reader_of(tiny_backbones[family])
    long = "a " * 2 * LONGEST
    with pytest.warns(SWTTimeWarning, match="1 of 2 texts have more tokens than the language model reads"):
        vectors = reader([long, "sale"])
    assert np.isfinite(vectors).all()
    with pytest.warns(SWTTimeWarning, match="more tokens"):
        np.testing.assert_array_equal(reader_of(tiny_backbones[family])([long + "more words"])[0], vectors[0])


def test_no_texts_and_only_blank_texts(tiny_backbones):
    reader = reader_of(tiny_backbones["bert"])
    assert reader([]).shape == (0, 32)
    assert not reader(["", "\n"]).any()


def test_a_token_without_an_embedding_is_refused_with_the_text(tiny_backbones):
    model = load_backbone(tiny_backbones["bert"])
    model._tokenizer.add_tokens(["<odd>"])
    with pytest.raises(BackboneError, match=r"the text 'an <odd> text' contains the token '<odd>'.*take it out"):
        SentenceReader(model)(["a text", "an <odd> text"])


def test_keys_name_the_text_but_do_not_hold_it():
    assert text_key(" sale ") == text_key("sale") != text_key("Sale")
    assert [len(text_key(text)) for text in ("sale", "\ud800")] == [64, 64]
