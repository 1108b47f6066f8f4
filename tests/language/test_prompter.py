"""All prompts of a `Prompter` start with the same tokens and fit into the backbone's positions."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from support.backbones import load_backbone, save_tiny_backbone
from swt_time import Forecaster
from swt_time.errors import BackboneError, SWTTimeWarning
from swt_time.language import Prompter, load_language_model
from swt_time.language.tokenizer import Tokenizer

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


def least_room(make):
    """Return the smallest number of prompt tokens with which a prompter is made."""
    low, high = 0, 2000
    while low < high:
        middle = (low + high) // 2
        try:
            make(middle)
            high = middle
        except BackboneError:
            low = middle + 1
    return low


def long_numbers(count, steps):
    """Windows whose minimum, maximum and median take all digits and an exponent, and that end below their start."""
    draw = np.random.default_rng(5)
    size = 10.0 ** -draw.integers(4, 9, size=(count, 1)) * draw.uniform(1, 10, size=(count, 1))
    shape = np.linspace(-1, -3, steps) + 0.01 * draw.standard_normal((count, steps))
    return torch.tensor(size * shape, dtype=torch.float32)


@pytest.mark.parametrize("template", ["paper", "compact"])
@pytest.mark.parametrize("context", [24, 96, 1001, 4000])
@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama", "minilm"])
def test_no_prompt_is_longer_than_the_longest_at_construction(tiny_backbones, template, context, kind):
    model = load_language_model(str(tiny_backbones.get(kind, kind)), layers=1, precision="float32")

    def make(room):
        return Prompter(template, "", context, 24, Tokenizer(model._tokenizer, room))

    prompter = make(least_room(make))
    noise = torch.randn(30, context, generator=torch.Generator().manual_seed(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is left out
        for z in (long_numbers(300, context), normalised_walks(30, context), noise):
            assert max(map(len, prompter(z))) <= prompter._tokenizer.max_tokens


def alternating(rows, values):
    """An hourly table that repeats some values."""
    y = np.resize(np.array(values, dtype=float), rows)
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=rows, freq="h"), "load": y})


@pytest.mark.parametrize("template", ["paper", "compact"])
def test_what_trains_forecasts(tmp_path, template, family):
    """Room for the longest prompt is judged when the model is built, whatever the windows of the table are."""
    save_tiny_backbone(tmp_path / "large", family)
    options = {"d_ff": 8, "n_heads": 2, "n_prototypes": 8, "template": template, "split": "none"}
    options["keep_branch"] = True

    def fit(folder, table=alternating(200, [1, 3])):
        return Forecaster(12, 48, str(folder), 1, **options).fit(table)

    tokenizer = fit(tmp_path / "large").model.language_model.tokenizer(0)
    room = least_room(lambda most: Prompter(template, "", 48, 12, Tokenizer(tokenizer._tokenizer, most)))
    n_patches = 6
    save_tiny_backbone(tmp_path / "enough", family, positions=room + n_patches)
    save_tiny_backbone(tmp_path / "little", family, positions=room + n_patches - 1)
    with pytest.raises(BackboneError, match=r"task and statistics take \d+ tokens, but the backbone has room for"):
        fit(tmp_path / "little")  # windows of ones and threes have short prompts
    forecaster = fit(tmp_path / "enough")
    walk = np.random.default_rng(0).standard_normal(200).cumsum()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(forecaster.predict(alternating(200, walk))["yhat"]).all()
