"""What the data are: size, frequency, span, gaps and repairs, and what is known beside the values."""

import numpy as np

from swt_time.data.series import SeriesTable
from swt_time.data.zones import wall_times
from swt_time.report.blocks import bullets, facts, folded, paragraph, table
from swt_time.report.curves import in_order, span
from swt_time.report.facts import Facts
from swt_time.report.markup import Markup, joined, shown
from swt_time.report.words import count, frequency_text, listing, percent, time_text

MOST_SERIES = 30
"""Most series in the table of this section."""

MOST_REMARKS = 20


def the_table(found: Facts) -> Markup:
    """Return the section."""
    series = found.series
    rows, observed = int(series.lengths.sum()), int(sum(int(one.sum()) for one in series.observed))
    first, last = span(series)
    lengths = series.lengths
    rows_each = f"{lengths.min():,}" if lengths.min() == lengths.max() else f"{lengths.min():,} to {lengths.max():,}"
    about = {
        "Series": f"{len(series.ids):,}",
        "Rows of a series": rows_each,
        "Frequency": frequency_text(series.frequency),
        "From": time_text(first),
        "To": time_text(last),
        "Values": f"{rows:,}, all observed" if rows == observed else f"{rows:,}, of which {observed:,} were observed",
        "Filled values": _filled(series, rows - observed),
        "Left out": f"{listing(series.left_out)}: most of their values are missing" if series.left_out else None,
        "Column of the values": None if series.value_column is None else f"“{shown(series.value_column, 80)}”",
        "Known beside the values": _beside(series),
    }
    return joined(paragraph(_sentence(series)), facts(about), _remarks(found), _by_series(series))


def _sentence(series: SeriesTable) -> str:
    what = "one series" if len(series.ids) == 1 else f"{len(series.ids):,} series"
    gaps = (
        "Every value was observed."
        if series.gapless
        else "Not every value was observed; what was filled is an input only and is never scored."
    )
    return f"The table holds {what}: {listing([series.ids[i] for i in in_order(series)[:8]], 8)}{_more(series)}. {gaps}"


def _more(series: SeriesTable) -> str:
    return f" and {len(series.ids) - 8:,} more" if len(series.ids) > 8 else ""


def _filled(series: SeriesTable, filled: int) -> str | None:
    if not filled:
        return None
    how = {"linear": "by linear interpolation", "ffill": "by the last known value", "zero": "by zero"}
    return f"{filled:,}, {how.get(series.fill or '', 'filled')}"


def _beside(series: SeriesTable) -> str | None:
    roles = {"known": "known in advance", "past": "known as far as the series", "static": "one value for each series"}
    parts = []
    for role, meaning in roles.items():
        names = [one.name for one in series.covariates.columns if one.role == role]
        if names:
            parts.append(f"{listing(names)} ({meaning})")
    told = series.covariates.told
    if told is not None:
        parts.append(f"{count(len(told.notes), 'note')} in words, such as {listing(told.notes.texts, 2)}")
    return "; ".join(parts) or None


def _remarks(found: Facts) -> Markup | None:
    lines = list(dict.fromkeys([*found.series.notes, *found.remarks]))
    if not lines:
        return paragraph("Nothing in the table had to be repaired.")
    kept = [shown(line) for line in lines[:MOST_REMARKS]]
    rest = [] if len(lines) <= MOST_REMARKS else [f"and {len(lines) - MOST_REMARKS:,} more remarks"]
    return joined(paragraph("Repairs of the table, and remarks on it:"), bullets([*kept, *rest]))


def _by_series(series: SeriesTable) -> Markup:
    rows = []
    for i in in_order(series)[:MOST_SERIES]:
        known = series.values[i][series.observed[i]]
        times = wall_times(series.times[i][[0, -1]])
        rows.append(
            [
                shown(series.ids[i], 80), len(series.values[i]), time_text(times[0]), time_text(times[1]),
                *(float(one(known)) if len(known) else np.nan for one in (np.mean, np.std, np.min, np.max)),
                percent(1 - len(known) / len(series.values[i])),
            ]
        )  # fmt: skip
    which = "" if len(rows) == len(series.ids) else f" (the first {len(rows)} of {len(series.ids):,})"
    head = ["Series", "Rows", "First", "Last", "Mean", "Std", "Lowest", "Highest", "Filled"]
    return folded(f"Each series{which}", table(f"Observed values of each series{which}", head, rows))
