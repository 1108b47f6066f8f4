"""The times of the rows of a series, those after its end included."""

import numpy as np
import pandas as pd

from swt_time.data.frequency import day_length, season_length
from swt_time.data.future import continue_series
from swt_time.data.series import SeriesTable
from swt_time.data.zones import DAY, nominal_wall


class Clock:
    """Wall-clock times and phases of the rows of a table.

    Parameters
    ----------
    table : SeriesTable

    Attributes
    ----------
    season, day : int
        Rows of a season of the table's frequency, and of a day if a step is shorter; 1 if there is none.
    """

    def __init__(self, table: SeriesTable) -> None:
        self.table = table
        self.season, self.day = season_length(table.frequency), day_length(table.frequency)
        self._walls: dict[int, np.ndarray] = {}

    @property
    def has_calendar(self) -> bool:
        """Whether rows have times of a calendar."""
        return isinstance(self.table.times[0], pd.DatetimeIndex) and self.table.frequency != "none"

    def wall(self, index: int, stop: int) -> np.ndarray:
        """Wall-clock times of the first ``stop`` rows of a series, in microseconds since 1970."""
        times = self.table.times[index]
        found = self._walls.get(id(times))
        if found is None or len(found) < stop:
            found = nominal_wall(times)
            if stop > len(times):
                found = np.concatenate([found, self._later(index, stop)])
            self._walls[id(times)] = found
        return found[:stop]

    def _later(self, index: int, stop: int) -> np.ndarray:
        times = self.table.times[index]
        later = continue_series([times], self.table.frequency, stop - len(times))
        return nominal_wall(times.append(later))[len(times) :]

    def time(self, index: int, row: int) -> pd.Timestamp:
        """Timestamp of a row, which may lie after the end of the series."""
        times = self.table.times[index]
        if row < len(times):
            time: pd.Timestamp = times[row]
            return time
        later: pd.Timestamp = continue_series([times], self.table.frequency, row - len(times) + 1)[-1]
        return later

    def phase(self, index: int, start: int, stop: int) -> np.ndarray:
        """Phase of each row in its season, (stop - start,) int64, equal for equal times of day, week or year."""
        if not self.has_calendar or self.season == 1:
            return np.arange(start, stop) % self.season
        wall = self.wall(index, stop)[start:]
        if self.day > 1:
            return wall % DAY * self.day // DAY
        days = wall // DAY
        if self.table.frequency.startswith(("D", "B")) and not self.table.frequency.startswith("BM"):
            return (days + 3) % 7 % self.season  # Monday is 0
        return (day_of_year(wall) * self.season).astype(np.int64) % self.season


def day_of_year(wall: np.ndarray) -> np.ndarray:
    """Time of the year from 0 to below 1."""
    days = wall.astype("datetime64[us]").astype("datetime64[D]")
    years = days.astype("datetime64[Y]")
    since = (days - years.astype("datetime64[D]")).astype(np.int64)
    phase: np.ndarray = (since + wall % DAY / DAY) / 366
    return phase
