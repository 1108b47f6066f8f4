"""Read Parquet files with pyarrow, an optional package."""

from typing import Any

import pandas as pd

from swt_time.data.frames import NOTES
from swt_time.data.header import refuse_repeated
from swt_time.data.limits import CELLS_LIMIT, FILE_LIMIT
from swt_time.errors import MissingDependencyError, TableError, first_line


def read_parquet(raw: bytes, name: str) -> pd.DataFrame:
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
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(raw))
        _check_size(file.metadata, name)
        table = file.read()
        # drop the pandas metadata, which would turn columns into an index
        frame = table.replace_schema_metadata(None).to_pandas(types_mapper=pd.ArrowDtype)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise TableError(f"{name} is a damaged Parquet file ({first_line(error)}); copy or write it again") from error
    refuse_repeated([str(column) for column in frame.columns], name)
    if len(frame) == 0:
        raise TableError(f"{name} has a header but no rows; expected at least two rows of data")
    frame.attrs[NOTES] = ()
    return frame


def _check_size(metadata: Any, name: str) -> None:
    """Refuse a Parquet file that would take too much memory; its size on disk may be far smaller."""
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    cells = metadata.num_rows * metadata.num_columns
    if size > FILE_LIMIT or cells > CELLS_LIMIT:
        raise TableError(
            f"{name} has {cells:,} cells in {size:,} bytes after decompression; expected at most {CELLS_LIMIT:,} cells "
            f"and {FILE_LIMIT:,} bytes: split the table"
        )
