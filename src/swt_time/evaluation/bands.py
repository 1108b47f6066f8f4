"""The wavelet bands of a series, their shares of its energy, and the reconstruction error."""

from dataclasses import dataclass

import numpy as np
import torch

from swt_time.errors import ConfigError
from swt_time.wavelets import FilterBank, iswt, swt


@dataclass(frozen=True)
class Bands:
    """The stationary wavelet transform of a standardised series, as the embedding computes it.

    Attributes
    ----------
    names : list of str, K
        ``A_J, D_J, ..., D_1``.
    coefficients : (K, T) float64 array
        In the energy-preserving normalisation.
    share : (K,) float64 array
        Share of each band in the energy of all bands; sums to 1. With an orthogonal wavelet and the periodic boundary,
        the energy of all bands is that of the series.
    error : float
        Largest absolute difference between the inverse transform and the series, in standard deviations.
    """

    names: list[str]
    coefficients: np.ndarray
    share: np.ndarray
    error: float


@torch.no_grad()
def decompose(values: np.ndarray, *, wavelet: str | FilterBank, level: int, boundary: str) -> Bands:
    """Standardise a series (T,) and decompose it into bands.

    Parameters
    ----------
    values : (T,) array
    wavelet : str or FilterBank
        Name of a wavelet, or learned filters.
    level : int
    boundary : str

    Raises
    ------
    ConfigError
        The wavelet or the boundary is unknown, or the level is too deep for the series.
    """
    std = values.std()
    z = torch.from_numpy((values - values.mean()) / (std if std > 0 else 1.0))
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
