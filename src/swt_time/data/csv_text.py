"""Parse the decoded text of a CSV file, with any of four delimiters and with a decimal point or comma."""

import csv
import io
import re
from typing import Any

import pandas as pd

from swt_time.data.columns import MISSING
from swt_time.data.frames import NOTES
from swt_time.data.header import check_header, drop_blank_rows
from swt_time.data.numbers import has_separator, holds_separated_numbers
from swt_time.errors import TableError

BLANKS = sorted({form for text in MISSING for form in (text, text.upper(), text.capitalize())} | {"NaN", "NaT", "N/a"})

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
COMMA_NUMBER = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
POINT_NUMBER = re.compile(r"\s*[+-]?\d*\.\d+([eE][+-]?\d+)?\s*")


def parse_csv(text: str, name: str, id_names: set[str], notes: list[str]) -> pd.DataFrame:
    """Parse a CSV table; the index of the frame holds the row numbers of the file, less 2.

    Parameters
    ----------
    text : str
    name : str
        Name of the file for messages.
    id_names : set of str
        Columns to keep as text exactly as written; blanks around names do not matter.
    notes : list of str
        Notes of earlier steps; notes of this step are appended.

    Returns
    -------
    pd.DataFrame
        Numbers with thousands separators are left as text, and so are all decimal numbers of a table that has any: one
        column alone does not tell whether ``1.234`` is a thousand.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    leading = len(text) - len(text.lstrip("\n"))
    text = text[leading:]
    header_line = text.split("\n", 1)[0]
    try:
        delimiter = max(DELIMITERS, key=lambda mark: _cells(header_line, mark))
        header = next(csv.reader(io.StringIO(text), delimiter=delimiter))
        decimal_comma = delimiter != "," and _has_decimal_comma(text, delimiter)
    except csv.Error as error:
        raise TableError(f"{name}: the first rows cannot be read as CSV ({error}); correct that cell") from error
    check_header(header, name)
    decimal = "."
    if delimiter != ",":
        notes.append(f"cells are separated by {DELIMITERS[delimiter]}")
        if decimal_comma:
            decimal = ","
    wanted = {one.strip() for one in id_names}
    ids = [one for one in header if one.strip() in wanted]
    as_text = set(ids)
    frame = _read(text, name, delimiter, decimal, header, ids, as_text)
    texts = [one for one in frame.columns if one not in as_text and pd.api.types.is_string_dtype(frame[one].dtype)]
    separated = any(holds_separated_numbers(frame[one].dropna().unique()) for one in texts)
    if separated:
        decimals = {one for one in frame.columns if pd.api.types.is_float_dtype(frame[one].dtype)}
        written = _read(text, name, delimiter, decimal, header, ids, as_text | decimals)
        kept = [one for one in decimals if any(map(has_separator, written[one].dropna().unique()))]
        frame[kept] = written[kept]
    elif decimal_comma:
        notes.append("numbers were read with a decimal comma")
    frame.index = frame.index + leading
    blank = frame.drop(columns=ids).isna().all(axis=1) & (frame[ids] == "").all(axis=1)
    frame = drop_blank_rows(frame, blank, name, notes)
    frame.attrs[NOTES] = tuple(notes)
    return frame


def _read(
    text: str, name: str, delimiter: str, decimal: str, header: list[str], ids: list[str], as_text: set[str]
) -> pd.DataFrame:
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            decimal=decimal,
            dtype=dict.fromkeys(as_text, str),
            # pandas names a nameless column "Unnamed: i" and looks up its missing values under that name
            na_values={one or f"Unnamed: {i}": BLANKS for i, one in enumerate(header) if one not in ids},
            keep_default_na=False,
            skip_blank_lines=False,
            **_precision(decimal),
            low_memory=False,
        )
    except pd.errors.EmptyDataError as error:
        raise TableError(f"{name} is empty; expected a table with a header row") from error
    except pd.errors.ParserError as error:
        raise TableError(f"{name}: {_where(str(error))}; every row needs as many cells as the header") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise TableError(f"{name}, row 2: more cells than the {len(header)} names in the header; add the missing names")
    return frame


def _cells(line: str, delimiter: str) -> int:
    """Number of cells of a line; 0 if a cell exceeds the size limit of the csv module."""
    try:
        return len(next(csv.reader([line], delimiter=delimiter)))
    except csv.Error:
        return 0


def _precision(decimal: str) -> dict[str, Any]:
    """Option for exact parsing of numbers; pandas 3.1 and later always parse exactly."""
    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    return {"float_precision": "round_trip"} if version < (3, 1) and decimal == "." else {}


def _has_decimal_comma(text: str, delimiter: str) -> bool:
    """Whether some numbers in the first 200 rows use a decimal comma and none a decimal point."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    cells = [cell for _, row in zip(range(200), rows, strict=False) for cell in row][1:]
    comma = any(COMMA_NUMBER.fullmatch(cell) for cell in cells)
    return comma and not any(POINT_NUMBER.fullmatch(cell) for cell in cells)


def _where(message: str) -> str:
    """Reword the message of the pandas parser, with the row."""
    match = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if match:
        return f"row {match[2]} has {match[3]} cells, the header has {match[1]}"
    match = re.search(r"EOF inside string starting at row (\d+)", message)
    if match:
        return f"a quotation mark opened in row {int(match[1]) + 1} is never closed"
    return message.removeprefix("Error tokenizing data. C error: ")
