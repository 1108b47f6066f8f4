"""The stationary wavelet transform and its inverse: pure functions with an explicit boundary.

Shapes: ``T`` samples, ``J`` levels, ``K = J + 1`` bands in the order ``[A_J, D_J, ..., D_1]``,
``L`` filter taps, ``d = 2**(j - 1)`` the spacing of the taps at level ``j``, ``M`` series.

All boundaries use the same a-trous cascade. With ``t`` the analysis filter as a correlation,

    a_j[n] = sum_i t_lo[i] a_{j-1}[n + d (i - o)],     d_j[n] = sum_i t_hi[i] a_{j-1}[n + d (i - o)],

and the origin ``o`` is ``L/2 - 1`` (PyWavelets' alignment) or ``L - 1`` (``causal``: no sample newer
than ``n``). The signal is extended once, by the support of the whole cascade; each level then filters
without padding. Formulas: PyWavelets ``swt`` (algorithme a trous); Percival & Walden, Wavelet Methods,
2000 (``norm=True``: MODWT).

Precision: float64 and float32 run the cascade in their own precision. bfloat16 and float16 data are not
up-cast on a GPU. A cascade would round every approximation and pass that error on to all deeper bands, so
each band is one correlation with its composite filter, which is split into a rounded part and the rest.
The error of a band is then little more than the rounding of its output, at any level. On the CPU they are
computed in float32 and only the bands are rounded.
"""

from __future__ import annotations

import math
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

from swt_time.wavelets.boundaries import BOUNDARIES, check_level, origin
from swt_time.wavelets.filters import FilterBank, Wavelet, as_filter_bank

LEAST_SEEN = 1e-13
"""Relative cutoff for singular values of the transform: components below it cannot be recovered from the bands."""


def check_boundary(boundary: str) -> None:
    """Raise ValueError for an unknown boundary; the message lists the choices."""
    if boundary not in BOUNDARIES:
        raise ValueError(f"unknown boundary: expected one of {', '.join(BOUNDARIES)}, got {boundary!r}")


def check_signal(x: Tensor) -> None:
    """Raise ValueError unless a tensor is real, floating-point and has a time axis."""
    if not x.is_floating_point() or x.dim() == 0:
        raise ValueError(
            f"expected a floating tensor with time last, got {x.dtype} of shape {tuple(x.shape)}; "
            "convert it, for example with x.float()"
        )


def reach(wavelet: Wavelet, level: int, boundary: str = "periodic") -> tuple[int, int]:
    """Return the number of samples before and after ``n`` that the bands at ``n`` depend on."""
    taps = len(as_filter_bank(wavelet))
    o = origin(taps, boundary)
    return (2**level - 1) * o, (2**level - 1) * (taps - 1 - o)


def wavelet_support(wavelet: Wavelet, level: int) -> int:
    """Return the taps of the longest composite filter of the cascade, ``(2**level - 1) (L - 1) + 1``."""
    return sum(reach(wavelet, level)) + 1


def extend(x: Tensor, before: int, after: int, boundary: str) -> Tensor:
    """Extend the last axis according to the boundary: ``(..., T) -> (..., before + T + after)``.

    As ``np.pad`` with mode ``wrap``, ``reflect``, ``edge`` or ``constant``; ``causal`` extends as ``edge``.
    The extension may be longer than the signal: periodic and reflected signals repeat as often as needed.
    """
    if boundary == "zero":
        return F.pad(x, (before, after))
    length = x.shape[-1]

    def outside(start: int, stop: int) -> Tensor:
        if boundary in ("replicate", "causal"):
            edge = x[..., :1] if start < 0 else x[..., -1:]
            return edge.expand(*x.shape[:-1], stop - start)
        if boundary == "periodic" and stop - start <= length:
            return x[..., start:] if start < 0 else x[..., : stop - start]
        n = torch.arange(start, stop, device=x.device)
        if boundary == "periodic":
            n = n % length
        else:
            period = max(2 * (length - 1), 1)
            n = n % period
            n = torch.minimum(n, period - n)
        return x.index_select(-1, n)

    pieces = [x]
    if before:
        pieces.insert(0, outside(-before, 0))
    if after:
        pieces.append(outside(length, length + after))
    return torch.cat(pieces, dim=-1) if len(pieces) > 1 else x


