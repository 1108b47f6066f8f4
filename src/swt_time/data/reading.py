"""Read CSV (also gzipped) and Parquet files; the format is detected by content, not by suffix.

Accepted with a note: UTF-16, semicolons, tabs or bars between cells, decimal commas in such files, blank lines. A byte
order mark is ignored. Any other defect of a file raises a ``TableError``.
"""

import csv
import gzip
import io
import re
import zlib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from swt_time.data.columns import MISSING
from swt_time.data.frames import NOTES
from swt_time.data.layout import ID_NAME
from swt_time.errors import MissingDependencyError, TableError, first_line
from swt_time.files import read_bytes

BLANKS = sorted({form for text in MISSING for form in (text, text.upper(), text.capitalize())} | {"NaN", "NaT", "N/a"})
FILE_LIMIT = 2**31
"""Maximum bytes of a table file, also after decompression; reading a CSV takes about ten times its size in memory."""

COLUMNS_LIMIT = 2**16
CELLS_LIMIT = 2**28
"""Maximum columns of a table and cells of a Parquet file, which compression can make far larger than the file."""

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
COMMA_NUMBER = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
POINT_NUMBER = re.compile(r"\s*[+-]?\d*\.\d+([eE][+-]?\d+)?\s*")


def read_table(path: str | Path, *, id_column: str | None = None) -> pd.DataFrame:
    """Read a table file into a pandas frame whose index holds the row numbers of the file.

    Parameters
    ----------
    path : str or Path
        CSV, gzipped CSV, or Parquet (needs pyarrow).
    id_column : str, optional
        A column to keep as text exactly as written, in addition to ``unique_id``.

    Raises
    ------
    TableError
        If the file does not exist or is not a valid table.
    MissingDependencyError
        If the file is Parquet and pyarrow is not installed.
    """
    path = Path(path)
    raw = _bytes(path)
    if raw[:2] == b"\x1f\x8b":
        raw = _unzipped(raw, path)
    if not raw.strip():
        raise TableError(f"{path} is empty; expected a table with a header row")
    if raw[:4] == b"PAR1":
        return _parquet(raw, path)
    if raw[:4] == b"PK\x03\x04" or raw[:4] == b"\xd0\xcf\x11\xe0":
        raise TableError(f"{path} is a workbook or an archive; expected CSV or Parquet: save the sheet as CSV")
    text, notes = _decoded(raw, path)
    if not text.strip():
        raise TableError(f"{path} is empty; expected a table with a header row")
    return _csv(text, path, {ID_NAME, id_column or ID_NAME}, notes)


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path, FILE_LIMIT, TableError)
    except TableError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
    near = get_close_matches(path.name, _names(path.parent), n=1, cutoff=0.7)
    hint = f"did you mean {str(path.with_name(near[0]))!r}?" if near else "check the path"
    raise TableError(f"no such file: {path}; {hint}")


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def _unzipped(raw: bytes, path: Path) -> bytes:
    size = 0
    try:
        # Count the bytes first, so that a decompression bomb is refused before it takes memory.
        with gzip.open(io.BytesIO(raw)) as file:
            while part := file.read(2**20):
                size += len(part)
                if size > FILE_LIMIT:
                    raise TableError(f"{path} has more than {FILE_LIMIT:,} bytes after decompression; split the table")
        return gzip.decompress(raw)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TableError(f"{path} is a damaged or truncated gzip file ({error}); copy or download it again") from error


