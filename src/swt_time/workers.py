"""Running work in several processes; a failure or a killed process costs only its own piece of work."""

import contextlib
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

from swt_time.errors import SWTTimeError, SWTTimeWarning

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Outcome:
    """The index of a piece of work, and its result or the error in one line."""

    index: int
    result: Any = None
    error: str | None = None


class _Worker:
    """A process that does one piece of work after another."""

    def __init__(self, context: SpawnContext, function: Function):
        self.connection, other = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(other, function), daemon=True)
        self.process.start()
        other.close()
        self.index = -1

    def give(self, index: int, work: Any) -> None:
        self.index = index
        with contextlib.suppress(ConnectionError):  # the process was killed meanwhile, which `take` reports
            self.connection.send(work)

    def take(self) -> Outcome:
        try:
            result, error = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            code = self.process.exitcode or 0
            reason = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            return Outcome(self.index, error=f"the process {reason}")
        return Outcome(self.index, result, error)


def run_parallel(function: Function, work: Sequence[Any], *, jobs: int, threads: int) -> Generator[Outcome]:
    """Apply a function to each piece of work in several processes, and yield the outcomes as they finish.

    Closing the generator early, for example on Ctrl-C, kills the processes.

    Parameters
    ----------
    function : callable
        Of one argument, importable by name.
    work : sequence
        Arguments; they and the results must be picklable.
    jobs, threads : int
        Number of processes, and of threads in each.

    Yields
    ------
    Outcome
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(enumerate(work))[::-1]
    busy: list[_Worker] = []
    # The mathematical libraries, PyTorch too, read this variable when they load; work that needs no PyTorch loads none.
    former = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                worker = _Worker(context, function)
                worker.give(*waiting.pop())
                busy.append(worker)
            ready = connection.wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                outcome = worker.take()
                if waiting and worker.process.is_alive():
                    worker.give(*waiting.pop())
                else:
                    busy.remove(worker)
                    worker.connection.close()
                yield outcome
    finally:
        for worker in busy:
            worker.process.kill()
        if former is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = former


def attempt(function: Function, work: Any) -> tuple[Any, str | None]:
    """Return the result of a piece of work, or its error in one line."""
    try:
        return function(work), None
    except Exception as error:
        return None, describe(error)


def describe(error: BaseException) -> str:
    """Describe an error in one line; of errors that swt-time raises on purpose the message is enough."""
    text = " ".join(str(error).split())
    return text if isinstance(error, SWTTimeError) else f"{type(error).__name__}: {text}"


def _serve(pipe: connection.Connection, function: Function) -> None:
    """Serve work from a pipe until it is closed."""
    # Ctrl-C on a terminal reaches the whole process group; only the parent reacts to it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore", SWTTimeWarning)  # the parent has read the same tables and shown their warnings
    while True:
        try:
            work = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(function, work))


def _end_with_parent() -> None:
    """End this process when its parent ends, so that a killed parent leaves no workers behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
