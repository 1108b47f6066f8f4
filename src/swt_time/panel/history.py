"""What the history of each window says.

That is its seasonal adjustment, Theta forecasts, and the features of the pooled regression.

Shapes: ``W`` windows, ``H`` horizon, ``F`` features, ``L`` values of a history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from swt_time.panel.naive import repeat_season
from swt_time.panel.rows import Rows, blocks
from swt_time.panel.seasonality import Season, find_season
from swt_time.panel.theta import fit_theta, lines

MEANS = (1, 2, 4, 8, 16, 32)
"""Lengths of the means of the latest values."""

LARGEST_LOG = np.log(100.0)
"""A forecast on the log scale is at most a hundred times the largest value."""

THETA_VALUES = 1024
"""Latest values that the Theta methods are fitted on; with a smoothing of at least 0.1 earlier ones hardly matter."""

FLOORS = (1e-3, 1e-2)
"""Added to the mean change of a series, relative to its level, on the plain and on the log scale."""


@dataclass(frozen=True)
class Scale:
    """Histories on the plain or on the log scale.

    Attributes
    ----------
    theta, dynamic : ndarray (W, H)
        Forecasts of the standard and of the dynamic optimised Theta method, seasonally adjusted.
    features : ndarray (W, H, F)
        In units of ``spread``.
    spread : ndarray (W,)
        Geometric mean of the level and of the mean change of the adjusted series.
    index : ndarray (W, H)
        Seasonal index of each target.
    multiplicative : ndarray of bool (W,)
    logarithm : bool
    """

    theta: np.ndarray
    dynamic: np.ndarray
    features: np.ndarray
    spread: np.ndarray
    index: np.ndarray
    multiplicative: np.ndarray
    logarithm: bool

    def take(self, windows: np.ndarray) -> "Scale":
        """Return the windows that a boolean array (W,) marks."""
        arrays = {field.name: getattr(self, field.name)[windows] for field in fields(self) if field.name != "logarithm"}
        return replace(self, **arrays)

    def adjust(self, targets: np.ndarray) -> np.ndarray:
        """Map targets (W, H) to the scale of the adjusted series; NaN where a logarithm does not exist."""
        if self.logarithm:
            targets = np.log(np.where(targets > 0, targets, np.nan))
        by_division = targets / np.where(self.multiplicative[:, None], self.index, 1.0)
        return np.where(self.multiplicative[:, None], by_division, targets - self.index)

    def restore(self, adjusted: np.ndarray) -> np.ndarray:
        """Undo `adjust`."""
        values = np.where(self.multiplicative[:, None], adjusted * self.index, adjusted + self.index)
        restored: np.ndarray = np.exp(np.minimum(values, LARGEST_LOG)) if self.logarithm else values
        return restored


@dataclass(frozen=True)
class Histories:
    """Histories of windows, in units in which the largest absolute value of each lies between 1/2 and 1.

    Attributes
    ----------
    exponent : ndarray of int (W,)
        The unit is two to this power.
    length : ndarray of int (W,)
        Values between the first and the last observed one, both included.
    positive, nonnegative : ndarray of bool (W,)
        Whether all values are.
    last : ndarray (W,)
    naive : ndarray (W, H)
        Seasonal naive forecasts.
    plain, log : Scale
        Windows whose values are not all positive have the plain scale twice.
    """

    exponent: np.ndarray
    length: np.ndarray
    positive: np.ndarray
    nonnegative: np.ndarray
    last: np.ndarray
    naive: np.ndarray
    plain: Scale
    log: Scale


def describe(histories: Sequence[np.ndarray], season: int, horizon: int) -> Histories:
    """Compute everything that forecasts need from the histories of windows.

    Parameters
    ----------
    histories : sequence of ndarray
        Series with at least one observed value each.
    season, horizon : int
    """
    exponent = np.array([np.frexp(np.nanmax(np.abs(one)))[1] for one in histories])
    scaled = [np.ldexp(one, -power) for one, power in zip(histories, exponent, strict=True)]
    parts: list[dict[str, np.ndarray]] = []
    order = []
    for positions, rows in blocks(scaled, season):
        order.append(positions)
        smallest = np.where(rows.inside, rows.values, np.inf).min(axis=1)
        positive = smallest > 0
        part = {
            "length": rows.lengths,
            "positive": positive,
            "nonnegative": smallest >= 0,
            "last": rows.values[np.arange(len(rows)), rows.lengths - 1],
            "naive": seasonal_naive(rows, season, horizon),
        }
        logs = np.log(np.where(rows.inside & positive[:, None], rows.values, 1.0))
        logged = Rows(logs, rows.observed, rows.lengths, rows.gaps)
        pairs = [adjust_season(rows, season, False), adjust_season(logged, season, True)]
        thetas = theta_forecasts([adjusted for _, adjusted in pairs], horizon)
        for name, (found, adjusted), forecasts in zip(("plain", "log"), pairs, thetas, strict=True):
            scale = describe_block(adjusted, found, forecasts, season=season, horizon=horizon, logarithm=name == "log")
            part |= {f"{name} {key}": value for key, value in scale.items()}
        parts.append(part)
    back = np.argsort(np.concatenate(order))
    whole = {key: np.concatenate([part[key] for part in parts])[back] for key in parts[0]}
    own = {key: value for key, value in whole.items() if " " not in key}
    return Histories(exponent, **own, plain=scale_of("plain ", whole), log=scale_of("log ", whole))


def scale_of(prefix: str, whole: Mapping[str, np.ndarray]) -> Scale:
    """Return the scale whose arrays have a prefix."""
    arrays = {key.removeprefix(prefix): value for key, value in whole.items() if key.startswith(prefix)}
    return Scale(**arrays, logarithm=prefix == "log ")


def seasonal_naive(rows: Rows, season: int, horizon: int) -> np.ndarray:
    """Return seasonal naive forecasts of a block (M, H); the last value for series shorter than a season."""
    back = rows.lengths[:, None] - season + np.arange(season)
    whole = rows.lengths >= season
    values = np.take_along_axis(rows.values, np.clip(back, 0, rows.lengths[:, None] - 1), axis=1)
    values[~whole, :] = values[~whole, -1:]
    steps = rows.gaps[:, None] + np.arange(horizon)
    return np.take_along_axis(repeat_season(values, season, steps.max() + 1), steps, axis=1)


def adjust_season(rows: Rows, season: int, logarithm: bool) -> tuple[Season, Rows]:
    """Find the season of each series of a block, and remove it."""
    found = find_season(rows, season, additive=logarithm)
    time = np.arange(rows.values.shape[1])
    adjusted = np.where(rows.inside, found.remove(rows.values, time), 0.0)
    return found, Rows(adjusted, rows.observed, rows.lengths, rows.gaps)


def theta_forecasts(parts: Sequence[Rows], horizon: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return Theta forecasts, dynamic ones (both M, H) and the smoothed levels (M, 1) of blocks of one shape.

    The blocks are fitted together: of few series a call of NumPy takes longer than its arithmetic.
    """
    latest = [one.latest(THETA_VALUES) for one in parts]
    joined = Rows(
        np.concatenate([one.values for one in latest]),
        np.concatenate([one.observed for one in latest]),
        np.concatenate([one.lengths for one in latest]),
        np.concatenate([one.gaps for one in latest]),
    )
    ahead = joined.gaps[:, None] + np.arange(horizon)
    through = lines(joined)
    standard, optimised = fit_theta(joined, False, through), fit_theta(joined, True, through)
    theta, dynamic = (np.take_along_axis(one.forecast(ahead.max() + 1), ahead, axis=1) for one in (standard, optimised))
    return list(zip(*(np.split(one, len(parts)) for one in (theta, dynamic, standard.flat[:, None])), strict=True))