def analysis_taps(bank: FilterBank, boundary: str, norm: bool) -> Tensor:
    """Return low-pass and high-pass as correlations, shape (2, L), tap ``i`` for sample ``n + d (i - o)``."""
    rows = []
    for taps, turned, lead in zip((bank.dec_lo, bank.dec_hi), bank.turned, bank.lead, strict=True):
        if boundary == "causal":
            taps = taps.flip(-1) if turned else taps
            taps = taps.roll(-lead)
        rows.append(taps.flip(-1))
    both = torch.stack(rows)
    return both / math.sqrt(2) if norm else both


def band_offsets(taps: int, level: int, boundary: str) -> list[int]:
    """Return for each band the offset of its support, shorter at finer levels, in the support of the whole cascade."""
    o = origin(taps, boundary)
    return [(2**level - 2**j) * o for j in (level, *range(level, 0, -1))]


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


def circular_cascade(x: Tensor, taps: Tensor, level: int) -> list[Tensor]:
    """Periodic cascade ``(M, T) -> [A_J, D_J, ..., D_1]``, each (M, T).

    A periodic signal has periodic bands, so every level is extended by its own support only, which avoids the
    long extension of deep cascades.
    """
    count = taps.shape[-1]
    o = origin(count, "periodic")
    weight = taps.unsqueeze(1)
    details = []
    for j in range(level):
        d = 2**j
        both = F.conv1d(extend(x, d * o, d * (count - 1 - o), "periodic").unsqueeze(1), weight, dilation=d)
        x = both[:, 0]
        details.append(both[:, 1])
    return [x, *reversed(details)]


def band_filters(taps: Tensor, level: int) -> list[Tensor]:
    """Return the composite correlation filters of the bands ``[A_J, D_J, ..., D_1]`` from the taps (2, L) of one level.

    The filter of level ``j`` has ``(2**j - 1) (L - 1) + 1`` taps: that of the level before, convolved with ``t``
    with ``d - 1`` zeros between its taps.
    """
    count = taps.shape[-1]
    kernel = taps.flip(-1).unsqueeze(1)
    approx = taps.new_ones(1, 1, 1)
    details = []
    for j in range(level):
        room = 2**j * (count - 1)
        both = F.conv1d(F.pad(approx, (room, room)), kernel, dilation=2**j)
        approx = both[:, :1]
        details.append(both[0, 1])
    return [approx[0, 0], *reversed(details)]


def composite_filters(bank: FilterBank, level: int, boundary: str, norm: bool) -> Tensor:
    """Return all composite filters on one axis, shape (K, S): band ``k`` is ``sum_u g_k[u] x[n + u - before]``.

    ``S`` is :func:`wavelet_support`, ``before`` the first value of :func:`reach`. The dtype is that of the bank.
    """
    taps = analysis_taps(bank, boundary, norm)
    support = wavelet_support(bank, level)
    offsets = band_offsets(len(bank), level, boundary)
    rows = [F.pad(g, (n, support - n - g.shape[-1])) for g, n in zip(band_filters(taps, level), offsets, strict=True)]
    return torch.stack(rows)


def convolves_in_float32(x: Tensor) -> bool:
    """Return whether to convolve ``x`` in float32: half precision on the CPU.

    PyTorch 2.13 (oneDNN, on CPUs with AMX) returns noise from bfloat16 convolutions along time whose input
    channels times taps are a multiple of 64.
    """
    return x.device.type == "cpu" and x.dtype in (torch.bfloat16, torch.float16)


def _half_bands(x: Tensor, taps: Tensor, level: int) -> list[Tensor]:
    """As :func:`cascade` for bfloat16 and float16 data, with one correlation for each band.

    A high-pass rounded to half precision would respond to the mean. The rounded filter and the rest are two input
    channels of one convolution, which sums both before rounding.
    """
    twice = x.unsqueeze(1).expand(-1, 2, -1)
    bands = []
    for g in band_filters(taps, level):
        rounded = g.to(x.dtype)
        rest = (g - rounded.to(g.dtype)).to(x.dtype)
        bands.append(F.conv1d(twice, torch.stack((rounded, rest)).unsqueeze(0))[:, 0])
    return bands


