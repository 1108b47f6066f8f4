"""Seasonality test and decomposition, verified against plain loops."""

import numpy as np
import pytest

from support.reference_panel import is_seasonal, seasonal_indices
from swt_time.panel import seasonality
from swt_time.panel.rows import as_rows
from swt_time.panel.seasonality import autocovariances, find_season


def panel(season, seed=0):
    """Return series of several lengths, with and without a season, positive and not."""
    random = np.random.default_rng(seed)
    series = []
    for length in random.integers(season, 8 * season, size=30):
        wave = np.sin(2 * np.pi * np.arange(length) / season) * random.choice([0.0, 0.3, 5.0])
        series.append(random.choice([0.0, 20.0]) + wave + 0.5 * random.normal(size=length))
    return series


@pytest.mark.parametrize("season", [3, 4, 7, 12])
def test_indices_equal_plain_loops(season):
    series = panel(season)
    found = find_season(as_rows(series, season), season)
    kinds = set()
    for row, values in enumerate(series):
        seasonal = is_seasonal(values, season)
        assert found.seasonal[row] == seasonal
        if not seasonal:
            assert not found.multiplicative[row]
            np.testing.assert_array_equal(found.index[row], np.zeros(season))
            continue
        multiplicative = values.min() > 0 and seasonal_indices(values, season, True).min() >= 0.01
        assert found.multiplicative[row] == multiplicative
        np.testing.assert_allclose(found.index[row], seasonal_indices(values, season, multiplicative), atol=1e-9)
        kinds.add(bool(multiplicative))
    assert kinds == {True, False}


def test_restore_undoes_remove():
    series = panel(4)
    rows = as_rows(series, 4)
    found = find_season(rows, 4)
    time = np.arange(rows.values.shape[1])
    np.testing.assert_allclose(found.restore(found.remove(rows.values, time), time), rows.values, atol=1e-12)


def test_series_without_a_season():
    rows = as_rows([np.full(48, 3.0), np.zeros(48), np.arange(48.0) % 5], 12)
    assert not find_season(rows, 12).seasonal[:2].any()
    assert not find_season(rows, 1).seasonal.any()


def test_additive_on_demand():
    values = 10 * (2 + np.sin(np.arange(48) * np.pi / 6)) + 0.1 * np.random.default_rng(0).normal(size=48)
    rows = as_rows([values], 12)
    assert find_season(rows, 12).multiplicative[0]
    found = find_season(rows, 12, additive=True)
    assert found.seasonal[0]
    assert not found.multiplicative[0]


def test_many_lags_are_summed_by_fourier_transforms(monkeypatch):
    series = np.random.default_rng(0).normal(size=(3, 400))
    summed = autocovariances(series, 50)
    monkeypatch.setattr(seasonality, "FEW_LAGS", 0)
    np.testing.assert_allclose(autocovariances(series, 50), summed, atol=1e-10)
    np.testing.assert_array_equal(autocovariances(series[1:2], 50)[0], autocovariances(series, 50)[1])
    monkeypatch.setattr(np, "einsum", lambda *given: pytest.fail("summed lag by lag"))
    autocovariances(series, 50)
