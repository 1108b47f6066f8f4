"""The stored combination: what it forecasts, and that a damaged one is refused."""

from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch

from swt_time import Forecaster
from swt_time.checkpoints import read_checkpoint, write_checkpoint
from swt_time.errors import CheckpointError
from swt_time.panel import fit_panel
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
    again = Blend.from_tensors({"head.weight": torch.zeros(2), **blend.to_tensors()})
    assert again.weight == 0.3
    np.testing.assert_array_equal(again.panel.forecast(PANEL), panel.forecast(PANEL))
    assert Blend.from_tensors({"head.weight": torch.zeros(2)}) is None


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
        weights[PREFIX + name] = torch.full_like(weights[PREFIX + name], value)
    object.__setattr__(checkpoint, "weights", weights)
    write_checkpoint(tmp_path / "m", checkpoint)
    with pytest.raises(CheckpointError, match=message):
        Forecaster.load(tmp_path / "m")


def test_a_panel_of_another_horizon_is_refused(fitted, tmp_path, panel):
    checkpoint = read_checkpoint(fitted)
    object.__setattr__(checkpoint, "weights", {**checkpoint.weights, **Blend(0.5, panel).to_tensors()})
    write_checkpoint(tmp_path / "m", checkpoint)
    with pytest.raises(CheckpointError, match="the panel forecasts 4 steps, the configuration says 7"):
        Forecaster.load(tmp_path / "m")


def test_a_panel_without_weight_forecasts_only_the_rows_that_the_network_leaves(panel):
    histories = [*PANEL, PANEL[0] + 5]
    network = np.full((3, 4), 7.0)
    network[[1, 2]] = np.nan
    wrapped = Mock(wraps=panel)
    found = Blend(1.0, wrapped).combine(network, histories)
    assert [len(call.args[0]) for call in wrapped.forecast.call_args_list] == [2]
    np.testing.assert_array_equal(found[1:], panel.forecast(histories[1:]))
    np.testing.assert_array_equal(found[0], network[0])
    assert np.isnan(network[1]).all(), "the network's forecasts must not be overwritten"
