"""Work on several processes at once; a failure, even a process that dies, costs its own piece of work alone."""

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
    """What became of one piece of work: its number, and its result or the error in one line."""

    number: int
    result: Any = None
    error: str | None = None


class _Worker:
    """A process that does one piece of work after the other."""

    def __init__(self, context: SpawnContext, function: Function, threads: int):
        self.connection, other = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(other, function, threads), daemon=True)
        self.process.start()
        other.close()
        self.number = -1

    def give(self, number: int, work: Any) -> None:
        self.number = number
        self.connection.send(work)

    def take(self) -> Outcome:
        try:
            result, error = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            code = self.process.exitcode or 0
            reason = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            return Outcome(self.number, error=f"the process was {reason}" if code < 0 else f"the process {reason}")
        return Outcome(self.number, result, error)


def run_parallel(function: Function, work: Sequence[Any], *, jobs: int, threads: int) -> Generator[Outcome]:
    """Apply a function to each piece of work on ``jobs`` processes of ``threads`` threads each, as they finish.

    The function must be importable by name. Leaving the iteration early, by Ctrl-C for instance, ends the processes.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(enumerate(work))[::-1]
    busy: list[_Worker] = []
    # Read by the mathematical libraries as they load, before set_num_threads could tell them.
    former = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                worker = _Worker(context, function, threads)
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


def _serve(pipe: connection.Connection, function: Function, threads: int) -> None:
    """What a worker does until its pipe is closed."""
    # A Ctrl-C on the terminal reaches the whole group; the parent alone decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore", SWTTimeWarning)  # the parent has read the same tables and said so
    import torch

    torch.set_num_threads(threads)
    while True:
        try:
            work = pipe.recv()
        except EOFError:
            return
        answer: tuple[Any, str | None]
        try:
            answer = function(work), None
        except SWTTimeError as error:
            answer = None, " ".join(str(error).split())
        except Exception as error:
            answer = None, f"{type(error).__name__}: {' '.join(str(error).split())}"
        pipe.send(answer)


def _end_with_parent() -> None:
    """A killed parent must not leave its workers behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
