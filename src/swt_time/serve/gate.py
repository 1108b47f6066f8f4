"""What stands around every route: its id, its log line, who may ask, and errors as JSON."""

import json
import logging
import re
import time
import uuid
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swt_time.serve.access import Access
from swt_time.serve.metrics import OTHER, Metrics
from swt_time.serve.problems import Problem, problem_of

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

ID_HEADER = "X-Request-ID"

FIXED_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
"""Headers of every answer that does not set them itself."""

log = logging.getLogger("swt_time.serve")


class Gate:
    """An application around another one.

    Parameters
    ----------
    app : ASGI application
    access : Access
    metrics : Metrics
    state : object
        Its attribute ``stopping`` says that connections are to be closed after their answer.
    """

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics, state: Any) -> None:
        self._app, self._access, self._metrics, self._state = app, access, metrics, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _Exchange(scope, receive, send).run(self._app, self._access, self._metrics, self._state)
        else:
            await send({"type": "websocket.close", "code": 1000})


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._begin = time.perf_counter()
        self._status: int | None = None
        headers = scope["headers"]
        given = [value for name, value in headers if name == b"x-request-id" and REQUEST_ID.fullmatch(value)]
        self.id = given[0].decode() if len(given) == 1 else uuid.uuid4().hex
        self._unread = any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers
        )
        self._state: Any = None
        self._gone = False

    async def run(self, app: ASGIApp, access: Access, metrics: Metrics, state: Any) -> None:
        scope = self._scope
        noted = scope.setdefault("state", {})
        noted["request_id"], noted["logged"] = self.id, {}
        self._state = state
        try:
            problem = access.problem(scope["method"], scope["path"], scope["headers"])
            if problem is not None:
                await self.answer(problem)
            else:
                await app(scope, self._received, self._sent)
        except Exception as error:
            known = problem_of(error)
            if known is None:
                log.exception("a request failed", extra={"request_id": self.id})
            if self._status is not None:
                raise
            await self.answer(
                known or Problem(500, "Defect", "the server failed; its log says why, by this request_id")
            )
        finally:
            seconds = time.perf_counter() - self._begin
            path = getattr(scope.get("route"), "path", OTHER)
            metrics.answered(scope["method"], path, self._status or 0, seconds)
            log.info(
                "answered",
                extra={
                    "request_id": self.id,
                    "method": scope["method"],
                    "path": path,
                    "status": self._status,
                    "seconds": round(seconds, 6),
                    **noted["logged"],
                },
            )

    async def answer(self, problem: Problem) -> None:
        """Send an error, if anybody waits for it."""
        if self._gone:
            self._status = problem.status
            return
        body = json.dumps(problem.content(self.id)).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **problem.headers}
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._sent({"type": "http.response.start", "status": problem.status, "headers": raw})
        await self._sent({"type": "http.response.body", "body": body})

    async def _received(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._gone = True
        elif not message.get("more_body", False):
            self._unread = False
        return message

    async def _sent(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = message.setdefault("headers", [])
            own = {name.lower() for name, _ in headers}
            wanted = {**FIXED_HEADERS, ID_HEADER: self.id}
            if self._state.stopping or self._unread:  # what is left of a body is no request
                wanted["Connection"] = "close"
            headers += [(k.lower().encode(), v.encode()) for k, v in wanted.items() if k.lower().encode() not in own]
        await self._send(message)
