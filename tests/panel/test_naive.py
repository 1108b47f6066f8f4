"""Seasonal naive, verified against plain loops."""

import numpy as np
import pytest

from swt_time.panel.history import seasonal_naive
from swt_time.panel.rows import as_rows


def plain(values, season, horizon):
    """Repeat the value of whole seasons ago."""
    if len(values) < season:
        return [values[-1]] * horizon
    return [values[len(values) + h - season * (1 + h // season)] for h in range(horizon)]


@pytest.mark.parametrize("season", [1, 3, 4])
def test_equals_a_plain_loop(season):
    series = [np.arange(n) ** 2.0 for n in (1, 2, 3, 4, 5, 9)]
    found = seasonal_naive(as_rows(series, season), season, 7)
    np.testing.assert_array_equal(found, [plain(one, season, 7) for one in series])


def test_unobserved_values_at_the_end_move_the_phase():
    values = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, np.nan])
    np.testing.assert_array_equal(seasonal_naive(as_rows([values], 3), 3, 4), [[3, 1, 2, 3]])
