"""Features of titles: series whose titles say similar things share their course over the season."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from swt_time.data.series import SeriesTable
from swt_time.effects.clock import Clock
from swt_time.effects.directions import main_directions
from swt_time.language.text_key import text_key

TITLES = "titles"
"""Name and kind of the group."""

MOST_DIRECTIONS = 64
"""Most dimensions to which the vectors of texts are reduced."""

HARMONICS = 3
"""Waves of the season."""

SEASONS = 2
"""Seasons of rows from which on a series shows its own season, and has no effect of its title."""


@dataclass(frozen=True)
class TitleGroup:
    """The direction of a series' title, times waves of the season.

    A level is no feature: a forecast takes that of the last values, whatever the title says. The first features are the
    same for all series: without them, titles that say nothing would seem to have the season that all series share. A
    series with an unknown title has these only. All are zero for a series with more than ``longest`` rows in its table.

    Attributes
    ----------
    season : int
        Rows of a season.
    backbone, sha256 : str
        The language model that read the titles.
    keys : tuple of str
        Hashes of the titles of the training (`swt_time.language.text_key.text_key`).
    series : mapping of str to int
        Index among the keys of the title of each series of the training.
    mean : (L,) array
        Of the vectors of the distinct titles of the training.
    directions : (L, d) array
        Orthonormal: the principal directions of these vectors.
    vectors : (n, d) array
        The titles of the training in these directions.
    longest : int or None
        Most rows of a series with an effect; None, as it is learned, for any number.
    """

    season: int
    backbone: str
    sha256: str
    keys: tuple[str, ...]
    series: Mapping[str, int]
    mean: np.ndarray
    directions: np.ndarray
    vectors: np.ndarray
    longest: int | None = None
    name: str = TITLES
    places: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", {key: place for place, key in enumerate(self.keys)})

    @property
    def shared(self) -> int:
        """Number of features that are the same for all series."""
        return 2 * min(HARMONICS, self.season // 2)

    @property
    def width(self) -> int:
        """``p``."""
        width: int = self.shared * (1 + self.directions.shape[1])
        return width

    @property
    def rough(self) -> np.ndarray:
        """None."""
        return np.zeros(self.width, dtype=bool)

    def features(self, table: SeriesTable, clock: Clock, index: int, start: int, stop: int) -> np.ndarray:
        """See `swt_time.effects.groups.Group`."""
        if not self.short(table, index):
            return np.zeros((stop - start, self.width))
        found = self.reduced(table, index)
        title = np.concatenate([[1.0], np.zeros(self.directions.shape[1]) if found is None else found])
        angle = 2 * np.pi * clock.phase(index, start, stop) / self.season
        waves = [wave(k * angle) for k in range(1, self.shared // 2 + 1) for wave in (np.sin, np.cos)]
        course = np.stack(waves, axis=1)
        columns: np.ndarray = (title[:, None] * course[:, None, :]).reshape(stop - start, -1)
        return columns

    def short(self, table: SeriesTable, index: int) -> bool:
        """Whether a series has so little history that its title has an effect."""
        return self.longest is None or len(table.values[index]) <= self.longest

    def reduced(self, table: SeriesTable, index: int) -> np.ndarray | None:
        """Return the title of a series in the directions, (d,); None if it has none, or one that was not read."""
        titles = table.covariates.titles
        if titles is not None and titles.texts[index]:
            if titles.vectors is not None:
                return np.asarray((titles.vectors[index] - self.mean) @ self.directions)
            place = self.places.get(text_key(titles.texts[index]))
        else:
            place = self.series.get(table.ids[index])
        return None if place is None else self.vectors[place]

    def record(self) -> dict[str, Any]:
        """See `swt_time.effects.groups.Group`; `arrays` has the rest."""
        return {
            "kind": TITLES,
            "season": self.season,
            "longest": self.longest,
            "backbone": self.backbone,
            "sha256": self.sha256,
            "keys": list(self.keys),
            "series": dict(self.series),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name, for a checkpoint."""
        return {"title_mean": self.mean, "title_directions": self.directions, "title_vectors": self.vectors}

    @classmethod
    def restore(cls, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Restore a group, which may be a stranger's.

        Raises
        ------
        ValueError, KeyError, TypeError
            It is not what `record` and `arrays` give.
        """
        keys = tuple(str(one) for one in record["keys"])
        series = {str(name): int(place) for name, place in record["series"].items()}
        names = ("title_mean", "title_directions", "title_vectors")
        mean, directions, vectors = (np.asarray(arrays[name], np.float64) for name in names)
        season = int(record["season"])
        longest = None if record["longest"] is None else int(record["longest"])
        sound = (
            directions.ndim == 2
            and mean.shape == directions.shape[:1]
            and vectors.shape == (len(keys), directions.shape[1])
            and all(0 <= place < len(keys) for place in series.values())
            and 2 <= season <= 2**20
        )
        if not (sound and all(np.isfinite(one).all() for one in (mean, directions, vectors))):
            raise ValueError("the vectors of titles have impossible shapes or values")
        return cls(season, str(record["backbone"]), str(record["sha256"]), keys, series, mean, directions, vectors,
                   longest)  # fmt: skip

    @classmethod
    def fit(cls, table: SeriesTable, rows: Sequence[int]) -> Self | None:
        """Learn the directions from the titles of series with rows to learn from.

        None if they do not differ, or there is no season.
        """
        titles, season = table.covariates.titles, Clock(table).season
        if titles is None or titles.vectors is None or season < 2:
            return None
        used = [i for i, text in enumerate(titles.texts) if text and rows[i] > 0]
        first = {text_key(titles.texts[i]): i for i in reversed(used)}
        keys = sorted(first)
        if len(keys) < 2:
            return None
        found = titles.vectors[[first[key] for key in keys]].astype(np.float64)
        mean = found.mean(axis=0)
        chosen = main_directions(found - mean, MOST_DIRECTIONS)
        if not chosen.shape[1]:
            return None
        places = {key: place for place, key in enumerate(keys)}
        series = {table.ids[i]: places[text_key(titles.texts[i])] for i in used}
        return cls(season, titles.backbone, titles.sha256, tuple(keys), series, mean, chosen, (found - mean) @ chosen)
