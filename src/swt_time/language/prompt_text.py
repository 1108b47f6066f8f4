"""The text of prompts: window statistics, and the templates that print them.

A prompt consists of a shared part (description and task, the same for every window) followed by the window's own part
(its statistics), so that a language model can read the shared part once.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from swt_time.config import Template

N_LAGS = 5
"""Maximum number of lags that a prompt names."""


@dataclass(frozen=True)
class WindowStatistics:
    """Statistics of ``M`` normalised windows. Each entry depends on its own window only.

    Attributes
    ----------
    minimum, maximum, median : list of float, M
    rising : list of bool, M
        Whether the last value is above the first.
    lags : list of list of int, M
        Lags of highest autocorrelation, highest first.
    """

    minimum: list[float]
    maximum: list[float]
    median: list[float]
    rising: list[bool]
    lags: list[list[int]]


def window_statistics(z: Tensor, template: Template) -> WindowStatistics:
    """Compute the statistics that a template prints.

    Parameters
    ----------
    z : Tensor, (M, T)
        Normalised windows.
    template : {"compact", "paper"}
        Selects the lags: `circular_lags` for ``paper``, `peak_lags` for ``compact``.

    Returns
    -------
    WindowStatistics
    """
    z = z.detach().to("cpu", torch.float32)
    rising = z.diff(dim=-1).sum(dim=-1) > 0
    lags = circular_lags(z) if template == "paper" else peak_lags(z)
    return WindowStatistics(
        z.amin(dim=-1).tolist(),
        z.amax(dim=-1).tolist(),
        z.median(dim=-1).values.tolist(),
        rising.tolist(),
        lags,
    )


def circular_lags(z: Tensor) -> list[list[int]]:
    """Return the five lags of highest circular autocorrelation, as Time-LLM computes them; ``(M, T)`` to M lists.

    Lag 0 is always among them.
    """
    if z.shape[-1] == 1:
        return [[0] for _ in z]
    spectrum = torch.fft.rfft(z, dim=-1)
    correlation = torch.fft.irfft(spectrum * torch.conj(spectrum), dim=-1)
    return torch.topk(correlation, min(N_LAGS, correlation.shape[-1]), dim=-1).indices.tolist()


def peak_lags(z: Tensor) -> list[list[int]]:
    """Return up to five positive local peaks of the autocorrelation; ``(M, T)`` to M lists of lags, highest peak first.

    Lags from 2 to T/2 are considered. The autocorrelation is linear (zero-padded) and divided by the number of
    overlapping samples, which removes the bias against long lags. Values are rounded to 1e-4, and the shorter lag wins
    a tie.
    """
    steps = z.shape[-1]
    z = z.double() - z.double().mean(dim=-1, keepdim=True)
    longest = steps // 2
    if longest < 2:
        return [[] for _ in z]
    spectrum = torch.fft.rfft(z, n=2 * steps, dim=-1)
    correlation = torch.fft.irfft(spectrum.abs().square(), n=2 * steps, dim=-1)[..., : longest + 2]
    correlation = correlation / torch.arange(steps, steps - longest - 2, -1)
    variance = correlation[..., :1].clamp_min(torch.finfo(torch.float64).tiny)
    correlation = (correlation / variance * 1e4).round()
    middle = correlation[..., 2:-1]
    is_peak = (middle > correlation[..., 1:-2]) & (middle >= correlation[..., 3:]) & (middle > 0)
    height = torch.where(is_peak, middle, -torch.inf)
    order = torch.argsort(height, dim=-1, descending=True, stable=True)[..., :N_LAGS]
    found = height.gather(-1, order) > 0
    return [(o[f] + 2).tolist() for o, f in zip(order, found, strict=True)]


def shared_text(template: Template, description: str, context: int, horizon: int) -> str:
    """Return the part of the prompt that all windows share: description, then task."""
    if template == "none":
        return ""
    if template == "paper":
        return (
            f"<|start_prompt|>Dataset description: {description}"
            f"Task description: forecast the next {horizon} steps given the previous {context} steps information; "
            "Input statistics: "
        )
    head = f"Dataset description: {description.strip()} " if description.strip() else ""
    return f"{head}Task: forecast the next {horizon} steps given the previous {context} steps. Input statistics: "


def description_span(template: Template, description: str) -> tuple[int, int]:
    """Return start and end of the description in the shared text, in characters; it may be shortened to fit."""
    if template == "paper":
        start = len("<|start_prompt|>Dataset description: ")
        return start, start + len(description)
    description = description.strip()
    start = len("Dataset description: ") if description and template == "compact" else 0
    return start, start + (len(description) if template == "compact" else 0)


def own_texts(template: Template, statistics: WindowStatistics) -> list[str]:
    """Return the own part of each window's prompt, which prints its statistics: M texts.

    ``paper`` prints all digits and ends with the malformed tag of the original code; ``compact`` prints four
    significant digits.
    """
    rows = zip(
        statistics.minimum,
        statistics.maximum,
        statistics.median,
        statistics.rising,
        statistics.lags,
        strict=True,
    )
    if template == "paper":
        return [
            f"min value {low}, max value {high}, median value {middle}, "
            f"the trend of input is {'upward' if rising else 'downward'}, "
            f"top 5 lags are : {lags}<|<end_prompt>|>"
            for low, high, middle, rising, lags in rows
        ]
    return [
        f"min {low:.4g}, max {high:.4g}, median {middle:.4g}, trend {'up' if rising else 'down'}, "
        f"lags {' '.join(map(str, lags)) or 'none'}."
        for low, high, middle, rising, lags in rows
    ]


def opposite_texts(template: Template) -> list[str]:
    """Return two own texts that differ in every statistic, so that their prompts share only what all prompts share."""
    return own_texts(template, WindowStatistics([-1.5, 2.5], [3.5, -4.5], [-0.5, 0.25], [True, False], [[12], [7]]))


def longest_text(template: Template, context: int) -> str:
    """Return an own text of maximum length: small negative float32 values with all digits, and the largest lags."""
    value = [-1.2345678806304932e-05]
    return own_texts(template, WindowStatistics(value, value, value, [False], [[context - 1] * N_LAGS]))[0]


def long_texts(template: Template, context: int, count: int = 200) -> list[str]:
    """Return own texts of maximum length with different digits, on which the number of tokens depends."""
    draw = random.Random(0)
    largest = max(context - 1 if template == "paper" else context // 2, 1)
    smallest = 10 ** (len(str(largest)) - 1)
    texts = []
    for _ in range(count):
        value = [-draw.uniform(1, 10) * 10.0 ** -draw.randint(4, 9)]
        lags = [draw.randint(smallest, largest) for _ in range(N_LAGS)]
        texts += own_texts(template, WindowStatistics(value, value, value, [False], [lags]))
    return texts


Pattern = Sequence[str | frozenset[str]]
"""A text whose elements are characters, and sets of characters that may follow each other any number of times."""

NUMBER = re.compile(r"-?\d[\d.]*(?:e[-+]\d+)?")
DIGITS = frozenset("0123456789.-+e")


def own_patterns(template: Template) -> list[Pattern]:
    """Return patterns of all own texts: with any numbers, any lags and both trends."""
    found: list[Pattern] = []
    for rising in (False, True):
        for n_lags in range(N_LAGS + 1):
            statistics = WindowStatistics([-1.5], [1.5], [0.5], [rising], [[7] * n_lags])
            first, *parts = NUMBER.split(own_texts(template, statistics)[0])
            found.append([*first, *(element for part in parts for element in (DIGITS, *part))])
    return found


def may_contain(pattern: Pattern, text: str) -> bool:
    """Return whether a text occurs in one of the texts of a pattern.

    Examples
    --------
    >>> may_contain(["m", "i", "n", " ", DIGITS, ","], "n 12.5,")
    True
    >>> may_contain(["m", "i", "n", " ", DIGITS, ","], "<pad>")
    False
    """
    places = set(range(len(pattern)))
    for character in text:
        following = set()
        for place in sorted(places):
            while place < len(pattern):
                element = pattern[place]
                if isinstance(element, str):
                    if element == character:
                        following.add(place + 1)
                    break
                if character in element:
                    following.add(place)
                place += 1  # a set may also stand for no character
        places = following
    return bool(places)
