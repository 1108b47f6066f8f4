"""Read CSV text with any of four delimiters and with a decimal point or comma."""

import csv
import io
import re

import pandas as pd

from swt_time.data.budget import Budget
from swt_time.data.csv_batches import CsvBatches
from swt_time.data.csv_lines import DELIMITERS, Gaps, check_cells, refuse_wide_lines
from swt_time.data.frames import NOTES
from swt_time.data.header import check_header, note_blank_rows
from swt_time.data.numbers import has_separator, holds_separated_numbers
from swt_time.errors import TableError

COMMA_NUMBER = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
POINT_NUMBER = re.compile(r"\s*[+-]?\d*\.\d+([eE][+-]?\d+)?\s*")


def parse_csv(raw: bytes, name: str, id_names: set[str], notes: list[str], budget: Budget) -> pd.DataFrame:
    """Parse a CSV table; the index of the frame holds the row numbers of the file, less 2.

    Parameters
    ----------
    raw : bytes
        Text in UTF-8.
    name : str
        Name of the file for messages.
    id_names : set of str
        Columns to keep as text exactly as written; blanks around names do not matter.
    notes : list of str
        Notes of earlier steps; notes of this step are appended.
    budget : Budget

    Returns
    -------
    pd.DataFrame
        Numbers with thousands separators are left as text, and so are all decimal numbers of a table that has any: one
        column alone does not tell whether ``1.234`` is a thousand.
    """
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    size, raw = len(raw), raw.lstrip(b"\n")
    leading = size - len(raw)
    raw = raw.rstrip(b"\n")
    gaps = Gaps(raw)
    raw = gaps.raw
    refuse_wide_lines(raw, name)
    header_line = raw[: raw.find(b"\n") if b"\n" in raw else len(raw)].decode()
    try:
        delimiter = max(DELIMITERS, key=lambda mark: _cells(header_line, mark))
        header = next(csv.reader(_lines(raw), delimiter=delimiter))
        decimal_comma = delimiter != "," and _has_decimal_comma(raw, delimiter)
    except csv.Error as error:
        raise TableError(f"{name}: the first rows cannot be read as CSV ({error}); correct that cell") from error
    check_header(header, name)
    check_cells(raw, name, len(header), delimiter, budget)
    decimal = "."
    if delimiter != ",":
        notes.append(f"cells are separated by {DELIMITERS[delimiter]}")
        if decimal_comma:
            decimal = ","
    wanted = {one.strip() for one in id_names}
    ids = [one for one in header if one.strip() in wanted]
    table = CsvBatches(raw, name, delimiter=delimiter, decimal=decimal, header=header, ids=ids, budget=budget)
    frame = table.read()
    dtypes = {str(one): dtype for one, dtype in frame.dtypes.items()}
    texts = [one for one, dtype in dtypes.items() if one not in ids and pd.api.types.is_string_dtype(dtype)]
    separated = any(holds_separated_numbers(frame[one].dropna().unique()) for one in texts)
    if separated:
        decimals = [one for one, dtype in dtypes.items() if pd.api.types.is_float_dtype(dtype)]
        if decimals:
            written = table.text(decimals, frame.index)
            kept = [one for one in decimals if any(map(has_separator, written[one].dropna().unique()))]
            frame[kept] = written[kept]
    elif decimal_comma:
        notes.append("numbers were read with a decimal comma")
    frame.index = gaps.rows(frame.index)
    note_blank_rows(frame, table.rows + gaps.skipped, name, notes)
    frame.index = frame.index + leading
    frame.attrs[NOTES] = tuple(notes)
    return frame


def _lines(raw: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", newline="\n")


def _cells(line: str, delimiter: str) -> int:
    """Return the number of cells of a line; 0 if a cell exceeds the size limit of the csv module."""
    try:
        return len(next(csv.reader([line], delimiter=delimiter)))
    except csv.Error:
        return 0


def _has_decimal_comma(raw: bytes, delimiter: str) -> bool:
    """Whether some numbers in the first 200 rows use a decimal comma and none a decimal point."""
    rows = csv.reader(_lines(raw), delimiter=delimiter)
    cells = [cell for _, row in zip(range(200), rows, strict=False) for cell in row][1:]
    comma = any(COMMA_NUMBER.fullmatch(cell) for cell in cells)
    return comma and not any(POINT_NUMBER.fullmatch(cell) for cell in cells)
