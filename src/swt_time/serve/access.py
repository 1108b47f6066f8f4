"""Who may ask: the host that a request names, the site that it comes from, and its token."""

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit

from swt_time.serve.problems import Problem
from swt_time.serve.settings import Settings, is_loopback

OPEN_PATHS, OPEN_FOLDERS = {"/", "/health"}, ("/static/",)
"""What needs no token: it holds neither models nor data."""

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

Headers = Sequence[tuple[bytes, bytes]]


class Access:
    """Checks of a request before its body is read.

    A page of another site that a browser shows cannot use a service on the browser's own machine: the browser sends the
    name of the site as ``Host`` where that name was made to lead here (DNS rebinding), and as ``Origin`` of every
    request that changes something.
    """

    def __init__(self, settings: Settings) -> None:
        self._local, self._origins = settings.is_local, set(settings.origins)
        self._digests = [_digest(token.encode()) for token in settings.tokens]

    def problem(self, method: str, path: str, headers: Headers) -> Problem | None:
        """Why a request is refused; None if it is not."""
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if self._local and not (len(hosts) == 1 and is_loopback(_name(hosts[0]))):
            return Problem(421, "Host", "the Host header must be 127.0.0.1, localhost or [::1] with the port")
        if method not in SAFE_METHODS:
            for origin in (value.decode("latin-1") for name, value in headers if name == b"origin"):
                if origin not in self._origins and _host_of(origin) not in hosts:
                    return Problem(403, "Origin", "pages of other sites may not ask this server; see --cors")
        if self._digests and path not in OPEN_PATHS and not path.startswith(OPEN_FOLDERS):
            given = [value for name, value in headers if name == b"authorization"]
            if len(given) != 1 or not self._knows(given[0]):
                return Problem(
                    401,
                    "Unauthorized",
                    "send a token of this server in the header: Authorization: Bearer TOKEN",
                    {"WWW-Authenticate": "Bearer"},
                )
        return None

    def _knows(self, header: bytes) -> bool:
        """Whether a header holds a token; the time says nothing about how near a wrong one is, or which is right."""
        scheme, _, token = header.partition(b" ")
        digest = _digest(token.strip())
        found = [hmac.compare_digest(digest, one) for one in self._digests]
        return scheme.lower() == b"bearer" and any(found)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _name(host: str) -> str:
    """Return the host of ``host:port``; an address of IPv6 stands in brackets."""
    name, colon, port = host.rpartition(":")
    return name if colon and not host.endswith("]") and port.isascii() and port.isdecimal() else host


def _host_of(origin: str) -> str | None:
    """Return the host and port of an origin; None if it names none."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None
