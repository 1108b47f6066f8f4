"""Contexts, levels and patches that fit a table."""

from collections.abc import Sequence

import numpy as np

from swt_time.config import Config

LONGEST = 512
"""Longest context that is tried; longer ones lost on every benchmark (see `benchmarks/LOG.md`)."""

SHORTEST = 4
"""Shortest context that is tried."""

DEEPEST = 6
"""Most levels of the wavelet transform that ``auto`` takes."""

WAVELETS = ("haar", "db4")
"""Wavelets that ``auto`` compares."""


def feasible_contexts(known: Sequence[np.ndarray], horizon: int, season: int) -> list[int]:
    """Contexts to try: the longest that leaves a training window in most series, its half and its quarter.

    Parameters
    ----------
    known : sequence of int arrays
        Rows to train on of each series, for each block.
    horizon : int
    season : int
        A context of at least a season is rounded down to whole seasons.

    Returns
    -------
    list of int
        Longest first; empty if the series are too short for any.
    """
    longest = min(min(int(np.median(rows)) for rows in known) - horizon - 1, LONGEST)
    found = []
    for divisor in (1, 2, 4):
        context = longest // divisor
        if context >= SHORTEST:
            found.append(context - context % season if season < context else context)
    return list(dict.fromkeys(found))


def fit_sizes(config: Config, context: int) -> dict[str, int]:
    """Level and patches that fit a context, by configuration key, where the configuration's own do not."""
    embedding = config.embedding
    level = min(DEEPEST if embedding.level == "auto" else embedding.level, context.bit_length() - 1)
    patch_len = min(embedding.patch_len, context)
    return {
        "data.context": context,
        "embedding.level": level,
        "embedding.patch_len": patch_len,
        "embedding.stride": min(embedding.stride, patch_len),
    }
