"""What a service is told: its models, where it listens, who may ask, and its limits."""

import ipaddress
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swt_time.errors import ConfigError
from swt_time.files import MEBIBYTE, read_bytes
from swt_time.serve.jobs import JobLimits

LOCAL_NAME = "localhost"

SHORTEST_TOKEN = 16
"""Characters that a token must have, so that it cannot be guessed."""

TOKEN = re.compile(r"[!-~]+")
"""What a token is made of: printable ASCII without blanks, since it stands in a header."""

TOKEN_FILE_LIMIT = MEBIBYTE


@dataclass(frozen=True)
class Limits:
    """What one request and all requests together may take.

    Attributes
    ----------
    body_bytes : int
        Size of a body as it is sent.
    table_mib : int
        MiB that a table may take while it is read, decompressed and decoded included.
    rows : int
        Rows of a table, and of a forecast times its columns of numbers divided by ten.
    bodies_bytes : int
        Size of all bodies that are in memory at once.
    body_seconds, request_seconds : float
        Time in which a body must have arrived, and in which an answer must be ready after that.
    header_seconds : float
        Time in which the headers of a request must have arrived, and after which a connection without one is closed.
    waiting : int
        Requests that may wait for a thread; further ones are answered with 503.
    threads : int
        Threads that forecast. Health checks and metrics need none of them.
    connections : int
        Connections at once; requests on further ones are answered with 503.
    models : int
        Models that are kept in memory at once; the one that was not used for longest makes room.
    """

    body_bytes: int = 16 * MEBIBYTE
    bodies_bytes: int = 256 * MEBIBYTE
    table_mib: int = 256
    rows: int = 1_000_000
    body_seconds: float = 30.0
    request_seconds: float = 60.0
    header_seconds: float = 10.0
    waiting: int = 256
    threads: int = 4
    connections: int = 1024
    models: int = 8

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (0 < value < math.inf or (name == "waiting" and value == 0)):
                raise ConfigError(f"the limit {name} must be greater than 0 and finite; got {value}")


@dataclass(frozen=True)
class Settings:
    """How a service is set up.

    Attributes
    ----------
    model : Path, optional
        The checkpoint folder of the only model; its name is that of the folder.
    models : Path, optional
        A folder with checkpoint folders, each named as its model.
    host, port : str, int
        Address to listen on; port 0 takes a free one.
    tokens : sequence of str
        Bearer tokens, of which a request must have one. Without any, every request is answered.
    origins : sequence of str
        Origins of pages of other sites whose scripts may ask (CORS); by default none.
    backbone, device : str
        As in `swt_time.Forecaster.load`.
    limits : Limits
    jobs : JobLimits
        What the fits of the page may take.

    Raises
    ------
    ConfigError
        Both ``model`` and ``models`` are given, a token is too short, or the address can be reached by others and there
        is no token.
    """

    model: Path | None = None
    models: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    tokens: Sequence[str] = ()
    origins: Sequence[str] = ()
    backbone: str | None = None
    device: str = "auto"
    limits: Limits = Limits()
    jobs: JobLimits = field(default_factory=JobLimits)

    def __post_init__(self) -> None:
        if self.model is not None and self.models is not None:
            raise ConfigError("model names one model, and models a folder with models; give one of them")
        for token in self.tokens:
            if len(token) < SHORTEST_TOKEN or TOKEN.fullmatch(token) is None:
                raise ConfigError(
                    f"a token has {len(token)} characters; expected at least {SHORTEST_TOKEN} of printable ASCII "
                    "without blanks, such as those of: python -c 'import secrets; print(secrets.token_urlsafe())'"
                )
        if not self.is_local and not self.tokens:
            raise ConfigError(
                f"{self.host} can be reached from other machines, where anybody could use the models; give a token "
                "(tokens=...), or listen on 127.0.0.1"
            )
        for origin in self.origins:
            if re.fullmatch(r"https?://[^/\s*]+", origin) is None:
                raise ConfigError(f"{origin!r} is no origin; expected one such as https://example.org, without a path")

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can connect."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host, without port, is this machine's own address; brackets around IPv6 do not matter."""
    name = host.removeprefix("[").removesuffix("]").lower().removesuffix(".")
    if name == LOCAL_NAME:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def read_tokens(path: Path) -> tuple[str, ...]:
    """Read a file with one token on each line; blank lines and those that begin with ``#`` are skipped.

    Raises
    ------
    ConfigError
        The file cannot be read, or holds no token.
    """
    try:
        text = read_bytes(path, TOKEN_FILE_LIMIT, ConfigError).decode("ascii")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no text in ASCII; expected one token on each line") from None
    tokens = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    if not tokens:
        raise ConfigError(f"{path} holds no token; expected one on each line")
    return tokens
