"""Memory that is certain to be new to the process."""

import mmap

import numpy as np


def touched_array(size: int) -> np.ndarray:
    """Ones in ``size`` bytes of new pages; NumPy and PyTorch reuse memory that is resident already."""
    array = np.frombuffer(mmap.mmap(-1, size), np.uint8)
    array[:] = 1
    return array
