"""Forecast many windows with one model, in batches."""

import numpy as np
import torch
from torch import nn

from swt_time.machine import torch_defaults

BATCH_SIZE = 64
"""Windows in one forward pass."""

FAR = 1e3
"""A window whose mean is more than this many standard deviations from zero loses digits in single precision."""


def forecast_windows(model: nn.Module, contexts: np.ndarray) -> np.ndarray:
    """Forecast scaled windows of one series each.

    Parameters
    ----------
    model : Module
        Maps ``(B, T, 1)`` to ``(B, H, 1)``; runs on the device of its trainable weights.
    contexts : (M, T) array
        In double precision, so that a window far from zero keeps its shape: its mean is subtracted before it is cast
        to single precision, and added to the forecast. ``M`` may be 0.

    Returns
    -------
    (M, H) float64 array
    """
    if len(contexts) == 0:
        # Only a forecast tells the horizon of an arbitrary module, and not every module accepts an empty batch.
        return forecast_windows(model, np.zeros((1, contexts.shape[1])))[:0]
    contexts = np.asarray(contexts, np.float64)
    mean, spread = contexts.mean(axis=1, keepdims=True), contexts.std(axis=1, keepdims=True)
    level = np.where(np.abs(mean) > FAR * spread, mean, 0.0)
    device = next(p for p in model.parameters() if p.requires_grad).device
    batches = torch.from_numpy((contexts - level).astype(np.float32)).split(BATCH_SIZE)
    with torch_defaults(), torch.no_grad():
        forecasts = [model(batch.to(device).unsqueeze(-1)).squeeze(-1).cpu() for batch in batches]
    return torch.cat(forecasts).numpy().astype(np.float64) + level
