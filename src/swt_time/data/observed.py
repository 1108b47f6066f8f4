"""Which values were observed, and what was known of a gap at a time inside it. Pure NumPy.

A filled value is not an observation. Linear interpolation over a gap uses the value after the gap, so a forecast that
is made inside the gap must not see it: from the last observation to the forecast's origin it sees that observation.
"""

import numpy as np


def last_observed(observed: np.ndarray) -> np.ndarray:
    """Index of the last observed value at or before each index, int64; -1 before the first one."""
    indices = np.where(observed, np.arange(len(observed)), -1)
    return np.maximum.accumulate(indices)


def hold_last(values: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Replace the unobserved end of a series by its last observed value; all values before it stay.

    Parameters
    ----------
    values : (n,) array
        Linearly interpolated up to some later value.
    observed : (n,) bool array

    Returns
    -------
    (n,) array
        The same array if its last value was observed.
    """
    if len(values) == 0 or observed[-1]:
        return values
    last = int(last_observed(observed)[-1])
    return values if last < 0 else np.append(values[: last + 1], np.full(len(values) - last - 1, values[last]))
