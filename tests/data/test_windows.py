"""Splits and windows, verified against known values and a reference implementation."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swt_time.data.batches import ShuffledBatches
from swt_time.data.gathering import flatten, gather
from swt_time.data.splits import PARTS, Borders, filled_parts, shorten_train, split_borders
from swt_time.data.windows import WindowIndex, plan_split, rolling_origins, smallest_length
from swt_time.errors import ConfigError, TableError

SHARED = Path(os.environ.get("SWT_TIME_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


def reference_windows(borders, part, context, horizon):
    """Reference implementation: try each first row and keep it if all its targets lie in the part."""
    found = []
    for series, border in enumerate(borders):
        start, stop = border.part(part)
        for first in range(stop):
            targets = range(first + context, first + context + horizon)
            if all(start <= row < stop for row in targets):
                found.append((series, first))
    return found


def test_ett_borders():
    assert split_borders(17420, "etth") == Borders((0, 8640), (8640, 11520), (11520, 14400))
    assert split_borders(69680, "ettm") == Borders((0, 34560), (34560, 46080), (46080, 57600))


@pytest.mark.parametrize("context", [96, 336, 512])
def test_ett_window_counts(context):
    borders = plan_split([17420] * 7, "etth", context, 96)
    assert WindowIndex(borders, "test", context, 96).counts.tolist() == [2785] * 7
    assert WindowIndex(borders, "validation", context, 96).counts.tolist() == [2785] * 7
    assert WindowIndex(borders, "train", context, 96).counts.tolist() == [8640 - context - 96 + 1] * 7


def test_share_borders_equal_informer():
    """``Dataset_Custom`` of Informer: ``int(n * 0.7)`` train, ``int(n * 0.2)`` test, the rest validation."""
    for rows in [966, 7588, 26304, 52696, 17544, 101]:
        train, test = int(rows * 0.7), int(rows * 0.2)
        borders = split_borders(rows, "0.7/0.1/0.2")
        assert borders == Borders((0, train), (train, rows - test), (rows - test, rows))
    # ILI: 966 rows, context 104, horizon 24
    assert WindowIndex([split_borders(966, "0.7/0.1/0.2")], "test", 104, 24).total == 193 - 24 + 1


def test_splits_with_empty_parts():
    assert split_borders(101, "0.8/0/0.2") == Borders((0, 81), (81, 81), (81, 101))
    assert split_borders(101, "0.8/0.2/0") == Borders((0, 80), (80, 101), (101, 101))
    assert split_borders(101, "1/0/0") == Borders((0, 101), (101, 101), (101, 101))
    assert split_borders(101, "none") == Borders((0, 101), (101, 101), (101, 101))
    assert filled_parts("none") == filled_parts("1/0/0") == ("train",)
    assert filled_parts("0.8/0/0.2") == ("train", "test")
    assert filled_parts("etth") == PARTS


@pytest.mark.parametrize(
    "split",
    [
        "",
        "etth2",
        "0.7",
        "0.7/0.3",
        "0.7/0.2/0.2",
        "0/0.5/0.5",
        "-1/1/1",
        "a/b/c",
        "nan/0/1",
        "1e-300/0.5/0.5",
        "0.5/0.5/1e-9",
    ],
)
def test_unknown_splits_are_refused(split):
    with pytest.raises(ConfigError, match=r"data\.split .* expected etth, ettm, none, or shares"):
        split_borders(1000, split)


def test_series_too_short_for_ett_are_refused():
    with pytest.raises(TableError, match=r"'etth' needs at least 14400 rows, the series has 14399"):
        split_borders(14399, "etth")
    with pytest.raises(ConfigError, match=r"do not fit into the parts of data\.split 'etth' \(8640/2880/2880 rows\)"):
        plan_split([17420], "etth", 512, 2881)


@settings(max_examples=60, deadline=None)
@given(
    split=st.sampled_from(["none", "0.7/0.1/0.2", "0.6/0.2/0.2", "0.8/0/0.2", "0.5/0.5/0", "1/0/0"]),
    context=st.integers(1, 60),
    horizon=st.integers(1, 30),
)
def test_from_the_smallest_length_on_every_series_has_windows(split, context, horizon):
    def works(rows):
        borders = [split_borders(rows, split)]
        return all(reference_windows(borders, part, context, horizon) for part in filled_parts(split))

    smallest = smallest_length(split, context, horizon)
    assert not works(smallest - 1)
    assert all(works(rows) for rows in range(smallest, smallest + 40))
    plan_split([smallest], split, context, horizon)
    with pytest.raises(TableError, match=f"at least {smallest} rows, the longest has {smallest - 1}"):
        plan_split([smallest - 1], split, context, horizon)


def test_a_refused_series_is_shorter_than_its_message_asks_for():
    """54 rows by 0.7/0.1/0.2 have 7 rows for validation, 60 rows have 6."""
    plan_split([54], "0.7/0.1/0.2", 28, 7)
    with pytest.raises(TableError, match="at least 61 rows, the longest has 60"):
        plan_split([60], "0.7/0.1/0.2", 28, 7)


def test_short_series_contribute_no_windows():
    borders = plan_split([5, 200, 0, 100], "0.7/0.1/0.2", 20, 5)
    assert WindowIndex(borders, "train", 20, 5).counts.tolist() == [0, 116, 0, 46]
    with pytest.raises(TableError, match="too few rows"):
        plan_split([5, 10], "0.7/0.1/0.2", 20, 5)


lengths = st.lists(st.integers(0, 90), min_size=1, max_size=5)
splits = st.sampled_from(["none", "0.7/0.1/0.2", "0.5/0.25/0.25", "0.8/0/0.2"])


@settings(max_examples=60, deadline=None)
@given(lengths, splits, st.integers(1, 30), st.integers(1, 12), st.integers(0, 2**32))
def test_windows_equal_the_reference(lengths, split, context, horizon, seed):
    random = np.random.default_rng(seed)
    values = [random.normal(size=rows) for rows in lengths]
    borders = [split_borders(rows, split) for rows in lengths]
    flat = flatten(values)
    for part in PARTS:
        windows = WindowIndex(borders, part, context, horizon)
        expected = reference_windows(borders, part, context, horizon)
        pairs = windows.pairs()
        assert pairs.dtype == np.int64
        assert [tuple(pair) for pair in pairs.tolist()] == expected
        indices = random.permutation(windows.total)
        inputs, targets = gather(flat, windows.pairs(indices), context, horizon)
        assert inputs.dtype == targets.dtype == np.float64
        assert inputs.shape == (len(expected), context)
        assert targets.shape == (len(expected), horizon)
        for row, index in enumerate(indices):
            series, first = expected[index]
            stretch = values[series][first : first + context + horizon]
            assert (inputs[row] == stretch[:context]).all()
            assert (targets[row] == stretch[context:]).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(30, 200), splits, st.integers(1, 30), st.integers(1, 12))
def test_targets_of_different_parts_are_disjoint(rows, split, context, horizon):
    borders = [split_borders(rows, split)]
    touched = {}
    for part in PARTS:
        firsts = WindowIndex(borders, part, context, horizon).pairs()[:, 1]
        touched[part] = {first + context + step for first in firsts.tolist() for step in range(horizon)}
        if part == "train":
            seen = {first + step for first in firsts.tolist() for step in range(context + horizon)}
            assert not seen & set(range(*borders[0].validation))
            assert not seen & set(range(*borders[0].test))
    assert not touched["train"] & touched["validation"]
    assert not touched["train"] & touched["test"]
    assert not touched["validation"] & touched["test"]


def test_reference_detects_an_off_by_one_error():
    """Control: borders moved by one row give other windows."""
    right = [split_borders(100, "0.7/0.1/0.2")]
    wrong = [Borders((0, 71), (71, 80), (80, 100))]
    assert WindowIndex(wrong, "train", 10, 5).pairs().tolist() != [
        list(p) for p in reference_windows(right, "train", 10, 5)
    ]


def test_stride_keeps_the_first_window():
    borders = [split_borders(30, "none")] * 2
    windows = WindowIndex(borders, "train", 4, 2, stride=7)
    assert windows.pairs()[:, 1].tolist() == [0, 7, 14, 21] * 2
    assert WindowIndex([split_borders(20, "none")], "train", 4, 2, stride=7).pairs()[:, 1].tolist() == [0, 7, 14]


def test_window_indices_out_of_range():
    windows = WindowIndex([split_borders(30, "none")], "train", 4, 2)
    with pytest.raises(IndexError, match="0 to 24"):
        windows.pairs(np.array([25]))
    with pytest.raises(IndexError):
        windows.pairs(np.array([-1]))
    assert windows.pairs(np.array([], dtype=np.int64)).shape == (0, 2)
    with pytest.raises(ConfigError, match="at least 1"):
        WindowIndex([split_borders(30, "none")], "train", 0, 2)


def test_values_beyond_float32_are_refused():
    with pytest.raises(TableError, match="overflow float32"):
        flatten([np.array([1.0, 1e300])])


@pytest.mark.parametrize(("fraction", "percent"), [(0.1, 10), (0.05, 5), (0.29, 29), (0.07, 7), (1.0, 100)])
def test_train_fraction_equals_percent_of_time_llm(fraction, percent):
    """Time-LLM: ``border2 = (border2 - seq_len) * percent // 100 + seq_len``. 0.29 * 100 is below 29 in floats."""
    borders = split_borders(17420, "etth")
    short = shorten_train(borders, 512, fraction)
    assert short.train == (0, (8640 - 512) * percent // 100 + 512)
    assert (short.validation, short.test) == (borders.validation, borders.test)


def test_train_fraction_limits():
    borders = split_borders(100, "none")
    assert shorten_train(borders, 200, 0.1) == borders
    for fraction in (0.0, 1.5, -0.1, math.nan):
        with pytest.raises(ConfigError, match=r"data\.train_fraction"):
            shorten_train(borders, 10, fraction)


def test_rolling_origins():
    assert rolling_origins(100, 10, 3).tolist() == [70, 80, 90]
    assert rolling_origins(100, 10, 4, step=1).tolist() == [87, 88, 89, 90]
    assert rolling_origins(30, 10, 2, context=10).tolist() == [10, 20]
    with pytest.raises(TableError, match="2 windows need at least 30 rows, the series has 29"):
        rolling_origins(29, 10, 2, context=10)
    with pytest.raises(ConfigError):
        rolling_origins(100, 10, 0)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 2**40), st.integers(0, 5))
