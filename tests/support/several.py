"""Run a function in several processes that find each other by the variables of a launcher.

A server of `multiprocessing` imports the libraries once and forks the processes; it computes nothing before.
"""

import contextlib
import io
import multiprocessing
import os
import socket
import traceback
from multiprocessing.connection import Connection
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["torch._dynamo", "transformers", "pandas", "swt_time.forecaster", "swt_time.cli"])


def launcher_variables(rank: int, size: int, port: int) -> dict[str, str]:
    """Return the variables that a launcher sets for one of several processes on this machine."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
    return {"MASTER_ADDR": "127.0.0.1", **{name: str(value) for name, value in numbers.items()}}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _child(results: Connection, rank: int, size: int, port: int, function: Any, arguments: tuple) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ.update(launcher_variables(rank, size, port))
    try:
        results.send((True, function(*arguments)))
    except BaseException:
        results.send((False, traceback.format_exc()))


class Launch:
    """Processes that run ``function(*arguments)``; they are ended with the context.

    Parameters
    ----------
    size : int
    function : callable
        Of a module that the processes can import.
    """

    def __init__(self, size: int, function: Any, *arguments: Any):
        port, self.processes, self.results = free_port(), [], []
        for rank in range(size):
            here, there = CONTEXT.Pipe(duplex=False)
            target = (there, rank, size, port, function, arguments)
            self.processes.append(CONTEXT.Process(target=_child, args=target, daemon=True))
            self.results.append(here)
        for one in self.processes:
            one.start()

    def __enter__(self) -> "Launch":
        return self

    def __exit__(self, *_: Any) -> None:
        for one in self.processes:
            one.kill()
            one.join()

    def result(self, rank: int, seconds: float = 120) -> Any:
        """Wait for what the function returned in one process; an error there is an AssertionError here."""
        assert self.results[rank].poll(seconds), f"process {rank} gave no result within {seconds} s"
        good, value = self.results[rank].recv()
        assert good, f"process {rank}: {value}"
        return value


def in_processes(size: int, function: Any, *arguments: Any) -> list[Any]:
    """Run a function in several processes, and return its results in the order of the ranks."""
    with Launch(size, function, *arguments) as launch:
        return [launch.result(rank) for rank in range(size)]


def command(words: list[str]) -> tuple[int, str, str]:
    """Run a command of the command line in this process; return its exit code and what it printed."""
    from swt_time import cli

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(words)
    return code, out.getvalue(), err.getvalue()
