"""Learnable filter banks: orthogonal by construction (``lattice``) or two free filters (``free``)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swt_time.wavelets.filters import FilterBank, filter_bank
from swt_time.wavelets.lattice import angles_of, lattice_filters


def alternate(taps: Tensor) -> Tensor:
    """Return ``(-1)**k taps[k]``, which turns a low-pass into a high-pass and cancels aliasing between two banks."""
    sign = 1 - 2 * (torch.arange(taps.shape[-1], device=taps.device) % 2)
    return taps * sign


class LatticeFilters(nn.Module):
    """Orthogonal filter bank with learnable rotation angles; it reconstructs perfectly for any angles.

    Parameters
    ----------
    wavelet : str
        An orthogonal wavelet of at most 30 taps, which the angles are initialised from.

    Attributes
    ----------
    angles : Parameter, shape (L/2 - 1,)
        A two-tap filter has none: the zero-mean condition fixes Haar.
    """

    def __init__(self, wavelet: str) -> None:
        super().__init__()
        self.start = filter_bank(wavelet)
        self.angles = nn.Parameter(angles_of(self.start.dec_lo, wavelet).to(torch.get_default_dtype()))

    def forward(self) -> FilterBank:
        """Return the bank of the current angles, in float64 (float32 on MPS, which has no float64)."""
        precise = torch.float32 if self.angles.device.type == "mps" else torch.float64
        low, high = lattice_filters(self.angles.to(precise))
        return FilterBank(low, high, low.flip(-1), high.flip(-1), "lattice", self.start.turned, self.start.lead)


class FreeFilters(nn.Module):
    """Unconstrained learnable low-pass and high-pass, with a penalty on the reconstruction error.

    Parameters
    ----------
    wavelet : str
        Any discrete wavelet, which the filters are initialised from.

    Attributes
    ----------
    dec_lo, dec_hi : Parameter, shape (L,)
    """

    def __init__(self, wavelet: str) -> None:
        super().__init__()
        self.start = filter_bank(wavelet)
        dtype = torch.get_default_dtype()
        self.dec_lo = nn.Parameter(self.start.dec_lo.to(dtype, copy=True))
        self.dec_hi = nn.Parameter(self.start.dec_hi.to(dtype, copy=True))

    def forward(self) -> FilterBank:
        """Return the bank of the current filters; its synthesis filters cancel aliasing by construction."""
        low, high = self.dec_lo, self.dec_hi
        return FilterBank(low, high, -alternate(high), alternate(low), "free", self.start.turned, self.start.lead)

    def penalty(self) -> Tensor:
        """Return the squared reconstruction error ``sum_n ((h0*g0 + h1*g1 - 2 delta)[n])**2``.

        With synthesis filters that cancel aliasing, this distortion is the only reconstruction error (Vaidyanathan
        1993, section 5.6; used as a soft constraint by Wolter, arXiv 2004.09569).
        """
        bank = self()
        taps = len(bank)
        analysis = torch.stack((bank.dec_lo, bank.dec_hi)).unsqueeze(0)
        synthesis = torch.stack((bank.rec_lo, bank.rec_hi)).unsqueeze(0).flip(-1)
        distortion = F.conv1d(F.pad(analysis, (taps - 1, taps - 1)), synthesis).flatten()
        wanted = F.pad(distortion.new_full((1,), 2.0), (taps - 1, taps - 1))
        return (distortion - wanted).square().sum()
