"""Windows of a panel: what is known at an origin and what followed."""

import numpy as np
import pytest

from swt_time.panel.origins import (
    CUTS,
    JUDGES,
    cuts_of,
    fitted_cuts,
    judged_cuts,
    make_origins,
    shortest_window,
)


def test_windows_equal_slices():
    series = [np.arange(30.0), np.arange(100.0, 109.0)]
    origins = make_origins(series, [0, 2, 4, 40], season=1, horizon=3, longest=10)
    for history, target, owner, cut in zip(
        origins.histories, origins.targets, origins.series, origins.cut, strict=True
    ):
        end = len(series[owner]) - cut
        np.testing.assert_array_equal(history, series[owner][max(0, end - 10) : end])
        followed = series[owner][end : end + 3]
        np.testing.assert_array_equal(target[: len(followed)], followed)
        assert np.isnan(target[len(followed) :]).all()
    assert list(zip(origins.series.tolist(), origins.cut.tolist(), strict=True)) == [
        (0, 0),
        (0, 2),
        (0, 4),
        (1, 0),
        (1, 2),
    ]


def test_windows_need_observed_values():
    values = np.arange(20.0)
    values[5:15] = np.nan
    cuts = make_origins([values], list(range(19)), season=1, horizon=1, longest=100).cut
    assert sorted(cuts.tolist()) == list(range(5))
    assert shortest_window(1) == 6


def test_latest_values_without_an_observation_do_not_end_a_forecast():
    values = np.concatenate([np.arange(20.0), np.full(50, np.nan)])
    origins = make_origins([values], [0, 3], season=1, horizon=2, longest=10)
    assert origins.cut.tolist() == [0]
    np.testing.assert_array_equal(origins.histories[0], values)


def test_targets_behind_an_origin_are_hidden():
    origins = make_origins([np.arange(30.0)], [0, 2, 4, 6], season=1, horizon=3, longest=99)
    hidden = origins.targets_before(4)
    np.testing.assert_array_equal(np.isnan(hidden), [[True] * 3, [True] * 3, [True] * 3, [False, False, True]])
    assert not np.isnan(origins.targets_before(0)[2:]).any()


def test_judged_cuts_leave_a_whole_horizon():
    cuts = cuts_of(8, 1000)
    assert cuts == [3 * k for k in range(CUTS[0] + 1)]
    assert judged_cuts(np.array(cuts), 8) == [9, 12, 15, 18, 21, 24, 27, 30]
    assert len(judged_cuts(np.array(cuts), 8)) == JUDGES
    assert judged_cuts(np.array([0, 3, 6]), 8) == [6]
    assert judged_cuts(np.array([0]), 8) == []


def test_few_series_have_more_origins():
    assert [len(cuts_of(8, count)) - 1 for count in (1, 10, 20, 50, 5000)] == [60, 60, 30, 12, 12]
    assert len(judged_cuts(np.array(cuts_of(8, 1)), 8)) == 38


@pytest.mark.parametrize("horizon", [1, 2, 8, 24])
@pytest.mark.parametrize("existing", [1, 2, 8, 30, 61])
def test_regressions_of_judged_origins_know_less_than_their_forecasts(horizon, existing):
    judged = judged_cuts(np.array(cuts_of(horizon, 1)[:existing]), horizon)
    fitted = fitted_cuts(judged)
    assert len(fitted) <= JUDGES
    assert set(fitted) <= set(judged)
    assert all(max(fitted) >= cut for cut in judged)
