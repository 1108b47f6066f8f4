"""Bring a text file into UTF-8: from UTF-16 with a byte order mark, or from the encoding that the user names.

Text is decoded in parts: as one string it can take four times the memory of its bytes.
"""

import codecs
import io
from collections.abc import Iterator
from typing import Any

from swt_time.data.limits import PART
from swt_time.errors import TableError

EXPECTED = "expected CSV, Parquet or Excel"


def decode(raw: bytes, name: str, encoding: str | None = None, fallback: str | None = None) -> tuple[bytes, list[str]]:
    """Decode a text file and encode it as UTF-8.

    Parameters
    ----------
    raw : bytes
    name : str
        Name of the file for messages.
    encoding : str or None
        Name of a Python codec; a byte order mark takes precedence over it. None means UTF-8.
    fallback : str or None
        Name of a Python codec for bytes that are not UTF-8, where ``encoding`` is None.

    Returns
    -------
    text : bytes
        Without a byte order mark.
    notes : list of str

    Raises
    ------
    TableError
        If the encoding is unknown or the bytes do not fit it, or if the file is binary.
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return _recode(raw, "utf-16"), ["the file was read as UTF-16"]
        except UnicodeError as error:
            raise TableError(f"{name} is a binary file; {EXPECTED}") from error
    if encoding is None and fallback is not None and not _is_utf8(raw):
        encoding = fallback
    if encoding is not None and not raw.startswith(codecs.BOM_UTF8):
        return _decode_as(raw, name, encoding)
    if b"\0" in raw:
        raise TableError(f"{name} is a binary file (byte {raw.index(0) + 1} is NUL); {EXPECTED}")
    if not raw.isascii():
        try:
            for _ in _decoded(raw, "utf-8"):
                pass
        except UnicodeDecodeError as error:
            raise TableError(
                f"{_place(raw, name, error)} is not UTF-8; set data.encoding to the encoding of the file, for example "
                "cp1252, or save it as UTF-8"
            ) from error
    return raw.removeprefix(codecs.BOM_UTF8), []


def _decode_as(raw: bytes, name: str, encoding: str) -> tuple[bytes, list[str]]:
    codec = _text_codec(encoding)
    try:
        text = _recode(raw, codec.name)
    except UnicodeDecodeError as error:
        raise TableError(
            f"{_place(raw, name, error)} is not {encoding} (data.encoding); set it to the encoding of the file"
        ) from error
    except UnicodeError as error:
        raise TableError(f"{name} is not {encoding} (data.encoding); set it to the encoding of the file") from error
    if b"\0" in text:
        place = len(text[: text.index(b"\0")].decode()) + 1
        raise TableError(f"{name} is a binary file (character {place} is NUL); {EXPECTED}")
    if codec.name != "utf-8" and not raw.isascii() and _is_utf8(raw):
        return text, [f"the file was read as {encoding}, as data.encoding says, but it is valid UTF-8"]
    return text, []


def _recode(raw: bytes, encoding: str) -> bytes:
    buffer = io.BytesIO()
    for part in _decoded(raw, encoding):
        buffer.write(part.encode())
    return buffer.getvalue()


def _decoded(raw: bytes, encoding: str) -> Iterator[str]:
    """Decode bytes in parts; the position in a ``UnicodeDecodeError`` counts from the start of the bytes."""
    decoder = codecs.getincrementaldecoder(encoding)()
    view = memoryview(raw)
    for start in range(0, max(len(raw), 1), PART):
        left = len(decoder.getstate()[0])  # bytes of a character that the part before has begun
        try:
            yield decoder.decode(bytes(view[start : start + PART]), final=start + PART >= len(raw))
        except UnicodeDecodeError as error:
            error.start += start - left
            raise


def _text_codec(encoding: str) -> Any:
    try:
        codec = codecs.lookup(encoding)
    except (LookupError, ValueError):
        codec = None
    # the other codecs, such as hex and zlib, do not decode bytes to text
    if codec is None or not codec._is_text_encoding:  # noqa: SLF001  Python has no public name for it
        raise TableError(
            f"data.encoding {encoding!r} is unknown; expected the name of a text encoding such as cp1252, latin-1, "
            "cp1251, shift_jis or utf-16-le"
        )
    return codec


def _is_utf8(raw: bytes) -> bool:
    try:
        for _ in _decoded(raw, "utf-8"):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _place(raw: bytes, name: str, error: UnicodeDecodeError) -> str:
    row = raw[: error.start].count(b"\n") + 1
    return f"{name}, row {row}: byte {error.start + 1}"
