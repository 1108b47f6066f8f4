"""SWT, patching and a linear projection as one strided convolution.

Shapes: ``M`` series, ``T`` samples, ``K`` bands, ``S`` taps of the longest composite filter, ``R`` samples a
patch, ``s`` stride, ``P`` patches, ``D`` features, ``U = R + S - 1``.

Band ``k`` of a signal ``x~`` that is extended once is ``c_k[n] = sum_m g_k[m] x~[n + m]``, and a patch holds
``c_k[s p + r]``. A projection ``W`` of all bands is therefore one kernel on the signal,

    e_p[d] = sum_{k,r} W[d,k,r] c_k[s p + r] = sum_u A[d,u] x~[s p + u],
    A[d,u] = sum_{k,r} W[d,k,r] g_k[u - r].

Neither the bands nor the overlapping patches are materialised; gradients reach ``W`` and the filters through
``A``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from swt_time.wavelets.stationary import convolves_in_float32, extend


def patch_filters(filters: Tensor, patch_len: int, stride: int = 1) -> Tensor:
    """Place composite filters at every sample of a patch: ``(K, S) -> (K, R, U)``, ``[k, r, u] = g_k[u - r]``.

    ``U`` is rounded up to whole strides, with zeros at the end.
    """
    room = patch_len - 1
    width = filters.shape[-1] + room
    placed = F.pad(filters, (room, room)).unfold(-1, width, 1).flip(1)
    return F.pad(placed, (0, -width % stride))


def last_filters(placed: Tensor, length: int, stride: int) -> Tensor:
    """Return what the filters of a last patch that repeats the last coefficient differ by from those of any patch.

    The last patch starts at ``q`` samples after the last full patch and reads the coefficients ``min(q + r, R - 1)`` of
    that patch. The result, ``(K, R, q + U)``, applies to the samples from the last full patch on.
    """
    patch_len = placed.shape[1]
    q = stride * ((length - patch_len) // stride + 1) - (length - patch_len)
    rows = torch.arange(q, q + patch_len, device=placed.device).clamp(max=patch_len - 1)
    return F.pad(placed.index_select(1, rows), (0, q)) - F.pad(placed, (q, 0))


def fold(weight: Tensor, placed: Tensor) -> Tensor:
    """Return the kernel ``A`` of a projection: ``(D, K, R)`` and ``(K, R, U) -> (D, U)``."""
    return weight.flatten(1) @ placed.flatten(0, 1)


class Folded(NamedTuple):
    """Geometry of a folded convolution."""

    patch_len: int
    stride: int
    reach: tuple[int, int]
    """Samples before and after ``n`` that the filters depend on; ``U = R + sum(reach)``."""
    boundary: str


def strided_patches(x: Tensor, kernel: Tensor, change: Tensor | None, folded: Folded) -> Tensor:
    """Compute tokens ``(M, P, D)`` of series ``(M, T)`` by one strided convolution of the extended signal.

    Parameters
    ----------
    x : Tensor, shape (M, T)
    kernel : Tensor, shape (D, U)
        ``A``, in the dtype of ``x``.
    change : Tensor, shape (D, q + U), optional
        Kernel from :func:`last_filters`, whose result is added to the last patch; by default the last patch reads the
        extended signal like any other.
    folded : Folded

    Notes
    -----
    A stride of ``s`` samples is a step of one block of ``s`` samples. The extended signal, cut into such blocks, is a
    channels-last image with ``s`` channels, and the result is one with ``D`` channels, which is the memory layout of
    the tokens. This avoids the copies that a ``conv1d`` with one channel makes.
    """
    if convolves_in_float32(x):
        own = None if change is None else change.float()
        return strided_patches(x.float(), kernel.float(), own, folded).to(x.dtype)
    patch_len, stride, (before, _), boundary = folded
    series, length, (features, taps) = x.shape[0], x.shape[-1], kernel.shape
    patches, blocks = (length - patch_len) // stride + 2, -(-taps // stride)
    # Whole blocks for the last patch, which needs at least the reach of the filters after it.
    extended = extend(x, before, (patches + blocks - 1) * stride - before - length, boundary)
    image = extended.view(series, patches + blocks - 1, 1, stride).permute(0, 3, 1, 2)
    if taps % stride:
        kernel = F.pad(kernel, (0, -taps % stride))
    filters = kernel.reshape(features, blocks, 1, stride).permute(0, 3, 1, 2)
    tokens = F.conv2d(image, filters)  # (M, D, P, 1)
    if change is not None:
        full = length - patch_len
        tokens = _add_to_last(tokens, extended[:, full : full + change.shape[1]] @ change.T)
    return tokens.permute(0, 2, 3, 1).reshape(series, patches, features)


class _AddToLast(torch.autograd.Function):
    """Add to the last patch in place. Indexing would copy all gradients, and concatenation all tokens."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, change: Tensor) -> Tensor:
        ctx.mark_dirty(tokens)
        tokens[:, :, -1, 0].add_(change)
        return tokens

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient[:, :, -1, 0]


def _add_to_last(tokens: Tensor, change: Tensor) -> Tensor:
    """Add ``(M, D)`` to the last patch of ``(M, D, P, 1)``; may modify ``tokens``."""
    if torch.compiler.is_compiling():
        return torch.cat((tokens[:, :, :-1], tokens[:, :, -1:] + change[:, :, None, None]), dim=2)
    changed: Tensor = _AddToLast.apply(tokens, change)  # type: ignore[no-untyped-call]  # Function.apply has no annotations
    return changed


def folding_pays(
    series: int,
    length: int,
    d_model: int,
    taps: int,
    bands: int,
    *,
    patch_len: int,
    stride: int,
    training: bool,
    gpu: bool = False,
) -> bool:
    """Return whether one strided convolution is faster than transform, patches and projection one by one.

    The convolution takes ``U D / s`` multiplications per sample, and three times as many with its weight gradient.
    The separate steps take, for every band, passes over memory, which cost as much as about ``PASS`` multiplications
    per sample (four times that if the bands exceed the cache), and the projection. The constants were fitted to
    medians on two CPU cores (D 16 to 128, T 96 to 4096, J 1 to 6, 2 to 16 taps). If both take about the same time,
    folding is preferred because it needs less memory.

    A GPU is bound by the number of its kernels, as measured on an H100: folding takes three in inference and is always
    preferred there; in training its backward pass takes more than that of the separate steps.
    """
    if gpu:
        return not training
    folded = taps * d_model / stride
    outgrown = series * length * bands * 4 > CACHE_BYTES
    passes = PASS * (4 if outgrown else 1) * (1 if training else 3)
    plain = bands * (passes + (0.33 if training else 1.0) * patch_len * d_model / stride)
    return folded <= TIE * plain


PASS = 170.0
TIE = 1.05
CACHE_BYTES = 32 * 2**20
