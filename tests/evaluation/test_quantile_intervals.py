"""Intervals of a forecaster that is trained to quantiles: coverage, width, saving, and where they are not used."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from support.backbones import FAMILIES
from swt_time import Forecaster
from swt_time.checkpoints import read_checkpoint
from swt_time.config import STAND_INS
from swt_time.data.series import to_series
from swt_time.errors import CheckpointError, SWTTimeWarning
from swt_time.evaluation.backtesting import backtest, cross_validate
from swt_time.evaluation.fold_scores import score_folds
from swt_time.evaluation.scoring import evaluate_table
from swt_time.evaluation.trained import Trained
from swt_time.evaluation.uncertainty import Uncertainty
from swt_time.intervals import fitting

OPTIONS = {
    "horizon": 6,
    "context": 48,
    "level": 2,
    "d_model": 8,
    "split": "0.6/0.2/0.2",
    "max_steps": 300,
    "batch_size": 64,
    "learning_rate": 0.01,
    "skip": "ridge",
    "device": "cpu",
}
ROWS, FIRST = 4000, 3200
ASKED = {"levels": (80,), "quantiles": (0.3,), "samples": 3}


def make(loss="quantile", **changes):
    return Forecaster(backbone="none", loss=loss, **{**OPTIONS, **changes})


@pytest.fixture(scope="module")
def table():
    """Waves of 24 days with noise that is large in the first half of each, which a season of 7 days does not tell."""
    rng, rows = np.random.default_rng(0), np.arange(ROWS)
    y = 3 * np.sin(2 * np.pi * rows / 24) + np.where(rows % 24 < 12, 1.0, 0.2) * rng.normal(size=ROWS)
    days = pd.date_range("2024-01-01", periods=ROWS, freq="D")
    series = {"one": y, "other": 50 + 3 * y}
    return pd.concat([pd.DataFrame({"unique_id": name, "ds": days, "y": values}) for name, values in series.items()])


@pytest.fixture(scope="module")
def fitted(table):
    return make().fit(table)


def only(table, name):
    return table[table["unique_id"] == name].reset_index(drop=True)


def test_intervals_are_wider_where_the_noise_is_larger_and_cover_as_promised(fitted, table):
    assert fitted.trained.calibration.own > 0
    assert "of the network's quantiles; the widest" in fitted.trained.describe_intervals()
    found = fitted.cross_validation(only(table, "one"), windows=(ROWS - FIRST) // 3 - 2, step=3, levels=(80,))
    high = ((found["ds"] - table["ds"].min()).dt.days % 24 < 12).to_numpy()
    width = (found["yhat-hi-80"] - found["yhat-lo-80"]).to_numpy()
    assert np.median(width[high]) > 2.5 * np.median(width[~high])
    inside = found["y"].between(found["yhat-lo-80"], found["yhat-hi-80"])
    assert inside.mean() == pytest.approx(0.8, abs=0.05)


def test_scores_are_those_of_the_intervals_that_are_forecast(fitted, table):
    rows = table.groupby("unique_id").tail(FIRST)  # 320 of them are the test part
    series, calibration = to_series(rows), fitted.trained.calibration
    evaluation = evaluate_table(fitted.trained, series, "0.7/0.2/0.1", 48, 6, calibration=calibration)
    folds = cross_validate(fitted.trained, series, 320 - 6 + 1, 1, asked=Uncertainty((80, 95)))
    backtest = score_folds(folds, (80, 95))
    found = folds.frame(rows)
    inside = [found["y"].between(found[f"yhat-lo-{level}"], found[f"yhat-hi-{level}"]).mean() for level in (80, 95)]
    width = (found["yhat-hi-80"] - found["yhat-lo-80"]).mean()
    for scores in (evaluation.intervals["swt-time"], backtest.intervals["swt-time"]):
        assert scores.points == len(found)
        np.testing.assert_allclose(scores.coverage, inside, atol=1e-3)
        assert scores.original["width"][0] == pytest.approx(width, rel=1e-3)


def test_backtest_scores_the_intervals_of_each_fit(table):
    series = to_series(only(table, "one").iloc[:900])

    def fit(known):
        return make(max_steps=60).fit_series(known).trained

    folds = backtest(fit, series, 6, 2, refit=True, asked=Uncertainty((80,)))
    assert [one.own > 0 for one in folds.calibrations] == [True, True]
    width = np.mean(folds.around["yhat-hi-80"] - folds.around["yhat-lo-80"])
    assert score_folds(folds, (80,)).intervals["swt-time"].original["width"][0] == pytest.approx(width)


def test_the_training_follows_the_quantile_loss(fitted):
    history = fitted.result.history
    assert fitted.result.best_loss == min(row.validation_loss for row in history)
    assert fitted.result.best_loss < 0.7 * history[0].validation_loss
    assert fitted.model.gate.item() > 0


def test_saved_and_loaded_forecasts_have_the_same_bits(fitted, table, tmp_path):
    fitted.save(tmp_path / "m")
    again = Forecaster.load(tmp_path / "m", device="cpu")
    pd.testing.assert_frame_equal(again.predict(table, **ASKED), fitted.predict(table, **ASKED), check_exact=True)


def test_a_series_alone_and_among_others_has_the_same_intervals(fitted, table):
    together = fitted.predict(table, **ASKED)
    for name in ("one", "other"):
        alone = fitted.predict(only(table, name), **ASKED)
        pd.testing.assert_frame_equal(alone, only(together, name), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backbone", [*FAMILIES, *STAND_INS])
@pytest.mark.parametrize("short", ["skip", "pad"])
def test_every_backbone_gives_its_own_spread(tiny_backbones, hourly_wide, tmp_path, monkeypatch, backbone, short):
    monkeypatch.setattr(fitting, "OWN", (1.0,))
    sizes = {"d_ff": 8, "n_heads": 2, "n_prototypes": 12, "precision": "float32", "max_steps": 5, "short": short}
    place = str(tiny_backbones.get(backbone, backbone))
    fitted = Forecaster(backbone=place, loss="quantile", **OPTIONS | sizes).fit(hourly_wide)
    assert fitted.trained.calibration.own == 1
    found = fitted.predict(hourly_wide, **ASKED)
    fitted.save(tmp_path / "m")
    again = Forecaster.load(tmp_path / "m", device="cpu")
    pd.testing.assert_frame_equal(again.predict(hourly_wide, **ASKED), found, check_exact=True)
    with pytest.warns(SWTTimeWarning) as warned:
        other = fitted.predict(hourly_wide.assign(load=1000 * hourly_wide["load"]), **ASKED)
    assert ["another unit" in str(one.message) for one in warned] == [True]  # the second pass does not repeat it
    loads = [one[one["unique_id"] == "load"].drop(columns=["unique_id", "date"]) for one in (found, other)]
    np.testing.assert_allclose(loads[1], 1000 * loads[0], rtol=1e-3)


def test_levels_are_nested_around_the_median(fitted, table):
    found = fitted.predict(table, levels=(50, 80, 95), quantiles=(0.5,))
    names = ["yhat-lo-95", "yhat-lo-80", "yhat-lo-50", "0.5", "yhat-hi-50", "yhat-hi-80", "yhat-hi-95"]
    assert (np.diff(found[names].to_numpy(), axis=1) >= 0).all()


@pytest.mark.filterwarnings("ignore:1 of 1 series are shorter")
def test_series_that_the_network_does_not_forecast_keep_the_scale_of_their_values(table):
    fitted = make(max_steps=20, short="naive").fit(table)
    assert not fitted.trained.has_spread
    assert fitted.trained.calibration.own == 0
    short = only(table, "one").iloc[-20:]
    assert np.isfinite(fitted.predict(short, levels=(80,))[["yhat-lo-80", "yhat-hi-80"]]).all(axis=None)


def test_a_closed_form_keeps_the_scale_of_its_values(table):
    fitted = make(max_steps=0).fit(table)
    assert not fitted.trained.has_spread
    assert fitted.trained.spreads(None, None) is None
    assert fitted.trained.calibration.own == 0


def test_intervals_of_quantiles_beside_a_model_without_them_are_refused(fitted, table, tmp_path):
    fitted.save(tmp_path / "quantiles")
    checkpoint = read_checkpoint(tmp_path / "quantiles")
    other = make("mse", max_steps=5).fit(table).trained
    network = {name: one for name, one in other.checkpoint.weights.items() if not name.startswith("intervals.")}
    intervals = {name: one for name, one in checkpoint.weights.items() if name.startswith("intervals.")}
    mixed = dataclasses.replace(other.checkpoint, weights=network | intervals)
    with pytest.raises(CheckpointError, match="intervals need quantiles of the network, which it does not have"):
        Trained(mixed, other.model)
