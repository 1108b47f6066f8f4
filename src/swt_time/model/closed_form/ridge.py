"""Ridge regression from second moments: one Cholesky factor for each strength."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from swt_time.model.closed_form.linear_algebra import Cholesky
from swt_time.model.closed_form.moments import Moments
from swt_time.model.closed_form.priors import Penalty

STRENGTHS = tuple(10 ** (exponent / 2) for exponent in range(-8, 5))
"""Strengths that are tried, as multiples of the mean eigenvalue of ``R^-1 sum x x'``."""

MOST_ROUNDS = 200
"""Rounds of the iteration for missing targets at most; the error shrinks in each by about their share."""

TOLERANCE = 1e-4
"""Change of the maps, as a share of their norm, below which the iteration ends where nothing else is said."""

LEAST_UNIT = 1e-150
"""Least mean eigenvalue: constant windows have none, and the squares of its inverse must be finite."""


class Equations:
    """Penalised normal equations of training windows, which give the maps of any strength.

    Parameters
    ----------
    train : Moments
    penalty : Penalty
    means : sequence of ndarray (H, T) or None
        Maps that the solution is shrunk towards; None for zero. All are solved with the same factor.
    last : bool
        Whether ``W - W0`` maps ``x`` relative to its last value; then its rows sum to zero.

    Notes
    -----
    Where targets are missing, each is replaced by its present forecast and the weights are solved again, until they
    change by less than a tolerance. The fixed point minimises the error of the observed values alone: a target that
    equals its forecast adds nothing to the gradient.
    """

    def __init__(
        self, train: Moments, penalty: Penalty, means: Sequence[np.ndarray | None] = (None,), last: bool = False
    ):
        residuals = [train if mean is None else train.minus(mean) for mean in means]
        if last:
            residuals = [one.since_last() for one in residuals]
        self.inputs, self.partial = residuals[0].inputs, residuals[0].partial
        self.products = np.concatenate([one.products for one in residuals], axis=1)
        self.missing = np.tile(train.missing, (1, len(means)))
        self.penalty, self.means, self.last = penalty, means, last
        self.unit = max(float((self.inputs * penalty.covariance).sum()) / len(self.inputs), LEAST_UNIT)

    def maps(self, strength: float, tolerance: float = TOLERANCE) -> list[np.ndarray]:
        """Return the map (H, T) of a strength for each mean."""
        solve = self._solver(strength)
        solved = solve(self.products)
        for _ in range(MOST_ROUNDS if len(self.partial) else 0):
            former = solved
            solved = solve(self.products + self.partial.T @ (self.missing * (self.partial @ former)))
            if np.linalg.norm(solved - former) <= tolerance * np.linalg.norm(solved):
                break
        if self.last:
            solved[-1] -= solved.sum(axis=0)
        weights = np.split(solved.T, len(self.means))
        return [weight if mean is None else mean + weight for weight, mean in zip(weights, self.means, strict=True)]

    def _solver(self, strength: float) -> Callable[[np.ndarray], np.ndarray]:
        matrix = self.inputs + self.unit * strength * self.penalty.matrix
        try:
            return Cholesky(matrix).solve
        except np.linalg.LinAlgError:  # by rounding of the sums, with a small strength
            return partial(np.linalg.solve, matrix)


def path(
    train: Moments,
    penalty: Penalty,
    tolerance: float = TOLERANCE,
    *,
    mean: np.ndarray | None = None,
    last: bool = False,
    strengths: Sequence[float] = STRENGTHS,
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield each strength with its map (H, T); see `Equations`."""
    equations = Equations(train, penalty, [mean], last)
    for strength in strengths:
        yield strength, equations.maps(strength, tolerance)[0]


def lowest(near: float, error: Callable[[float], float]) -> float:
    """Return the member of `STRENGTHS` with the lowest error, as far as a search over few of them finds it.

    It begins at the best of every fourth strength and ``near``, where a search before has ended, and goes downhill. The
    curve of a ridge regression has one minimum nearly always, and a second one mostly at the strongest.
    """
    last = len(STRENGTHS) - 1
    index: int = min({STRENGTHS.index(near), *range(last, 0, -4)}, key=lambda i: error(STRENGTHS[i]))
    while True:
        around = [i for i in (index - 1, index, index + 1) if 0 <= i <= last]
        best = min(around, key=lambda i: error(STRENGTHS[i]))
        if best == index:
            return STRENGTHS[index]
        index = best
