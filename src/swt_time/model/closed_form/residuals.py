"""Errors of the closed form on windows that were held out, with a form that was chosen before."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from swt_time.data.windows import Windows, evenly
from swt_time.machine import one_thread
from swt_time.model.closed_form.folds import Blocks, completed
from swt_time.model.closed_form.moments import Moments
from swt_time.model.closed_form.priors import Prior, season_root, wavelet_roots
from swt_time.model.closed_form.ridge import LEAST_UNIT
from swt_time.model.closed_form.solving import centred, prior_mean

MOST_WINDOWS = 2**13
"""Most windows that are fitted; half as many as the form was chosen with, for half the time."""

MOST_RESIDUALS = 2**10
"""Windows of all blocks whose errors are computed. They are evenly spaced."""


@dataclass(frozen=True)
class HeldOutErrors:
    """Errors of windows that were not fitted.

    Attributes
    ----------
    part : (M,) int array
        0 for training windows, 1 for validation windows.
    index : (M,) int array
        Index of each window in its part.
    errors : (M, H) float64 array
        Targets minus forecasts, scaled as the windows are; NaN where a target was not observed.
    block : (M,) int array
    """

    part: np.ndarray
    index: np.ndarray
    errors: np.ndarray
    block: np.ndarray


class Form(NamedTuple):
    """What `Solution` says of the form of the map, without its errors."""

    prior: str
    tilt: float
    strength: float
    structure: bool
    centre: str
    exponent: int


@one_thread()
def held_out_residuals(
    windows: Windows, validation: Windows | None, context: int, prior: Prior | None, form: Form
) -> HeldOutErrors | None:
    """Hold out each block of the windows once, and forecast it by a map that was fitted on the others.

    Parameters
    ----------
    windows : Windows
        Training windows.
    validation : Windows, optional
    context : int
        ``T``.
    prior : Prior, optional
        See `solve`.
    form : Form
        As `solve` chose it.

    Returns
    -------
    HeldOutErrors or None
        None if the windows are too few for blocks, see `swt_time.model.closed_form.folds`.
    """
    parts = [windows] if validation is None or not len(validation) else [windows, validation]
    horizon = windows.gather(np.arange(1))[1].shape[1]
    blocks = Blocks.divide(parts, horizon, MOST_WINDOWS)
    if blocks is None:
        return None
    root = _root(context, windows.season, prior, form)
    used = evenly(len(blocks.index), MOST_RESIDUALS)
    part, index, block = blocks.part[used], blocks.index[used], blocks.block[used]
    errors = np.full((len(used), horizon), np.nan)
    for number, fold in blocks.by_block(form.exponent).items():
        weight = _map(completed(fold, root).train, root, windows.season, form)
        for which, one in enumerate(parts):
            rows = np.flatnonzero((block == number) & (part == which))
            if len(rows):
                errors[rows] = _errors(*one.gather(index[rows]), weight)
    return HeldOutErrors(part, index, errors, block)


def _root(context: int, season: int, prior: Prior | None, form: Form) -> Tensor:
    """The root of the chosen prior."""
    roots = [season_root(context, season), *wavelet_roots(context, prior)]
    found = next(one for one in roots if (one.name, one.tilt) == (form.prior, form.tilt))
    return centred(found.root, form.centre == "last")


def _map(train: Moments, root: Tensor, season: int, form: Form) -> Tensor:
    """The map (H, T) of the chosen form, as that of `swt_time.model.closed_form.ridge.path`, from complete targets."""
    mean = prior_mean(train, season, form.structure, form.centre == "last")
    products = train.products if mean is None else train.products - train.inputs @ mean.T
    inputs = root.T @ train.inputs @ root
    unit = (inputs.trace() / len(inputs)).clamp_min(LEAST_UNIT)
    inputs.diagonal().add_(form.strength * unit)
    weight = (root @ torch.linalg.solve(inputs, root.T @ products)).T
    return weight if mean is None else mean + weight


def _errors(contexts: np.ndarray, targets: np.ndarray, weight: Tensor) -> np.ndarray:
    """Targets minus forecasts of windows; samples before the start of a series are NaN and count as the mean."""
    contexts = contexts.astype(np.float64)
    mean = np.nanmean(contexts, axis=1, keepdims=True)
    forecast: np.ndarray = mean + np.nan_to_num(contexts - mean) @ weight.numpy().T
    return targets - forecast
