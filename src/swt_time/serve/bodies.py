"""Bodies of requests: received within limits of size and time, and decompressed within one of memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from swt_time.data.budget import Budget
from swt_time.data.decompression import compression, decompress
from swt_time.serve.problems import Problem
from swt_time.serve.settings import Limits
from swt_time.serve.workers import busy

DISCARDED = 4
"""A body that is too large is read up to so many times the limit, since most clients read an answer only after that."""

NAME = "the body"
"""What a table is called in messages."""

GZIP = "gzip"


class Bodies:
    """Receives bodies; all that are in memory at once are limited too.

    Parameters
    ----------
    limits : Limits
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.held = 0

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body of a request, as it was sent; its memory counts until the context ends.

        Raises
        ------
        Problem
            The body is too large (413), came too slowly (408), or there is no room for it now (503).
        """
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._limits.body_seconds):
                    await self._receive(request, body)
            except TimeoutError:
                raise Problem(
                    408, "Timeout", f"the body did not arrive within {self._limits.body_seconds:g} s; send it faster"
                ) from None
            except ClientDisconnect:
                raise Problem(400, "Disconnected", "the connection ended before the body did") from None
            yield bytes(body)
        finally:
            self.held -= len(body)

    async def _receive(self, request: Request, body: bytearray) -> None:
        most = self._limits.body_bytes
        declared = request.headers.get("content-length", "")
        size = 0
        if declared.isdecimal() and len(declared) > len(str(most * DISCARDED)):
            raise self._too_large()
        async for part in request.stream():
            size += len(part)
            if size > most * DISCARDED:
                break
            if size <= most:
                if self.held + len(part) > self._limits.bodies_bytes:
                    raise busy("the server has too many bodies in memory")
                self.held += len(part)
                body += part
        if size > most:
            raise self._too_large()

    def _too_large(self) -> Problem:
        return Problem(
            413,
            "TooLarge",
            f"the body has more than {self._limits.body_bytes:,} bytes; send fewer rows, or compress it "
            f"(Content-Encoding: {GZIP})",
        )


def check_encoding(encoding: str | None) -> None:
    """Refuse a ``Content-Encoding`` other than gzip.

    Raises
    ------
    Problem
    """
    if encoding is not None and encoding.strip().lower() not in (GZIP, "identity", ""):
        raise Problem(
            415,
            "UnsupportedEncoding",
            f"Content-Encoding is {encoding[:100]!r}; expected {GZIP}, or none",
            {"Accept-Encoding": GZIP},
        )


def decompressed(raw: bytes, encoding: str | None, budget: Budget) -> bytes:
    """Yield the content of a body with a checked ``Content-Encoding``; both count in the budget.

    Raises
    ------
    Problem
        The body is not what ``Content-Encoding`` says.
    TableError
        It is damaged, or takes more memory than the budget.
    """
    budget.start(NAME, len(raw))
    budget.take(len(raw))
    if encoding is None or encoding.strip().lower() != GZIP:
        return raw
    if compression(raw) != GZIP:
        raise Problem(400, "Encoding", f"Content-Encoding is {GZIP}, but the body is not compressed by it")
    return decompress(raw, NAME, budget)
