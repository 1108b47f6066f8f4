"""The linear forecast, solved in closed form: ridge regression from window to horizon under a wavelet prior.

A window ``x`` and its horizon ``y``, both less the window's mean, are related by one matrix for all series::

    W = argmin sum |y - W x|^2 + strength * trace((W - 1 a') R (W - 1 a')'),    R^-1 = sum_k tilt^(J - k) S_k' S_k

with ``S_k`` (T, T) the normalised stationary wavelet transform of band ``k`` in [A_J, D_J, ..., D_1]. A tight frame
with ``tilt`` 1 gives ``R = I``, ridge regression (Hoerl and Kennard, 1970); ``tilt`` below 1 trusts the coarse bands
less, above 1 the fine ones. What nothing is known of is forecast as the *anchor* ``a' x``, the mean of the newest
samples: of all ``T`` (then ``a' x`` is 0), or of as many as the newest Haar approximation of some level averages.

Sums over windows are all that is needed, so a grid of all three costs no further look at the data, and the loss that
is minimised is the one that is reported.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from swt_time.data.windows import evenly
from swt_time.wavelets import swt

STRENGTHS = tuple(10 ** (exponent / 2) for exponent in range(-8, 5))
"""Tried strengths, as multiples of the mean eigenvalue of the penalised second moments."""

TILTS = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0)
"""Tried tilts."""

MOST_WINDOWS = 2**17
"""Windows that the sums run over at most, evenly spread: neighbours share all but one of their samples."""

FOLDS = 5
"""Blocks of training windows, each held out once, where there is no validation part to choose by."""

CHUNK = 4096

SMALLEST_UNIT = 1e-100
"""Mean eigenvalue that windows without any variation are taken to have, so that nothing is divided by zero."""


class Windows(Protocol):
    """Numbered windows of one part of a table."""

    def __len__(self) -> int: ...

    def gather(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Contexts (M, T) and targets (M, H)."""
        ...


class RidgeSkip(nn.Module):
    """A linear map from the normalised window to the horizon, which gradients leave alone.

    Parameters
    ----------
    context, horizon : int
        ``T`` and ``H``.

    Attributes
    ----------
    weight : Tensor, (H, T)
        A buffer, zero until `solve` has found it.
    """

    weight: Tensor

    def __init__(self, context: int, horizon: int):
        super().__init__()
        self.register_buffer("weight", torch.zeros(horizon, context))

    def forward(self, z: Tensor) -> Tensor:
        """Map ``(B, N, T)`` to ``(B*N, H)``."""
        return z.flatten(0, 1) @ self.weight.T


@dataclass(frozen=True)
class Moments:
    """Second moments of windows: all that a linear map's squared error depends on.

    Attributes
    ----------
    inputs : Tensor, (T, T)
        Sum of ``x x'``.
    products : Tensor, (T, H)
        Sum of ``x y'``.
    targets : float
        Sum of ``|y|^2``.
    points : int
        Number of values in all ``y``.
    """

    inputs: Tensor
    products: Tensor
    targets: float
    points: int

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.inputs + other.inputs,
            self.products + other.products,
            self.targets + other.targets,
            self.points + other.points,
        )

    def mse(self, weight: Tensor) -> float:
        """Mean squared error of ``y`` forecast as ``weight x``; weight of shape (H, T)."""
        explained = 2 * (weight.T * self.products).sum() - (weight.T * (self.inputs @ weight.T)).sum()
        return (self.targets - float(explained)) / self.points


@dataclass(frozen=True)
class Solution:
    """The map, what was chosen, and its errors.

    Attributes
    ----------
    weight : Tensor, (H, T)
        Double precision.
    strength, tilt : float
        Strength as a multiple of the mean eigenvalue of the penalised moments.
    anchor : int
        Newest samples whose mean is forecast where nothing is known; ``T`` for the window's mean.
    train_mse, held_out_mse : float
    """

    weight: Tensor
    strength: float
    tilt: float
    anchor: int
    train_mse: float
    held_out_mse: float


def moments(windows: Windows, numbers: np.ndarray) -> Moments:
    """Sum second moments over the windows of the given numbers, in double precision."""
    total: Moments | None = None
    for begin in range(0, len(numbers), CHUNK):
        context, target = (torch.from_numpy(array).double() for array in windows.gather(numbers[begin : begin + CHUNK]))
        mean = context.mean(dim=1, keepdim=True)
        x, y = context - mean, target - mean
        part = Moments(x.T @ x, x.T @ y, float(y.square().sum()), y.numel())
        total = part if total is None else total + part
    assert total is not None, "no window to sum over"
    return total


def band_grams(context: int, wavelet: str, level: int, boundary: str) -> list[Tensor]:
    """``S_k' S_k`` of each band, every one of shape (T, T), in double precision."""
    impulses = torch.eye(context, dtype=torch.float64)
    bands = swt(impulses, wavelet, level=level, boundary=boundary, norm=True)  # (T, K, T)
    return [band @ band.T for band in bands.unbind(1)]


