"""Safe reading of untrusted files: regular files of bounded size, with unambiguous content.

The user named these files, so a link is followed; `swt_time.folders` reads files in folders without following one.

Nothing here runs code, waits for a pipe, or takes more memory than the caller allows.
"""

import contextlib
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from swt_time.errors import InputError

MEBIBYTE = 2**20

HEADER_LIMIT = 8 * MEBIBYTE
"""Maximum size of a safetensors header in bytes; a language model with 10,000 tensors needs 1 MiB."""

CONTAINERS_LIMIT = 2**18
"""Maximum objects and lists in a JSON file; the header of a language model with 10,000 tensors has 30,000."""

ErrorType = type[InputError]


def read_bytes(path: Path, limit: int, error_type: ErrorType) -> bytes:
    """Read the whole content of a regular file.

    Parameters
    ----------
    path : Path
    limit : int
        Maximum size of the file in bytes.
    error_type : type
        Class of the error to raise.

    Returns
    -------
    bytes

    Raises
    ------
    error_type
        If the file is missing, too large, or not a regular file (a folder, pipe or device).
    """
    with _open(path, error_type) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise error_type(f"cannot read {path}: expected at most {limit:,} bytes, got {size:,}")
        return file.read(size)  # Python allocates the requested size before it reads


def expand_user(path: str | Path, error_type: ErrorType) -> Path:
    """Replace ``~`` and ``~user`` at the start of a path by a home folder.

    Raises
    ------
    error_type
        There is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise error_type(
            f"cannot expand {path}: the home folder is unknown; write ./{path} if the name begins with a tilde"
        ) from None


def user_cache(error_type: ErrorType) -> Path:
    """Return ``$XDG_CACHE_HOME/swt-time``; ``XDG_CACHE_HOME`` is ``~/.cache`` by default.

    Raises
    ------
    error_type
        There is no home folder.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or expand_user("~/.cache", error_type)) / "swt-time"


def file_sha256(path: Path, error_type: ErrorType = InputError) -> str:
    """Return the SHA-256 of a regular file's content, in hexadecimal; see `read_bytes` for the errors."""
    with _open(path, error_type) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _open(path: Path, error_type: ErrorType) -> Iterator[io.BufferedReader]:
    # Without O_NONBLOCK, opening a pipe without a writer would block forever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise error_type(f"cannot read {path}: expected a regular file, got {_kind(mode)}")
            yield file
    except OSError as error:
        raise error_type(f"cannot read {path}: {error.strerror}") from error


def _kind(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"


def read_json(path: Path, limit: int, error_type: ErrorType) -> dict[str, Any]:
    """Read a file that holds one JSON object. See `read_bytes` for the parameters and `parse_json` for the format."""
    return parse_json(read_bytes(path, limit, error_type), f"{path}", error_type)


def parse_json(raw: bytes, what: str, error_type: ErrorType) -> dict[str, Any]:
    """Parse one JSON object in UTF-8, without NaN, infinities or duplicate keys.

    Parameters
    ----------
    raw : bytes
    what : str
        Description of the source for the error message.
    error_type : type
        Class of the error to raise.

    Returns
    -------
    dict

    Raises
    ------
    error_type
        If the content is anything else, has too many objects and lists, or exceeds Python's limits on nesting and on
        digits of an integer.
    """
    # each takes twenty times the memory of its bytes
    if raw.count(b"{") + raw.count(b"[") > CONTAINERS_LIMIT:
        raise error_type(f"{what} holds more than {CONTAINERS_LIMIT:,} objects and lists; it is not a file of swt-time")
    try:
        values = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_unique_keys, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise error_type(f"{what} is not valid JSON: {error}") from None
    if not isinstance(values, dict):
        raise error_type(f"{what} must hold a JSON object, got {type(values).__name__}")
    return values


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"the key {key[:80]!r} occurs twice")
        values[key] = value
    return values


def _reject_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON number")


def check_tensors(path: Path, error_type: ErrorType) -> None:
    """Check that the header of a safetensors file has a bounded size and no duplicate keys.

    Call it before the safetensors library reads the file. The library itself checks that shapes and offsets match the
    file's size.

    Raises
    ------
    error_type
        If the path is not a regular file, or the file is not in this format.
    """
    with _open(path, error_type) as file:
        _check_header(file, os.fstat(file.fileno()).st_size, str(path), error_type)


def check_tensor_bytes(data: bytes, what: str, error_type: ErrorType) -> None:
    """Apply the checks of `check_tensors` to the content of a file; ``what`` describes it in the error message."""
    _check_header(io.BytesIO(data), len(data), what, error_type)


def _check_header(file: BinaryIO, size: int, what: str, error_type: ErrorType) -> None:
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(HEADER_LIMIT, size - 8):
        raise error_type(f"cannot read {what}: expected a safetensors file; it is damaged or in another format")
    parse_json(file.read(length), f"the header of {what}", error_type)
