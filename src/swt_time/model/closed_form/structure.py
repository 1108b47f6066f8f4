"""A structural map: a linear forecast of few numbers a step, fitted by least squares from second moments.

The forecast of step ``h`` is ``c + sum_g a_g(h) (f_g(h) - c)``, where ``c`` is the centre of the window, and
``f_g(h)`` the mean of the samples of group ``g``: those with a lag of the group, or those of the phase of ``h`` in the
seasons of the group. This is a linear restriction of a row of the map, ``W_h = sum_g a_g(h) F_g(h)`` with fixed rows
``F``, so its least squares follow from the same moments as those of a free map.
"""

import numpy as np

from swt_time.model.closed_form.moments import Moments

SEASON_GROUPS = ((1, 1), (2, 2), (3, 4), (5, 7), (8, 14), (15, 21))
"""First and last season of each group, counted back from the end of the window."""

LAG_GROUPS = ((1, 1), (2, 6), (7, 24), (25, 168))
"""First and last lag of each group; the newest sample has lag 1."""

TOLERANCE = 1e-10
"""Eigenvalues of the normal equations below this share of the largest one are taken as zero."""


def feature_rows(context: int, season: int, phase: int) -> np.ndarray:
    """Return the rows ``F`` of means over the samples of each group, (g, T).

    Parameters
    ----------
    context : int
        ``T``.
    season : int
        ``m``; with 1, or where the window is shorter than a season, there are lag groups only.
    phase : int
        The step of the horizon, from 0, modulo the season.
    """
    groups = [[context - lag for lag in _members(group, context)] for group in LAG_GROUPS]
    if 1 < season <= context:
        seasons = [_members(group, context // season) for group in SEASON_GROUPS]
        groups += [[context + phase - season * back for back in group] for group in seasons]
    groups = [group for group in groups if group]
    rows = np.zeros((len(groups), context))
    for row, group in zip(rows, groups, strict=True):
        row[group] = 1 / len(group)
    return rows


def structural_map(train: Moments, season: int, anchor: np.ndarray | None = None) -> np.ndarray:
    """Fit the structural map to windows; double precision, (H, T).

    Parameters
    ----------
    train : Moments
    season : int
        ``m``.
    anchor : ndarray, (H, T), optional
        The map that forecasts the centre ``c`` of a window; by default that is its mean, which is zero in moments.
    """
    context, horizon = train.products.shape
    residual = train if anchor is None else train.minus(anchor)
    found = np.zeros((horizon, context)) if anchor is None else anchor.copy()
    period = season if 1 < season <= context else 1
    for phase in range(min(period, horizon)):
        rows = feature_rows(context, season, phase)
        if anchor is not None:
            rows = rows - rows.sum(axis=1, keepdims=True) * anchor[:1]
        normal = rows @ train.inputs @ rows.T
        right = rows @ residual.products[:, phase::period]
        if len(train.partial):
            features = train.partial @ rows.T  # (G, g)
            missing = train.missing[:, phase::period]
            normals = normal - np.einsum("nf,nh,ng->hfg", features, missing, features, optimize=True)
            numbers = (_pseudo_inverse(normals) @ right.T[..., None])[..., 0]
        else:
            numbers = (_pseudo_inverse(normal) @ right).T
        found[phase::period] += numbers @ rows
    return found


def _members(group: tuple[int, int], most: int) -> list[int]:
    return [one for one in range(group[0], group[1] + 1) if one <= most]


def _pseudo_inverse(normal: np.ndarray) -> np.ndarray:
    return np.linalg.pinv(normal, rcond=TOLERANCE, hermitian=True)
