"""Second moments from lagged products, compared with sums over the windows themselves."""

import numpy as np
import pandas as pd
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from swt_time.data.parts import PartWindows, split_table
from swt_time.data.series import to_series
from swt_time.model.closed_form import lags
from swt_time.model.closed_form.lags import all_moments, sum_moments
from swt_time.model.closed_form.moments import moments

NAMES = ("inputs", "products", "targets", "points")


def directly(runs, context, horizon):
    """The definition: each window minus the mean of its context, in double precision."""
    windows = np.concatenate(
        [sliding_window_view(run, context + horizon) for run in runs if len(run) >= context + horizon]
    )
    windows = windows - windows[:, :context].mean(axis=1, keepdims=True)
    x, y = windows[:, :context], windows[:, context:]
    return {"inputs": x.T @ x, "products": x.T @ y, "targets": (y**2).sum(), "points": y.size}


@pytest.mark.parametrize(
    ("context", "horizon", "lengths"),
    [
        pytest.param(3, 1, [4, 5, 9, 4], id="fewer windows than values"),
        pytest.param(20, 5, [25, 300, 24, 26, 7000, 300], id="several spans, one series too short"),
        pytest.param(50, 100, [400, 150, 9000], id="horizon longer than the context"),
        pytest.param(2, 3, [50_000], id="one long series"),
    ],
)
def test_they_equal_the_sums_over_all_windows(context, horizon, lengths):
    draw = np.random.default_rng(0)
    runs = [np.cumsum(draw.normal(size=length)) / 30 + draw.normal() for length in lengths]
    found, expected = all_moments(runs, context, horizon), directly(runs, context, horizon)
    for name in NAMES:
        size = np.abs(expected[name]).max()
        np.testing.assert_allclose(np.asarray(getattr(found, name)), expected[name], rtol=1e-9, atol=1e-11 * size)
    assert found.partial.shape == (0, context)
    assert found.missing.shape == (0, horizon)


def test_they_are_left_to_the_windows_themselves_where_rounding_would_matter():
    noise = np.random.default_rng(0).normal(size=500)
    assert all_moments([1e6 + noise], 20, 5) is None
    assert all_moments([1e2 + noise], 20, 5) is not None
    assert all_moments([np.ones(500)], 20, 5) is None, "windows without variation"
    assert all_moments([noise[:24]], 20, 5) is None, "no window"


def hourly(rows=120, missing=False):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(rows, 2)), columns=["a", "b"])
    table.insert(0, "date", pd.date_range("2024-01-01", periods=rows, freq="h"))
    if missing:
        table.loc[rows // 2, "a"] = np.nan
    return split_table(to_series(table, fill="linear"), "0.7/0.1/0.2", 24, 6)


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_runs_cover_the_windows_of_a_part(name):
    part = hourly().part(name)
    context, target = part.gather(np.arange(len(part)))
    windows = np.concatenate([sliding_window_view(run, 30) for run in part.runs()])
    np.testing.assert_array_equal(windows.astype(np.float32), np.concatenate([context, target], axis=1))


def test_windows_are_read_only_where_values_are_missing(monkeypatch):
    def refuse(self, indices):
        raise AssertionError("read one by one")

    with_gap, complete = hourly(missing=True).train, hourly().train
    expected = moments(with_gap, np.arange(len(with_gap)))
    found = sum_moments(with_gap, 24, 6, 10_000)
    assert found.points == expected.points < complete.windows.total * 6
    np.testing.assert_array_equal(found.inputs, expected.inputs)
    monkeypatch.setattr(PartWindows, "gather", refuse)
    assert sum_moments(complete, 24, 6, 10_000).points == complete.windows.total * 6


@pytest.mark.parametrize(
    ("rows", "context", "horizon"),
    [pytest.param(12, 24, 6, id="begins before its series"), pytest.param(100, 24, 80, id="ends after its part")],
)
def test_padded_windows_are_read_one_by_one(rows, context, horizon):
    """Beside the short series lies another one, whose rows are none of theirs."""
    draw = np.random.default_rng(0)
    table = pd.concat(
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range("2024-01-01", periods=count, freq="h"),
                "y": level + draw.normal(size=count),
            }
        )
        for name, count, level in (("long", 400, 0.0), ("short", rows, 50.0))
    )
    part = split_table(to_series(table), "none", context, horizon, pad=True).train
    assert part.windows.padded
    assert part.runs() is None
    expected = moments(part, np.arange(len(part)))
    np.testing.assert_array_equal(sum_moments(part, context, horizon, 10_000).inputs, expected.inputs)
    assert not split_table(to_series(table), "none", context, horizon).train.windows.padded


def test_long_series_are_transformed_in_spans(monkeypatch):
    values = np.random.default_rng(0).normal(size=3000)
    whole = all_moments([values], 10, 2)
    monkeypatch.setattr(lags, "LENGTH", 64)
    monkeypatch.setattr(lags, "AT_ONCE", 64)
    np.testing.assert_allclose(all_moments([values], 10, 2).inputs, whole.inputs, rtol=1e-11)
