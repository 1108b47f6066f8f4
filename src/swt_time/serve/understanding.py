"""What was understood of a table, in words and as plain values."""

from typing import Any

import numpy as np
import pandas as pd

from swt_time.data.columns import is_missing, listed
from swt_time.data.frequency import NO_FREQUENCY, WEEKDAYS, parse_frequency, season_length
from swt_time.data.series import SeriesTable

SHOWN_COLUMNS = 500
"""Most columns of a table that are described one by one."""

EXAMPLES, EXAMPLE_LENGTH = 3, 40
"""Cells of a column that are shown, and most characters of one."""

SEASONS = {24: "day", 7: "week", 5: "week", 52: "year", 12: "year", 4: "year"}
UNITS = ((3_600_000_000, "hour"), (60_000_000, "minute"), (1_000_000, "second"), (1_000, "millisecond"), (1, "µs"))
WEEKDAY_NAMES = dict(
    zip(WEEKDAYS, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), strict=True)
)
ANCHORS = {
    "start": "first day of a month",
    "end": "last day of a month",
    "business start": "first business day of a month",
    "business end": "last business day of a month",
}
FILLS = {
    "linear": "by a straight line between their neighbours",
    "ffill": "with the last value before them",
    "zero": "with zero",
}


def describe_columns(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Name, kind of values, number of missing cells and first examples of each column; the first `SHOWN_COLUMNS`."""
    return [_describe_column(str(name), frame.iloc[:, i]) for i, name in enumerate(frame.columns[:SHOWN_COLUMNS])]


def _describe_column(name: str, cells: pd.Series) -> dict[str, Any]:
    known = (cell for cell in cells.head(1000) if not is_missing(cell))
    examples = [_example(cell) for cell, _ in zip(known, range(EXAMPLES), strict=False)]
    kind = "text"
    if pd.api.types.is_bool_dtype(cells.dtype):
        kind = "yes or no"
    elif pd.api.types.is_numeric_dtype(cells.dtype):
        kind = "numbers"
    elif pd.api.types.is_datetime64_any_dtype(cells.dtype):
        kind = "times"
    missing = sum(map(is_missing, cells)) if kind == "text" else int(cells.isna().sum())
    return {"name": name, "kind": kind, "missing": missing, "examples": examples}


def _example(cell: object) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)[:EXAMPLE_LENGTH]


def describe_series(series: SeriesTable, known: tuple[str, ...]) -> dict[str, Any]:
    """Return what the library made of a table: sentences, repairs, roles of the columns, and a suggested horizon."""
    names = [series.ids[i] for i in _order(series)]
    return {
        "sentences": [_on_series(series), _on_time(series), _on_rows(series), _on_gaps(series), *_on_season(series)],
        "repairs": list(series.notes),
        "time": series.time_column,
        "ids": list(series.id_columns),
        "values": [series.value_column] if series.layout == "long" else names[:SHOWN_COLUMNS],
        "known": list(known),
        "series": len(series.ids),
        "horizon": suggested_horizon(series),
        "preview": _preview(series),
    }


def _order(series: SeriesTable) -> tuple[int, ...]:
    return series.order or tuple(range(len(series.ids)))


def _on_series(series: SeriesTable) -> str:
    names = [series.ids[i] for i in _order(series)]
    if series.layout == "wide":
        if len(names) == 1:
            return f"One series: the column {names[0]!r}."
        return f"{len(names):,} series, one in each column: {listed(names)}."
    by = " and ".join(map(repr, series.id_columns))
    count = "One series" if len(names) == 1 else f"{len(names):,} series"
    return f"{count}, told apart by {by}, with values in {series.value_column!r}: {listed(names)}."


def _on_time(series: SeriesTable) -> str:
    first, last = min(times[0] for times in series.times), max(times[-1] for times in series.times)
    return (
        f"The time is in {series.time_column!r}, {describe_frequency(series.frequency)}, "
        f"from {format_time(first)} to {format_time(last)}."
    )


def _on_rows(series: SeriesTable) -> str:
    least, most = int(series.lengths.min()), int(series.lengths.max())
    rows = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    return f"{'It has' if len(series.ids) == 1 else 'Each has'} {rows} rows."


def _on_gaps(series: SeriesTable) -> str:
    gaps = int(sum((~one).sum() for one in series.observed))
    if not gaps:
        return "No value is missing." if series.fill != "zero" else "Missing rows count as zero."
    total = int(series.lengths.sum())
    return (
        f"{gaps:,} of {total:,} values are missing and were filled {FILLS[str(series.fill)]}; they are not scored, and "
        "no forecast is trained to meet them."
    )


def _on_season(series: SeriesTable) -> list[str]:
    season = season_length(series.frequency)
    if season == 1:
        return []
    return [f"The usual season is a {SEASONS.get(season, 'day')}, {season} rows."]


def describe_frequency(alias: str) -> str:
    """Return a frequency in words, such as ``one row every 15 minutes``."""
    if alias == NO_FREQUENCY:
        return "counted row by row without a calendar"
    grid = parse_frequency(alias)
    if grid.kind == "business":
        return "one row every business day"
    if grid.kind == "elapsed":
        size, unit = next((size, unit) for size, unit in UNITS if grid.step % size == 0)
        return f"one row every {_times(grid.step // size, unit)}"
    if grid.kind == "day":
        if grid.phase is None:
            return f"one row every {_times(grid.step, 'day')}"
        day = WEEKDAY_NAMES[WEEKDAYS[grid.phase]]
        return f"one row every {day}" if grid.step == 7 else f"one row every {_times(grid.step // 7, 'week')}, on {day}"
    unit, size = ("year", 12) if grid.step % 12 == 0 else ("quarter", 3) if grid.step % 3 == 0 else ("month", 1)
    return f"one row every {_times(grid.step // size, unit)}, on the {ANCHORS[str(grid.anchor)]}"


def _times(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count:,} {unit}{'' if unit == 'µs' else 's'}"


def format_time(moment: Any) -> str:
    """Return a time without parts that are zero: ``2024-01-31``, ``2024-01-31 15:00``; or a count of rows."""
    if not isinstance(moment, pd.Timestamp):
        return f"{moment:,}"
    if moment == moment.normalize():
        return f"{moment:%Y-%m-%d}"
    return f"{moment:%Y-%m-%d %H:%M}" if moment == moment.floor("min") else f"{moment.tz_localize(None)}"


def suggested_horizon(series: SeriesTable) -> int:
    """Return a season, two weeks of days, a quarter of weeks, or 10 steps; at most a quarter of the rows."""
    usual = {7: 14, 5: 10, 52: 13, 1: 10}
    season = season_length(series.frequency)
    wanted = usual.get(season, season)
    return max(1, min(wanted, int(series.lengths.max()) // 4))


def _preview(series: SeriesTable, points: int = 240) -> list[float]:
    """Return the newest values of the first series, for a small picture."""
    first = _order(series)[0]
    return [float(f"{value:.4g}") for value in np.asarray(series.values[first][-points:])]
