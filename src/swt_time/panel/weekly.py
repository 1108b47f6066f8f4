"""Forecasts of series with a daily and a weekly season, by few coefficients: common ones, and what each series adds.

The forecast is the mean of the same time in the latest three weeks, plus a linear correction by features of the history
(see `describe`). Ridge regression fits coefficients of each step that all series share, and then for each series one
deviation from them that all its steps share, from the series' own history at the time of the forecast. So a fitted map
holds the common coefficients only, forecasts new series too, and forecasts a series of few weeks nearly as the others.

Shapes: ``S`` series of equal length, ``L`` values of each, ``O`` origins in them, ``H`` horizon, ``F`` features.
"""

from collections.abc import Iterator, Mapping, Sequence
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

FEATURES = 6
"""``F``."""

LONGEST = 16
"""Latest weeks of a series that are used."""

TARGETS = 2**12
"""Targets of a series in a fit, of as many origins as that allows."""

ORIGINS = 32
"""Origins of a series in a fit that are taken for any horizon."""

STRENGTH = 6.0
"""Strength of the penalty for one week of origins, in units of the mean squared error of the mean of the weeks; more
weeks have less."""

LARGEST = 5.0
"""Largest root mean square of a feature in units of that of the targets: larger features are scaled down, so that a
series whose weeks are nearly alike is forecast by their mean."""

FAINT = 1e-24
"""Weeks that differ by less in mean squares, relative to the largest value of a series, count as equal."""

TOGETHER = 2**18
"""Values that describe the series of a batch, which bounds memory."""


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
        limit = np.finfo(np.float64).max
        for batch in batches(check_panel(panel), self.day, self.horizon):
            squares, products, scale = batch.moments()
            left = products - (squares @ self.coefficients[:, :, None])[..., 0]
            own = ridge(squares.mean(axis=1), left.mean(axis=1), STRENGTH / batch.weeks)
            features, weeks = describe(batch.values, np.array([batch.values.shape[1]]), self.day, self.horizon)
            correction = np.einsum("shf,shf->sh", features[:, 0], self.coefficients + own[:, None])
            scaled = weeks[:, 0] + scale[:, None] * correction
            scaled = np.where(batch.values.min(axis=1, keepdims=True) >= 0, np.maximum(scaled, 0.0), scaled)
            with np.errstate(over="ignore"):
                found[batch.rows] = np.clip(np.ldexp(scaled, batch.exponent[:, None]), -limit, limit)
        return found

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
            raise CheckpointError(
                f"the day of the weekly map is {day!r}; expected an integer from 2 to 86,400; the checkpoint is "
                "damaged: fit it again"
            )
        if coefficients.ndim != 2 or coefficients.shape[1] != FEATURES or not np.isfinite(coefficients).all():
            raise CheckpointError(
                f"the coefficients of the weekly map have shape {coefficients.shape}; expected finite values for each "
                f"step and {FEATURES} features; the checkpoint is damaged: fit it again"
            )
        return cls(int(day), len(coefficients), coefficients)


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
    squares, products = np.zeros((horizon, FEATURES, FEATURES)), np.zeros((horizon, FEATURES))
    weeks, count, found = 0.0, 0, False
    for batch in batches(check_panel(panel), day, horizon):
        of_features, of_targets, scale = batch.moments()
        squares += of_features.sum(axis=0)
        products += of_targets.sum(axis=0)
        varied = int(np.count_nonzero(scale))
        weeks, count, found = weeks + batch.weeks * varied, count + varied, True
    if not found:
        return None
    return WeeklyMap(day, horizon, ridge(squares / count, products / count, STRENGTH / weeks) if count else products)


