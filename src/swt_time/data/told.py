"""What a user tells about the times of series in words, and the rows that it covers."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

ALWAYS = np.iinfo(np.int64).min
"""Time from which a note is known that does not say so."""


class Span(NamedTuple):
    """Rows of one series that a note covers.

    Attributes
    ----------
    note : int
        Index of the note.
    start, stop : int
        Its first row and the row after its last one. Rows before the series and after its end count on.
    """

    note: int
    start: int
    stop: int


@dataclass(frozen=True)
class Notes:
    """``n`` notes on the series of a table.

    Times are microseconds since 1970 in UTC, or counts of rows (`swt_time.data.zones.microseconds`).

    Attributes
    ----------
    texts : tuple of str
    starts, ends : (n,) int64 arrays
        First moment of each note, and the moment after its last one.
    series : tuple of str or None
        Id of the series that a note is about; None for all of them.
    known : (n,) int64 array
        First moment at which a note is known; `ALWAYS` for those that were known all the time.
    remarks : tuple of str
        What was ignored while reading, one sentence each.
    """

    texts: tuple[str, ...]
    starts: np.ndarray
    ends: np.ndarray
    series: tuple[str | None, ...]
    known: np.ndarray
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    def digest(self) -> bytes:
        """SHA-256 of all notes."""
        values = [self.texts, self.series, self.starts.tolist(), self.ends.tolist(), self.known.tolist()]
        return hashlib.sha256(json.dumps(values).encode()).digest()

    def select(self, kept: np.ndarray) -> "Notes":
        """Return the notes at these indices, or where a mask is true."""
        places = np.arange(len(self))[kept].tolist()
        return replace(
            self,
            texts=tuple(self.texts[i] for i in places),
            starts=self.starts[places],
            ends=self.ends[places],
            series=tuple(self.series[i] for i in places),
            known=self.known[places],
        )

    def spans(self, name: str, times: np.ndarray, *, after: int = 0) -> list[Span]:
        """Rows of a series that each note on it covers, in the order of the notes.

        A step covers the time up to the next one, and a note covers the steps that it meets.

        Parameters
        ----------
        name : str
            Id of the series.
        times : (R,) int64 array
            Ascending times of its rows, and of future ones.
        after : int
            Rows after the end of a note that count too; notes that neither they nor the note itself touch are left out.
        """
        if len(times) < 2:
            return []
        # steps before the first row and after the last one, as long as those beside them
        first, last = int(times[1] - times[0]), int(times[-1] - times[-2])

        def row(moment: int) -> int:
            if moment < times[0]:
                return -int(-(-(int(times[0]) - moment) // first))
            if moment >= times[-1] + last:
                return len(times) + (moment - int(times[-1]) - last) // last
            return int(np.searchsorted(times, moment, side="right")) - 1

        found = []
        for note, (start, end, one) in enumerate(
            zip(self.starts.tolist(), self.ends.tolist(), self.series, strict=True)
        ):
            if one is None or one == name:
                rows = Span(note, row(start), row(end - 1) + 1)
                length = rows.stop - rows.start
                if rows.start - min(length, after) < len(times) and rows.stop + min(length, after) > 0:
                    found.append(rows)
        return found


@dataclass(frozen=True)
class Told:
    """Notes that a language model has read.

    Attributes
    ----------
    notes : Notes
    vectors : (n, L) float array
        One for each note, of length 1; zeros for blank texts.
    backbone, sha256 : str
        Name of the language model, and hash of its weights.
    at_end : bool
        Whether forecasts begin at the ends of the series only, so that a note counts everywhere if it is known there.
        Otherwise it counts at a row only if it was known a horizon before.
    """

    notes: Notes
    vectors: np.ndarray
    backbone: str
    sha256: str
    at_end: bool = False
