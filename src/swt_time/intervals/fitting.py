"""Learn the scale of a forecaster's errors, and scale its residuals.

Shapes: ``M`` residual origins, ``H`` horizon, ``F`` features.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from swt_time.intervals.calibration import Calibration
from swt_time.intervals.residuals import Residuals
from swt_time.intervals.scale import FEATURES, Description, describe

MOST_RESIDUALS = 2**10
"""Most origins whose residuals are kept; of more an even sample."""

OWN_STEPS = 100
"""A step has quantiles of its own if it has so many residuals; otherwise all steps share them."""

FEW_ORIGINS = 20
"""Origins that hardly overlap, below which residuals count with both signs."""

PHASES = (0.0, 0.5, 1.0)
"""Powers of the seasonal differences at the phase of a step that are tried in its scale."""

LARGEST = 1e30
"""Largest scaled residual that is kept."""

PENALTY = 1.0
"""Ridge penalty of the coefficients of standardised features."""

ROUNDS = 25

LARGEST_CHANGE = 3.0
"""Largest change of the logarithm of a scale in a round."""

JUDGED = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
"""Quantiles by which the form of the scale is chosen."""

MOST_JUDGED = 2**15
"""Most residuals of a block by which it is chosen."""


def fit_calibration(residuals: Residuals, histories: Sequence[np.ndarray], season: int) -> Calibration | None:
    """Learn quantiles from the residuals of a forecaster.

    Parameters
    ----------
    residuals : Residuals
        Of ``M`` origins.
    histories : sequence of M arrays
        The values that were known before each forecast, NaN where nothing was observed.
    season : int

    Returns
    -------
    Calibration or None
        None if there are no residuals, or those of constant series only.

    Notes
    -----
    The features and the phases are used if they lower the error of the quantiles on blocks that were left out. Each
    tail has its own residuals, unless the origins are few (`FEW_ORIGINS`): then which side has more of them is chance,
    and every residual counts with both signs.

    The mean absolute residual of a window, in units of the window, is taken as gamma distributed around
    ``exp(c[0] + c[1:] features)``, which is fitted by iteratively reweighted least squares (McCullagh and Nelder,
    "Generalized Linear Models", 1989, section 8.2) with a small ridge penalty.
    """
    known = describe(histories, season)
    rows = np.flatnonzero((known.unit > 0) & ~np.isnan(residuals.values).all(axis=1))
    if not len(rows):
        return None
    rows = rows[np.linspace(0, len(rows) - 1, min(MOST_RESIDUALS, len(rows))).round().astype(np.int64)]
    known, block = known.select(rows), residuals.block[rows]
    relative = residuals.values[rows] / known.unit[:, None]
    few = residuals.independent < FEW_ORIGINS
    if few:
        twice = np.tile(np.arange(len(rows)), 2)
        relative, known, block = np.concatenate([relative, -relative]), known.select(twice), block[twice]
    forms = [(False, 0.0)]
    blocks = np.unique(block)
    if len(blocks) > 1:
        forms = [
            (used, phase) for used in (False, True) for phase in (PHASES if season > 1 and not few else PHASES[:1])
        ]
    errors = np.zeros(len(forms))
    for one in blocks if len(forms) > 1 else []:
        kept, left_out = np.flatnonzero(block != one), np.flatnonzero(block == one)
        left_out = left_out[:: -(-len(left_out) * relative.shape[1] // MOST_JUDGED)]
        for number, form in enumerate(forms):
            fitted = _calibrate(relative[kept], known.select(kept), season, *form)
            errors[number] += _error(fitted, relative[left_out], known.select(left_out))
    return _calibrate(relative, known, season, *forms[int(errors.argmin())])


def _calibrate(relative: np.ndarray, known: Description, season: int, used: bool, phase: float) -> Calibration:
    """Fit on residuals in units of their windows; with the features where they are ``used``."""
    counts = (~np.isnan(relative)).sum(axis=0)
    shared = counts.min() < OWN_STEPS
    bounds = np.stack([known.features.min(axis=0), known.features.max(axis=0)])
    form = Calibration(season, np.zeros(1 + FEATURES), bounds, phase, 0.0 if shared else -1.0, relative)
    if shared:
        form = replace(form, growth=_growth(relative / form.factors(known)))
    if used:
        shaped = relative / form.factors(known)
        sizes = _mean(np.abs(shaped) / (1.0 if shared else _profile(shaped)))
        form = replace(form, coefficients=_gamma_regression(known.features, sizes))
    scaled = np.clip(relative / form.factors(known), -LARGEST, LARGEST)
    return replace(form, residuals=scaled.astype(np.float32))


def _profile(relative: np.ndarray) -> np.ndarray:
    """Mean absolute residual of each step, (H,), in units of the mean over steps."""
    found = _mean(np.abs(relative).T)
    mean = found.mean()
    return np.where(found > 0, found / mean, 1.0) if mean > 0 else np.ones(len(found))


def _growth(relative: np.ndarray) -> float:
    """Exponent of the growth of the mean absolute residual with the step: least squares on a log scale."""
    counts = (~np.isnan(relative)).sum(axis=0)
    sizes = np.zeros(relative.shape[1])
    sizes[counts > 0] = _mean(np.abs(relative[:, counts > 0]).T)
    used = sizes > 0
    if used.sum() < 2:
        return 0.0
    steps, logs, weights = np.log(np.flatnonzero(used) + 1.0), np.log(sizes[used]), counts[used] / counts.sum()
    steps = steps - (weights * steps).sum() / weights.sum()
    return float(np.clip((weights * steps * logs).sum() / (weights * steps**2).sum(), 0.0, 1.0))


def _mean(values: np.ndarray) -> np.ndarray:
    """Means of rows over what is not NaN; every row has a value."""
    return np.asarray(np.nanmean(values, axis=1))


def _gamma_regression(features: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Coefficients (1 + F,) of the logarithm of the mean size."""
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    design = np.concatenate([np.ones((len(sizes), 1)), (features - centre) / spread], axis=1)
    penalty = np.diag([0.0, *[PENALTY] * FEATURES])
    mean = max(float(sizes.mean()), np.finfo(np.float64).tiny)
    found = np.array([np.log(mean), *[0.0] * FEATURES])
    for _ in range(ROUNDS):
        expected = np.exp(design @ found)
        change = np.clip((sizes - expected) / expected, -LARGEST_CHANGE, LARGEST_CHANGE)
        found = np.linalg.solve(design.T @ design + penalty, design.T @ (design @ found + change))
    slopes = found[1:] / spread
    return np.array([found[0] - centre @ slopes, *slopes])


def _error(calibration: Calibration, relative: np.ndarray, known: Description) -> float:
    """Sum of the quantile losses of other residuals in units of their windows."""
    scaled = calibration.scaled_quantiles(JUDGED)
    least, largest = np.nanmin(calibration.residuals), np.nanmax(calibration.residuals)
    scaled = np.where(np.isnan(scaled), np.where(JUDGED[:, None] < 0.5, least, largest), scaled)
    above = relative - scaled[:, None, :] * calibration.factors(known)
    losses = np.maximum(JUDGED[:, None, None] * above, (JUDGED[:, None, None] - 1) * above)
    return float(np.nansum(losses))
