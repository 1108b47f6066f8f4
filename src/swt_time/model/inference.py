"""Forecast many windows with one model, in batches."""

import numpy as np
import torch
from torch import nn

BATCH_SIZE = 64
"""Windows in one forward pass."""


def forecast_windows(model: nn.Module, contexts: np.ndarray) -> np.ndarray:
    """Forecast scaled windows of one series each.

    Parameters
    ----------
    model : Module
        Maps ``(B, T, 1)`` to ``(B, H, 1)``; runs on the device of its trainable weights.
    contexts : (M, T) array
        ``M`` may be 0.

    Returns
    -------
    (M, H) float32 array
    """
    if len(contexts) == 0:
        # Only a forecast tells the horizon of an arbitrary module, and not every module accepts an empty batch.
        return forecast_windows(model, np.zeros((1, contexts.shape[1])))[:0]
    device = next(p for p in model.parameters() if p.requires_grad).device
    batches = torch.from_numpy(np.ascontiguousarray(contexts, np.float32)).split(BATCH_SIZE)
    with torch.no_grad():
        return torch.cat([model(batch.to(device).unsqueeze(-1)).squeeze(-1).cpu() for batch in batches]).numpy()
