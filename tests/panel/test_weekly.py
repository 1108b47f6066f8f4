"""The weekly map: a slow twin written from its formula, what must not change a forecast, and its state as arrays."""

import numpy as np
import pytest

from swt_time.errors import CheckpointError, ConfigError
from swt_time.panel import WeeklyMap, fit_weekly, longest_weekly, shortest_weekly
from swt_time.panel import weekly as module
from swt_time.panel.weekly import FEATURES, ORIGINS, STRENGTH, TARGETS, WEEKS, batches, describe

DAY, HORIZON = 6, 8
WEEK = 7 * DAY


def make_panel(count=6, seed=0, weeks=(3, 7)):
    """Return positive series with a day, a week, a slow level and noise."""
    random = np.random.default_rng(seed)
    panel = []
    for length in random.integers(weeks[0] * WEEK, weeks[1] * WEEK, size=count):
        time = np.arange(length)
        shape = 1 + 0.3 * np.sin(2 * np.pi * time / DAY) + 0.4 * np.sin(2 * np.pi * time / WEEK + random.normal())
        noise = 0.02 * random.normal(size=length).cumsum() + 0.1 * random.normal(size=length)
        panel.append(random.uniform(5, 500) * np.maximum(2 + shape + noise, 0.1))
    return panel


@pytest.fixture(scope="module")
def panel():
    return make_panel()


@pytest.fixture(scope="module")
def fitted(panel):
    return fit_weekly(panel, DAY, HORIZON)


def slow_features(y, origin, step, day):
    """Mean of the weeks and features of one target, from the formula."""
    week, target = 7 * day, origin + step
    of_week = [t for t in range(target - week, -1, -week) if t < origin]
    if step >= week:
        of_week = list(range(target % week, origin, week))[::-1]
    of_day = list(range(target % day, origin, day))[::-1]
    mean = np.mean([y[t] for t in of_week[:WEEKS]])

    def level(length, end):
        return np.mean(y[end - length : end])

    return mean, [
        y[of_week[0]] - mean,
        y[of_day[0]] - mean,
        np.mean([y[t] for t in of_day[:7]]) - mean,
        y[origin - 1] - y[origin - 1 - week],
        level(day, origin) - level(day, origin - week),
        level(day, origin) - level(week, origin),
    ]


def slow_windows(y, day, horizon):
    """All windows of a gapless series as rows (step, features, goal) in units of the root mean squared goal."""
    rows = []
    for origin in range(14 * day, len(y) - horizon + 1):
        for step in range(horizon):
            mean, features = slow_features(y, origin, step, day)
            rows.append((step, np.array(features), y[origin + step] - mean))
    unit = np.sqrt(np.mean([goal**2 for _, _, goal in rows]))
    return [(step, features / unit, goal / unit) for step, features, goal in rows], unit


def slow_ridge(xs, ys, strength):
    """Minimise the mean squared error plus the penalty by one least-squares problem with added rows."""
    added = np.sqrt(strength * len(ys)) * np.eye(FEATURES)
    return np.linalg.lstsq(np.vstack([xs, added]), np.concatenate([ys, np.zeros(FEATURES)]), rcond=None)[0]


def slow_forecast(panel, series, day, horizon):
    """Common coefficients of equally long series, then the deviation of one series."""
    weeks = [(len(y) - 14 * day - horizon) / (7 * day) for y in panel]
    rows = [row for y in panel for row in slow_windows(y, day, horizon)[0]]
    common = [
        slow_ridge(
            [x for step, x, _ in rows if step == h],
            [goal for step, _, goal in rows if step == h],
            STRENGTH / sum(weeks),
        )
        for h in range(horizon)
    ]
    own, unit = slow_windows(series, day, horizon)
    left = [goal - x @ common[step] for step, x, goal in own]
    deviation = slow_ridge([x for _, x, _ in own], left, STRENGTH / ((len(series) - 14 * day - horizon) / (7 * day)))
    found = []
    for step in range(horizon):
        mean, features = slow_features(series, len(series), step, day)
        found.append(mean + np.array(features) @ (common[step] + deviation))
    return found, unit