def roots(grams: Sequence[Tensor] | None, context: int) -> list[tuple[float, Tensor]]:
    """A square root ``L`` of ``R^-1 = L L'`` for each tilt; without bands the identity alone."""
    if grams is None:
        return [(1.0, torch.eye(context, dtype=torch.float64))]
    found = []
    for tilt in TILTS:
        inverse = sum(tilt ** (len(grams) - 1 - k) * gram for k, gram in enumerate(grams))
        assert isinstance(inverse, Tensor)
        values, vectors = torch.linalg.eigh(inverse)
        found.append((tilt, vectors * values.clamp_min(0).sqrt()))
    return found


def anchors(context: int) -> dict[int, Tensor]:
    """The weights ``a`` (T,) of each anchor on a window less its mean, by the number of its newest samples."""
    found = {context: torch.zeros(context, dtype=torch.float64)}
    for level in reversed(range(math.ceil(math.log2(context)))):
        newest = torch.zeros(context, dtype=torch.float64)
        newest[-(2**level) :] = 2.0**-level
        found[2**level] = newest
    return found


class Path:
    """The maps of every strength and anchor under one prior, from one eigenvalue decomposition.

    Parameters
    ----------
    train : Moments
    root : Tensor, (T, T)
        ``L`` of ``R^-1 = L L'``.
    """

    def __init__(self, train: Moments, root: Tensor):
        values, vectors = torch.linalg.eigh(root.T @ train.inputs @ root)
        values = values.clamp_min(0)
        unit = values.mean().clamp_min(SMALLEST_UNIT)
        self._basis = root @ vectors
        self._gains = 1 / (values + unit * torch.tensor(STRENGTHS, dtype=torch.float64).unsqueeze(1))  # (strengths, T)
        self._inputs = self._basis.T @ train.inputs
        self._products = self._basis.T @ train.products

    def weight(self, strength: float, anchor: Tensor) -> Tensor:
        """One map, (H, T)."""
        gains = self._gains[STRENGTHS.index(strength)]
        left = self._products - (self._inputs @ anchor).unsqueeze(1)
        return (anchor.unsqueeze(1) + self._basis @ (gains.unsqueeze(1) * left)).T

    def errors(self, held_out: Moments, anchors: Sequence[Tensor]) -> Tensor:
        """Mean squared errors (anchors, strengths) on other windows: `Moments.mse` of every `weight`.

        In the eigenvectors' coordinates a map is ``a 1' + E D (P - q 1')``, with ``D`` the gains of its strength and
        ``q`` the anchor's part. So products over the horizon are taken once, and each map costs T^2 operations.
        """
        basis, gains, products = self._basis, self._gains, self._products
        horizon = products.shape[1]
        seen = basis.T @ held_out.products
        gram = basis.T @ held_out.inputs @ basis
        squares, sums, seen_sums = products @ products.T, products.sum(1), seen.sum(1)
        aligned = (products * seen).sum(1)
        found = []
        for anchor in anchors:
            part, moved = self._inputs @ anchor, held_out.inputs @ anchor
            explained = anchor @ held_out.products.sum(1) + gains @ (aligned - part * seen_sums)
            crossed = torch.outer(sums, part)
            spread = squares - crossed - crossed.T + horizon * torch.outer(part, part)
            size = horizon * anchor @ moved + 2 * gains @ ((basis.T @ moved) * (sums - horizon * part))
            size = size + ((gains @ (gram * spread)) * gains).sum(1)
            found.append((held_out.targets - 2 * explained + size) / held_out.points)
        return torch.stack(found)


def solve(windows: Windows, validation: Windows | None, context: int, wavelet: tuple[str, int, str] | None) -> Solution:
    """Solve the linear forecast, strength, tilt and anchor chosen by the error on windows held out.

    Parameters
    ----------
    windows, validation : Windows
        Without validation, contiguous blocks of training windows are held out in turn.
    context : int
        ``T``.
    wavelet : (name, level, boundary) or None
        The prior's transform; None is plain ridge regression.
    """
    numbers = evenly(len(windows), MOST_WINDOWS)
    if validation is not None and len(validation):
        train = moments(windows, numbers)
        folds = [(train, moments(validation, evenly(len(validation), MOST_WINDOWS)))]
    else:
        blocks = [moments(windows, block) for block in np.array_split(numbers, min(FOLDS, len(numbers)))]
        train = sum(blocks[1:], blocks[0])
        rests = [sum((b for b in blocks if b is not block), _nothing(train)) for block in blocks]
        folds = list(zip(rests, blocks, strict=True)) if len(blocks) > 1 else [(train, train)]
    tried = anchors(context)
    priors = roots(band_grams(context, *wavelet) if wavelet else None, context)
    errors = torch.zeros(len(priors), len(tried), len(STRENGTHS), dtype=torch.float64)
    for fold, held_out in folds:
        for number, (_, root) in enumerate(priors):
            errors[number] += Path(fold, root).errors(held_out, list(tried.values())) / len(folds)
    at_tilt, at_anchor, at_strength = np.unravel_index(int(errors.argmin()), errors.shape)
    (tilt, root), anchor, strength = priors[at_tilt], list(tried)[at_anchor], STRENGTHS[at_strength]
    weight = Path(train, root).weight(strength, tried[anchor])
    return Solution(weight, strength, tilt, anchor, train.mse(weight), float(errors.min()))


def _nothing(like: Moments) -> Moments:
    return Moments(torch.zeros_like(like.inputs), torch.zeros_like(like.products), 0.0, 0)
