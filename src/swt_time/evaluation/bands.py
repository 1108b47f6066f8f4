"""A series taken apart: its bands on one time axis, their share of the energy, and how exactly they add up."""

from dataclasses import dataclass

import numpy as np
import torch

from swt_time.errors import ConfigError
from swt_time.wavelets import FilterBank, iswt, swt


@dataclass(frozen=True)
class Bands:
    """The stationary wavelet transform of one standardised series, as the embedding sees it.

    Attributes
    ----------
    names : list of str, K
        ``A_J, D_J, ..., D_1``.
    coefficients : (K, T) float64 array
        With the energy-preserving normalisation.
    share : (K,) float64 array
        Each band's part of the energy of all bands; sums to 1. With an orthogonal wavelet and the periodic
        boundary the bands' energy is the signal's own.
    error : float
        Largest deviation of the inverse transform from the series, in standard deviations.
    """

    names: list[str]
    coefficients: np.ndarray
    share: np.ndarray
    error: float


@torch.no_grad()
def take_apart(values: np.ndarray, *, wavelet: str | FilterBank, level: int, boundary: str) -> Bands:
    """Standardise a series (T,) and transform it, with a named wavelet or with learned filters.

    Raises
    ------
    ConfigError
        Unknown wavelet or boundary, or a level too deep for the series.
    """
    deviation = values.std()
    z = torch.from_numpy((values - values.mean()) / (deviation if deviation > 0 else 1.0))
    try:
        coefficients = swt(z, wavelet, level=level, boundary=boundary, norm=True)
        back = iswt(coefficients, wavelet, boundary=boundary, norm=True)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    energy = coefficients.square().sum(dim=-1)
    total = energy.sum()
    names = [f"A_{level}", *(f"D_{j}" for j in range(level, 0, -1))]
    share = energy / total if total > 0 else torch.zeros_like(energy)
    return Bands(names, coefficients.numpy(), share.numpy(), float((back - z).abs().max()))
