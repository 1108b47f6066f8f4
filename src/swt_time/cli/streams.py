"""Standard streams that are closed, full or not read."""

import contextlib
import io
import os
import sys
from typing import Any


class Lossy(io.FileIO):
    """A file in which nothing fails to be written: what cannot be is lost."""

    def write(self, data: Any) -> int:
        """Write some bytes, and return how many were written or lost."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def prepare_streams() -> None:
    """Give every standard stream a file descriptor, and let it write every character.

    Where the caller closed a descriptor, the next file that is opened would get its number, so that notes would be
    written into a table, or results into a lock. Standard error holds notes and progress, not results: where it is full
    or nobody reads it, they are lost and the command goes on.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # takes the lowest free number
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  open until the process ends
    if sys.stderr is None or sys.stderr is sys.__stderr__:  # print(..., file=None) would write to standard output
        encoding = "utf-8" if sys.stderr is None else sys.stderr.encoding
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(Lossy(2, "w", closefd=False)), encoding, line_buffering=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a legacy code page lacks some characters


class Said(int):
    """An exit code whose reason the command has printed."""


def say(line: str) -> None:
    """Write a line to standard error; what cannot be written there is lost."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def discard_output() -> None:
    """Discard what standard output still holds, because Python would try to write it once more at exit."""
    with contextlib.suppress(OSError, io.UnsupportedOperation):
        sys.stdout.flush()
        return
    with contextlib.suppress(OSError, io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
