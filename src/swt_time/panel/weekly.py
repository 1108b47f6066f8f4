"""Forecasts of series with a daily and a weekly season, by few coefficients: common ones, and what each series adds.

The forecast is the mean of the same hour of the week in the latest weeks, plus a linear correction by features of the
history: the same hour of the latest days, and how far recent means lie from those of a week before. Ridge regression
fits coefficients of each step that all series share, and then for each series one deviation from them that all its
steps share, from the series' own history at the time of the forecast. So a fitted map holds the common coefficients
only, forecasts new series too, and a series of few weeks is forecast nearly as the others are.

Shapes: ``L`` values of a series, ``O`` origins in it, ``H`` horizon, ``F`` features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from swt_time.errors import CheckpointError
from swt_time.panel.rows import check_panel, check_steps, interpolate

DAYS = 7
"""Days of a week."""

WEEKS = 3
"""Latest weeks whose mean is corrected."""

LONGEST = 16
"""Latest weeks of a series that are used."""

TARGETS = 2**12
"""Targets in a fit of what a series adds, of as many origins as that allows."""

TOGETHER = 2**16
"""Targets of all series in the fit of the common coefficients, if that is more than `TARGETS` of each."""

ORIGINS = 32
"""Origins of a series in a fit that are taken for any horizon."""

SERIES = 512
"""Most series of which the common coefficients are fitted; of larger panels an even sample."""

STRENGTH = 6.0
"""Strength of the penalty for one week of windows, in units of the mean squared error of the mean of the weeks; more
weeks have less."""

LEAST_STRENGTH = 0.03
"""Strength of the penalty of common coefficients for any number of weeks."""

LARGEST = 5.0
"""A series whose weeks are so much alike that a feature is larger than this many units counts less in a common fit."""

FAINT = 1e-9
"""A series whose weeks differ by less than this part of its largest value is forecast by their mean."""

ALIKE = 1e-4
"""So is a series whose weeks differ by less than this part of a feature, for which the moments would be singular."""

FEATURES = 13
"""``F``."""


def shortest_weekly(day: int, horizon: int) -> int:
    """Return the rows that a series must have: two weeks before an origin, a horizon after it, and a day of origins."""
    return (2 * DAYS + 1) * day + horizon


def longest_weekly(day: int, horizon: int) -> int:
    """Return how many of the latest rows of a series are used."""
    return max(LONGEST * DAYS * day, shortest_weekly(day, horizon))


@dataclass(frozen=True)
class WeeklyMap:
    """A fitted map, as `fit_weekly` returns it.

    Attributes
    ----------
    day, horizon : int
        Steps of a day, and steps to forecast.
    coefficients : ndarray (H, F)
        The common coefficients.
    """

    day: int
    horizon: int
    coefficients: np.ndarray

    def forecast(self, panel: Sequence[ArrayLike]) -> np.ndarray:
        """Forecast the values after the end of each series.

        Parameters
        ----------
        panel : sequence of array_like
            One-dimensional series of any length; NaN for unobserved values. Each is forecast by itself: the others do
            not matter.

        Returns
        -------
        ndarray (S, H)
            Not negative for series without negative values; NaN for series of less than `shortest_weekly` rows.
        """
        found = np.full((len(panel), self.horizon), np.nan)
        for row, one in zip(found, check_panel(panel), strict=True):
            if (known := History.of(one, self.day, self.horizon)) is not None:
                row[:] = self._forecast(known)
                if not (one < 0).any():  # a comparison with NaN is false
                    np.maximum(row, 0.0, out=row)
        return found

    def _forecast(self, known: "History") -> np.ndarray:
        features, weeks, goals, unit = windows(known, self.day, self.horizon, TARGETS)
        scaled = weeks
        if unit:
            left = goals - np.einsum("ohf,hf->oh", features[1:], self.coefficients)
            observed = ~np.isnan(left)
            x, y = features[1:][observed], left[observed]
            strength = STRENGTH / known.weeks(self.day, self.horizon)
            own = ridge(x.T @ x / len(y), x.T @ y / len(y), strength)
            scaled = weeks + unit * np.einsum("hf,hf->h", features[0], self.coefficients + own)
        limit = np.finfo(np.float64).max
        with np.errstate(over="ignore"):
            return np.clip(np.ldexp(scaled, known.exponent), -limit, limit)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return everything as numeric arrays by name, from which `from_arrays` restores an equal map."""
        return {"day": np.array(self.day), "coefficients": self.coefficients}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "WeeklyMap":
        """Restore a map from `to_arrays`.

        Raises
        ------
        CheckpointError
            An array is missing, has another shape than expected, or holds impossible values.
        """
        day, coefficients = (np.asarray(arrays.get(name, np.nan), dtype=np.float64) for name in ("day", "coefficients"))
        if day.shape != () or not 1 < day <= 86_400 or day != np.floor(day):
            raise CheckpointError(f"the day of the weekly map is {day!r}; expected an integer from 2 to 86,400")
        if coefficients.ndim != 2 or coefficients.shape[1] != FEATURES or not np.isfinite(coefficients).all():
            raise CheckpointError(
                f"the coefficients of the weekly map have shape {coefficients.shape}; expected finite values for each "
                f"step and {FEATURES} features; the checkpoint is damaged: fit it again"
            )
        return cls(int(day), len(coefficients), coefficients)


