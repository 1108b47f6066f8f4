"""Cholesky factors with NumPy alone, which has the factor but no solution of triangular equations."""

import numpy as np

BLOCK = 64
"""Rows that are solved at once; the rest of the work is products of matrices."""

ALIASED = 256
"""Rows of a multiple of this many values lie in the same lines of the cache, so a factor takes up to three times as
long; such a matrix is factored with `PADDING` more rows of the identity, which change no other row."""

PADDING = 8


class Cholesky:
    """The Cholesky factor ``L`` of a symmetric positive definite matrix ``A = L L'``.

    Parameters
    ----------
    matrix : ndarray, (n, n)

    Raises
    ------
    numpy.linalg.LinAlgError
        The matrix is not positive definite.

    Notes
    -----
    Blocks of rows are solved one after the other (Golub and Van Loan, "Matrix Computations", 3.1.4), each by the
    inverse of its triangle on the diagonal. Unlike the inverse of the whole matrix that is as exact as substitution.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        self.lower = cholesky(matrix)
        self.begins = range(0, len(matrix), BLOCK)
        self.inverses = _diagonal_inverses(self.lower)

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Return ``A^-1 B`` of right sides ``B`` (n, m)."""
        lower, solved = self.lower, np.array(right)
        for begin, inverse in zip(self.begins, self.inverses, strict=True):
            end = begin + len(inverse)
            solved[begin:end] = inverse @ solved[begin:end]
            solved[end:] -= lower[end:, begin:end] @ solved[begin:end]
        for begin, inverse in zip(reversed(self.begins), reversed(self.inverses), strict=True):
            end = begin + len(inverse)
            solved[begin:end] = inverse.T @ solved[begin:end]
            solved[:begin] -= lower[begin:end, :begin].T @ solved[begin:end]
        return solved

    def inverse(self) -> np.ndarray:
        """Return ``A^-1``, symmetric."""
        lower = np.eye(len(self.lower))  # becomes the inverse of the factor
        for begin, inverse in zip(self.begins, self.inverses, strict=True):
            end = begin + len(inverse)
            lower[begin:end, :end] = inverse @ lower[begin:end, :end]
            lower[end:, :end] -= self.lower[end:, begin:end] @ lower[begin:end, :end]
        found: np.ndarray = lower.T @ lower
        return found


def cholesky(matrix: np.ndarray) -> np.ndarray:
    """Return the factor ``L`` of ``A = L L'``; see `Cholesky`."""
    size = len(matrix)
    if size % ALIASED or not size:
        return np.linalg.cholesky(matrix)
    padded = np.eye(size + PADDING)
    padded[:size, :size] = matrix
    return np.linalg.cholesky(padded)[:size, :size]


def _diagonal_inverses(lower: np.ndarray) -> list[np.ndarray]:
    whole = len(lower) // BLOCK
    blocks = [lower[i : i + BLOCK, i : i + BLOCK] for i in range(0, whole * BLOCK, BLOCK)]
    found = list(np.linalg.inv(np.stack(blocks))) if blocks else []
    rest = lower[whole * BLOCK :, whole * BLOCK :]
    return [*found, np.linalg.inv(rest)] if len(rest) else found
