"""The error of a candidate: a slow twin, and what must not change it."""

import numpy as np
import pandas as pd
import pytest

from swt_time.data.origins import contexts_at, known_values, values_after
from swt_time.data.scaling import Scaler
from swt_time.data.series import SeriesTable, to_series
from swt_time.errors import TableError
from swt_time.selection.blocks import held_out_blocks
from swt_time.selection.errors import HeldOut, scales


def make_table(*values: list[float], fill: str | None = None) -> SeriesTable:
    frame = pd.concat(
        pd.DataFrame({"unique_id": f"s{i}", "ds": pd.date_range("2024", periods=len(one), freq="D"), "y": one})
        for i, one in enumerate(values)
    )
    return to_series(frame, fill=fill)


def slow_error(table: SeriesTable, blocks: list, forecasts: np.ndarray, season: int) -> float:
    """The definition, point by point."""
    by_series: dict[int, list[float]] = {}
    row = 0
    earliest = {int(i): int(n) for block in blocks for i, n in zip(block.series, block.rows, strict=True)}
    for block in blocks:
        for index, origin in block.pairs.tolist():
            known = table.values[index][: earliest[index]]
            unit = np.mean(np.abs(known[season:] - known[:-season]))
            for step, forecast in enumerate(forecasts[row]):
                if table.observed[index][origin + step]:
                    truth = table.values[index][origin + step]
                    by_series.setdefault(index, []).append(abs(forecast - truth) / unit)
            row += 1
        row += len(block.later)  # forecast, but not judged
    return float(np.mean([np.mean(errors) for errors in by_series.values()]))


def test_error_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    table = make_table(*(rng.normal(size=n).cumsum().tolist() for n in (60, 45, 200)))
    blocks = held_out_blocks(table.lengths, 5)
    held_out = HeldOut(table, blocks, 5, 7)
    forecasts = rng.normal(size=held_out.targets.shape)
    assert held_out.error(forecasts) == pytest.approx(slow_error(table, blocks, forecasts, 7), rel=1e-12)
    assert held_out.points == 5 * sum(len(block.pairs) for block in blocks) < held_out.targets.size


def test_errors_of_groups_are_those_of_their_definition():
    rng = np.random.default_rng(0)
    table = make_table(*(rng.normal(size=n).cumsum().tolist() for n in (60, 45, 200)))
    blocks = held_out_blocks(table.lengths, 5)
    held_out = HeldOut(table, blocks, 5, 7)
    forecasts = rng.normal(size=held_out.targets.shape)
    every = np.abs(forecasts - held_out.targets) / held_out.units
    judged = np.concatenate([block.pairs[:, 0] for block in blocks])
    origins = {i: (judged == i).sum() for i in range(3)}  # all series have equal shares in all groups
    rows: dict[tuple[int, int], list[int]] = {}
    row = 0
    for number, block in enumerate(blocks):
        first = dict(zip(block.series.tolist(), block.rows.tolist(), strict=True))
        for index, origin in block.pairs.tolist():
            rows.setdefault((number, (origin - first[index]) // 5), []).append(row)
            row += 1
        row += len(block.later)
    found = held_out.by_group(forecasts)
    assert len(found) == len(rows) > len(blocks)
    for key, here in zip(sorted(rows), found, strict=True):
        shares = np.array([1 / origins[i] for i in held_out.pairs[rows[key], 0]])
        absolute = np.average(every[rows[key]].mean(axis=1), weights=shares)
        squared = np.average((every[rows[key]] ** 2).mean(axis=1), weights=shares)
        assert here == pytest.approx((absolute + np.sqrt(squared)) / 2, rel=1e-12)


def test_filled_values_are_no_truth():
    values = np.arange(40.0)
    holes = values.copy()
    holes[[31, 36]] = np.nan
    table = make_table(holes.tolist(), fill="linear")
    blocks = held_out_blocks(table.lengths, 5)
    held_out = HeldOut(table, blocks, 5, 1)
    assert held_out.points == 5 * len(blocks) - 2
    assert held_out.error(np.nan_to_num(held_out.targets, nan=1e9)) == 0.0


def test_the_unit_of_a_series_does_not_matter():
    rng = np.random.default_rng(1)
    one = rng.normal(size=50).cumsum()
    plain, large = make_table(one.tolist()), make_table((1000 * one).tolist())
    blocks = held_out_blocks(plain.lengths, 5)
    first, second = HeldOut(plain, blocks, 5, 1), HeldOut(large, blocks, 5, 1)
    forecasts = rng.normal(size=first.targets.shape)
    assert first.error(forecasts) == pytest.approx(second.error(1000 * forecasts))


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0, 3.0, 1.0, 3.0], 2.0), ([5.0, 5.0, 5.0, 5.0], 5.0), ([0.0, 0.0, 0.0, 0.0], 1.0)],
)
def test_scale_falls_back_from_season_to_neighbours_to_level(values, expected):
    table = make_table([*values, 9.0, 9.0])
    blocks = held_out_blocks([6], 2)[:1]
    assert scales(table, blocks, 2).tolist() == [expected]


def test_values_at_origins():
    table = make_table([1.0, 2.0, 4.0, 8.0])
    pairs = np.array([[0, 2], [0, 4]])
    assert [one.tolist() for one in known_values(table, pairs)] == [[1.0, 2.0], [1.0, 2.0, 4.0, 8.0]]
    np.testing.assert_array_equal(values_after(table, pairs, 3), [[4.0, 8.0, np.nan], [np.nan] * 3])


def test_contexts_are_missing_before_the_start_of_a_series():
    table = make_table([1.0, 3.0, 4.0, 8.0])
    plain = Scaler(np.zeros(1), np.ones(1))
    contexts = contexts_at(table, np.array([[0, 2], [0, 4]]), 4, plain)
    np.testing.assert_array_equal(contexts, [[np.nan, np.nan, 1.0, 3.0], [1.0, 3.0, 4.0, 8.0]])
    with pytest.raises(TableError, match="standard deviations"):
        contexts_at(table, np.array([[0, 2]]), 4, Scaler(np.zeros(1), np.full(1, 1e-20)))
