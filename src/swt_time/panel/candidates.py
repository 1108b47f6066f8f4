"""Candidate forecasters and their errors in held-out windows.

Shapes: ``C`` candidates, ``W`` windows, ``H`` horizon.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from swt_time.panel.combination import window_errors
from swt_time.panel.history import Histories
from swt_time.panel.origins import Origins
from swt_time.panel.pooled import Pooled

CANDIDATES = ("last value", "seasonal naive", "theta", "log theta", "dynamic theta", "pooled", "log pooled")
"""Candidates from the simplest to the richest. Those on the log scale equal the plain ones where values are not
positive."""

NAIVE = np.array([True, True, False, False, False, False, False, False])
"""Which of the candidates, and the combination, learn nothing."""

COMBINATION = "combination"
"""Name of the convex combination of all candidates."""


def forecast_candidates(
    histories: Histories, origins: Origins, maps: Mapping[int, tuple[Pooled, Pooled]]
) -> np.ndarray:
    """Return the forecasts of all candidates (C, W, H) in the units of the histories.

    A map serves the origins from its cut to the next map's; at origins before all maps the pooled forecasts are zero.
    """
    plain, log, positive = histories.plain, histories.log, histories.positive[:, None]
    last = np.broadcast_to(histories.last[:, None], histories.naive.shape)
    theta, dynamic = plain.restore(plain.theta), plain.restore(plain.dynamic)
    pooled, log_pooled = np.zeros_like(theta), np.zeros_like(theta)
    cuts = np.array(sorted(maps), dtype=int)
    for position, (on_plain, on_log) in enumerate(maps[cut] for cut in cuts.tolist()):
        here = np.searchsorted(cuts, origins.cut) == position
        pooled[here] = on_plain.forecast(plain.take(here))
        log_pooled[here] = on_log.forecast(log.take(here))
    log_theta = np.where(positive, log.restore(log.theta), theta)
    log_pooled = np.where(positive, log_pooled, pooled)
    stacked = np.stack([last, histories.naive, theta, log_theta, dynamic, pooled, log_pooled])
    return np.where(histories.nonnegative[:, None], np.maximum(stacked, 0.0), stacked)


def only(name: str) -> np.ndarray:
    """Return weights that are one for a candidate and zero for the others."""
    return np.array([float(one == name) for one in CANDIDATES])


def judgeable(origins: Origins, cuts: Sequence[int]) -> np.ndarray:
    """Return which windows (W,) are held out: at one of the cuts other than 0, with a known target."""
    at = np.isin(origins.cut, [cut for cut in cuts if cut])
    return np.asarray(at & ~np.isnan(origins.targets).all(axis=1))


def judge(candidates: np.ndarray, histories: Histories, origins: Origins, judged: np.ndarray) -> np.ndarray:
    """Return the errors of candidates in held-out windows."""
    targets = np.ldexp(origins.targets, -histories.exponent[:, None])
    return window_errors(candidates[:, judged], targets[judged], histories.plain.spread[judged])
