"""Folders of Parquet files with long tables: which series stand where, and the rows of some series.

Every row group is read by `swt_time.data.parquet.read_parquet`, within the memory budget of its file.
"""

import hashlib
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swt_time.data.budget import Budget
from swt_time.data.columns import listed
from swt_time.data.parquet import Selection, open_parquet, read_parquet
from swt_time.errors import MissingDependencyError, TableError, first_line
from swt_time.folders import explained

SUFFIX = ".parquet"

UNREAD = ("_", ".")
"""First characters of files that engines write beside their parts, such as ``_SUCCESS``."""

SEPARATOR = "\x1f"
"""Between the cells of several id columns in the key of a series."""

MOST_PLACES = 2**26
"""Most pairs of a row group and a series in it (256 MiB)."""


@dataclass(frozen=True)
class Part:
    """A Parquet file of a folder.

    Attributes
    ----------
    path : Path
    rows : tuple of int
        Rows of each row group.
    size, changed : int
        Bytes, and the time of the last change in nanoseconds.
    """

    path: Path
    rows: tuple[int, ...]
    size: int
    changed: int


@dataclass(frozen=True)
class ParquetFolder:
    """The Parquet files of a folder, in the order of their names; all have the same columns.

    Attributes
    ----------
    path : Path
    parts : tuple of Part
    columns : tuple of str
    """

    path: Path
    parts: tuple[Part, ...]
    columns: tuple[str, ...]

    @cached_property
    def identity(self) -> dict[str, str]:
        """What tells each part from another one of its name: its size and the time of its last change."""
        return {part.path.name: f"{part.size} bytes, {part.changed} ns" for part in self.parts}

    @property
    def sha256(self) -> str:
        """Hash of `identity`."""
        return hashlib.sha256(repr(sorted(self.identity.items())).encode()).hexdigest()


@dataclass(frozen=True)
class Bucket:
    """Some series of a folder, with all their rows.

    Attributes
    ----------
    number : int
    ids : tuple of str
        Names of the id columns.
    keys : frozenset of str
        The key of each series, see `series_keys`.
    pieces : tuple of (Path, tuple of int)
        Parts, and their row groups that hold rows of these series.
    rows : int
    first, last : str
        Two series for messages.
    """

    number: int
    ids: tuple[str, ...]
    keys: frozenset[str]
    pieces: tuple[tuple[Path, tuple[int, ...]], ...]
    rows: int
    first: str
    last: str

    @property
    def described(self) -> str:
        """The bucket in a message."""
        return f"series {self.first!r} to {self.last!r}" if len(self.keys) > 1 else f"series {self.first!r}"

    def read(self, memory_limit: int | None = None) -> pd.DataFrame:
        """Read the rows of the series.

        Raises
        ------
        TableError
            A part is damaged, too large for the budget, or was changed.
        """
        import pyarrow as arrow

        wanted = arrow.array(sorted(self.keys), arrow.string())
        some = partial(_holds, ids=self.ids, wanted=wanted)
        frames = [_read(path, Selection(groups, rows=some), memory_limit) for path, groups in self.pieces]
        frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0].reset_index(drop=True)
        frame.attrs = {}  # rows have no number in one file
        if len(frame) != self.rows:
            raise TableError(
                f"{self.described}: expected {self.rows} rows, found {len(frame)}; the parts were changed meanwhile: "
                "run it again"
            )
        return frame


def open_parquet_folder(path: Path) -> ParquetFolder:
    """Find the Parquet files of a folder, and check that they can be one table.

    Raises
    ------
    TableError
        The folder holds no Parquet file, or something else, or files with different columns.
    MissingDependencyError
        pyarrow is not installed.
    """
    try:
        from pyarrow import ArrowException
    except ImportError as error:
        raise MissingDependencyError(
            f'{path} is a folder of Parquet files, which needs pyarrow: pip install "swt-time[parquet]"'
        ) from error
    with explained(f"cannot read {path}", TableError):
        found = sorted(one for one in path.iterdir() if not one.name.startswith(UNREAD))
        other = [one.name for one in found if one.suffix.lower() != SUFFIX or not one.is_file()]
    if other:
        raise TableError(
            f"the folder {path} holds {listed(other)}; expected Parquet files of one long table and nothing else (no "
            "folders inside: write the columns of their names into the files)"
        )
    if not found:
        raise TableError(f"the folder {path} holds no file with a name that ends in {SUFFIX}")
    parts: list[Part] = []
    schema = None
    for one in found:
        try:
            raw, budget = _mapped(one, None)
            file = open_parquet(raw, budget)
            facts, metadata = one.stat(), file.metadata
            own = {field.name: str(field.type) for field in file.schema_arrow}
        except (ArrowException, OSError, ValueError) as error:
            if isinstance(error, TableError):
                raise
            raise TableError(f"{one} is a damaged Parquet file ({first_line(error)}); write it again") from error
        schema = own if schema is None else schema
        if own != schema:
            name = next(name for name in {**schema, **own} if own.get(name) != schema.get(name))
            raise TableError(
                f"{one.name} has the column {name!r} of type {own.get(name, 'none at all')}, {found[0].name} of type "
                f"{schema.get(name, 'none at all')}; expected the same columns in all parts of {path}: write them again"
            )
        rows = tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        if sum(rows):
            parts.append(Part(one, rows, facts.st_size, facts.st_mtime_ns))
    if not parts:
        raise TableError(f"the Parquet files of {path} have no rows; expected at least two rows of data")
    return ParquetFolder(path, tuple(parts), tuple(schema or ()))


