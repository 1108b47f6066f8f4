"""The combination of the network's forecast and that of the panel."""

from unittest.mock import Mock

import numpy as np

from swt_time.panel import fit_panel
from swt_time.selection import Blend

RNG = np.random.default_rng(0)
HISTORIES = [RNG.normal(size=40).cumsum() for _ in range(5)]
NETWORK = RNG.normal(size=(5, 3))
PANEL = fit_panel(HISTORIES, season=1, horizon=3)


def test_both_have_their_weights_and_a_row_without_the_network_is_the_panels():
    network = NETWORK.copy()
    network[2] = np.nan
    expected = 0.3 * NETWORK + 0.7 * PANEL.forecast(HISTORIES)
    expected[2] = PANEL.forecast(HISTORIES)[2]
    assert np.array_equal(Blend(0.3, PANEL).combine(network, HISTORIES), expected)


def test_a_panel_without_weight_forecasts_only_the_rows_that_the_network_leaves():
    network = NETWORK.copy()
    network[[1, 4]] = np.nan
    panel = Mock(wraps=PANEL)
    found = Blend(1.0, panel).combine(network, HISTORIES)
    assert [len(call.args[0]) for call in panel.forecast.call_args_list] == [2]
    assert np.array_equal(found[[1, 4]], PANEL.forecast([HISTORIES[1], HISTORIES[4]]))
    assert np.array_equal(found[[0, 2, 3]], NETWORK[[0, 2, 3]])
    assert np.isnan(network[1]).all(), "the network's forecasts must not be overwritten"
