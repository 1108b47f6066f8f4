"""Reversible instance normalisation (RevIN) without state: statistics are returned, never stored.

Source: Kim et al., "Reversible Instance Normalization", ICLR 2022, without the affine part, as Time-LLM uses it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-5


class WindowScale(NamedTuple):
    """Mean and standard deviation of each window and channel, both ``(B, N, 1)``."""

    mean: Tensor
    deviation: Tensor


def normalize(context: Tensor) -> tuple[Tensor, WindowScale]:
    """Standardise each window and channel by its own mean and (population) standard deviation.

    Parameters
    ----------
    context : Tensor, (B, T, N)

    Returns
    -------
    z : Tensor, (B, N, T)
        ``(x - mean) / sqrt(variance + 1e-5)``; contiguous, so that a row never depends on its neighbours.
    scale : WindowScale
        What `denormalize` needs; carries no gradient.
    """
    x = context.transpose(1, 2).contiguous()
    mean = x.mean(dim=-1, keepdim=True).detach()
    deviation = torch.sqrt(x.var(dim=-1, keepdim=True, unbiased=False) + EPSILON).detach()
    return (x - mean) / deviation, WindowScale(mean, deviation)


def denormalize(forecast: Tensor, scale: WindowScale) -> Tensor:
    """Undo `normalize` on a forecast: ``(B, N, H)`` in, ``(B, H, N)`` out."""
    return (forecast * scale.deviation + scale.mean).transpose(1, 2)
