"""Turn SIGINT (Ctrl-C) and SIGTERM into a request to stop after the current step."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Turn the first SIGINT or SIGTERM into a request to stop; the second one has its usual effect.

    Outside the main thread, where Python cannot set signal handlers, signals are not handled.

    Yields
    ------
    threading.Event
        Set by the first signal.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    former: dict[int, Any] = {}

    def request(number: int, frame: Any) -> None:
        stop.set()
        restore()

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        former[number] = signal.signal(number, request)
    try:
        yield stop
    finally:
        restore()
