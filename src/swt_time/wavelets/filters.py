"""Filter banks: the four filters of a discrete wavelet, by name or as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import pywt
import torch
from torch import Tensor

from swt_time.wavelets.names import named_filters, turn_to_newest


@dataclass(frozen=True, eq=False)
class FilterBank:
    """The filters of a two-band bank, in PyWavelets' order (``pywt.Wavelet.filter_bank``).

    Attributes
    ----------
    dec_lo, dec_hi : Tensor, shape (L,)
        Analysis filters; ``L`` is even and the same for all four.
    rec_lo, rec_hi : Tensor, shape (L,)
        Synthesis filters. For an orthogonal wavelet they are the analysis filters reversed in time.
    name : str
        Origin of the filters, used in messages.
    turned : tuple of bool
        Whether the causal transform reverses the low-pass and the high-pass in time, so that most of their energy
        is at the newest samples. Fixed when the bank is created: it must not change while a bank is trained. By
        default it is computed from the analysis filters.
    lead : tuple of int
        Zeros before the first tap of the (reversed) analysis filters; the causal transform skips them. By default
        computed, too.
    """

    dec_lo: Tensor
    dec_hi: Tensor
    rec_lo: Tensor
    rec_hi: Tensor
    name: str = "custom"
    turned: tuple[bool, ...] = ()
    lead: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.turned:
            filters = (self.dec_lo, self.dec_hi)
            turned, lead = zip(*(turn_to_newest(tuple(taps.detach().tolist())) for taps in filters), strict=True)
            object.__setattr__(self, "turned", turned)
            object.__setattr__(self, "lead", lead)

    def __len__(self) -> int:
        return self.dec_lo.shape[-1]

    @property
    def orthogonal(self) -> bool:
        """Whether the bank is orthogonal: its low-pass has norm 1 and is orthogonal to its shifts by even lags."""
        taps = self.dec_lo.detach().double()
        lags = torch.stack([(taps[: len(taps) - lag] * taps[lag:]).sum() for lag in range(0, len(taps), 2)])
        wanted = torch.zeros_like(lags)
        wanted[0] = 1.0
        mirrored = torch.allclose(self.rec_lo.detach().double(), taps.flip(-1), atol=1e-6)
        return mirrored and torch.allclose(lags, wanted, atol=1e-6)


Wavelet: TypeAlias = str | FilterBank | Sequence[Any] | Any
"""A name of PyWavelets in any case, a filter bank, a ``pywt.Wavelet``, or four filters in PyWavelets' order."""


def _make_bank(name: str) -> FilterBank:
    filters = named_filters(name)
    turns = [turn_to_newest(taps) for taps in filters[:2]]
    dec_lo, dec_hi, rec_lo, rec_hi = (torch.tensor(taps, dtype=torch.float64, device="cpu") for taps in filters)
    return FilterBank(
        dec_lo,
        dec_hi,
        rec_lo,
        rec_hi,
        name,
        turned=(turns[0][0], turns[1][0]),
        lead=(turns[0][1], turns[1][1]),
    )


_cached_bank = cache(_make_bank)


def filter_bank(name: str) -> FilterBank:
    """Return the filter bank of a named discrete wavelet, in float64 on the CPU (filter values: PyWavelets).

    Raises
    ------
    ValueError
        If PyWavelets has no discrete wavelet of that name; the message suggests similar names.
    """
    # The fake tensors of a trace must not outlive it.
    if torch.compiler.is_compiling() or type(torch.empty(0)) is not torch.Tensor:
        return _make_bank(name)
    return _cached_bank(name)


def as_filter_bank(wavelet: Wavelet) -> FilterBank:
    """Return the filter bank of a wavelet in any of its forms.

    Raises
    ------
    ValueError
        An unknown name, or filters that are not four of one even length.
    """
    if isinstance(wavelet, FilterBank):
        return wavelet
    if isinstance(wavelet, str):
        return filter_bank(wavelet)
    name = "custom"
    if isinstance(wavelet, pywt.Wavelet):
        wavelet, name = wavelet.filter_bank, wavelet.name
    if not isinstance(wavelet, Sequence) or len(wavelet) != 4:
        raise ValueError(
            f"expected a wavelet's name, a FilterBank, a pywt.Wavelet or four filters, got {type(wavelet).__name__}"
        )
    filters = [torch.as_tensor(taps, dtype=None if isinstance(taps, Tensor) else torch.float64) for taps in wavelet]
    lengths = {tuple(taps.shape) for taps in filters}
    if len(lengths) > 1 or filters[0].dim() != 1 or len(filters[0]) % 2 or len(filters[0]) == 0:
        raise ValueError(f"expected four filters of one even length, got shapes {sorted(lengths)}")
    dec_lo, dec_hi, rec_lo, rec_hi = filters
    return FilterBank(dec_lo, dec_hi, rec_lo, rec_hi, name)
