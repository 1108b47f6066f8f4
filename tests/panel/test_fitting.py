"""Fitting a panel: choice, forecasts of any input, invariances, leaks, and the state as arrays."""

import doctest
import importlib
import io
import pkgutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swt_time.panel
from swt_time.errors import CheckpointError, ConfigError, TableError
from swt_time.panel import CANDIDATES, COMBINATION, FittedPanel, fit_panel
from swt_time.panel import fitting as module
from swt_time.panel.candidates import forecast_candidates, only
from swt_time.panel.history import describe
from swt_time.panel.origins import cuts_of, longest_history, make_origins

SEASON, HORIZON = 4, 5


def make_panel(count=30, seed=0, season=SEASON):
    """Return positive series with trends and seasons of several lengths; some short, some with gaps."""
    random = np.random.default_rng(seed)
    panel = []
    for length in random.integers(2, 70, size=count):
        time = np.arange(length)
        level = random.uniform(20, 200) * np.exp(0.01 * random.normal() * time)
        values = level * (1 + 0.2 * np.sin(2 * np.pi * time / season)) * np.exp(0.05 * random.normal(size=length))
        if length > 20:
            values[random.integers(1, length, size=2)] = np.nan
        panel.append(values)
    return panel


@pytest.fixture(scope="module")
def panel():
    return make_panel()


@pytest.fixture(scope="module")
def fitted(panel):
    fitted = fit_panel(panel, SEASON, HORIZON)
    assert fitted.chosen == COMBINATION
    return fitted


def test_result_tells_what_was_chosen_and_why(fitted):
    assert set(fitted.errors) == {*CANDIDATES, COMBINATION}
    assert all(error > 0 for error in fitted.errors.values())
    assert fitted.weights.sum() == pytest.approx(1)
    assert fitted.judged > 30
    assert fitted.margin == module.MARGIN
    assert fitted.errors[fitted.chosen] <= min(fitted.errors.values()) * (1 + fitted.margin)


@settings(max_examples=60)
@given(
    data=st.lists(
        st.lists(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.just(np.nan)), min_size=2, max_size=40),
        min_size=1,
        max_size=4,
    ),
    season=st.sampled_from([1, 2, 4, 7]),
    horizon=st.sampled_from([1, 3, 10]),
)
def test_every_panel_has_finite_forecasts(data, season, horizon):
    panel = [one if not np.isnan(one).all() else [*one, 1.0] for one in data]
    found = fit_panel(panel, season, horizon).forecast(panel)
    assert found.shape == (len(panel), horizon)
    assert np.isfinite(found).all()
    for values, forecast in zip(panel, found, strict=True):
        if np.nanmin(values) >= 0:
            assert (forecast >= 0).all()


def test_forecasts_of_extreme_values_are_finite(panel):
    for factor in (1e-300, 1e290):
        scaled = [one * factor for one in panel]
        found = fit_panel(scaled, SEASON, HORIZON).forecast(scaled)
        assert np.isfinite(found).all()
        assert (found > 0).any()


def test_scale_equivariance(panel, fitted):
    expected = fitted.forecast(panel)
    np.testing.assert_array_equal(
        fit_panel([one * 8 for one in panel], SEASON, HORIZON).forecast([one * 8 for one in panel]), expected * 8
    )
    thousandth = [one * 1e-3 for one in panel]
    np.testing.assert_allclose(fit_panel(thousandth, SEASON, HORIZON).forecast(thousandth), expected * 1e-3, rtol=1e-5)


def test_order_of_the_series_does_not_matter(panel, fitted):
    order = np.random.default_rng(1).permutation(len(panel))
    shuffled = [panel[position] for position in order]
    found = fit_panel(shuffled, SEASON, HORIZON).forecast(shuffled)
    np.testing.assert_allclose(found, fitted.forecast(panel)[order], rtol=1e-6)


def test_a_series_is_forecast_as_if_alone(panel, fitted):
    assert fitted.sharpness > 0 or fitted.maps.keys() == {0}
    together = replace(fitted, sharpness=fitted.sharpness).forecast(panel)
    for position in range(0, len(panel), 5):
        np.testing.assert_allclose(fitted.forecast([panel[position]])[0], together[position], rtol=1e-9)


def test_large_panels_are_forecast_in_parts(panel, fitted, monkeypatch):
    expected = fitted.forecast(panel)
    monkeypatch.setattr("swt_time.panel.fitted.SERIES", 7)
    np.testing.assert_allclose(fitted.forecast(panel), expected, rtol=1e-9)


def test_large_panels_are_fitted_on_a_sample(panel, fitted, monkeypatch):
    monkeypatch.setattr(module, "TARGETS", len(panel) * HORIZON * 5)
    sample = fit_panel(panel, SEASON, HORIZON)
    assert 0 < sample.judged < 0.6 * fitted.judged
    assert np.isfinite(sample.forecast(panel)).all()


def held_out(panel, cut, leak):
    """Return the forecasts of all candidates at an origin; a leak gives the regression the targets that follow it."""
    origins = make_origins(panel, cuts_of(HORIZON, len(panel)), SEASON, HORIZON, longest_history(SEASON))
    histories = describe(origins.histories, SEASON, HORIZON)
    targets = np.ldexp(origins.targets, -histories.exponent[:, None])
    plain, log = module.fit_maps(histories, origins, targets, 0 if leak else cut)
    found = forecast_candidates(histories, origins, {cut: (plain[0], log[0])})
    return found[:, origins.cut == cut]


