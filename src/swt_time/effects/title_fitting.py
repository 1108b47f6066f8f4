"""Learn the effects of titles: on series whose titles are held out, so that they hold for titles of new series."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from swt_time.data.series import SeriesTable
from swt_time.effects.effects import Effects
from swt_time.effects.fitting import FOLDS, FittedEffects, Regression, context_of, learn, origins, out_of_fold
from swt_time.effects.titles import SEASONS, TITLES, TitleGroup
from swt_time.machine import one_thread

LEAST_TITLES = 2 * FOLDS
"""Fewest distinct titles that effects are learned from."""


@one_thread()
def add_titles(fitted: FittedEffects, table: SeriesTable, horizon: int, rows: Sequence[int]) -> FittedEffects:
    """Learn the effects of titles on what the effects of known covariates leave; these are pooled over all series.

    All series are learned from; those with at least `SEASONS` seasons of rows are then forecast as without titles.

    Parameters
    ----------
    fitted : FittedEffects
        Of known covariates.
    table : SeriesTable
    horizon : int
    rows : sequence of N int
        Rows of each series that are learned from; later ones are not read.

    Returns
    -------
    FittedEffects
        With those of titles if they gain on folds of series whose titles are held out. Folds of rows would not do:
        a title of which other rows are known identifies its series, whatever it says.
    """
    group = TitleGroup.fit(table, rows)
    if group is None or len(group.keys) < LEAST_TITLES:
        return without(fitted) if table.covariates.titles is not None else fitted
    known, rest = fitted.effects, fitted.out_of_fold.rest
    cut = replace(rest.cut(list(rows)), covariates=rest.covariates.cut(rows))
    # hashes are in no order, so neither are the folds
    fold_of = np.array([group.series.get(name, -1) % FOLDS for name in cut.ids])
    titled = np.array([name in group.series for name in cut.ids])
    context = context_of(cut, horizon)
    pairs, _ = origins(cut, context, horizon)
    pairs = pairs[titled[pairs[:, 0]]]
    number = (np.arange(group.width) >= group.shared).astype(np.int64)
    learned = learn(
        Regression(
            cut,
            [group],
            number,
            dict(known.scales),
            (pairs, fold_of[pairs[:, 0]], FOLDS),
            context,
            horizon,
            always=(0,),
            links=(known.link,) if known.groups else ("additive", "multiplicative"),
        )
    )
    if learned is None or not learned.earned:
        return without(fitted, 0.0 if learned is None else learned.fit.gains[1])
    used = replace(group, longest=SEASONS * group.season - 1)
    fit, count = learned.fit, fitted.folds.shape[-2]
    own = np.where(titled[:, None], fit.out_of_fold[fold_of], fit.beta)  # (N, p)
    folds = np.broadcast_to(fitted.folds, (len(cut.ids), count, fitted.folds.shape[-1]))
    folds = np.concatenate([folds, np.repeat(own[:, None], count, axis=1)], axis=2)
    effects = replace(
        known,
        groups=(*known.groups, used),
        link=learned.link,
        beta=np.concatenate([known.beta, fit.beta]),
        gains={**known.gains, TITLES: fit.gains[1]},
        error=known.error * learned.share,
        own=None if known.own is None else np.concatenate([known.own, np.tile(fit.beta, (len(known.own), 1))], axis=1),
    )
    return FittedEffects(effects, out_of_fold(effects, table, folds, rows), folds)


def without(fitted: FittedEffects, gain: float = 0.0) -> FittedEffects:
    """Effects that say that those of titles were left out, and what they would gain."""
    effects: Effects = replace(fitted.effects, left_out={**fitted.effects.left_out, TITLES: gain})
    return replace(fitted, effects=effects)
