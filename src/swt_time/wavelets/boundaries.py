"""Boundaries: how a signal is extended beyond its ends, and which samples a band depends on.

Torch is not imported, which keeps this cheap.
"""

import math
from typing import Literal, get_args

Boundary = Literal["periodic", "reflect", "replicate", "zero", "causal"]

BOUNDARIES: tuple[Boundary, ...] = get_args(Boundary)


def check_level(level: int, length: int) -> None:
    """Raise ValueError if ``2**level`` exceeds the length; the message gives the largest level that fits."""
    if level < 1:
        raise ValueError(f"expected a level of at least 1, got {level}; level=1 is the shallowest transform")
    if 2**level > length:
        largest = int(math.log2(length)) if length >= 2 else 0
        remedy = f"the largest level that fits is {largest}" if largest else "at least 2 samples are needed"
        raise ValueError(f"expected 2**level <= T = {length} samples, got level {level}; {remedy}")


def origin(taps: int, boundary: str) -> int:
    """Return the index of the correlation tap that is aligned with the sample itself."""
    return taps - 1 if boundary == "causal" else taps // 2 - 1
