"""Parse CSV with pandas in batches of rows, and join the batches as if the file had been parsed at once.

A parser takes several times the memory of the frame that it returns, so a batch bounds what is in use beside the rows
that were read before. Blank rows are dropped with their batch.
"""

import functools
import io
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from swt_time.data.budget import CELL_BYTES, ROW_BYTES, Budget
from swt_time.data.columns import MISSING
from swt_time.errors import TableError

BLANKS = sorted({form for text in MISSING for form in (text, text.upper(), text.capitalize())} | {"NaN", "NaT", "N/a"})

BATCH_CELLS, BATCH_ROWS = 2**22, 2**8
"""Cells of a batch; a batch of a wide table has no fewer than so many rows, since each column costs time."""

WIDE = 2**10
"""Columns above which a batch is worth a copy, after which pandas treats all columns of one type together."""


class CsvBatches:
    """A CSV table that is parsed in batches of rows.

    Parameters
    ----------
    raw : bytes
        UTF-8 that begins with the header.
    name : str
        Name of the file for messages.
    delimiter, decimal : str
    header : list of str
    ids : list of str
        Columns to keep as text exactly as written.
    budget : Budget
    """

    def __init__(
        self, raw: bytes, name: str, *, delimiter: str, decimal: str, header: list[str], ids: list[str], budget: Budget
    ) -> None:
        self.raw, self.name, self.delimiter, self.decimal = raw, name, delimiter, decimal
        self.header, self.ids, self.budget = header, ids, budget
        self.rows = 0

    def read(self) -> pd.DataFrame:
        """Parse the table without its blank rows; the index counts all rows, and ``rows`` is their number."""
        batches = []
        for frame in self._parse():
            self.rows += len(frame)
            kept = self._without_blank_rows(frame)
            # a batch and the joined table are in use at the same time
            self.budget.take(2 * _size(kept) + ROW_BYTES * len(kept))
            batches.append(kept)
        if len(batches) == 1:
            return batches[0]
        full = [frame for frame in batches if len(frame)] or batches[:1]
        self._unify(full)
        return pd.concat(full)

    def text(self, names: list[str], index: pd.Index) -> pd.DataFrame:
        """Return the cells of some columns as they are written; ``index`` selects the rows."""
        parts = []
        for frame in self._parse(names):
            part = frame.loc[frame.index.intersection(index)]
            self.budget.take(_size(part))
            parts.append(part)
        return pd.concat(parts)

    def _parse(self, names: list[str] | None = None) -> Iterator[pd.DataFrame]:
        """Batches of all columns, or of some of them as text."""
        columns = list(self._labels)
        options: dict[str, Any] = {"dtype": dict.fromkeys(self.ids, str)}
        if names is not None:
            options = {"dtype": str, "usecols": [self._labels[name] for name in names]}
        # values for each column cost time for each column: a wide table has no ids
        missing = {name: BLANKS for name in columns if name not in self.ids} if self.ids else BLANKS
        rows = max(BATCH_CELLS // len(columns), BATCH_ROWS)
        try:
            with pd.read_csv(
                io.BytesIO(self.raw),
                sep=self.delimiter,
                decimal=self.decimal,
                na_values=missing,
                keep_default_na=False,
                skip_blank_lines=False,
                low_memory=False,
                chunksize=rows,
                **_precision(self.decimal),
                **options,
            ) as reader:
                for frame in reader:
                    if not isinstance(frame.index, pd.RangeIndex):
                        raise TableError(
                            f"{self.name}, row 2: more cells than the {len(self.header)} names in the header; add the "
                            "missing names"
                        )
                    yield frame.copy() if len(columns) > WIDE else frame  # a copy joins the columns of one type
        except pd.errors.EmptyDataError as error:
            raise TableError(f"{self.name} is empty; expected a table with a header row") from error
        except pd.errors.ParserError as error:
            raise TableError(
                f"{self.name}: {_where(str(error))}; every row needs as many cells as the header"
            ) from error

    @functools.cached_property
    def _labels(self) -> dict[str, int]:
        """Positions of the columns by the names that pandas gives them."""
        return {name or f"Unnamed: {i}": i for i, name in enumerate(self.header)}

    def _without_blank_rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        first = frame.iloc[:, 0]
        if not (first.isna() | (first == "")).any():
            return frame
        blank = frame.drop(columns=self.ids).isna().all(axis=1) & (frame[self.ids] == "").all(axis=1)
        return frame[~blank] if blank.any() else frame

    def _unify(self, batches: list[pd.DataFrame]) -> None:
        """Give each column one type in all batches: the one it has if the file is parsed at once."""
        dtypes = pd.concat([frame.dtypes for frame in batches], axis=1)
        texts = []
        for name in dtypes.index[dtypes.nunique(axis=1) > 1]:
            held = {frame[name].dtype for frame in batches if not frame[name].isna().all()}
            if all(pd.api.types.is_signed_integer_dtype(one) or pd.api.types.is_float_dtype(one) for one in held):
                continue  # pandas joins integers and floats to floats
            if len(held) > 1 or pd.api.types.is_unsigned_integer_dtype(next(iter(held))):
                texts.append(name)
                continue
            kind = held.pop()
            for frame in batches:
                frame[name] = frame[name].astype(object if pd.api.types.is_bool_dtype(kind) else kind)
        if texts:
            index = functools.reduce(pd.Index.append, [frame.index for frame in batches])
            written = self.text(texts, index)
            for frame in batches:
                frame[texts] = written.loc[frame.index]


def _size(frame: pd.DataFrame) -> int:
    """Memory of a frame in bytes."""
    others = [i for i, dtype in enumerate(frame.dtypes) if dtype.kind not in "fiub"]
    plain = CELL_BYTES * len(frame) * (frame.shape[1] - len(others))
    return plain + int(frame.iloc[:, others].memory_usage(index=False, deep=True).sum())


def _precision(decimal: str) -> dict[str, Any]:
    """Option for exact parsing of numbers; pandas 3.1 and later always parse exactly."""
    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    return {"float_precision": "round_trip"} if version < (3, 1) and decimal == "." else {}


def _where(message: str) -> str:
    """Reword the message of the pandas parser, with the row."""
    match = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if match:
        return f"row {match[2]} has {match[3]} cells, the header has {match[1]}"
    match = re.search(r"EOF inside string starting at row (\d+)", message)
    if match:
        return f"a quotation mark opened in row {int(match[1]) + 1} is never closed"
    return message.removeprefix("Error tokenizing data. C error: ")
