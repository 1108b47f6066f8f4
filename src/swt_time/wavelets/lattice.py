"""Orthogonal filters as rotation angles (the lattice factorisation), and the angles of a named wavelet.

A two-band orthogonal filter bank of ``L = 2M`` taps is a chain of ``M`` rotations with delays between them
(Vaidyanathan, Multirate Systems and Filter Banks, 1993, chapter 6). The bank is orthogonal for any angles. The
high-pass has zero mean if and only if the angles sum to ``pi / 4``, so ``M - 1`` of them are free (Selesnick; Pollen)
and they determine the last one.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

LONGEST = 30
"""Largest number of taps for which the angles of every orthogonal wavelet of PyWavelets are found in float64."""


def lattice_filters(free: Tensor) -> tuple[Tensor, Tensor]:
    """Return the analysis low-pass and high-pass of the lattice with ``M - 1`` free angles.

    Parameters
    ----------
    free : Tensor, shape (M - 1,)

    Returns
    -------
    dec_lo, dec_hi : Tensor, shape (2M,)
        In PyWavelets' order and sign; ``dec_lo`` sums to ``sqrt(2)``, ``dec_hi`` to 0.
    """
    angles = torch.cat((free, (math.pi / 4 - free.sum()).unsqueeze(0)))
    cosine, sine = angles.cos(), angles.sin()
    low = torch.stack((cosine[0], sine[0]))
    high = torch.stack((-sine[0], cosine[0]))
    for m in range(1, angles.shape[0]):
        a, b = torch.nn.functional.pad(low, (0, 2)), torch.nn.functional.pad(high, (2, 0))
        low, high = cosine[m] * a + sine[m] * b, cosine[m] * b - sine[m] * a
    return low, high


def angles_of(dec_lo: Tensor, name: str = "custom") -> Tensor:
    """Return the free angles, shape (L/2 - 1,), float64, of an orthogonal low-pass of at most 30 taps.

    Rotations are removed from the ends of the filter one by one. Levenberg-Marquardt steps then correct the errors
    that result from end taps close to zero (the first tap of db15 is 1e-7).

    Raises
    ------
    ValueError
        If the filter has more than 30 taps, or its angles do not reproduce it within 1e-8 (it is not orthogonal).
    """
    target = dec_lo.detach().cpu().double().numpy()
    taps = len(target)
    if taps > LONGEST:
        raise ValueError(
            f"expected a filter of at most {LONGEST} taps for learnable='lattice', got {name} with {taps}: "
            "the angles of longer filters cannot be found in double precision, since their end taps vanish; "
            "use a shorter wavelet or learnable='free'"
        )
    free = _refine(_peel(target)[:-1], target)
    error = float(np.abs(_build(_close(free)) - target).max())
    if error > 1e-8:
        raise ValueError(
            f"expected an orthogonal wavelet for learnable='lattice', got {name}, whose rotations miss it "
            f"by {error:.1g}; use an orthogonal family (haar, db, sym, coif) or learnable='free'"
        )
    return torch.from_numpy(free)


def _close(free: np.ndarray) -> np.ndarray:
    """Return all angles: the free ones and the one that the zero-mean condition determines."""
    return np.append(free, math.pi / 4 - free.sum())


def _build(angles: np.ndarray) -> np.ndarray:
    """Return the low-pass of all ``M`` angles (:func:`lattice_filters` in NumPy)."""
    low, high = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    for m, (cosine, sine) in enumerate(zip(np.cos(angles), np.sin(angles), strict=True)):
        if m:
            low, high = np.append(low, [0.0, 0.0]), np.append([0.0, 0.0], high)
        low, high = cosine * low + sine * high, cosine * high - sine * low
    return low


def _peel(target: np.ndarray) -> np.ndarray:
    """Find the angles from the outermost rotation inwards; removing each rotation shortens the filter by two taps."""
    low = target.astype(np.longdouble)
    high = low[::-1] * np.where(np.arange(len(low)) % 2, 1, -1)
    angles = []
    while len(low) > 2:
        # Both ends determine the angle; the end with the larger taps is more accurate.
        if abs(low[0]) + abs(high[0]) > abs(low[-1]) + abs(high[-1]):
            angle = np.arctan2(-high[0], low[0])
        else:
            angle = np.arctan2(low[-1], high[-1])
        cosine, sine = np.cos(angle), np.sin(angle)
        low, high = (cosine * low - sine * high)[:-2], (sine * low + cosine * high)[2:]
        angles.append(angle)
    angles.append(np.arctan2(low[1], low[0]))
    return np.array(angles[::-1], dtype=np.float64)


def _refine(free: np.ndarray, target: np.ndarray, steps: int = 50) -> np.ndarray:
    """Levenberg-Marquardt on the filter taps, until they agree within 1e-13."""
    damping = 1e-3
    residual = target - _build(_close(free))
    for _ in range(steps if len(free) else 0):
        if np.abs(residual).max() < 1e-13 or damping > 1e3:
            break
        angles = _close(free)
        # The derivative of a rotation is the rotation by an additional quarter turn.
        slopes = [_build(angles + quarter) for quarter in np.eye(len(angles)) * math.pi / 2]
        jacobian = np.stack([slope - slopes[-1] for slope in slopes[:-1]], axis=1)
        rows = np.vstack([jacobian, math.sqrt(damping) * np.eye(len(free))])
        step = np.linalg.lstsq(rows, np.append(residual, np.zeros(len(free))), rcond=None)[0]
        trial = target - _build(_close(free + step))
        if np.sum(trial**2) < np.sum(residual**2):
            free, residual, damping = free + step, trial, damping / 10
        else:
            damping *= 10
    return free
