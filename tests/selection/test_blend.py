"""The stored combination: what it forecasts, and that a damaged one is refused."""

from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.checkpoints import read_checkpoint, write_checkpoint
from swt_time.errors import CheckpointError
from swt_time.panel import fit_panel, fit_weekly
from swt_time.selection import Blend
from swt_time.selection.blend import PREFIX

PANEL = [10 + np.sin(np.arange(40.0)), 3 + np.cos(np.arange(25.0))]


@pytest.fixture(scope="module")
def panel():
    return fit_panel(PANEL, season=1, horizon=4)


def test_forecast_is_the_convex_combination(panel):
    network = np.full((2, 4), 7.0)
    alone = panel.forecast(PANEL)
    np.testing.assert_allclose(Blend(0.25, panel).combine(network, PANEL), 0.25 * 7 + 0.75 * alone)
    np.testing.assert_array_equal(Blend(0.0, panel).combine(None, PANEL), alone)


def test_where_the_network_has_no_forecast_the_panel_has(panel):
    network = np.array([[np.nan] * 4, [7.0] * 4])
    found = Blend(1.0, panel).combine(network, PANEL)
    np.testing.assert_array_equal(found[0], panel.forecast(PANEL)[0])
    np.testing.assert_array_equal(found[1], [7.0] * 4)


def test_negative_only_where_history_is(panel):
    network = np.full((2, 4), -5.0)
    found = Blend(1.0, panel).combine(network, [PANEL[0], PANEL[1] - 10])
    np.testing.assert_array_equal(found, [[0.0] * 4, [-5.0] * 4])


def test_tensors_restore_it(panel):
    blend = Blend(0.3, panel)
    again = Blend.from_arrays({"head.weight": np.zeros(2), **blend.to_arrays()})
    assert again.weight == 0.3
    np.testing.assert_array_equal(again.panel.forecast(PANEL), panel.forecast(PANEL))
    assert Blend.from_arrays({"head.weight": np.zeros(2)}) is None


def test_a_checkpoint_from_before_the_weekly_map_is_restored(panel):
    tensors = Blend(0.3, panel).to_arrays()
    del tensors[PREFIX + "share"]
    again = Blend.from_arrays(tensors)
    assert (again.weight, again.share, again.weekly) == (0.3, 0.0, None)
    network = np.full((2, 4), 7.0)
    np.testing.assert_array_equal(again.combine(network, PANEL), Blend(0.3, panel).combine(network, PANEL))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted") / "model"
    frame = pd.DataFrame({"ds": pd.date_range("2024", periods=90, freq="D"), "y": 9 + np.sin(np.arange(90.0))})
    Forecaster(horizon=7).fit(frame).save(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weight", 1.5, "from 0 to 1"),
        ("weight", None, "missing"),
        ("horizon", 8.0, "horizon|shape"),
        ("season", 2.0**40, "season"),
        ("weights", np.nan, "not finite"),
        ("chosen", 99.0, "chosen"),
    ],
)
def test_damaged_arrays_are_refused(fitted, tmp_path, name, value, message):
    checkpoint = read_checkpoint(fitted)
    weights = dict(checkpoint.weights)
    if value is None:
        del weights[PREFIX + name]
    else:
        weights[PREFIX + name] = np.full_like(weights[PREFIX + name], value)
    object.__setattr__(checkpoint, "weights", weights)
    write_checkpoint(tmp_path / "m", checkpoint)
    with pytest.raises(CheckpointError, match=message):
        Forecaster.load(tmp_path / "m")


def test_a_panel_of_another_horizon_is_refused(fitted, tmp_path, panel):
    checkpoint = read_checkpoint(fitted)
    object.__setattr__(checkpoint, "weights", {**checkpoint.weights, **Blend(0.5, panel).to_arrays()})
    write_checkpoint(tmp_path / "m", checkpoint)
    with pytest.raises(CheckpointError, match="the panel forecasts 4 steps, the configuration says 7"):
        Forecaster.load(tmp_path / "m")


def test_a_panel_without_weight_forecasts_only_the_rows_that_the_network_leaves(panel):
    histories = [*PANEL, PANEL[0] + 5]
    network = np.full((3, 4), 7.0)
    network[[1, 2]] = np.nan
    wrapped = Mock(wraps=panel, horizon=panel.horizon)
    found = Blend(1.0, wrapped).combine(network, histories)
    assert [len(call.args[0]) for call in wrapped.forecast.call_args_list] == [2]
    np.testing.assert_array_equal(found[1:], panel.forecast(histories[1:]))
    np.testing.assert_array_equal(found[0], network[0])
    assert np.isnan(network[1]).all(), "the network's forecasts must not be overwritten"


@pytest.fixture(scope="module")
def both():
    """A panel and a weekly map of two steps a day, and two series of which the second has no week."""
    rng = np.random.default_rng(0)
    histories = [np.tile(rng.uniform(1, 9, 14), 6) + rng.uniform(size=84), rng.uniform(1, 2, 20)]
    return fit_panel(histories, season=2, horizon=4), fit_weekly(histories, day=2, horizon=4), histories


@pytest.mark.parametrize(("weight", "share"), [(0.0, 0.3), (0.2, 0.3), (0.0, 1.0), (0.7, 0.3)])
def test_the_weekly_map_has_its_share_where_it_has_a_forecast(both, weight, share):
    panel, weekly, histories = both
    network = np.full((2, 4), 7.0) if weight else None
    found = Blend(weight, panel, weekly, share).combine(network, histories)
    rest = 1 - weight - share
    by_panel, by_week = panel.forecast(histories), weekly.forecast(histories)
    assert np.isnan(by_week[1]).all()
    np.testing.assert_allclose(found[0], 7 * weight + share * by_week[0] + rest * by_panel[0])
    others = (7 * weight + rest * by_panel[1]) / (weight + rest) if weight + rest > 1e-9 else by_panel[1]
    np.testing.assert_allclose(found[1], others)


def test_without_network_and_week_the_panel_forecasts(both):
    panel, weekly, histories = both
    network = np.full((2, 4), np.nan)
    found = Blend(0.4, panel, weekly, 0.6).combine(network, histories)
    np.testing.assert_allclose(found[0], weekly.forecast(histories)[0])
    np.testing.assert_allclose(found[1], panel.forecast(histories)[1])


def test_a_weekly_map_is_restored(both):
    panel, weekly, histories = both
    blend = Blend(0.2, panel, weekly, 0.5)
    again = Blend.from_arrays(blend.to_arrays())
    assert (again.weight, again.share) == (0.2, 0.5)
    network = np.full((2, 4), 7.0)
    np.testing.assert_array_equal(again.combine(network, histories), blend.combine(network, histories))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("share", 0.9, "weight of the weekly map"),
        ("share", -0.1, "weight of the weekly map"),
        ("share", np.nan, "weight of the weekly map"),
        ("weekly.day", None, "day of the weekly map"),
        ("weekly.coefficients", None, "coefficients of the weekly map"),
        ("weekly.coefficients", np.zeros((3, 6)), "3 steps"),
    ],
)
def test_a_damaged_weekly_map_is_refused(both, name, value, message):
    panel, weekly, _ = both
    tensors = Blend(0.2, panel, weekly, 0.5).to_arrays()
    if value is None:
        del tensors[PREFIX + name]
    else:
        tensors[PREFIX + name] = np.array(value, dtype=np.float64)
    with pytest.raises(CheckpointError, match=message):
        Blend.from_arrays(tensors)
