"""Reversible instance normalisation (RevIN) without state: statistics are returned, not stored.

Source: Kim et al., "Reversible Instance Normalization", ICLR 2022, without the affine part, as Time-LLM uses it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-5
"""Added to the variance before the square root."""


class WindowScale(NamedTuple):
    """Mean and standard deviation of each window and channel, both ``(B, N, 1)``."""

    mean: Tensor
    std: Tensor


def normalize(context: Tensor) -> tuple[Tensor, WindowScale]:
    """Standardise each window and channel by its own mean and (population) standard deviation.

    Parameters
    ----------
    context : Tensor, (B, T, N)

    Returns
    -------
    z : Tensor, (B, N, T)
        ``(x - mean) / sqrt(variance + 1e-5)``; contiguous, so that the result for a series does not depend on the
        other series in the batch.
    scale : WindowScale
        The statistics that `denormalize` needs; detached from the graph.
    """
    x = context.transpose(1, 2).contiguous()
    mean = x.mean(dim=-1, keepdim=True).detach()
    std = torch.sqrt(x.var(dim=-1, keepdim=True, unbiased=False) + EPSILON).detach()
    return (x - mean) / std, WindowScale(mean, std)


def denormalize(forecast: Tensor, scale: WindowScale) -> Tensor:
    """Undo `normalize` on a forecast: ``(B, N, H)`` to ``(B, H, N)``."""
    return (forecast * scale.std + scale.mean).transpose(1, 2)
