"""The directions in which vectors of texts differ most."""

import numpy as np


def main_directions(vectors: np.ndarray, most: int) -> np.ndarray:
    """Return at most ``most`` principal directions (n, r) of vectors (m, n); none where all vectors are zero.

    The sign of a direction is arbitrary: its largest entry is positive, which makes it the same on every machine.
    """
    _, sizes, directions = np.linalg.svd(vectors, full_matrices=False)
    count = int((sizes[:most] > 1e-6).sum())
    chosen = directions[:count].T
    return np.asarray(chosen * np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(count)]))
