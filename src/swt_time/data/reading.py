"""Read tables from files, standard input and addresses; the format is detected by content, not by suffix.

Accepted are CSV, Parquet and Excel, also compressed. Accepted with a note: UTF-16, semicolons, tabs or bars between
cells, decimal commas in such files, blank lines. A byte order mark is ignored. Any other defect of a file raises a
``TableError``.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from swt_time.data.budget import Budget
from swt_time.data.csv_text import parse_csv
from swt_time.data.decoding import decode
from swt_time.data.decompression import decompress
from swt_time.data.layout import as_names
from swt_time.data.names import ID_NAME
from swt_time.data.opening import read_source
from swt_time.data.parquet import read_parquet
from swt_time.data.workbook import OLE, read_workbook, workbook_kind
from swt_time.errors import TableError


def read_table(
    source: str | Path,
    *,
    id_column: str | Sequence[str] | None = None,
    encoding: str | None = None,
    former_encoding: str | None = None,
    memory_limit: int | None = None,
) -> pd.DataFrame:
    """Read a table into a pandas frame whose index holds the row numbers of the file, less 2.

    Parameters
    ----------
    source : str or Path
        A file, ``-`` for standard input, or an address such as ``https://host/table.csv`` (needs the extra
        ``remote``). CSV, Parquet (needs pyarrow) or Excel (needs openpyxl; the first sheet is read), also compressed
        by gzip, bzip2, xz, Zstandard or zip.
    id_column : str or sequence of str, optional
        Columns to keep as text exactly as written, in addition to ``unique_id``.
    encoding : str, optional
        Encoding of a CSV file; UTF-8 by default.
    former_encoding : str, optional
        Encoding of an earlier file of the same kind, for a CSV file that is not UTF-8 if ``encoding`` is not given.

    memory_limit : int, optional
        MiB that the table may take (`swt_time.data.budget.Budget`).

    Raises
    ------
    TableError
        If the source does not exist or is not a valid table.
    MissingDependencyError
        If an optional package is needed and not installed; the message names the install command.
    """
    budget, ids = Budget(memory_limit), {ID_NAME, *as_names(id_column)}
    raw, name = read_source(source, budget)
    raw = decompress(raw, name, budget)
    if not raw or raw.isspace():
        raise TableError(f"{name} is empty; expected a table with a header row")
    if raw[:4] == b"PAR1":
        return read_parquet(raw, name, budget, ids)
    if raw[:4] == OLE:
        raise TableError(f"{name} is an old Excel workbook (.xls) or has a password; save the sheet as .xlsx or CSV")
    kind = workbook_kind(raw)
    if kind is not None:
        return read_workbook(raw, name, kind, budget)
    text, notes = decode(raw, name, encoding, former_encoding)
    del raw
    if not text or text.isspace():
        raise TableError(f"{name} is empty; expected a table with a header row")
    return parse_csv(text, name, ids, notes, budget)
