"""Parquet files written by hand, with any number in place of the true one.

Structs are dictionaries from field to value: int (i32), `Long` (i64), bytes, list, or a dictionary.
"""

import struct
from typing import Any

DOUBLE, BYTE_ARRAY = 5, 6
PLAIN, RLE_DICTIONARY, DELTA_BYTE_ARRAY = 0, 8, 7
UNCOMPRESSED, GZIP = 0, 2
DATA_PAGE, DICTIONARY_PAGE = 0, 2


class Long(int):
    """An integer that is written as i64."""


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _kind(value: Any) -> int:
    return {Long: 6, int: 5, bytes: 8, list: 9, dict: 12}[type(value)]


def compact(value: Any) -> bytes:
    """Write a value in Thrift's compact protocol."""
    if isinstance(value, int):
        return varint((value << 1 ^ value >> 63) & (2**64 - 1))
    if isinstance(value, bytes):
        return varint(len(value)) + value
    if isinstance(value, list):
        kind = _kind(value[0]) if value else 12
        size = bytes([len(value) << 4 | kind]) if len(value) < 15 else bytes([240 | kind]) + varint(len(value))
        return size + b"".join(map(compact, value))
    out, last = b"", 0
    for field, one in value.items():
        out += bytes([field - last << 4 | _kind(one)]) + compact(one)
        last = field
    return out + b"\0"


def root(children: int) -> dict:
    return {4: b"schema", 5: children}


def leaf(name: str, kind: int = DOUBLE) -> dict:
    return {1: kind, 3: 0, 4: name.encode()}


def page(values: bytes, count: int, encoding: int = PLAIN, size: int | None = None, dictionary: bool = False) -> bytes:
    """A page; ``size`` is what it claims to have after decompression."""
    facts = {1: count, 2: encoding} if dictionary else {1: count, 2: encoding, 3: 3, 4: 3}
    head = {1: DICTIONARY_PAGE if dictionary else DATA_PAGE, 2: len(values) if size is None else size, 3: len(values)}
    return compact({**head, (7 if dictionary else 5): facts}) + values


def parquet_file(pages: bytes, rows: int, kind: int = DOUBLE, codec: int = UNCOMPRESSED, dictionary: int = 0) -> bytes:
    """A file with one column ``y``; ``dictionary`` is the size of the dictionary page at the start of ``pages``."""
    facts = {
        1: kind,
        2: [PLAIN, RLE_DICTIONARY, DELTA_BYTE_ARRAY],
        3: [b"y"],
        4: codec,
        5: Long(rows),
        6: Long(len(pages)),
        7: Long(len(pages)),
        9: Long(4 + dictionary),
    }
    facts |= {11: Long(4)} if dictionary else {}
    group = {1: [{2: Long(4), 3: facts}], 2: Long(len(pages)), 3: Long(rows)}
    return with_footer({1: 1, 2: [root(1), leaf("y", kind)], 3: Long(rows), 4: [group]}, pages)


def with_footer(footer: dict, pages: bytes = b"") -> bytes:
    made = compact(footer)
    return b"PAR1" + pages + made + struct.pack("<I", len(made)) + b"PAR1"
