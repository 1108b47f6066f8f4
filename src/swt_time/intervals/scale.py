"""The scale of a forecast's errors, as far as the values before the forecast tell it.

Shapes: ``M`` windows, ``T`` values before each, ``F`` features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

SEASONS, LEAST = 10, 120
"""The scale is that of so many seasons before the forecast, or so many values if that is more."""

NEWEST = 6
"""The newest difference is the mean over the last season, or over so many values if that is more."""

LONG = 3
"""The former difference is the mean over so many times as many values."""

FEATURES = 3

SOFTENING = 0.05
"""Added to the ratios before their logarithm is taken, so that a flat stretch does not decide alone."""

PHASE_SOFTENING = 0.2
"""The same for the ratio of a phase, which is a mean of few values."""

MOST_VALUES = 2**22
"""Values that are described at once, which bounds memory."""


def reach(season: int) -> int:
    """Return how many of the latest values of a series are read."""
    return LONG * unit_length(season) + season


def unit_length(season: int) -> int:
    """Return how many of the latest values give the unit of the scale."""
    return max(SEASONS * season, LEAST)


@dataclass(frozen=True)
class Description:
    """What the values before forecasts say about the scale of their errors.

    Attributes
    ----------
    unit : (M,) array
        Mean absolute seasonal difference. Where no two values lie a season apart it is the mean absolute difference of
        neighbours, and of a single value its size. Zero for a constant series.
    features : (M, F) array
        Logarithms of three ratios to the unit: of the newest seasonal difference, of that over a longer history, and of
        the standard deviation.
    phases : (M, m) array
        Logarithm of the ratio to the unit of the mean absolute seasonal difference at each phase of the season of
        ``m`` steps, that of the first forecast step first.
    """

    unit: np.ndarray
    features: np.ndarray
    phases: np.ndarray

    def select(self, rows: np.ndarray) -> "Description":
        """Return some of the windows."""
        return Description(self.unit[rows], self.features[rows], self.phases[rows])


def describe(histories: Sequence[np.ndarray], season: int) -> Description:
    """Describe the values before forecasts.

    Parameters
    ----------
    histories : sequence of M arrays
        The values that are known before each forecast, NaN where nothing was observed.
    season : int

    Notes
    -----
    If a series is multiplied by a number, so is its unit; if a number is added, nothing changes (but for a series of a
    single value). A window is described by itself: the others do not matter.
    """
    count = len(histories)
    found = Description(np.empty(count), np.empty((count, FEATURES)), np.empty((count, season)))
    for rows, values in _chunks(histories, reach(season)):
        found.unit[rows], found.features[rows], found.phases[rows] = _describe(values, season)
    return found


def _chunks(histories: Sequence[np.ndarray], length: int) -> Iterator[tuple[slice, np.ndarray]]:
    step = max(MOST_VALUES // length, 1)
    for begin in range(0, len(histories), step):
        rows = slice(begin, min(begin + step, len(histories)))
        values = np.full((rows.stop - begin, length), np.nan)
        for row, one in zip(values, histories[rows], strict=True):
            known = np.asarray(one, np.float64)[-length:]
            row[length - len(known) :] = known
        yield rows, values


def _describe(values: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # divided by the largest value, so that no square overflows
    largest = np.nan_to_num(np.abs(values)).max(axis=1)
    largest[largest == 0] = 1.0
    values = values / largest[:, None]
    differences = np.abs(values[:, season:] - values[:, :-season])
    former, span = _mean(differences), unit_length(season)
    values, seasonal = values[:, -span - season :], differences[:, -span:]
    unit = _mean(seasonal)
    if np.isnan(unit).any():
        unit = np.where(np.isnan(unit), _mean(np.abs(np.diff(values[:, season - 1 :], axis=1))), unit)
        unit = np.where(np.isnan(unit), _mean(np.abs(values)), unit)
    newest = _mean(seasonal[:, -max(season, NEWEST) :])
    latest = values[:, season:]
    deviation = np.sqrt(_mean((latest - _mean(latest)[:, None]) ** 2))
    seasons = seasonal.shape[1] // season
    by_phase = seasonal[:, -seasons * season :].reshape(len(values), seasons, season).transpose(0, 2, 1)
    phases = _mean(by_phase.reshape(-1, seasons)).reshape(len(values), season)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.concatenate([np.stack([newest, former, deviation], axis=1), phases], axis=1) / unit[:, None]
    ratios = np.where(np.isfinite(ratios), ratios, 1.0)
    features, phases = np.log(ratios[:, :FEATURES] + SOFTENING), np.log(ratios[:, FEATURES:] + PHASE_SOFTENING)
    return np.nan_to_num(unit) * largest, features, phases


def _mean(values: np.ndarray) -> np.ndarray:
    """Means of rows over what is not NaN; NaN where nothing is."""
    values = np.ascontiguousarray(values)  # so that a row is summed in the same order alone and in company
    known = ~np.isnan(values)
    means: np.ndarray
    if known.all():
        means = values.sum(axis=1) / values.shape[1]
        return means
    count = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    means = np.divide(sums, count, out=np.full(len(values), np.nan), where=count > 0)
    return means
