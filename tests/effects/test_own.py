"""Effects of single series around the pooled ones: used where series differ, and only there."""

import numpy as np
import pandas as pd
import pytest

from support.promotions import promoted
from swt_time import Config
from swt_time.data.covariate_columns import Asked
from swt_time.data.series import to_series
from swt_time.effects import Effects, covariate_groups, fit_effects
from swt_time.effects.own import fit_own
from swt_time.effects.sums import Sums
from swt_time.errors import CheckpointError

ROWS = 300


def shops(effects: tuple[float, ...]) -> pd.DataFrame:
    """Series in which a promotion adds so much."""
    parts = []
    for number, effect in enumerate(effects):
        frame = promoted(ROWS, seed=number)
        parts.append(frame.assign(unique_id=f"s{number}", sales=frame["sales"] + (effect - 4) * frame["promotion"]))
    return pd.concat(parts, ignore_index=True)[["unique_id", "ds", "sales", "promotion"]]


def learn(frame: pd.DataFrame):
    table = to_series(frame, target="sales", covariates=Asked(known=("promotion",)))
    rows = table.lengths.tolist()
    return table, fit_effects(table, 7, rows, covariate_groups(table, Config(), rows))


def gap(values: np.ndarray, frame: pd.DataFrame, name: str) -> float:
    """What a promotion adds to values of a series, at equal days of the week."""
    on, week = frame.loc[frame["unique_id"] == name, "promotion"].to_numpy() == 1, np.arange(ROWS) % 7
    days = [(week == day) for day in range(7)]
    return float(np.mean([values[on & day].mean() - values[~on & day].mean() for day in days]))


@pytest.fixture(scope="module")
def different():
    frame = shops((4.0, 4.0, 0.0))
    return frame, *learn(frame)


def test_series_that_differ_have_effects_of_their_own(different):
    frame, table, fitted = different
    effects = fitted.effects
    assert effects.own.shape == (3, len(effects.beta))
    assert "each series has effects of its own around the common ones" in "\n".join(effects.lines())
    for rest in (effects.apart(table).rest, fitted.out_of_fold.rest):
        assert all(abs(gap(rest.values[i], frame, name)) < 0.6 for i, name in enumerate(table.ids))
    pooled = Effects(effects.groups, effects.link, effects.beta, effects.scales).apart(table).rest
    assert abs(gap(pooled.values[2], frame, "s2")) > 1


def test_series_that_are_alike_share_their_effects():
    _, fitted = learn(shops((4.0, 4.0, 4.0)))
    assert fitted.effects.groups
    assert fitted.effects.own is None


def test_effects_of_series_are_saved_and_new_series_have_the_pooled_ones(different):
    _, table, fitted = different
    effects = fitted.effects
    again = Effects.from_record(effects.record(), effects.to_arrays())
    for one, other in zip(again.apart(table).rest.values, effects.apart(table).rest.values, strict=True):
        np.testing.assert_array_equal(one, other)
    pairs = np.array([[2, ROWS - 7], [0, ROWS - 7]])
    np.testing.assert_array_equal(again.apart(table).ahead(pairs, 7)[0], effects.apart(table).ahead(pairs, 7)[0])
    np.testing.assert_array_equal(effects.coefficients("new", effects.places), effects.beta)
    assert (effects.coefficients("s2", effects.places) != effects.beta).any()
    with pytest.raises(CheckpointError, match="the effects of the checkpoint are damaged; train it again"):
        Effects.from_record(effects.record(), {**effects.to_arrays(), "own": effects.own[:2]})


def test_the_coefficients_of_a_series_are_a_ridge_around_the_pooled_ones():
    """On the sums of two series, whose own solutions are known."""
    draws, truth = np.random.default_rng(0), np.array([[1.0, 0.0], [-1.0, 2.0]])
    sums = []
    for beta in truth:
        sums.append([])
        for _ in range(5):
            design = draws.normal(size=(200, 2))
            target = design @ beta + 0.1 * draws.normal(size=200)
            sums[-1].append(Sums(design.T @ design, design.T @ target, float(target @ target), 200))
    pooled, rough = truth.mean(axis=0), np.array([False, True])
    found = fit_own(sums, pooled, np.repeat(pooled[None], 5, axis=0), rough)
    np.testing.assert_allclose(found.beta, truth, atol=0.02)
    np.testing.assert_allclose(found.out_of_fold, np.repeat(truth[:, None], 5, axis=1), atol=0.03)
    assert found.error < 0.05
    alike = [sums[0], sums[0]]
    assert fit_own(alike, truth[0], np.repeat(truth[:1], 5, axis=0), rough) is None
