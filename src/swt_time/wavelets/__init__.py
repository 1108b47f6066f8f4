"""Stationary wavelet transform for PyTorch: differentiable, any boundary, any length, learnable filters."""

from swt_time.wavelets.filters import FilterBank, filter_bank
from swt_time.wavelets.learnable import FreeFilters, LatticeFilters
from swt_time.wavelets.stationary import BOUNDARIES, iswt, reach, swt, wavelet_support

__all__ = [
    "BOUNDARIES",
    "FilterBank",
    "FreeFilters",
    "LatticeFilters",
    "filter_bank",
    "iswt",
    "reach",
    "swt",
    "wavelet_support",
]