def analyse(x: Tensor, bank: FilterBank, level: int, boundary: str, norm: bool, *, beyond: int = 0) -> Tensor:
    """Return the bands at ``0 .. T + beyond - 1`` of series ``(M, T)``, shape (M, K, T + beyond), without checks.

    The ``beyond`` coefficients after the end are those of the extended signal.
    """
    if convolves_in_float32(x):
        return analyse(x.float(), bank, level, boundary, norm, beyond=beyond).to(x.dtype)
    half = x.dtype in (torch.bfloat16, torch.float16)
    taps = analysis_taps(bank, boundary, norm).to(x.device, torch.float32 if half else x.dtype)
    if boundary == "periodic" and not half:
        return extend(torch.stack(circular_cascade(x, taps, level), dim=1), 0, beyond, boundary)
    before, after = reach(bank, level, boundary)
    extended = extend(x, before, after + beyond, boundary)
    bands = _half_bands(extended, taps, level) if half else cascade(extended, taps, level)
    wanted = x.shape[-1] + beyond
    offsets = band_offsets(len(bank), level, boundary)
    return torch.stack([c[:, n : n + wanted] for c, n in zip(bands, offsets, strict=True)], dim=1)


def swt(  # noqa: PLR0917  as pywt.swt
    x: Tensor,
    wavelet: Wavelet,
    level: int | None = None,
    boundary: str = "periodic",
    norm: bool = False,
    axis: int = -1,
) -> Tensor:
    """Stationary (undecimated) wavelet transform along one axis, by default the last.

    Parameters
    ----------
    x : Tensor, shape (..., T)
        Any floating dtype, any length, any leading shape. The bands keep the dtype; autocast is off inside.
    wavelet : str, FilterBank, pywt.Wavelet or sequence of four filters
        A discrete wavelet of PyWavelets, or filters (differentiable if they are tensors).
    level : int, optional
        Number of levels ``J``, ``2**J <= T``; by default the deepest.
    boundary : {"periodic", "reflect", "replicate", "zero", "causal"}
        ``periodic`` equals ``pywt.swt(..., trim_approx=True)``; the next three equal ``np.pad`` (``reflect``,
        ``edge``, ``constant``) by the cascade's support, then ``pywt.swt``, then a crop. ``causal`` uses no
        sample newer than ``n`` (before the start: the first value) and reverses each filter in time if that
        moves its energy to the newest samples.
    norm : bool
        Divide the filters by ``sqrt(2)``: orthogonal wavelets then conserve energy (periodic boundary). For others,
        which do not, a warning is given.
    axis : int
        The time axis of ``x``.

    Returns
    -------
    Tensor, shape (..., K, T)
        Bands ``[A_J, D_J, ..., D_1]``, ``K = J + 1``; their axis stands before the time axis.

    Raises
    ------
    ValueError
        Unknown wavelet or boundary, ``2**level > T``, or a tensor that is not floating.

    Notes
    -----
    Error of half precision against float64 on the same half-precision samples, at every level: at most 0.25 %
    (bfloat16) and 0.035 % (float16) of a band's RMS. The rounding of the samples to half precision is not included.

    Examples
    --------
    >>> swt(torch.randn(8, 7, 96), "db4", level=3).shape
    torch.Size([8, 7, 4, 96])
    """
    check_boundary(boundary)
    check_signal(x)
    x = x.movedim(axis, -1)
    length = x.shape[-1]
    level = max(length.bit_length() - 1, 1) if level is None else level
    check_level(level, length)
    bank = as_filter_bank(wavelet)
    if norm and not torch.compiler.is_compiling() and not bank.orthogonal:
        warnings.warn(f"norm=True does not conserve energy with {bank.name}, which is not orthogonal", stacklevel=2)
    with torch.autocast(x.device.type, enabled=False):
        bands = analyse(_rows(x, 1), bank, level, boundary, norm)
    bands = bands.reshape(*x.shape[:-1], level + 1, length)
    return bands if axis in (-1, x.dim() - 1) else bands.movedim((-2, -1), (axis % x.dim(), axis % x.dim() + 1))


