"""Checks of a panel, blocks of similar length, and interpolation."""

import numpy as np
import pytest

from swt_time.errors import ConfigError, TableError
from swt_time.panel import rows as module
from swt_time.panel.rows import as_rows, blocks, check_panel, check_steps, interpolate


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        ([], "no series"),
        ([[1.0, 2.0], [[1.0, 2.0]]], "series 1 of the panel has shape"),
        ([[1.0, np.inf]], "infinite value"),
        ([[1.0], [np.nan, np.nan]], "series 1 of the panel has no observed value"),
        ([[]], "no observed value"),
    ],
)
def test_impossible_panels_are_refused(panel, message):
    with pytest.raises(TableError, match=message):
        check_panel(panel)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "12"])
def test_impossible_steps_are_refused(value):
    with pytest.raises(ConfigError, match="season is"):
        check_steps(value, 1)
    with pytest.raises(ConfigError, match="horizon is"):
        check_steps(1, value)


def test_rows_begin_and_end_with_observed_values():
    rows = as_rows([np.array([np.nan, 1.0, np.nan, 3.0, np.nan, np.nan]), np.array([5.0])], 1)
    np.testing.assert_array_equal(rows.values, [[1, 2, 3], [5, 0, 0]])
    np.testing.assert_array_equal(rows.observed, [[True, False, True], [True, False, False]])
    np.testing.assert_array_equal(rows.lengths, [3, 1])
    np.testing.assert_array_equal(rows.gaps, [2, 0])
    np.testing.assert_array_equal(rows.inside, [[True, True, True], [True, False, False]])


def test_blocks_hold_every_series_once(monkeypatch):
    monkeypatch.setattr(module, "CELLS", 200)
    random = np.random.default_rng(0)
    series = [random.normal(size=n) for n in [*random.integers(2, 60, size=40), 500]]
    seen = []
    for positions, rows in blocks(series, 1):
        assert len(positions) == 1 or rows.values.size <= 200
        for position, values, length in zip(positions, rows.values, rows.lengths, strict=True):
            np.testing.assert_array_equal(values[:length], series[position])
        seen += positions.tolist()
    assert sorted(seen) == list(range(len(series)))


def test_gaps_take_the_phase_of_the_season():
    time = np.arange(36)
    values = 10.0 + 3 * (time % 6) + time
    gapped = values.copy()
    gapped[16:20] = np.nan
    np.testing.assert_allclose(interpolate(gapped, 6), values)
    assert np.abs(interpolate(gapped, 1) - values).max() > 1


def test_gaps_without_both_neighbours_of_the_phase_are_linear():
    np.testing.assert_array_equal(interpolate(np.array([1.0, np.nan, 3.0, 4.0, 5.0, 6.0]), 4), [1, 2, 3, 4, 5, 6])


def test_latest_values_are_those_of_shorter_series():
    draw = np.random.default_rng(0)
    series = [draw.normal(size=length) for length in (9, 5, 3)]
    series[0][6] = np.nan
    found, expected = as_rows(series, 1).latest(5), as_rows([one[-5:] for one in series], 1)
    for name in ("values", "observed", "lengths", "gaps"):
        kept = getattr(expected, name)
        np.testing.assert_allclose(getattr(found, name), kept, err_msg=name)
    assert found.values[0, 2] == pytest.approx((series[0][5] + series[0][7]) / 2)
