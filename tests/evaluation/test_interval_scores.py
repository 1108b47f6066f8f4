"""Scores of intervals in backtests and evaluations, against the columns that a user gets; nothing later is read."""

import json

import numpy as np
import pandas as pd
import pytest

from swt_time import CheckpointError, Forecaster
from swt_time.data.series import to_series
from swt_time.evaluation import fold_scores, interval_scores
from swt_time.evaluation.backtesting import backtest, cross_validate
from swt_time.evaluation.calibrating import calibrate_naive
from swt_time.evaluation.fold_scores import MODEL, score_folds
from swt_time.evaluation.interval_metrics import CRPS_PROBABILITIES, DECILES, IntervalSums
from swt_time.evaluation.naive import SeasonalNaive
from swt_time.evaluation.scoring import evaluate_table
from swt_time.evaluation.uncertainty import Uncertainty
from swt_time.intervals import reach

FAST = {"horizon": 6, "preset": "fast", "context": 24, "level": 2}
LEVELS = (50, 80)
ASKED = Uncertainty(LEVELS, CRPS_PROBABILITIES)
NAIVE = "seasonal naive"


def weekly_table(rows=200, seed=0):
    random = np.random.default_rng(seed)
    times = pd.date_range("2024-01-01", periods=rows, freq="D")
    wave = np.sin(2 * np.pi * np.arange(rows) / 7)
    return pd.DataFrame(
        {"date": times, "a": 50 + 10 * wave + random.normal(size=rows), "b": 2 * wave + random.normal(size=rows) / 2}
    )


@pytest.fixture(scope="module")
def table():
    return weekly_table()


@pytest.fixture(scope="module")
def forecaster(table):
    return Forecaster(**FAST).fit(table)


def evaluate(forecaster, table, **more):
    more = {"levels": LEVELS, "calibration": forecaster.trained.calibration, **more}
    return evaluate_table(forecaster, to_series(table), "0.7/0.1/0.2", 24, 6, **more)


def by_hand(frame):
    """Scores of a frame with the columns ``y``, of levels and of quantiles."""
    known = frame.dropna(subset="y")
    y, found = known["y"].to_numpy(), {"coverage": [], "width": [], "interval_score": []}
    for level in LEVELS:
        lower, upper = (known[f"yhat-{side}-{level}"].to_numpy() for side in ("lo", "hi"))
        alpha = 1 - level / 100
        found["coverage"].append(np.mean((y >= lower) & (y <= upper)))
        found["width"].append(np.mean(upper - lower))
        below, above = np.where(y < lower, lower - y, 0), np.where(y > upper, y - upper, 0)
        found["interval_score"].append(np.mean(upper - lower + 2 / alpha * (below + above)))
    losses = {}
    for p in CRPS_PROBABILITIES:
        error = y - known[f"{p:g}"].to_numpy()
        losses[p] = np.mean(np.where(error > 0, p * error, (p - 1) * error))
    found["crps"] = 2 * np.mean(list(losses.values()))
    found["scaled_crps"] = found["crps"] / np.mean(np.abs(y))
    found["weighted_quantile_loss"] = 2 * np.mean([losses[p] for p in DECILES]) / np.mean(np.abs(y))
    bins = sum((y > known[f"{p:g}"].to_numpy()).astype(int) for p in DECILES)
    found["pit"] = np.bincount(bins, minlength=10) / len(y)
    return found


def compare(scores, expected, rtol=1e-7):
    for name in ("coverage", "weighted_quantile_loss", "scaled_crps", "pit"):
        np.testing.assert_allclose(getattr(scores, name), expected[name], rtol=rtol)
    for name in ("width", "interval_score", "crps"):
        np.testing.assert_allclose(scores.original[name], expected[name], rtol=rtol)


