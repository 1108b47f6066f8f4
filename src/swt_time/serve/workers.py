"""The threads that forecast, and the bounded queue before them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from swt_time.serve.problems import Problem

RETRY_SECONDS = 1
"""After how many seconds a request that was refused may come again."""

Answer = TypeVar("Answer")


class Abandoned(Exception):
    """Nobody waits for the result any more."""


class Workers:
    """Run functions in a few threads of their own; event loop and other threads stay free.

    Parameters
    ----------
    threads : int
    waiting : int
        Functions that may wait for a thread.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="forecast")
        self._threads, self._most = threads, threads + waiting
        self._guard = threading.Lock()
        self._admitted = 0

    @property
    def running(self) -> int:
        """Functions that a thread works at."""
        return min(self._admitted, self._threads)

    @property
    def waiting(self) -> int:
        """Functions that wait for a thread."""
        return max(self._admitted - self._threads, 0)

    async def run(self, function: Callable[[Callable[[], None]], Answer], seconds: float) -> Answer:
        """Return the result of a function.

        Parameters
        ----------
        function : callable
            Its argument is a function that it calls now and then, which raises an error once nobody waits any more. A
            thread cannot be stopped from outside; its place is free when it has really ended.
        seconds : float

        Raises
        ------
        Problem
            The queue is full, or the result is not there in time.
        """
        abandoned = threading.Event()

        def alive() -> None:
            if abandoned.is_set():
                raise Abandoned

        def call() -> Answer:
            alive()
            return function(alive)

        with self._guard:
            if self._admitted >= self._most:
                raise busy("too many requests are waiting")
            self._admitted += 1
        try:
            future = self._pool.submit(call)
        except BaseException:
            self._release()
            raise
        future.add_done_callback(lambda _: self._release())
        waiter = asyncio.ensure_future(asyncio.wrap_future(future))
        try:
            done, _ = await asyncio.wait({waiter}, timeout=seconds)
            if not done:
                raise busy(f"the forecast was not ready within {seconds:g} s; send a smaller table")
            return waiter.result()
        finally:
            if not waiter.done():
                abandoned.set()
                waiter.add_done_callback(lambda one: one.cancelled() or one.exception())  # looked at, so not logged

    def close(self) -> None:
        """Wait for what was begun."""
        self._pool.shutdown(wait=True)

    def _release(self) -> None:
        with self._guard:
            self._admitted -= 1


def busy(reason: str) -> Problem:
    """Return the answer to a request that the server has no room for now."""
    return Problem(503, "Busy", f"{reason}; try again later", {"Retry-After": str(RETRY_SECONDS)})
