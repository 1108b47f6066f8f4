"""Read the bytes of a table from a file, from standard input, or from an address through fsspec.

An address is ``scheme://...``. The packages behind it are optional: the extra ``remote`` brings those for http(s) and
s3, other schemes need the packages that fsspec names.
"""

import os
import re
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from swt_time.data.budget import Budget
from swt_time.data.limits import FILE_LIMIT, read_limited
from swt_time.errors import MissingDependencyError, TableError, first_line
from swt_time.files import read_bytes

STANDARD_INPUT = "-"
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
"""Beginning of an address; a scheme has two letters or more, unlike the drives of Windows."""

COLLAPSED = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]+):/(?=[^/])")
"""Beginning of an address that was made a ``Path``, which merges slashes."""

IN_REMOTE = {"http", "https", "s3", "s3a"}
"""Schemes whose packages the extra ``remote`` brings."""


def is_address(source: str | Path) -> bool:
    """Whether a source is an address rather than a file."""
    return ADDRESS.match(_text(source)) is not None


def read_source(source: str | Path, budget: Budget) -> tuple[bytes, str]:
    """Read a file, standard input (``-``) or an address whole, and count its bytes in the budget.

    Returns
    -------
    raw : bytes
    name : str
        Name for messages; an address is shown without user, password and query.

    Raises
    ------
    TableError
        If the source does not exist, cannot be read or is larger than `FILE_LIMIT`.
    MissingDependencyError
        If an address needs a package that is not installed.
    """
    text = _text(source)
    path = local_path(source)
    if text == STANDARD_INPUT:
        name = "standard input"
        raw = _standard_input()
    elif path is not None:
        name = str(path)
        raw = _file(path)
    else:
        name = _shown(text)
        raw = _address(text, name)
    budget.start(name, len(raw))
    budget.take(len(raw))
    return raw, name


def local_path(source: str | Path) -> Path | None:
    """Return the file that a source names; None for standard input and for an address of another machine."""
    text = _text(source)
    if text == STANDARD_INPUT:
        return None
    if ADDRESS.match(text) is None:
        return Path(text)
    parts = urlsplit(text)
    return Path(url2pathname(parts.path)) if parts.scheme.lower() == "file" else None


def _text(source: str | Path) -> str:
    if isinstance(source, str):
        return source
    text = source.as_posix()
    return text if os.path.exists(source) else COLLAPSED.sub(r"\1://", text, count=1)  # false for an unusable name


def _standard_input() -> bytes:
    stream: Any = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise TableError("standard input is closed; expected a table: name a file instead of -")
    return read_limited(stream, "standard input")


def _file(path: Path) -> bytes:
    try:
        return read_bytes(path, FILE_LIMIT, TableError)
    except TableError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
    near = get_close_matches(path.name, _names(path.parent), n=1, cutoff=0.7)
    hint = f"did you mean {str(path.with_name(near[0]))!r}?" if near else "check the path"
    raise TableError(f"no such file: {path}; {hint}")


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def _address(address: str, shown: str) -> bytes:
    scheme = address.partition("://")[0].lower()
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(address)
        with system.open(path, "rb") as file:
            return read_limited(file, shown)
    except TableError:
        raise
    except ImportError as error:
        install = 'pip install "swt-time[remote]"' if scheme in IN_REMOTE else first_line(error)
        raise MissingDependencyError(
            f"cannot read {shown}: {scheme}:// addresses need other packages ({install}); or download the file"
        ) from error
    except Exception as error:  # each file system raises errors of its own
        # fsspec replaces every failure of a server by this error
        found = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
        if isinstance(found, FileNotFoundError):
            raise TableError(f"there is no file at {shown}; check the address") from error
        reason = _without_secrets(first_line(found).replace(address, shown))
        raise TableError(f"cannot read {shown} ({reason}); check the address and the connection") from error


def _without_secrets(text: str) -> str:
    """Text without the users, passwords and queries of addresses in it."""
    return re.sub(r"\?[^\s'\"]*", "?...", re.sub(r"//[^/\s'\"]*@", "//", text))


def _shown(address: str) -> str:
    """Return an address without what may be secret: user, password and query."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?...' if parts.query else ''}"
