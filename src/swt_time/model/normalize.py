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


def normalize(context: Tensor, observed: Tensor | None = None) -> tuple[Tensor, WindowScale]:
    """Standardise each window and channel by its own mean and (population) standard deviation.

    Parameters
    ----------
    context : Tensor, (B, T, N)
    observed : Tensor of bool, (B, T, N), optional
        False where a window is padded: what stands there, NaN included, changes nothing. By default all is observed.

    Returns
    -------
    z : Tensor, (B, N, T)
        ``(x - mean) / sqrt(variance + 1e-5)``, of the observed values, and 0 where a window is padded; contiguous, so
        that the result for a series does not depend on the other series in the batch.
    scale : WindowScale
        The statistics that `denormalize` needs; detached from the graph.
    """
    x = context.transpose(1, 2).contiguous()
    if observed is not None:
        return _normalize_observed(x, observed.transpose(1, 2).contiguous())
    mean = x.mean(dim=-1, keepdim=True).detach()
    std = torch.sqrt(x.var(dim=-1, keepdim=True, unbiased=False) + EPSILON).detach()
    return (x - mean) / std, WindowScale(mean, std)


def _normalize_observed(x: Tensor, observed: Tensor) -> tuple[Tensor, WindowScale]:
    """As `normalize`, for windows ``(B, N, T)`` of which at least one value is observed."""
    zero = torch.zeros((), dtype=x.dtype, device=x.device)
    count = observed.sum(dim=-1, keepdim=True)
    mean = (torch.where(observed, x, zero).sum(dim=-1, keepdim=True) / count).detach()
    centred = torch.where(observed, x - mean, zero)
    std = torch.sqrt(centred.square().sum(dim=-1, keepdim=True) / count + EPSILON).detach()
    return centred / std, WindowScale(mean, std)


def denormalize(forecast: Tensor, scale: WindowScale) -> Tensor:
    """Undo `normalize` on a forecast: ``(B, N, H)`` to ``(B, H, N)``."""
    return (forecast * scale.std + scale.mean).transpose(1, 2)
