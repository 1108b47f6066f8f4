"""Learn the effects of the covariates of a table."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from swt_time.config import Config
from swt_time.data.origins import ends, known_values, never_negative
from swt_time.data.parts import scale_table
from swt_time.data.scaling import fit_scaler
from swt_time.data.series import SeriesTable
from swt_time.data.windows import evenly
from swt_time.effects.calendar import DERIVED, HOLIDAYS, NAMES, WEEKDAYS, holidays_of
from swt_time.effects.clock import Clock
from swt_time.effects.effects import Apart, Effects
from swt_time.effects.groups import Group, LevelsGroup, NumberGroup, YearGroup
from swt_time.effects.own import OwnFit, fit_own, fits_in_memory
from swt_time.effects.ridge import MARGIN, Fit, Problem
from swt_time.effects.sums import Features, Filter, Link, sum_up
from swt_time.effects.window_groups import stretches, window_groups
from swt_time.effects.windows import FittedWindows, fit_windows
from swt_time.intervals import Residuals
from swt_time.machine import one_thread
from swt_time.model.closed_form import solve
from swt_time.selection.choosing import INNER_SPLIT, Sample
from swt_time.selection.contexts import feasible_contexts

FOLDS = 6
"""Contiguous stretches of each series, each of which is left out once."""

MOST_ORIGINS = 2**11
"""Most forecast origins that coefficients are learned from; evenly spaced."""

MOST_STEPS = 24
"""Most steps of the horizon that they are learned from; evenly spaced."""

LONGEST = 336
"""Longest context of the forecaster that the features go through."""

BASE = "Friday"
"""Day of the week that others are compared with."""

PASSES = 3
"""Linearisations of the multiplicative link."""


@dataclass(frozen=True)
class FittedEffects:
    """Effects, and the table without them as candidates are compared on it.

    Attributes
    ----------
    effects : Effects
    out_of_fold : Apart
        Each row without the effects that were learned on the other folds, so that a comparison of candidates on
        held-out rows does not profit from effects that were fitted to them.
    folds : array
        Coefficients without each fold, (K, p), or those of each series, (N, K, p).
    windows : FittedWindows or None
        Effects of past and static covariates.
    """

    effects: Effects
    out_of_fold: Apart
    folds: np.ndarray
    windows: FittedWindows | None = None

    def beside(self, residuals: Residuals | None) -> "FittedEffects":
        """Return the effects that lower the errors of the forecast that was chosen; see `FittedWindows.beside`."""
        if self.windows is None or residuals is None:
            return self
        windows = self.windows.beside(residuals)
        return replace(self, effects=replace(self.effects, windows=windows.effects), windows=windows)

    def residuals(self, residuals: Residuals) -> Residuals:
        """Residuals of forecasts of the table from those of the table without effects."""
        if self.windows is not None:
            residuals = self.windows.residuals(residuals)
        if not self.effects.groups:
            return residuals
        _, factors = self.out_of_fold.ahead(residuals.pairs, residuals.values.shape[1], needed=0)
        return replace(residuals, values=residuals.values * factors)


def covariate_groups(table: SeriesTable, config: Config, rows: Sequence[int]) -> list[Group]:
    """Return the groups of features of covariates and calendar of a table, from the first rows of each series."""
    clock, found = Clock(table), list[Group | None]()
    for column in table.covariates.cut(rows).of("known"):
        flags = not column.is_text and _two_values(column.values)
        if column.is_text or flags:
            found.append(LevelsGroup.fit(column, clock.season, clock.day))
        else:
            found.append(NumberGroup.fit(column, clock.season))
    if config.data.calendar and clock.has_calendar:
        found += _calendar(clock)
    if config.data.holidays is not None and clock.has_calendar and _within_a_day(table, clock):
        names = sorted(set(holidays_of(config.data.holidays).values()))
        day = clock.day
        around = (-2 * day, -day, day, 2 * day)
        found.append(LevelsGroup(HOLIDAYS + config.data.holidays, ("holiday",), clock.season, around))
        found.append(LevelsGroup(NAMES + config.data.holidays, tuple(names), 1))
    return [one for one in found if one is not None]


def _two_values(values: Sequence[np.ndarray]) -> bool:
    return all(np.isin(one[np.isfinite(one)], (0.0, 1.0)).all() for one in values)


def _within_a_day(table: SeriesTable, clock: Clock) -> bool:
    return clock.day > 1 or table.frequency in ("D", "B")


def _calendar(clock: Clock) -> list[Group | None]:
    frequency = clock.table.frequency
    found: list[Group | None] = []
    if clock.day > 1 or frequency in ("D", "B"):
        days = tuple(day for day in WEEKDAYS if day != BASE)
        season = clock.season if clock.day > 1 else 1
        found.append(LevelsGroup(f"{DERIVED}weekday", days, season))
    if frequency.startswith(("MS", "ME", "QS", "QE", "BM", "BQ")):
        found.append(LevelsGroup(f"{DERIVED}month", tuple(f"{one:02d}" for one in range(2, 13)), 1))
    else:
        found.append(YearGroup())
    return found


@one_thread()
def fit_effects(table: SeriesTable, horizon: int, rows: Sequence[int], groups: Sequence[Group]) -> FittedEffects:
    """Learn the effects of groups of features.

    Parameters
    ----------
    table : SeriesTable
    horizon : int
        ``H``.
    rows : sequence of N int
        Rows of each series that are learned from; later ones are not read.
    groups : sequence of Group
        Learned from the same rows.

    Returns
    -------
    FittedEffects
        Without groups where none earns its place on held-out folds, or the series are too short.
    """
    cut = replace(table.cut(list(rows)), covariates=table.covariates.cut(rows))
    scales = fit_scaler(cut.values, cut.lengths.tolist(), cut.observed).std
    units = dict(zip(cut.ids, scales.tolist(), strict=True))
    names = [group.name for group in groups]

    def result(
        kept: Sequence[int], link: Link, fit: Fit | None, share: float, gains: dict[int, float]
    ) -> FittedEffects:
        chosen = tuple(groups[i] for i in kept)
        used = np.flatnonzero(np.isin(number, kept)) if len(groups) else np.empty(0, int)
        effects = Effects(
            chosen,
            link,
            fit.beta[used] if fit is not None else np.empty(0),
            units,
            {names[i]: gains[i] for i in kept},
            {names[i]: gains.get(i, 0.0) for i in range(len(groups)) if i not in kept},
            share,
        )
        folds = fit.out_of_fold[:, used] if fit is not None else np.empty((1, 0))
        return FittedEffects(effects, out_of_fold(effects, table, folds, rows), folds)

    number = np.repeat(np.arange(len(groups)), [group.width for group in groups])
    context = context_of(cut, horizon)
    places = (*origins(cut, context, horizon), fold_count(cut, horizon))
    learned = learn(Regression(cut, groups, number, units, places, context, horizon)) if groups else None
    if learned is None:
        return result((), "additive", None, 1.0, {})
    best, link = learned.fit, learned.link
    if not learned.earned:
        return result((), "additive", None, 1.0, best.gains)
    found = result(best.kept, link, best, learned.share, best.gains)
    if len(cut.ids) == 1:
        return found
    folds = best.out_of_fold[:, np.isin(number, best.kept)]
    own = _own(cut, found.effects, folds, by=learned.by(), scales=scales, origins=places[:2])
    if own is None:
        return found
    effects = replace(found.effects, own=own.beta, own_error=own.error)
    return FittedEffects(effects, out_of_fold(effects, table, own.out_of_fold, rows), own.out_of_fold)


@dataclass(frozen=True)
class Regression:
    """What effects are learned from.

    Attributes
    ----------
    table : SeriesTable
        Of the rows to learn from only.
    groups : sequence of Group
    number : (p,) int array
        Number of the group, or of the part of one, that each feature belongs to.
    units : dict of str to float
        Standard deviation of each series.
    origins : (M, 2) int array, (M,) int array, int
        Forecast origins, the fold of each, and the number of folds.
    context, horizon : int
    always : tuple of int
        Parts that are no gain: the effects must be better than these alone.
    links : tuple of Link
        Those that are compared.
    """

    table: SeriesTable
    groups: Sequence[Group]
    number: np.ndarray
    units: dict[str, float]
    origins: tuple[np.ndarray, np.ndarray, int]
    context: int
    horizon: int
    always: tuple[int, ...] = ()
    links: tuple[Link, ...] = ("additive", "multiplicative")

    def solve(self, link: Link, beta: np.ndarray) -> Filter:
        """Return the closed form of the table without effects."""
        rest = Effects(tuple(self.groups), link, beta, self.units).apart(self.table).rest
        return solve_filter(rest, self.context, self.horizon, evenly(self.horizon, MOST_STEPS))


@dataclass(frozen=True)
class Learned:
    """Coefficients, and the closed form beside them.

    ``share`` is the part of the error on held-out folds that they leave.
    """

    fit: Fit
    link: Link
    share: float
    by: Callable[[], Filter]

    @property
    def earned(self) -> bool:
        """Whether the effects earn their place."""
        return bool(self.fit.kept) and self.share <= 1 - MARGIN


def learn(of: Regression) -> Learned | None:
    """Choose groups, strengths and link on held-out folds; None without two folds that have targets."""
    pairs, fold, count = of.origins
    if len(np.unique(fold)) < 2:
        return None
    features, parts = Features(of.table, of.groups), range(int(of.number.max()) + 1)
    rough = np.concatenate([group.rough for group in of.groups])
    scales = np.array(list(of.units.values()))

    def sums(by: Filter, link: Link, beta: np.ndarray) -> Problem:
        return Problem(sum_up(features, scales, pairs, fold, count, by=by, link=link, beta=beta), of.number, rough)

    zero = np.zeros(features.width)
    plain = of.solve("additive", zero)
    first = sums(plain, "additive", zero)
    if len(first.folds) < 2:
        return None
    additive = first.choose(parts)
    second = sums(of.solve("additive", additive.beta), "additive", additive.beta)
    # a closed form that was solved again may be better on its own, which is no gain of the covariates
    without = [first.score((), 1.0, 1.0), second.score((), 1.0, 1.0)]
    found: list[tuple[Fit, Link]] = []
    if "additive" in of.links:
        found.append((second.choose(always=of.always), "additive"))
        without += [second.choose(of.always).score] if of.always else []
    if "multiplicative" in of.links and never_negative(known_values(of.table, ends(of.table))).all():
        fit, problem = _multiplicative(sums, of.solve, plain, zero, groups=len(parts), always=of.always)
        without += [problem.choose(of.always).score] if of.always else []
        better = not found or fit.score < found[0][0].score + math.log(1 - MARGIN)
        if fit.kept and better:
            found = [(fit, "multiplicative")]
    best, link = found[0] if found else (additive, of.links[0])
    share = math.exp(best.score - min(without)) if found and best.kept != of.always else 1.0
    return Learned(best, link, share, lambda: of.solve(link, best.beta))


def _own(
    table: SeriesTable,
    effects: Effects,
    folds: np.ndarray,
    *,
    by: Filter,
    scales: np.ndarray,
    origins: tuple[np.ndarray, np.ndarray],
) -> OwnFit | None:
    """Effects of single series around the pooled ones."""
    (pairs, fold), count, width = origins, len(folds), len(effects.beta)
    if not fits_in_memory(len(table.ids), count, width):
        return None
    features, sums = Features(table, effects.groups), []
    for index in range(len(table.ids)):
        of = pairs[:, 0] == index
        sums.append(sum_up(features, scales, pairs[of], fold[of], count, by=by, link=effects.link, beta=effects.beta))
    rough = np.concatenate([group.rough for group in effects.groups])
    return fit_own(sums, effects.beta, folds, rough)


@one_thread()
def add_windows(fitted: FittedEffects, table: SeriesTable, horizon: int, rows: Sequence[int]) -> FittedEffects:
    """Learn the effects of past and static covariates on what the effects of the known ones leave."""
    if not table.covariates.of("past") and not table.covariates.of("static"):
        return fitted
    rest = fitted.out_of_fold.rest.cut(list(rows))
    context, folds = context_of(rest, horizon), fold_count(rest, horizon)
    edges = stretches(context, Clock(rest).season)
    units = np.array([fitted.effects.unit(rest, index) for index in range(len(rest.ids))])
    windows = fit_windows(
        rest,
        rows,
        window_groups(table, rows, edges),
        edges=edges,
        units=units,
        origins=(*origins(rest, context, horizon), folds),
        solve=lambda: solve_filter(rest, context, horizon, np.arange(horizon)),
    )
    whole = replace(windows, table=fitted.out_of_fold.rest)
    return replace(fitted, effects=replace(fitted.effects, windows=windows.effects), windows=whole)


def _multiplicative(
    sums: Callable[[Filter, Link, np.ndarray], Problem],
    solve: Callable[[Link, np.ndarray], Filter],
    plain: Filter,
    zero: np.ndarray,
    *,
    groups: int,
    always: tuple[int, ...],
) -> tuple[Fit, Problem]:
    """Gauss-Newton with all groups, then the choice of groups, then one more step with those."""
    problem = sums(plain, "multiplicative", zero)
    fit = problem.choose(range(groups))
    for number in range(1, PASSES + 1):
        problem = sums(solve("multiplicative", fit.beta), "multiplicative", fit.beta)
        kept = fit.kept if number == PASSES else range(groups)
        fit = problem.choose(None if number == PASSES - 1 else kept, always)
    return fit, problem


def context_of(table: SeriesTable, horizon: int) -> int:
    """Context of the forecaster that effects are learned with."""
    season = Clock(table).season
    contexts = [one for one in feasible_contexts([table.lengths], horizon, season)[:2] if one <= LONGEST]
    return (contexts or [LONGEST - LONGEST % season if season < LONGEST else LONGEST])[-1]


def origins(table: SeriesTable, context: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `MOST_ORIGINS` origins, evenly spaced, (M, 2), and the fold of each, (M,).

    The rows of a series are divided into folds of at least two horizons; no origin has targets in two of them.
    """
    counts = np.maximum(table.lengths - context - horizon + 1, 0)
    total = int(counts.sum())
    if not total:
        return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.int64)
    ends_ = np.cumsum(counts)
    chosen = evenly(total, MOST_ORIGINS)
    series = np.searchsorted(ends_, chosen, side="right")
    rows = context + chosen - (ends_ - counts)[series]
    folds = fold_count(table, horizon)
    begin = rows * folds // table.lengths[series]
    end = (rows + horizon - 1) * folds // table.lengths[series]
    inside = begin == end
    return np.stack([series, rows], axis=1)[inside], begin[inside]


