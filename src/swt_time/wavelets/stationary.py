"""The stationary wavelet transform and its inverse: pure functions with an explicit boundary.

Shapes: ``T`` samples, ``J`` levels, ``K = J + 1`` bands in the order ``[A_J, D_J, ..., D_1]``,
``L`` filter taps, ``d = 2**(j - 1)`` the spacing of the taps at level ``j``.

Every boundary runs the same a-trous cascade. With ``t`` the analysis filter as a correlation,

    a_j[n] = sum_i t_lo[i] a_{j-1}[n + d (i - o)],     d_j[n] = sum_i t_hi[i] a_{j-1}[n + d (i - o)],

and the origin ``o`` is ``L/2 - 1`` (PyWavelets' alignment) or ``L - 1`` (``causal``: nothing newer
than ``n``).
The signal is extended once, by the support of the whole cascade; each level then filters without padding.
Formulas: PyWavelets ``swt`` (algorithme a trous); Percival & Walden, Wavelet Methods, 2000 (``norm=True``:
MODWT).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from swt_time.wavelets.filters import FilterBank, as_filter_bank

BOUNDARIES = ("periodic", "reflect", "replicate", "zero", "causal")


def check_boundary(boundary: str) -> None:
    """Refuse an unknown boundary with the list of choices."""
    if boundary not in BOUNDARIES:
        raise ValueError(f"unknown boundary: expected one of {', '.join(BOUNDARIES)}, got {boundary!r}")


def check_level(level: int, length: int) -> None:
    """Refuse a level for which ``2**level`` exceeds the length; name the largest that fits."""
    if level < 1:
        raise ValueError(f"expected a level of at least 1, got {level}; level=1 is the shallowest transform")
    if 2**level > length:
        largest = int(math.log2(length)) if length >= 2 else 0
        remedy = f"the largest level that fits is {largest}" if largest else "at least 2 samples are needed"
        raise ValueError(f"expected 2**level <= T = {length} samples, got level {level}; {remedy}")


def origin(taps: int, boundary: str) -> int:
    """Index of the correlation tap that falls on the sample itself."""
    return taps - 1 if boundary == "causal" else taps // 2 - 1


def reach(wavelet: str | FilterBank, level: int, boundary: str = "periodic") -> tuple[int, int]:
    """Samples before and after ``n`` that the bands at ``n`` depend on, for the whole cascade."""
    taps = len(as_filter_bank(wavelet))
    o = origin(taps, boundary)
    return (2**level - 1) * o, (2**level - 1) * (taps - 1 - o)


def wavelet_support(wavelet: str | FilterBank, level: int) -> int:
    """Taps of the longest composite filter of the cascade: ``(2**level - 1) (L - 1) + 1``."""
    return sum(reach(wavelet, level)) + 1


def extend(x: Tensor, before: int, after: int, boundary: str) -> Tensor:
    """Extend the last axis by the boundary's rule: ``(..., T) -> (..., before + T + after)``.

    As ``np.pad`` with mode ``wrap``, ``reflect``, ``edge`` or ``constant``; ``causal`` extends as ``edge``.
    Any number of samples may be asked for: periodic and reflected signals repeat as often as needed.
    """
    if boundary == "zero":
        return F.pad(x, (before, after))
    length = x.shape[-1]

    def outside(start: int, stop: int) -> Tensor:
        n = torch.arange(start, stop, device=x.device)
        if boundary == "periodic":
            n = n % length
        elif boundary == "reflect":
            period = max(2 * (length - 1), 1)
            n = n % period
            n = torch.minimum(n, period - n)
        else:
            n = n.clamp(0, length - 1)
        return x.index_select(-1, n)

    pieces = [x]
    if before:
        pieces.insert(0, outside(-before, 0))
    if after:
        pieces.append(outside(length, length + after))
    return torch.cat(pieces, dim=-1) if len(pieces) > 1 else x


def analysis_taps(bank: FilterBank, boundary: str, norm: bool) -> Tensor:
    """Low-pass and high-pass as correlations, shape (2, L), tap ``i`` on sample ``n + d (i - o)``."""
    rows = []
    for taps, turned, lead in zip((bank.dec_lo, bank.dec_hi), bank.turned, bank.lead, strict=True):
        if boundary == "causal":
            taps = taps.flip(-1) if turned else taps
            taps = taps.roll(-lead)
        rows.append(taps.flip(-1))
    both = torch.stack(rows)
    return both / math.sqrt(2) if norm else both


def cascade(x: Tensor, taps: Tensor, level: int) -> list[Tensor]:
    """Filter an already extended signal, level by level, without padding.

    Parameters
    ----------
    x : Tensor, shape (M, E)
    taps : Tensor, shape (2, L)
    level : int

    Returns
    -------
    list of Tensor
        ``[A_J, D_J, ..., D_1]``, band of level ``j`` with ``E - (2**j - 1) (L - 1)`` samples.
    """
    approx = x.unsqueeze(1)
    weight = taps.unsqueeze(1)
    details = []
    for j in range(level):
        both = F.conv1d(approx, weight, dilation=2**j)
        approx = both[:, :1]
        details.append(both[:, 1])
    return [approx[:, 0], *reversed(details)]


def swt(
    x: Tensor,
    wavelet: str | FilterBank,
    level: int,
    boundary: str = "periodic",
    norm: bool = False,
) -> Tensor:
    """Stationary (undecimated) wavelet transform along the last axis.

    Parameters
    ----------
    x : Tensor, shape (..., T)
        Any floating dtype, any length, any leading shape.
    wavelet : str or FilterBank
        A discrete wavelet of PyWavelets, or filters as tensors (gradients reach them).
    level : int
        Number of levels ``J``, ``2**J <= T``.
    boundary : {"periodic", "reflect", "replicate", "zero", "causal"}
    norm : bool
        Divide the filters by ``sqrt(2)``: orthogonal wavelets then conserve energy (periodic boundary).

    Returns
    -------
    Tensor, shape (..., K, T)
        Bands ``[A_J, D_J, ..., D_1]``, ``K = J + 1``.

    Raises
    ------
    ValueError
        Unknown wavelet or boundary, or ``2**level > T``.
    """
    check_boundary(boundary)
    length = x.shape[-1]
    check_level(level, length)
    bands = analyse(x.reshape(-1, length), as_filter_bank(wavelet), level, boundary, norm)
    return bands.reshape(*x.shape[:-1], level + 1, length)


def analyse(x: Tensor, bank: FilterBank, level: int, boundary: str, norm: bool, beyond: int = 0) -> Tensor:
    """Bands at ``0 .. T + beyond - 1`` of series ``(M, T)``, shape (M, K, T + beyond), without checks.

    The ``beyond`` coefficients after the end are those of the extended signal.
    """
    before, after = reach(bank, level, boundary)
    wanted = x.shape[-1] + beyond
    taps = analysis_taps(bank, boundary, norm).to(x.device, x.dtype)
    bands = cascade(extend(x, before, after + beyond, boundary), taps, level)
    # A band of level j starts where its own, shorter support still fits: skip what the deeper levels need.
    starts = [before - (2**j - 1) * origin(len(bank), boundary) for j in [level, *range(level, 0, -1)]]
    return torch.stack([c[:, n : n + wanted] for c, n in zip(bands, starts, strict=True)], dim=1)


def iswt(coefficients: Tensor, wavelet: str | FilterBank, boundary: str = "periodic", norm: bool = False) -> Tensor:
    """Inverse of :func:`swt` for the periodic boundary: the mean over all shifted inverse transforms.

    Parameters
    ----------
    coefficients : Tensor, shape (..., K, T)
    wavelet, boundary, norm
        As given to :func:`swt`.

    Returns
    -------
    Tensor, shape (..., T)
    """
    check_boundary(boundary)
    if boundary != "periodic":
        raise ValueError(f"expected boundary='periodic' for the inverse, got {boundary!r}")
    bands, length = coefficients.shape[-2:]
    level = bands - 1
    check_level(level, length)
    bank = as_filter_bank(wavelet)
    # The transpose of the dual analysis, halved: both filters of a level see every sample twice.
    taps = torch.stack((bank.rec_lo, bank.rec_hi)).flip(-1) / (math.sqrt(2) if norm else 2.0)
    weight = taps.to(coefficients.device, coefficients.dtype).unsqueeze(0)
    c = coefficients.reshape(-1, bands, length)
    approx = c[:, 0]
    o = len(bank) - 1 - origin(len(bank), boundary)
    for j in range(level, 0, -1):
        d = 2 ** (j - 1)
        both = torch.stack((approx, c[:, bands - j]), dim=1)
        both = extend(both, d * o, d * (len(bank) - 1 - o), boundary)
        approx = F.conv1d(both, weight, dilation=d)[:, 0]
    return approx.reshape(*coefficients.shape[:-2], length)
