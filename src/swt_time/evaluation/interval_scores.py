"""Scores of the intervals and quantiles around forecasts, over all windows, by series, as text and as plain values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swt_time.data.origins import known_values
from swt_time.data.series import SeriesTable
from swt_time.data.windows import evenly
from swt_time.evaluation.interval_metrics import CRPS_PROBABILITIES, IntervalSums
from swt_time.evaluation.text import NAME_WIDTH, line
from swt_time.intervals import Calibration, reach

MOST_QUANTILES = 2**17
"""Quantiles that are computed at once: they bound memory and fit into a cache."""

MOST_VALUES = 2**28
"""Values before windows that are read; where a season is so long that all windows have more, a sample is scored."""

NO_INTERVALS = "intervals: none to score, since the model has none"


@dataclass(frozen=True)
class IntervalScores:
    """Scores of intervals and quantiles over all points of all windows, see `swt_time.evaluation.interval_metrics`.

    MSIS is relative to the error that MASE is relative to. A score for which the residuals are too few is NaN.

    Attributes
    ----------
    levels : tuple of L float
        Percent.
    points : int
        Observed values that are scored.
    coverage, msis : (L,) array
    weighted_quantile_loss, scaled_crps : float
        In the units of the table.
    original, scaled : dict
        In the units of the table, and on scaled data: ``width`` and ``interval_score``, (L,) each; ``quantile_loss`` at
        `CRPS_PROBABILITIES`; ``crps``.
    per_series : dict
        ``{id: {"coverage": (L,), "crps": in the units of the table}}``.
    pit : (10,) array
        Share of the observed values between neighbouring deciles.
    """

    levels: tuple[float, ...]
    points: int
    coverage: np.ndarray
    msis: np.ndarray
    weighted_quantile_loss: float
    scaled_crps: float
    original: dict[str, Any]
    scaled: dict[str, Any]
    per_series: dict[str, dict[str, Any]]
    pit: np.ndarray

    def as_json(self) -> dict[str, Any]:
        """Return plain values; those of levels and quantiles by name, such as ``80`` and ``0.1``."""
        return {
            "points": self.points,
            "coverage": _named(self.levels, self.coverage),
            "msis": _named(self.levels, self.msis),
            "weighted_quantile_loss": self.weighted_quantile_loss,
            "scaled_crps": self.scaled_crps,
            "original": self._plain(self.original),
            "scaled": self._plain(self.scaled),
            "per_series": {name: self._plain(one) for name, one in self.per_series.items()},
            "pit": self.pit.tolist(),
        }

    def columns(self) -> dict[str, np.ndarray]:
        """Return ``coverage_80`` and so on and ``crps`` of each series as columns, in the units of the table."""
        rows = list(self.per_series.values())
        found = {f"coverage_{level:g}": [row["coverage"][i] for row in rows] for i, level in enumerate(self.levels)}
        return {name: np.array(one) for name, one in {**found, "crps": [row["crps"] for row in rows]}.items()}

    def _plain(self, scores: Mapping[str, Any]) -> dict[str, Any]:
        keys = {"quantile_loss": CRPS_PROBABILITIES}
        return {
            name: _named(keys.get(name, self.levels), one) if np.ndim(one) else float(one)
            for name, one in scores.items()
        }


def sampled(total: int, season: int) -> np.ndarray:
    """Return whether each of ``total`` windows is scored, (total,): all, or an even sample if they read too much."""
    chosen = np.zeros(total, dtype=np.bool_)
    chosen[evenly(total, max(MOST_VALUES // reach(season), 1))] = True
    return chosen


def add_windows(
    sums: IntervalSums,
    calibration: Calibration,
    table: SeriesTable,
    pairs: np.ndarray,
    *,
    yhat: np.ndarray,
    target: np.ndarray,
    spread: np.ndarray | None = None,
) -> None:
    """Add the quantiles around forecasts to sums, some windows at a time.

    Parameters
    ----------
    sums : IntervalSums
        With a channel for each series of the table.
    calibration : Calibration
    table : SeriesTable
    pairs : (M, 2) int array
        Series index and known rows of each forecast; no later row is read.
    yhat, target : (M, H) arrays
        In the units of the table; a target is NaN where nothing was observed.
    spread : (2, M, H) array, optional
        The forecaster's own; needed if the calibration is relative to it.
    """
    step = max(MOST_QUANTILES // (len(sums.probabilities) * yhat.shape[1]), 1)
    for begin in range(0, len(pairs), step):
        rows = slice(begin, begin + step)
        histories = known_values(table, pairs[rows], reach(calibration.season))
        own = None if spread is None else spread[:, rows]
        quantiles = calibration.quantiles(yhat[rows], histories, sums.probabilities, own)
        sums.update(quantiles, target[rows], pairs[rows, 0])


def interval_scores(sums: IntervalSums, ids: Sequence[str], units: np.ndarray) -> IntervalScores:
    """Return the scores of sums.

    Parameters
    ----------
    sums : IntervalSums
        In the units of the table, with a channel for each series.
    ids : sequence of str
    units : (N,) array
        Standard deviation of each series, which gives the scores on scaled data.
    """
    original, scaled, each = sums.overall(), sums.overall(units), sums.per_channel()
    own = ("width", "interval_score", "quantile_loss", "crps")
    return IntervalScores(
        levels=sums.levels,
        points=int(sums.points.sum()),
        coverage=original["coverage"],
        msis=original["msis"],
        weighted_quantile_loss=float(original["weighted_quantile_loss"]),
        scaled_crps=float(original["scaled_crps"]),
        original={name: original[name] for name in own},
        scaled={name: scaled[name] for name in own},
        per_series={
            name: {"coverage": each["coverage"][:, i], "crps": float(each["crps"][i])} for i, name in enumerate(ids)
        },
        pit=sums.pit(),
    )


def interval_json(found: Mapping[str, IntervalScores]) -> dict[str, Any] | None:
    """Return the scores by method as plain values; None where there are none."""
    return {name: one.as_json() for name, one in found.items()} or None


def interval_lines(
    found: Mapping[str, IntervalScores], *, scaled: bool = False, width: int = NAME_WIDTH
) -> Iterator[str]:
    """Yield the lines of a text table, with a line for each level and method.

    Parameters
    ----------
    found : mapping of str to IntervalScores
        By method, all with the same levels.
    scaled : bool
        Whether widths, interval scores and CRPS are those on scaled data; by default in the units of the table.
    width : int
        Of the first column.
    """
    yield ""
    if not found:
        yield NO_INTERVALS
        return
    levels, units = next(iter(found.values())).levels, " (scaled)" if scaled else ""
    if levels:
        yield line(f"intervals{units}", "coverage %", "width", "score", "MSIS", width=width)
    for row, level in enumerate(levels):
        yield f"{level:g} %"
        for name, one in found.items():
            own = one.scaled if scaled else one.original
            cells = (100 * one.coverage[row], own["width"][row], own["interval_score"][row], one.msis[row])
            yield line(name, *map(float, cells), width=width)
    yield line(f"quantiles{units}", "CRPS", "CRPS/mean", "WQL", width=width)
    for name, one in found.items():
        crps = float((one.scaled if scaled else one.original)["crps"])
        yield line(name, crps, one.scaled_crps, one.weighted_quantile_loss, width=width)


def _named(keys: Sequence[float], values: np.ndarray) -> dict[str, float]:
    return {f"{key:g}": float(value) for key, value in zip(keys, values, strict=True)}