@pytest.mark.parametrize("leak", [False, True])
def test_nothing_after_an_origin_moves_its_forecasts(panel, leak):
    cut = 6
    later = [one.copy() for one in panel]
    for one in later:
        if len(one) > 20:
            one[-cut:] = np.random.default_rng(len(one)).uniform(1, 500, size=cut)
    # Both panels have windows of the same series at the origin: their last values were observed.
    before, after = held_out(panel, cut, leak), held_out(later, cut, leak)
    moved = np.abs(before - after).max(axis=(1, 2)) > 1e-9
    assert moved.any() == leak
    assert not moved[: CANDIDATES.index("pooled")].any()


def test_random_walks_are_forecast_by_their_last_value():
    random = np.random.default_rng(4)
    panel = [np.cumsum(random.normal(size=60)) for _ in range(150)]
    fitted = fit_panel([one[:-6] for one in panel], 1, 6)
    truth = np.stack([one[-6:] for one in panel])
    error = np.abs(fitted.forecast([one[:-6] for one in panel]) - truth).mean()
    naive = np.abs(np.stack([one[-7] for one in panel])[:, None] - truth).mean()
    assert fitted.chosen == "last value"
    assert error == pytest.approx(naive)


def test_repeated_seasons_are_forecast_exactly():
    random = np.random.default_rng(5)
    panel = [np.tile(random.uniform(-5, 5, size=4), 10) for _ in range(20)]
    fitted = fit_panel(panel, 4, 8)
    assert fitted.chosen == "seasonal naive"
    np.testing.assert_allclose(fitted.forecast(panel), [np.tile(one[:4], 2) for one in panel])


def test_short_series_fall_back(fitted):
    short = [[3.0, 4.0], [1.0, 2.0, 3.0], [5.0, 6.0, 7.0, 8.0, 9.0], [2.0]]
    found = fitted.forecast(short)
    np.testing.assert_array_equal(found[0], [4.0] * HORIZON)
    np.testing.assert_array_equal(found[1], [3.0] * HORIZON)
    np.testing.assert_array_equal(found[3], [2.0] * HORIZON)
    theta = replace(fitted, weights=only("theta"), sharpness=0.0).forecast(short)
    np.testing.assert_array_equal(found[2], theta[2])
    assert (np.diff(found[2]) > 0).all()
    halves = fit_panel([[1.0, 2.0]], 2, 3)
    np.testing.assert_array_equal(halves.forecast([[1.0, 2.0]]), [[1.0, 2.0, 1.0]])


def test_a_panel_without_held_out_windows_has_prior_weights():
    fitted = fit_panel([np.arange(1.0, 8.0), np.arange(3.0)], 1, 6)
    assert (fitted.errors, fitted.judged, fitted.chosen) == ({}, 0, COMBINATION)
    np.testing.assert_allclose(fitted.weights, module.PRIOR_WEIGHTS)
    restored = FittedPanel.from_arrays(fitted.to_arrays())
    assert restored.errors == {}


@pytest.mark.parametrize("name", ["last value", "seasonal naive", "theta", "log theta", "dynamic theta"])
def test_unobserved_last_values_move_the_forecast_ahead(panel, name):
    """A forecast over a gap of two equals the later steps of a longer forecast from before the gap."""
    short, long = (replace(fit_panel(panel, SEASON, h), weights=only(name), sharpness=0.0) for h in (6, 8))
    whole = [one for one in panel if len(one) > 8]
    gapped = [np.append(one, [np.nan, np.nan]) for one in whole]
    np.testing.assert_allclose(short.forecast(gapped), long.forecast(whole)[:, 2:], rtol=1e-9)


def test_state_is_arrays_without_pickle(panel, fitted):
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **fitted.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        restored = FittedPanel.from_arrays(arrays)
    np.testing.assert_array_equal(restored.forecast(panel), fitted.forecast(panel))
    assert (restored.chosen, restored.errors, restored.strengths) == (fitted.chosen, fitted.errors, fitted.strengths)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("weights", lambda a: a[:-1], "weights of the fitted panel has shape"),
        ("weights", lambda a: a * 2, "weights of the fitted panel is out of range"),
        ("weights", lambda a: a * np.nan, "not finite"),
        ("horizon", lambda a: a + 1, "coefficients of the fitted panel has shape"),
        ("season", lambda a: a - a, "season of the fitted panel is"),
        ("season", lambda a: a * np.nan, "season of the fitted panel is"),
        ("chosen", lambda a: a + 100, "chosen of the fitted panel is out of range"),
        ("cuts", lambda a: a + 1, "cuts of the fitted panel is out of range"),
        ("deviations", lambda a: -a, "deviations of the fitted panel is out of range"),
        ("sharpness", lambda a: a + 99, "sharpness of the fitted panel is out of range"),
        ("coefficients", lambda a: a * np.inf, "not finite"),
        ("judged", lambda a: np.array("many"), "judged of the fitted panel is not numeric"),
        ("margin", None, "has no array 'margin'"),
    ],
)
def test_damaged_state_is_refused(fitted, name, change, message):
    arrays = fitted.to_arrays()
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays[name])
    with pytest.raises(CheckpointError, match=message):
        FittedPanel.from_arrays(arrays)


def test_wrong_input_is_refused(fitted):
    with pytest.raises(ConfigError, match="horizon is 0"):
        fit_panel([[1.0, 2.0]], 1, 0)
    with pytest.raises(TableError, match="no observed value"):
        fit_panel([[np.nan, np.nan]], 1, 1)
    with pytest.raises(TableError, match="infinite"):
        fitted.forecast([[1.0, np.inf]])


@pytest.mark.parametrize("name", [one.name for one in pkgutil.iter_modules(swt_time.panel.__path__)])
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(f"swt_time.panel.{name}")).failed == 0
