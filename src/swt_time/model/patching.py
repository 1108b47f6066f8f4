"""Patches of a series and the plain patch embedding, the counterpart of the wavelet embedding.

Shapes: ``B`` batch, ``N`` channels, ``T`` samples, ``P`` patches, ``D`` = ``d_model``,
``R`` = ``patch_len``, ``s`` = ``stride``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swt_time.config.choices import Positions
from swt_time.model.closed_form import Prior
from swt_time.wavelets.boundaries import Boundary
from swt_time.wavelets.folding import Folded, strided_patches
from swt_time.wavelets.stationary import check_boundary, convolves_in_float32, extend


def patch_count(length: int, patch_len: int, stride: int) -> int:
    """Return the number of patches ``P = (T - R) // s + 2`` of a series that is extended by one stride at its end."""
    if length < patch_len:
        raise ValueError(
            f"expected at least patch_len = {patch_len} samples, got {length}; "
            f"use patch_len <= {length} or a longer context"
        )
    return (length - patch_len) // stride + 2


def patches(x: Tensor, patch_len: int, stride: int) -> Tensor:
    """Return overlapping patches as a view: ``(..., E) -> (..., (E - R) // s + 1, R)``."""
    return x.unfold(-1, patch_len, stride)


def visible_patches(observed: Tensor, patch_len: int, stride: int) -> Tensor:
    """Which patches hold an observed sample: ``(B, N, T)`` to ``(B*N, P)``, both bool.

    The stride after the end of a window counts as its last sample.
    """
    beyond = observed[..., -1:].expand(*observed.shape[:-1], stride)
    return patches(torch.cat([observed, beyond], dim=-1), patch_len, stride).any(dim=-1).flatten(0, 1)


def hide(tokens: Tensor, visible: Tensor | None) -> Tensor:
    """Set the tokens ``(M, P, D)`` of patches that are not ``visible`` (M, P) to zero; None leaves all of them."""
    return tokens if visible is None else tokens.masked_fill(~visible.unsqueeze(-1), 0.0)


def check_patching(d_model: int, patch_len: int, stride: int) -> None:
    """Raise ValueError for a size below 1."""
    for name, size in (("d_model", d_model), ("patch_len", patch_len), ("stride", stride)):
        if size < 1:
            raise ValueError(f"expected {name} of at least 1, got {size}")


def check_series(x: Tensor) -> None:
    """Raise ValueError unless the shape is ``(B, N, T)``."""
    if x.dim() != 3:
        raise ValueError(f"expected a context of shape (B, N, T), got {tuple(x.shape)}; add the missing dimensions")


def patch_positions(positions: str, context: int | None, patch_len: int, stride: int, d_model: int) -> Tensor:
    """Return initial patch positions, shape (P, D), from a truncated normal with std 0.02."""
    if context is None:
        raise ValueError(
            f"expected context=T (samples per window) for positions={positions!r}, got None: "
            "the table has one row for each patch; pass context=T or positions='none'"
        )
    table = torch.empty(patch_count(context, patch_len, stride), d_model)
    return nn.init.trunc_normal_(table, std=0.02)


def add_positions(tokens: Tensor, table: Tensor) -> Tensor:
    """Add one row to each patch: ``(M, P, D) + (P, D)``; raise ValueError if the number of patches differs."""
    if tokens.shape[-2] != table.shape[-2]:
        raise ValueError(
            f"expected {table.shape[-2]} patches, the rows of the position table, got {tokens.shape[-2]}; "
            "pass context=T of these windows to the embedding"
        )
    return tokens + table.to(tokens.dtype)


def init_projection(weight: Tensor) -> Tensor:
    """Initialise in place as Time-LLM's token embedding: Kaiming normal, fan-in, leaky ReLU."""
    return nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="leaky_relu")


