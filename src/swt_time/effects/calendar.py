"""What the calendar says of a time: weekday, month, and public holidays of a country."""

from functools import cache

import numpy as np

from swt_time.data.zones import DAY
from swt_time.effects.clock import Clock
from swt_time.errors import ConfigError, MissingDependencyError

DERIVED = "calendar: "
"""Prefix of the names of groups that are computed from times."""

HOLIDAYS, NAMES = f"{DERIVED}holidays ", f"{DERIVED}names of holidays "

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def derived_labels(name: str, clock: Clock, index: int, start: int, stop: int) -> np.ndarray:
    """Labels of the rows of a series, (stop - start,) objects; None where there is none."""
    days = clock.wall(index, stop)[start:] // DAY
    if name == f"{DERIVED}weekday":
        weekdays: np.ndarray = np.array(WEEKDAYS, dtype=object)[(days + 3) % 7]
        return weekdays
    if name == f"{DERIVED}month":
        months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
        return np.array([f"{one:02d}" for one in range(1, 13)], dtype=object)[months]
    names = name.startswith(NAMES)
    found = holidays_of(name.removeprefix(NAMES if names else HOLIDAYS))
    distinct, codes = np.unique(days, return_inverse=True)
    labels = [found.get(int(day)) for day in distinct]
    if not names:
        labels = [None if one is None else "holiday" for one in labels]
    return np.array([*labels, None], dtype=object)[:-1][codes]


@cache
def holidays_of(country: str) -> dict[int, str]:
    """Names of the public holidays of a country by their day since 1970.

    Parameters
    ----------
    country : str
        Code of a country such as ``DE``, or with a subdivision ``DE-BY``.

    Raises
    ------
    MissingDependencyError
        The package ``holidays`` is not installed.
    ConfigError
        It does not know the country.
    """
    try:
        import holidays
    except ImportError:
        raise MissingDependencyError(
            'public holidays need the package holidays: pip install "swt-time[holidays]", or leave data.holidays out'
        ) from None
    code, _, part = country.strip().partition("-")
    try:
        # without a language, names would depend on the locale of the process
        found = holidays.country_holidays(code, subdiv=part or None, years=range(1970, 2101), language="en_US")
    except NotImplementedError as error:
        raise ConfigError(
            f"data.holidays {country!r} is unknown: {error}; expected a code of a country such as DE, or with a "
            "subdivision such as DE-BY"
        ) from None
    return {int(np.datetime64(day, "D").astype(np.int64)): str(name) for day, name in found.items()}
