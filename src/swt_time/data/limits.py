"""Limits on the form of a table; its memory is counted by `swt_time.data.budget`."""

import io
from typing import Any

from swt_time.errors import TableError

FILE_LIMIT = 2**31
"""Maximum bytes of a table file as it is stored."""

COLUMNS_LIMIT = 2**16
"""Maximum columns of a table."""

ROWS_LIMIT = 2**20
"""Maximum rows of an Excel sheet."""

KEPT = 2**26
"""Decompressed bytes that are kept at once; those of a larger file are counted first, and then decompressed again."""

PART = 2**20
"""Bytes to read at a time."""


def read_limited(file: Any, name: str) -> bytes:
    """Read a binary stream of unknown length to its end.

    Raises
    ------
    TableError
        If it has more than `FILE_LIMIT` bytes.
    """
    buffer = io.BytesIO()
    while part := file.read(PART):
        buffer.write(part)
        if buffer.tell() > FILE_LIMIT:
            raise TableError(f"{name} has more than {FILE_LIMIT:,} bytes; split the table")
    return buffer.getvalue()
