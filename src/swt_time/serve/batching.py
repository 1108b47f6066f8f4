"""Windows of concurrent requests that one model forecasts together.

Nobody waits for others to come: while a model forecasts, the windows of further requests collect, and when it is free
they are forecast together. A request that is alone is therefore not delayed, and a busy model has large batches.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from swt_time.evaluation.trained import Trained

LARGEST = 2**12
"""Windows in one batch; a single request may have more."""


class Batcher:
    """Calls a function of windows for one batch at a time, each with the windows of all callers that wait.

    Parameters
    ----------
    function : callable
        Maps windows (M, T) to forecasts (M, H), each row by itself.
    report : callable, optional
        Called with the number of callers and of windows of each batch.
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        report: Callable[[int, int], None] = lambda callers, windows: None,
    ) -> None:
        self._function, self.report = function, report
        self._waiting: list[tuple[np.ndarray, Future[np.ndarray]]] = []
        self._guard = threading.Lock()
        self.running = threading.Lock()

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Forecast windows (M, T), perhaps together with those of other threads: (M, H)."""
        answer: Future[np.ndarray] = Future()
        with self._guard:
            self._waiting.append((windows, answer))
        while not answer.done():
            with self.running:  # whoever gets it forecasts for all who wait
                if not answer.done():
                    self._forecast(self._take())
        return answer.result()

    def _take(self) -> list[tuple[np.ndarray, Future[np.ndarray]]]:
        """Return the callers that have waited longest, as many as fit into one batch, but at least one."""
        with self._guard:
            count, windows = 0, 0
            for rows, _ in self._waiting:
                windows += len(rows)
                if count and windows > LARGEST:
                    break
                count += 1
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    def _forecast(self, callers: list[tuple[np.ndarray, Future[np.ndarray]]]) -> None:
        parts = [rows for rows, _ in callers]
        try:
            found = self._function(parts[0] if len(parts) == 1 else np.concatenate(parts))
        except BaseException as error:
            for _, answer in callers:
                answer.set_exception(error)
            return
        self.report(len(parts), len(found))
        begin = 0
        for rows, answer in callers:
            answer.set_result(found[begin : begin + len(rows)])
            begin += len(rows)


@dataclass(frozen=True)
class BatchedModel(Trained):
    """A trained model whose network forecasts the windows of concurrent requests together.

    Forecasts of a closed form are bit for bit those of each request alone, since it always forecasts batches of one
    size. Those of layers may differ in the last digits of single precision, because PyTorch adds up products of
    matrices of different sizes in different orders.
    """

    batcher: Batcher = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "batcher", Batcher(super().forecast_windows))

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Forecast scaled windows by the network: contexts (M, T) to forecasts (M, H)."""
        return self.batcher(contexts) if len(contexts) else super().forecast_windows(contexts)

    def spreads_of_network(self, *where: Any) -> np.ndarray | None:
        """As of `Trained`; layers are run by one thread at a time."""
        with self.batcher.running:
            return super().spreads_of_network(*where)
