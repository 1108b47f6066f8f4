"""A learned scale and scaled residuals: quantiles and sample paths around any forecast.

Shapes: ``M`` forecasts, ``H`` horizon, ``n`` residuals, ``P`` probabilities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from swt_time.data.origins import never_negative
from swt_time.errors import CheckpointError
from swt_time.intervals.conformal import quantiles_of_sorted, widest_level
from swt_time.intervals.scale import FEATURES, Description, describe

LARGEST_SEASON = 2**20

LEAST_SPREAD = 1e-3
"""A forecaster's own spread counts as at least so much of the unit of the window."""


@dataclass(frozen=True)
class Calibration:
    """What `fit_calibration` learned from the residuals of a forecaster.

    Attributes
    ----------
    season : int
    coefficients : (1 + FEATURES,) array
        The scale of a window is its unit times ``exp(c[0] + c[1:] features)``; see `swt_time.intervals.scale`.
    bounds : (2, FEATURES) array
        Least and largest features of the residuals' windows, between which those of other windows are clipped.
    phase : float
        How much the scale of a step follows the phase of its season: the power of the ratio of the seasonal differences
        at that phase to those at all phases.
    growth : float
        All steps share their residuals, whose scale grows like ``step^growth``; -1 if every step has its own.
    residuals : (n, H) float32 array
        Residuals divided by the scale of their window, one row for each forecast origin; NaN where nothing was
        observed.
    own : float
        How much the scale follows the spread that the forecaster itself gives: the power of its ratio to the unit of
        the window. Residuals above the forecast are divided by the scale above it, others by that below it.
    """

    season: int
    coefficients: np.ndarray
    bounds: np.ndarray
    phase: float
    growth: float
    residuals: np.ndarray
    own: float = 0.0

    @property
    def horizon(self) -> int:
        """``H``."""
        return int(self.residuals.shape[1])

    @property
    def shared(self) -> bool:
        """Whether all steps share their residuals."""
        return self.growth >= 0

    @property
    def counts(self) -> np.ndarray:
        """Number of residuals of each step, (H,); where steps share them, of all steps."""
        counts = (~np.isnan(self.residuals)).sum(axis=0)
        return np.full_like(counts, counts.sum()) if self.shared else counts

    @property
    def widest(self) -> float:
        """The widest central interval that the residuals of every step allow, in percent."""
        return widest_level(int(self.counts.min()))

    def scales(self, known: Description, spread: np.ndarray | None = None) -> np.ndarray:
        """Scales below and above forecasts, (2, M, H), from the forecaster's own ``spread`` of the same shape."""
        unit = known.unit[:, None]
        if not self.own:
            scales = unit * self._factors(known)
            return np.broadcast_to(scales, (2, *scales.shape))
        assert spread is not None
        own = np.maximum(spread, LEAST_SPREAD * unit)
        weighted: np.ndarray = unit ** (1 - self.own) * own**self.own * self._factors(known)
        return weighted

    def _factors(self, known: Description) -> np.ndarray:
        """Scales of windows in their units, (M, H)."""
        steps = np.arange(self.horizon)
        # each row is summed by itself, so that a series is forecast alike alone and in company
        logs = (np.clip(known.features, *self.bounds) * self.coefficients[1:]).sum(axis=1)[:, None]
        if self.phase:
            logs = logs + self.phase * known.phases[:, steps % self.season]
        growth = self.growth * np.log(steps + 1) if self.shared else np.zeros(self.horizon)
        return np.asarray(np.exp(self.coefficients[0] + logs + growth))

    def quantiles(
        self,
        yhat: np.ndarray,
        histories: Sequence[np.ndarray],
        probabilities: Sequence[float],
        spread: np.ndarray | None = None,
    ) -> np.ndarray:
        """Quantiles of what will be observed.

        Parameters
        ----------
        yhat : (M, H) array
            Forecasts, in the units of the series.
        histories : sequence of M arrays
            The values that were known before each forecast, NaN where nothing was observed.
        probabilities : sequence of P float
            Between 0 and 1.
        spread : (2, M, H) array, optional
            The forecaster's own spread below and above each forecast; needed if the residuals are relative to it.

        Returns
        -------
        (P, M, H) float64 array
            Ascending in the probability. Not negative for series without negative values, unless the forecast is. NaN
            if the residuals are too few.
        """
        scales = self.scales(describe(histories, self.season), spread)
        found = unscale(self.scaled_quantiles(probabilities)[:, None, :], scales)
        found += yhat
        bounded: np.ndarray = np.maximum(found, self._floor(yhat, histories), out=found)
        return bounded

    def samples(
        self,
        yhat: np.ndarray,
        histories: Sequence[np.ndarray],
        count: int,
        seed: int,
        spread: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw sample paths; the residuals of a path are those of one origin, so steps depend on each other as there.

        Parameters
        ----------
        yhat, histories, spread
            See `quantiles`.
        count : int
            ``K``; the same origins are drawn for all series.
        seed : int

        Returns
        -------
        (K, M, H) float64 array

        Raises
        ------
        CheckpointError
            At no origin all steps were observed.
        """
        whole = np.flatnonzero(~np.isnan(self.residuals).any(axis=1))
        if not len(whole):
            raise CheckpointError(
                "the model has no sample paths: no held-out forecast has an observed value at every step; train it on "
                "a table with fewer missing values"
            )
        draws = np.random.default_rng(seed)
        passes = -(-count // len(whole))  # every origin is drawn equally often, as far as the count allows
        drawn = np.concatenate([draws.permutation(whole) for _ in range(passes)])[:count]
        scales = self.scales(describe(histories, self.season), spread)
        paths = yhat + unscale(self.residuals[drawn].astype(np.float64)[:, None, :], scales)
        bounded: np.ndarray = np.maximum(paths, self._floor(yhat, histories))
        return bounded

    def scaled_quantiles(self, probabilities: ArrayLike) -> np.ndarray:
        """Quantiles of the residuals, (P, H), in units of `scales`."""
        found = quantiles_of_sorted(self._sorted, probabilities)
        return np.repeat(found, self.horizon, axis=1) if self.shared else found

    @cached_property
    def _sorted(self) -> np.ndarray:
        """Residuals of each step, ascending; where steps share them, those of all in one column."""
        residuals = self.residuals.astype(np.float64)
        return np.sort(residuals.reshape(-1, 1) if self.shared else residuals, axis=0)

    @staticmethod
    def _floor(yhat: np.ndarray, histories: Sequence[np.ndarray]) -> np.ndarray:
        return np.where(never_negative(histories)[:, None], np.minimum(yhat, 0.0), -np.inf)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return everything as numeric arrays by name, from which `from_arrays` restores an equal calibration.

        ``own`` is left out where it is 0.
        """
        own = {"own": np.array(self.own)} if self.own else {}
        return own | {
            "season": np.array(self.season, np.float64),
            "coefficients": self.coefficients,
            "bounds": self.bounds,
            "phase": np.array(self.phase),
            "growth": np.array(self.growth),
            "residuals": self.residuals,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "Calibration":
        """Restore a calibration from `to_arrays`.

        Raises
        ------
        CheckpointError
            An array is missing, has another shape than expected, or holds impossible values.
        """
        names = ("season", "coefficients", "bounds", "phase", "growth", "residuals")
        missing = [name for name in names if name not in arrays]
        if missing:
            raise CheckpointError(f"the intervals have no array {missing[0]!r}; expected {', '.join(names)}")
        season, coefficients, bounds, phase, growth = (np.asarray(arrays[name], np.float64) for name in names[:5])
        residuals, own = np.asarray(arrays["residuals"], np.float32), np.asarray(arrays.get("own", 0.0), np.float64)
        bad = (
            "season" if season.shape != () or not 1 <= season <= LARGEST_SEASON or season != np.floor(season)
            else "coefficients" if coefficients.shape != (1 + FEATURES,) or not np.isfinite(coefficients).all()
            else "bounds" if bounds.shape != (2, FEATURES) or not (bounds[0] <= bounds[1]).all()
            else "phase" if phase.shape != () or not 0 <= phase <= 1
            else "growth" if growth.shape != () or not (growth == -1 or 0 <= growth <= 1)
            else "residuals" if residuals.ndim != 2 or 0 in residuals.shape or np.isinf(residuals).any()
            else "own" if own.shape != () or not 0 <= own <= 1
            else None
        )  # fmt: skip
        if bad:
            raise CheckpointError(f"{bad} of the intervals has an impossible shape or value; train the model again")
        return cls(int(season), coefficients, bounds, float(phase), float(growth), residuals, float(own))


def unscale(scaled: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Multiply what is below zero by the scales below the forecast, and the rest by those above, both (..., M, H)."""
    same = scales.strides[0] == 0  # both sides are views of one array
    unscaled: np.ndarray = scaled * (scales[0] if same else np.where(scaled < 0, *scales))
    return unscaled