def describe_block(
    rows: Rows,
    found: Season,
    forecasts: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    season: int,
    horizon: int,
    logarithm: bool,
) -> dict[str, np.ndarray]:
    """Compute the fields of a `Scale` for a block of seasonally adjusted series on that scale."""
    adjusted, ahead = rows.values, rows.gaps[:, None] + np.arange(horizon)
    theta, dynamic, level = forecasts
    reach = max(MEANS[-1], 2 * season)
    back = rows.lengths[:, None] - 1 - np.arange(reach)
    known = back >= 0
    newest = np.where(known, np.take_along_axis(adjusted, np.maximum(back, 0), axis=1), 0.0)
    counts = np.cumsum(known, axis=1)
    means = np.cumsum(newest, axis=1) / counts
    flat = [means[:, k - 1, None] - level for k in MEANS]
    index = found.at(rows.lengths[:, None] + ahead)
    seasonal = []
    if season > 1:
        flat.append(means[:, season - 1, None] - level)
        lag = season - 1 - ahead % season
        one = np.where(np.take_along_axis(known, lag, axis=1), np.take_along_axis(newest, lag, axis=1) - level, 0.0)
        both = np.take_along_axis(known, lag + season, axis=1)
        two = np.where(both, np.take_along_axis(newest, lag + season, axis=1) - level, one)
        strength = np.where(found.multiplicative[:, None], (index - 1) * level, index)
        seasonal = [one, (one + two) / 2, strength]

    # A change of a logarithm is relative already: its level counts as one.
    magnitude = (np.abs(adjusted) * rows.inside).sum(axis=1) / rows.lengths
    recent = np.maximum(np.abs(means[:, max(season, MEANS[2]) - 1]), 0.1 * magnitude)
    recent = np.where((recent > 0) & (not logarithm), recent, 1.0)
    changes = (np.abs(np.diff(adjusted, axis=1)) * rows.inside[:, 1:]).sum(axis=1) / np.maximum(rows.lengths - 1, 1)
    spread = np.sqrt((changes + FLOORS[logarithm] * recent) * recent)
    shape = theta.shape
    features = [theta - level, dynamic - theta, *(np.broadcast_to(one, shape) for one in flat), *seasonal]
    return {
        "theta": theta,
        "dynamic": dynamic,
        "features": np.stack(features, axis=2) / spread[:, None, None],
        "spread": spread,
        "index": index,
        "multiplicative": found.multiplicative,
    }
