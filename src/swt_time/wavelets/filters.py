"""Filter banks: the four filters of a discrete wavelet, by name or as tensors."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache

import pywt
import torch
from torch import Tensor


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
        is at the newest samples. Fixed when the bank is created: it must not change while a bank is trained.
    lead : tuple of int
        Zeros before the first tap of the (reversed) analysis filters; the causal transform skips them.
    """

    dec_lo: Tensor
    dec_hi: Tensor
    rec_lo: Tensor
    rec_hi: Tensor
    name: str = "custom"
    turned: tuple[bool, bool] = (False, False)
    lead: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return self.dec_lo.shape[-1]


def turn_to_newest(taps: tuple[float, ...]) -> tuple[bool, int]:
    """Return whether to reverse a filter so that its energy is at small delays, and its number of leading zeros then.

    Parameters
    ----------
    taps : tuple of float
        Impulse response: ``taps[k]`` is the weight of the sample ``k`` steps in the past.

    Returns
    -------
    turn : bool
        True if the centre of energy of the reversed filter is nearer to delay 0.
    lead : int
        Number of leading zeros after the reversal (PyWavelets pads biorthogonal filters with zeros).
    """
    nonzero = [k for k, tap in enumerate(taps) if tap != 0.0]
    first, last = nonzero[0], nonzero[-1]
    energy = sum(tap * tap for tap in taps)
    centre = sum(k * tap * tap for k, tap in enumerate(taps)) / energy
    turn = centre - first > last - centre
    return turn, (len(taps) - 1 - last) if turn else first


def _named_filters(name: str) -> tuple[tuple[float, ...], ...]:
    """Return the four filters of a named wavelet as tuples of float."""
    known = pywt.wavelist(kind="discrete")
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=4, cutoff=0.4)
        remedy = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(known)}"
        raise ValueError(f"expected the name of a discrete wavelet, got {name!r}; {remedy}")
    return tuple(tuple(taps) for taps in pywt.Wavelet(name).filter_bank)


# The attribute that torch.compiler.assume_constant_result sets; calling it would import the whole compiler.
_named_filters._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _make_bank(name: str) -> FilterBank:
    filters = _named_filters(name)
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
    if torch.compiler.is_compiling() or torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None:
        return _make_bank(name)  # tensors of a trace must not outlive it
    return _cached_bank(name)


def as_filter_bank(wavelet: str | FilterBank) -> FilterBank:
    """Return a filter bank as it is, or the bank of a named wavelet."""
    return wavelet if isinstance(wavelet, FilterBank) else filter_bank(wavelet)
