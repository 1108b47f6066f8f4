"""Stationary wavelet transform for PyTorch: differentiable, any boundary, any length, learnable filters."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swt_time.wavelets.boundaries import BOUNDARIES, Boundary
    from swt_time.wavelets.filters import FilterBank, filter_bank
    from swt_time.wavelets.learnable import FreeFilters, LatticeFilters
    from swt_time.wavelets.stationary import iswt, reach, swt, wavelet_support

__all__ = [
    "BOUNDARIES",
    "Boundary",
    "FilterBank",
    "FreeFilters",
    "LatticeFilters",
    "filter_bank",
    "iswt",
    "reach",
    "swt",
    "wavelet_support",
]

_HOMES = {
    "boundaries": {"BOUNDARIES", "Boundary"},
    "filters": {"FilterBank", "filter_bank"},
    "learnable": {"FreeFilters", "LatticeFilters"},
    "stationary": {"iswt", "reach", "swt", "wavelet_support"},
}


def __getattr__(name: str) -> object:
    # The list of boundaries is part of the configuration, which loads without torch.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"swt_time.wavelets.{module}"), name)
    raise AttributeError(f"module 'swt_time.wavelets' has no attribute {name!r}")