@dataclass(frozen=True)
class History:
    """The latest rows of a series, in units in which the largest absolute value lies between 1/2 and 1.

    Attributes
    ----------
    values : ndarray (L,)
        Unobserved values are interpolated between those of the same time of day, after the last observed one those of
        a week before are repeated.
    observed : ndarray of bool (L,)
    exponent : int
        The unit is two to this power.
    """

    values: np.ndarray
    observed: np.ndarray
    exponent: int

    @classmethod
    def of(cls, series: np.ndarray, day: int, horizon: int) -> "History | None":
        """Return the history of a series with an observed value; None if it is too short."""
        latest = series[-longest_weekly(day, horizon) :]
        seen = np.flatnonzero(~np.isnan(latest))
        if not len(seen) or seen[-1] + 1 - seen[0] < shortest_weekly(day, horizon):
            return None
        latest = latest[seen[0] :]
        observed, end, week = ~np.isnan(latest), seen[-1] + 1 - seen[0], DAYS * day
        exponent = int(np.frexp(np.nanmax(np.abs(latest)))[1])
        known = np.ldexp(latest[:end], -exponent)
        known = known if observed[:end].all() else interpolate(known, day)
        repeated = np.resize(known[-week:], len(latest) - end)
        return cls(np.concatenate([known, repeated]), observed, exponent)

    def weeks(self, day: int, horizon: int) -> float:
        """Return the weeks of origins with two weeks before and a horizon after them."""
        return (len(self.values) - 2 * DAYS * day - horizon) / (DAYS * day)


