"""Forecast origins: every series of a panel cut off at several places, with the targets that follow.

Shapes: ``W`` windows, one for each series and origin; ``H`` horizon.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CUTS = (12, 60)
"""Fewest and most origins before the end of the panel."""

WINDOWS = 600
"""Windows that a panel of few series has, if they are long enough, by more origins."""

CUTS_PER_HORIZON = 3
"""Origins within one horizon."""

JUDGES = 8
"""Origins at which the pooled regressions are fitted again, for forecasts that are compared with what followed."""

JUDGED = 2 / 3
"""Share of the origins at which candidates are judged, if that is more: the earlier ones have no regression."""


@dataclass(frozen=True)
class Origins:
    """Windows of a panel.

    Attributes
    ----------
    histories : list of ndarray
        What is known of a series at the origin of a window.
    targets : ndarray (W, H)
        What followed; NaN where it is not in the panel or was not observed.
    series : ndarray of int (W,)
        Position of the window's series in the panel.
    cut : ndarray of int (W,)
        Values between the origin and the end of the series.
    """

    histories: list[np.ndarray]
    targets: np.ndarray
    series: np.ndarray
    cut: np.ndarray

    def targets_before(self, cut: int) -> np.ndarray:
        """Return the targets with NaN for those that lie behind the origin ``cut`` values before the end."""
        later = np.arange(1, self.targets.shape[1] + 1) > self.cut[:, None] - cut
        return np.where(later, np.nan, self.targets)


def shortest_window(season: int) -> int:
    """Observed values that a series must have before an origin for a training window."""
    return max(6, season + 2)


def longest_history(season: int) -> int:
    """Return how many of the latest values of a series are used."""
    return max(120, 10 * season)


def reach(season: int, horizon: int, count: int) -> int:
    """Return how many of the latest values of gapless series a fit of ``count`` series and its forecasts use."""
    return longest_history(season) + cuts_of(horizon, count)[-1] + horizon


def cuts_of(horizon: int, count: int) -> list[int]:
    """Return the cuts of all origins of a panel of ``count`` series, the end of the panel first."""
    step = -(-horizon // CUTS_PER_HORIZON)
    return [step * k for k in range(int(np.clip(-(-WINDOWS // count), *CUTS)) + 1)]


def judged_cuts(cuts: np.ndarray, horizon: int) -> list[int]:
    """Choose the origins to judge candidates at.

    They are the latest ones with a whole horizon after them, else the earliest one.

    Parameters
    ----------
    cuts : ndarray of int (W,)
        Cuts of the windows that exist.
    horizon : int
    """
    found = sorted(set(cuts[cuts > 0].tolist()))
    whole = [cut for cut in found if cut >= horizon]
    return whole[: max(JUDGES, int(JUDGED * len(whole)))] or found[-1:]


def fitted_cuts(judged: Sequence[int]) -> list[int]:
    """Choose at most about `JUDGES` of the judged origins, the earliest among them.

    What is fitted at one of them serves the judged origins from there to the next later one: it knows less than they
    do, never more.
    """
    every = max(-(-len(judged) // JUDGES), 1)
    return sorted({*judged[every - 1 :: every], *judged[-1:]})


def make_origins(series: Sequence[np.ndarray], cuts: Sequence[int], season: int, horizon: int, longest: int) -> Origins:
    """Cut every series off at every origin where it is long enough; at cut 0 always.

    Parameters
    ----------
    series : sequence of ndarray
        As ``check_panel`` returns them.
    cuts : sequence of int
    season, horizon : int
    longest : int
        Longest history of a window; older values are left out.
    """
    needed = shortest_window(season)
    histories, targets, owners, where = [], [], [], []
    for position, one in enumerate(series):
        seen = np.cumsum(~np.isnan(one))
        for cut in cuts:
            end = len(one) - cut
            if cut and (end < 1 or seen[end - 1] < needed):
                continue
            history = one[max(0, end - longest) : end]
            if np.isnan(history).all():
                if cut:
                    continue
                history = one[:end]
            target = np.full(horizon, np.nan)
            following = one[end : end + horizon]
            target[: len(following)] = following
            histories.append(history)
            targets.append(target)
            owners.append(position)
            where.append(cut)
    return Origins(histories, np.array(targets).reshape(-1, horizon), np.array(owners, int), np.array(where, int))
