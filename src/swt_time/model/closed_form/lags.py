"""Second moments of all windows of gapless series, from products of lagged values.

Neighbouring windows share all but one sample. Let ``z`` be a window of ``W = T + H`` values that begins at row ``s``
of a series ``v``, and ``S = sum_s z z'`` over its ``C`` windows. The first row of ``S`` holds the products of lagged
values, ``S_0j = sum_s v_s v_(s+j)``, and every diagonal continues it,

    ``S_(i+1)(j+1) = S_ij + v_(C+i) v_(C+j) - v_i v_j``.

Fourier transforms give the first row, so the sums take ``O(C log W + W^2)`` operations instead of ``O(C W^2)``.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from swt_time.data.scaling import equally_long
from swt_time.data.windows import ConsecutiveWindows, Windows, evenly
from swt_time.model.closed_form.moments import Moments, moments
from swt_time.processes import ALONE, Processes

LENGTH = 2**12
"""Length of a Fourier transform, at least; shorter for short series."""

AT_ONCE = 2**18
"""Values that are transformed in one call."""

LEAST_VARIATION = 1e-8
"""Share of the second moments that must remain after the mean of each window is subtracted; the rounding of the sums is
about ``1e-15`` of them."""


@runtime_checkable
class SummedWindows(Windows, Protocol):
    """Windows whose sums are known, because they were summed over while their rows were read."""

    def summed(self) -> Moments | None:
        """Return the second moments of all windows; None where `all_moments` gives None or a value was missing."""
        ...


def sum_moments(windows: Windows, context: int, horizon: int, most: int, processes: Processes = ALONE) -> Moments:
    """Sum second moments over all windows where they follow each other, else over ``most`` that are evenly spaced.

    Parameters
    ----------
    windows : Windows
    context, horizon : int
        ``T`` and ``H``.
    most : int
    processes : Processes
        Those that divide the windows among them.
    """
    if isinstance(windows, SummedWindows):
        found = windows.summed()
    else:
        runs = windows.runs() if isinstance(windows, ConsecutiveWindows) else None
        found = None if runs is None else all_moments(runs, context, horizon, processes)
    return moments(windows, evenly(len(windows), most), processes=processes) if found is None else found


def all_moments(runs: Sequence[np.ndarray], context: int, horizon: int, processes: Processes = ALONE) -> Moments | None:
    """Sum second moments over all windows of runs, as `swt_time.model.closed_form.moments.moments` does over some.

    Parameters
    ----------
    runs : sequence of float64 arrays
        Values that the windows of a series cover, ``C + T + H - 1`` of them; all observed.
    context, horizon : int
        ``T`` and ``H``.
    processes : Processes
        Those that divide the windows among them; each is given all runs.

    Returns
    -------
    Moments or None
        None if there is no window, or if the windows vary so little beside their means that rounding would matter.
    """
    width = context + horizon
    runs = [run for run in runs if len(run) >= width]
    sums = LaggedSums(context, horizon)
    sums.add(runs if processes.alone else own_runs(runs, width, processes))
    sums.add_up(processes)
    return sums.moments()


class LaggedSums:
    """Sums over windows of runs that are added one group after another, so that not all are in memory together.

    Parameters
    ----------
    context, horizon : int
        ``T`` and ``H``.
    """

    def __init__(self, context: int, horizon: int) -> None:
        width = context + horizon
        self.context, self.width, self.total = context, width, 0
        self._first, self._ends = np.zeros(width), np.zeros((width - 1, width - 1))

    def add(self, runs: Sequence[np.ndarray]) -> None:
        """Add the windows of runs, see `all_moments`."""
        width = self.width
        for _, rows in equally_long([run for run in runs if len(run) >= width]):
            count = rows.shape[1] - width + 1
            self.total += len(rows) * count
            self._first += lagged_products(rows, count, width)
            leaving, entering = rows[:, : width - 1], rows[:, count:]
            self._ends += entering.T @ entering - leaving.T @ leaving

    def add_up(self, processes: Processes) -> None:
        """Replace the sums of each process by those of all."""
        if not processes.alone:
            summed = processes.add(np.concatenate([self._ends.ravel(), self._first, [self.total]]))
            size = self._ends.size
            self._ends, self._first = summed[:size].reshape(self._ends.shape), summed[size:-1]
            self.total = round(summed[-1])

    def moments(self) -> Moments | None:
        """Return the moments of all windows that were added, see `all_moments`."""
        if not self.total:
            return None
        sums = np.empty((self.width, self.width))
        sums[0] = sums[:, 0] = self._first
        for i in range(self.width - 1):
            sums[i + 1, i + 1 :] = sums[i + 1 :, i + 1] = sums[i, i:-1] + self._ends[i, i:]
        return centred(sums, self.context, self.total)


def own_runs(runs: Sequence[np.ndarray], width: int, processes: Processes) -> list[np.ndarray]:
    """Return the stretches of runs whose windows of ``width`` values are those of this process.

    Of all windows in order, each process has as many as the others.
    """
    ends = np.cumsum([len(run) - width + 1 for run in runs])
    total = int(ends[-1]) if len(ends) else 0
    first, last = (total * one // processes.size for one in (processes.rank, processes.rank + 1))
    found = []
    for run, end in zip(runs, ends.tolist(), strict=True):
        begin = end - (len(run) - width + 1)
        some = slice(max(first - begin, 0), min(last, end) - begin + width - 1)
        if some.stop - some.start >= width:
            found.append(run[some])
    return found


def lagged_products(rows: np.ndarray, count: int, width: int) -> np.ndarray:
    """Sum ``v_s v_(s+j)`` over ``s < C`` and rows ``v``, (W,) for ``j < W``.

    Parameters
    ----------
    rows : ndarray (M, C + W - 1)
    count, width : int
        ``C`` and ``W``.
    """
    length = 1 << (max(min(LENGTH, count + width - 1), 2 * width) - 1).bit_length()
    span = length - width + 1
    whole = max(min(count // span, (rows.shape[1] - length) // span + 1), 0)
    spectrum = spectral_products(rows, whole, span, length)
    spans = -(-count // span) - whole
    if spans > 0:  # what is left is padded, so that a long series is not copied
        rest = rows[:, whole * span :]
        later = np.pad(rest, ((0, 0), (0, spans * span + width - 1 - rest.shape[1])))
        now = np.pad(rest[:, : count - whole * span], ((0, 0), (0, spans * span - count + whole * span)))
        spectrum += spectral_products(later, spans, span, length, now)
    return np.asarray(np.fft.irfft(spectrum, length)[:width])


def spectral_products(
    rows: np.ndarray, spans: int, span: int, length: int, now: np.ndarray | None = None
) -> np.ndarray:
    """Sum products of the Fourier transforms of spans and of the stretches of the rows that begin with them.

    The spans are the first ``spans`` ones of ``now``, by default ``rows``; a stretch has ``length`` values.
    """
    spectrum = np.zeros(length // 2 + 1, dtype=complex)
    if spans == 0:
        return spectrum
    later = sliding_window_view(rows, length, axis=1)[:, ::span]
    current = sliding_window_view(rows if now is None else now, span, axis=1)[:, ::span]
    step = max(AT_ONCE // (len(rows) * length), 1)
    for begin in range(0, spans, step):
        some = slice(begin, min(begin + step, spans))
        spectrum += (np.fft.rfft(current[:, some], length).conj() * np.fft.rfft(later[:, some])).sum(axis=(0, 1))
    return spectrum


def centred(sums: np.ndarray, context: int, windows: int) -> Moments | None:
    """Second moments relative to the mean of each context, from sums of ``z z'``."""
    with_mean = sums[:, :context].mean(axis=1, keepdims=True)
    relative = sums - with_mean - with_mean.T + with_mean[:context].mean()
    inputs = relative[:context, :context]
    if not inputs.trace() > LEAST_VARIATION * sums[:context, :context].trace():
        return None
    horizon = len(sums) - context
    none = np.empty((0, context)), np.empty((0, horizon))
    targets = float(relative[context:, context:].trace())
    return Moments(inputs, relative[:context, context:], targets, windows * horizon, *none)
