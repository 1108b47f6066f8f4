"""Held-out blocks at the end of each series, on which candidates are judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BLOCKS = 3
"""Held-out blocks of a series that is long enough."""

SHORT_BLOCKS = 8
"""Most held-out blocks of a series whose blocks are one horizon long, unless there are `MANY` series; they lie in the
later half of its rows."""

SHARE = 10
"""A block is at least this part of a long series (a tenth), so that one bad day does not decide."""

MOST_ORIGINS = 512
"""Most forecast origins in a block of all series together."""

MANY = 2_000
"""Series from which on every block samples other ones, half as many: 768 series say more than the same 512 thrice."""

FEWEST_ORIGINS = 4

FEW_ORIGINS = 64
"""A block with fewer origins than this has later ones too, up to this number."""

MOST_VALUES = 2**19
"""Most values that all forecasts from a block look back at: with a season of a day in minutes each looks back at
thousands."""


@dataclass(frozen=True)
class Block:
    """A block of rows that is held out: what is known before it, and where forecasts in it begin.

    Attributes
    ----------
    series : (S,) int array
        Series that are long enough.
    rows : (S,) int array
        Rows of each that lie before the block; candidates are fitted on them.
    pairs : (M, 2) int array
        Forecast origins in the block: index of the series in the table, and number of its known rows.
    later : (K, 2) int array
        More origins, where these are few. Their targets overlap those of the next block, or run past the end of the
        table, so candidates are not compared there. But the errors of the forecast that is chosen are computed there
        too, because intervals need many.
    """

    series: np.ndarray
    rows: np.ndarray
    pairs: np.ndarray
    later: np.ndarray

    @property
    def origins(self) -> np.ndarray:
        """All forecast origins: ``pairs``, then ``later``."""
        return np.concatenate([self.pairs, self.later])


def held_out_blocks(
    lengths: Sequence[int] | np.ndarray, horizon: int, history: int = 1, *, count: int | None = None
) -> list[Block]:
    """Divide the ends of all series into blocks, the latest first.

    A block has as many rows as the horizon, or a tenth of the series if that is more. At least as many rows as the
    horizon lie before it, so a series of twice the horizon has one block. Forecasts begin at several rows of a long
    block; their targets lie inside it. Of many series an even sample is used.

    Parameters
    ----------
    lengths : (N,) int array
    horizon : int
        ``H``.
    history : int
        Values that a forecast looks back at, which limits the number of origins.
    count : int, optional
        Most blocks; by default `BLOCKS`, or up to `SHORT_BLOCKS` where they are one horizon long.

    Returns
    -------
    list of Block
        Empty if no series is long enough.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    size = np.maximum(horizon, lengths // SHARE)
    least = max(horizon, 2)
    most = min(MOST_ORIGINS, max(MOST_VALUES // history, FEWEST_ORIGINS))
    always = count or BLOCKS
    blocks = []
    for number in range(1, (count or SHORT_BLOCKS) + 1):
        rows = lengths - number * size
        enough = rows >= least
        if number > always:
            enough &= (size == horizon) & (2 * rows >= lengths) & (len(lengths) < MANY)
        series = np.flatnonzero(enough)
        if not len(series):
            break
        if len(series) >= MANY:
            sample = np.linspace(0, len(series) - 1, always * max(most // 2, 1))
            series = series[sample[number - 1 :: always].round().astype(np.int64)]
        elif len(series) > most:
            series = series[np.linspace(0, len(series) - 1, most).round().astype(np.int64)]
        each = max(most // len(series), 1)
        pairs = [
            np.stack(np.broadcast_arrays(i, _origins(int(rows[i]), int(size[i]) - horizon, each)), axis=1)
            for i in series.tolist()
        ]
        found = np.concatenate(pairs)
        room = min(FEW_ORIGINS, most) - len(found)
        blocks.append(Block(series, rows[series], found, _later(series, rows, size, horizon, room)))
    return blocks


def _later(series: np.ndarray, rows: np.ndarray, size: np.ndarray, horizon: int, room: int) -> np.ndarray:
    """At most ``room`` origins in a block from which a forecast runs past its end, evenly spread."""
    count = room // len(series)
    found = [np.empty((0, 2), dtype=np.int64)]
    for i in series.tolist() if count > 0 and horizon > 1 else []:
        first = int(rows[i] + size[i]) - horizon + 1
        found.append(np.stack(np.broadcast_arrays(i, _origins(first, horizon - 2, count)), axis=1))
    return np.concatenate(found)


def _origins(first: int, room: int, count: int) -> np.ndarray:
    """At most ``count`` evenly spread origins from ``first`` to ``first + room``; a single one is the first."""
    return first + np.linspace(0, room, min(count, room + 1)).round().astype(np.int64)