def describe(values: np.ndarray, origins: np.ndarray, day: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Describe what is known at forecast origins.

    Parameters
    ----------
    values : ndarray (L,)
    origins : ndarray of int (O,)
        Number of known values at each, at least two weeks.
    day, horizon : int

    Returns
    -------
    features : ndarray (O, H, F)
    weeks : ndarray (O, H)
        Mean of the same hour of the week in the latest weeks, as many as there are.
    """
    week, ahead = DAYS * day, np.arange(horizon)
    targets = origins[:, None] + ahead

    def back(season: int, count: int) -> np.ndarray:
        """The latest values of the same phase, (count, O, H); NaN before the start."""
        at = targets - season * (ahead // season + 1) - season * np.arange(count)[:, None, None]
        return np.where(at >= 0, values[np.maximum(at, 0)], np.nan)

    weeks, days = back(week, WEEKS), back(day, DAYS)
    mean = np.nanmean(weeks, axis=0)
    before = targets - day * (ahead // day + 1) - week - day * np.arange(WEEKS)[:, None, None]
    changes = days[:WEEKS] - values[before]
    lengths = np.array([1, max(day // 8, 1), max(day // 3, 1), day, 3 * day, week])[:, None]
    sums = np.concatenate([[0.0], np.cumsum(values)])
    levels, former = ((sums[end] - sums[end - lengths]) / lengths for end in (origins, origins - week))
    flat = [*(levels - former), levels[3] - levels[5]]
    seasonal = [
        weeks[0] - mean,
        days[0] - mean,
        days[:WEEKS].mean(axis=0) - mean,
        days.mean(axis=0) - mean,
        changes[0],
        changes.mean(axis=0),
    ]
    return np.stack([*seasonal, *(np.broadcast_to(one[:, None], mean.shape) for one in flat)], axis=2), mean


def windows(known: History, day: int, horizon: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Describe the end of a history and windows in it, of about ``most`` targets.

    Returns
    -------
    features : ndarray (1 + O, H, F)
        At the end, then at the origins of windows; in units of ``unit``.
    weeks : ndarray (H,)
        Mean of the latest weeks at the end.
    goals : ndarray (O, H)
        Distances of the targets from the mean of the weeks in units of ``unit``; NaN where unobserved.
    unit : float
        Root mean square of the distances; 0 if it is too small to tell anything, and the unit is then 1.
    """
    values = known.values
    first, last = 2 * DAYS * day, len(values) - horizon
    step = -(-(last + 1 - first) // max(most // horizon, ORIGINS))
    while gcd(step, DAYS * day) > 1:  # so that origins fall on all hours of the week
        step += 1
    origins = np.arange(last, first - 1, -step)
    features, mean = describe(values, np.concatenate([[len(values)], origins]), day, horizon)
    at = origins[:, None] + np.arange(horizon)
    goals = np.where(known.observed[at], values[at] - mean[1:], np.nan)
    observed = goals[~np.isnan(goals)]
    unit = float(np.sqrt(np.mean(observed**2))) if observed.size else 0.0
    if unit < max(FAINT, ALIKE * root_mean_square(features)):
        return features, mean[0], goals, 0.0
    return features / unit, mean[0], goals / unit, unit


def root_mean_square(features: np.ndarray) -> float:
    """Return that of the largest feature."""
    return float(np.sqrt(np.einsum("ohf,ohf->f", features, features).max() / features[..., 0].size))


def ridge(squares: np.ndarray, products: np.ndarray, strength: float) -> np.ndarray:
    """Solve ridge regressions with moments (..., F, F) and (..., F)."""
    return np.asarray(np.linalg.solve(squares + strength * np.eye(FEATURES), products[..., None])[..., 0])


def fit_weekly(panel: Sequence[ArrayLike], day: int, horizon: int) -> WeeklyMap | None:
    """Fit the common coefficients on a panel of series.

    Parameters
    ----------
    panel : sequence of array_like
        One-dimensional series of any length; NaN for unobserved values.
    day, horizon : int
        Steps of a day, and steps to forecast.

    Returns
    -------
    WeeklyMap or None
        None if no series has `shortest_weekly` rows.

    Examples
    --------
    >>> import numpy as np
    >>> week = np.tile([5.0, 5.0, 5.0, 5.0, 5.0, 1.0, 1.0], 2)  # two steps a day
    >>> fit_weekly([np.tile(week, 4)], day=2, horizon=4).forecast([np.tile(week, 4)])
    array([[5., 5., 5., 5.]])
    """
    check_steps(day, horizon)
    long = [one for one in check_panel(panel) if len(one) >= shortest_weekly(day, horizon)]
    squares = np.zeros((horizon, FEATURES, FEATURES))
    products = np.zeros((horizon, FEATURES))
    weeks, found = 0.0, 0
    places = np.unique(np.linspace(0, len(long) - 1, min(SERIES, len(long))).round().astype(int))
    most = max(TOGETHER // max(len(places), 1), TARGETS)
    for place in places:
        if (known := History.of(long[place], day, horizon)) is None:
            continue
        found += 1
        features, _, goals, unit = windows(known, day, horizon, most)
        if not unit:
            continue
        shrunk = min(LARGEST / root_mean_square(features), 1.0)
        goals *= shrunk
        design = np.where(np.isnan(goals)[:, :, None], 0.0, shrunk * features[1:]).transpose(1, 2, 0)
        count = np.maximum((~np.isnan(goals)).sum(axis=0), 1)
        squares += design @ design.transpose(0, 2, 1) / count[:, None, None]
        products += (design @ np.nan_to_num(goals).T[:, :, None])[:, :, 0] / count[:, None]
        weeks += known.weeks(day, horizon)
    if not found:
        return None
    if weeks == 0:
        return WeeklyMap(day, horizon, products)
    strength = LEAST_STRENGTH + STRENGTH / weeks
    return WeeklyMap(day, horizon, ridge(squares / found, products / found, strength))
