"""Where the residuals of a model come from, and that no row after them is read."""

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.evaluation import calibrating

HORIZON = 6


def table(rows: int = 600, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    hours = np.arange(rows)
    return pd.DataFrame(
        {
            "date": pd.date_range("2024", periods=rows, freq="h"),
            "load": 10 + np.sin(hours * np.pi / 12) + 0.3 * rng.normal(size=rows),
            "heat": 5 + np.cos(hours * np.pi / 12) + 0.1 * rng.normal(size=rows),
        }
    )


def closed_form(**options) -> Forecaster:
    return Forecaster(horizon=HORIZON, context=48, preset="fast", level=2, **options)


def trained(**options) -> Forecaster:
    sizes = {"d_model": 8, "d_ff": 8, "n_heads": 2, "n_prototypes": 8, "batch_size": 16}
    return Forecaster(horizon=HORIZON, context=48, backbone="none", max_steps=3, level=2, **sizes, **options)


def made(forecaster: Forecaster) -> dict:
    return forecaster.trained.checkpoint.provenance.get("intervals", {})


@pytest.mark.parametrize(
    ("forecaster", "source"),
    [
        (closed_form(), "of out-of-fold blocks"),
        (closed_form(split="none"), "of out-of-fold blocks"),
        (Forecaster(horizon=HORIZON), "of held-out blocks"),
        (Forecaster(horizon=HORIZON, preset="panel"), "of held-out blocks"),
        (trained(skip="linear"), "of validation part"),
        (trained(skip="none"), "of validation part"),
    ],
)
def test_residuals_are_those_of_rows_that_were_not_fitted(forecaster, source):
    forecast = forecaster.fit(table()).predict(table())
    assert made(forecaster)["residuals"] == source
    assert {"yhat-lo-80", "yhat-hi-80", "yhat-lo-95", "yhat-hi-95"} <= set(forecast.columns)
    assert (forecast["yhat-lo-95"] <= forecast["yhat-lo-80"]).all()
    assert (forecast["yhat-lo-80"] < forecast["yhat-hi-80"]).all()


def test_a_network_that_saw_all_rows_has_no_intervals():
    forecaster = trained(split="none", skip="none").fit(table())
    assert forecaster.trained.calibration is None
    assert list(forecaster.predict(table()).columns) == ["unique_id", "date", "yhat"]


@pytest.mark.parametrize(
    "make", [closed_form, lambda: trained(skip="none"), lambda: Forecaster(horizon=HORIZON, split="0.7/0.1/0.2")]
)
def test_test_rows_change_no_interval(make):
    rows = table()
    changed = rows.copy()
    changed.loc[480:, ["load", "heat"]] = 1000 - 7 * changed.loc[480:, ["load", "heat"]]
    one, other = (make().fit(frame).trained.calibration for frame in (rows, changed))
    for name, values in one.to_arrays().items():
        np.testing.assert_array_equal(values, other.to_arrays()[name], err_msg=name)
    earlier = rows.copy()
    earlier.loc[440:479, "load"] += 3 * np.sin(np.arange(40))
    moved = make().fit(earlier).trained.calibration
    assert not np.array_equal(moved.residuals, one.residuals), "the control: these rows are read"


def test_residuals_are_errors_of_the_forecasts_they_belong_to(monkeypatch):
    found = {}

    def record(residuals, histories, season):
        found.update(residuals=residuals, histories=histories)
        return original(residuals, histories, season)

    original = calibrating.fit_calibration
    monkeypatch.setattr(calibrating, "fit_calibration", record)
    forecaster = trained(skip="none").fit(table())
    residuals = found["residuals"]
    series = forecaster.read_series(table())
    yhat = forecaster.trained.forecast_origins(series, residuals.pairs)
    for row, (index, known) in enumerate(residuals.pairs.tolist()):
        assert 420 <= known <= 480 - HORIZON, "targets lie in the validation part"
        truth = series.values[index][known : known + HORIZON]
        np.testing.assert_allclose(residuals.values[row], truth - yhat[row], rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(found["histories"][row][-10:], series.values[index][known - 10 : known])
    assert len(np.unique(residuals.block)) == calibrating.STRETCHES


def test_a_closed_form_covers_what_its_level_says():
    forecaster = closed_form(split="0.7/0.1/0.2").fit(table(3_000))
    folds = forecaster.cross_validation(table(3_000), windows=90, step=HORIZON, levels=[80, 95])
    for level in (80, 95):
        inside = folds["y"].between(folds[f"yhat-lo-{level}"], folds[f"yhat-hi-{level}"]).mean()
        assert inside == pytest.approx(level / 100, abs=0.04)


def test_short_series_have_residuals_of_many_overlapping_forecasts():
    forecaster = Forecaster(horizon=12).fit(table(60).iloc[:40])
    told = made(forecaster)
    assert told["origins"] > 10 * told["origins_without_overlap"] / 2
    assert told["steps"] == "share their residuals"
