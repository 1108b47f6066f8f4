"""Small training runs: a configuration without a language model, windows that it can learn, and a fake clock."""

import numpy as np

SMALL = {
    "data": {"context": 48, "horizon": 12},
    "embedding": {"d_model": 8, "level": 1, "wavelet": "haar"},
    "backbone": {"name": "none"},
    "model": {"dropout": 0.0, "skip": "linear"},
}


class Clock:
    """A replacement of the module ``time`` whose time is set by the test."""

    def __init__(self, now=0.0):
        self.now = now

    def monotonic(self):
        return self.now


class Sines:
    """Windows of noisy sines that a linear head can learn; ``asked`` records the indices of every ``gather``."""

    def __init__(self, count=64, seed=0, noise=0.05):
        rng = np.random.default_rng(seed)
        phase = rng.uniform(0, 24, size=(count, 1))
        self.rows = np.sin(2 * np.pi * (np.arange(60) + phase) / 24) + noise * rng.normal(size=(count, 60))
        self.asked = []

    season = 24

    def __len__(self):
        return len(self.rows)

    def places(self, indices):
        return np.stack([indices, np.zeros_like(indices)], axis=1)

    def gather(self, indices):
        self.asked.append(np.array(indices))
        rows = self.rows[indices].astype(np.float32)
        return rows[:, :48], rows[:, 48:]
