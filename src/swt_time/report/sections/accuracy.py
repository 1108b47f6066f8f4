"""Errors of forecasts from past cutoffs beside those of the baselines: over all, by cutoff, by step and by series."""

import math
from collections.abc import Mapping

import numpy as np

from swt_time.evaluation.fold_scores import BASELINES, MODEL
from swt_time.evaluation.text import METRICS, TITLES, spread
from swt_time.report.blocks import figure, folded, key, paragraph, table
from swt_time.report.charts import Frame, Line, chart
from swt_time.report.facts import Facts, Past
from swt_time.report.markup import Markup, joined, shown
from swt_time.report.words import better, count, number, without_zeros

MOST_CUTOFFS, MOST_STEPS, MOST_SERIES = 12, 24, 40
"""Most rows of the tables by cutoff, step and series."""

KINDS = {MODEL: "yhat", BASELINES[0]: "naive", BASELINES[1]: "last"}
"""Colours of the methods in charts."""


def accuracy(found: Facts) -> Markup | None:
    """Return the section."""
    past = found.past
    if past is None:
        return paragraph(
            "No series is long enough to be forecast from a cutoff inside the table, so there are no errors to show."
        )
    scores = past.scores
    names = {MODEL: MODEL, BASELINES[0]: f"{BASELINES[0]} {scores.season}", BASELINES[1]: BASELINES[1]}
    return joined(
        paragraph(
            f"Forecasts were made from {count(len(scores.cutoffs), 'cutoff')} inside each series, "
            f"{count(scores.horizon, 'step')} each, and compared with the {scores.points:,} values that were observed "
            f"afterwards. {past.how}"
        ),
        paragraph(_verdict(past)),
        table(
            "Errors over all cutoffs, in the units of the table; lower is better",
            ["Method", *TITLES],
            [[names[one], *(float(errors[m]) for m in METRICS)] for one, errors in scores.original.items()],
            best="column",
        ),
        paragraph(
            "MASE is the mean absolute error in units of the error that seasonal naive has within the rows before the "
            "first cutoff: below 1 is better than that. Seasonal naive repeats the value of "
            f"{count(scores.season, 'row')} before."
        ),
        _by_step(past, names),
        _by_cutoff(past, names),
        _by_series(past),
    )


def _verdict(past: Past) -> str:
    errors = past.scores.original
    mine = errors[MODEL]["mae"]
    against = [f"{better(mine, errors[name]['mae'])} that of {name}" for name in BASELINES]
    return f"The mean absolute error is {number(mine)}, {against[0]} and {against[1]}."


def _by_step(past: Past, names: Mapping[str, str]) -> Markup:
    errors, measure = past.by_step()
    horizon = past.scores.horizon
    steps = np.arange(1, horizon + 1)
    title = f"{measure} by step of the forecast"
    rows = [[f"{k + 1}", *(float(one[k]) for one in errors.values())] for k in spread(horizon, MOST_STEPS)]
    numbers = table(f"{title}; lower is better", ["Step", *(names[one] for one in errors)], rows, best="row")
    if horizon == 1:
        return numbers
    lines = [Line(steps, errors[name], KINDS[name]) for name in reversed(list(errors))]
    mine = errors[MODEL]
    alt = (
        f"{title}: that of {MODEL} goes from {number(float(mine[0]))} at the first step to "
        f"{number(float(mine[-1]))} at the last one."
    )
    labels = [(float(steps[k]), f"step {k + 1}") for k in spread(horizon, 4)]
    picture = chart(Frame.around(lines, zero=True, height=200), lines, labels, alt)
    return joined(
        key({KINDS[name]: names[name] for name in errors}),
        figure(picture, alt),
        folded(f"{title} in numbers", numbers),
    )


def _by_cutoff(past: Past, names: Mapping[str, str]) -> Markup:
    rows = []
    for k in spread(len(past.scores.cutoffs), MOST_CUTOFFS):
        at = past.scores.cutoffs[k]
        label = f"{k + 1}" + ("" if at is None else f", {without_zeros(at)}")
        rows.append([label, *(float(one["mae"]) for one in past.scores.per_cutoff[k].values())])
    head = ["Cutoff", *(names[one] for one in past.scores.per_cutoff[0])]
    return table("Mean absolute error by cutoff, in the units of the table; lower is better", head, rows, best="row")


def _by_series(past: Past) -> Markup | None:
    each = past.scores.per_series
    ids = list(each[MODEL])
    if len(ids) == 1:
        return None

    def ratio(name: str) -> float:
        mine, naive = each[MODEL][name]["original"]["mae"], each[BASELINES[0]][name]["original"]["mae"]
        return mine / naive if naive > 0 else math.nan

    ratios = np.array([ratio(name) for name in ids])
    known = ratios[np.isfinite(ratios)]
    wins = int((known < 1).sum())
    if len(ids) <= MOST_SERIES:
        chosen, which = list(range(len(ids))), ""
    else:
        chosen = np.argsort(np.where(np.isfinite(ratios), -ratios, np.inf), kind="stable")[:MOST_SERIES].tolist()
        which = f" (the {MOST_SERIES} with the highest error relative to seasonal naive, of {len(ids):,})"
    rows = [
        [shown(ids[i], 80), *(float(each[one][ids[i]]["original"]["mae"]) for one in each),
         float(each[MODEL][ids[i]]["original"]["mase"])]
        for i in chosen
    ]  # fmt: skip
    title = f"Mean absolute error by series{which}, in the units of the table"
    return joined(
        paragraph(
            f"The error is lower than that of seasonal naive for {wins:,} of {count(len(known), 'series', 'series')}."
        ),
        folded(f"Errors by series{which}", table(title, ["Series", *each, f"MASE of {MODEL}"], rows)),
    )