@dataclass(frozen=True)
class Batch:
    """The latest rows of series, in units in which the largest absolute value of each lies between 1/2 and 1.

    Attributes
    ----------
    rows : list of int (S,)
        Positions of the series in the panel.
    values : ndarray (S, L)
        Unobserved values are interpolated between those of the same time of day; after the last observed one those of
        a week before are repeated.
    observed : ndarray of bool (S, L)
    exponent : ndarray of int (S,)
        The unit is two to this power.
    day, horizon : int
    """

    rows: list[int]
    values: np.ndarray
    observed: np.ndarray
    exponent: np.ndarray
    day: int
    horizon: int

    @property
    def weeks(self) -> float:
        """Weeks of origins that have two weeks before and a horizon after them."""
        week = DAYS * self.day
        weeks: float = (self.values.shape[1] - 2 * week - self.horizon) / week
        return weeks

    def moments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute the moments of windows whose origins fall on all times of the week.

        A target is the distance of an observed value from the mean of the weeks, in units of the root mean square of
        all targets of the series.

        Returns
        -------
        squares : ndarray (S, H, F, F)
            Second moments of the scaled features, in the same units.
        products : ndarray (S, H, F)
            Those of features and targets.
        scale : ndarray (S,)
            Factor of the features, at most 1; it and the moments are zero if the weeks of a series are equal.
        """
        week, last = DAYS * self.day, self.values.shape[1] - self.horizon
        step = -(-(last + 1 - 2 * week) // max(TARGETS // self.horizon, ORIGINS))
        while gcd(step, week) > 1:
            step += 1
        origins = np.arange(last, 2 * week - 1, -step)
        features, weeks = describe(self.values, origins, self.day, self.horizon)
        at = origins[:, None] + np.arange(self.horizon)
        observed = self.observed.take(at, axis=1)
        targets = np.where(observed, self.values.take(at, axis=1) - weeks, 0.0)
        design = np.where(observed[..., None], features, 0.0).transpose(0, 2, 3, 1)
        squares = design @ design.transpose(0, 1, 3, 2) / len(origins)
        products = (design @ targets.transpose(0, 2, 1)[..., None])[..., 0] / len(origins)
        error, largest = (targets**2).mean(axis=(1, 2)), np.einsum("shff->sf", squares).max(axis=1) / self.horizon
        varied = (error > FAINT) & (largest > 0)
        error, largest = np.where(varied, error, np.inf), np.where(varied, largest, 1.0)
        scale = np.where(varied, np.minimum(LARGEST * np.sqrt(error / largest), 1.0), 0.0)
        squares *= (scale**2 / error)[:, None, None, None]
        return squares, products * (scale / error)[:, None, None], scale


def batches(series: Sequence[np.ndarray], day: int, horizon: int) -> Iterator[Batch]:
    """Yield the series that are long enough, those of equal length together."""
    groups: dict[int, list[tuple[int, np.ndarray, np.ndarray]]] = {}
    for row, one in enumerate(series):
        latest = one[-longest_weekly(day, horizon) :]
        observed = ~np.isnan(latest)
        seen = np.flatnonzero(observed)
        if not len(seen) or seen[-1] + 1 - seen[0] < shortest_weekly(day, horizon):
            continue
        known = latest[seen[0] : seen[-1] + 1]
        if not observed[seen[0] : seen[-1] + 1].all():
            known = interpolate(known, day)
        if missing := len(latest) - 1 - seen[-1]:
            known = np.concatenate([known, np.resize(known[-DAYS * day :], missing)])
        groups.setdefault(len(known), []).append((row, known, observed[seen[0] :]))
    for length, group in groups.items():
        size = max(TOGETHER // max(length, TARGETS * FEATURES, ORIGINS * horizon * FEATURES), 1)
        for start in range(0, len(group), size):
            rows, values, observed = zip(*group[start : start + size], strict=True)
            stacked = np.stack(values)
            exponent = np.frexp(np.abs(stacked).max(axis=1))[1]
            yield Batch(list(rows), np.ldexp(stacked, -exponent[:, None]), np.stack(observed), exponent, day, horizon)


def describe(values: np.ndarray, origins: np.ndarray, day: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Describe what is known at forecast origins.

    The features are what the mean of the weeks lacks: how far the same time in the latest week, on the latest day, and
    on average in the latest seven days lies from it; how far the last value and the mean of the last day lie from those
    of a week before; and how far the mean of the last day lies from that of the last week.

    Parameters
    ----------
    values : ndarray (S, L)
    origins : ndarray of int (O,)
        Number of known values at each, at least two weeks.
    day, horizon : int

    Returns
    -------
    features : ndarray (S, O, H, F)
    weeks : ndarray (S, O, H)
        Mean of the same time in the latest three weeks, or in as many as there are.
    """
    week, ahead = DAYS * day, np.arange(horizon)
    last_week, last_day = (origins[:, None] + ahead - season * (ahead // season + 1) for season in (week, day))
    weeks, days = phase_means(values, week, WEEKS).take(last_week, axis=1), phase_means(values, day, DAYS)
    sums = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))

    def level(end: np.ndarray, length: int) -> np.ndarray:
        return np.asarray(sums.take(end, axis=1) - sums.take(end - length, axis=1)) / length

    today = level(origins, day)
    levels = [
        values.take(origins - 1, axis=1) - values.take(origins - 1 - week, axis=1),
        today - level(origins - week, day),
        today - level(origins, week),
    ]
    features = np.empty((*weeks.shape, FEATURES))
    features[..., 0] = values.take(last_week, axis=1) - weeks
    features[..., 1] = values.take(last_day, axis=1) - weeks
    features[..., 2] = days.take(last_day, axis=1) - weeks
    features[..., 3:] = np.stack(levels, axis=2)[:, :, None]
    return features, weeks


def phase_means(values: np.ndarray, season: int, count: int) -> np.ndarray:
    """Return the mean (S, L) of each value and of those one to ``count - 1`` seasons before, as far as there are any.

    Examples
    --------
    >>> phase_means(np.array([[1.0, 2.0, 3.0, 4.0, 8.0]]), season=2, count=2)
    array([[1. , 2. , 2. , 3. , 5.5]])
    """
    total, number = values.copy(), np.ones(values.shape[1])
    for back in range(season, min(count * season, values.shape[1]), season):
        total[:, back:] += values[:, :-back]
        number[back:] += 1
    return np.asarray(total / number)


def ridge(squares: np.ndarray, products: np.ndarray, strength: float) -> np.ndarray:
    """Solve ridge regressions with moments (N, F, F) and (N, F)."""
    return np.asarray(np.linalg.solve(squares + strength * np.eye(FEATURES), products[..., None])[..., 0])
