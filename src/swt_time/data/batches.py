"""Batches of window indices in an order that depends on seed and epoch only. Pure NumPy."""

from collections.abc import Iterator

import numpy as np

from swt_time.errors import ConfigError


class ShuffledBatches:
    """Shuffled batches of window indices; the order depends only on the seed and the epoch.

    The position ``(epoch, step)`` is therefore the whole state. The order comes from the bit stream of Philox, which
    NumPy keeps stable across releases (NEP 19).

    Parameters
    ----------
    total : int
        Number of windows.
    batch_size : int
        The last batch of an epoch may be smaller.
    seed : int
    """

    def __init__(self, total: int, batch_size: int, seed: int) -> None:
        if total < 1 or batch_size < 1 or seed < 0:
            raise ConfigError(
                f"expected at least 1 window, batch size >= 1 and seed >= 0, got {total}, {batch_size} and {seed}"
            )
        self.total, self.batch_size, self.seed = total, batch_size, seed
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return -(-self.total // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """Window indices of an epoch in shuffled order, ``(total,)`` int64."""
        if epoch != self._epoch:
            bits = np.random.Philox(np.random.SeedSequence([self.seed, epoch])).random_raw(self.total)
            self._order, self._epoch = np.argsort(bits, kind="stable"), epoch
        return self._order

    def batch(self, epoch: int, step: int) -> np.ndarray:
        """Window indices of one batch, ``(B,)`` int64."""
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} is out of range; expected 0 to {len(self) - 1}")
        return self.order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]

    def from_position(self, epoch: int, step: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield ``(epoch, step, window indices)`` from a position on, indefinitely."""
        while True:
            if step >= len(self):
                epoch, step = epoch + 1, 0
            yield epoch, step, self.batch(epoch, step)
            step += 1
