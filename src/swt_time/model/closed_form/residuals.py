"""Errors of the closed form on windows that were held out, with a form that was chosen before."""

from dataclasses import dataclass

import numpy as np

from swt_time.data.windows import Windows, evenly
from swt_time.machine import one_thread
from swt_time.model.closed_form.folds import Blocks
from swt_time.model.closed_form.priors import Prior
from swt_time.model.closed_form.solving import FormRecord, solve_again

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


@one_thread()
def held_out_residuals(
    windows: Windows, validation: Windows | None, context: int, prior: Prior | None, form: FormRecord
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
    form : FormRecord
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
    used = evenly(len(blocks.index), MOST_RESIDUALS)
    part, index, block = blocks.part[used], blocks.index[used], blocks.block[used]
    errors = np.full((len(used), horizon), np.nan)
    for number, fold in blocks.by_block(form.exponent).items():
        weight = solve_again(fold.train, form, prior, windows.season)
        for which, one in enumerate(parts):
            rows = np.flatnonzero((block == number) & (part == which))
            if len(rows):
                errors[rows] = _errors(*one.gather(index[rows]), weight)
    return HeldOutErrors(part, index, errors, block)


def _errors(contexts: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Targets minus forecasts of windows; samples before the start of a series are NaN and count as the mean."""
    contexts = contexts.astype(np.float64)
    mean = np.nanmean(contexts, axis=1, keepdims=True)
    residuals: np.ndarray = targets - (mean + np.nan_to_num(contexts - mean) @ weight.T)
    return residuals
