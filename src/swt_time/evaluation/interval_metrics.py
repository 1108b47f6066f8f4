"""Scores of intervals and quantiles as sums over all observed points. Pure NumPy.

Shapes: ``P`` probabilities, ``L`` levels, ``B`` windows, ``H`` horizon, ``C`` channels.

All scores but coverage are better the lower they are. A target that is NaN was not observed and is not scored. A score
is NaN if a bound or a quantile that it needs is NaN at an observed point.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from swt_time.evaluation.metrics import add_rows, seasonal_scale

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Probabilities of the weighted quantile loss."""

CRPS_PROBABILITIES = (0.025, 0.05, *DECILES, 0.95, 0.975)
"""Probabilities of `crps`: the deciles and two in each tail, the bounds of the intervals of 90 and 95 %."""


def coverage(lower: ArrayLike, upper: ArrayLike, target: ArrayLike) -> float:
    """Share of the targets that lie in their interval, bounds included.

    Examples
    --------
    >>> coverage([0, 0, 0, 0], [2, 2, 2, 2], [1, 2, 3, float("nan")])
    0.6666666666666666
    """
    low, high, known = _same_shape(lower, upper, target)
    return _over_known(_inside(low, high, known), target)


def mean_width(lower: ArrayLike, upper: ArrayLike, target: ArrayLike) -> float:
    """Mean width of the intervals of observed targets."""
    low, high, _ = _same_shape(lower, upper, target)
    return _over_known(high - low, target)


def interval_score(lower: ArrayLike, upper: ArrayLike, target: ArrayLike, level: float) -> float:
    """Interval score (Winkler score): the mean width plus ``2 / alpha`` times the distance of targets outside.

    Parameters
    ----------
    lower, upper, target : arrays of one shape
    level : float
        Percent; ``alpha`` is ``1 - level / 100``.

    Notes
    -----
    Its expectation is least for the quantiles ``alpha / 2`` and ``1 - alpha / 2``. Sources: Winkler, "A
    decision-theoretic approach to interval estimation", Journal of the American Statistical Association 67, 1972;
    Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", the same journal, 102, 2007,
    section 6.2.

    Examples
    --------
    >>> interval_score([0.0, 0.0], [2.0, 2.0], [1.0, 3.0], level=80)  # widths 2, and one target 1 above: 2 / 0.2
    7.0
    """
    low, high, known = _same_shape(lower, upper, target)
    return _over_known(_interval_scores(low, high, known, level), target)


def msis(  # noqa: PLR0917  as the other metrics, and with their training series
    lower: ArrayLike, upper: ArrayLike, target: ArrayLike, level: float, train: ArrayLike, season: int = 1
) -> float:
    """Mean scaled interval score: the `interval_score` in units of the seasonal naive error of the training series.

    Source: Makridakis, Spiliotis and Assimakopoulos, "The M4 Competition", International Journal of Forecasting 36,
    2020. NaN if the training series repeats its season exactly.

    Examples
    --------
    >>> msis([0.0, 0.0], [2.0, 2.0], [1.0, 3.0], level=80, train=[1, 3, 5])
    3.5
    """
    scale = seasonal_scale(train, season)
    return interval_score(lower, upper, target, level) / scale if scale > 0 else float("nan")


def quantile_loss(quantile: ArrayLike, target: ArrayLike, probability: float) -> float:
    """Mean of ``p (y - q)`` where ``y`` is above the quantile ``q``, and of ``(1 - p) (q - y)`` where it is below.

    Also called pinball loss. Source: Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978.

    Examples
    --------
    >>> quantile_loss([1.0, 1.0], [0.0, 3.0], 0.75)  # 0.25 below and 1.5 above
    0.875
    """
    found, known = _same_shape(quantile, target)
    return _over_known(_pinball(found, known, probability), target)


