"""Columns of intervals, quantiles and sample paths beside a forecast."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swt_time.data.origins import known_values
from swt_time.data.series import SeriesTable
from swt_time.errors import CheckpointError, ConfigError, SWTTimeWarning
from swt_time.evaluation.trained import Trained, why_no_intervals
from swt_time.intervals import Calibration, conformal_ranks, reach

LEVELS = (80, 95)
"""Levels of a forecast of which nothing else is asked."""

MOST_SAMPLES = 100_000


@dataclass(frozen=True)
class Uncertainty:
    """What is asked of a forecast beside ``yhat``.

    Parameters
    ----------
    levels : sequence of float
        Percentages: the level 80 gives the columns ``yhat-lo-80`` and ``yhat-hi-80``, between which 80 % of the
        observed values are expected.
    quantiles : sequence of float
        Probabilities: 0.1 gives the column ``0.1``, below which a tenth of the observed values are expected.
    samples : int
        Number of sample paths: columns ``yhat-sample-1``, ``yhat-sample-2`` and so on. The steps of a path depend on
        each other as those of past errors, so the sums of paths over the horizon show the uncertainty of the sum.

    Raises
    ------
    ConfigError
        A value is out of range.
    """

    levels: Sequence[float] = ()
    quantiles: Sequence[float] = ()
    samples: int = 0

    def __post_init__(self) -> None:
        for level in self.levels:
            if not 1 <= level < 100:
                raise ConfigError(f"levels are percentages from 1 to below 100, such as 80; got {level:g}")
        for quantile in self.quantiles:
            if not 0 < quantile < 1:
                raise ConfigError(f"quantiles lie between 0 and 1, such as 0.1; got {quantile:g}")
        if not 0 <= self.samples <= MOST_SAMPLES:
            raise ConfigError(f"samples must be from 0 to {MOST_SAMPLES:,}; got {self.samples}")

    def columns(
        self,
        trained: Trained,
        series: SeriesTable,
        pairs: np.ndarray,
        yhat: np.ndarray,
        spread: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Compute the columns by name, (M, H) each.

        A level for which there are too few residuals is replaced by the widest one that they allow, with a warning.

        Parameters
        ----------
        trained : Trained
        series : SeriesTable
        pairs : (M, 2) int array
            Series index and known rows of each forecast.
        yhat : (M, H) array
        spread : (2, M, H) array, optional
            That of `Trained.spreads`, if it is known already.

        Raises
        ------
        CheckpointError
            Something else than `LEVELS` is asked of a model without residuals, which gives no columns for these.
        """
        calibration = self._calibration(trained)
        if calibration is None:
            return {}
        histories = known_values(series, pairs, reach(calibration.season))
        spread = trained.spreads(series, pairs) if spread is None else spread
        probabilities = self._probabilities(calibration)
        found: dict[str, np.ndarray] = {}
        if probabilities:
            values = calibration.quantiles(yhat, histories, list(probabilities.values()), spread)
            found |= dict(zip(probabilities, values, strict=True))
        if self.samples:
            seed = trained.checkpoint.config.training.seed
            paths = calibration.samples(yhat, histories, self.samples, seed, spread)
            found |= {f"yhat-sample-{number}": path for number, path in enumerate(paths, start=1)}
        return found

    def probabilities(self, trained: Trained) -> dict[str, float]:
        """Return the probability below the values of each of the `columns`, without sample paths.

        Raises
        ------
        CheckpointError
            As `columns`.
        """
        calibration = self._calibration(trained)
        return {} if calibration is None else self._probabilities(calibration)

    def _calibration(self, trained: Trained) -> Calibration | None:
        """Return the calibration of a model.

        None if it is not needed, or if nothing but `LEVELS` is asked of a model without one.
        """
        if not (self.levels or self.quantiles or self.samples):
            return None
        if trained.calibration is None and (tuple(self.levels) != LEVELS or self.quantiles or self.samples):
            raise CheckpointError(
                f"the model has no intervals: {why_no_intervals(trained.checkpoint.provenance)}; ask for the forecast "
                "alone (levels=None), or train it again with a longer table or with a validation part (data.split "
                "0.7/0.1/0.2)"
            )
        return trained.calibration

    def _probabilities(self, calibration: Calibration) -> dict[str, float]:
        """Probability of each column, as far as the residuals allow."""
        count = int(calibration.counts.min())
        found: dict[str, float] = {}
        for level in self.levels:
            used = self._honest(level, calibration)
            if used is not None:
                found |= {f"yhat-lo-{used:g}": 0.5 - used / 200, f"yhat-hi-{used:g}": 0.5 + used / 200}
        for quantile in self.quantiles:
            if np.isfinite(conformal_ranks(quantile, count)):
                found[f"{quantile:g}"] = quantile
            else:
                _warn(
                    f"quantile {quantile:g} is left out: {count} residuals of a step allow quantiles from "
                    f"{1 / (count + 1):.3g} to {count / (count + 1):.3g}"
                )
        return found

    @staticmethod
    def _honest(level: float, calibration: Calibration) -> float | None:
        if level <= calibration.widest + 1e-9:
            return level
        used = float(np.floor(calibration.widest))
        count = int(calibration.counts.min())
        instead = f"the widest level that they allow, {used:g}, is given instead" if used >= 1 else "it is left out"
        _warn(
            f"the level {level:g} needs {int(np.ceil(200 / (100 - level) - 1 - 1e-9))} residuals of a step, the model "
            f"has {count}: {instead}"
        )
        return used if used >= 1 else None


NOTHING = Uncertainty()


def _warn(note: str) -> None:
    warnings.warn(note, SWTTimeWarning, stacklevel=5)