def divide(folder: ParquetFolder, ids: Sequence[str], most_rows: int, memory_limit: int | None = None) -> list[Bucket]:
    """Divide the series of a folder into buckets of at most ``most_rows`` rows, in the order of their first rows.

    A series is in one bucket, in whatever parts its rows lie; one with more rows is a bucket of its own. Only the
    columns ``ids`` are read, one row group after another.

    Raises
    ------
    TableError
        A column is missing, or the series are spread over too many row groups.
    """
    missing = [name for name in ids if name not in folder.columns]
    if missing:
        raise TableError(
            f"the parts of {folder.path} have no column {missing[0]!r}; they have {listed(folder.columns)}: name the "
            "column that tells the series apart as data.id_column"
        )
    index: dict[str, int] = {}
    places: list[tuple[Part, int, np.ndarray]] = []
    counts: list[np.ndarray] = []
    for part in folder.parts:
        for group, rows in enumerate(part.rows):
            if rows:
                keys = series_keys(_read(part.path, Selection((group,), ids), memory_limit), ids)
                found = keys.value_counts()
                names = found.field("values").to_pylist()
                places.append((part, group, np.array([index.setdefault(one, len(index)) for one in names], np.int32)))
                counts.append(found.field("counts").to_numpy())
                if sum(map(len, counts)) > MOST_PLACES:
                    raise TableError(
                        f"the series of {folder.path} are spread over too many row groups ({len(index):,} series, more "
                        f"than {MOST_PLACES:,} places); sort the table by {listed(ids)} before it is written"
                    )
    total = np.zeros(len(index), dtype=np.int64)
    for (_, _, members), own in zip(places, counts, strict=True):
        total[members] += own
    bucket_of = _cut(total, most_rows)
    names = np.array(list(index), dtype=object)
    edges = np.searchsorted(bucket_of, np.arange(int(bucket_of[-1]) + 2))
    pieces: list[dict[Path, list[int]]] = [{} for _ in edges[1:]]
    for part, group, members in places:
        for number in np.unique(bucket_of[members]).tolist():
            pieces[number].setdefault(part.path, []).append(group)
    return [
        Bucket(
            number,
            tuple(ids),
            frozenset(names[begin:end].tolist()),
            tuple((path, tuple(groups)) for path, groups in pieces[number].items()),
            int(total[begin:end].sum()),
            _shown(names[begin]),
            _shown(names[end - 1]),
        )
        for number, (begin, end) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    ]


def series_keys(frame: pd.DataFrame, ids: Sequence[str]) -> Any:
    """Return the key of the series of each row: the cells of its id columns as text, an Arrow array of strings.

    Raises
    ------
    TableError
        An id column holds neither text nor numbers.
    """
    import pyarrow as arrow

    try:
        return _keys({one: arrow.array(frame[one]) for one in ids}, ids)
    except arrow.ArrowException as error:
        raise TableError(f"{listed(ids)}: expected ids that are text or numbers ({first_line(error)})") from error


def _keys(columns: Mapping[str, Any], ids: Sequence[str]) -> Any:
    import pyarrow as arrow
    import pyarrow.compute as compute

    text = [compute.fill_null(columns[one].cast(arrow.string()), "") for one in ids]
    found = text[0] if len(text) == 1 else compute.binary_join_element_wise(*text, SEPARATOR)
    return found.combine_chunks() if isinstance(found, arrow.ChunkedArray) else found


def _holds(columns: Mapping[str, Any], ids: Sequence[str], wanted: Any) -> Any:
    """Which rows of a batch belong to wanted series."""
    import pyarrow.compute as compute

    return compute.is_in(_keys(columns, ids), value_set=wanted)


def _cut(total: np.ndarray, most: int) -> np.ndarray:
    """Bucket of each series, so that those of a bucket have at most ``most`` rows, or are one series."""
    bucket, filled = np.empty(len(total), dtype=np.int64), 0
    number = 0
    for i, rows in enumerate(total.tolist()):
        if filled and filled + rows > most:
            number, filled = number + 1, 0
        bucket[i], filled = number, filled + rows
    return bucket


def _shown(key: str) -> str:
    return "/".join(key.split(SEPARATOR))


def _read(path: Path, some: Selection, memory_limit: int | None) -> pd.DataFrame:
    raw, budget = _mapped(path, memory_limit)
    return read_parquet(raw, str(path), budget, some=some)  # which may keep views of the map, so it is not closed here


def _mapped(path: Path, memory_limit: int | None) -> tuple[mmap.mmap, Budget]:
    """Return the bytes of a file, which are read when they are used, and a budget of its own."""
    with explained(f"cannot read {path}", TableError):
        if not path.is_file():  # a pipe would be waited for
            raise TableError(f"cannot read {path}: expected a regular file")
        with path.open("rb") as file:
            raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    budget = Budget(memory_limit)
    budget.start(str(path), len(raw))
    return raw, budget
