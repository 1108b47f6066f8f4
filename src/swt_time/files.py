"""Files that may come from strangers, read as data: regular, no larger than expected, with one meaning only.

Nothing here runs code, waits for a pipe, or takes more memory than the limit that its caller names.
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
"""Most bytes of a safetensors header; that of a language model with 10,000 tensors takes 1 MiB."""

Refusal = type[InputError]


def read_bytes(path: Path, limit: int, refusal: Refusal, *, links: bool = True) -> bytes:
    """Read a regular file whole.

    Parameters
    ----------
    path : Path
    limit : int
        Most bytes that it may have.
    refusal : type
        Error to raise.
    links : bool
        Whether it may be a symbolic link; one that came with a stranger's folder may point at any file of yours.

    Raises
    ------
    refusal
        Not there, not a regular file (a folder, a pipe, a device), a link, or too large.
    """
    with _open(path, refusal, links=links) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise refusal(f"cannot read {path}: it has {size:,} bytes, at most {limit:,} are expected")
        return file.read(size)  # asked for more, Python takes the memory first


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _open(path: Path, refusal: Refusal, *, links: bool = True) -> Iterator[BinaryIO]:
    # Without O_NONBLOCK, opening a pipe that nobody writes to would never return.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
    try:
        if not links and path.is_symlink():
            raise refusal(f"cannot read {path}: it is a symbolic link; put the file itself there")
        with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise refusal(f"cannot read {path}: expected a regular file, got {_kind(mode)}")
            yield file
    except OSError as error:
        raise refusal(f"cannot read {path}: {error.strerror}") from error


def _kind(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"


def read_json(path: Path, limit: int, refusal: Refusal, *, links: bool = True) -> dict[str, Any]:
    """Read a file that holds one JSON object; see `read_bytes` and `parse_json`."""
    return parse_json(read_bytes(path, limit, refusal, links=links), f"{path}", refusal)


def parse_json(raw: bytes, what: str, refusal: Refusal) -> dict[str, Any]:
    """Parse one JSON object in UTF-8: without NaN, without infinities, and with every name once.

    Raises
    ------
    refusal
        Not that; nesting and digits beyond what Python reads included.
    """
    try:
        values = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise refusal(f"{what} is not valid JSON: {error}") from None
    if not isinstance(values, dict):
        raise refusal(f"{what} must hold a JSON object, got {type(values).__name__}")
    return values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(n for n in values if names.count(n) > 1)[:80]!r} stands there twice")
    return values


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def check_tensors(path: Path, refusal: Refusal) -> None:
    """Look at the header of a safetensors file before its library does: bounded, and with every name once.

    That shapes and offsets fill the file exactly is what the library itself holds a file to.

    Raises
    ------
    refusal
        Not a regular file, or not of this format.
    """
    with _open(path, refusal) as file:
        _check_header(file, os.fstat(file.fileno()).st_size, str(path), refusal)


def check_tensor_bytes(data: bytes, what: str, refusal: Refusal) -> None:
    """As `check_tensors`, of a file's content."""
    _check_header(io.BytesIO(data), len(data), what, refusal)


def _check_header(file: BinaryIO, size: int, what: str, refusal: Refusal) -> None:
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(HEADER_LIMIT, size - 8):
        raise refusal(f"cannot read {what}: no safetensors file begins so; it is damaged or of another format")
    parse_json(file.read(length), f"the header of {what}", refusal)
