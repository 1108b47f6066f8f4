"""Linear forecast solved in closed form: ridge regression from window to horizon with a wavelet prior.

A window ``x`` and its horizon ``y``, after subtraction of the window's mean, are related by one matrix for all series::

    W = argmin sum |y - W x|^2 + strength * trace(W R W'),    R^-1 = sum_k tilt^(J - k) S_k' S_k

where ``S_k`` (T, T) is the normalised stationary wavelet transform of band ``k`` in [A_J, D_J, ..., D_1].
``strength`` is the amount of regularisation: the larger it is, the closer ``W`` is to zero. ``tilt`` distributes it
over the bands: with 1 all bands are penalised equally, below 1 the coarse bands more than the fine ones, above 1 the
fine bands more. For a tight frame, ``tilt`` 1 gives ``R = I``, plain ridge regression (Hoerl and Kennard, 1970).

The solution and its squared error depend on the windows only through sums of second moments. A grid search over
strength and tilt therefore reads the data once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from swt_time.data.windows import Windows, evenly
from swt_time.wavelets import Boundary, filter_bank
from swt_time.wavelets.stationary import analyse, check_level

STRENGTHS = tuple(10 ** (exponent / 2) for exponent in range(-8, 5))
"""Strengths that are tried, as multiples of the mean eigenvalue of ``L' (sum x x') L``, where ``R^-1 = L L'``."""

TILTS = (0.25, 0.5, 1.0, 2.0)
"""Tilts that are tried."""

MOST_WINDOWS = 2**17
"""Most windows that the sums run over. They are evenly spaced; neighbouring windows share all but one sample."""

FOLDS = 5
"""Folds of the cross-validation on training windows that is used if there is no validation part."""

CHUNK = 4096
"""Windows whose moments are computed at once."""

MOST_PARTIAL = 2**13
"""Windows with some missing targets that are used at most; they take memory and an iteration."""

MOST_ROUNDS = 200
"""Rounds of that iteration at most; the error shrinks in each by about the share of missing targets."""


class Prior(NamedTuple):
    """Wavelet transform whose bands the prior weights; arguments of `swt_time.wavelets.swt`."""

    wavelet: str
    level: int
    boundary: Boundary