def weighted_quantile_loss(quantiles: ArrayLike, target: ArrayLike, probabilities: Sequence[float] = DECILES) -> float:
    """Sum of twice the quantile losses over the sum of ``|y|``, as a mean over probabilities.

    Parameters
    ----------
    quantiles : (P, ...) array
    target : (...) array
    probabilities : sequence of P float

    Notes
    -----
    Sums run over all points of all series, so large values decide. This is the ``WQL`` of fev and the
    ``mean_weighted_sum_quantile_loss`` of GluonTS. NaN if all targets are zero.

    Examples
    --------
    >>> weighted_quantile_loss([[1.0, 1.0]], [0.0, 3.0], [0.75])  # 2 (0.25 + 1.5) / 3
    1.1666666666666667
    """
    size = _over_known(np.abs(np.asarray(target, np.float64)), target)
    return crps(quantiles, target, probabilities) / size if size > 0 else float("nan")


def crps(quantiles: ArrayLike, target: ArrayLike, probabilities: Sequence[float] = CRPS_PROBABILITIES) -> float:
    """Continuous ranked probability score, estimated as the mean of twice the quantile losses.

    Parameters
    ----------
    quantiles : (P, ...) array
    target : (...) array
    probabilities : sequence of P float
        By default `CRPS_PROBABILITIES`: 0.025, 0.05, the deciles 0.1 to 0.9, 0.95 and 0.975, all of one weight.

    Notes
    -----
    The CRPS is the integral over all probabilities of twice the quantile loss (Laio and Tamea, "Verification tools for
    probabilistic forecasts of continuous hydrological variables", Hydrology and Earth System Sciences 11, 2007). It is
    in the units of the targets, and of a forecast without spread it is the absolute error. The mean over a few
    probabilities ranks forecasts as the integral does, but its value depends on them: compare values of one set.

    Examples
    --------
    >>> crps([[1.0, 1.0]] * 3, [0.0, 3.0], [0.25, 0.5, 0.75])  # no spread: the mean absolute error
    1.5
    """
    if len(quantiles := np.asarray(quantiles, np.float64)) != len(probabilities):
        raise ValueError(f"expected one array of quantiles for each of {len(probabilities)}, got {len(quantiles)}")
    return float(np.mean([2 * quantile_loss(q, target, p) for q, p in zip(quantiles, probabilities, strict=True)]))


def scaled_crps(quantiles: ArrayLike, target: ArrayLike) -> float:
    """`crps` divided by the mean of ``|y|``: the weighted quantile loss at `CRPS_PROBABILITIES`.

    Source: Rangapuram et al., "End-to-end learning of coherent probabilistic forecasts for hierarchical time series",
    ICML 2021.
    """
    return weighted_quantile_loss(quantiles, target, CRPS_PROBABILITIES)


def level_probabilities(level: float) -> tuple[float, float]:
    """Probabilities of the bounds of a central interval.

    Examples
    --------
    >>> level_probabilities(80)
    (0.1, 0.9)
    """
    tail = round(0.5 - level / 200, 12)  # 0.1, not 0.09999999999999998
    return tail, round(1 - tail, 12)


