"""The section on notes of ``RESULTS.md``."""

import math
import statistics
from collections.abc import Sequence

T975 = {2: 12.706, 3: 4.303, 5: 2.776, 10: 2.262}
"""Quantiles of Student's t for so many seeds."""

Rows = Sequence[dict[str, str]]


def changes(rows: Rows, series: str, arm: str, column: str) -> list[float]:
    """Change of the error against that without notes, in percent, of each seed."""
    errors = {(row["arm"], row["seed"]): float(row[column]) for row in rows if row["series"] == series}
    seeds = sorted({seed for one, seed in errors if one == arm}, key=int)
    return [100 * (errors[arm, seed] / errors["no text", seed] - 1) for seed in seeds]


def paired(values: Sequence[float]) -> str:
    """Mean and half width of its 95 % interval."""
    half = T975[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):+.1f} ± {half:.1f}"


def shares(rows: Rows, arm: str) -> dict[str, float]:
    """Mean gain on events as a share of that of the kind, by series."""
    found = {}
    for series in dict.fromkeys(row["series"] for row in rows):
        gain, most = (changes(rows, series, one, "mse_events") for one in (arm, "kind"))
        found[series] = statistics.mean(gain) / statistics.mean(most)
    return found


def planted_lines(rows: Rows) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table of planted events."""
    names = list(dict.fromkeys(row["series"] for row in rows))
    arms = [one for one in dict.fromkeys(row["arm"] for row in rows) if one != "no text"]
    heads = [
        "vectors of the texts",
        *(f"{name}, {where}" for name in names for where in ("events", "elsewhere")),
        "used",
    ]
    lines = []
    for arm in arms:
        cells = [
            paired(changes(rows, name, arm, f"mse_{where}")) for name in names for where in ("events", "elsewhere")
        ]
        used = [int(row["used"]) for row in rows if row["arm"] == arm]
        lines.append([arm, *cells, f"{sum(used)} of {len(used)}"])
    return heads, lines


def holiday_lines(rows: Rows) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table of holidays."""
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    errors = {(row["series"], row["model"], row["arm"]): row for row in rows}
    cells = [
        [
            series,
            model,
            *(
                " / ".join(errors[series, model, arm][f"mse_{where}"][:6] for where in ("near_holidays", "elsewhere"))
                for arm in arms
            ),
        ]
        for model in ("alone", "together")
        for series in dict.fromkeys(row["series"] for row in rows)
    ]
    return ["series", "models", *arms], cells
