"""Fit candidate forecasters on a panel, judge them in held-out windows, and keep the winner or a convex combination."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from swt_time.panel.candidates import CANDIDATES, COMBINATION, NAIVE, forecast_candidates, judgeable, only
from swt_time.panel.combination import choose, find_sharpness, greedy_weights, window_errors
from swt_time.panel.fitted import FittedPanel
from swt_time.panel.history import Histories, describe
from swt_time.panel.origins import Origins, cuts_of, fitted_cuts, judged_cuts, longest_history, make_origins
from swt_time.panel.pooled import Pooled, fit_pooled
from swt_time.panel.rows import check_panel, check_steps

PRIOR_WEIGHTS = np.array([0, 0, 0, 0, 0, 0.5, 0.5])
"""Weights of the candidates before anything is judged."""

STRENGTHS = (0.003, 0.03, 0.3)
"""Strengths of the penalty of the pooled regression, among which held-out windows choose."""

MARGIN = 0.01
"""Part of the error by which a richer candidate must be better than a simpler one."""

TARGETS = 600_000
"""Most targets of all windows in a fit; of larger panels an even sample of the series is used."""


def fit_panel(panel: Sequence[ArrayLike], season: int, horizon: int, margin: float = MARGIN) -> FittedPanel:
    """Fit candidate forecasters on a panel of series and choose among them on held-out windows.

    The held-out windows are the last ``horizon`` values of each series and earlier ones: rolling origins, at each of
    which the candidates know only what lies before.

    Parameters
    ----------
    panel : sequence of array_like
        One-dimensional series of any length; NaN for unobserved values.
    season : int
        Season length in steps; 1 for none.
    horizon : int
        Steps to forecast.
    margin : float
        A richer candidate is kept only if its error is lower than that of each simpler one by this part.

    Returns
    -------
    FittedPanel

    Raises
    ------
    TableError
        A series has no observed value, an infinite value, or more than one dimension.
    ConfigError
        The season or the horizon is not a positive integer.

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(60)
    >>> panel = [level + time + 5 * np.sin(time * np.pi / 6) for level in (50, 80, 200)]
    >>> fitted = fit_panel(panel, season=12, horizon=6)
    >>> fitted.forecast(panel).shape
    (3, 6)
    >>> fitted.judged
    42
    """
    check_steps(season, horizon)
    series = check_panel(panel)
    cuts = cuts_of(horizon, len(series))
    every = -(-len(series) * len(cuts) * horizon // TARGETS)
    origins = make_origins(series[::every], cuts, season, horizon, longest_history(season))
    histories = describe(origins.histories, season, horizon)
    targets = np.ldexp(origins.targets, -histories.exponent[:, None])
    judges = judged_cuts(origins.cut, horizon)
    maps = {cut: fit_maps(histories, origins, targets, cut) for cut in [0, *fitted_cuts(judges)]}
    judged = judgeable(origins, judges)
    if not judged.any():
        middle = {0: (maps[0][0][1], maps[0][1][1])}
        strengths = (STRENGTHS[1], STRENGTHS[1])
        return FittedPanel(season, horizon, COMBINATION, {}, margin, 0, PRIOR_WEIGHTS, 0.0, strengths, middle)

    trials = [{cut: (one[0][k], one[1][k]) for cut, one in maps.items()} for k in range(len(STRENGTHS))]
    forecasts = [forecast_candidates(histories, origins, trial)[:, judged] for trial in trials]
    spread = histories.plain.spread[judged]
    truth = targets[judged]
    losses = np.array([window_errors(one, truth, spread).mean(axis=1) for one in forecasts])
    plain, log = (int(losses[:, CANDIDATES.index(name)].argmin()) for name in ("pooled", "log pooled"))
    candidates = forecasts[plain].copy()
    candidates[CANDIDATES.index("log pooled")] = forecasts[log][CANDIDATES.index("log pooled")]
    kept = {cut: (one[0][plain], one[1][log]) for cut, one in maps.items()}

    weights = greedy_weights(candidates, truth, spread, PRIOR_WEIGHTS)
    combined = np.tensordot(weights, candidates, 1)
    errors = window_errors(np.concatenate([candidates, combined[None]]), truth, spread).mean(axis=1)
    chosen = (*CANDIDATES, COMBINATION)[choose(errors, NAIVE, margin)]
    sharpness = 0.0
    if chosen == COMBINATION:
        own = np.isin(origins.cut[judged], list(maps))  # the origins at which a forecast judges a series again
        series_of, cut_of = origins.series[judged][own], origins.cut[judged][own]
        sharpness = find_sharpness(candidates[:, own], truth[own], spread[own], weights, series=series_of, cut=cut_of)
    else:
        weights = only(chosen)
    return FittedPanel(
        season,
        horizon,
        chosen,
        dict(zip((*CANDIDATES, COMBINATION), errors.tolist(), strict=True)),
        margin,
        int(judged.sum()),
        weights,
        sharpness,
        (STRENGTHS[plain], STRENGTHS[log]),
        kept if sharpness else {0: kept[0]},
    )


def fit_maps(
    histories: Histories, origins: Origins, targets: np.ndarray, cut: int
) -> tuple[list[Pooled], list[Pooled]]:
    """Fit the pooled regressions for all strengths on what is known at the origin ``cut`` values before the end."""
    known = np.where(np.isnan(origins.targets_before(cut)), np.nan, targets)
    windows = origins.cut > cut
    return (
        fit_pooled(histories.plain, known, windows, STRENGTHS),
        fit_pooled(histories.log, known, windows & histories.positive, STRENGTHS),
    )