class IntervalSums:
    """Scores of intervals and quantiles accumulated over batches, as sums for each channel.

    Parameters
    ----------
    levels : sequence of L float
        Percent.
    channels : int
        Number of series ``C``.
    scales : (C,) array, optional
        Scale of `msis` for each channel, see `swt_time.evaluation.metrics.seasonal_scale`. A channel whose scale is 0
        or NaN has no MSIS and is left out of the mean over channels.

    Attributes
    ----------
    probabilities : tuple of P float
        Of the quantiles that `update` takes: those of the scores and of the bounds of the levels, ascending.
    points : (C,) int array
        Observed targets scored so far.
    """

    def __init__(self, levels: Sequence[float], channels: int = 1, scales: ArrayLike | None = None) -> None:
        self.levels = tuple(dict.fromkeys(levels))
        bounds = [level_probabilities(level) for level in self.levels]
        self.probabilities = tuple(sorted({*CRPS_PROBABILITIES, *(p for pair in bounds for p in pair)}))
        self._bounds = [(self.probabilities.index(low), self.probabilities.index(high)) for low, high in bounds]
        self.loss = np.zeros((len(CRPS_PROBABILITIES), channels))
        self.inside, self.width, self.score = np.zeros((3, len(self.levels), channels))
        self.size = np.zeros(channels)
        self.ranks = np.zeros(len(DECILES) + 1)
        self.points = np.zeros(channels, dtype=np.int64)
        self.scales = np.full(channels, np.nan) if scales is None else np.asarray(scales, np.float64)

    def update(self, quantiles: ArrayLike, target: ArrayLike, channel: ArrayLike = 0) -> None:
        """Add a batch.

        Parameters
        ----------
        quantiles : (P, B, H) array
            At `probabilities`; NaN where the forecaster has none.
        target : (B, H) array
            NaN where nothing was observed.
        channel : int or (B,) int array
            Index of the series of each window.
        """
        found, target = np.asarray(quantiles, np.float64), np.asarray(target, np.float64)
        if target.ndim != 2 or found.shape != (len(self.probabilities), *target.shape):
            raise ValueError(
                f"expected quantiles ({len(self.probabilities)}, B, H) and a target (B, H), got {found.shape} and "
                f"{target.shape}"
            )
        where = np.broadcast_to(np.asarray(channel, np.int64), len(target))
        known = ~np.isnan(target)
        above = np.where(known, target - found, 0.0)  # (P, B, H)
        # all scores follow from the sums over the horizon of the distances of targets from quantiles, (P, B)
        distance, below = above.sum(axis=2), -np.minimum(above, 0.0).sum(axis=2)
        rows = [self.probabilities.index(probability) for probability in CRPS_PROBABILITIES]
        loss = np.array(CRPS_PROBABILITIES)[:, None] * distance[rows] + below[rows]
        add_rows(self.loss.T, where, loss.T)
        for row, (level, (low, high)) in enumerate(zip(self.levels, self._bounds, strict=True)):
            width = np.where(known, found[high] - found[low], 0.0).sum(axis=1)
            outside = below[low] + below[high] + distance[high]
            inside = ((above[low] >= 0) & (above[high] <= 0) & known).sum(axis=1)
            add_rows(self.inside[row], where, np.where(np.isnan(width), np.nan, inside))
            add_rows(self.width[row], where, width)
            add_rows(self.score[row], where, width + 200 / (100 - level) * outside)
        add_rows(self.size, where, np.where(known, np.abs(target), 0.0).sum(axis=1))
        add_rows(self.points, where, known.sum(axis=1))
        self.ranks += _ranks(above[[self.probabilities.index(probability) for probability in DECILES]], known)

    def overall(self, units: ArrayLike = 1.0) -> dict[str, np.ndarray]:
        """Return the scores over all points.

        Parameters
        ----------
        units : float or (C,) array
            Divides widths, interval scores and CRPS of each channel: the standard deviation of a channel gives those on
            scaled data.

        Returns
        -------
        dict of str to array
            ``coverage``, ``width``, ``interval_score`` and ``msis``, (L,) each; ``quantile_loss`` at
            `CRPS_PROBABILITIES`; ``crps``; ``scaled_crps`` and ``weighted_quantile_loss``, which have no units.
        """
        return self._scores(units, lambda sums: np.asarray(sums.sum(axis=-1)))

    def per_channel(self) -> dict[str, np.ndarray]:
        """Return the same scores for each channel, (..., C); NaN for a channel without an observed target."""
        return self._scores(1.0, lambda sums: sums)

    def pit(self) -> np.ndarray:
        """Return the share of targets between neighbouring deciles, (10,): a tenth each if the quantiles are right.

        This is the histogram of the probability integral transform. A target that equals deciles counts between them,
        and half as much on either side. Source: Gneiting, Balabdaoui and Raftery, "Probabilistic
        forecasts, calibration and sharpness", Journal of the Royal Statistical Society B 69, 2007.
        """
        return _divide(self.ranks, np.asarray(self.points.sum()))

    def _scores(self, units: ArrayLike, total: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
        if not self.points.any():
            raise ValueError("no observed target was added yet")
        points, unit = total(self.points.astype(np.float64)), np.asarray(units, np.float64)
        scaled = np.nan_to_num(self.scales) > 0
        scores = np.where(scaled, self.score / np.where(scaled, self.scales, 1.0), 0.0)
        loss, deciles = total(self.loss), [CRPS_PROBABILITIES.index(probability) for probability in DECILES]
        found = {
            "coverage": _divide(total(self.inside), points),
            "width": _divide(total(self.width / unit), points),
            "interval_score": _divide(total(self.score / unit), points),
            "msis": _divide(total(scores), total(np.where(scaled, self.points, 0.0))),
            "quantile_loss": _divide(total(self.loss / unit), points),
            "scaled_crps": _divide(2 * loss.mean(axis=0), total(self.size)),
            "weighted_quantile_loss": _divide(2 * loss[deciles].mean(axis=0), total(self.size)),
        }
        found["crps"] = 2 * found["quantile_loss"].mean(axis=0)
        return found


def _inside(lower: np.ndarray, upper: np.ndarray, target: np.ndarray) -> np.ndarray:
    """1 inside the interval, 0 outside; NaN where a bound is."""
    inside = ((lower <= target) & (target <= upper)).astype(np.float64)
    return np.where(np.isnan(lower) | np.isnan(upper), np.nan, inside)


def _interval_scores(lower: np.ndarray, upper: np.ndarray, target: np.ndarray, level: float) -> np.ndarray:
    outside = np.maximum(lower - target, 0.0) + np.maximum(target - upper, 0.0)
    scores: np.ndarray = upper - lower + 200 / (100 - level) * outside
    return scores


def _pinball(quantile: np.ndarray, target: np.ndarray, probability: float) -> np.ndarray:
    losses: np.ndarray = np.maximum(probability * (target - quantile), (1 - probability) * (quantile - target))
    return losses


def _ranks(above: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Count the known targets between neighbouring deciles, (10,), by their distances from these, (9, B, H).

    The counts are NaN where deciles are.
    """
    if np.isnan(above).any():
        return np.full(len(above) + 1, np.nan)
    below, tied = (above > 0).sum(axis=0, dtype=np.int8), (above == 0).any(axis=0)
    found = np.bincount(below[known & ~tied], minlength=len(above) + 1).astype(np.float64)
    below, ties = below[known & tied], (above[:, known & tied] == 0).sum(axis=0)
    bins = np.arange(len(above) + 1)[:, None]
    between, beside = (below < bins) & (bins < below + ties), (bins == below) | (bins == below + ties)
    return np.asarray(found + ((between + beside / 2) / ties).sum(axis=1))


def _divide(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Quotients; NaN where a count is 0."""
    return np.asarray(np.divide(sums, counts, out=np.full(np.shape(sums), np.nan), where=counts > 0))


def _over_known(values: np.ndarray, target: ArrayLike) -> float:
    """Mean over the points whose target was observed."""
    known = ~np.isnan(np.asarray(target, np.float64))
    return float(np.mean(values[known])) if known.any() else float("nan")


def _same_shape(*arrays: ArrayLike) -> list[np.ndarray]:
    """Return arrays in float64; shapes must be equal, since broadcasting would hide a mistake."""
    found = [np.asarray(one, np.float64) for one in arrays]
    if len({one.shape for one in found}) > 1 or found[0].size == 0:
        raise ValueError(f"expected arrays of one non-empty shape, got {[one.shape for one in found]}")
    return found