def test_batches_of_an_epoch_are_a_permutation(total, size, seed, epoch):
    batches = ShuffledBatches(total, size, seed)
    parts = [batches.batch(epoch, step) for step in range(len(batches))]
    assert sorted(np.concatenate(parts).tolist()) == list(range(total))
    assert all(len(part) == size for part in parts[:-1])
    with pytest.raises(IndexError):
        batches.batch(epoch, len(batches))


def test_batches_resume_from_a_position():
    whole = ShuffledBatches(103, 10, seed=3).from_position(0, 0)
    stream = [next(whole) for _ in range(40)]
    for cut in (0, 5, 10, 11, 27):
        epoch, step, _ = stream[cut]
        rest = ShuffledBatches(103, 10, seed=3).from_position(epoch, step)
        for expected, got in zip(stream[cut:], rest, strict=False):
            assert expected[:2] == got[:2]
            assert (expected[2] == got[2]).all()
    assert [entry[:2] for entry in stream[10:13]] == [(0, 10), (1, 0), (1, 1)]


def test_order_depends_on_epoch_and_seed_and_is_stable():
    one = ShuffledBatches(1000, 10, seed=0)
    first = one.order(0).copy()
    assert (one.order(1) != first).any()
    assert (one.order(0) == first).all()
    assert (ShuffledBatches(1000, 10, seed=1).order(0) != first).any()
    assert ShuffledBatches(8, 8, seed=0).order(0).tolist() == [0, 3, 7, 5, 1, 2, 6, 4]


