"""Whether intervals hold as many observed values as they say, and how they were made."""

import numpy as np

from swt_time.evaluation.fold_scores import MODEL
from swt_time.evaluation.interval_scores import IntervalScores
from swt_time.report.blocks import figure, paragraph, table
from swt_time.report.charts import bars
from swt_time.report.facts import Facts
from swt_time.report.markup import Markup, joined, shown
from swt_time.report.words import count, percent


def calibration(found: Facts) -> Markup | None:
    """Return the section."""
    made = shown(found.trained.describe_intervals().removeprefix("intervals: "))
    how = paragraph(f"How the intervals were made: {made}.")
    scores = {} if found.past is None else found.past.scores.intervals
    if MODEL not in scores:
        return joined(how, paragraph("There are no intervals from past cutoffs, so their coverage is not known."))
    mine = scores[MODEL]
    parts = [how]
    if mine.levels:
        parts += [paragraph(_verdict(mine)), _coverage(scores)]
    if np.isfinite(mine.pit).all():
        parts.append(_deciles(mine))
    return joined(parts)


def _verdict(mine: IntervalScores) -> str:
    said = [
        f"{percent(share)} of {count(mine.points, 'value')} lie in the {level:g} % interval"
        for level, share in zip(mine.levels, mine.coverage.tolist(), strict=True)
    ]
    return (
        f"On the forecasts from past cutoffs, {' and '.join(said)}. A share below the level means that intervals were "
        "too narrow there, one above it that they were too wide."
    )


def _coverage(scores: dict[str, IntervalScores]) -> Markup:
    rows = [
        [f"{level:g} %, {name}", percent(float(one.coverage[k])), float(one.original["width"][k]),
         float(one.original["interval_score"][k]), float(one.msis[k])]
        for k, level in enumerate(scores[MODEL].levels)
        for name, one in scores.items()
    ]  # fmt: skip
    head = ["Level and method", "Coverage", "Mean width", "Interval score", "MSIS"]
    return table("Intervals over all cutoffs, in the units of the table; a lower interval score is better", head, rows)


def _deciles(mine: IntervalScores) -> Markup:
    ends = 10 * (mine.pit[0] + mine.pit[-1]) / 2
    verdict = "too narrow" if ends > 1.25 else "too wide" if ends < 0.75 else "about as wide as they should be"
    alt = (
        "Share of observed values in each tenth of their forecast distribution: "
        + ", ".join(percent(one, 0) for one in mine.pit.tolist())
        + "; 10 % each if the forecast is calibrated."
    )
    picture = bars(mine.pit, 0.1, [f"{10 * k + 5}" for k in range(10)], alt)
    return figure(
        picture,
        "In which tenth of the forecast distribution the observed values lie, in percent; the line is what calibrated "
        f"forecasts have. By the outer tenths, the distributions were {verdict}.",
    )
