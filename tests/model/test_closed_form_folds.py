"""The folds of the closed form: no training target inside the held-out block, and no fit on the validation part."""

import numpy as np
import pytest

import swt_time.model.closed_form.folds as folds
from support.series_windows import SeriesWindows, split_windows
from swt_time.model.closed_form import solve
from swt_time.model.closed_form.folds import Blocks, assign_blocks
from swt_time.model.closed_form.priors import penalties
from swt_time.model.closed_form.ridge import path

CONTEXT, HORIZON = 16, 5
PARTS = ("blocks", "season", "structure", "last", "weights")


def walks(count, rows, seed=0):
    rng = np.random.default_rng(seed)
    return [np.sin(np.arange(rows) / 2) + 0.3 * rng.normal(size=rows).cumsum() / 4 for _ in range(count)]


def overlap(first, second, horizon):
    """Whether targets that start at these rows share a row, one row at a time."""
    return bool(set(range(first, first + horizon)) & set(range(second, second + horizon)))


@pytest.mark.parametrize("lengths", [[60], [60, 60], [60, 23, 41], [40, 9]])
@pytest.mark.parametrize("horizon", [1, 4, 7])
def test_windows_train_exactly_where_their_targets_overlap_no_target_of_the_block(lengths, horizon):
    places = np.array([(i, start) for i, rows in enumerate(lengths) for start in range(rows) if not 20 <= start < 24])
    places = np.random.default_rng(0).permutation(places)
    block, trains = assign_blocks(places, horizon)
    assert len(trains) == min(6, (max(lengths) - 4) // horizon)
    for held_out in range(len(trains)):
        own = places[block == held_out]
        for (series, start), allowed in zip(places, trains[held_out], strict=True):
            clear = not any(overlap(start, row, horizon) for index, row in own if index == series)
            # Between the first and the last window of a block there are only windows of the block, or of no part.
            assert allowed <= clear
            between = [row for index, row in own if index == series]
            if between and not min(between) - horizon < start < max(between) + horizon:
                assert allowed


def test_blocks_are_contiguous_and_of_equal_size():
    places = np.array([(i, start) for i in range(2) for start in range(120)])
    block, _ = assign_blocks(places, HORIZON)
    for series in range(2):
        own = block[places[:, 0] == series]
        assert (np.diff(own) >= 0).all()
        assert np.bincount(own).tolist() == [20] * 6


def test_short_series_are_held_out_as_a_whole():
    places = np.array([(i, start) for i in range(9) for start in range(3)])
    block, trains = assign_blocks(places, 4)
    assert len(trains) == 6
    for held_out in range(6):
        assert not set(places[block == held_out, 0]) & set(places[trains[held_out], 0])
        assert (trains[held_out] == (block != held_out)).all()
    assert assign_blocks(places[:3], 4) is None


def test_a_sample_of_windows_has_the_blocks_of_all():
    """Few windows of each of many short series, a few of one long series: judged by what they are a sample of."""
    long = np.array([(0, start) for start in range(0, 6000, 60)])
    block, trains = assign_blocks(long, 48, sparsity=60)
    assert len(trains) == 6
    assert np.bincount(block).tolist() == [17, 17, 16, 17, 17, 16]
    short = np.array([(i, i % 3) for i in range(0, 900, 30)])
    block, trains = assign_blocks(short, 48, sparsity=900)
    assert np.bincount(block).tolist() == [5] * 6
    assert (trains == (block != np.arange(6)[:, None])).all(), "whole series"


def shown(moments):
    return [moments.inputs.tobytes(), moments.products.tobytes(), moments.targets]


def changed_in(rows):
    def change(target, series, target_rows):
        return np.where(np.isin(target_rows, rows), 100.0, target)

    return change


def trained_folds(change=None):
    parts = split_windows(walks(2, 200), CONTEXT, HORIZON, train=150, change=change)
    return Blocks.divide(parts, HORIZON)


def held_out_rows(blocks, number):
    """Rows of the targets of a block of the first series."""
    used = blocks.block == number
    starts = {
        int(blocks.parts[part].places(np.array([index]))[0, 1])
        for part, index in zip(blocks.part[used], blocks.index[used], strict=True)
    }
    return np.unique([start + CONTEXT + step for start in starts for step in range(HORIZON)])


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("leak", [False, True])
def test_targets_of_a_block_do_not_change_what_is_fitted_without_it(number, leak, monkeypatch):
    if leak:  # planted: windows next to a block may be trained on, though their targets reach into it
        monkeypatch.setattr(folds, "assign_blocks", lambda places, horizon, sparsity: assign_blocks(places, 1))
    blocks = trained_folds()
    rows = held_out_rows(blocks, number)
    clean = blocks.folds()
    changed = trained_folds(changed_in(rows)).folds()
    assert len(clean) == 6
    assert (shown(clean[number].train) == shown(changed[number].train)) is not leak
    assert shown(clean[number].held_out) != shown(changed[number].held_out)
    others = [i for i in range(6) if i != number]
    assert all(shown(clean[i].train) != shown(changed[i].train) for i in others), "the control"


def test_missing_training_targets_are_completed_by_a_forecast():
    holes = np.random.default_rng(3).random((2, 200)) < 0.2

    def change(target, series, rows):
        return np.where(holes[series, rows], np.nan, target)

    (plain,) = penalties(None, CONTEXT)
    for fold in trained_folds(change).folds():
        ((_, weight),) = path(fold.train, plain, 1e-6, strengths=[0.1])
        found = folds.completed(fold, plain)
        expected = fold.train.complete(weight)
        np.testing.assert_allclose(found.train.products, expected.products, rtol=1e-3, atol=1e-2)
        assert not np.allclose(found.train.products, fold.train.products, rtol=1e-3, atol=1e-2), "the control"
        assert not len(found.train.partial)
        assert found.held_out is fold.held_out


def test_a_block_without_an_observed_target_is_no_fold():
    def change(target, series, rows):
        return np.where((rows >= 60) & (rows < 110), np.nan, target)

    assert len(trained_folds(change).folds()) == 5
    train, validation = split_windows(walks(2, 200), CONTEXT, HORIZON, train=150, change=change)
    found = solve(train, validation, CONTEXT, None, PARTS)
    assert found.folds == 5
    assert found.held_out_mse == pytest.approx(solve(train, validation, CONTEXT, None, ()).held_out_mse, rel=0.9)


def test_folds_hold_every_window_they_may():
    blocks = trained_folds()
    windows = SeriesWindows(walks(2, 200), CONTEXT, HORIZON)
    for number, fold in enumerate(blocks.folds()):
        own = blocks.block == number
        assert fold.held_out.points == own.sum() * HORIZON
        assert fold.train.points == blocks.trains[number].sum() * HORIZON
    assert len(blocks.index) == len(windows) - 2 * (HORIZON - 1), "windows across the border belong to no part"


def test_only_training_windows_are_fitted():
    """Other targets of validation windows may choose another form, but the same form is the same map."""
    series = walks(2, 400, seed=1)
    train, validation = split_windows(series, CONTEXT, HORIZON, train=300)
    found = solve(train, validation, CONTEXT, None, PARTS)
    assert found.folds == 6

    def shifted(target, _series, rows):
        return np.where(rows >= 300, target + 1e-3 * np.sin(rows), target)

    other_train, other_validation = split_windows(series, CONTEXT, HORIZON, train=300, change=shifted)
    other = solve(other_train, other_validation, CONTEXT, None, PARTS)
    assert other.held_out_mse != found.held_out_mse, "the control"
    assert (other.prior, other.strength, other.structure, other.exponent, other.centre) == (
        found.prior,
        found.strength,
        found.structure,
        found.exponent,
        found.centre,
    )
    assert np.array_equal(found.weight, other.weight)


def test_rows_too_few_for_blocks_leave_the_validation_part():
    series = walks(1, CONTEXT + 3 * HORIZON + 12, seed=2)
    train, validation = split_windows(series, CONTEXT, HORIZON, train=len(series[0]) - 2 * HORIZON)
    found = solve(train, validation, CONTEXT, None, PARTS)
    assert found.folds == 1


def test_most_windows_of_the_folds_are_evenly_spread(monkeypatch):
    monkeypatch.setattr(folds, "MOST_WINDOWS", 60)
    blocks = trained_folds()
    assert len(blocks.index) == 60
    assert len(blocks.folds()) == 6
    assert sum(fold.held_out.points for fold in blocks.folds()) == 60 * HORIZON
