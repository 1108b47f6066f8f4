"""Warnings of the library as notes of the request that caused them.

Warnings belong to the whole process, requests to threads: one hook for the process gives each warning to the request
whose thread it occurs in.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from swt_time.errors import SWTTimeWarning

_notes: ContextVar[list[str] | None] = ContextVar("notes", default=None)

log = logging.getLogger("swt_time.serve")


@contextlib.contextmanager
def collecting() -> Iterator[list[str]]:
    """Collect the notes that occur within, in this thread; each once, in their order."""
    _hook()  # a program around the service, such as one that runs tests, may have put another one in its place
    found: list[str] = []
    token = _notes.set(found)
    try:
        yield found
    finally:
        _notes.reset(token)


@contextlib.contextmanager
def hooked() -> Iterator[None]:
    """Give warnings to the requests within; those of other packages go to the log."""
    with warnings.catch_warnings():
        _hook()
        yield


def _hook() -> None:
    if warnings.showwarning is not _show:
        warnings.simplefilter("always", SWTTimeWarning)
        warnings.showwarning = _show


def _show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    found = _notes.get()
    if not issubclass(category, SWTTimeWarning):
        log.debug("a warning", extra={"reason": f"{category.__name__}: {message}"})
    elif found is None:
        log.warning("a note", extra={"reason": str(message)})
    elif str(message) not in found:
        found.append(str(message))