@pytest.mark.parametrize("refit", [None, False, True])
def test_a_backtest_scores_the_columns_that_it_gives(table, forecaster, refit):
    gap = table.copy()
    gap.loc[185:188, "a"] = np.nan
    series = to_series(gap, fill="ffill")
    if refit is None:
        folds = cross_validate(forecaster.trained, series, 3, 4, asked=ASKED)
    else:
        fit = Forecaster(**FAST, split="none").fit_series
        folds = backtest(lambda known: fit(known).trained, series, 6, 3, 4, refit=refit, asked=ASKED)
        assert len({id(one) for one in folds.calibrations}) == (3 if refit else 1)
    frame, scores = folds.frame(table), score_folds(folds, LEVELS)
    found = scores.intervals[MODEL]
    compare(found, by_hand(frame))
    units, rows = {}, scores.by_series()
    for i, name in enumerate("ab"):
        one = by_hand(frame[frame["unique_id"] == name])
        assert (rows["coverage_50"][i], rows["coverage_80"][i]) == pytest.approx(one["coverage"])
        assert rows["crps"][i] == pytest.approx(one["crps"])
        first = gap[name].to_numpy()[: folds.origins[i, 0]]
        units[name] = np.nanstd(first), np.nanmean(np.abs(first[7:] - first[:-7]))
    points = {name: frame[frame["unique_id"] == name]["y"].notna().sum() for name in "ab"}
    total = sum(points.values())
    each = {name: by_hand(frame[frame["unique_id"] == name]) for name in "ab"}
    scaled = sum(points[name] * np.array(each[name]["width"]) / units[name][0] for name in "ab") / total
    np.testing.assert_allclose(found.scaled["width"], scaled)
    msis = sum(points[name] * np.array(each[name]["interval_score"]) / units[name][1] for name in "ab") / total
    np.testing.assert_allclose(found.msis, msis)


def test_an_evaluation_scores_every_test_window_with_the_columns_of_a_forecast(table, forecaster):
    found = evaluate(forecaster, table).model.intervals
    parts = []
    for last in range(160, 200 - 6 + 1):
        predicted = forecaster.predict(table.iloc[:last], levels=LEVELS, quantiles=CRPS_PROBABILITIES)
        truth = table.iloc[last : last + 6].melt("date", var_name="unique_id", value_name="y")
        parts.append(predicted.merge(truth, on=["unique_id", "date"]))
    expected = by_hand(pd.concat(parts))
    assert 0.2 < expected["coverage"][0] < expected["coverage"][1] < 1
    compare(found, expected, rtol=1e-4)


def test_scores_do_not_depend_on_how_many_windows_are_taken_at_once(table, forecaster, monkeypatch):
    whole = evaluate(forecaster, table).model.intervals.as_json()
    sizes, update = [], IntervalSums.update

    def counted(sums, quantiles, target, channel):
        sizes.append(len(target))
        update(sums, quantiles, target, channel)

    monkeypatch.setattr(IntervalSums, "update", counted)
    monkeypatch.setattr(interval_scores, "MOST_QUANTILES", 650)
    again = evaluate(forecaster, table).model.intervals.as_json()
    assert max(sizes) == 7
    assert sum(sizes) == 2 * 2 * (40 - 6 + 1)  # two methods, two series
    assert again["coverage"] == whole["coverage"]
    assert again["original"]["crps"] == pytest.approx(whole["original"]["crps"], rel=1e-12)


def test_of_too_many_windows_an_even_sample_is_scored(table, forecaster, monkeypatch):
    whole = evaluate(forecaster, table)
    assert whole.intervals[MODEL].points == whole.model.points == 420
    assert not any("evenly spread" in line for line in whole.as_text())
    monkeypatch.setattr(interval_scores, "MOST_VALUES", 21 * reach(7))  # there are 70 windows
    found = evaluate(forecaster, table)
    assert {one.points for one in found.intervals.values()} == {21 * 6}
    assert found.model.scaled == whole.model.scaled
    assert "intervals are scored on 126 of these values, evenly spread over the windows" in list(found.as_text())
    chosen = np.flatnonzero(interval_scores.sampled(70, 7))
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 69, 21)
    assert set(np.diff(chosen)) == {3, 4}


def later(table, row):
    """The table with other values from a row on."""
    other = table.copy()
    other.loc[row:, ["a", "b"]] = other.loc[row:, ["a", "b"]] * 3 + np.arange(len(other) - row)[:, None] ** 2
    return other


def widths(scores):
    return {name: one.original["width"].tolist() for name, one in scores.intervals.items()}


def test_values_after_an_origin_change_no_interval(table, forecaster):
    """The last six rows are only targets; the row before them is known at the last origin."""
    found = {
        "backtest": lambda one: score_folds(cross_validate(forecaster.trained, to_series(one), 2), LEVELS),
        "evaluation": lambda one: evaluate(forecaster, one),
    }
    for score in found.values():
        same, other, control = score(table), score(later(table, 194)), score(later(table, 193))
        assert widths(same) == widths(other)
        assert set(widths(same)) == {MODEL, NAIVE}
        assert all(widths(control)[name] != width for name, width in widths(same).items())
        assert same.intervals[MODEL].original["crps"] != other.intervals[MODEL].original["crps"]


