"""Forecast many windows with one model, in batches."""

import contextlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from swt_time.machine import one_thread, torch_defaults
from swt_time.model.network import SWTTime

BATCH_SIZE = 64
"""Windows in one forward pass."""

FAR = 1e3
"""A window whose mean is more than this many standard deviations from zero loses digits in single precision."""


def forecast_windows(model: nn.Module, contexts: np.ndarray, *, quantiles: bool = False) -> np.ndarray:
    """Forecast scaled windows of one series each.

    Parameters
    ----------
    model : Module
        Maps ``(B, T, 1)`` to ``(B, H, 1)``; runs on the device of its trainable weights.
    contexts : (M, T) array
        NaN before the start of a series. In double precision, so that a window far from zero keeps its shape: its mean
        is subtracted before it is cast to single precision, and added to the forecast. ``M`` may be 0.
    quantiles : bool
        Whether to return the quantiles of an `SWTTime` model that has them, instead of their median.

    Returns
    -------
    (M, H) float64 array, or (M, H, Q) with quantiles

    Notes
    -----
    The branch of a model with a gate of zero is not run.
    """
    if len(contexts) == 0:
        # Only a forecast tells the horizon of an arbitrary module, and not every module accepts an empty batch.
        return forecast_windows(model, np.zeros((1, contexts.shape[1])), quantiles=quantiles)[:0]
    contexts = np.asarray(contexts, np.float64)
    padded = np.isnan(contexts).any(axis=1)
    if padded.any() and not padded.all():
        # whole windows are forecast as if there were no others: bit for bit the same
        order = np.argsort(padded, kind="stable")
        some = [forecast_windows(model, contexts[one], quantiles=quantiles) for one in (~padded, padded)]
        return np.concatenate(some)[np.argsort(order)]
    means, deviations = (np.nanmean, np.nanstd) if padded.any() else (np.mean, np.std)
    mean, spread = means(contexts, axis=1, keepdims=True), deviations(contexts, axis=1, keepdims=True)
    level = np.where(np.abs(mean) > FAR * spread, mean, 0.0)
    forecasts = _forecast(model, contexts - level, quantiles)
    return forecasts + (level[..., None] if quantiles else level)


def _forecast(model: nn.Module, contexts: np.ndarray, quantiles: bool) -> np.ndarray:
    device = next(p for p in model.parameters() if p.requires_grad).device
    batches = torch.from_numpy(contexts.astype(np.float32)).split(BATCH_SIZE)
    forecast: Callable[[Tensor], Tensor] = model
    threads: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if quantiles:
        assert isinstance(model, SWTTime)
        forecast = model.quantiles
    elif isinstance(model, SWTTime) and model.is_closed_form:
        forecast, threads = model.forecast_closed_form, one_thread()
    with torch_defaults(), torch.no_grad(), threads:
        forecasts = [call(forecast, batch.to(device).unsqueeze(-1)).squeeze(2).cpu() for batch in batches]
    return torch.cat(forecasts).numpy().astype(np.float64)


def call(model: Callable[..., Tensor], context: Tensor) -> Tensor:
    """Forecast windows ``(B, T, N)`` to ``(B, H, N)`` that are NaN where they are padded."""
    missing = context.isnan()
    return model(context, observed=~missing) if missing.any() else model(context)
