"""Intervals around forecasts: what holds for any residuals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swt_time.errors import CheckpointError
from swt_time.intervals import Calibration, Residuals, fit_calibration

SEASON, HORIZON = 4, 6


def make_residuals(origins: int = 300, horizon: int = HORIZON, seed: int = 0) -> tuple[Residuals, list[np.ndarray]]:
    """Residuals of windows whose errors grow with the step and with the deviation of the window."""
    rng = np.random.default_rng(seed)
    spread = np.exp(rng.normal(size=origins))
    histories = [one * rng.normal(size=80).cumsum() - 3 for one in spread]
    values = spread[:, None] * rng.gamma(1.0, size=(origins, horizon)) * np.sqrt(np.arange(1, horizon + 1))
    values[rng.uniform(size=values.shape) < 0.05] = np.nan
    pairs = np.stack([np.arange(origins), np.full(origins, 80)], axis=1)
    return Residuals(pairs, values, np.arange(origins) % 3, "held-out blocks"), histories


@pytest.fixture(scope="module", params=[300, 12], ids=["own steps", "shared steps"])
def calibrated(request) -> tuple[Calibration, list[np.ndarray]]:
    residuals, histories = make_residuals(request.param)
    calibration = fit_calibration(residuals, histories, SEASON)
    assert calibration is not None
    assert calibration.shared == (request.param == 12)
    return calibration, histories


def test_quantiles_ascend_with_the_probability(calibrated):
    calibration, histories = calibrated
    yhat = np.zeros((len(histories), HORIZON))
    count = calibration.counts.min()
    found = calibration.quantiles(yhat, histories, np.linspace(1, count, 40) / (count + 1))
    assert (np.diff(found, axis=0) >= 0).all()


@settings(max_examples=30)
@given(st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_intervals_follow_scale_and_shift(factor, shift):
    residuals, histories = make_residuals()
    rng = np.random.default_rng(1)
    yhat = rng.normal(size=(len(histories), HORIZON)) - 50
    one = fit_calibration(residuals, histories, SEASON)
    moved = [factor * (history - 1e4 + shift) for history in histories]
    other = fit_calibration(
        Residuals(residuals.pairs, factor * residuals.values, residuals.block, residuals.source), moved, SEASON
    )
    expected = factor * (one.quantiles(yhat, histories, [0.1, 0.9]) - 1e4 + shift)
    found = other.quantiles(factor * (yhat - 1e4 + shift), moved, [0.1, 0.9])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-2 * factor)


def test_a_forecast_has_the_same_bounds_alone_and_in_company(calibrated):
    calibration, histories = calibrated
    yhat = np.random.default_rng(3).normal(size=(len(histories), HORIZON))
    together = calibration.quantiles(yhat, histories, [0.1, 0.9])
    paths = calibration.samples(yhat, histories, 5, seed=0)
    for row in range(0, len(histories), 7):
        alone = calibration.quantiles(yhat[row : row + 1], histories[row : row + 1], [0.1, 0.9])
        np.testing.assert_array_equal(alone[:, 0], together[:, row])
        one = calibration.samples(yhat[row : row + 1], histories[row : row + 1], 5, seed=0)
        np.testing.assert_array_equal(one[:, 0], paths[:, row])


def test_arrays_restore_an_equal_calibration(calibrated):
    calibration, histories = calibrated
    yhat = np.ones((len(histories), HORIZON))
    restored = Calibration.from_arrays({name: one.copy() for name, one in calibration.to_arrays().items()})
    for one in ([0.2, 0.8], [0.5]):
        expected = calibration.quantiles(yhat, histories, one)
        np.testing.assert_array_equal(restored.quantiles(yhat, histories, one), expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("season", np.array(0.0)),
        ("season", np.array(1.5)),
        ("season", np.array([4.0])),
        ("coefficients", np.array([0.0, np.inf, 0.0])),
        ("coefficients", np.zeros(2)),
        ("bounds", np.array([[1.0, 1.0], [0.0, 2.0]])),
        ("phase", np.array(-1.0)),
        ("growth", np.array(np.inf)),
        ("residuals", np.zeros(3)),
        ("residuals", np.full((2, 2), np.inf)),
        ("residuals", np.empty((0, 4))),
    ],
)
def test_damaged_arrays_are_refused(calibrated, name, value):
    arrays = calibrated[0].to_arrays()
    with pytest.raises(CheckpointError, match=name):
        Calibration.from_arrays({**arrays, name: value})
    with pytest.raises(CheckpointError, match=f"no array '{name}'"):
        Calibration.from_arrays({key: one for key, one in arrays.items() if key != name})


def test_bounds_are_not_negative_where_the_history_is_not():
    residuals, histories = make_residuals()
    calibration = fit_calibration(
        Residuals(residuals.pairs, residuals.values - 5, residuals.block, residuals.source), histories, SEASON
    )
    yhat = np.array([[1.0] * HORIZON, [1.0] * HORIZON, [-2.0] * HORIZON])
    history = np.abs(histories[0])
    found = calibration.quantiles(yhat, [history, history - 10, history], [0.02])[0]
    assert (found[0] == 0).all(), "never negative"
    assert (found[1] < 0).all(), "the control: this series has been negative"
    assert (found[2] == -2).all(), "the forecast itself lies inside"
    assert (calibration.samples(yhat[:1], [history], 50, seed=0) >= 0).all()


def test_the_steps_of_a_path_depend_on_each_other_as_residuals_do():
    """Residuals that are the same at all steps: the sum over the horizon varies as much as one step times H."""
    rng = np.random.default_rng(0)
    origins = 400
    values = np.repeat(rng.normal(size=(origins, 1)), HORIZON, axis=1)
    histories = [rng.normal(size=60) for _ in range(origins)]
    pairs = np.stack([np.arange(origins), np.full(origins, 60)], axis=1)
    calibration = fit_calibration(Residuals(pairs, values, np.zeros(origins, int), ""), histories, 1)
    paths = calibration.samples(np.zeros((1, HORIZON)), histories[:1], origins, seed=0)[:, 0]
    assert paths.sum(axis=1).std() == pytest.approx(HORIZON * paths[:, 0].std(), rel=1e-6)
    assert len(np.unique(paths[:, 0])) == origins, "every origin is drawn once before any is drawn again"


def test_paths_have_the_quantiles_of_the_intervals(calibrated):
    calibration, histories = calibrated
    if calibration.shared:
        pytest.skip("with shared steps a path is that of an origin, the quantiles those of all steps")
    yhat = np.zeros((1, HORIZON))
    paths = calibration.samples(yhat, histories[:1], 5_000, seed=1)
    expected = calibration.quantiles(yhat, histories[:1], [0.1, 0.5, 0.9])
    np.testing.assert_allclose(np.quantile(paths, [0.1, 0.5, 0.9], axis=0), expected, rtol=0.25, atol=0.05)


def test_without_a_whole_origin_there_are_no_paths():
    residuals, histories = make_residuals()
    holes = residuals.values.copy()
    holes[np.arange(len(holes)), np.arange(len(holes)) % HORIZON] = np.nan
    calibration = fit_calibration(Residuals(residuals.pairs, holes, residuals.block, ""), histories, SEASON)
    with pytest.raises(CheckpointError, match="no sample paths"):
        calibration.samples(np.zeros((1, HORIZON)), histories[:1], 3, seed=0)
