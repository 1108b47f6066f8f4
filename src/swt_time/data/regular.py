"""Turn rows in any order into gapless series: sorting, duplicates, one frequency, gaps and missing values."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pandas as pd

from swt_time.config import Fill
from swt_time.data.block import Block, GaplessSeries
from swt_time.data.columns import listed
from swt_time.data.filling import Filling, steps_to_the_end
from swt_time.data.frequency import NO_FREQUENCY, Frequency, RowCount, parse_frequency
from swt_time.data.inferring import all_steps_equal, infer_frequency, place_rows
from swt_time.data.zones import microseconds
from swt_time.errors import TableError

LARGEST = 1e300
"""Larger values are treated as infinite; sums and differences of smaller ones do not overflow float64."""

REPAIR = "set data.fill to linear, ffill or zero, or correct the table"


def regularize(block: Block, frequency: str | None, fill: Fill | None) -> tuple[GaplessSeries, str, list[str]]:
    """Sort and validate all series and fill missing values; see `swt_time.data.series.to_series`.

    Parameters
    ----------
    block : Block
    frequency : str or None
        Pandas alias, or ``none`` to count rows and ignore their times; None infers it.
    fill : {"linear", "ffill", "zero"} or None
        None refuses missing timestamps and values.

    Returns
    -------
    series : GaplessSeries
    frequency : str
        Canonical alias.
    notes : list of str
        Repairs that were made.

    Raises
    ------
    TableError
        If timestamps are duplicate, irregular or of mixed frequencies; if a series has no values; if values are missing
        and ``fill`` is None, or more values are missing than known.
    """
    notes: list[str] = []
    block = _without_future(_sorted(block, notes), notes)
    _refuse_duplicates(block)
    given = block.ids
    block = _without(block, _empty(block), "they have no values", notes)
    _refuse_empty(block)
    starts = np.flatnonzero(np.append(True, ~_inner(block)))
    grid: Frequency | RowCount = RowCount(block.times)
    if frequency != NO_FREQUENCY:
        grid = parse_frequency(_frequency(block, starts, fill) if frequency is None else frequency)
    ordinals = _on_grid(block, starts, grid)
    coarse = _longer_steps(block, starts, ordinals, grid) if frequency is None else np.zeros(len(starts), dtype=bool)
    if fill in ("linear", "ffill"):
        sparse = _sparse(block, starts, ordinals, grid)
        if block.long:
            sparse |= coarse
        kept = _without(block, sparse, f"more than half of their values are missing (frequency {grid.alias})", notes)
        if kept is not block:
            block, starts = kept, np.flatnonzero(np.diff(kept.codes, prepend=-1))
            ordinals, coarse = _on_grid(block, starts, grid), np.zeros(len(starts), dtype=bool)
    if coarse.any():
        _refuse_longer_steps(block, starts, coarse, grid)
    left_out = tuple(sorted(set(given) - set(block.ids)))
    bad = ~_usable(block.values)
    inner, gaps = _inner(block), np.empty(0, dtype=np.int64)
    if not all_steps_equal(ordinals, inner, grid.step):
        gaps = np.flatnonzero(inner & (np.diff(ordinals) != grid.step))
    if fill is None:
        _refuse_gaps(block, grid, gaps, ordinals)
        _refuse_missing(block, bad)
    ends = np.append(starts[1:], len(ordinals)) - 1
    complete = fill != "zero" or not steps_to_the_end(ordinals[ends], grid).any()
    if complete and not bad.any() and not len(gaps):
        return _cut(block, starts)._replace(left_out=left_out), grid.alias, notes
    assert fill is not None
    filling = Filling(block, grid, ordinals, bad, fill)
    return filling.series(starts)._replace(left_out=left_out), grid.alias, [*notes, *filling.notes()]


def _inner(block: Block) -> np.ndarray:
    """Which rows but the last are followed by one of the same series."""
    return np.asarray(block.codes[1:] == block.codes[:-1])


def _usable(values: np.ndarray) -> np.ndarray:
    """Mask of the values that are known and at most `LARGEST` in magnitude."""
    return (values <= LARGEST) & (values >= -LARGEST)


def _sorted(block: Block, notes: list[str]) -> Block:
    stamps = microseconds(block.times, wall=False)
    if ((block.codes[1:] > block.codes[:-1]) | (_inner(block) & (stamps[1:] >= stamps[:-1]))).all():
        return block
    grouped = np.argsort(block.codes, kind="stable")
    if (np.diff(stamps[grouped])[np.diff(block.codes[grouped]) == 0] < 0).any():
        notes.append("rows were sorted by time")
    return block.take(np.lexsort((stamps, block.codes)))


def _without_future(block: Block, notes: list[str]) -> Block:
    """Remove the rows after the last value of the whole table, where no value was observed yet."""
    known = ~np.isnan(block.values).all(axis=0)
    if known.all() or not known.any():
        return block
    stamps = microseconds(block.times, wall=False)
    future = stamps > stamps[known].max()
    if not future.any():
        return block
    notes.append(f"{int(future.sum())} rows after the last value have no value and were left out")
    return block.take(np.flatnonzero(~future))


def _refuse_duplicates(block: Block) -> None:
    stamps = microseconds(block.times, wall=False)
    same = (stamps[1:] == stamps[:-1]) & _inner(block)
    if not same.any():
        return
    i = int(np.argmax(same))
    first, second = sorted(int(row) for row in block.rows[i : i + 2])
    remedy = "keep one row per timestamp"
    if not block.long:
        remedy += ", or set data.id_column to the columns that identify the series"
    times = block.times
    if isinstance(times, pd.DatetimeIndex) and times.tz is None and times[i] != times[i].normalize():
        remedy += "; local time repeats an hour when daylight saving ends: use UTC or times with an offset"
    raise TableError(
        f"duplicate timestamps: {block.times[i]}{block.name(int(block.codes[i]))} occurs in rows {first} and "
        f"{second} ({int(same.sum())} duplicates in total); {remedy}"
    )


def _empty(block: Block) -> np.ndarray:
    """Which series (N,) have no usable value."""
    usable = _usable(block.values)
    if not block.long:
        return np.asarray(~usable.any(axis=1))
    empty = np.ones(len(block.ids), dtype=bool)
    empty[block.codes[usable[0]]] = False
    return empty


def _without(block: Block, dropped: np.ndarray, reason: str, notes: list[str]) -> Block:
    """Leave series out with a note; not all of them, of which the first one is then refused by name."""
    if not dropped.any() or dropped.all():
        return block
    names = listed(one for one, drop in zip(block.ids, dropped, strict=True) if drop)
    notes.append(f"{int(dropped.sum())} of {len(block.ids)} series were left out: {names}; {reason}")
    return block.without(dropped)


def _sparse(block: Block, starts: np.ndarray, ordinals: np.ndarray, grid: Frequency | RowCount) -> np.ndarray:
    """Which series (N,) miss more values than they have, between their first value and their last row."""
    usable = _usable(block.values)
    counts = np.add.reduceat(usable, starts, axis=1, dtype=np.int64)
    first = np.minimum.reduceat(np.where(usable, ordinals, np.iinfo(np.int64).max), starts, axis=1)
    last = ordinals[np.append(starts[1:], len(ordinals)) - 1]
    sparse: np.ndarray = (last - first) // grid.step + 1 > 2 * counts
    return sparse.reshape(-1)  # one column or one span of rows


def _refuse_empty(block: Block) -> None:
    for column, values in zip(block.columns, block.values, strict=True):
        if not _usable(values).any():
            raise TableError(f"column {column!r} has no values; add them or choose other columns with data.columns")
    if block.long:
        known = np.zeros(len(block.ids), dtype=bool)
        known[block.codes[_usable(block.values[0])]] = True
        if not known.all():
            raise TableError(f"series {block.ids[int(np.argmin(known))]!r} has no values; add them or remove its rows")


def _frequency(block: Block, starts: np.ndarray, fill: Fill | None) -> str:
    def where(i: int) -> str:
        return f"row {block.rows[i]}{block.name(int(block.codes[i]))}"

    try:
        return infer_frequency(block.times, starts, where=where)
    except TableError:
        if (
            fill == "zero" and block.long
        ):  # most rows of each series may be missing, while the whole table has every day
            with suppress(TableError):
                return infer_frequency(block.times.unique().sort_values())
        found: dict[str, str] = {}
        ends = [*starts[1:], len(block.times)]
        for start, end in list(zip(starts, ends, strict=True))[:1000]:
            try:
                alias = infer_frequency(block.times[start:end])
            except TableError:
                continue
            found.setdefault(alias, block.ids[block.codes[start]])
        if len(found) > 1:
            raise _mixed(found) from None
        raise


def _mixed(found: dict[str, str]) -> TableError:
    shown = ", ".join(f"{name!r} has {alias}" for alias, name in sorted(found.items())[:3])
    return TableError(
        f"mixed frequencies: series {shown}; expected one frequency: split the table or resample a series"
    )


def _on_grid(block: Block, starts: np.ndarray, grid: Frequency | RowCount) -> np.ndarray:
    """Ordinals of all rows; refuses timestamps that do not fit the frequency."""
    ordinals, fits = place_rows(block.times, block.codes, grid, starts)
    if not fits.all():
        i = int(np.argmin(fits))
        raise TableError(
            f"row {block.rows[i]}{block.name(int(block.codes[i]))}: {block.times[i]} does not fit the "
            f"frequency {grid.alias!r}; correct the time, or set data.frequency to another frequency"
        )
    return ordinals


def _longer_steps(block: Block, starts: np.ndarray, ordinals: np.ndarray, grid: Frequency | RowCount) -> np.ndarray:
    """Which series of a long table have no two rows that are one step apart."""
    inner = _inner(block)
    if all_steps_equal(ordinals, inner, grid.step):
        return np.zeros(len(starts), dtype=bool)
    never = np.iinfo(np.int64).max
    steps = np.append(np.where(inner, np.diff(ordinals), never), never)
    smallest = np.minimum.reduceat(steps, starts)
    longer: np.ndarray = (smallest > grid.step) & (smallest < never)
    return longer


def _refuse_longer_steps(block: Block, starts: np.ndarray, coarse: np.ndarray, grid: Frequency | RowCount) -> None:
    one, other = (block.ids[block.codes[starts[int(np.argmax(which))]]] for which in (~coarse, coarse))
    raise TableError(
        f"mixed frequencies: series {one!r} has {grid.alias}, but {other!r} has a longer step; "
        "expected one frequency: split the table or resample a series; data.fill linear leaves such series out, and "
        f"with data.frequency {grid.alias} the times between its rows are missing ones"
    )


def _refuse_gaps(block: Block, grid: Frequency | RowCount, gaps: np.ndarray, ordinals: np.ndarray) -> None:
    if not len(gaps):
        return
    i = int(gaps[0])
    skipped = (ordinals[gaps + 1] - ordinals[gaps]) // grid.step - 1
    missing = grid.stamps(ordinals[i : i + 1] + grid.step, block.times[i : i + 1])[0]
    raise TableError(
        f"{int(skipped.sum())} missing timestamps (frequency {grid.alias}), the first {missing}"
        f"{block.name(int(block.codes[i]))} after row {block.rows[i]}; {REPAIR}; if the series has no such times "
        "(business hours), set data.frequency to none"
    )


def _refuse_missing(block: Block, bad: np.ndarray) -> None:
    if not bad.any():
        return
    column = int(np.argmax(bad.any(axis=1)))
    i = int(np.argmax(bad[column]))
    kinds = {
        "missing values (NaN)": np.isnan(block.values),
        "infinite values": np.isinf(block.values),
        f"values beyond {LARGEST:g}": bad & np.isfinite(block.values),
    }
    counts = [f"{int(cells.sum())} {kind}" for kind, cells in kinds.items() if cells.any()]
    raise TableError(
        f"{' and '.join(counts)}, the first in column {block.columns[column]!r}, row {block.rows[i]}"
        f"{block.name(int(block.codes[i]))} ({block.times[i]}); {REPAIR}"
    )


def _cut(block: Block, starts: np.ndarray) -> GaplessSeries:
    """Series of a block without gaps and missing values."""
    if not block.long:
        values, times = tuple(block.values), (block.times,) * len(block.ids)
    else:
        spans = list(zip(starts.tolist(), [*starts[1:].tolist(), len(block.times)], strict=True))
        values, times = tuple(block.values[0, start:end] for start, end in spans), _times(block.times, spans)
    return GaplessSeries(block.ids, values, times, tuple(np.ones(len(one), dtype=bool) for one in values))


def _times(times: pd.Index, spans: Sequence[tuple[int, int]]) -> tuple[pd.Index, ...]:
    """Return the times of each span of rows; neighbours with equal times share one index, and many tables have one."""
    stamps = microseconds(times, wall=False)
    found: list[pd.Index] = []
    for number, (start, end) in enumerate(spans):
        former = spans[number - 1] if number else (0, 0)
        alike = number and np.array_equal(stamps[start:end], stamps[slice(*former)])
        found.append(found[-1] if alike else times[start:end])
    return tuple(found)
