"""Numbers, times and lists in the words of a report."""

import math
from collections.abc import Sequence

import numpy as np

from swt_time.report.markup import shown

PERCENT = "\N{NO-BREAK SPACE}%"


def number(value: float | int | None) -> str:
    """Return a number of four significant digits; a dash for what is not known.

    Examples
    --------
    >>> [number(one) for one in (1234567, 12.3456, 0.0001234, float("nan"), 300.0)]
    ['1,234,567', '12.35', '0.0001234', '–', '300']
    """
    if value is None or not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    if value == round(value) and abs(value) < 1e15:
        return f"{round(value):,}"
    if 1e-4 <= abs(value) < 1e9:
        digits = max(4 - 1 - math.floor(math.log10(abs(value))), 0)
        text = f"{value:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.3e}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in percent."""
    return "–" if share is None or not math.isfinite(share) else f"{100 * share:.{digits}f}{PERCENT}"


def count(many: int, one: str, several: str | None = None) -> str:
    """Return a number of things."""
    return f"{many:,} {one if many == 1 else several or one + 's'}"


def time_text(time: object) -> str:
    """Return a wall-clock time without the parts that are zero, or a count of rows."""
    if not isinstance(time, np.datetime64):
        return shown(time)
    return without_zeros(str(time.astype("datetime64[s]")).replace("T", " "))


def without_zeros(text: str) -> str:
    """Return a written time without a midnight or without the seconds of a full minute.

    Examples
    --------
    >>> without_zeros("2024-01-01 00:00:00"), without_zeros("2024-01-01 06:00:00")
    ('2024-01-01', '2024-01-01 06:00')
    """
    text = text.removesuffix(" 00:00:00")
    return text.removesuffix(":00") if len(text) == len("2024-01-01 00:00:00") else text


FREQUENCIES = {
    "s": "every second", "min": "every minute", "h": "hourly", "D": "daily", "B": "on business days", "W": "weekly",
    "MS": "monthly", "ME": "monthly", "QS": "quarterly", "QE": "quarterly", "YS": "yearly", "YE": "yearly",
}  # fmt: skip


def frequency_text(alias: str) -> str:
    """Return a frequency in words, with its alias.

    Examples
    --------
    >>> frequency_text("h"), frequency_text("15min"), frequency_text("W-SUN"), frequency_text("none")
    ('hourly (h)', '15min', 'weekly (W-SUN)', 'rows are counted')
    """
    if alias == "none":
        return "rows are counted"
    word = FREQUENCIES.get(alias.split("-")[0])
    return shown(alias, 40) if word is None else f"{word} ({shown(alias, 40)})"


def listing(names: Sequence[object], most: int = 8) -> str:
    """Names in quotes; of many the first ones."""
    quoted = [f"“{shown(one, 80)}”" for one in names[:most]]
    rest = len(names) - len(quoted)
    if rest > 0:
        return f"{', '.join(quoted)} and {rest:,} more"
    return " and ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]])) if quoted else "none"


def better(error: float, baseline: float) -> str:
    r"""How an error compares with that of a baseline.

    Examples
    --------
    >>> better(0.75, 1.0), better(1.5, 1.0)
    ('25.0\xa0% lower than', '50.0\xa0% higher than')
    """
    if not (math.isfinite(error) and math.isfinite(baseline)):
        return "not comparable with"
    if baseline == 0:
        return "above" if error > 0 else "equal to"
    change = error / baseline - 1
    if abs(change) < 0.0005:
        return "equal to"
    return f"{percent(abs(change))} {'lower' if change < 0 else 'higher'} than"
