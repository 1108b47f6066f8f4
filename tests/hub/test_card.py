"""The model card says what the checkpoint records, and no text of a table or a stranger becomes markup in it."""

from dataclasses import replace

import pytest
import yaml
from markdown_it import MarkdownIt

from support.injections import INJECTIONS
from swt_time import ConfigError, Forecaster
from swt_time.hub.card import code, fenced, model_card
from swt_time.hub.names import HubName
from swt_time.language import BackboneIdentity

NAME = HubName("acme/demand")
HOSTILE = [
    *INJECTIONS,
    "`", "``", "`` ` ``", "a`b", "```", "```\n# heading", "\n\n# heading\n", "~~~\n<b>", "[x](https://evil.test)",
    "![x](https://evil.test/i.png)", "https://evil.test", "www.evil.test", "a@evil.test", "| a | b |\n|---|---|",
    "---\nlicense: mit\n---", "\u202egnp.exe", "\x1b[31m", "$x^2$", ":smile:", "@somebody", "\\", "\\`", "", " ",
    "{license}",
]  # fmt: skip
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})
MARKUP = {"html_block", "html_inline", "link_open", "image", "heading_open", "table_open", "strong_open", "em_open"}


def tokens(text):
    found = []
    for token in MARKDOWN.parse(text):
        found += [token, *(token.children or [])]
    return found


def markup(text):
    return [(token.type, token.attrs.get("href"), token.content[:80]) for token in tokens(text) if token.type in MARKUP]


def parts(card):
    """The front matter, and the text below it."""
    _, front, text = card.split("---\n", 2)
    return yaml.safe_load(front), text


@pytest.mark.parametrize("text", HOSTILE)
def test_a_code_span_is_nothing_else(text):
    found = [token.type for token in tokens(f"- a {code(text)} b") if token.content and token.type != "inline"]
    assert found == ["text", "code_inline", "text"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_block_is_nothing_else(text):
    found = tokens(fenced([text, "b"]))
    assert [token.type for token in found] == ["fence"]
    shown, second = found[0].content.removesuffix("\n").split("\n")
    assert (shown.isprintable(), second) == (True, "b")


def test_the_check_can_fail():
    assert markup("a <b>b</b>")
    assert markup("[x](https://evil.test)")


def test_a_stranger_can_write_no_markup(fitted):
    honest = fitted.trained.checkpoint
    usual = markup(parts(model_card(honest, NAME))[1])
    for text in HOSTILE:
        provenance = {
            **dict.fromkeys(("rows", "data_sha256", "commit", "seed", "created"), text),
            "versions": {text: text},
            "choice": {"weights": {"panel": 1.0, text: 1.0}, "errors": {text: 0.5}, "panel": text},
            "branch": {"name": text, "kept": True, "reason": text},
            "intervals": {"residuals": text, "steps": text},
        }
        provenance["training"] = {**honest.provenance["training"], "best_validation_loss": text}
        provenance["training"]["closed_form"] = {"held_out_mse": text, "folds": text, "train_mse": text}
        ids = [text] * len(honest.trained_on.ids)
        crafted = replace(
            honest,
            provenance=provenance,
            config=honest.config.replace({"data.description": text, "data.target": text or "y"}),
            trained_on=replace(honest.trained_on, ids=ids, layout=text, frequency=text),
            backbone=BackboneIdentity(name=text or "x", sha256=text, family="bert", layers=1),
        )
        front, below = parts(model_card(crafted, NAME))
        assert front.keys() == {"library_name", "pipeline_tag", "tags"}
        assert markup(below) == usual, text


def test_the_card_says_what_was_chosen_and_measured(table):
    forecaster = Forecaster(horizon=4, context=48, preset="auto").fit(table)
    checkpoint = forecaster.trained.checkpoint
    front, text = parts(model_card(checkpoint, NAME, "apache-2.0"))
    assert front["library_name"] == "swt-time"
    assert front["license"] == "apache-2.0"
    assert "time-series-forecasting" in (front["pipeline_tag"], *front["tags"])
    for line in (*forecaster.choice.lines(), forecaster.trained.describe_intervals()):
        assert line in text
    form = checkpoint.provenance["training"]["closed_form"]
    assert f"mean squared error {form['held_out_mse']:.4g} on 6 held-out blocks" in text
    for words in (
        "`load`",
        "data.horizon = 4",
        checkpoint.provenance["data_sha256"],
        "It needs no language model.",
        "swt-time: 0",
    ):
        assert words in text


def test_what_became_of_the_language_model_is_said(fitted):
    honest = fitted.trained.checkpoint
    left = {"name": "bert", "kept": False, "reason": "its gain of 0.1 % is not sure", "test": {}}
    card = model_card(replace(honest, provenance={**honest.provenance, "branch": left}), NAME)
    assert "branch (bert): left out, its gain of 0.1 % is not sure" in card
    folder = "/home/me/models/llama"
    asked = {**left, "name": f"language model {folder}", "backbone": {"name": folder}}
    card = model_card(replace(honest, provenance={**honest.provenance, "branch": asked}), NAME)
    assert "branch (language model (a folder of its author's machine)): left out" in card
    assert "/home/me" not in card
    kept = replace(honest, backbone=BackboneIdentity(name=folder, sha256="ab12", family="llama", layers=1))
    card = model_card(kept, NAME)
    assert "`ab12`" in card
    assert "/home/me" not in card


def test_a_license_is_a_text(fitted):
    front, _ = parts(model_card(fitted.trained.checkpoint, NAME, "no"))
    assert front["license"] == "no"


@pytest.mark.parametrize("license", ["", "MIT\nfoo: bar", 'mit"', "a b", "x" * 65])
def test_a_license_is_an_identifier(fitted, license):
    with pytest.raises(ConfigError, match="expected an identifier of the hub"):
        model_card(fitted.trained.checkpoint, NAME, license)