def test_import_needs_numpy_only():
    code = "import swt_time.data.windows, swt_time.data.scaling, swt_time.evaluation.metrics, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pandas", "narwhals", "torch"}.isdisjoint(run.stdout.split())


@pytest.mark.skipif(not (SHARED / "ETTh1.csv").exists(), reason="ETTh1.csv is not available")
def test_etth1_with_the_standard_protocol():
    from swt_time.data.reading import read_table
    from swt_time.data.scaling import fit_scaler
    from swt_time.data.series import to_series

    table = to_series(read_table(SHARED / "ETTh1.csv"))
    assert table.ids == ("HUFL", "HULL", "LUFL", "LULL", "MUFL", "MULL", "OT")
    assert (table.frequency, table.notes, set(table.lengths.tolist())) == ("h", (), {17420})
    borders = plan_split(table.lengths, "etth", 512, 96)
    scaler = fit_scaler(table.values, [border.train[1] for border in borders])
    oil = table.values[6][:8640]
    assert scaler.mean[6] == pytest.approx(math.fsum(oil) / 8640, rel=1e-12)
    variance = math.fsum((v - scaler.mean[6]) ** 2 for v in oil) / 8640
    assert scaler.std[6] == pytest.approx(math.sqrt(variance), rel=1e-12)
    windows = WindowIndex(borders, "test", 512, 96)
    inputs, targets = gather(flatten(scaler.apply(table.values)), windows.pairs(), 512, 96)
    assert inputs.shape == (7 * 2785, 512)
    # known MSE of the naive forecast, which repeats the last value
    assert ((inputs[:, -1:] - targets) ** 2).mean() == pytest.approx(1.2945, abs=5e-3)
