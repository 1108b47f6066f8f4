"""Read Parquet files with pyarrow, an optional package, in batches of rows.

The numbers in the file are claims: what a reader would allocate for them is checked before, and what it decodes is
counted batch by batch. Text stays encoded by its dictionary until its length is known, since a small file can repeat
one long value many times.
"""

from typing import Any

import numpy as np
import pandas as pd

from swt_time.data.budget import ROW_BYTES, Budget
from swt_time.data.frames import NOTES
from swt_time.data.header import refuse_repeated
from swt_time.data.limits import COLUMNS_LIMIT
from swt_time.data.parquet_pages import page_sizes
from swt_time.errors import MissingDependencyError, TableError, first_line

FOOTER_SHARE = 2**8
"""Memory that pyarrow may take for each byte of the footer of a file, at most."""

BATCH_CELLS, BATCH_ROWS = 2**22, 2**8
"""Cells of a batch, and the fewest rows of a batch of a wide table."""

TEXT = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
SLIGHT = ("UNCOMPRESSED", "SNAPPY")
"""Compression that a budget always allows for: to at most 21 times its bytes."""


def read_parquet(raw: bytes, name: str, budget: Budget) -> pd.DataFrame:
    """Read a Parquet file.

    Raises
    ------
    TableError
        If the file is damaged or too large.
    MissingDependencyError
        If pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            f'{name} is a Parquet file, which needs pyarrow: pip install "swt-time[parquet]"'
        ) from error
    try:
        frame = _read(raw, name, budget)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(f"{name} is a damaged Parquet file ({first_line(error)}); copy or write it again") from error
    if len(frame) == 0:
        raise TableError(f"{name} has a header but no rows; expected at least two rows of data")
    frame.attrs[NOTES] = ()
    return frame


def _read(raw: bytes, name: str, budget: Budget) -> pd.DataFrame:
    import pyarrow as arrow
    from pyarrow.parquet import ParquetFile, read_metadata

    budget.check(FOOTER_SHARE * min(int.from_bytes(raw[-8:-4], "little"), len(raw)))
    metadata = read_metadata(arrow.BufferReader(raw))
    schema = metadata.schema.to_arrow_schema()
    if metadata.num_columns > COLUMNS_LIMIT:
        raise TableError(
            f"{name} has {metadata.num_columns:,} columns; expected at most {COLUMNS_LIMIT:,}: use a long table"
        )
    refuse_repeated(schema.names, name)
    # one nested cell can hold any number of values: such columns are not read
    nested = {field.name for field in schema if arrow.types.is_nested(field.type)}
    flat = {field.name: field.type for field in schema if field.name not in nested}
    rows = sum(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
    budget.check(rows * (ROW_BYTES + sum(map(_width, flat.values()))))
    pages, most_rows, repeating = _check_pages(raw, metadata, nested, budget)
    budget.take(pages)
    texts = [one for one, kind in flat.items() if _is_text(kind) and one not in repeating]
    file = ParquetFile(arrow.BufferReader(raw), metadata=metadata, read_dictionary=texts)
    batch_rows = max(BATCH_CELLS // max(len(schema), 1), BATCH_ROWS)
    batches = []
    plain = schema.remove_metadata()  # that of pandas would turn columns into an index
    for batch in file.iter_batches(min(batch_rows, most_rows), columns=list(flat) if nested else None):
        kinds = flat.values()
        decoded = iter([_decoded(one, kind, budget) for one, kind in zip(batch.columns, kinds, strict=True)])
        columns = [_blank(field.type, len(batch)) if field.name in nested else next(decoded) for field in plain]
        kept = arrow.record_batch(columns, schema=plain)
        budget.take(kept.nbytes + ROW_BYTES * len(kept))
        batches.append(kept)
    budget.give(pages)
    return arrow.Table.from_batches(batches, schema=plain).to_pandas(types_mapper=pd.ArrowDtype)


def _blank(kind: Any, rows: int) -> Any:
    """Cells of a nested type that hold nothing, in place of those of a column that is not read."""
    import pyarrow as arrow

    cell = {} if arrow.types.is_struct(kind) else [None] * getattr(kind, "list_size", 0)
    return arrow.array([cell], kind).take(arrow.array(np.zeros(rows, np.int64)))


def _check_pages(raw: bytes, metadata: Any, nested: set[str], budget: Budget) -> tuple[int, int, set[str]]:
    """Memory of the pages that are decompressed together, the most rows of a batch, and `PageSizes.repeats` columns."""
    largest = [0] * metadata.num_columns
    repeating: set[str] = set()
    text, longest = 0, 1
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        for j in range(min(group.num_columns, metadata.num_columns)):
            chunk = group.column(j)
            if chunk.physical_type not in TEXT and chunk.compression in SLIGHT:
                continue
            path = chunk.path_in_schema
            if path.partition(".")[0] in nested:
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
        return (kind.bit_width + 7) // 8
    except ValueError:
        return 4


def _decoded(column: Any, kind: Any, budget: Budget) -> Any:
    """A column of text without its dictionary, whose length is checked before."""
    import pyarrow as arrow
    import pyarrow.compute as compute

    if not arrow.types.is_dictionary(column.type) or arrow.types.is_dictionary(kind):
        return column
    lengths = compute.take(compute.binary_length(column.dictionary), column.indices)
    budget.check(compute.sum(lengths).as_py() or 0)
    return column.cast(kind)
