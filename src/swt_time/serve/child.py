"""Run a program in a process group of its own, within limits of time and memory, and receive what it reports.

The program gets its request as one line of JSON on standard input, which stays open as long as its parent lives. It
reports events as lines of JSON on standard output. What it prints on standard error goes to a file.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import IO, Any

MEBIBYTE = 2**20

INTERVAL = 0.1
"""Seconds between two looks at time, memory and the wish to stop."""

LONGEST_LINE = 8 * MEBIBYTE
"""Most bytes of one event."""


class Stopped(Exception):
    """The process was stopped because its parent wanted so."""


class ChildError(Exception):
    """The process was stopped because of a limit, or ended without a result; the message is for the user."""


def run_child(
    command: Sequence[str],
    request: dict[str, Any],
    errors: Path,
    *,
    seconds: float,
    memory: int,
    report: Callable[[dict[str, Any]], None],
    stop: Event,
) -> None:
    """Run a program until it ends; its whole process group is killed at the end, however it comes.

    Parameters
    ----------
    command : sequence of str
    request : dict
        What the program reads, as JSON.
    errors : path
        File for what it prints on standard error.
    seconds : float
    memory : int
        MiB of resident memory that the process and its descendants may take together; measured on Linux, elsewhere not
        limited.
    report : callable
        Called with each event.
    stop : Event
        Set to end the process.

    Raises
    ------
    Stopped
        ``stop`` was set.
    ChildError
        A limit was exceeded, or the program ended with another exit code than 0.
    """
    if not hasattr(os, "killpg"):
        raise ChildError("fits of the page need process groups, which this system lacks; use the command line")
    with open(errors, "wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, start_new_session=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):  # the program ended at once; its exit code says more
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        _watch(process, process.stdout, seconds=seconds, memory=memory, report=report, stop=stop)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    if process.returncode:
        raise ChildError(f"the process ended unexpectedly ({_ending(process.returncode)}); the server's log says more")


def _watch(
    process: "subprocess.Popen[bytes]",
    stream: IO[bytes],
    *,
    seconds: float,
    memory: int,
    report: Callable[[dict[str, Any]], None],
    stop: Event,
) -> None:
    end, rest, is_open = time.monotonic() + seconds, b"", True
    while True:
        ended = process.poll() is not None  # before reading, so that nothing that it printed is missed
        readable = is_open and bool(select.select([stream], [], [], 0 if ended else INTERVAL)[0])
        if readable:
            chunk = os.read(stream.fileno(), 2**16)
            is_open = bool(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                report(_event(line))
            if len(rest) > LONGEST_LINE:
                raise ChildError("the process reported too much at once and was stopped")
        elif ended:
            return
        elif not is_open:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(INTERVAL)
        if stop.is_set():
            raise Stopped
        if time.monotonic() > end:
            raise ChildError(
                f"it took longer than {seconds:g} seconds and was stopped; use fewer series or rows, or a "
                "shorter horizon"
            )
        if resident_memory(process.pid) > memory * MEBIBYTE:
            raise ChildError(
                f"it needed more than {memory:,} MiB of memory and was stopped; use fewer series or rows, or a "
                "shorter horizon"
            )


def _event(line: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        event = json.loads(line)
        if isinstance(event, dict):
            return event
    raise ChildError("the process reported what is no event and was stopped")


def _ending(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def resident_memory(pid: int) -> int:
    """Bytes of resident memory of a process and its descendants; 0 where the system does not say."""
    return sum(_resident(one) for one in _family(pid))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):  # it has ended
        return 0


def _family(pid: int) -> Iterator[int]:
    yield pid
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in file.read_text().split():
                yield from _family(int(child))
