"""Wavelet patch embedding: SWT, patches of all bands, projection to tokens.

Shapes: ``B`` batch, ``N`` channels, ``M = B N`` series, ``T`` samples, ``J`` levels, ``K`` bands in use (``J
+ 1``, or 1 with ``bands="approx"``), ``P`` patches, ``D`` = ``d_model``, ``R`` = ``patch_len``, ``s`` =
``stride``, ``C`` features of one band.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swt_time.config.choices import Bands as BandChoice
from swt_time.config.choices import BandWeights, Learnable, Padding, Positions, Projection, Shrinkage
from swt_time.model.closed_form import Prior
from swt_time.model.patching import (
    add_positions,
    check_patching,
    check_series,
    init_projection,
    patch_count,
    patch_positions,
    patches,
)
from swt_time.remembered import Remembered, fingerprint
from swt_time.wavelets.boundaries import Boundary, check_level
from swt_time.wavelets.filters import FilterBank, filter_bank
from swt_time.wavelets.folding import Folded, fold, folding_pays, last_filters, patch_filters, strided_patches
from swt_time.wavelets.learnable import FreeFilters, LatticeFilters
from swt_time.wavelets.stationary import analyse, check_boundary, composite_filters, extend, reach

CHOICES = {
    "bands": get_args(BandChoice),
    "band_weights": get_args(BandWeights),
    "shrink": get_args(Shrinkage),
    "projection": get_args(Projection),
    "positions": get_args(Positions),
    "learnable": get_args(Learnable),
    "pad": get_args(Padding),
}
"""Choices of every option that takes a name."""


def check_choices(**options: str) -> None:
    """Raise ValueError for an unknown choice or for options that cannot be combined."""
    for name, value in options.items():
        if value not in CHOICES[name]:
            raise ValueError(f"unknown {name}: expected one of {', '.join(CHOICES[name])}, got {value!r}")
    if options["bands"] == "approx":
        for name, value, reason in (
            ("band_weights", "softmax", "the softmax of one band is always 1; use 'free' or 'none'"),
            ("projection", "per_band", "a single band needs no fusion; use 'joint'"),
            ("positions", "band", "a single band needs no position of its own; use 'patch'"),
        ):
            if options[name] == value:
                raise ValueError(f"bands='approx' and {name}={value!r} cannot be combined: {reason}")


def soft_shrink(c: Tensor, threshold: Tensor) -> Tensor:
    """Soft thresholding ``sign(c) max(|c| - t, 0)`` (Donoho, 1995) of ``(M, K, n)`` with one ``t`` for each band.

    A negative threshold acts as zero. It still receives a gradient, so that training can make it positive again.
    """
    t = threshold + (threshold.clamp(min=0) - threshold).detach()
    return c.sign() * F.relu(c.abs() - t.to(c.dtype).unsqueeze(-1))


class BandProjection(nn.Module):
    """One linear map for each band, followed by a fusion to ``D`` features; ``K`` need not divide ``D``.

    Parameters
    ----------
    patch_len, bands, d_model : int
        ``R``, ``K`` and ``D``; each band gets ``C = ceil(D / K)`` features.
    """

    def __init__(self, patch_len: int, bands: int, d_model: int) -> None:
        super().__init__()
        features = -(-d_model // bands)
        self.weight = nn.Parameter(torch.empty(bands, features, patch_len))
        self.fusion = nn.Parameter(torch.empty(d_model, bands * features))
        for band in self.weight.detach():
            init_projection(band)
        nn.init.kaiming_normal_(self.fusion, nonlinearity="linear")

    def band_kernel(self) -> Tensor:
        """Return both maps combined into one kernel, shape (D, K, R)."""
        bands, features, _ = self.weight.shape
        fusion = self.fusion.unflatten(1, (bands, features))
        return torch.einsum("dkc,kcr->dkr", fusion, self.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Project patches of all bands: ``(M, P, R, K) -> (M, P, D)``."""
        weight, fusion = self.weight.to(features.dtype), self.fusion.to(features.dtype)
        return torch.einsum("mprk,kcr->mpkc", features, weight).flatten(2) @ fusion.T