def _decoded(raw: bytes, path: Path) -> tuple[str, list[str]]:
    """Decode UTF-8, or UTF-16 with a byte order mark; return the text and notes."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return raw.decode("utf-16"), ["the file was read as UTF-16"]
        except UnicodeDecodeError as error:
            raise TableError(f"{path} is a binary file; expected CSV or Parquet") from error
    if b"\0" in raw:
        raise TableError(f"{path} is a binary file (byte {raw.index(0) + 1} is NUL); expected CSV or Parquet")
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise TableError(
            f"{path}, row {row}: byte {error.start + 1} is not UTF-8; save the file as UTF-8 text"
        ) from error


def _csv(text: str, path: Path, id_columns: set[str], notes: list[str]) -> pd.DataFrame:
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
        raise TableError(f"{path}: the first rows cannot be read as CSV ({error}); correct that cell") from error
    _check_header(header, path)
    decimal = "."
    if delimiter != ",":
        notes.append(f"cells are separated by {DELIMITERS[delimiter]}")
        if decimal_comma:
            decimal = ","
            notes.append("numbers were read with a decimal comma")
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            decimal=decimal,
            dtype=dict.fromkeys(id_columns & set(header), str),
            # pandas names a nameless column "Unnamed: i" and looks up its missing values under that name
            na_values={name or f"Unnamed: {i}": BLANKS for i, name in enumerate(header) if name not in id_columns},
            keep_default_na=False,
            skip_blank_lines=False,
            **_precision(decimal),
            low_memory=False,
        )
    except pd.errors.EmptyDataError as error:
        raise TableError(f"{path} is empty; expected a table with a header row") from error
    except pd.errors.ParserError as error:
        raise TableError(f"{path}: {_where(str(error))}; every row needs as many cells as the header") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise TableError(f"{path}, row 2: more cells than the {len(header)} names in the header; add the missing names")
    frame.index = frame.index + leading
    ids = [name for name in frame.columns if name in id_columns]
    blank = frame.drop(columns=ids).isna().all(axis=1) & (frame[ids] == "").all(axis=1)
    if blank.any():
        if not blank.iloc[-int(blank.sum()) :].all():
            notes.append(f"{int(blank.sum())} blank rows were skipped")
        frame = frame[~blank]
    if len(frame) == 0:
        raise TableError(f"{path} has a header but no rows; expected at least two rows of data")
    frame.attrs[NOTES] = tuple(notes)
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


def _check_header(header: list[str], path: Path) -> None:
    _refuse_repeated(header, path)
    if re.fullmatch(r"\d{4}-\d\d-\d\d.*", header[0].strip()):
        raise TableError(f"{path}: row 1 holds data ({header[0]!r}); expected a header: add a row of column names")


def _refuse_repeated(header: list[str], path: Path) -> None:
    if len(header) > COLUMNS_LIMIT:
        raise TableError(f"{path} has {len(header):,} columns; expected at most {COLUMNS_LIMIT:,}: use a long table")
    known: dict[str, int] = {}
    for i, name in enumerate(header, 1):
        first = known.setdefault(name, i)
        if name and first < i:
            raise TableError(f"{path}: columns {first} and {i} are both named {name!r}; rename one of them")


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


def _parquet(raw: bytes, path: Path) -> pd.DataFrame:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            f'{path} is a Parquet file, which needs pyarrow: pip install "swt-time[parquet]"'
        ) from error
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(raw))
        _check_size(file.metadata, path)
        table = file.read()
        # drop the pandas metadata, which would turn columns into an index
        frame = table.replace_schema_metadata(None).to_pandas(types_mapper=pd.ArrowDtype)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise TableError(f"{path} is a damaged Parquet file ({first_line(error)}); copy or write it again") from error
    _refuse_repeated([str(name) for name in frame.columns], path)
    if len(frame) == 0:
        raise TableError(f"{path} has a header but no rows; expected at least two rows of data")
    frame.attrs[NOTES] = ()
    return frame


def _check_size(metadata: Any, path: Path) -> None:
    """Refuse a Parquet file that would take too much memory; its size on disk may be far smaller."""
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    cells = metadata.num_rows * metadata.num_columns
    if size > FILE_LIMIT or cells > CELLS_LIMIT:
        raise TableError(
            f"{path} has {cells:,} cells in {size:,} bytes after decompression; expected at most {CELLS_LIMIT:,} cells "
            f"and {FILE_LIMIT:,} bytes: split the table"
        )