def test_a_backtest_calibrates_seasonal_naive_before_the_first_cutoff(table, forecaster, monkeypatch):
    seen = []
    monkeypatch.setattr(fold_scores, "calibrate_naive", lambda naive, series, rows: seen.append(rows.tolist()))
    scores = score_folds(cross_validate(forecaster.trained, to_series(table), 3, 4))
    assert seen == [[186, 186]]
    assert list(scores.intervals) == [MODEL]  # there are no others where seasonal naive has no errors


def test_intervals_of_seasonal_naive_read_the_given_rows_alone(table):
    rows = np.array([150, 120])
    first = calibrate_naive(SeasonalNaive(7, 6), to_series(table), rows)
    other = table.copy()
    other.loc[150:, "a"] = 1e6
    other.loc[120:, "b"] = 1e6
    again = calibrate_naive(SeasonalNaive(7, 6), to_series(other), rows)
    np.testing.assert_array_equal(first.residuals, again.residuals)
    np.testing.assert_array_equal(first.coefficients, again.coefficients)
    other.loc[149, "a"] = 1e6
    assert (calibrate_naive(SeasonalNaive(7, 6), to_series(other), rows).residuals != first.residuals).any()
    # every origin with a season before it and a horizon after it, of both series
    assert len(first.residuals) == (150 - 6 - 7 + 1) + (120 - 6 - 7 + 1)
    assert calibrate_naive(SeasonalNaive(7, 6), to_series(table), np.array([12, 12])) is None
    assert calibrate_naive(SeasonalNaive(7, 6), to_series(table), np.array([13, 0])) is not None


def test_intervals_of_seasonal_naive_cover_what_they_say():
    """On a season with independent noise; 4 standard errors of a share of 2,376 values would be 3 %."""
    scores = evaluate(Forecaster(**FAST).fit(weekly_table(1000)), weekly_table(1000)).intervals[NAIVE]
    np.testing.assert_allclose(scores.coverage, [0.5, 0.8], atol=0.05)
    np.testing.assert_allclose(scores.pit, 0.1, atol=0.04)


def test_a_model_without_intervals_is_scored_as_before(table, forecaster):
    with_intervals = evaluate(forecaster, table)
    found = evaluate(forecaster, table, calibration=None)
    assert found.intervals == {}
    assert found.as_json()["intervals"] is None
    assert found.model.scaled == with_intervals.model.scaled
    assert "coverage_80" not in found.by_series()
    assert sum(line.startswith("intervals: none to score") for line in found.as_text()) == 1
    folds = cross_validate(forecaster.trained, to_series(table), 2)
    bare = score_folds(type(folds)(folds.series, folds.origins, folds.yhat, {}, (None, None)))
    assert bare.as_json()["intervals"] is None
    assert bare.original == score_folds(folds).original
    assert sum(line.startswith("intervals: none to score") for line in bare.as_text()) == 1
    with pytest.raises(CheckpointError, match="has no deciles"):
        bare.pits()


def test_text_and_json(table, forecaster):
    found = evaluate(forecaster, table)
    lines = list(found.as_text())
    at = next(i for i, line in enumerate(lines) if line.startswith("intervals (scaled)"))
    assert [line.split("  ")[0] for line in lines[at : at + 9]] == [
        *("intervals (scaled)", "50 %", "swt-time", "seasonal naive 7", "80 %", "swt-time", "seasonal naive 7"),
        *("quantiles (scaled)", "swt-time"),
    ]
    plain = json.loads(json.dumps(found.as_json(), allow_nan=False))["intervals"]
    assert set(plain) == {MODEL, NAIVE}
    assert set(plain[MODEL]["coverage"]) == set(plain[MODEL]["original"]["width"]) == {"50", "80"}
    assert set(plain[MODEL]["original"]["quantile_loss"]) == {f"{p:g}" for p in CRPS_PROBABILITIES}
    assert sum(plain[MODEL]["pit"]) == pytest.approx(1)
    assert set(plain[MODEL]["per_series"]) == {"a", "b"}
    text = list(score_folds(cross_validate(forecaster.trained, to_series(table), 2), ()).as_text())
    assert not any("coverage" in line for line in text)
    assert any(line.startswith("quantiles ") for line in text)
