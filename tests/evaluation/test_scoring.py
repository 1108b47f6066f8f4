"""Scores: every window of the test part counts once, and no other window."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from swt_time.data.frequency import season_length
from swt_time.data.series import to_series
from swt_time.errors import ConfigError, TableError
from swt_time.evaluation.naive import SeasonalNaive
from swt_time.evaluation.scoring import METRICS, evaluate_table


class Last:
    """A forecaster that repeats the last value."""

    def __init__(self, horizon):
        self.horizon = horizon

    def forecast_windows(self, contexts):
        return np.repeat(contexts[:, -1:], self.horizon, axis=1)


def plain_errors(frame, horizon, split, season):
    """Errors of `Last` on the test windows of a wide table in float64: (windows, H) by column, scaled and original."""
    n = len(frame)
    train, test = int(n * split[0]), int(n * split[2])
    scaled, original = {}, {}
    for name in frame.columns[1:]:
        y = frame[name].to_numpy()
        for found, x in ((scaled, (y - y[:train].mean()) / y[:train].std()), (original, y)):
            scale = np.mean([abs(x[t] - x[t - season]) for t in range(season, train)])
            starts = range(n - test, n - horizon + 1)
            f = np.array([[x[start - 1]] * horizon for start in starts])
            t = np.array([x[start : start + horizon] for start in starts])
            found[name] = {
                "squared": (f - t) ** 2,
                "absolute": abs(f - t),
                "mase": abs(f - t) / scale,
                "smape": 200 * abs(f - t) / (abs(f) + abs(t)),
            }
    return scaled, original


def plain_metrics(errors):
    """The five metrics of errors at points."""
    mse = errors["squared"].mean()
    return [mse, errors["absolute"].mean(), mse**0.5, errors["mase"].mean(), errors["smape"].mean()]


def together(by_column, pick=lambda array: array):
    return {k: np.stack([pick(one[k]) for one in by_column.values()]) for k in next(iter(by_column.values()))}


def test_scores_equal_a_plain_loop(hourly_wide):
    found = evaluate_table(Last(12), to_series(hourly_wide), "0.7/0.1/0.2", 48, 12).model
    scaled, original = plain_errors(hourly_wide, 12, (0.7, 0.1, 0.2), 24)
    for got, expected in ((found.scaled, scaled), (found.original, original)):
        np.testing.assert_allclose([got[m] for m in METRICS], plain_metrics(together(expected)), rtol=1e-5)
    for name, errors in found.per_series.items():
        np.testing.assert_allclose([errors[m] for m in METRICS], plain_metrics(scaled[name]), rtol=1e-5)
        np.testing.assert_allclose([errors["original"][m] for m in METRICS], plain_metrics(original[name]), rtol=1e-5)
    for step in range(12):
        for got, expected in ((found.per_step, scaled), (found.per_step["original"], original)):
            one = plain_metrics(together(expected, lambda array, step=step: array[:, step]))
            np.testing.assert_allclose([got[m][step] for m in METRICS], one, rtol=1e-5)
    assert (found.mse, found.mae) == (found.scaled["mse"], found.scaled["mae"])
    assert (found.windows, found.series, found.horizon) == (120 - 12 + 1, 2, 12)


def test_mase_does_not_depend_on_units_and_smape_does(hourly_wide):
    found = evaluate_table(Last(12), to_series(hourly_wide), "0.7/0.1/0.2", 48, 12)
    assert found.season == 24
    assert found.model.scaled["mase"] == pytest.approx(found.model.original["mase"], rel=1e-5)
    assert abs(found.model.scaled["smape"] - found.model.original["smape"]) > 1


def test_forecasts_of_zero_are_exactly_zero_in_original_units():
    """Half of the forecasts and targets are 0; a rounding error of the mean would make each an error of 200 %."""
    values = np.tile([0.0, 7.3], 150)
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=300, freq="10D"), "y": values})
    found = evaluate_table(SeasonalNaive(2, 4), to_series(frame), "0.7/0.1/0.2", 20, 4).model
    assert found.original["smape"] < 1e-4
    assert found.original["mase"] == pytest.approx(0, abs=1e-6)


def test_series_without_a_scale_has_no_mase():
    """The train part repeats its season exactly, or is shorter than a season."""
    times = pd.date_range("2024-01-01", periods=300, freq="D")
    noise = np.random.default_rng(0).normal(size=300)
    frame = pd.DataFrame({"date": times, "weekly": np.arange(300) % 7.0, "noise": noise})
    found = evaluate_table(Last(5), to_series(frame), "0.7/0.1/0.2", 20, 5)
    scores = found.model.per_series
    assert np.isnan(scores["weekly"]["mase"])
    assert found.model.scaled["mase"] == pytest.approx(scores["noise"]["mase"])
    assert found.as_json()["per_series"]["weekly"]["mase"] is None
    weeks = pd.DataFrame({"date": pd.date_range("2023-01-01", periods=60, freq="W"), "y": noise[:60]})
    short = evaluate_table(Last(2), to_series(weeks), "0.7/0.1/0.2", 10, 2)
    assert np.isnan(short.model.scaled["mase"])
    assert any(re.match(r"swt-time( +[\d.]+){3} +- +[\d.]+$", line) for line in short.as_text())


def test_json_is_strict_and_complete(hourly_wide):
    found = evaluate_table(Last(12), to_series(hourly_wide), "0.7/0.1/0.2", 48, 12).as_json()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert set(METRICS) | {"windows", "horizon", "series", "split", "seconds", "peak_memory_bytes"} < set(again)
    assert {len(again["per_step"][m]) for m in METRICS} == {12}
    assert set(again["original"]) == set(again["per_series"]["load"]["original"]) == set(METRICS)
    assert set(again["seasonal_naive"]) == {*METRICS, "original", "season"}
    assert again["seconds"] > 0
    # A Python process with torch needs more than 50 MB, and no machine has a terabyte to spare.
    assert 50e6 < again["peak_memory_bytes"] < 1e12


def test_text_lists_units_steps_and_the_worst_series():
    times = pd.date_range("2024-01-01", periods=200, freq="D")
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"date": times, **{f"s{i:02}": random.normal(size=200).cumsum() for i in range(12)}})
    found = evaluate_table(Last(30), to_series(frame), "0.6/0.1/0.3", 20, 30)
    lines = list(found.as_text())
    assert lines[0].startswith("31 test windows, 12 series, horizon 30, split 0.6/0.1/0.3; ")
    starts = [line.split()[0] for line in lines if line]
    assert starts.count("swt-time") == 2
    assert [s for s in starts if s.isdigit()][-6:] == ["1", "7", "13", "18", "24", "30"]
    shown = [s for s in starts if re.match(r"s\d\d", s)]
    by_error = sorted(found.model.per_series, key=lambda name: -found.model.per_series[name]["mse"])
    assert shown == by_error[:10]


def test_ett_protocol_counts_every_window():
    """2,880 test rows hold 2,785 windows of 96 steps; loaders that drop the last batch count fewer."""
    frame = pd.DataFrame({"date": pd.date_range("2016-07-01", periods=17420, freq="h"), "OT": np.arange(17420.0) % 24})
    found = evaluate_table(Last(96), to_series(frame), "etth", 512, 96)
    assert found.model.windows == 2785
    assert found.seasonal_naive.mse == pytest.approx(0, abs=1e-9)


def test_long_tables_count_windows_of_each_series():
    times = pd.date_range("2024-01-01", periods=300, freq="D")
    parts = [
        pd.DataFrame({"unique_id": name, "ds": times[:n], "y": np.arange(n) % 7.0})
        for name, n in [("a", 300), ("b", 200)]
    ]
    found = evaluate_table(Last(5), to_series(pd.concat(parts)), "0.7/0.1/0.2", 20, 5)
    assert found.model.windows == (60 - 5 + 1) + (40 - 5 + 1)
    assert set(found.model.per_series) == {"a", "b"}
    assert found.seasonal_naive.mse == pytest.approx(0, abs=1e-9)


def test_split_without_a_test_part_is_an_error(hourly_wide):
    with pytest.raises(ConfigError, match="has no test part"):
        evaluate_table(Last(12), to_series(hourly_wide), "none", 48, 12)


def test_test_part_shorter_than_the_horizon_is_an_error(hourly_wide):
    with pytest.raises(TableError, match="holds no window"):
        evaluate_table(Last(90), to_series(hourly_wide), "0.8/0.1/0.1", 48, 90)


def test_seasonal_naive_repeats_the_last_season():
    contexts = np.arange(10.0)[None]
    assert SeasonalNaive(3, 7).forecast_windows(contexts)[0].tolist() == [7, 8, 9, 7, 8, 9, 7]
    assert SeasonalNaive(1, 3).forecast_windows(contexts)[0].tolist() == [9, 9, 9]
    assert SeasonalNaive(50, 4).forecast_windows(contexts)[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("frequency", "season"),
    [
        *[("s", 86400), ("15min", 96), ("30min", 48), ("h", 24), ("2h", 12), ("7h", 1), ("24h", 1)],
        *[("D", 7), ("B", 5), ("10D", 1), ("W-SUN", 52), ("W-SAT", 52)],
        *[("MS", 12), ("ME", 12), ("BMS", 12), ("QS-JAN", 4), ("QE-DEC", 4), ("BQE-DEC", 4), ("YS-JAN", 1)],
    ],
)
def test_season_lengths(frequency, season):
    assert season_length(frequency) == season
