"""The process of a service: uvicorn on one address until it is told to stop."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from h11 import LocalProtocolError
from uvicorn.protocols.http.h11_impl import H11Protocol

from swt_time.errors import ConfigError
from swt_time.serve.app import create_app
from swt_time.serve.logs import log_as_json
from swt_time.serve.settings import Limits, Settings

LINGER = 1.0
"""Seconds in which a server that stops still takes requests, so that clients see the end of their connections."""

BACKLOG = 2048
"""Connections that the system accepts before the server does."""

IDLE_SECONDS = 30
"""After which a connection without requests is closed."""

log = logging.getLogger("swt_time.serve")


def serve(settings: Settings) -> None:
    """Listen and answer until SIGTERM or Ctrl-C; then finish what was begun.

    Raises
    ------
    ConfigError
        The address cannot be used.
    CheckpointError
        The model cannot be read, or there is no such folder.
    """
    app = create_app(settings)
    if settings.model is not None:
        app.state.models.get(None)  # a model that cannot be loaded is refused now
    listener = _listen(settings.host, settings.port)
    log_as_json()
    log.info("listening", extra={"url": _url(settings.host, listener.getsockname()[1])})
    Server(app, settings.limits).run(sockets=[listener])
    log.info("stopped")


class Server(uvicorn.Server):
    """A server that loses no request when it is told to stop."""

    def __init__(self, app: FastAPI, limits: Limits) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol(limits),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=limits.connections,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=int(limits.body_seconds + limits.request_seconds) + 1,
            )
        )
        self._state = app.state

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close connections after their next answer, then stop to listen, and wait for all answers."""
        log.info("stopping")
        self._state.stopping = True
        await asyncio.sleep(LINGER)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals as uvicorn does, but do not raise them again: a stop that was asked for is no failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def protocol(limits: Limits) -> type[H11Protocol]:
    """Make uvicorn's protocol with limits of time for clients that send or read slowly."""

    class LimitedProtocol(H11Protocol):
        _headers: asyncio.TimerHandle | None = None
        _writing: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_headers()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._await_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._headers, self._writing):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            """Answer what is no HTTP; the application may be at work on its beginning, and is not to answer too."""
            if self.cycle is not None and not self.cycle.response_complete:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            try:
                super().send_400_response(msg)
            except LocalProtocolError:  # an answer was begun
                self.transport.close()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._writing = self.loop.call_later(limits.request_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._writing is not None:
                self._writing.cancel()

        def _await_headers(self) -> None:
            """Let a connection end unless its next request begins in time."""
            if self.cycle is not None and not self.cycle.response_complete:
                if self._headers is not None:
                    self._headers.cancel()
                    self._headers = None
            elif self._headers is None:
                self._headers = self.loop.call_later(limits.header_seconds, self._end)

        def _end(self) -> None:
            self._headers = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.abort()

    return LimitedProtocol


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another host or port"
        ) from None


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
