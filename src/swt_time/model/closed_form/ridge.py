"""Ridge regression from second moments: all strengths from one eigenvalue decomposition."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from swt_time.model.closed_form.moments import Moments

STRENGTHS = tuple(10 ** (exponent / 2) for exponent in range(-8, 5))
"""Strengths that are tried, as multiples of the mean eigenvalue of ``L' (sum x x') L``, where ``R^-1 = L L'``."""

MOST_ROUNDS = 200
"""Rounds of the iteration for missing targets at most; the error shrinks in each by about their share."""


LEAST_UNIT = 1e-150
"""Least mean eigenvalue: constant windows have none, and the squares of its inverse must be finite."""


class Eigenbasis:
    """Eigenvalue decomposition of ``L' (sum x x') L``.

    Attributes
    ----------
    basis : Tensor, (T, T)
        Columns in which both the moments and the prior are diagonal.
    values : Tensor, (T,)
    unit : Tensor
        Mean eigenvalue.
    """

    def __init__(self, inputs: Tensor, root: Tensor):
        values, vectors = torch.linalg.eigh(root.T @ inputs @ root)
        self.values = values.clamp_min(0)
        self.basis = root @ vectors
        self.unit = self.values.mean().clamp_min(LEAST_UNIT)

    def scales(self, strengths: Sequence[float]) -> Tensor:
        """Return the divisors of each strength, (S, T)."""
        return self.values + self.unit * torch.tensor(strengths, dtype=torch.float64)[:, None]


def path(
    train: Moments,
    root: Tensor,
    tolerance: float = 1e-4,
    *,
    mean: Tensor | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> Iterator[tuple[float, Tensor]]:
    """Yield each strength with its map (H, T), from one eigenvalue decomposition.

    Parameters
    ----------
    train : Moments
    root : Tensor, (T, T)
        A square root of the prior's covariance.
    tolerance : float
    mean : Tensor, (H, T), optional
        The map that the solution is shrunk towards; zero by default.
    strengths : sequence of float

    Notes
    -----
    Where targets are missing, each is replaced by its present forecast and the weights are solved again, until they
    change by less than ``tolerance`` of their norm. The fixed point minimises the error of the observed values alone: a
    target that equals its forecast adds nothing to the gradient.
    """
    eigen = Eigenbasis(train.inputs, root)
    residual = train if mean is None else train.minus(mean)
    products = eigen.basis.T @ residual.products
    partial = residual.partial @ eigen.basis
    for strength, scale in zip(strengths, eigen.scales(strengths).unsqueeze(-1), strict=True):
        solved = products / scale
        for _ in range(MOST_ROUNDS if len(partial) else 0):
            former = solved
            solved = (products + partial.T @ (residual.missing * (partial @ former))) / scale
            if (solved - former).norm() <= tolerance * solved.norm():
                break
        weight = (eigen.basis @ solved).T
        yield strength, weight if mean is None else mean + weight


def held_out_errors(train: Moments, held_out: Moments, eigen: Eigenbasis) -> Tensor:
    """Return the mean squared error on held-out windows of the map of every strength, (S,).

    Equal to ``held_out.mse`` of each map of `path`, without computing the maps: with the solutions ``d A`` in the
    eigenbasis, where ``d`` is diagonal and depends on the strength, the error is a quadratic form in ``d``.

    Parameters
    ----------
    train : Moments
        Without missing targets; see `Moments.complete`.
    held_out : Moments
        Both of residuals, if the maps are shrunk towards another one than zero; see `Moments.minus`.
    eigen : Eigenbasis
        Of the training windows and a prior.
    """
    assert not len(train.partial), "missing training targets must be completed first"
    solved = eigen.basis.T @ train.products
    linear = (solved * (eigen.basis.T @ held_out.products)).sum(dim=1)
    quadratic = (solved @ solved.T) * (eigen.basis.T @ held_out.inputs @ eigen.basis)
    shrunk = 1 / eigen.scales(STRENGTHS)
    errors = held_out.targets - 2 * shrunk @ linear + ((shrunk @ quadratic) * shrunk).sum(dim=1)
    if len(held_out.partial):
        partial = held_out.partial @ eigen.basis
        unobserved = [(held_out.missing * (partial @ (d[:, None] * solved))).square().sum() for d in shrunk]
        errors = errors - torch.stack(unobserved)
    return errors / max(held_out.points, 1)
