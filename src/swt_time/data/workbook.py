"""Read the first sheet of an Excel workbook (.xlsx) with openpyxl, an optional package.

Numbers, dates and booleans keep the types that the sheet has; formulas give the values that Excel stored.
"""

import io
import warnings
import zipfile
from collections.abc import Iterator
from sys import getsizeof
from typing import Any

import pandas as pd

from swt_time.data.budget import Budget
from swt_time.data.frames import NOTES
from swt_time.data.header import check_header, note_blank_rows
from swt_time.data.limits import PART, ROWS_LIMIT
from swt_time.errors import MissingDependencyError, TableError, first_line

XLSX, REFUSED = "xlsx", {"xlsb": "a binary workbook (.xlsb)", "ods": "an OpenDocument sheet (.ods)"}
"""The format that is read, and other archives that hold sheets."""

ENTRY, ENTRIES_LIMIT = b"PK\x01\x02", 2**16
"""First bytes of an entry in the list of files of an archive, and the most of them that are read."""

OLE = b"\xd0\xcf\x11\xe0"
"""First bytes of an Excel workbook before 2007, and of a workbook with a password."""

XML_SHARE = 8
"""Memory of a workbook for each byte of its XML, at least."""

TAGS_LIMIT, TAGS_SHARE, OTHER_TAGS_LIMIT = 2**21, 4, 2**17
"""Tags in the sheets and texts of a small workbook, more for each byte of a large one, and tags in all other parts:
each takes microseconds to read."""

REMEDY = "save the sheet as .xlsx or CSV"


def workbook_kind(raw: bytes) -> str | None:
    """Kind of a workbook, a zip file with certain names: ``xlsx``, ``xlsb`` or ``ods``; else None."""
    if raw[:2] != b"PK" or raw.count(ENTRY) > ENTRIES_LIMIT:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return None
    if "[Content_Types].xml" in names:
        return "xlsb" if "xl/workbook.bin" in names else XLSX if any(n.startswith("xl/") for n in names) else None
    return "ods" if {"mimetype", "content.xml"} <= names else None


def read_workbook(raw: bytes, name: str, kind: str, budget: Budget) -> pd.DataFrame:
    """Read the first sheet of a workbook; the index of the frame holds the row numbers of the sheet, less 2.

    Raises
    ------
    TableError
        If the workbook is damaged, too large or of another format, or its first sheet is not a table.
    MissingDependencyError
        If openpyxl is not installed.
    """
    if kind in REFUSED:
        raise TableError(f"{name} is {REFUSED[kind]}; {REMEDY}")
    try:
        import openpyxl
    except ImportError as error:
        raise MissingDependencyError(
            f'{name} is an Excel workbook, which needs openpyxl: pip install "swt-time[excel]"'
        ) from error
    try:
        _check_size(raw, name, budget)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and extensions that it does not read
            book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
            if not book.worksheets:
                raise TableError(f"{name} has no sheet with cells; {REMEDY}")
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write wrong dimensions
            rows = list(_rows(sheet, name, budget))
    except (TableError, MemoryError):
        raise
    except Exception as error:  # zipfile and openpyxl raise errors of many types for a damaged workbook
        raise TableError(f"{name} is a damaged Excel workbook ({first_line(error)}); save it again") from error
    count = len(book.worksheets)
    return _frame(rows, name, [] if count == 1 else [f"the first of {count} sheets was read: {sheet.title!r}"])


def _check_size(raw: bytes, name: str, budget: Budget) -> None:
    """Refuse a workbook whose parts take too much memory or time; a part is read up to the size that it declares."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        parts = [part for part in archive.infolist() if part.filename.endswith((".xml", ".rels"))]
        budget.check(XML_SHARE * sum(part.file_size for part in parts))
        cells = others = 0
        for part in parts:
            with archive.open(part) as file:
                marks = sum(piece.count(b"<") for piece in iter(lambda: file.read(PART), b""))
            if part.filename.startswith("xl/worksheets/") or part.filename == "xl/sharedStrings.xml":
                cells += marks
            else:
                others += marks
    if cells > TAGS_LIMIT + TAGS_SHARE * len(raw) or others > OTHER_TAGS_LIMIT:
        raise TableError(
            f"{name} has {cells + others:,} XML tags in {len(raw):,} bytes, more than a workbook of that size has; "
            "save the sheet as CSV"
        )


def _rows(sheet: Any, name: str, budget: Budget) -> Iterator[list[Any]]:
    """Cells of each row, without the blank ones after its last cell; the first row that is not blank is the header."""
    width = 0
    for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
        if number > ROWS_LIMIT:
            raise TableError(f"{name} has more than {ROWS_LIMIT:,} rows; expected a sheet that Excel can show")
        row = list(values)
        while row and (row[-1] is None or (isinstance(row[-1], str) and not row[-1].strip())):
            row.pop()
        width = width or len(row)
        if len(row) > width:
            raise TableError(
                f"{name}: row {number} has {len(row)} cells, the header has {width}; every row needs as many cells as "
                "the header"
            )
        # a list of cells, and later a column of them
        budget.take(getsizeof(row) + 8 * len(row) + sum(getsizeof(cell) for cell in row if cell is not None))
        yield row


def _frame(rows: list[list[Any]], name: str, notes: list[str]) -> pd.DataFrame:
    leading = next((i for i, row in enumerate(rows) if row), len(rows))
    rows = rows[leading:]
    while rows and not rows[-1]:
        rows.pop()
    if not rows:
        raise TableError(f"{name} is empty; expected a table with a header row in its first sheet")
    header = ["" if cell is None else str(cell) for cell in rows[0]]
    check_header(header, name)
    columns: dict[str, pd.Series] = {}
    for i, text in enumerate(header):
        label = text or f"Unnamed: {i}"
        while label in columns or (not text and label in header):
            label += ".1"
        cells = [row[i] if i < len(row) else None for row in rows[1:]]
        columns[label] = pd.Series(cells, dtype=object).infer_objects()
    frame = pd.DataFrame(columns)
    count = len(frame)
    frame = frame[~frame.isna().all(axis=1)]
    note_blank_rows(frame, count, name, notes)
    frame.index = frame.index + leading
    frame.attrs[NOTES] = tuple(notes)
    return frame