@pytest.mark.parametrize(("day", "horizon"), [(6, 8), (2, 3), (9, 1), (2, 31)])
def test_forecast_is_that_of_its_formula(monkeypatch, day, horizon):
    """The twin takes every origin; series are equally long, since it weighs windows and not series."""
    monkeypatch.setattr(module, "TARGETS", 2**20)
    length = 29 * day + 2 * horizon + 3
    random = np.random.default_rng(1)
    panel = [5 + random.normal(size=length) + np.sin(np.arange(length) * 2 * np.pi / (7 * day)) for _ in range(3)]
    series = panel[1][: length - 2]
    expected, unit = slow_forecast(panel, series, day, horizon)
    found = fit_weekly(panel, day, horizon).forecast([series])[0]
    np.testing.assert_allclose(found, expected, atol=1e-9 * unit)


def test_equal_weeks_are_repeated(fitted):
    week = np.random.default_rng(2).uniform(1, 2, WEEK)
    np.testing.assert_allclose(fitted.forecast([np.tile(week, 4)])[0], np.tile(week, 2)[:HORIZON], rtol=1e-12)
    np.testing.assert_array_equal(fitted.forecast([np.zeros(4 * WEEK)])[0], 0.0)


def test_it_learns_what_a_series_does_beside_the_weeks():
    """The level moves as a random walk: the mean of three weeks lags behind it."""
    panel = np.stack([np.random.default_rng(i).normal(size=6 * WEEK).cumsum() for i in range(20)])
    known, truth = panel[:, :-HORIZON], panel[:, -HORIZON:]
    weeks = np.mean([known[:, len(known[0]) - back * WEEK :][:, :HORIZON] for back in (1, 2, 3)], axis=0)
    found = fit_weekly(list(known), DAY, HORIZON).forecast(list(known))
    assert np.abs(found - truth).mean() < 0.4 * np.abs(weeks - truth).mean()


def test_a_series_has_coefficients_of_its_own():
    """Half of the series follow their last value, the others their weeks; no common map serves both."""
    random = np.random.default_rng(3)
    walks = [random.normal(size=8 * WEEK).cumsum() for _ in range(60)]
    weeks = [np.tile(random.normal(size=WEEK), 8) + random.normal(size=8 * WEEK) for _ in range(60)]
    panel, truth = [one[:-HORIZON] for one in (*walks, *weeks)], [one[-HORIZON:] for one in (*walks, *weeks)]
    fitted = fit_weekly(panel, DAY, HORIZON)
    own = np.abs(fitted.forecast(panel) - truth).mean()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "STRENGTH", 1e9)
        common = np.abs(fitted.forecast(panel) - truth).mean()
    assert own < 0.9 * common


def test_weeks_that_are_nearly_alike_do_not_decide_for_other_series(panel):
    """In units of the small changes of such a series its features are huge."""
    week = np.tile(np.random.default_rng(4).normal(size=WEEK), 6)
    alike = week + 1e-6 * np.random.default_rng(5).normal(size=len(week))
    alone = fit_weekly(panel, DAY, HORIZON).forecast(panel)
    found = fit_weekly([*panel, alike], DAY, HORIZON).forecast([*panel, alike])
    changes = np.mean([np.abs(np.diff(one)).mean() for one in panel])
    assert np.abs(found[:-1] - alone).mean() < 0.2 * changes
    np.testing.assert_allclose(found[-1], week[:HORIZON], atol=1e-5)


@pytest.mark.parametrize("factor", [2.0**40, 2.0**-900])
def test_forecast_scales_with_the_series(panel, factor):
    scaled = [factor * one for one in panel]
    first, second = fit_weekly(panel, DAY, HORIZON), fit_weekly(scaled, DAY, HORIZON)
    np.testing.assert_array_equal(second.forecast(scaled), factor * first.forecast(panel))


