"""Window statistics, verified against NumPy, and texts, verified against their templates."""

import doctest

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swt_time.language import prompt_text


def rows(count=4, steps=96, seed=0):
    return torch.randn(count, steps, generator=torch.Generator().manual_seed(seed)).cumsum(-1)


def test_statistics_equal_those_of_numpy():
    z = rows()
    found = prompt_text.window_statistics(z, "compact")
    x = z.numpy()
    assert found.minimum == x.min(1).tolist()
    assert found.maximum == x.max(1).tolist()
    assert found.median == np.sort(x, axis=1)[:, (96 - 1) // 2].tolist()
    assert found.rising == (x[:, -1] > x[:, 0]).tolist()


@pytest.mark.parametrize("template", ["paper", "compact"])
def test_statistics_of_a_window_do_not_depend_on_other_windows(template):
    z = rows(33)
    together = prompt_text.own_texts(template, prompt_text.window_statistics(z, template))
    alone = [prompt_text.own_texts(template, prompt_text.window_statistics(row[None], template))[0] for row in z]
    assert together == alone


@given(period=st.integers(4, 24), seed=st.integers(0, 1000))
def test_peak_lags_find_the_period(period, seed):
    noise = np.random.default_rng(seed).normal(size=240)
    x = np.sin(2 * np.pi * np.arange(240) / period) + 0.02 * noise
    lags = prompt_text.peak_lags(torch.tensor(x)[None])[0]
    assert all(2 <= lag <= 120 for lag in lags)
    assert len(set(lags)) == len(lags) <= 5
    multiples = [min(lag % period, period - lag % period) for lag in lags]
    assert max(multiples) <= 1


def reference_peaks(x):
    """Reference implementation of `peak_lags`, which sums each correlation separately."""
    x = x - x.mean()
    steps = len(x)

    def correlation(lag):
        return np.dot(x[: steps - lag], x[lag:]) / (steps - lag)

    r = np.round([correlation(k) / correlation(0) * 1e4 for k in range(steps // 2 + 2)])
    peaks = [k for k in range(2, steps // 2 + 1) if r[k] > r[k - 1] and r[k] >= r[k + 1] and r[k] > 0]
    return sorted(peaks, key=lambda k: (-r[k], k))[:5]


def test_peak_lags_equal_the_reference():
    for seed in range(20):
        x = rows(1, 97, seed).double()
        assert prompt_text.peak_lags(x)[0] == reference_peaks(x[0].numpy())


def test_circular_lags_of_a_slow_series_are_lag_0_and_its_neighbours():
    """This flaw of the original code is kept for its checkpoints."""
    z = torch.sin(torch.arange(512) / 512 * 2 * torch.pi)[None]
    assert sorted(prompt_text.circular_lags(z)[0]) == [0, 1, 2, 510, 511]
    assert prompt_text.circular_lags(z)[0][0] == 0


def test_constant_windows_have_finite_statistics():
    found = prompt_text.window_statistics(torch.zeros(1, 64), "compact")
    assert found.lags == [[]]
    assert prompt_text.own_texts("compact", found) == ["min 0, max 0, median 0, trend down, lags none."]


def test_paper_template_equals_the_text_of_the_original():
    own = prompt_text.WindowStatistics([-1.5], [2.25], [0.125], [True], [[0, 1, 95]])
    text = prompt_text.shared_text("paper", "ETT.", 96, 24) + prompt_text.own_texts("paper", own)[0]
    assert text == (
        "<|start_prompt|>Dataset description: ETT.Task description: forecast the next 24 steps given the previous 96 "
        "steps information; Input statistics: min value -1.5, max value 2.25, median value 0.125, the trend of input "
        "is upward, top 5 lags are : [0, 1, 95]<|<end_prompt>|>"
    )


def test_compact_template_prints_four_significant_digits():
    own = prompt_text.WindowStatistics([-1.23456], [12345.6], [0.000123456], [False], [[24, 48]])
    assert prompt_text.own_texts("compact", own) == [
        "min -1.235, max 1.235e+04, median 0.0001235, trend down, lags 24 48."
    ]


@pytest.mark.parametrize("template", ["paper", "compact", "none"])
@pytest.mark.parametrize("description", ["", "Rain in Oslo. "])
def test_description_span_contains_the_description(template, description):
    start, end = prompt_text.description_span(template, description)
    text = prompt_text.shared_text(template, description, 96, 24)
    expected = {"paper": description, "compact": description.strip(), "none": ""}[template]
    assert text[start:end] == expected


TEXTS = {
    template: [
        text
        for seed in range(3)
        for text in prompt_text.own_texts(template, prompt_text.window_statistics(rows(40, 30 + seed, seed), template))
    ]
    for template in ("paper", "compact")
}


@given(data=st.data(), template=st.sampled_from(sorted(TEXTS)))
def test_every_part_of_an_own_text_may_be_contained(data, template):
    text = data.draw(st.sampled_from(TEXTS[template]))
    start = data.draw(st.integers(0, len(text) - 1))
    part = text[start : data.draw(st.integers(start + 1, len(text)))]
    assert any(prompt_text.may_contain(pattern, part) for pattern in prompt_text.own_patterns(template))


@pytest.mark.parametrize("template", sorted(TEXTS))
def test_other_texts_are_not_contained(template):
    patterns = prompt_text.own_patterns(template)
    for text in ("<pad>", "[PAD]", "minimum", "max 1, min", "up, down", "lags none 3", "<|end", "median value, "):
        assert not any(prompt_text.may_contain(pattern, text) for pattern in patterns), text


def test_examples_in_docstrings_are_right():
    assert doctest.testmod(prompt_text) == (0, 2)


@pytest.mark.parametrize("template", ["paper", "compact"])
@pytest.mark.parametrize("context", [2, 24, 1000, 1001, 4000])
def test_long_texts_have_the_most_characters(template, context):
    lengths = {len(text) for text in prompt_text.long_texts(template, context)}
    draw = np.random.default_rng(0)
    for seed in range(20):
        z = rows(20, context, seed) * 10.0 ** -float(draw.integers(0, 9))
        texts = prompt_text.own_texts(template, prompt_text.window_statistics(z, template))
        assert max(map(len, texts)) <= max(lengths)
