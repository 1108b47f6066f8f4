"""Limits on the size of a table, which keep a small or hostile file from taking all memory."""

import io
from typing import Any

from swt_time.errors import TableError

FILE_LIMIT = 2**31
"""Maximum bytes of a table file, also after decompression; reading a CSV takes about ten times its size in memory."""

WORKBOOK_LIMIT = 2**29
"""Maximum bytes of the XML in an Excel workbook, which takes more memory than the same bytes of CSV."""

COLUMNS_LIMIT = 2**16
ROWS_LIMIT = 2**20
CELLS_LIMIT = 2**28
SHEET_CELLS_LIMIT = 2**26
"""Maximum columns of a table, rows of an Excel sheet, cells of a Parquet file, and cells of an Excel sheet including
blank ones between others: a file can be far smaller than its table."""

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
