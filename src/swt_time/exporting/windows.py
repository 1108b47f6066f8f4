"""Windows of a series in a graph, and the linear forecast from them.

Shapes: ``B`` batch, ``N`` channels, ``R`` rows, ``T`` context, ``H`` horizon, ``P`` patches.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from swt_time.exporting.graph import Graph, Value


@dataclass(frozen=True)
class Window:
    """The last ``T`` values of series, in double precision and in the units of the series.

    Attributes
    ----------
    context : int
        ``T``.
    mean : Value, (B, N, 1)
    centred : Value, (B, N, T)
        The values minus their mean, 0 where the window is padded.
    count : Value, (B, N, 1), or float64
        Number of observed values.
    known : Value, (B, N, T) bool, or None
        False where the window is padded; None if it never is.
    """

    context: int
    mean: Value
    centred: Value
    count: Value | np.float64
    known: Value | None

    def deviation(self, graph: Graph, added: Value) -> Value:
        """Return the population standard deviation (B, N, 1), with ``added`` (B, N, 1) to the variance."""
        squares = graph.sum(graph("Mul", self.centred, self.centred), 2)
        return graph("Sqrt", graph("Add", graph("Div", squares, self.count), added))

    def visible(self, graph: Graph, patch_len: int, stride: int, patches: int) -> Value | None:
        """Which patches hold an observed value, (B, N, P) bool; see `swt_time.model.patching.visible_patches`.

        A window is padded at its start alone, so the last value of a patch is observed if any is.
        """
        if self.known is None:
            return None
        ends = np.minimum(np.arange(patches) * stride + patch_len - 1, self.context - 1)
        return graph("Gather", self.known, ends.astype(np.int64), axis=2)


def take_window(graph: Graph, rows: Value, context: int, *, padded: bool) -> Window:
    """Take the last ``context`` of rows (B, N, R).

    With ``padded`` they may be fewer, or NaN before the start of a series.
    """
    if not padded:
        window = graph.last(rows, context)
        mean = graph("ReduceMean", window, axes=[2])
        return Window(context, mean, graph("Sub", window, mean), np.float64(context), None)
    window = last_rows(graph, rows, context)
    known = graph("Not", graph("IsNaN", window))
    count = graph.sum(graph.cast(known, np.float64), 2)
    mean = graph("Div", graph.sum(graph("Where", known, window, np.float64(0)), 2), count)
    return Window(context, mean, graph("Where", known, graph("Sub", window, mean), np.float64(0)), count, known)


def last_rows(graph: Graph, rows: Value, count: int) -> Value:
    """Return the last rows of (B, N, R), NaN in front where there are fewer: (B, N, count)."""
    before = np.array([0, 0, count, 0, 0, 0], np.int64)
    return graph.last(graph("Pad", rows, before, np.float64(np.nan)), count)


class Forecast(NamedTuple):
    """A forecast in the units of the series.

    Attributes
    ----------
    yhat : Value, (B, N, H)
        In double precision.
    spread : pair of Value, (B, N, H), or None
        The network's own spread below and above it; None if it was not asked for.
    """

    yhat: Value
    spread: tuple[Value, Value] | None = None


def forecast_closed_form(graph: Graph, window: Window, weight: np.ndarray) -> Forecast:
    """Forecast by the map (H, T) of a closed form: ``mean + W (x - mean)`` in double precision, whatever the scale."""
    product = graph("MatMul", window.centred, graph.cast(np.asarray(weight.T, np.float32), np.float64))
    return Forecast(graph("Add", product, window.mean))
