"""Learn the scale of a forecaster's errors, and scale its residuals.

Shapes: ``M`` residual origins, ``H`` horizon, ``F`` features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple, Self

import numpy as np

from swt_time.intervals.calibration import Calibration, unscale
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

OWN = (0.0, 0.5, 1.0)
"""Powers of the forecaster's own spread that are tried in the scale."""

LARGEST = 1e30
"""Largest scaled residual that is kept."""

PENALTY = 1.0
"""Ridge penalty of the coefficients of standardised features."""

ROUNDS = 25

LARGEST_CHANGE = 3.0
"""Largest change of the logarithm of a scale in a round."""

JUDGED = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
"""Quantiles by which the form of the scale is chosen."""

MOST_COMPARED = 2**9
"""Most origins by whose residuals it is chosen."""


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
    The features, the phases and the forecaster's own spread are used if they lower the error of the quantiles on blocks
    that were left out. With the spread alone this is conformalised quantile regression (Romano, Patterson and Candes,
    "Conformalized Quantile Regression", 2019) with factors in place of additive corrections, so that one set of
    residuals gives every level; in between, the scale is a geometric mean.

    Each tail has its own residuals, unless the origins are few (`FEW_ORIGINS`): then which side has more of them is
    chance, and every residual counts with both signs.

    The mean absolute residual of a window, in units of the window, is taken as gamma distributed around
    ``exp(c[0] + c[1:] features)``, which is fitted by iteratively reweighted least squares (McCullagh and Nelder,
    "Generalized Linear Models", 1989, section 8.2) with a small ridge penalty.
    """
    known = describe(histories, season)
    rows = np.flatnonzero((known.unit > 0) & ~np.isnan(residuals.values).all(axis=1))
    if not len(rows):
        return None
    rows = rows[np.linspace(0, len(rows) - 1, min(MOST_RESIDUALS, len(rows))).round().astype(np.int64)]
    held = _Held.of(residuals, known, rows)
    few = residuals.independent < FEW_ORIGINS
    if few:
        held = held.with_both_signs()
    own = OWN[:1] if residuals.spread is None else OWN
    forms = [_Form(own[-1], False, 0.0)]
    compared = held.select(np.arange(0, len(held.values), -(-len(held.values) // MOST_COMPARED)))
    blocks = np.unique(compared.block)
    if len(blocks) > 1:
        phases = PHASES if season > 1 and not few else PHASES[:1]
        forms = [_Form(*one) for one in product(own, (False, True), phases)]
    errors = np.zeros(len(forms))
    for one in blocks if len(forms) > 1 else []:
        kept, left_out = np.flatnonzero(compared.block != one), np.flatnonzero(compared.block == one)
        for number, form in enumerate(forms):
            errors[number] += _error(_calibrate(compared.select(kept), season, form), compared.select(left_out))
    return _calibrate(held, season, forms[int(errors.argmin())])


class _Form(NamedTuple):
    """How the scale is made: the power of the forecaster's own spread, whether with features, the power of phases."""

    own: float
    features: bool
    phase: float


@dataclass(frozen=True)
class _Held:
    """Residuals (M, H) and the forecaster's own spread (2, M, H), in units of their windows."""

    values: np.ndarray
    spread: np.ndarray | None
    known: Description
    block: np.ndarray

    @classmethod
    def of(cls, residuals: Residuals, known: Description, rows: np.ndarray) -> Self:
        """Return some rows of residuals."""
        chosen = known.select(rows)
        unit = chosen.unit[:, None]
        spread = None if residuals.spread is None else residuals.spread[:, rows] / unit
        chosen = replace(chosen, unit=np.ones_like(chosen.unit))
        return cls(residuals.values[rows] / unit, spread, chosen, residuals.block[rows])

    def select(self, rows: np.ndarray) -> "_Held":
        """Return some of the rows."""
        spread = None if self.spread is None else self.spread[:, rows]
        return _Held(self.values[rows], spread, self.known.select(rows), self.block[rows])

    def with_both_signs(self) -> "_Held":
        """Every residual, and its mirror image around the forecast."""
        twice = self.select(np.tile(np.arange(len(self.values)), 2))
        spread = None if self.spread is None else np.concatenate([self.spread, self.spread[::-1]], axis=1)
        return replace(twice, values=np.concatenate([self.values, -self.values]), spread=spread)

    def scaled(self, form: Calibration) -> np.ndarray:
        """Return the residuals divided by their scales, (M, H)."""
        return np.asarray(self.values / np.where(self.values < 0, *form.scales(self.known, self.spread)))


def _calibrate(held: _Held, season: int, chosen: _Form) -> Calibration:
    """Fit on residuals, in the chosen form."""
    counts = (~np.isnan(held.values)).sum(axis=0)
    shared = counts.min() < OWN_STEPS
    features = held.known.features
    bounds = np.stack([features.min(axis=0), features.max(axis=0)])
    growth = 0.0 if shared else -1.0
    form = Calibration(season, np.zeros(1 + FEATURES), bounds, chosen.phase, growth, held.values, chosen.own)
    if shared:
        form = replace(form, growth=_growth(held.scaled(form)))
    if chosen.features:
        shaped = held.scaled(form)
        sizes = _mean(np.abs(shaped) / (1.0 if shared else _profile(shaped)))
        form = replace(form, coefficients=_gamma_regression(features, sizes))
    return replace(form, residuals=np.clip(held.scaled(form), -LARGEST, LARGEST).astype(np.float32))


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


def _error(calibration: Calibration, held: _Held) -> float:
    """Sum of the quantile losses of other residuals in units of their windows."""
    scaled = calibration.scaled_quantiles(JUDGED)
    least, largest = np.nanmin(calibration.residuals), np.nanmax(calibration.residuals)
    scaled = np.where(np.isnan(scaled), np.where(JUDGED[:, None] < 0.5, least, largest), scaled)
    above = held.values - unscale(scaled[:, None, :], calibration.scales(held.known, held.spread))
    losses = np.maximum(JUDGED[:, None, None] * above, (JUDGED[:, None, None] - 1) * above)
    return float(np.nansum(losses))
