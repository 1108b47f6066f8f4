"""Priors of the linear map: penalties ``R``, the inverse of the covariance ``R^-1`` of a row of the map.

- *Wavelet*: ``R^-1 = sum_k tilt^(J - k) S_k' S_k``, where ``S_k`` (T, T) is the normalised stationary wavelet transform
  of band ``k`` in [A_J, D_J, ..., D_1]. With ``tilt`` 1 all bands are penalised equally, below 1 the coarse bands more
  than the fine ones, above 1 the fine bands more. For a tight frame, ``tilt`` 1 gives the identity.
- *Season*: ``R^-1 = D^1/2 (I + 10 P) D^1/2`` with ``D = 1 / (1 + lag / m)`` and ``P_ij = m / T`` where ``i`` and ``j``
  have the same phase of the season ``m``, else 0: weights of older samples are smaller, those of one phase are alike.
- *Plain*: the identity, ridge regression (Hoerl and Kennard, 1970).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from swt_time.model.closed_form.impulses import band_matrices
from swt_time.model.closed_form.linear_algebra import Cholesky
from swt_time.wavelets import Boundary

TILTS = (0.25, 0.5, 1.0, 2.0)
"""Tilts that are tried."""

PHASE_WEIGHT = 10.0
"""Weight of the samples of one phase together, compared with that of each sample for itself, in the season prior."""


class Prior(NamedTuple):
    """Wavelet transform whose bands the wavelet prior weights; arguments of `swt_time.wavelets.swt`."""

    wavelet: str
    level: int
    boundary: Boundary


class Penalty(NamedTuple):
    """A penalty ``R`` and its inverse, both (T, T), with the name and the tilt of the prior."""

    name: str
    tilt: float
    matrix: np.ndarray
    covariance: np.ndarray


def band_grams(context: int, wavelet: str, level: int, boundary: Boundary) -> list[np.ndarray]:
    """Return ``S_k' S_k`` of each band, each of shape (T, T), in double precision."""
    return [band.T @ band for band in band_matrices(context, wavelet, level, boundary)]


def penalties(grams: Sequence[np.ndarray] | None, context: int) -> list[Penalty]:
    """Return the penalty of the wavelet prior for each tilt.

    Parameters
    ----------
    grams : sequence of ndarray, optional
        Result of `band_grams`; None gives the plain prior only.
    context : int
        ``T``.
    """
    if grams is None:
        identity = np.eye(context)
        return [Penalty("plain", 1.0, identity, identity)]
    found = []
    for tilt in TILTS:
        covariance = sum(tilt ** (len(grams) - 1 - k) * gram for k, gram in enumerate(grams))
        assert isinstance(covariance, np.ndarray)
        found.append(_penalty("wavelet", tilt, covariance))
    return found


@lru_cache(maxsize=2)
def wavelet_penalties(context: int, prior: Prior | None) -> tuple[Penalty, ...]:
    """Return the penalties of a transform's wavelet prior, or of the plain prior.

    Kept for the next call, since held-out blocks are solved with the same prior one after the other; read only.
    """
    return tuple(penalties(band_grams(context, *prior) if prior else None, context))


@lru_cache(maxsize=2)
def season_penalty(context: int, season: int) -> Penalty:
    """Return the penalty of the season prior, whose covariance has a mean diagonal of 1; kept and read only as well.

    Parameters
    ----------
    context : int
        ``T``.
    season : int
        ``m``; with 1, the mean of the whole window takes the place of the phases.
    """
    position = np.arange(context)
    decay = (1 + (context - 1 - position) / season) ** -0.5
    same = (position[:, None] - position[None, :]) % season == 0
    phases = same * (PHASE_WEIGHT * season / context)
    covariance = decay[:, None] * (np.eye(context) + phases) * decay[None, :]
    return _penalty("season", 1.0, covariance / covariance.diagonal().mean())


def _penalty(name: str, tilt: float, covariance: np.ndarray) -> Penalty:
    return Penalty(name, tilt, Cholesky(covariance).inverse(), covariance)
