"""The forecast as pictures, and in numbers; in the report of a backtest the forecasts from its last cutoff."""

from collections.abc import Sequence

import numpy as np

from swt_time.report.blocks import figure, folded, key, paragraph, table
from swt_time.report.charts import Area, Frame, Line, chart, joined_to, seconds, time_labels
from swt_time.report.curves import Curves, curves_ahead, curves_back, in_order
from swt_time.report.facts import Facts
from swt_time.report.markup import Markup, element, joined, shown
from swt_time.report.viewer import viewer
from swt_time.report.words import count, number, time_text

MOST_PICTURES = 6
"""Most series that are drawn without a script."""

MOST_STEPS = 24
"""Most steps of a forecast that are written in numbers."""


def forecast(found: Facts) -> Markup | None:
    """Return the section."""
    ahead, past = found.ahead, found.past
    if ahead is not None:
        order, horizon, levels = in_order(ahead.series), ahead.yhat.shape[1], ahead.levels
        what = f"The model forecasts {count(horizon, 'step')} after the end of each series."
        shown_first = [curves_ahead(ahead, i) for i in order[:MOST_PICTURES]]
        many = len(order)
    elif past is not None:
        order, horizon = in_order(past.folds.series), past.folds.yhat.shape[2]
        levels = sorted(
            (name.removeprefix("yhat-lo-") for name in past.folds.around if name.startswith("yhat-lo-")),
            key=float, reverse=True,
        )  # fmt: skip
        what = "These are the forecasts from the last cutoff of the backtest, beside what was observed afterwards."
        shown_first = [curves_back(past.folds, levels, i) for i in order[:MOST_PICTURES]]
        many = len(order)
    else:
        return None
    meaning = {"context": "observed", "yhat": "forecast"}
    meaning |= {f"level{k}": f"{level} % interval" for k, level in enumerate(levels[:3])}
    if past is not None and ahead is None:
        meaning["truth"] = "observed after the cutoff"
    between = ""
    if levels:
        between = (
            f" Of the values to come, about {levels[-1]} % are expected to lie in the narrowest interval around it."
        )
    few = "" if many <= MOST_PICTURES else f" The first {MOST_PICTURES} of {many:,} series are drawn here."
    return joined(
        paragraph(what + between + few),
        key(meaning),
        element("div", [_figure(one) for one in shown_first], class_="figures"),
        viewer(),
        [_numbers(one) for one in shown_first[:3]],
    )


def _figure(one: Curves) -> Markup:
    # With more context than four horizons the forecast would be too small to read.
    rows = min(len(one.context), max(4 * len(one.yhat), 48))
    times, context = one.context_times[-rows:], one.context[-rows:]
    past_x, ahead_x = seconds(times), seconds(np.concatenate([times[-1:], one.times]))
    last = float(context[-1])
    areas = [
        Area(ahead_x, joined_to(last, low), joined_to(last, high), f"level{k}")
        for k, (_, low, high) in enumerate(one.bounds[:3])
    ]
    lines = [Line(past_x, context, "context")]
    if one.truth is not None:
        lines.append(Line(ahead_x[: len(one.truth) + 1], joined_to(last, one.truth), "truth"))
    lines.append(Line(ahead_x, joined_to(last, one.yhat), "yhat"))
    frame = Frame.around(lines, areas)
    labels = time_labels(np.concatenate([times, one.times]))
    picture = chart(frame, lines, labels, described(one), areas=areas, marks=[float(past_x[-1])])
    return figure(picture, element("strong", shown(one.name, 80)), ": " + _ends(one))


def described(one: Curves) -> str:
    """Return what a picture of a forecast shows, in words."""
    low, high = np.nanmin(one.yhat), np.nanmax(one.yhat)
    return (
        f"Series {shown(one.name, 80)}: observed up to {time_text(one.context_times[-1])}, the last value "
        f"{number(float(one.context[-1]))}; forecast of {count(len(one.yhat), 'step')} between {number(float(low))} "
        f"and {number(float(high))}."
    )


def _ends(one: Curves) -> str:
    text = f"{time_text(one.times[0])} to {time_text(one.times[-1])}, on average {number(float(np.mean(one.yhat)))}"
    if one.bounds:
        level, low, high = one.bounds[-1]
        text += f"; {level} % interval of the last step {number(float(low[-1]))} to {number(float(high[-1]))}"
    return text + "."


def _numbers(one: Curves) -> Markup:
    steps = np.unique(np.linspace(0, len(one.yhat) - 1, min(len(one.yhat), MOST_STEPS)).round().astype(int)).tolist()
    bounds: Sequence[tuple[str, np.ndarray, np.ndarray]] = one.bounds[::-1]
    head = ["Time", "Forecast", *(f"{level} % {side}" for level, _, _ in bounds for side in ("from", "to"))]
    rows = [
        [time_text(one.times[k]), float(one.yhat[k]), *(float(v[k]) for _, low, high in bounds for v in (low, high))]
        for k in steps
    ]
    some = "" if len(steps) == len(one.yhat) else f", {len(steps)} of {len(one.yhat):,} steps"
    title = f"Forecast of {shown(one.name, 80)}{some}"
    return folded(f"{title} in numbers", table(title, head, rows))
