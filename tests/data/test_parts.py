"""Split and scaled tables: windows equal slices of the scaled series; the scaler uses train rows only."""

import numpy as np
import pandas as pd
import pytest

from swt_time.data.parts import scale_table, split_table
from swt_time.data.series import to_series


def table(lengths=(100, 60), seed=0):
    noise = np.random.default_rng(seed)
    frames = [
        pd.DataFrame(
            {"unique_id": name, "ds": pd.date_range("2024-01-01", periods=n, freq="D"), "y": 5 + noise.normal(size=n)}
        )
        for name, n in zip("ab", lengths, strict=True)
    ]
    return pd.concat(frames, ignore_index=True)


def test_windows_equal_slices_of_the_scaled_series():
    series = to_series(table())
    parts = split_table(series, "0.6/0.2/0.2", 10, 5)
    for name, first in (("train", [0, 0]), ("validation", [50, 26]), ("test", [70, 38])):
        part = parts.part(name)
        indices = np.arange(len(part))
        contexts, targets = part.gather(indices)
        expected = []
        for i, (values, borders) in enumerate(zip(series.values, [(60, 80, 100), (36, 48, 60)], strict=True)):
            train = values[: borders[0]]
            scaled = (values - train.mean()) / train.std()
            stop = dict(zip(("train", "validation", "test"), borders, strict=True))[name]
            expected += [(i, scaled[s : s + 15]) for s in range(first[i], stop - 15 + 1)]
        assert part.series_of(indices).tolist() == [i for i, _ in expected]
        np.testing.assert_allclose(np.hstack([contexts, targets]), np.array([w for _, w in expected]), rtol=1e-5)


def test_later_rows_change_neither_scaler_nor_train_windows():
    frame = table()
    changed = frame.copy()
    changed.loc[60:99, "y"] *= 100
    first, second = (split_table(to_series(one), "0.6/0.2/0.2", 10, 5) for one in (frame, changed))
    assert first.scaler.mean.tolist() == second.scaler.mean.tolist()
    indices = np.arange(len(first.train))
    for one, other in zip(first.train.gather(indices), second.train.gather(indices), strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(first.test.gather(np.array([0]))[0], second.test.gather(np.array([0]))[0])


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_train_fraction_keeps_the_scaler_and_the_other_parts(fraction):
    series = to_series(table())
    whole = split_table(series, "0.6/0.2/0.2", 10, 5)
    few = split_table(series, "0.6/0.2/0.2", 10, 5, train_fraction=fraction)
    assert 0 < len(few.train) < len(whole.train)
    assert few.scaler.mean.tolist() == whole.scaler.mean.tolist()
    assert (len(few.validation), len(few.test)) == (len(whole.validation), len(whole.test))


@pytest.mark.parametrize("used", [[0, 1], [1]])
def test_scaling_leaves_the_values_of_the_table_as_they_are(used):
    series = to_series(table()).select(used)
    before = [values.copy() for values in series.values]
    split_table(series, "0.6/0.2/0.2", 10, 5)
    assert all(np.array_equal(one, other) for one, other in zip(before, series.values, strict=True))


def test_a_scaled_table_has_the_parts_of_every_context():
    series = to_series(table())
    scaled = scale_table(series, "0.6/0.2/0.2")
    for context in (10, 7):
        expected, found = split_table(series, "0.6/0.2/0.2", context, 5), scaled.parts(context, 5)
        for name in ("train", "validation", "test"):
            one, other = expected.part(name), found.part(name)
            indices = np.arange(len(one))
            assert len(one) == len(other) > 0
            assert all(np.array_equal(a, b) for a, b in zip(one.gather(indices), other.gather(indices), strict=True))
