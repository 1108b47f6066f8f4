"""Read Parquet files with pyarrow, an optional package, in batches of rows.

The numbers in the file are claims: what a reader would allocate for them is checked before, and what it decodes is
counted batch by batch. Text stays encoded by its dictionary until its length is known, since a small file can repeat
one long value many times.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from swt_time.data.budget import ROW_BYTES, Budget
from swt_time.data.frames import ENCODED, NOTES
from swt_time.data.header import refuse_repeated
from swt_time.data.limits import COLUMNS_LIMIT
from swt_time.data.parquet_pages import page_sizes
from swt_time.errors import MissingDependencyError, TableError, first_line

FOOTER_SHARE = 2**8
"""Memory that pyarrow may take for each byte of the footer of a file, at most."""

BATCH_CELLS, BATCH_ROWS = 2**22, 2**8
"""Cells of a batch, and the fewest rows of a batch of a wide table."""

TEXT = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
REPEATED = 8
"""Times that an id must occur on average, so that its column stays encoded."""

SLIGHT = ("UNCOMPRESSED", "SNAPPY")
"""Compression that a budget always allows for: to at most 21 times its bytes."""


@dataclass(frozen=True)
class Selection:
    """What is read of a Parquet file.

    Attributes
    ----------
    groups : sequence of int, optional
        Row groups; all by default.
    columns : collection of str, optional
        All by default.
    rows : callable, optional
        From the columns of a batch (Arrow arrays by name) to the mask of the rows that are kept; all by default.
    """

    groups: Sequence[int] | None = None
    columns: Collection[str] | None = None
    rows: Callable[[Mapping[str, Any]], Any] | None = None


EVERYTHING = Selection()


def read_parquet(
    raw: Any, name: str, budget: Budget, ids: Collection[str] = (), some: Selection = EVERYTHING
) -> pd.DataFrame:
    """Read a Parquet file.

    Parameters
    ----------
    raw : bytes or mmap
    name : str
        Name of the file for messages.
    budget : Budget
    ids : collection of str
        Names of columns that repeat few values: where they are text they stay encoded by their dictionary, which saves
        time and memory, and are named in the ``attrs`` of the frame under `ENCODED`.
    some : Selection
        What is read of the file.

    Raises
    ------
    TableError
        If the file is damaged or too large.
    MissingDependencyError
        If pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet  # noqa: F401  the library can be built without it
    except ImportError as error:
        raise MissingDependencyError(
            f'{name} is a Parquet file, which needs pyarrow: pip install "swt-time[parquet]"'
        ) from error
    try:
        frame = _read(raw, name, budget, ids, some)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(f"{name} is a damaged Parquet file ({first_line(error)}); copy or write it again") from error
    if len(frame) == 0:
        raise TableError(f"{name} has a header but no rows; expected at least two rows of data")
    frame.attrs[NOTES] = ()
    return frame


def open_parquet(raw: Any, budget: Budget) -> Any:
    """Open a Parquet file whose footer fits into the budget."""
    import pyarrow as arrow
    from pyarrow.parquet import ParquetFile

    budget.check(FOOTER_SHARE * min(int.from_bytes(raw[-8:-4], "little"), len(raw)))
    return ParquetFile(arrow.BufferReader(raw))


