"""Filled values are no observations: forecasts do not see through a gap, and scores and training leave them out."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster, TableError
from swt_time.data import series as series_module
from swt_time.data.parts import split_table
from swt_time.data.series import cut_series, to_series
from swt_time.evaluation.baselines import SeasonalNaive
from swt_time.evaluation.scoring import evaluate_table, score

pytestmark = pytest.mark.usefixtures("claims_on_record")

CLAIMS = {
    "test_a_cutoff_inside_a_gap_does_not_see_its_end": (
        "filled values",
        "a forecast from inside a gap that is interpolated depends on no value after the gap",
    ),
    "test_training_does_not_see_through_a_gap_at_a_border": (
        "filled values",
        "values after a border between the parts change nothing in training, where a gap reaches over it",
    ),
    "test_filled_targets_weigh_nothing_in_training": (
        "filled values",
        "targets that were interpolated weigh nothing in training, and zeros for days without sales do",
    ),
    "days_are": ("filled values", "missing days that mean zero are forecast and scored as written zeros are"),
}

HORIZON, CONTEXT, ROWS = 6, 24, 300
GAP = slice(200, 207)
"""Rows without a value."""

AFTER = 207
"""The first row after the gap."""


def table(shift: float = 0.0, *, gap: slice = GAP) -> pd.DataFrame:
    """A daily cycle with a gap; ``shift`` raises the values after the gap."""
    hours = np.arange(ROWS)
    y = 10 + np.sin(2 * np.pi * hours / 24) + 0.1 * np.random.default_rng(0).standard_normal(ROWS)
    y[gap] = np.nan
    y[gap.stop :] += shift
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=ROWS, freq="h"), "y": y})


def forecaster(**options) -> Forecaster:
    values = {"horizon": HORIZON, "context": CONTEXT, "preset": "fast", "level": 2, "fill": "linear", "patch_len": 8}
    return Forecaster(**{**values, **options})


@pytest.fixture(scope="module")
def model():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return forecaster(split="0.5/0.1/0.4").fit(table())


def quietly(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


@pytest.mark.parametrize("cutoff", range(GAP.start, AFTER))
def test_a_cutoff_inside_a_gap_does_not_see_its_end(model, cutoff):
    clean, shifted = (quietly(model.read_series, table(shift)) for shift in (0.0, 1000.0))
    stamp = str(clean.times[0][cutoff])
    np.testing.assert_array_equal(*(model.predict_series(cut_series(one, stamp)) for one in (clean, shifted)))
    # The control: one row after the gap the shift is seen.
    stamp = str(clean.times[0][AFTER])
    one, other = (model.predict_series(cut_series(each, stamp)) for each in (clean, shifted))
    assert (one != other).all()


def test_an_interpolation_over_the_cutoff_is_detected(model, monkeypatch):
    """Planted leak: the gap is not filled again at the cutoff."""
    clean, shifted = (quietly(model.read_series, table(shift)) for shift in (0.0, 1000.0))
    monkeypatch.setattr(series_module, "hold_last", lambda values, observed: values)
    stamp = str(clean.times[0][GAP.stop - 2])
    cuts = [cut_series(one, stamp) for one in (clean, shifted)]
    monkeypatch.setattr(series_module, "last_observed", lambda observed: np.arange(len(observed)))
    one, other = (model.predict_series(cut) for cut in cuts)
    assert (one != other).any()


def test_cross_validation_does_not_see_through_a_gap(model):
    # Cutoffs every row, so that some lie inside the gap.
    clean, shifted = (
        quietly(model.cross_validation, table(shift), windows=100, step=1).set_index(["cutoff", "date"])
        for shift in (0.0, 1000.0)
    )
    before = clean.index.get_level_values("cutoff") < table()["date"][AFTER]
    assert before.sum() > 10 * HORIZON
    np.testing.assert_array_equal(clean["yhat"][before], shifted["yhat"][before])
    assert (clean["yhat"][~before] != shifted["yhat"][~before]).mean() > 0.9
    # What was not observed is NaN.
    missing = clean.index.get_level_values("date").isin(table()["date"][GAP])
    assert missing.sum() > HORIZON
    assert clean["y"][missing].isna().all()
    assert clean["y"][~missing].notna().all()


@pytest.mark.parametrize("border", [150, 180], ids=["train to validation", "validation to test"])
def test_training_does_not_see_through_a_gap_at_a_border(border):
    """Split 0.5/0.1/0.4: the gap starts before the border and ends behind it."""
    gap = slice(border - 4, border + 4)
    states = []
    for shift in (0.0, 1000.0):
        fitted = quietly(forecaster(split="0.5/0.1/0.4", seed=1).fit, table(shift, gap=gap))
        trained_on = fitted.trained.checkpoint.trained_on
        states.append((trained_on.mean, trained_on.deviation, fitted.model.trained_state()))
    assert states[0][:2] == states[1][:2]
    if border == 180:  # the validation part chooses the strength, so only a gap behind it must change nothing
        for name, weight in states[0][2].items():
            assert (weight == states[1][2][name]).all(), name


@pytest.mark.parametrize("backbone", ["closed form", "head"])
def test_filled_targets_weigh_nothing_in_training(backbone):
    """Whatever the gap was filled with, equal weights come out, as long as no context holds it; zeros are values."""
    options = {"split": "none", "context": CONTEXT, "stride": 8}
    if backbone == "head":
        options |= {"model": {"skip": "linear", "dropout": 0.0}, "max_steps": 8, "batch_size": 64}
    # The gap is the end of the table but for one value, so that it is never part of a context.
    gap = slice(ROWS - HORIZON, ROWS - 1)
    found = {}
    for fill in ("linear", "ffill", "zero"):
        fitted = quietly(forecaster(fill=fill, **options).fit, table(gap=gap))
        found[fill] = fitted.model.trained_state()
    for name, weight in found["linear"].items():
        assert (weight == found["ffill"][name]).all(), name
    assert any((weight != found["zero"][name]).any() for name, weight in found["linear"].items())


def test_scores_count_observed_points_only(model):
    series = quietly(model.read_series, table())
    evaluation = evaluate_table(model, series, "0.5/0.1/0.4", CONTEXT, HORIZON)
    windows = ROWS - 180 - HORIZON + 1
    missing = sum(
        row in range(GAP.start, GAP.stop)
        for start in range(180, 180 + windows)
        for row in range(start, start + HORIZON)
    )
    assert evaluation.model.unobserved == missing
    assert evaluation.model.points == windows * HORIZON - missing
    assert f"{windows * HORIZON - missing:,} of {windows * HORIZON:,} values were observed" in "\n".join(
        evaluation.as_text()
    )
    # By hand: each window's forecast against the observed values.
    parts = split_table(series, "0.5/0.1/0.4", CONTEXT, HORIZON)
    errors = model.forecast_windows(parts.test.contexts(np.arange(windows))) - parts.test.gather(np.arange(windows))[1]
    assert evaluation.model.mse == pytest.approx(np.nanmean(errors**2), rel=1e-9)


def test_seasonal_naive_reads_a_season_whatever_the_context_is():
    series = to_series(table(gap=slice(0, 0)))
    scores = []
    for context in (8, 24, 48):
        parts = split_table(series, "0.5/0.1/0.4", context, HORIZON)
        scores.append(score(SeasonalNaive(24, HORIZON), parts.test).mse)
    assert scores[0] == pytest.approx(scores[1]) == pytest.approx(scores[2])
    assert scores[0] < 0.1
    # At the start of a series, where there is no season yet, the last value is repeated.
    contexts = np.array([[np.nan, np.nan, 3.0, 4.0]])
    assert SeasonalNaive(4, 4).forecast_windows(contexts).tolist() == [[4.0, 4.0, 3.0, 4.0]]


def test_zero_fills_every_missing_day():
    days = pd.date_range("2024-01-01", periods=10)
    frame = pd.DataFrame(
        {"ds": days, "a": [np.nan, 1, np.nan, np.nan, 2, 3, np.nan, np.nan, 4, np.nan], "b": np.arange(10.0)}
    )
    series = to_series(frame.drop(index=2), fill="zero")
    assert series.values[0].tolist() == [0, 1, 0, 0, 2, 3, 0, 0, 4, 0]
    assert series.gapless
    assert "filled 7 values in 2 series (zero), 1 of them before the first value of their series" in series.notes


def test_an_infinity_is_no_day_without_sales():
    frame = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=4), "y": [1, np.inf, np.nan, 4]})
    series = to_series(frame, fill="zero")
    assert series.values[0].tolist() == [1, 0, 0, 4]
    assert series.observed[0].tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("fill", "values"),
    [("zero", {"early": [1, 0, 3, 0, 0], "late": [5, 6], "on": [1, 2, 3, 4, 5]}),
     ("ffill", {"early": [1, 1, 3], "late": [5, 6], "on": [1, 2, 3, 4, 5]})],
)  # fmt: skip
@pytest.mark.parametrize("frequency", [None, "D", "none"])
def test_days_without_rows_in_a_long_table(fill, values, frequency):
    """Zeros reach from the first row of a series to the end of the table: it may begin later than others."""
    rows = [
        ("early", 0, 1),
        ("early", 2, 3),
        ("late", 3, 5),
        ("late", 4, 6),
        *(("on", day, day + 1) for day in range(5)),
    ]
    frame = pd.DataFrame(rows, columns=["unique_id", "ds", "y"])
    frame["ds"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["ds"], "D")
    frame = frame[::-1]
    if frequency is None:  # a series with a longer step than the others is refused
        with pytest.raises(TableError, match=r"with data\.frequency D the times between its rows are missing ones"):
            to_series(frame, fill="zero")
        return
    series = to_series(frame, fill=fill, frequency=frequency)
    if frequency == "none":  # rows are counted, and none is missing
        values = {**values, "early": [1, 3]}
    assert {name: found.tolist() for name, found in zip(series.ids, series.values, strict=True)} == values
    assert series.gapless == (fill == "zero" or frequency == "none")
    assert all(len(found) == len(times) for found, times in zip(series.values, series.times, strict=True))
    if fill == "zero" and frequency == "D":
        assert "filled 3 values in 1 series (zero), 2 of them after its last row" in series.notes
        assert {str(times[-1].date()) for times in series.times} == {"2024-01-05"}


@pytest.fixture(scope="module")
def sparse():
    """20 series of daily sales: 60 % of the days have none and no row; the same table with zeros written; its mean."""
    generator, days = np.random.default_rng(0), pd.date_range("2024-01-01", periods=200)
    sales = np.maximum(generator.poisson(5, (20, len(days))), 1.0) * (generator.random((20, len(days))) < 0.4)
    sales[:, 0] = 1.0
    written = pd.DataFrame(
        {"unique_id": np.repeat([f"s{i:02}" for i in range(20)], 200), "ds": np.tile(days, 20), "y": sales.reshape(-1)}
    )
    return written[written["y"] > 0], written, sales.mean()


@pytest.mark.filterwarnings("ignore::swt_time.errors.SWTTimeWarning")
def test_missing_days_are_forecast_as_days_without_sales(sparse):
    """Without them the mean would be that of the days with sales, 5."""
    rows, written, mean = sparse
    options = {"horizon": 14, "context": 56, "preset": "fast", "split": "auto"}
    forecast = Forecaster(**options, fill="zero").fit(rows).predict(rows)
    pd.testing.assert_frame_equal(forecast, Forecaster(**options).fit(written).predict(written))
    assert forecast["yhat"].mean() == pytest.approx(mean, rel=0.05)


@pytest.mark.filterwarnings("ignore::swt_time.errors.SWTTimeWarning")
def test_missing_days_are_scored_as_days_without_sales(sparse, swt_time, tmp_path):
    rows, written, _ = sparse
    rows.to_csv(tmp_path / "rows.csv", index=False)
    written.to_csv(tmp_path / "written.csv", index=False)
    words, found = ("backtest", "--horizon", 14, "--preset", "panel", "--windows", 2, "--json"), {}
    for name, fill in (("rows", ("--fill", "zero")), ("written", ())):
        run = swt_time(*words, "--data", tmp_path / f"{name}.csv", *fill, "--out", tmp_path / f"{name}-folds.csv")
        found[name] = json.loads(run.stdout), pd.read_csv(tmp_path / f"{name}-folds.csv")
    assert found["rows"][0]["unobserved"] == 0
    assert found["rows"][0] == found["written"][0]
    assert found["rows"][1]["y"].eq(0).mean() > 0.5
    pd.testing.assert_frame_equal(found["rows"][1], found["written"][1])


def test_rows_without_a_value_at_the_end_are_future_rows(model, tmp_path):
    full = table(gap=slice(0, 0))
    future = pd.DataFrame({"date": pd.date_range(full["date"].iloc[-1], periods=4, freq="h")[1:], "y": np.nan})
    extended = pd.concat([full, future], ignore_index=True)
    with pytest.warns(match="3 rows after the last value have no value and were left out"):
        forecast = model.predict(extended)
    pd.testing.assert_frame_equal(forecast, model.predict(full))
    strict = forecaster(fill=None)
    assert quietly(strict.fit, extended).predict(full).equals(quietly(forecaster(fill=None).fit, full).predict(full))
    # A value that is missing while another column goes on is a gap.
    extended["z"] = np.arange(float(len(extended)))
    with pytest.raises(TableError, match="missing values"):
        to_series(extended)


def test_another_unit_gives_the_same_forecast_in_that_unit(model):
    watts = table(gap=slice(0, 0))
    expected = model.predict(watts)["yhat"]
    for factor in (1e-9, 1e9):
        other = watts.assign(y=watts["y"] * factor)
        with pytest.warns(match="another unit"):
            forecast = model.predict(other)["yhat"]
        np.testing.assert_allclose(forecast / factor, expected, rtol=2e-4)
        scores = [evaluate_table(model, to_series(one), "0.5/0.1/0.4", CONTEXT, HORIZON) for one in (watts, other)]
        assert scores[1].model.mse == pytest.approx(scores[0].model.mse, rel=1e-4)


def test_a_level_far_from_zero_keeps_its_shape(model):
    lifted = table(gap=slice(0, 0))
    expected = quietly(model.predict, lifted)["yhat"]
    forecast = quietly(model.predict, lifted.assign(y=lifted["y"] + 1e9))["yhat"]
    np.testing.assert_allclose(forecast - 1e9, expected, atol=2e-3)


def test_through_the_command_line(swt_time, tmp_path):
    for name, shift in (("clean", 0.0), ("shifted", 1000.0)):
        table(shift).to_csv(tmp_path / f"{name}.csv", index=False)
    options = ("--preset", "fast", "--horizon", HORIZON, "--context", CONTEXT, "--split", "0.5/0.1/0.4")
    sizes = ("--set", "embedding.level=2", "--set", "embedding.patch_len=8")
    model = tmp_path / "model"
    swt_time("train", "--data", tmp_path / "clean.csv", "--out", model, "--fill", "linear", *options, *sizes)
    texts = []
    for name in ("clean", "shifted"):
        out = tmp_path / f"{name}-forecast.csv"
        cut = ("--cutoff", "2024-01-09 12:00")
        swt_time("forecast", "--model", model, "--data", tmp_path / f"{name}.csv", "--out", out, *cut)
        texts.append(out.read_text())
    assert texts[0] == texts[1]
    run = swt_time("evaluate", "--model", model, "--data", tmp_path / "clean.csv", "--json")
    assert json.loads(run.stdout)["unobserved"] == 7 * HORIZON


def test_a_short_series_does_not_block_the_others(swt_time, tmp_path):
    long = table(gap=slice(0, 0)).rename(columns={"date": "ds"}).assign(unique_id="long")
    short = long[:10].assign(unique_id="short")
    both = pd.concat([long, short])
    fitted = quietly(forecaster().fit, both)
    with pytest.warns(match=r"1 of 2 series are too short and left out: 'short'"):
        forecast = fitted.predict(both)
    assert set(forecast["unique_id"]) == {"long"}
    with pytest.warns(match=r"'short'; 3 cutoffs need more rows"):
        assert set(fitted.cross_validation(both)["unique_id"]) == {"long"}
    for strict in (lambda: fitted.predict(both, strict=True), lambda: fitted.cross_validation(both, strict=True)):
        with pytest.raises(TableError, match="10"):
            strict()
    with pytest.raises(TableError, match="series 'short' has 10 rows"):
        fitted.predict(short)
    both.to_csv(tmp_path / "both.csv", index=False)
    fitted.save(tmp_path / "model")
    words = ("forecast", "--model", tmp_path / "model", "--data", tmp_path / "both.csv", "--out", tmp_path / "f.csv")
    assert "note: 1 of 2 series are too short" in swt_time(*words).stderr
    assert set(pd.read_csv(tmp_path / "f.csv")["unique_id"]) == {"long"}
    run = swt_time(*words, "--strict", check=False)
    assert run.returncode == 2
    assert "series 'short' has 10 rows" in run.stderr
