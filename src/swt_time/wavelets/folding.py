"""SWT, patching and a linear projection as one strided convolution.

Shapes: ``M`` series, ``T`` samples, ``K`` bands, ``S`` taps of the longest composite filter, ``R`` samples a
patch, ``s`` stride, ``P`` patches, ``D`` features, ``U = R + S - 1``.

Band ``k`` of a signal ``x~`` that is extended once is ``c_k[n] = sum_m g_k[m] x~[n + m]``, and a patch holds
``c_k[s p + r]``. A projection ``W`` of all bands is therefore one kernel on the signal,

    e_p[d] = sum_{k,r} W[d,k,r] c_k[s p + r] = sum_u A[d,u] x~[s p + u],
    A[d,u] = sum_{k,r} W[d,k,r] g_k[u - r].

Neither the bands nor the overlapping patches exist in memory; gradients reach ``W`` and the filters through
``A``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv1d_weight

from swt_time.wavelets.stationary import extend


def patch_filters(filters: Tensor, patch_len: int) -> Tensor:
    """Composite filters at every place in a patch: ``(K, S) -> (K, R, U)``, ``[k, r, u] = g_k[u - r]``."""
    room = patch_len - 1
    width = filters.shape[-1] + room
    return F.pad(filters, (room, room)).unfold(-1, width, 1).flip(1)


def fold(weight: Tensor, placed: Tensor) -> Tensor:
    """Kernel ``A`` of a projection: ``(D, K, R)`` and ``(K, R, U) -> (D, U)``."""
    return weight.flatten(1) @ placed.flatten(0, 1)


def fold_last(weight: Tensor, placed: Tensor, length: int, stride: int) -> Tensor:
    """Kernel (D, U) of a last patch that repeats the last coefficient, to be laid on the last full patch.

    The patch starts at ``q = s ((T - R) // s + 1)`` and reads the coefficients ``min(q + r, T - 1)``; all of
    them lie among the last ``R``.
    """
    patch_len = weight.shape[-1]
    start = stride * ((length - patch_len) // stride + 1) - (length - patch_len)
    rows = torch.arange(start, start + patch_len, device=placed.device).clamp(max=patch_len - 1)
    return fold(weight, placed.index_select(1, rows))


class Folded(NamedTuple):
    """How series are read by a folded kernel."""

    patch_len: int
    stride: int
    reach: tuple[int, int]
    """Samples that the filters read before and after ``n``; ``U = R + sum(reach)``."""
    boundary: str


def strided_patches(x: Tensor, kernel: Tensor, last: Tensor | None, folded: Folded) -> Tensor:
    """Tokens ``(M, P, D)`` of series ``(M, T)``: one strided convolution of the extended signal.

    Parameters
    ----------
    x : Tensor, shape (M, T)
    kernel : Tensor, shape (D, U)
        ``A``, in the dtype of ``x``.
    last : Tensor, shape (D, U), optional
        Own kernel of the last patch (:func:`fold_last`); by default the patch runs on into the extended signal.
    folded : Folded

    Notes
    -----
    On a CPU, series that need no gradient are convolved a few at a time: oneDNN holds every result twice (in its
    own layout and in ours), and a few series at a time keep most of that away.
    """
    simple = x.device.type != "cpu" or (torch.is_grad_enabled() and x.requires_grad)
    if simple or torch.compiler.is_compiling():
        return _convolve(x, kernel, last, folded)
    return _ConvolveInChunks.apply(x, kernel, last, folded)


def _convolve(x: Tensor, kernel: Tensor, last: Tensor | None, folded: Folded) -> Tensor:
    series = _extended(x, last is not None, folded)
    tokens = F.conv1d(series.unsqueeze(1), kernel.unsqueeze(1), stride=folded.stride).transpose(1, 2)
    if last is None:
        return tokens
    return torch.cat((tokens, (_tail(series, folded) @ last.T).unsqueeze(1)), dim=1)


def _extended(x: Tensor, own_last: bool, folded: Folded) -> Tensor:
    """The signal that the kernel runs over; the last patch needs no extension of its own if it has its own kernel."""
    before, after = folded.reach
    return extend(x, before, after + (0 if own_last else folded.stride), folded.boundary)


def _tail(series: Tensor, folded: Folded) -> Tensor:
    """What the last full patch sees, ``(M, U)``, of a signal extended for a last patch with its own kernel."""
    return series[:, series.shape[-1] - folded.patch_len - sum(folded.reach) :]


class _ConvolveInChunks(torch.autograd.Function):
    """:func:`_convolve` without gradient for ``x``, a few series at a time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, last: Tensor | None, folded: Folded) -> Tensor:
        ctx.save_for_backward(x, kernel, last)
        ctx.folded = folded
        patches = (x.shape[-1] - folded.patch_len) // folded.stride + 2
        if x.shape[0] * patches * kernel.shape[0] <= CHUNK:
            return _convolve(x, kernel, last, folded)
        tokens = x.new_empty(x.shape[0], kernel.shape[0], patches)
        for part, out in _chunks(x, tokens):
            series = _extended(part, last is not None, folded)
            full = F.conv1d(series.unsqueeze(1), kernel.unsqueeze(1), stride=folded.stride)
            out[..., : full.shape[-1]] = full
            if last is not None:
                out[..., -1] = _tail(series, folded) @ last.T
            del series, full  # before the next group makes its own
        return tokens.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor | None, None]:
        x, kernel, last = ctx.saved_tensors
        shape = (kernel.shape[0], 1, kernel.shape[1])
        for_kernel = kernel.new_zeros(shape)
        for_last = None if last is None else torch.zeros_like(last)
        for part, chunk in _chunks(x, gradient):
            series = _extended(part, last is not None, ctx.folded)
            if for_last is not None:
                for_last.addmm_(chunk[:, -1].T, _tail(series, ctx.folded))
                chunk = chunk[:, :-1]
            for_kernel += conv1d_weight(series.unsqueeze(1), shape, chunk.transpose(1, 2), stride=ctx.folded.stride)
        return None, for_kernel[:, 0], for_last, None