def _read(raw: Any, name: str, budget: Budget, ids: Collection[str], some: Selection) -> pd.DataFrame:
    import pyarrow as arrow
    from pyarrow.parquet import ParquetFile

    file = open_parquet(raw, budget)
    metadata = file.metadata
    schema = metadata.schema.to_arrow_schema()
    if metadata.num_columns > COLUMNS_LIMIT:
        raise TableError(
            f"{name} has {metadata.num_columns:,} columns; expected at most {COLUMNS_LIMIT:,}: use a long table"
        )
    refuse_repeated(schema.names, name)
    every = len(schema)
    if some.columns is not None:
        schema = arrow.schema([field for field in schema if field.name in some.columns])
    groups = range(metadata.num_row_groups) if some.groups is None else some.groups
    # one nested cell can hold any number of values: such columns are not read
    nested = {field.name for field in schema if arrow.types.is_nested(field.type)}
    flat = {field.name: field.type for field in schema if field.name not in nested}
    rows = sum(metadata.row_group(i).num_rows for i in groups)
    is_text = {kind: _is_text(kind) for kind in set(flat.values())}
    width = {kind: _width(kind) for kind in is_text}
    if some.rows is None:
        budget.check(rows * (ROW_BYTES + sum(width[kind] for kind in flat.values())))
    pages, most_rows, repeating = _check_pages(raw, metadata, set(flat), groups, budget)
    budget.take(pages)
    texts = [one for one, kind in flat.items() if is_text[kind] and one not in repeating]
    if texts:
        file = ParquetFile(arrow.BufferReader(raw), metadata=metadata, read_dictionary=texts)
    batch_rows = max(BATCH_CELLS // max(len(schema), 1), BATCH_ROWS)
    batches = []
    wanted = None if len(flat) == every else list(flat)
    for batch in file.iter_batches(min(batch_rows, most_rows), row_groups=list(groups), columns=wanted):
        columns = dict(zip(flat, batch.columns, strict=True))
        for one in texts:
            columns[one] = _decoded(columns[one], flat[one], budget, keep=one in ids)
        columns |= {field.name: _blank(field.type, len(batch)) for field in schema if field.name in nested}
        kept = len(batch)
        if some.rows is not None:
            mask = some.rows(columns)
            columns = {one: column.filter(mask) for one, column in columns.items()}
            kept = mask.true_count
        budget.take(sum(column.nbytes for column in columns.values()) + ROW_BYTES * kept)
        batches.append(columns)
    budget.give(pages)
    joined = [_joined([columns.pop(field.name) for columns in batches], field.type, budget) for field in schema]
    encoded = {field.name for field, one in zip(schema, joined, strict=True) if one.type != field.type}
    # without the metadata of pandas, which would turn columns into an index
    frame: pd.DataFrame = arrow.Table.from_arrays(joined, names=schema.names).to_pandas(types_mapper=pd.ArrowDtype)
    frame.attrs[ENCODED] = {one: pd.ArrowDtype(flat[one]) for one in encoded}
    return frame


def _blank(kind: Any, rows: int) -> Any:
    """Cells of a nested type that hold nothing, in place of those of a column that is not read."""
    import pyarrow as arrow

    cell = {} if arrow.types.is_struct(kind) else [None] * getattr(kind, "list_size", 0)
    return arrow.array([cell], kind).take(arrow.array(np.zeros(rows, np.int64)))


def _check_pages(
    raw: Any, metadata: Any, read: set[str], groups: Sequence[int], budget: Budget
) -> tuple[int, int, set[str]]:
    """Memory of the pages that are decompressed together, the most rows of a batch, and `PageSizes.repeats` columns."""
    largest = [0] * metadata.num_columns
    repeating: set[str] = set()
    text, longest = 0, 1
    for i in groups:
        group = metadata.row_group(i)
        for j in range(min(group.num_columns, metadata.num_columns)):
            chunk = group.column(j)
            if chunk.physical_type not in TEXT and chunk.compression in SLIGHT:
                continue
            path = chunk.path_in_schema
            if path not in read:
                continue
            sizes = page_sizes(raw, chunk)
            largest[j] = max(largest[j], sizes.dictionary + sizes.largest)
            text += sizes.total if chunk.physical_type in TEXT else 0
            if sizes.repeats:
                repeating.add(path)
                longest = max(longest, sizes.largest)
        budget.check(2 * sum(largest) + text)  # a page and the values in it
    return sum(largest), max((budget.limit - budget.taken) // 16 // longest, 1), repeating


def _is_text(kind: Any) -> bool:
    from pyarrow.types import is_binary, is_large_binary, is_large_string, is_string

    return any(check(kind) for check in (is_binary, is_large_binary, is_large_string, is_string))


def _width(kind: Any) -> int:
    """Bytes of a cell of a type; of text the index into its dictionary."""
    try:
        width: int = (kind.bit_width + 7) // 8
        return width
    except ValueError:
        return 4


def _decoded(column: Any, kind: Any, budget: Budget, keep: bool) -> Any:
    """Return a column of text without its dictionary, whose length is checked before.

    With ``keep`` it is encoded by a dictionary of its own values.
    """
    import pyarrow as arrow

    if not arrow.types.is_dictionary(column.type):
        return column
    budget.check(_decoded_bytes(column))
    if keep and REPEATED * len(column.dictionary) <= len(column):
        return column.cast(arrow.dictionary(arrow.int32(), kind))
    text = column.cast(kind)
    return text.dictionary_encode() if keep else text  # the dictionary is that of all rows of a row group


def _joined(parts: list[Any], kind: Any, budget: Budget) -> Any:
    """Return the parts of a column joined; encoded ones stay so, by one dictionary, if values are repeated."""
    import pyarrow as arrow

    if not parts or parts[0].type == kind or not arrow.types.is_dictionary(parts[0].type):
        return arrow.chunked_array(parts, type=parts[0].type if parts else kind)
    budget.check(sum(part.dictionary.nbytes for part in parts))
    whole = arrow.chunked_array(parts).unify_dictionaries()
    if REPEATED * len(whole.chunk(0).dictionary) <= len(whole):
        return whole
    budget.check(sum(map(_decoded_bytes, parts)))
    return whole.cast(kind)


def _decoded_bytes(column: Any) -> int:
    """Bytes of the text in a column that is encoded by a dictionary."""
    import pyarrow.compute as compute

    lengths = compute.take(compute.binary_length(column.dictionary), column.indices)
    return compute.sum(lengths).as_py() or 0