class RidgeSkip(nn.Module):
    """Linear map from the normalised window to the horizon, solved in closed form and not trained by gradients.

    Parameters
    ----------
    context, horizon : int
        ``T`` and ``H``.

    Attributes
    ----------
    weight : Tensor, (H, T)
        A buffer, zero until the result of `solve` is copied into it.
    """

    weight: Tensor

    def __init__(self, context: int, horizon: int):
        super().__init__()
        self.register_buffer("weight", torch.zeros(horizon, context))

    def forward(self, z: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Map windows ``(B, N, T)`` to ``(B*N, H)``; the patch tokens are ignored."""
        return z.flatten(0, 1) @ self.weight.T


@dataclass(frozen=True)
class Moments:
    """Second moments of windows, which determine the squared error of any linear map.

    Attributes
    ----------
    inputs : Tensor, (T, T)
        Sum of ``x x'``.
    products : Tensor, (T, H)
        Sum of ``x y'`` over the observed values of ``y``.
    targets : float
        Sum of ``|y|^2`` over the observed values.
    points : int
        Number of observed values in all ``y``.
    partial : Tensor, (G, T)
        The windows ``x`` of which some values of ``y`` were not observed.
    missing : Tensor, (G, H)
        1 where a value was not observed, else 0.
    """

    inputs: Tensor
    products: Tensor
    targets: float
    points: int
    partial: Tensor
    missing: Tensor

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.inputs + other.inputs,
            self.products + other.products,
            self.targets + other.targets,
            self.points + other.points,
            torch.cat([self.partial, other.partial]),
            torch.cat([self.missing, other.missing]),
        )

    def mse(self, weight: Tensor) -> float:
        """Mean squared error of the observed values forecast as ``weight x``; weight of shape (H, T)."""
        explained = 2 * (weight.T * self.products).sum() - (weight.T * (self.inputs @ weight.T)).sum()
        unobserved = (self.missing * (self.partial @ weight.T)).square().sum()
        return (self.targets - float(explained) - float(unobserved)) / max(self.points, 1)


@dataclass(frozen=True)
class Solution:
    """The solved map, its regularisation, and its errors.

    Attributes
    ----------
    weight : Tensor, (H, T)
        Double precision.
    strength, tilt : float
        The members of `STRENGTHS` and `TILTS` with the lowest ``held_out_mse``.
    train_mse : float
        Mean squared error on the training windows.
    held_out_mse : float
        Mean squared error on the validation windows, or the mean over the folds if there are none.
    """

    weight: Tensor
    strength: float
    tilt: float
    train_mse: float
    held_out_mse: float


def moments(windows: Windows, indices: np.ndarray) -> Moments:
    """Sum second moments over the windows with the given indices, in double precision.

    A window of which nothing was observed is left out. Of those with some values only, at most `MOST_PARTIAL` are used.
    """
    total: Moments | None = None
    room = max(MOST_PARTIAL * CHUNK // max(len(indices), 1), 1)
    for begin in range(0, len(indices), CHUNK):
        context, target = (torch.from_numpy(array).double() for array in windows.gather(indices[begin : begin + CHUNK]))
        mean = context.mean(dim=1, keepdim=True)
        part = _moments(context - mean, target - mean, room)
        total = part if total is None else total + part
    assert total is not None, "no window to sum over"
    return total


def _moments(x: Tensor, y: Tensor, room: int) -> Moments:
    """Moments of windows (M, T) and targets (M, H) that may be NaN; at most ``room`` windows with some NaN are used."""
    missing = y.isnan()
    if not missing.any():
        return Moments(x.T @ x, x.T @ y, float(y.square().sum()), y.numel(), x[:0], y[:0])
    some = missing.any(dim=1) & ~missing.all(dim=1)
    used = ~missing.any(dim=1)
    used[some.nonzero()[evenly(int(some.sum()), room)]] = True
    x, y, missing = x[used], y[used].nan_to_num(), missing[used]
    partial = missing.any(dim=1)
    points = int((~missing).sum())
    return Moments(x.T @ x, x.T @ y, float(y.square().sum()), points, x[partial], missing[partial].double())


def band_grams(context: int, wavelet: str, level: int, boundary: Boundary) -> list[Tensor]:
    """Return ``S_k' S_k`` of each band, each of shape (T, T), in double precision."""
    impulses = torch.eye(context, dtype=torch.float64)
    check_level(level, context)
    bands = analyse(impulses, filter_bank(wavelet), level, boundary, norm=True)  # (T, K, T)
    return [band @ band.T for band in bands.unbind(1)]


def roots(grams: Sequence[Tensor] | None, context: int) -> list[tuple[float, Tensor]]:
    """Return each tilt with a square root ``L`` of its ``R^-1 = L L'``.

    Parameters
    ----------
    grams : sequence of Tensor, optional
        Result of `band_grams`; None gives tilt 1 with the identity only, plain ridge regression.
    context : int
        ``T``.
    """
    if grams is None:
        return [(1.0, torch.eye(context, dtype=torch.float64))]
    found = []
    for tilt in TILTS:
        inverse = sum(tilt ** (len(grams) - 1 - k) * gram for k, gram in enumerate(grams))
        assert isinstance(inverse, Tensor)
        values, vectors = torch.linalg.eigh(inverse)
        found.append((tilt, vectors * values.clamp_min(0).sqrt()))
    return found


def path(train: Moments, root: Tensor, tolerance: float = 1e-4) -> Iterator[tuple[float, Tensor]]:
    """The weights (H, T) of every strength, from one eigenvalue decomposition.

    Notes
    -----
    Where targets are missing, each is replaced by its present forecast and the weights are solved again, until they
    change by less than ``tolerance`` of their norm. The fixed point minimises the error of the observed values alone: a
    target that equals its forecast adds nothing to the gradient.
    """
    values, vectors = torch.linalg.eigh(root.T @ train.inputs @ root)
    values = values.clamp_min(0)
    basis = root @ vectors
    products = basis.T @ train.products
    unit = values.mean().clamp_min(torch.finfo(torch.float64).tiny)
    partial = train.partial @ basis
    for strength in STRENGTHS:
        scale = (values + strength * unit).unsqueeze(1)
        solved = products / scale
        for _ in range(MOST_ROUNDS if len(partial) else 0):
            former = solved
            solved = (products + partial.T @ (train.missing * (partial @ former))) / scale
            if (solved - former).norm() <= tolerance * solved.norm():
                break
        yield strength, (basis @ solved).T


def solve(windows: Windows, validation: Windows | None, context: int, prior: Prior | None) -> Solution:
    """Solve the linear forecast; strength and tilt are those with the lowest error on held-out windows.

    Parameters
    ----------
    windows : Windows
        Training windows.
    validation : Windows, optional
        Held-out windows. Without them, strength and tilt are chosen by cross-validation over contiguous blocks of
        training windows.
    context : int
        ``T``.
    prior : Prior, optional
        The transform of the wavelet prior; None gives plain ridge regression.

    Returns
    -------
    Solution
        Fitted on all training windows.
    """
    indices = evenly(len(windows), MOST_WINDOWS)
    if validation is not None and len(validation):
        train = moments(windows, indices)
        folds = [(train, moments(validation, evenly(len(validation), MOST_WINDOWS)))]
    else:
        blocks = [moments(windows, block) for block in np.array_split(indices, min(FOLDS, len(indices)))]
        train = sum(blocks[1:], blocks[0])
        rests = [sum((b for b in blocks if b is not block), _nothing(train)) for block in blocks]
        folds = list(zip(rests, blocks, strict=True)) if len(blocks) > 1 else [(train, train)]
    best: tuple[float, float, float, Tensor] | None = None
    for tilt, root in roots(band_grams(context, *prior) if prior else None, context):
        for steps in zip(*(path(fold, root) for fold, _ in folds), strict=True):
            errors = [held_out.mse(weight) for (_, weight), (_, held_out) in zip(steps, folds, strict=True)]
            error = sum(errors) / len(errors)
            if best is None or error < best[0]:
                best = (error, steps[0][0], tilt, root)
    assert best is not None
    error, strength, tilt, root = best
    weight = dict(path(train, root, 1e-9))[strength]
    return Solution(weight, strength, tilt, train.mse(weight), error)


def _nothing(like: Moments) -> Moments:
    empty = torch.zeros_like
    return Moments(empty(like.inputs), empty(like.products), 0.0, 0, like.partial[:0], like.missing[:0])
