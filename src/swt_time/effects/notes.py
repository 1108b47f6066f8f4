"""Features of notes: what a note says, at the steps that it covers and around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from swt_time.data.frequency import NO_FREQUENCY, parse_frequency
from swt_time.data.future import continue_series
from swt_time.data.series import SeriesTable
from swt_time.data.told import ALWAYS, Span
from swt_time.data.zones import DAY, microseconds
from swt_time.effects.clock import Clock
from swt_time.effects.directions import main_directions
from swt_time.language.text_key import text_key

NOTES = "notes"
"""Name and kind of the group."""

MOST_DIRECTIONS = 32
"""Most dimensions to which the vectors of texts are reduced."""

MOST_KEPT = 2**12
"""Most texts whose vectors are kept for later forecasts, so that no language model is needed for them."""

POSITIONS = 5
"""Functions of the place of a row: constant, linear and quadratic inside the note, and falling off before and after."""


@dataclass(frozen=True)
class NotesGroup:
    """The direction of a note's text, times the place of a row within the note or beside it.

    Texts with similar vectors have similar effects, so a sentence that never occurred before has that of similar ones.

    Attributes
    ----------
    horizon : int
        Rows before which a note must be known to count at a row; see `swt_time.data.told.Told`.
    backbone, sha256 : str
        The language model that read the texts.
    keys : tuple of str
        Hashes of the texts of the training (`swt_time.language.text_key.text_key`).
    directions : (L, d) array
        Orthonormal: the principal directions of the vectors of the training rows, not centred, so that what all of them
        have in common is one.
    vectors : (n, d) array
        The texts of the training in these directions.
    """

    horizon: int
    backbone: str
    sha256: str
    keys: tuple[str, ...]
    directions: np.ndarray
    vectors: np.ndarray
    name: str = NOTES

    @property
    def mean(self) -> float:
        """What is subtracted from vectors: nothing."""
        return 0.0

    @property
    def width(self) -> int:
        """``p``."""
        width: int = POSITIONS * self.directions.shape[1]
        return width

    @property
    def rough(self) -> np.ndarray:
        """The rows before and after a note."""
        return np.arange(self.width) % POSITIONS >= 3

    def features(self, table: SeriesTable, clock: Clock, index: int, start: int, stop: int) -> np.ndarray:
        """See `swt_time.effects.groups.Group`."""
        found, told = np.zeros((stop - start, self.directions.shape[1], POSITIONS)), table.covariates.told
        if told is None or not len(told.notes):
            return found.reshape(stop - start, -1)
        reduced = told.vectors @ self.directions
        times, rows = step_times(table, index, stop), len(table.times[index])
        known = microseconds(table.times[index], wall=False) if told.at_end else times
        most = max(clock.season, 1)
        for span in told.notes.spans(table.ids[index], times, after=most):
            low, weights = _positions(span, most, start, stop)
            since = int(told.notes.known[span.note])
            if since != ALWAYS:
                places = np.arange(low, low + len(weights))
                if told.at_end:
                    seen = np.full(len(weights), since <= known[rows - 1])
                else:
                    seen = (places >= self.horizon) & (known[np.maximum(places - self.horizon, 0)] >= since)
                weights = weights * seen[:, None]
            found[low - start : low - start + len(weights)] += reduced[span.note][:, None] * weights[:, None, :]
        return found.reshape(stop - start, -1)

    def record(self) -> dict[str, Any]:
        """See `swt_time.effects.groups.Group`; `arrays` has the rest."""
        return {
            "kind": NOTES,
            "horizon": self.horizon,
            "backbone": self.backbone,
            "sha256": self.sha256,
            "keys": list(self.keys),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name, for a checkpoint."""
        return {"directions": self.directions, "vectors": self.vectors}

    @classmethod
    def restore(cls, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Restore a group, which may be a stranger's.

        Raises
        ------
        ValueError, KeyError, TypeError
            It is not what `record` and `arrays` give.
        """
        keys = tuple(str(one) for one in record["keys"])
        directions, vectors = (np.asarray(arrays[name], np.float64) for name in ("directions", "vectors"))
        horizon = int(record["horizon"])
        sound = directions.ndim == 2 and vectors.shape == (len(keys), directions.shape[1]) and 0 < horizon <= 2**20
        if not (sound and np.isfinite(directions).all() and np.isfinite(vectors).all()):
            raise ValueError("the vectors of notes have impossible shapes or values")
        return cls(horizon, str(record["backbone"]), str(record["sha256"]), keys, directions, vectors)

    @classmethod
    def fit(cls, table: SeriesTable, horizon: int, rows: Sequence[int]) -> Self | None:
        """Learn the directions from the notes on the first rows of each series; None if there are none."""
        told = table.covariates.told
        if told is None:
            return None
        used = set()
        for index, length in enumerate(rows):
            times = step_times(table, index, len(table.times[index]))[:length]
            known = {span.note for span in told.notes.spans(table.ids[index], times)}
            used |= {one for one in known if told.notes.known[one] <= times[-1]}
        keys = {text_key(text): i for i, text in enumerate(told.notes.texts)}
        distinct = sorted({keys[text_key(told.notes.texts[i])] for i in used})
        vectors = told.vectors[distinct].astype(np.float64)
        if not vectors.any():
            return None
        chosen = main_directions(vectors, MOST_DIRECTIONS)
        kept = dict(sorted(keys.items())[:MOST_KEPT])
        reduced = told.vectors[list(kept.values())].astype(np.float64) @ chosen
        return cls(horizon, told.backbone, told.sha256, tuple(kept), chosen, reduced)


def _positions(span: Span, most: int, start: int, stop: int) -> tuple[int, np.ndarray]:
    """Return the first row of ``start`` to ``stop`` on which a note has features, and those of the rows from it on."""
    length = span.stop - span.start
    around = min(length, most)
    rows = np.arange(max(span.start - around, start), min(span.stop + around, stop))
    if not len(rows):
        return start, np.empty((0, POSITIONS))
    inside = (rows >= span.start) & (rows < span.stop)
    place = (rows - span.start + 0.5) / length
    bent = 6 * place**2 - 6 * place + 1 if length > 2 else np.zeros(len(rows))
    before, after = (np.clip(1 - one / around, 0, 1) for one in (span.start - 1 - rows, rows - span.stop))
    columns = [
        inside,
        inside * (2 * place - 1),
        inside * bent,
        before * (rows < span.start),
        after * (rows >= span.stop),
    ]
    return int(rows[0]), np.stack(columns, axis=1).astype(np.float64)


def step_times(table: SeriesTable, index: int, stop: int) -> np.ndarray:
    """First moment of each of the first ``stop`` steps of a series, (stop,) int64, at least of all its rows.

    A step ends where the next one begins; months that are named by their last day begin a day after the one before.
    """
    times = table.times[index]
    if stop > len(times):
        times = times.append(continue_series([times], table.frequency, stop - len(times)))
    found = microseconds(times, wall=False)
    grid = None if table.frequency == NO_FREQUENCY else parse_frequency(table.frequency)
    if grid is None or grid.anchor is None or "end" not in grid.anchor or len(found) < 2:
        return found
    return np.concatenate([[2 * found[0] - found[1]], found[:-1]]) + DAY
