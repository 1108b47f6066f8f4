"""Turn SIGINT (Ctrl-C) and SIGTERM into a request to stop after the current step."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any, NoReturn


class StopRequest(threading.Event):
    """A request to stop.

    Attributes
    ----------
    signal : int or None
        The signal that made it.
    """

    signal: int | None = None


def raise_as_usual(number: int | None) -> NoReturn:
    """Raise what Python users expect of a signal: KeyboardInterrupt of SIGINT, SystemExit of SIGTERM."""
    if number == signal.SIGTERM:
        raise SystemExit(128 + number)
    raise KeyboardInterrupt


@contextlib.contextmanager
def stop_on_signals(*, once: bool = True) -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a request to stop; the second one has its usual effect.

    Outside the main thread, where Python cannot set signal handlers, signals are not handled.

    Parameters
    ----------
    once : bool
        False for a process that a launcher started, which passes on a Ctrl-C that the process gets from the terminal
        too: the second signal is ignored then, also after the context, until the processes have parted
        (`swt_time.processes.joined`).

    Yields
    ------
    StopRequest
        Set by the first signal.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    former: dict[int, Any] = {}

    def request(number: int, frame: Any) -> None:
        stop.signal = number
        stop.set()
        if once:
            restore()

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        former[number] = signal.signal(number, request)
    try:
        yield stop
    finally:
        if once or not stop.is_set():
            restore()
