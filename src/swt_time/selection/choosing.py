"""Choose context, wavelet and candidates on held-out blocks of a table.

Every block is forecast by candidates that were fitted on the rows before it. The context and the wavelet are those of
the closed form with the lowest error. The forecast is then that closed form, the panel (`swt_time.panel`: last value,
seasonal naive, Theta and a pooled regression, combined), or a convex combination of both. Where series have a daily
season and weeks of rows, a weekly map (`swt_time.panel.weekly`) has a weight beside these.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from swt_time.config import Config
from swt_time.config.choices import ClosedFormPart
from swt_time.data.frequency import day_length, season_length
from swt_time.data.origins import contexts_at, known_values
from swt_time.data.parts import PartWindows, ScaledTable, scale_table
from swt_time.data.series import SeriesTable
from swt_time.data.splits import split_borders
from swt_time.data.windows import evenly
from swt_time.intervals import Residuals
from swt_time.machine import one_thread
from swt_time.model.closed_form import Prior, solve
from swt_time.panel import CANDIDATES, fit_panel, fit_weekly, longest_history, longest_weekly, reach, shortest_weekly
from swt_time.selection.blend import Blend
from swt_time.selection.blocks import MOST_ORIGINS, Block, held_out_blocks
from swt_time.selection.contexts import SHORTEST, WAVELETS, feasible_contexts, fit_sizes
from swt_time.selection.errors import HeldOut
from swt_time.training import Compared

MARGIN = 0.01
"""Share of the error by which a richer choice must be better than a simpler one."""

CLOSED_FORM, PANEL, WEEKLY = "closed form", "panel", "weekly map"

INNER_SPLIT = "0.85/0.15/0"
"""Parts of the rows before a block: the closed form is fitted on the first and its strength chosen on the second."""

MOST_WINDOWS = 2**13
"""Most training windows of a candidate that are read one by one."""

MOST_CONSECUTIVE = 2**20
"""Most windows of a candidate that are summed over without reading each one; see `swt_time.model.closed_form`."""

FORMS: tuple[ClosedFormPart, ...] = ("season", "structure", "last")
"""What the closed form of a candidate tries, of what the configuration names; the others take longer than they matter
for a comparison."""

DOUBT = 0.25
"""A closed form that is preferred to mixtures is not mixed for less doubt than this."""

SPARE = 64
"""Series that a panel is fitted on which forecasts none of the table."""

WEIGHTS = np.linspace(0.0, 1.0, 11)
"""Weights of the closed form beside the panel, and of the weekly map beside both, that are tried."""


@dataclass(frozen=True)
class Choice:
    """What was chosen on held-out blocks.

    Attributes
    ----------
    weights : dict of str to float
        Weight of the network (the closed form, with a language model its forecast) and of the panel in the forecast,
        and of the weekly map where it was tried.
    errors : dict of str to float
        Mean absolute error of each candidate on the held-out blocks, in units of the seasonal naive error of each
        series; empty if the series are too short for a block.
    blocks, points : int
        Held-out blocks of the longest series, and observed values in all blocks.
    panel : str
        What the panel consists of, once it is fitted.
    series : int
        Series that were judged; of many an even sample (`swt_time.selection.blocks`).
    """

    weights: Mapping[str, float]
    errors: Mapping[str, float] = field(default_factory=dict)
    blocks: int = 0
    points: int = 0
    panel: str = ""
    series: int = 0

    def lines(self) -> list[str]:
        """Describe the choice, one line for each candidate."""
        chosen = " + ".join(f"{weight:.0%} {name}" for name, weight in self.weights.items() if weight > 0)
        panel = [f"the panel: {self.panel}"] if self.weights[PANEL] > 0 and self.panel else []
        if not self.errors:
            return [f"forecast by: {chosen} (the series are too short to compare it with a closed form)", *panel]
        lines = [
            f"forecast by: {chosen}, chosen on {self.blocks} held-out blocks ({self.points:,} values); mean absolute "
            "error in units of seasonal naive:"
        ]
        ordered = sorted(self.errors.items(), key=lambda x: x[1])
        doubted = []
        if self.weights[PANEL] == 1 and ordered[0][0] != PANEL:
            doubted = [
                f"the panel alone, since the gain of {ordered[0][0]} differs too much between the blocks to be sure"
            ]
        return lines + panel + doubted + [f"  {name:28} {error:.4f}" for name, error in ordered]


@one_thread()
def choose(
    table: SeriesTable, config: Config, report: Callable[[Compared], None] = lambda event: None
) -> tuple[Config, Choice, Residuals | None]:
    """Choose everything that a configuration leaves open.

    Parameters
    ----------
    table : SeriesTable
        A test part of ``data.split`` is not read.
    config : Config
        With ``auto`` values, or ``model.panel``.
    report : callable
        Called after each candidate.

    Returns
    -------
    config : Config
        Without ``auto`` values.
    choice : Choice
    residuals : Residuals or None
        Of the chosen forecast on the blocks; None if there are no blocks.
    """
    horizon, season = config.data.horizon, season_length(table.frequency)
    if config.data.split == "auto":
        config = config.replace({"data.split": choose_split(table.lengths, config)})
    else:
        table = without_test(table, config.data.split)
    history = min(longest_history(season), int(table.lengths.max()))
    blocks = held_out_blocks(table.lengths, horizon, history)
    known = [block.rows for block in blocks] or [table.lengths]
    if config.data.context == "auto":
        contexts = feasible_contexts(known, horizon, season)
        shortest = SHORTEST
    else:
        shortest = config.data.steps
        contexts = [shortest] if min(int(rows.max()) for rows in known) >= shortest + horizon else []
    if not blocks or not contexts:
        settled = _settle(config, contexts[0] if contexts else shortest, _first_wavelet(config))
        residuals = None
        if blocks:
            found = [_Before(table, block).panel(horizon, season) for block in blocks]
            residuals = HeldOut(table, blocks, horizon, season).residuals(np.concatenate(found))
        return settled, Choice({CLOSED_FORM: 0.0, PANEL: 1.0}), residuals
    held_out = HeldOut(table, blocks, horizon, season)
    forecasts: dict[str, np.ndarray] = {}
    errors: dict[str, float] = {}

    before = [_Before(table, block) for block in blocks]

    def judge(name: str, forecast: Callable[[_Before], np.ndarray], otherwise: np.ndarray | float = np.nan) -> float:
        began = time.perf_counter()
        found = np.concatenate([forecast(one) for one in before])
        forecasts[name] = np.where(np.isnan(found), otherwise, found)
        errors[name] = held_out.error(forecasts[name])
        report(Compared(name, errors[name], time.perf_counter() - began))
        return errors[name]

    priors = set()

    def judge_closed_form(one: Config) -> float:
        def forecast(known: _Before) -> np.ndarray:
            found, prior = known.closed_form(one)
            priors.add(prior)
            return found

        return judge(_name(one), forecast)

    best = min((_settle(config, context, _first_wavelet(config)) for context in contexts), key=judge_closed_form)
    if config.embedding.wavelet == "auto" and "wavelet" in priors:
        least = min(errors.values())
        for name in WAVELETS[1:]:
            other = _settle(config, best.data.steps, name)
            if judge_closed_form(other) < (1 - MARGIN) * least:
                best, least = other, errors[_name(other)]
    judged = Choice({}, errors, len(blocks), held_out.points, series=len(np.unique(held_out.pairs[:, 0])))
    if not config.model.panel:
        alone = replace(judged, weights={CLOSED_FORM: 1.0, PANEL: 0.0})
        return best, alone, held_out.residuals(forecasts[_name(best)])
    judge(PANEL, lambda known: known.panel(horizon, season))

    def beside(name: str, others: np.ndarray, alone: bool) -> tuple[float, np.ndarray]:
        def mix(weight: float) -> np.ndarray:
            return weight * forecasts[name] + (1 - weight) * others

        weight = best_weight(np.array([held_out.by_group(mix(one)) for one in WEIGHTS.tolist()]), alone)
        return weight, mix(weight)

    weight, combined = beside(_name(best), forecasts[PANEL], alone=True)
    weights = {CLOSED_FORM: weight, PANEL: 1 - weight}
    day = day_length(table.frequency)
    if day > 1 and max(int(block.rows.max()) for block in blocks) >= shortest_weekly(day, horizon):
        judge(WEEKLY, lambda known: known.weekly(day, horizon), combined)
        share, combined = beside(WEEKLY, combined, alone=False)
        weights = {name: (1 - share) * one for name, one in weights.items()} | {WEEKLY: share}
    if max(weights.values()) < 1:
        errors["combination"] = held_out.error(combined)
    return best, replace(judged, weights=weights), held_out.residuals(combined)


def fit_blend(table: SeriesTable, config: Config, choice: Choice) -> tuple[Blend, Choice]:
    """Fit the panel and the weekly map on all rows but those of a test part, beside the network with its chosen weight.

    A panel without weight forecasts only series that are shorter than the context. It is fitted on as many series as it
    was judged with, or on `SPARE` where the table has no such series.
    The weekly map is fitted if it has weight, on as many series as it was judged with.
    """
    table = without_test(table, config.data.split)
    short = table.lengths.min() < config.data.steps
    most = len(table.ids) if choice.weights[PANEL] > 0 else MOST_ORIGINS if short else SPARE
    series = evenly(len(table.ids), most)
    season, horizon = season_length(table.frequency), config.data.horizon
    known = known_values(table, np.stack([series, table.lengths[series]], axis=1), reach(season, horizon, len(series)))
    panel = fit_panel(known, season, horizon)
    parts = sorted(zip(panel.weights.tolist(), CANDIDATES, strict=True), reverse=True)
    described = " + ".join(f"{weight:.0%} {name}" for weight, name in parts if weight >= 0.005)
    weekly, share = None, choice.weights.get(WEEKLY, 0.0)
    if share > 0:
        series = evenly(len(table.ids), MOST_ORIGINS)
        day = day_length(table.frequency)
        known = known_values(table, np.stack([series, table.lengths[series]], axis=1), longest_weekly(day, horizon))
        weekly = fit_weekly(known, day, horizon)
    return Blend(choice.weights[CLOSED_FORM], panel, weekly, share), replace(choice, panel=described)


def without_test(table: SeriesTable, split: str) -> SeriesTable:
    """Return the rows of each series before its test part."""
    return table.cut([split_borders(rows, split).test[0] for rows in table.lengths.tolist()])


def choose_split(lengths: np.ndarray, config: Config) -> str:
    """All rows for training; but a network that is trained by gradients needs a validation part.

    The validation part is a fifth of the rows, or as much as the horizon needs; where that would be more than half of a
    typical series there is none.
    """
    if config.training.max_steps == 0:
        return "none"
    share = max(0.2, (config.data.horizon + 2) / float(np.median(lengths)))
    return "none" if share > 0.5 else f"{1 - round(share, 2):g}/{round(share, 2):g}/0"


def _first_wavelet(config: Config) -> str:
    return WAVELETS[0] if config.embedding.wavelet == "auto" else config.embedding.wavelet


def _name(config: Config) -> str:
    return f"{CLOSED_FORM}, context {config.data.steps}, {config.embedding.wavelet}"


def _settle(config: Config, context: int, wavelet: str) -> Config:
    """Return the configuration with a context and a wavelet, and with levels and patches that fit them."""
    return config.replace({"embedding.wavelet": wavelet, **fit_sizes(config, context)})


def best_weight(errors: np.ndarray, alone: bool = True) -> float:
    """Choose the weight of the closed form beside the panel, or of the weekly map beside both.

    It is the weight with the lowest mean error times ``1 - d`` with the doubt ``d = (s / gain)^2 (G + 3) / (G - 1)``,
    where ``gain`` is that over the panel alone and ``s`` its standard error over ``G`` groups of origins. So the less
    certain the gain, the more the forecast stays with the panel; one group alone, or groups that disagree, leave it
    there, and a gain within the margin counts as none.

    Source: the factor is that of James and Stein (1961), with an allowance for a standard error of few groups.

    Parameters
    ----------
    errors : (W, G) array
        Errors of each of `WEIGHTS` on each group.
    alone : bool
        Whether the weight is one if that is within the margin of the lowest error and there is little doubt, because a
        mixture takes the time of both.

    Returns
    -------
    float
        From 0 to 1, a multiple of 0.1.
    """
    means = errors.mean(axis=1)
    best = int(np.argmin(means))
    if alone and means[-1] <= (1 + MARGIN) * means[best]:
        best = len(WEIGHTS) - 1
    gains = errors[0] - errors[best]
    count, gain = len(gains), gains.mean()
    if count < 2 or gain <= MARGIN * means[0]:
        return 0.0
    doubt = gains.var(ddof=1) / count / gain**2 * (count + 3) / (count - 1)
    if alone and best == len(WEIGHTS) - 1 and doubt < DOUBT:
        return 1.0
    return float(round(WEIGHTS[best] * max(1 - doubt, 0.0), 1))


@dataclass(frozen=True)
class _Before:
    """The rows before a block, on which candidates are fitted; scaled once for all of them."""

    table: SeriesTable
    block: Block

    @cached_property
    def used(self) -> SeriesTable:
        """The series of the block, with all their rows."""
        return self.table.select(self.block.series.tolist())

    @cached_property
    def split(self) -> ScaledTable:
        return scale_table(self.used.cut(self.block.rows.tolist()), INNER_SPLIT)

    @cached_property
    def whole(self) -> ScaledTable:
        return scale_table(self.used.cut(self.block.rows.tolist()), "none")

    def closed_form(self, config: Config) -> tuple[np.ndarray, str]:
        """Forecasts of the block (M, H) by the closed form of the rows before it, and the kind of its prior."""
        context, horizon = config.data.steps, config.data.horizon
        parts = self.split.parts(context, horizon)
        if min(len(parts.train), len(parts.validation)) == 0:
            parts = self.whole.parts(context, horizon)
        prior = Prior(config.embedding.wavelet, config.embedding.levels, config.embedding.boundary)
        forms = [one for one in config.model.closed_form if one in FORMS]
        solution = solve(Sample(parts.train), Sample(parts.validation), context, prior, forms)
        weight = solution.weight
        origins = self.block.origins
        places = np.searchsorted(self.block.series, origins[:, 0])
        contexts = contexts_at(self.used, np.stack([places, origins[:, 1]], axis=1), context, parts.scaler)
        mean = np.nanmean(contexts, axis=1, keepdims=True)
        return parts.scaler.invert(mean + np.nan_to_num(contexts - mean) @ weight.T, places), solution.prior

    def panel(self, horizon: int, season: int) -> np.ndarray:
        """Forecasts of the block (M, H) by the panel of the rows before it."""
        block, most = self.block, reach(season, horizon, len(self.block.series))
        panel = fit_panel(known_values(self.table, np.stack([block.series, block.rows], axis=1), most), season, horizon)
        return panel.forecast(known_values(self.table, block.origins, most))

    def weekly(self, day: int, horizon: int) -> np.ndarray:
        """Forecasts of the block (M, H) by the weekly map of the rows before it, NaN for series that are too short."""
        block, most = self.block, longest_weekly(day, horizon)
        weekly = fit_weekly(known_values(self.table, np.stack([block.series, block.rows], axis=1), most), day, horizon)
        if weekly is None:
            return np.full((len(block.origins), horizon), np.nan)
        return weekly.forecast(known_values(self.table, block.origins, most))


class Sample:
    """At most `MOST_WINDOWS` windows of a part, evenly spaced; enough to compare candidates.

    Parameters
    ----------
    part : PartWindows
    """

    def __init__(self, part: PartWindows) -> None:
        self.part, self.indices = part, evenly(len(part), MOST_WINDOWS) if len(part) else np.empty(0, dtype=np.int64)

    @property
    def season(self) -> int:
        """Rows of a season."""
        return self.part.season

    def __len__(self) -> int:
        return len(self.indices)

    def places(self, indices: np.ndarray) -> np.ndarray:
        """Series index and first context row of each window."""
        return self.part.places(self.indices[indices])

    def gather(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Contexts and targets of each window."""
        return self.part.gather(self.indices[indices])

    def runs(self) -> list[np.ndarray] | None:
        """Return the rows that all windows of the part cover, unless they are very many; their sums cost no more."""
        return self.part.runs() if len(self.part) <= MOST_CONSECUTIVE else None
