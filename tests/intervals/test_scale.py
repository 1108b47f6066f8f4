"""What is read of the values before a forecast: a slow twin, and what must not change it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swt_time.intervals.scale import LONG, PHASE_SOFTENING, SOFTENING, Description, describe, reach


def slow_description(history: np.ndarray, season: int) -> tuple[float, list[float], list[float]]:
    """The definition, value by value."""
    span = max(10 * season, 120)
    known = np.asarray(history, float)[-(LONG * span + season) :]
    known = np.concatenate([np.full(LONG * span + season - len(known), np.nan), known])

    def mean(values: list[float]) -> float:
        seen = [one for one in values if not np.isnan(one)]
        return float(np.mean(seen)) if seen else float("nan")

    former = mean([abs(known[t] - known[t - season]) for t in range(season, len(known))])
    known = known[-span - season :]
    seasonal = [abs(known[t] - known[t - season]) for t in range(season, len(known))]
    unit = mean(seasonal)
    if np.isnan(unit):
        unit = mean([abs(known[t] - known[t - 1]) for t in range(season, len(known))])
    if np.isnan(unit):
        unit = mean([abs(one) for one in known])
    latest = known[season:]
    centre = mean(list(latest))
    deviation = np.sqrt(mean([(one - centre) ** 2 for one in latest]))
    newest = mean(seasonal[-max(season, 6) :])
    phases = []
    for phase in range(season):
        back = [season - phase + season * k for k in range(len(seasonal) // season)]
        phases.append(mean([seasonal[-one] for one in back]))

    def log(value: float, softening: float = SOFTENING) -> float:
        ratio = value / unit if unit > 0 else float("nan")
        return float(np.log((1.0 if not np.isfinite(ratio) else ratio) + softening))

    return unit, [log(newest), log(former), log(deviation)], [log(one, PHASE_SOFTENING) for one in phases]


@pytest.mark.parametrize("season", [1, 4, 12, 24])
@pytest.mark.parametrize("length", [1, 2, 5, 13, 60, 400])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_descriptions_are_those_of_their_definition(season, length, missing):
    rng = np.random.default_rng(length)
    history = rng.normal(size=length).cumsum() + 3
    history[rng.uniform(size=length) < missing] = np.nan
    history[-1] = 2.0
    found = describe([history], season)
    unit, features, phases = slow_description(history, season)
    assert found.unit[0] == pytest.approx(unit, rel=1e-12)
    np.testing.assert_allclose(found.features[0], features, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.phases[0], phases, rtol=1e-10, atol=1e-10)


def parts(found: Description) -> list[bytes]:
    return [one.tobytes() for one in (found.unit, found.features, found.phases)]


def test_a_window_is_described_alike_alone_and_in_company():
    rng = np.random.default_rng(0)
    histories = [rng.normal(size=n) for n in (1, 7, 130, 500, 90)]
    together = describe(histories, 12)
    for row, history in enumerate(histories):
        assert parts(describe([history], 12)) == parts(together.select(np.array([row])))


@given(st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
def test_the_unit_follows_the_scale_and_no_shift(factor, shift):
    history = np.random.default_rng(1).normal(size=200)
    one, other = describe([history], 7), describe([factor * (history + shift)], 7)
    np.testing.assert_allclose(other.unit, factor * one.unit, rtol=1e-6)
    np.testing.assert_allclose(other.features, one.features, atol=1e-5)


def test_older_values_are_not_read():
    rng = np.random.default_rng(2)
    latest = rng.normal(size=reach(24))
    one, other = describe([latest], 24), describe([np.concatenate([np.full(50, 1e9), latest])], 24)
    assert parts(one) == parts(other)


@pytest.mark.parametrize("value", [0.0, 5.0, 1e300])
def test_constant_and_huge_series_have_finite_descriptions(value):
    found = describe([np.full(60, value), np.array([value, -value] * 30)], 12)
    for one in (found.unit, found.features, found.phases):
        assert np.isfinite(one).all()
    assert found.unit[0] == 0.0