def fold_count(table: SeriesTable, horizon: int) -> int:
    """Return the number of folds."""
    return int(np.clip(np.median(table.lengths) // (2 * horizon), 1, FOLDS))


def solve_filter(table: SeriesTable, context: int, horizon: int, steps: np.ndarray) -> Filter:
    """Return the linear forecast in closed form of a table, as a map of values."""
    parts = scale_table(table, INNER_SPLIT).parts(context, horizon)
    if min(len(parts.train), len(parts.validation)) == 0:
        parts = scale_table(table, "none").parts(context, horizon)
    weight = solve(Sample(parts.train), Sample(parts.validation), context, None, ("season", "structure")).weight
    weight = weight[steps]
    return Filter(steps, weight + (1 - weight.sum(axis=1, keepdims=True)) / context)


def out_of_fold(effects: Effects, table: SeriesTable, folds: np.ndarray, rows: Sequence[int]) -> Apart:
    """Return a table without effects; those of each row were learned on the other folds, those after ``rows`` on all.

    ``folds`` are coefficients without each fold, (K, p), or those of each series, (N, K, p).
    """
    places = effects.places

    def combine(index: int, features: Features) -> np.ndarray:
        length, known = len(table.values[index]), int(rows[index])
        own, beta = folds if folds.ndim == 2 else folds[index], effects.coefficients(table.ids[index], places)
        edges = [-(-known * k // len(own)) for k in range(len(own) + 1)]
        parts = [features.combine(index, a, b, one) for a, b, one in zip(edges, edges[1:], own, strict=False)]
        return np.concatenate([*parts, features.combine(index, known, length, beta)])

    return Apart.split(effects, table, combine)