def iswt(
    coefficients: Tensor, wavelet: Wavelet, boundary: str = "periodic", norm: bool = False, axis: int = -1
) -> Tensor:
    """Inverse of :func:`swt`.

    Parameters
    ----------
    coefficients : Tensor, shape (..., K, T)
        Bands ``[A_J, D_J, ..., D_1]``.
    wavelet, boundary, norm
        As given to :func:`swt`.
    axis : int
        The time axis of ``coefficients``; the axis before it holds the bands.

    Returns
    -------
    Tensor, shape (..., T)

    Raises
    ------
    ValueError
        Unknown wavelet or boundary, ``2**level > T``, or a tensor that is not floating or has no band axis.

    Notes
    -----
    ``periodic``: the mean of all shifted inverse transforms, as ``pywt.iswt``; exact wherever the filters
    reconstruct perfectly.

    Other boundaries: the coefficients outside ``0 .. T - 1`` are missing, so no fixed synthesis filter is exact
    near the ends. The inverse is the least-squares solution (bands weighted as in the tight frame: ``2**-j``
    without ``norm``). For unchanged coefficients it is exact, ends included, if they determine the signal, which
    is always so for ``reflect``, ``replicate`` and ``zero``. A long causal filter whose energy is in its middle
    (``sym`` and ``coif`` beyond 30 taps, ``dmey``, ``db`` beyond 60) gives the newest samples almost no weight;
    components that the bands do not contain are returned as zero there, and the samples before are exact. For
    changed coefficients the result is the nearest signal. The dense system is solved in float64: memory
    ``O(K T**2)``, time ``O(K T**3)``.

    Half-precision coefficients are inverted in float32; the result has their dtype.
    """
    check_boundary(boundary)
    check_signal(coefficients)
    if coefficients.dim() < 2:
        raise ValueError(f"expected coefficients of shape (..., K, T), got {tuple(coefficients.shape)}")
    place = axis % coefficients.dim()
    coefficients = coefficients.movedim((place - 1, place), (-2, -1))
    bands, length = coefficients.shape[-2:]
    check_level(bands - 1, length)
    bank = as_filter_bank(wavelet)
    c = _rows(coefficients, 2)
    with torch.autocast(c.device.type, enabled=False):
        if boundary == "periodic":
            wide = torch.promote_types(c.dtype, torch.float32)
            series = _circular_synthesis(c.to(wide), bank, norm)
        else:
            series = _least_squares_synthesis(c.to(torch.float64), bank, boundary, norm)
    return series.to(c.dtype).reshape(*coefficients.shape[:-2], length).movedim(-1, place - 1)


def _rows(x: Tensor, keep: int) -> Tensor:
    """Flatten all leading axes into one, also if one of them has length 0."""
    return x.reshape(math.prod(x.shape[:-keep]), *x.shape[-keep:])


def _circular_synthesis(c: Tensor, bank: FilterBank, norm: bool) -> Tensor:
    """Invert periodic bands, ``(M, K, T) -> (M, T)``, by the transpose of the dual analysis at each level.

    The result of each level is halved, because without decimation its two filters represent every sample twice.
    """
    level, count = c.shape[1] - 1, len(bank)
    taps = torch.stack((bank.rec_lo, bank.rec_hi)).flip(-1) / (math.sqrt(2) if norm else 2.0)
    weight = taps.to(c.device, c.dtype).unsqueeze(0)
    o = origin(count, "periodic")
    approx = c[:, 0]
    for j in range(level, 0, -1):
        d = 2 ** (j - 1)
        both = torch.stack((approx, c[:, level + 1 - j]), dim=1)
        approx = F.conv1d(extend(both, d * (count - 1 - o), d * o, "periodic"), weight, dilation=d)[:, 0]
    return approx


def _least_squares_synthesis(c: Tensor, bank: FilterBank, boundary: str, norm: bool) -> Tensor:
    """Return the signal whose bands are nearest to the given ones: ``(M, K, T) -> (M, T)``."""
    series, bands, length = c.shape
    level = bands - 1
    impulses = torch.eye(length, dtype=c.dtype, device=c.device)
    columns = analyse(impulses, bank, level, boundary, norm)  # (T, K, T): bands of every unit impulse
    scale = [1.0 if norm else 2.0 ** (-j / 2) for j in (level, *range(level, 0, -1))]
    weight = torch.tensor(scale, dtype=c.dtype, device=c.device).unsqueeze(-1)
    system = (columns * weight).reshape(length, bands * length).T
    wanted = (c * weight).reshape(series, bands * length).T
    solved: Tensor = (torch.linalg.pinv(system, rtol=LEAST_SEEN) @ wanted).T
    return solved
