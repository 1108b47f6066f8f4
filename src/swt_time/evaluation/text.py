"""Errors as lines of a text table, and as plain values for JSON."""

import math
from collections.abc import Sequence
from typing import Any

METRICS = ("mse", "mae", "rmse", "mase", "smape")

TITLES = ("MSE", "MAE", "RMSE", "MASE", "sMAPE %")
"""Titles of the columns, one for each of `METRICS`."""

NAME_WIDTH = 18
"""Width of the first column; wider where shortened names would be equal."""


def finite_only(value: Any) -> Any:
    """Replace NaN and infinities by None in plain values, since JSON has neither."""
    if isinstance(value, dict):
        return {key: finite_only(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite_only(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def spread(count: int, shown: int) -> list[int]:
    """Return at most ``shown`` evenly spread indices below ``count``, the first and the last included."""
    step = (count - 1) / max(min(count, shown) - 1, 1)
    return sorted({round(i * step) for i in range(min(count, shown))})


def line(name: str, *cells: str | float, width: int = NAME_WIDTH) -> str:
    """Return a line of a table: a name, then right-aligned cells."""
    texts = [cell if isinstance(cell, str) else _number(cell) for cell in cells]
    return f"{name:{width}}" + "".join(f"  {text:>10}" for text in texts)


def shortened(names: Sequence[str]) -> tuple[list[str], int]:
    """Shorten long names in the middle, so that they stay distinct, and the width of the longest one."""
    for width in range(NAME_WIDTH, max(NAME_WIDTH, *map(len, names)) + 1):
        head, tail = (width - 3) // 2, width - 3 - (width - 3) // 2
        short = [name if len(name) <= width else f"{name[:head]}...{name[-tail:]}" for name in names]
        if len(set(short)) == len(names):
            break
    return short, width


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" if value < 1e5 else f"{value:.4g}"
