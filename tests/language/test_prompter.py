"""All prompts of a `Prompter` start with the same tokens and fit into the backbone's positions."""

import warnings

import pytest
import torch

from support.backbones import load_backbone
from swt_time.errors import SWTTimeWarning
from swt_time.language import Prompter

N_PATCHES = 12


def normalised_walks(count, steps=96):
    walks = torch.randn(count, steps, generator=torch.Generator().manual_seed(0)).cumsum(dim=1)
    return (walks - walks.mean(dim=1, keepdim=True)) / walks.std(dim=1, keepdim=True)


def assert_starts_with_shared_tokens(prompter, rows, at_least):
    assert len(prompter.shared) > at_least
    assert all(tuple(row[: len(prompter.shared)]) == prompter.shared for row in rows)
    lengths = {len(row) for row in rows}
    assert len(lengths) > 1
    assert max(lengths) <= 1024 - N_PATCHES


@pytest.mark.parametrize("template", ["paper", "compact"])
def test_prompts_start_with_the_shared_tokens(tiny_backbones, family, template):
    tokenizer = load_backbone(tiny_backbones[family]).tokenizer(N_PATCHES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prompter = Prompter(template, "load " * 3, 96, 24, tokenizer)
        rows = prompter(normalised_walks(40))
    assert_starts_with_shared_tokens(prompter, rows, at_least=20)


@pytest.mark.parametrize("template", ["paper", "compact"])
def test_prompts_with_a_shortened_description_start_with_the_shared_tokens(tiny_backbones, family, template):
    tokenizer = load_backbone(tiny_backbones[family]).tokenizer(N_PATCHES)
    with pytest.warns(SWTTimeWarning, match="are left out of the prompt"):
        prompter = Prompter(template, "load " * 400, 96, 24, tokenizer)
    assert_starts_with_shared_tokens(prompter, prompter(normalised_walks(40)), at_least=600)


def test_prompts_are_padded_into_one_batch(tiny_backbones):
    prompter = Prompter("compact", "load", 96, 24, load_backbone(tiny_backbones["gpt2"]).tokenizer(N_PATCHES))
    z = normalised_walks(5)
    rows, prompt = prompter(z), prompter.write(z)
    assert prompt.shared == prompter.shared
    assert prompt.lengths.tolist() == [len(row) for row in rows]
    assert [ids[:length].tolist() for ids, length in zip(prompt.ids, prompt.lengths, strict=True)] == rows