def _chunks(x: Tensor, tokens: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Series and their tokens in groups of about equal size: as few as keep each within ``CHUNK`` numbers."""
    groups = min(MOST_CHUNKS, -(-tokens.numel() // CHUNK))
    size = -(-x.shape[0] // max(groups, 1)) or 1
    return zip(x.split(size), tokens.split(size), strict=True)


CHUNK = 2**17
"""Token numbers that one convolution makes: with both layouts, 1 MiB in single precision."""
MOST_CHUNKS = 6
"""Each call costs its start, and much more where other work keeps the cores busy; six leave a third in two layouts."""


def folding_pays(
    series: int,
    length: int,
    d_model: int,
    taps: int,
    bands: int,
    patch_len: int,
    stride: int,
    *,
    training: bool,
) -> bool:
    """Whether one strided convolution is faster than transform, patches and projection one by one.

    The convolution does ``U D / s`` multiplications a sample (three times that with its weight gradient,
    which is the slower half). The plain path pays for every band: passes over memory, which weigh as much as
    about ``PASS`` multiplications a sample, four times that once the bands outgrow the cache, and its
    projection. The constants were fitted to medians on two CPU cores (D 16 to 128, T 96 to 4096, J 1 to 6, 2
    to 16 taps).
    """
    folded = taps * d_model / stride
    outgrown = series * length * bands * 4 > CACHE_BYTES
    passes = PASS * (4 if outgrown else 1) * (1 if training else 3)
    plain = bands * (passes + (0.33 if training else 1.0) * patch_len * d_model / stride)
    return folded <= plain


PASS = 170.0
CACHE_BYTES = 32 * 2**20
