"""Forecasts of many windows with one model, a batch at a time."""

import numpy as np
import torch
from torch import nn

BATCH_SIZE = 64
"""Windows that go through a model at once in inference."""


def forecast_windows(model: nn.Module, contexts: np.ndarray) -> np.ndarray:
    """Forecast scaled windows of one series each.

    Parameters
    ----------
    model : Module
        ``(B, T, 1)`` to ``(B, H, 1)``, on the device of its weights.
    contexts : (M, T) array

    Returns
    -------
    (M, H) float32 array
    """
    device = next(p for p in model.parameters() if p.requires_grad).device
    batches = torch.from_numpy(np.ascontiguousarray(contexts, np.float32)).split(BATCH_SIZE)
    with torch.no_grad():
        return torch.cat([model(batch.to(device).unsqueeze(-1)).squeeze(-1).cpu() for batch in batches]).numpy()
