"""The wavelet patch embedding: SWT, patches of all bands, projection to tokens.

Shapes: ``B`` batch, ``N`` channels, ``T`` samples, ``K = J + 1`` bands, ``P`` patches, ``D`` = ``d_model``,
``R`` = ``patch_len``, ``s`` = ``stride``.
"""

from __future__ import annotations

from torch import Tensor, nn

from swt_time.layers.patching import (
    add_positions,
    check_patching,
    check_series,
    init_projection,
    patch_count,
    patch_positions,
    patches,
)
from swt_time.wavelets.filters import filter_bank
from swt_time.wavelets.stationary import analyse, check_boundary, check_level, extend


class WaveletPatchEmbedding(nn.Module):
    """Embed every band of each patch together: ``(B, N, T) -> (B*N, P, D)``, ``P = (T - R) // s + 2``.

    Parameters
    ----------
    d_model, patch_len, stride : int
        ``D``, ``R`` and ``s``.
    wavelet, level, boundary, norm
        As in :func:`swt_time.wavelets.swt`.
    pad : {"signal", "coefficient"}
        What the half patch after the end holds: the transform of the extended signal, or the last coefficient
        repeated, as the originals do.
    positions : {"none", "patch", "band"}
    dropout : float
    context : int, optional
        ``T``; needed only for positions.

    Notes
    -----
    ``projection.weight`` has shape (D, R*K), time-major, band order ``[A_J, D_J, ..., D_1]``: the layout of
    SWT-Time's ``value_embedding.weight`` without its last axis.
    """

    def __init__(
        self,
        d_model: int,
        patch_len: int = 16,
        stride: int = 8,
        *,
        wavelet: str = "db4",
        level: int = 3,
        boundary: str = "periodic",
        norm: bool = False,
        bands: str = "all",
        band_weights: str = "none",
        shrink: str = "none",
        projection: str = "joint",
        positions: str = "none",
        semantic: bool = False,
        learnable: str = "none",
        pad: str = "signal",
        dropout: float = 0.0,
        context: int | None = None,
    ) -> None:
        super().__init__()
        check_patching(d_model, patch_len, stride)
        check_boundary(boundary)
        filter_bank(wavelet)
        for name, value, only in (
            ("bands", bands, "all"),
            ("band_weights", band_weights, "none"),
            ("shrink", shrink, "none"),
            ("projection", projection, "joint"),
            ("semantic", semantic, False),
            ("learnable", learnable, "none"),
        ):
            if value != only:
                raise NotImplementedError(f"{name}={value!r} is not available yet")
        if pad not in ("signal", "coefficient"):
            raise ValueError(f"expected pad 'signal' or 'coefficient', got {pad!r}")
        self.d_model, self.patch_len, self.stride = d_model, patch_len, stride
        self.wavelet, self.level, self.boundary, self.norm, self.pad = wavelet, level, boundary, norm, pad
        self.projection = nn.Linear(patch_len * (level + 1), d_model, bias=False)
        init_projection(self.projection.weight)
        self.position = (
            None
            if positions == "none"
            else nn.Parameter(patch_positions(positions, context, patch_len, stride, d_model))
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch of windows: ``(B, N, T) -> (B*N, P, D)``."""
        check_series(x)
        length = x.shape[-1]
        patch_count(length, self.patch_len, self.stride)
        series = x.reshape(-1, length)
        bank = filter_bank(self.wavelet)
        check_level(self.level, length)
        beyond = self.stride if self.pad == "signal" else 0
        c = analyse(series, bank, self.level, self.boundary, self.norm, beyond)
        c = extend(c, 0, self.stride - beyond, "replicate")
        features = patches(c, self.patch_len, self.stride).permute(0, 2, 3, 1).flatten(2)
        tokens = self.projection(features)
        if self.position is not None:
            tokens = add_positions(tokens, self.position)
        return self.dropout(tokens)
