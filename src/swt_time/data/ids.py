"""Ids of the series of a table: found, counted, and checked for ids that cannot be told apart."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.columns import is_missing, place
from swt_time.errors import TableError

PLAIN = (nw.String, nw.Categorical, nw.Enum)
"""Types of polars, beside the integers, whose cells can be replaced by codes at once."""


def find_ids(
    columns: Sequence[nw.Series[Any]], rows: np.ndarray, notes: list[str]
) -> tuple[list[str], np.ndarray, dict[str, int]]:
    """Sorted ids of a long table, the series index of each row, and the position of each id's first row.

    The cells of several id columns are joined by `join_cells`.
    """
    found = [_find_ids(column, rows, notes) for column in columns]
    if len(found) == 1:
        return found[0]
    codes = join_codes([codes for _, codes, _ in found])
    first = _first_rows(codes).tolist()
    names = [join_cells([ids[codes[row]] for ids, codes, _ in found]) for row in first]
    order = sorted(range(len(names)), key=names.__getitem__)
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return [names[i] for i in order], places[codes], {names[i]: first[i] for i in order}


def join_codes(codes: Sequence[np.ndarray]) -> np.ndarray:
    """Code of each combination of codes from 0, numbered by their first occurrence."""
    joined = codes[0].astype(np.int64)
    for one in codes[1:]:
        joined = pd.factorize(joined * (int(one.max(initial=0)) + 1) + one)[0].astype(np.int64)
    return joined


def join_cells(cells: Sequence[str]) -> str:
    r"""Join the cells of several id columns by slashes; those in a cell are escaped, so that no two joins are equal.

    Examples
    --------
    >>> join_cells(["a/b", "c"]), join_cells(["a", "b/c"])
    ('a\\/b/c', 'a/b\\/c')
    """
    return "/".join(cell.replace("\\", "\\\\").replace("/", "\\/") for cell in cells)


def _find_ids(
    column: nw.Series[Any], rows: np.ndarray, notes: list[str]
) -> tuple[list[str], np.ndarray, dict[str, int]]:
    if column.dtype.is_nested() or column.dtype == nw.Binary:
        kind = "bytes" if column.dtype == nw.Binary else "nested values"
        raise TableError(f"column {column.name!r} holds {kind}; expected the id of a series in each row")
    codes, first = factorize(column)
    cells = column[first.tolist()].to_list()
    blank = np.array([not cell.strip() if isinstance(cell, str) else is_missing(cell) for cell in cells])
    if blank.any():
        missing = blank[codes]
        raise TableError(
            f"{place(column.name, int(rows[int(np.argmax(missing))]))}: the id is missing "
            f"({int(missing.sum())} such rows); every row of a long table needs the id of its series"
        )
    merged, found = pd.factorize(np.array([str(cell) for cell in cells], dtype=object), sort=True)
    ids = [str(one) for one in found]
    check_alike(ids, notes)
    if isinstance(column.dtype, nw.Object):
        _check_types(cells)
    rows_of = np.full(len(ids), len(codes), dtype=np.int64)
    np.minimum.at(rows_of, merged, first)
    in_order = np.array_equal(merged, np.arange(len(merged)))
    codes = codes if in_order else merged.astype(np.int32)[codes]
    return ids, codes, dict(zip(ids, rows_of.tolist(), strict=True))


def factorize(column: nw.Series[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Code of each row, and the first row of each code; rows of one code hold equal cells, which may be missing."""
    native = nw.to_native(column)
    # cells that are equal but written differently, such as 1, True and 1.0, or 0.0 and -0.0, are different ids
    mixed = column.dtype.is_float() or isinstance(column.dtype, nw.Object | nw.Unknown)
    if isinstance(native, pd.Series) and _is_encoded(native.dtype):
        codes = _used_codes(native.array)
    elif isinstance(native, pd.Series) and not mixed:
        codes = pd.factorize(native, use_na_sentinel=False)[0]
    elif column.implementation.is_polars() and (isinstance(column.dtype, PLAIN) or column.dtype.is_integer()):
        kinds = column.unique(maintain_order=True).to_list()
        codes = column.replace_strict(kinds, list(range(len(kinds))), return_dtype=nw.Int64).to_numpy()
    else:
        cells = [f"{type(cell).__name__} {cell}" for cell in column.to_list()]
        codes = pd.factorize(np.array(cells, dtype=object))[0]
    codes = np.asarray(codes, dtype=np.int32)  # half the memory: a table has as many codes as rows
    return codes, _first_rows(codes)


def _first_rows(codes: np.ndarray) -> np.ndarray:
    """First row of each code."""
    first = np.empty(int(codes.max(initial=-1)) + 1, dtype=np.int64)
    begins = np.append(0, 1 + np.flatnonzero(codes[1:] != codes[:-1]))[::-1]
    first[codes[begins]] = begins  # of equal indices the last one counts
    return first


def _is_encoded(dtype: Any) -> bool:
    """Whether pandas holds text that Arrow has encoded by a dictionary."""
    if not isinstance(dtype, pd.ArrowDtype):
        return False
    import pyarrow as arrow

    kind: Any = dtype.pyarrow_dtype
    encoded: bool = arrow.types.is_dictionary(kind) and (
        arrow.types.is_string(kind.value_type) or arrow.types.is_large_string(kind.value_type)
    )
    return encoded


def _used_codes(array: Any) -> np.ndarray:
    """Codes from 0 of cells that are encoded by a dictionary, without those that no cell has."""
    whole = array.__arrow_array__().unify_dictionaries()
    parts = [part.indices.cast("int32").fill_null(len(part.dictionary)).to_numpy() for part in whole.chunks]
    codes = np.concatenate(parts) if len(parts) != 1 else parts[0]
    used = np.bincount(codes) > 0
    numbered: np.ndarray = (np.cumsum(used) - 1)[codes]
    return numbered


def _check_types(cells: list[Any]) -> None:
    """Refuse ids that are written alike but differ in type, such as 1 and '1'."""
    known: dict[str, Any] = {}
    for cell in cells:
        other = known.setdefault(str(cell), cell)
        if type(cell) is not type(other):
            raise TableError(f"ids {other!r} and {cell!r} differ only in type; make them equal, or clearly different")


def check_alike(ids: list[str], notes: list[str]) -> None:
    """Refuse ids that look the same; add a note for ids that differ only in case."""
    seen: dict[str, str] = {}
    for one in ids:
        other = seen.setdefault(_visible(one), one)
        if other != one:
            blanks = "".join(other.split()) == "".join(one.split())
            what = "whitespace" if blanks else f"characters that look the same ({other!a} and {one!a})"
            raise TableError(f"ids {other!r} and {one!r} differ only in {what}; make them equal, or clearly different")
    folded: dict[str, str] = {}
    pairs = [(other, one) for one in ids if (other := folded.setdefault(one.casefold(), one)) != one]
    if pairs:
        more = f" ({len(pairs)} such pairs)" if len(pairs) > 1 else ""
        notes.append(f"ids {pairs[0][0]!r} and {pairs[0][1]!r} differ only in case and are separate series{more}")


def _visible(text: str) -> str:
    """Normalize text to what is visible: single spaces, composed accents, no zero-width characters."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(c for c in composed if unicodedata.category(c) != "Cf").split())