class PatchEmbedding(nn.Module):
    """Time-LLM's plain patch embedding: ``(B, N, T) -> (B*N, P, D)``, ``P = (T - R) // s + 2``.

    Parameters
    ----------
    d_model, patch_len, stride : int
        ``D``, ``R`` and ``s``.
    kernel_size : {1, 3}
        1 projects every patch on its own, as the wavelet embedding does; 3 combines each patch with both
        neighbours, circularly, as the original does.
    receptive_field : int or tuple of int, optional
        Samples that the token of one patch depends on. An integer, at least ``patch_len``, is their number; the
        additional samples lie on both sides, an odd one after the patch. A pair is the number of samples (before,
        after) the patch; ``swt_time.wavelets.reach`` gives that of a wavelet. Default: the patch itself.
    boundary : str
        How the series is extended at its ends: ``replicate`` as in the original, or any boundary of ``swt``.
    positions : {"none", "patch"}
        ``patch`` adds a learned position to each patch, initialised from a truncated normal with std 0.02.
    dropout : float
        Dropout on the tokens.
    context : int, optional
        ``T``; required only with positions.

    Notes
    -----
    Runs in the dtype of the input with autocast off, as the wavelet embedding does; weights are cast to that dtype.
    ``projection.weight`` has shape (D, R, kernel_size), the layout of the original's ``tokenConv.weight``.

    Examples
    --------
    >>> embed = PatchEmbedding(32, patch_len=16, stride=8)
    >>> embed(torch.randn(8, 7, 96)).shape
    torch.Size([56, 12, 32])
    """

    def __init__(
        self,
        d_model: int,
        patch_len: int = 16,
        stride: int = 8,
        *,
        kernel_size: int = 1,
        receptive_field: int | tuple[int, int] | None = None,
        boundary: Boundary = "replicate",
        positions: Positions = "none",
        dropout: float = 0.0,
        context: int | None = None,
    ) -> None:
        super().__init__()
        check_patching(d_model, patch_len, stride)
        check_boundary(boundary)
        if kernel_size not in (1, 3):
            raise ValueError(f"expected kernel_size 1 or 3, got {kernel_size}")
        if positions not in ("none", "patch"):
            raise ValueError(
                f"expected positions 'none' or 'patch', got {positions!r}; "
                "positions of bands are an option of WaveletPatchEmbedding"
            )
        self.d_model, self.patch_len, self.stride = d_model, patch_len, stride
        self.kernel_size, self.boundary = kernel_size, boundary
        self.before, self.after = surplus(receptive_field, patch_len)
        width = self.before + patch_len + self.after
        self.projection = nn.Conv1d(width, d_model, kernel_size, bias=False)
        init_projection(self.projection.weight)
        self.position = (
            None
            if positions == "none"
            else nn.Parameter(patch_positions(positions, context, patch_len, stride, d_model))
        )
        self.dropout = nn.Dropout(dropout)

    def penalty(self) -> Tensor | None:
        """Return None: nothing is added to the loss."""
        return None

    def prior(self) -> Prior | None:
        """Return None: the closed-form forecast then is plain ridge regression."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch of windows: ``(B, N, T) -> (B*N, P, D)``."""
        check_series(x)
        length = x.shape[-1]
        patch_count(length, self.patch_len, self.stride)
        with torch.autocast(x.device.type, enabled=False):
            tokens = self._project(x.reshape(x.shape[0] * x.shape[1], length))
            if self.position is not None:
                tokens = add_positions(tokens, self.position)
        dropped: Tensor = self.dropout(tokens)
        return dropped

    def _project(self, series: Tensor) -> Tensor:
        """Compute tokens without positions: ``(M, T) -> (M, P, D)``."""
        if convolves_in_float32(series):
            return self._project(series.float()).to(series.dtype)
        weight = self.projection.weight.to(series.dtype)
        if self.kernel_size == 1:
            # Overlapping patches are not materialised, as in the wavelet embedding.
            folded = Folded(self.patch_len, self.stride, (self.before, self.after), self.boundary)
            return strided_patches(series, weight[..., 0], None, folded)
        series = extend(series, self.before, self.stride + self.after, self.boundary)
        views = patches(series, weight.shape[1], self.stride).transpose(1, 2)
        return F.conv1d(F.pad(views, (1, 1), mode="circular"), weight).transpose(1, 2)


def surplus(receptive_field: int | tuple[int, int] | None, patch_len: int) -> tuple[int, int]:
    """Return the number of samples before and after the patch that belong to the receptive field."""
    if receptive_field is None:
        return 0, 0
    if isinstance(receptive_field, int):
        extra = receptive_field - patch_len
        before, after = extra // 2, extra - extra // 2
    else:
        before, after = receptive_field
    if before < 0 or after < 0:
        raise ValueError(
            f"expected a receptive field that contains the patch of {patch_len} samples, got {receptive_field}; "
            f"use at least {patch_len} samples"
        )
    return before, after
