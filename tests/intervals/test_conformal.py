"""Conformal quantiles: a slow twin, the coverage that the theory promises, and crepes."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swt_time.intervals import conformal_quantiles, widest_level


def slow_quantile(residuals: list[float], numerator: int, denominator: int) -> float:
    """The definition: the residual of rank p (n + 1), in exact arithmetic."""
    known = sorted(one for one in residuals if not np.isnan(one))
    rank = Fraction(numerator, denominator) * (len(known) + 1)
    if rank < 1 or rank > len(known):
        return float("nan")
    below = int(rank)
    above = min(below + 1, len(known))
    return known[below - 1] + float(rank - below) * (known[above - 1] - known[below - 1])


@given(
    st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), max_size=40),
    st.integers(1, 199),
)
def test_quantiles_are_those_of_their_definition(residuals, numerator):
    found = conformal_quantiles(np.array(residuals, dtype=float).reshape(-1, 1), [numerator / 200])
    np.testing.assert_allclose(found[0, 0], slow_quantile(residuals, numerator, 200), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("count", [19, 99, 999])
@pytest.mark.parametrize("level", [80, 90, 95])
def test_coverage_of_exchangeable_values_is_the_level(count, level):
    """1,000 draws of residuals, each with the exact probability that the next value lies in its interval."""
    if level > widest_level(count):
        pytest.skip("a wider interval than so few residuals allow")
    uniform = np.random.default_rng(count + level).uniform(size=(count, 1_000))
    low, high = conformal_quantiles(uniform, [0.5 - level / 200, 0.5 + level / 200])
    assert (high - low).mean() == pytest.approx(level / 100, abs=0.01)


@pytest.mark.parametrize("count", [19, 99, 999])
def test_the_level_is_kept_where_residuals_are_skewed(count):
    rng = np.random.default_rng(count)
    residuals, following = (rng.exponential(size=shape) ** 2 for shape in ((count, 20_000), 20_000))
    low, high = conformal_quantiles(residuals, [0.05, 0.95])
    assert ((low <= following) & (following <= high)).mean() == pytest.approx(0.9, abs=0.01)


def test_too_few_residuals_give_no_bound_instead_of_the_largest_one():
    residuals = np.arange(19.0).reshape(-1, 1)
    assert widest_level(19) == pytest.approx(90)
    assert not np.isnan(conformal_quantiles(residuals, [0.05, 0.95])).any()
    assert np.isnan(conformal_quantiles(residuals, [0.049, 0.951])).all()
    assert np.isnan(conformal_quantiles(np.empty((0, 3)), [0.5])).all()
    assert widest_level(0) == widest_level(1) == 0.0


@pytest.mark.parametrize("count", [19, 99, 999])
@pytest.mark.parametrize("level", [50, 75, 95])
def test_symmetric_intervals_are_those_of_crepes(count, level):
    crepes = pytest.importorskip("crepes", reason="an oracle of the development environment")
    errors = np.random.default_rng(count).normal(size=count)
    regressor = crepes.ConformalRegressor().fit(errors)
    expected = regressor.predict_int(np.zeros(1), confidence=level / 100)[0, 1]
    found = conformal_quantiles(np.abs(errors).reshape(-1, 1), [level / 100])[0, 0]
    assert found == pytest.approx(expected, rel=1e-12)
