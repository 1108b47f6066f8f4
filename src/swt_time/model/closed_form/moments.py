"""Sums of second moments of windows: all that a linear map's squared error depends on."""

from dataclasses import dataclass, replace

import numpy as np

from swt_time.data.windows import Windows, evenly
from swt_time.processes import ALONE, Processes

CHUNK = 4096
"""Windows whose moments are computed at once."""

MOST_PARTIAL = 2**13
"""Windows with some missing targets that are used at most; they take memory and an iteration."""

SOFTENING = 0.1
"""Added to a window's standard deviation, in standard deviations of its series, before it weights the window."""


@dataclass(frozen=True)
class Moments:
    """Second moments of windows, which determine the squared error of any linear map.

    Attributes
    ----------
    inputs : ndarray, (T, T)
        Sum of ``x x'``.
    products : ndarray, (T, H)
        Sum of ``x y'`` over the observed values of ``y``.
    targets : float
        Sum of ``|y|^2`` over the observed values.
    points : int
        Number of observed values in all ``y``.
    partial : ndarray, (G, T)
        The windows ``x`` of which some values of ``y`` were not observed.
    missing : ndarray, (G, H)
        1 where a value was not observed, else 0.
    """

    inputs: np.ndarray
    products: np.ndarray
    targets: float
    points: int
    partial: np.ndarray
    missing: np.ndarray

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.inputs + other.inputs,
            self.products + other.products,
            self.targets + other.targets,
            self.points + other.points,
            np.concatenate([self.partial, other.partial]),
            np.concatenate([self.missing, other.missing]),
        )

    def over(self, processes: Processes) -> "Moments":
        """Moments of the windows of all processes, each of which holds those of some."""
        if processes.alone:
            return self
        plain = [self.inputs.ravel(), self.products.ravel(), np.array([self.targets, self.points])]
        inputs, products, (targets, points) = np.split(
            processes.add(np.concatenate(plain)), np.cumsum([self.inputs.size, self.products.size])
        )
        return Moments(
            inputs.reshape(self.inputs.shape),
            products.reshape(self.products.shape),
            float(targets),
            round(points),
            processes.concatenate(self.partial),
            processes.concatenate(self.missing),
        )

    def squared_error(self, weight: np.ndarray) -> float:
        """Sum of squared errors of the observed values forecast as ``weight x``; weight of shape (H, T)."""
        explained = 2 * (weight.T * self.products).sum() - (weight.T * (self.inputs @ weight.T)).sum()
        unobserved = np.square(self.missing * (self.partial @ weight.T)).sum()
        return self.targets - float(explained) - float(unobserved)

    def mse(self, weight: np.ndarray) -> float:
        """Mean squared error of the observed values forecast as ``weight x``; weight of shape (H, T)."""
        return self.squared_error(weight) / max(self.points, 1)

    def minus(self, weight: np.ndarray) -> "Moments":
        """Moments of the residuals ``y - weight x`` in place of ``y``; weight of shape (H, T)."""
        unobserved = self.partial.T @ (self.missing * (self.partial @ weight.T))
        products = self.products - self.inputs @ weight.T + unobserved
        return replace(self, products=products, targets=self.squared_error(weight))

    def since_last(self) -> "Moments":
        """Moments of ``x`` relative to its last value, beside the same ``y``."""
        inputs = self.inputs - self.inputs[-1:]
        return replace(
            self,
            inputs=inputs - inputs[:, -1:],
            products=self.products - self.products[-1:],
            partial=self.partial - self.partial[:, -1:],
        )

    def complete(self, weight: np.ndarray) -> "Moments":
        """Moments in which the missing values of ``y`` are those that ``weight`` (H, T) forecasts."""
        filled = self.missing * (self.partial @ weight.T)
        return Moments(
            self.inputs,
            self.products + self.partial.T @ filled,
            self.targets + float(np.square(filled).sum()),
            self.points + int(self.missing.sum()),
            self.partial[:0],
            self.missing[:0],
        )


def moments(
    windows: Windows,
    indices: np.ndarray,
    exponent: int = 0,
    most_partial: int = MOST_PARTIAL,
    processes: Processes = ALONE,
) -> Moments:
    """Sum second moments over the windows with the given indices, in double precision.

    Context and target are relative to the mean of the context, which is NaN before the start of a series and 0 there in
    the sums. A window counts ``(std + SOFTENING)^-exponent`` times,
    where ``std`` is the standard deviation of its context. A window of which nothing was observed is left out. Of those
    with some values only, at most about ``most_partial`` are used. Several processes divide the windows among them.
    """
    total: Moments | None = None
    room = max(most_partial * min(CHUNK, len(indices)) // max(len(indices), 1), 1)
    for begin in range(0, len(indices), CHUNK):
        context, target = (array.astype(np.float64) for array in windows.gather(indices[begin : begin + CHUNK]))
        mean, padded = context.mean(axis=1, keepdims=True), np.isnan(context)
        known = ~padded.any(axis=1, keepdims=True)
        if not known.all():
            mean = np.where(known, mean, np.nanmean(context, axis=1, keepdims=True))
        x, y = np.where(padded, 0.0, context - mean), target - mean
        if exponent:
            # The square root of the weight, because moments are products of two values.
            share = 1 - padded.mean(axis=1, keepdims=True)
            scale = (np.sqrt(np.square(x).mean(axis=1, keepdims=True) / share) + SOFTENING) ** (-exponent / 2)
            x, y = scale * x, scale * y
        part = _moments(x, y, room, processes)
        total = part if total is None else total + part
    assert total is not None, "no window to sum over"
    return total.over(processes)


def _moments(x: np.ndarray, y: np.ndarray, room: int, processes: Processes) -> Moments:
    """Compute the moments of windows (M, T) and targets (M, H) that may be NaN.

    At most ``room`` windows with some NaN are used, of which this process takes its part.
    """
    missing = np.isnan(y)
    if not missing.any():
        x, y = processes.part(x), processes.part(y)
        none = np.empty((0, x.shape[1])), np.empty((0, y.shape[1]))
        return Moments(x.T @ x, x.T @ y, float(np.square(y).sum()), y.size, *none)
    some = missing.any(axis=1) & ~missing.all(axis=1)
    used = ~missing.any(axis=1)
    used[np.flatnonzero(some)[evenly(int(some.sum()), room)]] = True
    used = processes.part(np.flatnonzero(used))
    x, y, missing = x[used], np.nan_to_num(y[used]), missing[used]
    partial = missing.any(axis=1)
    points = int((~missing).sum())
    return Moments(x.T @ x, x.T @ y, float(np.square(y).sum()), points, x[partial], missing[partial].astype(np.float64))
