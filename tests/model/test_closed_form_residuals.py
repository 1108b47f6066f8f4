"""Residuals of the closed form on blocks that were left out: each block forecast by a map that never saw it."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from swt_time.data.parts import split_table
from swt_time.data.series import to_series
from swt_time.model.closed_form import FormRecord, Prior, held_out_residuals, solve
from swt_time.model.closed_form.folds import Blocks
from swt_time.model.closed_form.moments import moments
from swt_time.model.closed_form.priors import season_penalty
from swt_time.model.closed_form.ridge import path
from swt_time.model.closed_form.structure import structural_map

CONTEXT, HORIZON = 24, 6
PRIOR = Prior("haar", 2, "reflect")


def parts(rows: int = 400, series: int = 2, split: str = "0.7/0.1/0.2", changed: slice | None = None):
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(rows) * np.pi / 12)[:, None] + 0.3 * rng.normal(size=(rows, series))
    if changed is not None:
        values[changed] += 50
    frame = pd.DataFrame(values, columns=[f"s{i}" for i in range(series)])
    frame.insert(0, "date", pd.date_range("2024", periods=rows, freq="h"))
    return split_table(to_series(frame), split, CONTEXT, HORIZON)


def make_form(strength: float, structure: bool, centre: str) -> FormRecord:
    return FormRecord("season", strength, 1.0, structure, centre, 0)


def form_of(solution) -> FormRecord:
    return FormRecord(**{one.name: getattr(solution, one.name) for one in fields(FormRecord)})


@pytest.mark.parametrize("structure", [False, True])
@pytest.mark.parametrize("centre", ["mean", "last"])
def test_every_block_is_forecast_by_a_map_of_the_others(structure, centre):
    """The slow way: sums over the windows that may be trained on, and a solution of each block from them."""
    found = parts()
    form = make_form(0.1, structure, centre)
    residuals = held_out_residuals(found.train, found.validation, CONTEXT, PRIOR, form)
    blocks = Blocks.divide([found.train, found.validation], HORIZON)
    anchor = np.zeros((HORIZON, CONTEXT))
    if centre == "last":
        anchor[:, -1] = 1
    for number in np.unique(residuals.block):
        sums = None
        for which, part in enumerate((found.train, found.validation)):
            chosen = blocks.index[(blocks.part == which) & blocks.trains[number]]
            if len(chosen):
                one = moments(part, chosen)
                sums = one if sums is None else sums + one
        if structure:
            mean = structural_map(sums, 24, anchor if centre == "last" else None)
        else:
            mean = anchor
        ((_, weight),) = path(sums, season_penalty(CONTEXT, 24), mean=mean, last=centre == "last", strengths=[0.1])
        for which, part in enumerate((found.train, found.validation)):
            rows = np.flatnonzero((residuals.block == number) & (residuals.part == which))
            for row in rows[:5]:
                context, target = (one[0].astype(float) for one in part.gather(residuals.index[row : row + 1]))
                middle = context.mean()
                expected = target - (middle + weight @ (context - middle))
                np.testing.assert_allclose(residuals.errors[row], expected, rtol=1e-6, atol=1e-8)


def test_a_block_does_not_change_its_own_forecasts():
    """Values of the last block of training rows may change its residuals only by what was observed there."""
    found = parts(series=1, split="none")  # one, since the scaler would change the shares of several
    form = make_form(1.0, False, "mean")
    before = held_out_residuals(found.train, None, CONTEXT, PRIOR, form)
    last = before.block == before.block.max()
    assert last.any()
    rows = found.train.places(before.index[last])[:, 1].min() + CONTEXT
    moved = parts(series=1, split="none", changed=slice(int(rows) + 2 * HORIZON, None))
    after = held_out_residuals(moved.train, None, CONTEXT, PRIOR, form)
    # The windows of the last block begin with contexts that did not change: the same map forecasts them.
    same = last & (found.train.places(before.index)[:, 1] + CONTEXT + HORIZON <= rows + 2 * HORIZON)
    scale = moved.scaler.std / found.scaler.std
    series = found.train.series_of(before.index)
    np.testing.assert_allclose((after.errors * scale[series][:, None])[same], before.errors[same], atol=1e-5)
    others = before.block != before.block.max()
    assert np.abs(after.errors - before.errors)[others].max() > 1e-3, "the control: other blocks are fitted on it"


def test_the_errors_are_about_those_of_the_folds_that_chose_the_form():
    found = parts(rows=2_000)
    solution = solve(found.train, found.validation, CONTEXT, PRIOR, ("season", "structure", "last", "blocks"))
    form = form_of(solution)
    residuals = held_out_residuals(found.train, found.validation, CONTEXT, PRIOR, form)
    assert np.mean(residuals.errors**2) == pytest.approx(solution.held_out_mse, rel=0.1)


def test_missing_targets_are_missing_residuals():
    rng = np.random.default_rng(1)
    values = rng.normal(size=500).cumsum()
    values[rng.uniform(size=500) < 0.1] = np.nan
    frame = pd.DataFrame({"date": pd.date_range("2024", periods=500, freq="h"), "y": values})
    found = split_table(to_series(frame, fill="linear"), "0.7/0.1/0.2", CONTEXT, HORIZON)
    residuals = held_out_residuals(
        found.train, found.validation, CONTEXT, PRIOR, form_of(solve(found.train, found.validation, CONTEXT, PRIOR))
    )
    assert np.isnan(residuals.errors).mean() == pytest.approx(0.1, abs=0.03)


def test_too_few_windows_for_blocks_have_no_residuals():
    found = parts(rows=CONTEXT + 3 * HORIZON, series=1, split="none")
    assert held_out_residuals(found.train, None, CONTEXT, PRIOR, make_form(1.0, False, "mean")) is None
