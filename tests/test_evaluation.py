"""Every window counts once, and the test part alone is scored."""

import numpy as np
import pandas as pd
import pytest

from swt_time.baselines import SeasonalNaive, season_length
from swt_time.data.series import to_series
from swt_time.errors import ConfigError, TableError
from swt_time.evaluation import evaluate_table


class Last:
    """Repeat the last value."""

    def __init__(self, horizon):
        self.horizon = horizon

    def forecast_windows(self, contexts):
        return np.repeat(contexts[:, -1:], self.horizon, axis=1)


def plain_scores(frame, context, horizon, split):
    """All test windows of a wide table, one after the other, in float64."""
    n = len(frame)
    train, test = int(n * split[0]), int(n * split[2])
    errors = []
    for name in frame.columns[1:]:
        x = frame[name].to_numpy()
        x = (x - x[:train].mean()) / x[:train].std()
        for start in range(n - test, n - horizon + 1):
            errors.append(x[start : start + horizon] - x[start - 1])
    errors = np.array(errors)
    return (errors**2).mean(), np.abs(errors).mean()


def test_scores_equal_a_plain_loop(hourly_wide):
    found = evaluate_table(Last(12), to_series(hourly_wide), "0.7/0.1/0.2", 48, 12)
    mse, mae = plain_scores(hourly_wide, 48, 12, (0.7, 0.1, 0.2))
    assert found.model.mse == pytest.approx(mse, rel=1e-5)
    assert found.model.mae == pytest.approx(mae, rel=1e-5)
    assert (found.model.windows, found.model.series, found.model.horizon) == (120 - 12 + 1, 2, 12)
    assert found.season == 24


def test_ett_protocol_counts_every_window():
    """2,880 test rows give 2,785 windows of 96 steps; loaders that drop the last batch lose some."""
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
