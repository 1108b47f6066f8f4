"""Held-out blocks: where they lie, and that nothing in them is known before them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swt_time.selection.blocks import (
    BLOCKS,
    FEW_ORIGINS,
    FEWEST_ORIGINS,
    MANY,
    MOST_ORIGINS,
    MOST_VALUES,
    SHARE,
    SHORT_BLOCKS,
    held_out_blocks,
)


def test_blocks_of_one_series_end_where_the_next_begins():
    blocks = held_out_blocks([100], horizon=10)
    assert [block.rows.tolist() for block in blocks] == [[90], [80], [70], [60], [50]]
    assert [block.pairs.tolist() for block in blocks] == [[[0, rows]] for rows in (90, 80, 70, 60, 50)]


def test_a_long_series_has_several_origins_in_a_block_of_a_tenth():
    (first, *_) = held_out_blocks([1000], horizon=10)
    assert first.rows.tolist() == [900]
    assert first.pairs[:, 1].min() == 900
    assert first.pairs[:, 1].max() == 990
    assert len(first.pairs) == 91


@pytest.mark.parametrize(
    ("rows", "count"), [(20, 1), (19, 0), (30, 2), (40, 3), (70, 3), (80, 4), (109, 5), (110, 3), (400, 3)]
)
def test_a_block_needs_as_many_rows_before_it_as_the_horizon(rows, count):
    assert len(held_out_blocks([rows], horizon=10)) == count


def test_short_series_leave_the_earlier_blocks():
    blocks = held_out_blocks([20, 100, 5], horizon=10)
    assert [block.series.tolist() for block in blocks] == [[0, 1], *[[1]] * 4]


def test_of_many_series_an_even_sample_is_used():
    blocks = held_out_blocks(np.full(MANY - 1, 50), horizon=5)
    for block in blocks:
        assert len(block.series) == MOST_ORIGINS
        assert block.series[[0, -1]].tolist() == [0, MANY - 2]


def test_of_very_many_series_every_block_samples_others():
    blocks = held_out_blocks(np.full(10_000, 50), horizon=5)
    sample = np.concatenate([block.series for block in blocks])
    assert len(np.unique(sample)) == len(sample) == BLOCKS * MOST_ORIGINS // 2
    assert np.ptp(np.diff(np.sort(sample))) <= 1
    assert sample.min() == 0
    assert sample.max() == 9_999


@given(
    lengths=st.lists(st.integers(1, 3000), min_size=1, max_size=20),
    horizon=st.integers(1, 60),
)
def test_targets_lie_in_their_block_and_known_rows_before_it(lengths, horizon):
    blocks = held_out_blocks(lengths, horizon)
    assert len(blocks) <= SHORT_BLOCKS
    ends = np.array(lengths)
    for block in blocks:
        known = dict(zip(block.series.tolist(), block.rows.tolist(), strict=True))
        assert min(known.values()) >= max(horizon, 2)
        assert set(block.pairs[:, 0]) == set(known)
        for index, origin in block.pairs.tolist():
            assert known[index] <= origin <= ends[index] - horizon
        ends[block.series] = block.rows


def test_forecasts_that_look_far_back_begin_at_fewer_rows():
    near, far, farthest = (
        held_out_blocks([1_000_000], horizon=10, history=history)[0].pairs for history in (240, 14_400, 10**6)
    )
    assert len(near) == MOST_ORIGINS
    assert len(far) == MOST_VALUES // 14_400
    assert len(farthest) == FEWEST_ORIGINS
    assert near[[0, -1]].tolist() == far[[0, -1]].tolist() == farthest[[0, -1]].tolist()


def test_few_origins_have_later_ones_whose_targets_run_past_the_block():
    horizon, lengths = 12, [144, 100]
    for block in held_out_blocks(lengths, horizon):
        assert len(block.pairs) < len(block.origins) <= FEW_ORIGINS
        for index, origin in block.later.tolist():
            begin = int(block.rows[block.series.tolist().index(index)])
            size = max(horizon, lengths[index] // SHARE)
            assert begin + size - horizon < origin < begin + size, "after the judged origins, before the next block"
    assert all(len(block.later) == 0 for block in held_out_blocks([20_000], horizon))
    long_history = held_out_blocks(lengths, horizon, history=MOST_VALUES // 8)
    assert all(len(block.origins) <= 8 for block in long_history)


def test_the_number_of_blocks_can_be_given():
    assert [block.rows.tolist() for block in held_out_blocks([100], 10, count=2)] == [[90], [80]]
    assert [block.rows.tolist() for block in held_out_blocks([100], 10, count=20)] == [[n] for n in range(90, 9, -10)]
    assert [block.rows.tolist() for block in held_out_blocks([1000], 10, count=5)] == [
        [n] for n in range(900, 400, -100)
    ]
    blocks = held_out_blocks(np.full(MANY, 100), 10, count=4)
    series = [set(block.series.tolist()) for block in blocks]
    assert len(blocks) == 4
    assert not set.intersection(*series)
