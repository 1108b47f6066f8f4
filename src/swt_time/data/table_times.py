"""The timestamps of the rows of a table, wherever they stand in it."""

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.dates import TimeForm
from swt_time.data.frequency import NO_FREQUENCY
from swt_time.data.layout import Layout
from swt_time.data.time_columns import from_decimal_years, from_epochs, join_calendar
from swt_time.data.timestamps import timestamps


def read_times(
    table: nw.DataFrame[Any],
    layout: Layout,
    rows: np.ndarray,
    codes: np.ndarray,
    *,
    frequency: str | None,
    date_format: str | None,
) -> tuple[pd.Index, TimeForm, list[str]]:
    """Timestamps of all rows, how they were read, and notes."""
    notes: list[str] = []
    if layout.calendar:
        column = join_calendar(table, layout.calendar, rows)
    else:
        column, notes = from_decimal_years(table[layout.time], table)
        if (
            not notes and date_format is None and frequency != NO_FREQUENCY
        ):  # else the digits are a date in that format, or a count
            column, notes = from_epochs(column, table, rows)
    times, form, more = timestamps(column, rows, codes, frequency=frequency, date_format=date_format)
    return times, form, notes + more
