"""Contiguous blocks of windows, each held out once: what a closed form is chosen by.

The windows of each series are divided in time into blocks of equal numbers of windows. While a block is held out, no
window is trained on whose target overlaps a target of the block, so the error on the block is that of a forecast of
rows that were never fitted. The contexts may overlap, as they do between the parts of a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from swt_time.data.windows import Windows, evenly
from swt_time.model.closed_form.moments import Moments, moments
from swt_time.model.closed_form.priors import Penalty
from swt_time.model.closed_form.ridge import STRENGTHS, path
from swt_time.processes import ALONE, Processes

BLOCKS = 6
"""Blocks at most. Each has at least as many windows of the longest series as the horizon has steps."""

FEWEST_BLOCKS = 4
"""Blocks in time at least: with fewer, too little would be left to train on. Then whole series are held out."""

MOST_WINDOWS = 2**14
"""Most windows of all blocks together. They are evenly spaced; neighbouring windows share all but one sample."""

MOST_PARTIAL = 2**11
"""Windows with some missing targets among them, at most."""


class Fold(NamedTuple):
    """Moments of the windows of one block, and of those that may be trained on while it is held out."""

    train: Moments
    held_out: Moments


def assign_blocks(places: np.ndarray, horizon: int, sparsity: float = 1) -> tuple[np.ndarray, np.ndarray] | None:
    """Divide windows into blocks.

    Parameters
    ----------
    places : (M, 2) int array
        Series index and first row of each window.
    horizon : int
        ``H``.
    sparsity : float
        Number of windows of the series for each one given.

    Returns
    -------
    block : (M,) int array
        The block of each window.
    trains : (K, M) bool array
        Which windows may be trained on while each block is held out.

    None if there is one series and it is too short for `FEWEST_BLOCKS` blocks.

    Notes
    -----
    There are `BLOCKS` blocks, or fewer if the longest series has fewer than ``BLOCKS * H`` windows. If it has fewer
    than ``FEWEST_BLOCKS * H``, the blocks are made of whole series.
    """
    _, series, counts = np.unique(places[:, 0], return_inverse=True, return_counts=True)
    start = places[:, 1]
    order = np.lexsort((start, series))
    ends = np.cumsum(counts)
    spans = start[order][ends - 1] - start[order][ends - counts] + 1
    longest = np.minimum(counts * sparsity, spans).max()
    blocks = min(BLOCKS, int(longest) // horizon)
    if blocks < FEWEST_BLOCKS:
        blocks = min(BLOCKS, len(counts))
        if blocks < 2:
            return None
        block = series * blocks // len(counts)
        return block, block != np.arange(blocks)[:, None]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order)) - np.repeat(ends - counts, counts)
    block = rank * blocks // counts[series]
    trains = np.empty((blocks, len(places)), dtype=bool)
    for held_out in range(blocks):
        own = block == held_out
        first = np.full(len(counts), np.iinfo(np.int64).max // 2)
        last = -first
        np.minimum.at(first, series[own], start[own])
        np.maximum.at(last, series[own], start[own])
        trains[held_out] = (start <= first[series] - horizon) | (start >= last[series] + horizon)
    return block, trains


@dataclass(frozen=True)
class Blocks:
    """Windows of several parts, divided into blocks.

    Attributes
    ----------
    parts : sequence of Windows
    part, index : (M,) int arrays
        Part of each used window, and its index there.
    block : (M,) int array
    trains : (K, M) bool array
        See `assign_blocks`.
    """

    parts: Sequence[Windows]
    part: np.ndarray
    index: np.ndarray
    block: np.ndarray
    trains: np.ndarray

    @classmethod
    def divide(cls, parts: Sequence[Windows], horizon: int, most: int | None = None) -> "Blocks | None":
        """Divide at most ``most`` windows (by default `MOST_WINDOWS`) of all parts.

        None if they are too few, see `assign_blocks`.
        """
        ends = np.cumsum([len(one) for one in parts])
        used = evenly(int(ends[-1]), most or MOST_WINDOWS)
        part = np.searchsorted(ends, used, side="right")
        index = used - np.concatenate([[0], ends[:-1]])[part]
        places = np.concatenate([one.places(index[part == number]) for number, one in enumerate(parts)])
        assigned = assign_blocks(places, horizon, int(ends[-1]) / len(used))
        return None if assigned is None else cls(parts, part, index, *assigned)

    def folds(self, exponent: int = 0, processes: Processes = ALONE) -> list[Fold]:
        """Return the folds of `by_block`."""
        return list(self.by_block(exponent, processes).values())

    def by_block(self, exponent: int = 0, processes: Processes = ALONE) -> dict[int, Fold]:
        """Return the fold of each block with observed targets and windows to train on, weighted as in `moments`.

        Every window is read once: windows of one block that may be trained on in the same folds are summed together.
        """
        held_out: dict[int, Moments] = {}
        train: dict[int, Moments] = {}
        bits = 2 ** np.arange(len(self.trains))[::-1]
        codes = (self.block * len(self.parts) + self.part) * 2 ** len(bits) + bits @ self.trains
        _, first, piece = np.unique(codes, return_index=True, return_inverse=True)
        for number, (block, part, folds) in enumerate(
            zip(self.block[first], self.part[first], self.trains.T[first], strict=True)
        ):
            indices = self.index[piece == number]
            partial = MOST_PARTIAL * len(indices) // len(self.index)
            sums = moments(self.parts[part], indices, exponent, partial, processes)
            _add(held_out, int(block), sums)
            for fold in np.flatnonzero(folds):
                _add(train, int(fold), sums)
        found = {block: Fold(train[block], held_out[block]) for block in sorted(held_out) if block in train}
        return {block: fold for block, fold in found.items() if fold.train.points and fold.held_out.points}


def _add(to: dict[int, Moments], key: int, sums: Moments) -> None:
    to[key] = to[key] + sums if key in to else sums


def completed(fold: Fold, penalty: Penalty) -> Fold:
    """Replace missing training targets by forecasts, so that candidates are compared without an iteration each."""
    if not len(fold.train.partial):
        return fold
    middle = STRENGTHS[len(STRENGTHS) // 2]
    ((_, weight),) = path(fold.train, penalty, strengths=[middle])
    return Fold(fold.train.complete(weight), fold.held_out)