class JointProjection(nn.Module):
    """One linear map of all bands of a patch, time-major: feature ``r K + k`` is band ``k`` at sample ``r``.

    ``weight``, shape (D, R K), equals the ``value_embedding.weight`` of the original SWT-Time without its last axis.
    """

    def __init__(self, patch_len: int, bands: int, d_model: int) -> None:
        super().__init__()
        self.bands = bands
        self.weight = nn.Parameter(init_projection(torch.empty(d_model, patch_len * bands)))

    def band_kernel(self) -> Tensor:
        """Return the map as a kernel, shape (D, K, R)."""
        kernel: Tensor = self.weight.unflatten(1, (-1, self.bands)).transpose(1, 2)
        return kernel

    def forward(self, features: Tensor) -> Tensor:
        """Project patches of all bands: ``(M, P, R, K) -> (M, P, D)``."""
        return features.flatten(2) @ self.weight.to(features.dtype).T


class SemanticProjection(nn.Sequential):
    """Linear, GELU, Linear with hidden width ``2 D``: ``(M, P, D) -> (M, P, D)``, in the dtype of the tokens."""

    def __init__(self, d_model: int) -> None:
        super().__init__(nn.Linear(d_model, 2 * d_model), nn.GELU(), nn.Linear(2 * d_model, d_model))

    def forward(self, tokens: Tensor) -> Tensor:
        """Project tokens; weights are cast to their dtype."""
        for layer in self:
            if isinstance(layer, nn.Linear):
                tokens = F.linear(tokens, layer.weight.to(tokens.dtype), layer.bias.to(tokens.dtype))
            else:
                tokens = layer(tokens)
        return tokens


