"""Zoomable charts of many series: the controls, which a script shows, and the curves that it draws.

The curves stand in the page as JSON in a script element that is not run. Series are taken in the order of the table
until a budget of bytes is spent; the page says how many were left out.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from swt_time.report.charts import seconds
from swt_time.report.curves import Curves, curves_ahead, curves_back, in_order
from swt_time.report.facts import Facts
from swt_time.report.markup import Markup, element, shown

MOST_CONTEXT = 400
"""Most rows before a forecast that are embedded of a series; at least as many as four horizons are asked for."""


def viewer() -> Markup:
    """Search, chart and buttons; hidden until the script of the page shows them."""
    buttons = [
        element("button", label, type="button", data_do=action)
        for action, label in (
            ("in", "Zoom in"), ("out", "Zoom out"), ("earlier", "Earlier"), ("later", "Later"), ("whole", "Whole range")
        )
    ]  # fmt: skip
    return element(
        "div",
        element("h3", "Look closer"),
        element("p", id="viewer-note"),
        element(
            "div",
            element("label", "Search series", for_="viewer-search"),
            element("input", id="viewer-search", type="search", autocomplete="off", spellcheck="false"),
            element("label", "Series", for_="viewer-list"),
            element("select", id="viewer-list", size=6, aria_describedby="viewer-count"),
            element("p", id="viewer-count", role="status"),
            class_="pick",
        ),
        element(
            "div",
            element("h4", id="viewer-title"),
            element("div", id="viewer-chart", tabindex=0, role="group", aria_labelledby="viewer-title viewer-help"),
            element("p", id="viewer-values", role="status"),
            element("div", buttons, class_="buttons", role="group", aria_label="Zoom"),
            element(
                "p",
                "Drag over the chart to zoom, double-click for the whole range. With the keyboard: arrow keys move, + "
                "and - zoom, 0 shows the whole range.",
                id="viewer-help",
            ),
            class_="plot",
        ),
        id="viewer", class_="viewer", hidden=True,
    )  # fmt: skip


def viewer_data(found: Facts, budget: int) -> dict[str, Any]:
    """Return the curves of as many series as fit into a budget of bytes, as plain values.

    Returns
    -------
    dict
        ``levels``; ``dates``, whether times are seconds since 1970 (else they count rows); ``times``, each a list or
        ``{"from", "step", "count"}``; ``total``, the number of series; and ``series``: name ``n``, index of the times
        ``t``, number of rows before the forecast ``c``, values ``y``, forecast ``f``, bounds ``b`` (lower and upper of
        each level), and ``o``, what was observed after the cutoff of a past forecast.
    """
    levels, many = _levels(found), _total(found)
    values: dict[str, Any] = {"levels": levels, "dates": True, "total": many, "times": [], "series": []}
    known: dict[bytes, int] = {}
    spent = 1000
    for one in _all(found, levels):
        rows = min(len(one.context), max(MOST_CONTEXT, 4 * len(one.yhat)))
        times = np.concatenate([one.context_times[-rows:], one.times])
        values["dates"] = times.dtype.kind == "M"
        x = seconds(times)
        place = known.setdefault(x.tobytes(), len(values["times"]))
        packed = _times(x)
        digits = _digits(one, rows)
        entry: dict[str, Any] = {
            "n": shown(one.name, 120),
            "t": place,
            "c": rows,
            "y": _rounded(one.context[-rows:], digits),
            "f": _rounded(one.yhat, digits),
            "b": [_rounded(bound, digits) for _, low, high in one.bounds for bound in (low, high)],
        }
        if one.truth is not None:
            entry["o"] = _rounded(one.truth, digits)
        new = place == len(values["times"])
        # a character outside ASCII takes up to six bytes for each of its code units, as ``<`` does
        spent += (
            len(json.dumps(entry))
            + 5 * sum(entry["n"].count(c) for c in "<>&'")
            + (len(json.dumps(packed)) if new else 0)
        )
        if spent > budget:
            break
        if new:
            values["times"].append(packed)
        values["series"].append(entry)
    return values


def _levels(found: Facts) -> list[str]:
    if found.ahead is not None:
        return found.ahead.levels
    around = {} if found.past is None else found.past.folds.around
    names = [name.removeprefix("yhat-lo-") for name in around if name.startswith("yhat-lo-")]
    return sorted(names, key=float, reverse=True)


def _total(found: Facts) -> int:
    if found.ahead is not None:
        return len(found.ahead.series.ids)
    return 0 if found.past is None else len(found.past.folds.series.ids)


def _all(found: Facts, levels: list[str]) -> Iterator[Curves]:
    """Return the curves of all series, made one by one."""
    if found.ahead is not None:
        for i in in_order(found.ahead.series):
            yield curves_ahead(found.ahead, i)
    elif found.past is not None:
        for i in in_order(found.past.folds.series):
            yield curves_back(found.past.folds, levels, i)


def _times(x: np.ndarray) -> Any:
    steps = np.unique(np.diff(x))
    if len(steps) == 1:
        return {"from": float(x[0]), "step": float(steps[0]), "count": len(x)}
    return x.tolist()


def _digits(one: Curves, rows: int) -> int:
    """Decimals that resolve a ten-thousandth of what a chart spans."""
    drawn = np.concatenate([one.context[-rows:], one.yhat, *(v for _, low, high in one.bounds for v in (low, high))])
    drawn = drawn[np.isfinite(drawn)]
    span = float(np.ptp(drawn)) or float(np.abs(drawn).max()) or 1.0
    return int(np.clip(4 - np.floor(np.log10(span)), -300, 300))


def _rounded(values: np.ndarray, digits: int) -> list[float | None]:
    if digits > 15 or digits < -15:  # a power of ten that does not fit
        return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values.tolist()]
    return [round(v, digits) if np.isfinite(v) else None for v in values.tolist()]
