"""What a report says, in a few sentences at its beginning."""

from swt_time.evaluation.fold_scores import BASELINES, MODEL
from swt_time.report.blocks import paragraph
from swt_time.report.curves import span
from swt_time.report.facts import Facts
from swt_time.report.markup import Markup
from swt_time.report.words import better, count, percent, time_text


def summary(found: Facts) -> Markup:
    """Return the sentences."""
    said = []
    if found.ahead is not None:
        series, horizon = found.ahead.series, found.ahead.yhat.shape[1]
        said.append(
            f"This report shows the forecast of {count(len(series.ids), 'series', 'series')}, {count(horizon, 'step')} "
            f"after the last row, {time_text(span(series)[1])}."
        )
    else:
        said.append("This report shows forecasts from past cutoffs inside a table and their errors.")
    if found.past is not None:
        errors = found.past.scores.original
        mine, naive = errors[MODEL]["mae"], errors[BASELINES[0]]["mae"]
        said.append(
            f"On {count(len(found.past.scores.cutoffs), 'past cutoff')} the mean absolute error is "
            f"{better(mine, naive)} that of seasonal naive."
        )
        intervals = found.past.scores.intervals.get(MODEL)
        if intervals is not None and intervals.levels:
            held = [
                f"the {level:g} % interval held {percent(share)}"
                for level, share in zip(intervals.levels, intervals.coverage.tolist(), strict=True)
            ]
            said.append(f"Of the values observed afterwards, {' and '.join(held)}.")
    return paragraph(" ".join(said))