class WaveletPatchEmbedding(nn.Module):
    """Embed patches of the wavelet bands: ``(B, N, T) -> (B*N, P, D)``, ``P = (T - R) // s + 2``.

    Each series is transformed by an SWT, all bands are cut into overlapping patches, and the bands of one patch are
    projected to one token.

    Parameters
    ----------
    d_model, patch_len, stride : int
        ``D``, ``R`` and ``s``.
    wavelet, level, boundary, norm
        As in :func:`swt_time.wavelets.swt`.
    bands : {"all", "approx"}
        Use all bands, or the approximation only.
    band_weights : {"none", "free", "softmax"}
        A learnable factor for each band: unconstrained, or ``K`` times a softmax. Both start at one.
    shrink : {"none", "soft"}
        Soft thresholding of the coefficients with a learnable threshold for each band that starts at zero (the
        identity). It is the only nonlinear option before the projection, hence the only one that can represent more
        than a plain patch embedding with the same receptive field; it cannot be folded.
    projection : {"joint", "per_band"}
        One linear map of all bands, or one for each band followed by a fusion to ``D``.
    positions : {"none", "patch", "band"}
        Learned positions, initialised from a truncated normal with std 0.02. ``patch``: one row for each patch, added
        to its token. ``band``: also one code for each patch and band, added to that band's patch before the
        projection.
    semantic : bool
        Apply Linear, GELU, Linear (hidden width ``2 D``) to the tokens, after the positions.
    learnable : {"none", "lattice", "free"}
        ``none``: fixed filters. ``lattice``: orthogonal filters with learnable rotation angles. ``free``: two
        unconstrained filters; :meth:`penalty` should then be added to the loss.
    pad : {"signal", "coefficient"}
        Values of the last stride after the end of the window: coefficients of the extended signal, or repetitions
        of the last coefficient, as in the originals.
    dropout : float
        Dropout on the tokens.
    context : int, optional
        ``T``; required only with positions, whose tables have one row for each patch.

    Notes
    -----
    Without shrinkage, transform, patching and projection run as one strided convolution
    (``swt_time.wavelets.folding``), unless its kernel is so long that the steps one by one are faster. In eval mode
    without gradients the kernel is cached. It is recomputed after ``train()`` or ``eval()``, after a move to another
    device or dtype, and when a weight was replaced or modified in place. Writes through ``.data`` are not detected;
    call ``eval()`` after them. A compiled graph recomputes the kernel in every call.

    The transform runs in the dtype of the input with autocast off; weights are cast to that dtype.

    Examples
    --------
    >>> embed = WaveletPatchEmbedding(32, wavelet="db4", level=3)
    >>> embed(torch.randn(8, 7, 96)).shape
    torch.Size([56, 12, 32])
    """

    filters: Tensor | None

    def __init__(  # noqa: PLR0913  an argument for each option of the configuration
        self,
        d_model: int,
        patch_len: int = 16,
        stride: int = 8,
        *,
        wavelet: str = "db4",
        level: int = 3,
        boundary: Boundary = "periodic",
        norm: bool = False,
        bands: BandChoice = "all",
        band_weights: BandWeights = "none",
        shrink: Shrinkage = "none",
        projection: Projection = "joint",
        positions: Positions = "none",
        semantic: bool = False,
        learnable: Learnable = "none",
        pad: Padding = "signal",
        dropout: float = 0.0,
        context: int | None = None,
    ) -> None:
        super().__init__()
        check_patching(d_model, patch_len, stride)
        check_boundary(boundary)
        check_level(level, context if context is not None else 2 ** max(level, 0))
        check_choices(
            bands=bands,
            band_weights=band_weights,
            shrink=shrink,
            projection=projection,
            positions=positions,
            learnable=learnable,
            pad=pad,
        )
        self.d_model, self.patch_len, self.stride = d_model, patch_len, stride
        self.wavelet, self.level, self.boundary, self.norm, self.pad = wavelet, level, boundary, norm, pad
        self.bands = level + 1 if bands == "all" else 1
        self.reach = reach(wavelet, level, boundary)
        self.taps = patch_len + sum(self.reach)

        self.bank: LatticeFilters | FreeFilters | None = None
        if learnable != "none":
            self.bank = LatticeFilters(wavelet) if learnable == "lattice" else FreeFilters(wavelet)
        self.band_weight = None
        if band_weights != "none":
            self.band_weight = nn.Parameter(torch.full((self.bands,), 1.0 if band_weights == "free" else 0.0))
        self.softmax = band_weights == "softmax"
        self.threshold = nn.Parameter(torch.zeros(self.bands)) if shrink == "soft" else None
        kind = JointProjection if projection == "joint" else BandProjection
        self.projection: JointProjection | BandProjection = kind(patch_len, self.bands, d_model)
        self.position = self.band_position = None
        if positions != "none":
            table = patch_positions(positions, context, patch_len, stride, d_model)
            self.position = nn.Parameter(table)
            if positions == "band":
                codes = torch.empty(table.shape[0], patch_len, self.bands)
                self.band_position = nn.Parameter(nn.init.trunc_normal_(codes, std=0.02))
        self.semantic = SemanticProjection(d_model) if semantic else nn.Identity()
        self.dropout = nn.Dropout(dropout)

        # Constants derived from fixed filters; not saved in a state dict.
        self.register_buffer("filters", self._placed_filters() if self.bank is None else None, persistent=False)
        # Made without data, on the device "meta": the constants follow when there are weights.
        self._unfilled = self.filters is not None and self.filters.is_meta
        self._folded: Remembered[tuple[Tensor, Tensor | None]] = Remembered()
        self._last: Remembered[Tensor] = Remembered()

    # --- filters and kernels -----------------------------------------------------------------------------

    def filter_bank(self) -> FilterBank:
        """Return the current filters."""
        return filter_bank(self.wavelet) if self.bank is None else self.bank()

    def penalty(self) -> Tensor | None:
        """Return the squared reconstruction error of free filters, to be added to the loss; None for other filters."""
        return self.bank.penalty() if isinstance(self.bank, FreeFilters) else None

    def prior(self) -> Prior:
        """Return the transform that the closed-form forecast takes as its prior."""
        return Prior(self.wavelet, self.level, self.boundary)

    def weights(self) -> Tensor | None:
        """Return the factor of each band, shape (K,), or None."""
        if self.band_weight is None or not self.softmax:
            return self.band_weight
        return self.bands * self.band_weight.softmax(0)

    def band_kernel(self) -> Tensor:
        """Return band weights and projection as one kernel on the bands, shape (D, K, R)."""
        kernel, weights = self.projection.band_kernel(), self.weights()
        return kernel if weights is None else kernel * weights.unsqueeze(-1)

    def folded_kernels(self, length: int) -> tuple[Tensor, Tensor | None]:
        """Return the kernel ``A`` of the strided convolution, shape (D, U) with ``U`` rounded up to whole strides.

        For ``pad="coefficient"`` also the kernel that changes the last patch, shape (D, q + U) (`last_filters`). Both
        have at least single precision.
        """
        if self._unfilled:
            self.filters, self._unfilled = self._placed_filters(), False
        placed = self._placed_filters() if self.filters is None else self.filters
        weight = self.band_kernel().to(placed.dtype)
        own = self.pad == "coefficient"
        return fold(weight, placed), fold(weight, self._last_filters(placed, length)) if own else None

    def _last_filters(self, placed: Tensor, length: int) -> Tensor:
        """Return `last_filters`, remembered if the filters are fixed."""
        if self.filters is None or torch.compiler.is_compiling():
            return last_filters(placed, length, self.stride)
        with torch.inference_mode(False), torch.no_grad():
            key = fingerprint([placed]), length
            return self._last.get(key, lambda: last_filters(placed, length, self.stride))

    def _placed_filters(self) -> Tensor:
        """Composite filters of the bands in use at every place in a patch, shape (K, R, U)."""
        filters = composite_filters(self.filter_bank(), self.level, self.boundary, self.norm)[: self.bands]
        weight = self.projection.weight
        precise = torch.promote_types(weight.dtype, torch.float32)
        return patch_filters(filters, self.patch_len, self.stride).to(weight.device, precise)

    def _kernels(self, length: int) -> tuple[Tensor, Tensor | None]:
        """As :meth:`folded_kernels`, cached in eval mode if no gradient is needed."""
        needs_graph = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        if self.training or needs_graph or torch.compiler.is_compiling():
            return self.folded_kernels(length)
        # Only the kernel of the last patch depends on the number of samples.
        key = fingerprint(self.parameters()), length if self.pad == "coefficient" else None
        with torch.inference_mode(False), torch.no_grad():
            return self._folded.get(key, lambda: self.folded_kernels(length))

    def train(self, mode: bool = True) -> WaveletPatchEmbedding:
        """Set the mode; the folded kernel is recomputed in either mode."""
        self._folded.forget()
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> WaveletPatchEmbedding:
        before = self.filters
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # Module has no annotation here
        self._folded.forget()
        if before is not None and self.filters is not None and self.filters.dtype != before.dtype:
            # A cast applies to weights only: recompute the constants in at least single precision.
            self.filters = self._placed_filters()
        return self

    # --- forward -----------------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch of windows: ``(B, N, T) -> (B*N, P, D)``."""
        check_series(x)
        length = x.shape[-1]
        check_level(self.level, length)
        patch_count(length, self.patch_len, self.stride)
        series = x.reshape(x.shape[0] * x.shape[1], length)
        with torch.autocast(x.device.type, enabled=False):
            tokens = self.folded(series) if self.folds(series) else self.plain(series)
            if self.position is not None:
                tokens = add_positions(tokens, self.positions(self.position))
        dropped: Tensor = self.dropout(self.semantic(tokens))
        return dropped

    def folds(self, series: Tensor) -> bool:
        """Return whether series ``(M, T)`` take the folded path: all steps are linear and folding is faster."""
        if self.threshold is not None:
            return False
        if torch.compiler.is_exporting():  # the graph is the same for every number of series
            return True
        training = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        count, length = series.shape
        sizes, gpu = (count, length, self.d_model, self.taps, self.bands), series.device.type == "cuda"
        return folding_pays(*sizes, patch_len=self.patch_len, stride=self.stride, training=training, gpu=gpu)

    def folded(self, series: Tensor) -> Tensor:
        """Compute tokens without positions as one strided convolution: ``(M, T) -> (M, P, D)``."""
        kernel, change = self._kernels(series.shape[-1])
        kernel = kernel.to(series.dtype)
        change = None if change is None else change.to(series.dtype)
        folded = Folded(self.patch_len, self.stride, self.reach, self.boundary)
        return strided_patches(series, kernel, change, folded)

    def plain(self, series: Tensor) -> Tensor:
        """Compute tokens without positions step by step, from the definition: ``(M, T) -> (M, P, D)``."""
        beyond = self.stride if self.pad == "signal" else 0
        c = analyse(series, self.filter_bank(), self.level, self.boundary, self.norm, beyond=beyond)
        c = extend(c[:, : self.bands], 0, self.stride - beyond, "replicate")
        if self.threshold is not None:
            c = soft_shrink(c, self.threshold)
        weights = self.weights()
        if weights is not None:
            c = c * weights.to(c.dtype).unsqueeze(-1)
        projected: Tensor = self.projection(patches(c, self.patch_len, self.stride).permute(0, 2, 3, 1))
        return projected

    def positions(self, table: Tensor) -> Tensor:
        """Return the position of each patch, including the projected codes of its bands, shape (P, D)."""
        if self.band_position is None:
            return table
        coded: Tensor = table + self.projection(self.band_position.unsqueeze(0))[0]
        return coded