def test_forecast_moves_with_the_series(panel):
    shifted = [one + 1000.0 for one in panel]
    found = fit_weekly(shifted, DAY, HORIZON).forecast(shifted)
    np.testing.assert_allclose(found, fit_weekly(panel, DAY, HORIZON).forecast(panel) + 1000.0, rtol=1e-9)


def test_neither_the_order_nor_the_company_of_series_matters(panel, fitted):
    together = fitted.forecast(panel)
    np.testing.assert_array_equal(fitted.forecast(panel[::-1]), together[::-1])
    for one, forecast in zip(panel, together, strict=True):
        np.testing.assert_array_equal(fitted.forecast([one])[0], forecast)
    other = fit_weekly(panel[::-1], DAY, HORIZON)
    np.testing.assert_allclose(other.coefficients, fitted.coefficients, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("together", [1, 2**30])
def test_series_of_equal_length_are_forecast_as_each_alone(monkeypatch, together):
    """Such series are described together, as many at once as fit into memory."""
    panel = make_panel(9, seed=4, weeks=(5, 6))
    panel = [one[-5 * WEEK :] for one in panel] + panel
    fitted = fit_weekly(panel, DAY, HORIZON)
    alone = np.concatenate([fitted.forecast([one]) for one in panel])
    monkeypatch.setattr(module, "TOGETHER", together)
    np.testing.assert_array_equal(fitted.forecast(panel), alone)
    np.testing.assert_allclose(fit_weekly(panel, DAY, HORIZON).coefficients, fitted.coefficients, atol=1e-12)
    sizes = [len(batch.rows) for batch in batches(panel, DAY, HORIZON)]
    assert sum(sizes) == len(panel)
    assert max(sizes) == (1 if together == 1 else 9)


def test_features_know_nothing_after_the_origin(panel):
    values, origins = panel[0][None].copy(), np.array([2 * WEEK, 2 * WEEK + 5])
    features, weeks = describe(values, origins[:1], DAY, 2 * WEEK + 3)
    later, _ = describe(values, origins[1:], DAY, HORIZON)
    values[:, origins[0] :] = 1e6
    again, weeks_again = describe(values, origins[:1], DAY, 2 * WEEK + 3)
    np.testing.assert_array_equal(again, features)
    np.testing.assert_array_equal(weeks_again, weeks)
    assert not np.array_equal(describe(values, origins[1:], DAY, HORIZON)[0], later)


def test_only_the_latest_rows_are_read(panel, fitted):
    most = longest_weekly(DAY, HORIZON)
    long = np.concatenate([panel[0]] * 8)[-most - 50 :]
    other = np.concatenate([np.full(50, 1e5), long[50:]])
    assert len(long) == most + 50
    np.testing.assert_array_equal(fitted.forecast([other]), fitted.forecast([long]))
    np.testing.assert_array_equal(fitted.forecast([long[50:]]), fitted.forecast([long]))


@pytest.mark.parametrize("seed", range(8))
def test_no_forecast_is_negative_where_no_value_is(seed):
    """Rare large values, and levels that fall to zero, would make a linear map negative."""
    random = np.random.default_rng(seed)
    panel = [np.where(random.random(5 * WEEK) < 0.1, random.exponential(size=5 * WEEK), 0.0) for _ in range(4)]
    panel += [np.maximum(np.linspace(9, -2, 5 * WEEK) + random.normal(size=5 * WEEK), 0.0) for _ in range(4)]
    fitted = fit_weekly(panel, DAY, HORIZON)
    assert fitted.forecast(panel).min() >= 0
    assert fitted.forecast([one - 1 for one in panel]).min() < 0


def test_short_series_have_no_forecast(panel, fitted):
    least = shortest_weekly(DAY, HORIZON)
    found = fitted.forecast([panel[0][:least], panel[0][: least - 1], [1.0]])
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()
    assert fit_weekly([panel[0][: least - 1]], DAY, HORIZON) is None
    np.testing.assert_array_equal(
        fit_weekly([*panel, panel[0][: least - 1]], DAY, HORIZON).coefficients, fitted.coefficients
    )


def test_gaps_are_bridged(panel, fitted):
    """A gap changes little; leading ones nothing; after the last observed value the forecast begins later."""
    gaps = panel[0].copy()
    gaps[[30, 77, 78]] = np.nan
    whole = fitted.forecast([panel[0]])[0]
    np.testing.assert_allclose(fitted.forecast([gaps])[0], whole, rtol=0.1)
    leading = np.concatenate([[np.nan] * 9, panel[0]])
    np.testing.assert_array_equal(fitted.forecast([leading])[0], whole)
    week = np.arange(1.0, WEEK + 1)
    ended = np.concatenate([np.tile(week, 4), np.full(3, np.nan)])
    np.testing.assert_allclose(fitted.forecast([ended])[0], week[3 : 3 + HORIZON], rtol=1e-9)


def test_unobserved_targets_do_not_count(panel):
    """What is filled in serves as history, not as truth."""
    series = panel[0].copy()
    series[-5:-2] = np.nan
    [batch] = batches([series], DAY, HORIZON)
    products = batch.moments()[1]
    batch.values[:, -5:-2] += 1.0  # in the features of no window, since these are the last rows
    np.testing.assert_array_equal(batch.moments()[1], products)
    batch.observed[:] = True
    assert not np.array_equal(batch.moments()[1], products)


@pytest.mark.parametrize("horizon", [1, 5, 43, 600])
def test_origins_fall_on_all_hours_of_the_week(monkeypatch, horizon):
    seen = []

    def describe_and_count(values, origins, day, horizon):
        seen.append(origins)
        return describe(values, origins, day, horizon)

    monkeypatch.setattr(module, "describe", describe_and_count)
    rows = longest_weekly(24, horizon)
    [batch] = batches([np.random.default_rng(0).normal(size=rows)], 24, horizon)
    batch.moments()
    [origins] = seen
    most = max(TARGETS // horizon, ORIGINS)
    assert 0.5 * min(most, rows - 2 * 168 - horizon) <= len(origins) <= most
    assert origins.max() == rows - horizon
    assert origins.min() >= 2 * 168
    assert len(set((origins % 168).tolist())) == min(len(origins), 168)


@pytest.mark.parametrize("largest", [1e308, 1e-305])
def test_extreme_values_stay_finite(largest):
    panel = [largest * np.random.default_rng(0).uniform(size=4 * WEEK)]
    found = fit_weekly(panel, DAY, HORIZON).forecast(panel)
    assert np.isfinite(found).all()
    assert found.max() > 0.01 * largest


def test_arrays_restore_an_equal_map(panel, fitted):
    again = WeeklyMap.from_arrays(fitted.to_arrays())
    assert (again.day, again.horizon) == (DAY, HORIZON)
    np.testing.assert_array_equal(again.forecast(panel), fitted.forecast(panel))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("day", None),
        ("day", 1.0),
        ("day", 2.5),
        ("day", np.nan),
        ("day", [6.0]),
        ("coefficients", None),
        ("coefficients", np.zeros((HORIZON, FEATURES + 1))),
        ("coefficients", np.zeros(FEATURES)),
        ("coefficients", np.full((HORIZON, FEATURES), np.inf)),
    ],
)
def test_damaged_arrays_are_refused(fitted, name, value):
    arrays = {**fitted.to_arrays(), name: value}
    if value is None:
        del arrays[name]
    with pytest.raises(CheckpointError, match=f"{name} of the weekly map"):
        WeeklyMap.from_arrays(arrays)


@pytest.mark.parametrize(("day", "horizon"), [(0, 3), (6, 0), (6, 2.5)])
def test_impossible_steps_are_refused(panel, day, horizon):
    with pytest.raises(ConfigError):
        fit_weekly(panel, day, horizon)
