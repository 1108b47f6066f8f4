"""The rule by which a branch is kept: blocks of the validation part, and a paired test on them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swt_time.config import DataConfig
from swt_time.data.parts import split_table
from swt_time.data.series import read_series
from swt_time.selection.keeping import (
    FEWEST_BLOCKS,
    IN_TIME,
    LEVEL,
    MANY_SERIES,
    MARGIN,
    MOST_BLOCKS,
    OF_SERIES,
    compare,
    cut_blocks,
    student_tail,
)

CONTEXT = 8


def validation_part(lengths, horizon, split="0.5/0.5/0"):
    frames = [
        pd.DataFrame(
            {"unique_id": f"s{i:03}", "ds": pd.date_range("2024-01-01", periods=n, freq="h"), "y": np.arange(n) % 7.0}
        )
        for i, n in enumerate(lengths)
    ]
    table = read_series(pd.concat(frames), DataConfig())
    return split_table(table, split, CONTEXT, horizon).validation


def spans(part, cut):
    """First and last target row of each window."""
    places = part.places(cut.indices)
    first = places[:, 1] + CONTEXT
    return places[:, 0], first, first + part.windows.horizon - 1


@given(
    lengths=st.lists(st.integers(20, 400), min_size=1, max_size=4),
    horizon=st.integers(1, 12),
    most=st.integers(1, 500),
)
def test_blocks_in_time_share_no_target_and_are_a_horizon_long(lengths, horizon, most):
    part = validation_part(lengths, horizon)
    cut = cut_blocks(part, most)
    longest = max(part.windows.counts) + horizon - 1
    assert (cut is None) == (longest < FEWEST_BLOCKS * horizon)
    if cut is None:
        return
    series, first, last = spans(part, cut)
    assert cut.kind == IN_TIME
    assert len(np.unique(cut.block)) == min(MOST_BLOCKS, longest // horizon)
    assert len(cut.indices) <= max(most, MOST_BLOCKS)
    assert (last < part.windows.stops[series]).all()
    for i in np.unique(series):
        for one in np.unique(cut.block[series == i]):
            own, others = (series == i) & (cut.block == one), (series == i) & (cut.block > one)
            # later numbers are earlier blocks
            assert not others.any() or last[others].max() < first[own].min()


def test_windows_of_a_block_are_spread_over_it():
    part = validation_part([640], 10)  # 320 rows of validation: 16 blocks of 20 rows, 11 windows each
    everything = cut_blocks(part, 10_000)
    assert np.bincount(everything.block).tolist() == [11] * 16
    some = cut_blocks(part, 32)
    _, first, _ = spans(part, some)
    assert first[some.block == 0].tolist() == [620, 630]


def test_many_short_series_are_divided_into_groups():
    part = validation_part([40] * MANY_SERIES, 12)
    cut = cut_blocks(part, 1000)
    series, _, _ = spans(part, cut)
    assert cut.kind == OF_SERIES
    assert [np.unique(series[cut.block == one]).tolist() for one in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(np.unique(cut.block)) == MOST_BLOCKS
    assert cut_blocks(validation_part([40] * (MANY_SERIES - 1), 12), 1000) is None


def test_no_window_gives_no_blocks():
    assert cut_blocks(validation_part([100], 12, "none"), 100) is None


@pytest.mark.parametrize(
    ("t", "freedom", "tail"),
    # Student's table
    [(6.314, 1, 0.05), (2.920, 2, 0.05), (5.841, 3, 0.005), (2.132, 4, 0.05), (2.228, 10, 0.025), (2.947, 15, 0.005)],
)
def test_tail_of_students_t_is_that_of_the_table(t, freedom, tail):
    assert student_tail(t, freedom) == pytest.approx(tail, rel=1e-3)
    assert student_tail(-t, freedom) == pytest.approx(1 - tail, rel=1e-3)
    assert student_tail(0.0, freedom) == 0.5


def pass_rate(validations, looks=10, trials=4000, blocks=16):
    """Share of trials without any gain in which the best of several independent looks passes."""
    noise = np.random.default_rng(0).standard_normal((trials, looks, blocks))
    best = noise[np.arange(trials), noise.mean(axis=2).argmax(axis=1)]
    errors = np.stack([np.full_like(best, 1.0), 1.0 - best], axis=2)
    return np.mean([compare(one, IN_TIME, 16, validations).earned for one in errors])


def test_best_of_several_branches_without_gain_rarely_passes():
    assert pass_rate(validations=10) <= LEVEL
    assert pass_rate(validations=1) > 4 * LEVEL  # without the correction


def test_a_gain_must_be_certain_and_reach_the_margin():
    noise = 0.001 * np.random.default_rng(1).standard_normal(16)

    def earned(gain, noise):
        return compare(np.stack([np.ones(16), 1 - gain + noise], axis=1), IN_TIME, 16, 10).earned

    assert earned(2 * MARGIN, noise)
    assert not earned(MARGIN / 2, noise)
    assert not earned(-2 * MARGIN, noise)
    assert not earned(2 * MARGIN, 100 * noise)


def test_equal_errors_are_no_gain():
    judged = compare(np.ones((5, 2)), IN_TIME, 5, 3)
    assert (judged.gain, judged.p, judged.earned) == (0.0, 1.0, False)
    assert compare(np.zeros((5, 2)), IN_TIME, 5, 3).earned is False
