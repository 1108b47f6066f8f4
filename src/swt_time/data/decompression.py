"""Decompress gzip, bzip2, xz, Zstandard and zip files; the format is detected by content.

Decompressed bytes are counted before they are kept, so that a decompression bomb is refused before it takes memory.
"""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from swt_time.data.budget import Budget
from swt_time.data.limits import KEPT, PART
from swt_time.data.workbook import ENTRIES_LIMIT, ENTRY, workbook_kind
from swt_time.errors import MissingDependencyError, TableError

INPUT = 2**14
"""Compressed bytes passed to a decompressor at a time."""

DICTIONARY_LIMIT = 2**28
"""Maximum bytes of memory of an xz decompressor."""

ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
BOOKKEEPING = ("__MACOSX/", ".DS_Store", "Thumbs.db")
"""Beginnings and ends of names of files that operating systems add to zip files."""


def compression(raw: bytes) -> str | None:
    """Name of the compression format of a file, or None."""
    if raw[:2] == b"\x1f\x8b":
        return "gzip"
    if raw[:3] == b"BZh" and raw[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2"
    if raw[:6] == b"\xfd7zXZ\0":
        return "xz"
    if raw[:4] == b"\x28\xb5\x2f\xfd":
        return "Zstandard"
    if raw[:4] in (b"PK\x03\x04", b"PK\x05\x06") and workbook_kind(raw) is None:
        return "zip"
    return None


def decompress(raw: bytes, name: str, budget: Budget) -> bytes:
    """Decompress a file once; a file that is not compressed is returned unchanged.

    Parameters
    ----------
    raw : bytes
    name : str
        Name of the file for messages.
    budget : Budget

    Raises
    ------
    TableError
        If the file is damaged, larger than the budget after decompression, compressed twice, or a zip file that does
        not hold exactly one file.
    MissingDependencyError
        If the format is Zstandard and no package can read it.
    """
    kind = compression(raw)
    if kind is None:
        return raw
    unpacked = _unpacked(raw, name, kind, budget)
    inner = compression(unpacked)
    if inner is not None:
        raise TableError(f"{name} is compressed twice ({inner} inside {kind}); decompress it once")
    return unpacked


def _unpacked(raw: bytes, name: str, kind: str, budget: Budget) -> bytes:
    parts, errors = _reader(raw, name, kind)
    size, buffer = 0, io.BytesIO()
    try:
        for part in parts():
            size += len(part)
            budget.check(size)
            if size <= KEPT:
                buffer.write(part)
        if size > KEPT:
            buffer = io.BytesIO()
            for part in parts():
                buffer.write(part)
        budget.take(size)
        return buffer.getvalue()
    except TableError:
        raise
    except errors as error:
        remedy = "copy or download it again"
        if "memory" in str(error).lower():
            remedy = "compress it with a smaller dictionary"
        raise TableError(f"{name} is a damaged or truncated {kind} file ({error}); {remedy}") from error


def _reader(raw: bytes, name: str, kind: str) -> tuple[Callable[[], Iterator[bytes]], tuple[type[Exception], ...]]:
    """Return a function that yields the decompressed bytes in parts, and the errors it raises for a damaged file."""
    if kind == "gzip":
        return lambda: _file(gzip.open(io.BytesIO(raw))), (EOFError, zlib.error, gzip.BadGzipFile)
    if kind == "zip":
        archive, entry = _only_entry(raw, name)
        errors = (EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, OSError, ValueError)
        return lambda: _file(archive.open(entry)), errors
    if kind == "bzip2":
        return lambda: _streams(bz2.BZ2Decompressor, raw), (EOFError, OSError, ValueError)
    if kind == "xz":
        new = partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, memlimit=DICTIONARY_LIMIT)
        return lambda: _streams(new, raw), (EOFError, lzma.LZMAError)
    zstd = _zstd(name)
    return lambda: _streams(zstd.ZstdDecompressor, raw), (EOFError, zstd.ZstdError)


def _file(file: Any) -> Iterator[bytes]:
    with file:
        yield from iter(lambda: file.read(PART), b"")


def _streams(new: Callable[[], Any], raw: bytes) -> Iterator[bytes]:
    """Decompress concatenated streams with the decompressor class of ``bz2``, ``lzma`` or ``zstd``."""
    view, position, decompressor = memoryview(raw), 0, new()
    while True:
        if decompressor.eof:
            position = _skip_padding(view, position - len(decompressor.unused_data))
            if position == len(view):
                return
            decompressor = new()
        piece = b""
        if decompressor.needs_input:
            if position == len(view):
                raise EOFError("it ends before the end of the compressed data")
            piece = bytes(view[position : position + INPUT])
            position += len(piece)
        yield decompressor.decompress(piece, PART)


def _skip_padding(view: memoryview, position: int) -> int:
    """Position of the next byte that is not null: streams of an xz file may be followed by null bytes."""
    while position < len(view):
        part = bytes(view[position : position + INPUT])
        rest = part.lstrip(b"\0")
        position += len(part) - len(rest)
        if rest:
            break
    return position


def _zstd(name: str) -> Any:
    """Return the ``zstd`` module: Python's own since 3.14, before that the backport of it."""
    try:
        from compression import zstd
    except ImportError:
        try:
            from backports import zstd
        except ImportError as error:
            raise MissingDependencyError(
                f'{name} is a Zstandard file, which needs another package: pip install "swt-time[zstd]"'
            ) from error
    return zstd


def _only_entry(raw: bytes, name: str) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
    """Return the file inside a zip file, which must be the only one."""
    if (count := raw.count(ENTRY)) > ENTRIES_LIMIT:
        raise TableError(f"{name} is a zip file that holds {count:,} files; expected exactly one table")
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise TableError(f"{name} is a damaged or truncated zip file ({error}); copy or download it again") from error
    entries = [
        entry
        for entry in archive.infolist()
        if not entry.filename.startswith(BOOKKEEPING[0]) and not entry.filename.endswith(("/", *BOOKKEEPING[1:]))
    ]
    if len(entries) != 1:
        shown = ", ".join(repr(entry.filename) for entry in entries[:3]) + (", ..." if len(entries) > 3 else "")
        held = f"{len(entries):,} files ({shown})" if entries else "no file"
        raise TableError(f"{name} is a zip file that holds {held}; expected exactly one table: extract the one to read")
    (entry,) = entries
    if entry.flag_bits & 1:
        raise TableError(f"{name} is a zip file with a password; extract {entry.filename!r} first")
    if entry.compress_type not in ZIP_METHODS:
        raise TableError(
            f"{name} is a zip file with compression method {entry.compress_type}; expected deflate or bzip2: "
            f"extract {entry.filename!r} first"
        )
    return archive, entry
