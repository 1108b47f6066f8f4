"""Effects of covariates: what is learned, what is left out, and what is taken off and put back."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from support.promotions import promoted
from swt_time import Config
from swt_time.data.covariate_columns import Asked
from swt_time.data.series import SeriesTable, to_series
from swt_time.effects import Effects, covariate_groups, fit_effects
from swt_time.effects.fitting import context_of, origins
from swt_time.effects.ridge import Problem
from swt_time.effects.sums import Features, Filter, Sums, sum_up
from swt_time.errors import CheckpointError, TableError

HORIZON = 7


def read(frame: pd.DataFrame, *known: str) -> SeriesTable:
    return to_series(frame, target="sales", covariates=Asked(known=known or ("promotion", "rain")))


def learn(table: SeriesTable, rows: int | None = None):
    rows = len(table.values[0]) if rows is None else rows
    return fit_effects(table, HORIZON, [rows], covariate_groups(table, Config(), [rows]))


def test_an_effect_is_found_and_what_has_none_is_left_out():
    frame = promoted()
    table = read(frame)
    effects = learn(table).effects
    assert [group.name for group in effects.groups] == ["promotion"]
    assert set(effects.left_out) == {"rain"}
    assert effects.link == "additive"
    assert effects.error < 0.3
    rest = effects.apart(table).rest.values[0]
    on = frame["promotion"].to_numpy() == 1
    week = np.arange(len(frame)) % 7
    gap = np.mean([rest[on & (week == day)].mean() - rest[~on & (week == day)].mean() for day in range(7)])
    assert abs(gap) < 0.3  # of 4


def test_an_effect_that_multiplies_is_told_from_one_that_adds():
    assert learn(read(promoted(factor=True))).effects.link == "multiplicative"
    assert learn(read(promoted())).effects.link == "additive"


def test_permuted_covariates_have_no_effect():
    frame = promoted()
    order = np.random.default_rng(1).permutation(len(frame))
    frame[["promotion", "rain"]] = frame[["promotion", "rain"]].to_numpy()[order]
    assert learn(read(frame)).effects.groups == ()


@pytest.mark.parametrize("link", ["additive", "multiplicative"])
def test_the_regression_is_that_of_forecasts_without_effects_and_with_effects_put_back(link):
    table = read(promoted())
    groups = covariate_groups(table, Config(), [500])
    features = Features(table, groups)
    draws = np.random.default_rng(3)
    beta = 0.05 * draws.normal(size=features.width)
    by = Filter(np.array([0, 3, 6]), draws.normal(size=(3, 28)) / 28)
    pairs, folds = origins(table, 28, HORIZON)
    scale = np.array([2.0])
    total = sum(one.mse(beta, np.arange(len(beta))) * one.points for one in sum_up(
        features, scale, pairs, folds, 6, by=by, link=link, beta=beta))  # fmt: skip
    apart = Effects(tuple(groups), link, beta, {"sales": 2.0}).apart(table)
    contexts = np.stack([apart.rest.values[0][row - 28 : row] for row in pairs[:, 1]])
    offsets, factors = apart.ahead(pairs, HORIZON)
    forecasts = contexts @ by.weight.T * factors[:, by.steps] + offsets[:, by.steps]
    truth = np.stack([table.values[0][row + by.steps] for row in pairs[:, 1]])
    assert total == pytest.approx(((truth - forecasts) ** 2).sum() / 4, rel=1e-4)  # designs are float32


def test_rows_after_those_that_are_learned_from_change_nothing():
    frame = promoted()
    later = frame.copy()
    later.loc[400:, "sales"] = 1e6
    later.loc[400:, "promotion"] = 1 - later.loc[400:, "promotion"]
    later.loc[400:, "rain"] = 1e9
    one, other = learn(read(frame), 400).effects, learn(read(later), 400).effects
    assert len(one.groups) == 1
    assert one.record() == other.record()
    assert np.array_equal(one.beta, other.beta)
    planted = frame.copy()
    planted.loc[399, "sales"] += 1  # the check can fail: a row that is learned from changes them
    assert not np.array_equal(one.beta, learn(read(planted), 400).effects.beta)


def test_held_out_rows_are_without_effects_that_were_learned_on_them():
    table = read(promoted())
    fitted = learn(table)
    inside, outside = fitted.effects.apart(table).sizes[0], fitted.out_of_fold.sizes[0]
    assert not np.array_equal(inside, outside)
    assert np.corrcoef(inside, outside)[0, 1] > 0.99


def test_what_is_taken_off_is_put_back():
    for factor in (False, True):
        table = read(promoted(factor=factor))
        apart = learn(table).effects.apart(table)
        pairs = np.array([[0, 100], [0, 493]])
        rest = np.stack([apart.rest.values[0][row : row + HORIZON] for _, row in pairs])
        truth = np.stack([table.values[0][row : row + HORIZON] for _, row in pairs])
        assert apart.restore(pairs, rest) == pytest.approx(truth)


def test_what_was_never_negative_is_not_forecast_so():
    table = read(promoted())
    apart = learn(table).effects.apart(table)
    low = np.full((1, HORIZON), -100.0)
    assert (apart.restore(np.array([[0, 400]]), low) == 0).all()
    below = replace(table, values=(table.values[0] - 20,))
    assert (learn(below).effects.apart(below).restore(np.array([[0, 400]]), low) < 0).all()


def test_a_missing_row_of_the_future_is_named():
    frame = promoted(520)
    table = learn_on = read(frame.assign(sales=frame["sales"].where(frame.index < 500)))
    effects = learn(learn_on).effects
    end = np.array([[0, 500]])
    assert effects.apart(table).ahead(end, HORIZON)[0].shape == (1, HORIZON)
    short = read(frame.iloc[:503].assign(sales=frame["sales"].where(frame.index < 500)))
    with pytest.raises(TableError, match=r"'promotion' of series 'sales' has no value at 2023-05-21 00:00:00"):
        effects.apart(short).ahead(end, HORIZON)
    assert effects.apart(short).ahead(end, HORIZON, needed=3)[0][0, 3:].tolist() == [0.0] * 4


def test_a_checkpoint_restores_equal_effects():
    effects = learn(read(promoted())).effects
    again = Effects.from_record(effects.record(), effects.to_arrays())
    assert again.record() == effects.record()
    assert np.array_equal(again.beta, effects.beta)
    for damage in ({"link": "cubic"}, {"groups": [{"kind": "number"}]}, {"series": []}, {"gains": 3}, {"error": "x"}):
        with pytest.raises(CheckpointError, match="damaged"):
            Effects.from_record({**effects.record(), **damage}, effects.to_arrays())
    with pytest.raises(CheckpointError, match="damaged"):
        Effects.from_record(effects.record(), {**effects.to_arrays(), "beta": np.full(len(effects.beta), np.nan)})


def test_a_category_has_effects_of_its_levels_and_an_unknown_one_has_none():
    frame = promoted()
    draws = np.random.default_rng(5)
    kind = draws.choice(["none", "flyer", "price"], size=len(frame), p=[0.6, 0.2, 0.2])
    frame["kind"] = kind
    frame["sales"] += 5.0 * (kind == "flyer") - 3.0 * (kind == "price")
    table = read(frame, "kind", "promotion")
    effects = learn(table).effects
    assert {group.name for group in effects.groups} == {"kind", "promotion"}
    only = learn(read(frame, "kind")).effects
    other = read(frame.assign(kind="television"), "kind")
    base = read(frame.assign(kind="none"), "kind")
    assert np.array_equal(only.apart(other).sizes[0], only.apart(base).sizes[0])


def test_short_series_have_no_effects():
    table = read(promoted(12))
    assert learn(table).effects.groups == ()


def test_a_fold_without_rows_does_not_count():
    draws = np.random.default_rng(0)
    sums = []
    for _ in range(5):
        design = draws.normal(size=(40, 3))
        target = design[:, 0] * 0.3 + draws.normal(size=40)
        sums.append(Sums(design.T @ design, design.T @ target, float(target @ target), len(target)))
    group, rough = np.arange(3), np.zeros(3, dtype=bool)
    plain = Problem(sums, group, rough).choose()
    other = Problem([Sums.zero(3), *sums], group, rough).choose()
    assert other.kept == plain.kept
    assert other.score == plain.score
    assert other.gains == plain.gains
    np.testing.assert_array_equal(other.out_of_fold, [other.beta, *plain.out_of_fold])


def test_the_gain_is_that_on_folds_with_targets():
    """The context of the first origins takes whole folds, and an outage does so too."""
    table = read(promoted(98), "promotion")
    context, rows = context_of(table, HORIZON), np.arange(98)
    assert context > 2 * 98 / 6
    whole = learn(table).effects
    dark = replace(table, observed=(rows < 82,))
    assert whole.error < 0.1
    assert learn(dark).effects.groups
    none = replace(table, observed=(rows < 50,))
    assert learn(none).effects.groups == ()
