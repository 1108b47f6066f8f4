"""Effects of covariates: taken off a table before it is forecast, and put back on the forecasts.

Shapes: ``M`` forecasts, ``H`` horizon, ``N`` series, ``p`` features.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from swt_time.data.columns import listed
from swt_time.data.origins import known_values, never_negative
from swt_time.data.scaling import fit_scaler
from swt_time.data.series import SeriesTable
from swt_time.effects.groups import Group, restore_group
from swt_time.effects.notes import NotesGroup
from swt_time.effects.sums import LARGEST_LOG, Features, Link
from swt_time.effects.titles import TitleGroup
from swt_time.effects.window_groups import StaticGroup
from swt_time.effects.windows import WindowEffects
from swt_time.errors import CheckpointError

PREFIX = "effects."
"""Prefix of their arrays among the weights of a checkpoint."""

WINDOWS = "windows"
"""Their record, and their array of coefficients."""

WINDOWED = "past and static covariates"

DAMAGED = "the effects of the checkpoint are damaged; train it again"


@dataclass(frozen=True)
class Effects:
    """Effects of covariates on series.

    Attributes
    ----------
    groups : tuple of Group
    link : {"additive", "multiplicative"}
        Additive effects are in standard deviations of each series, multiplicative ones are factors ``exp(F b)``.
    beta : (p,) array
    scales : dict of str to float
        Standard deviation of each series of the training; a new series has that of its own values.
    gains : dict of str to float
        Share of the squared error on held-out folds that each group gains.
    left_out : dict of str to float
        Covariates without effects, and what they would gain.
    error : float
        Squared error on the folds with the effects, as a share of that without.
    own : (n, p) array or None
        Coefficients of each series in ``scales``, where these surely gain; a new series has ``beta``.
    own_error : float
        Squared error on the folds with these, as a share of that with ``beta``.
    windows : WindowEffects or None
        Of past and static covariates, on what is left without these effects; None if there are none.
    """

    groups: tuple[Group, ...]
    link: Link
    beta: np.ndarray
    scales: Mapping[str, float]
    gains: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, float] = field(default_factory=dict)
    error: float = 1.0
    own: np.ndarray | None = None
    own_error: float = 1.0
    windows: WindowEffects | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing has an effect."""
        return not self.groups and (self.windows is None or not self.windows.groups)

    def apart(self, table: SeriesTable) -> "Apart":
        """Return a table without its effects."""
        places = self.places

        def combine(index: int, features: Features) -> np.ndarray:
            return features.combine(index, 0, len(table.values[index]), self.coefficients(table.ids[index], places))

        return Apart.split(self, table, combine)

    @property
    def places(self) -> dict[str, int]:
        """Row of ``own`` by the id of a series."""
        return {} if self.own is None else {name: place for place, name in enumerate(self.scales)}

    def coefficients(self, name: str, places: Mapping[str, int]) -> np.ndarray:
        """Those of a series, (p,)."""
        return self.beta if self.own is None or name not in places else self.own[places[name]]

    def notes_on(self, table: SeriesTable) -> list[str]:
        """Return the notes on effects that cannot be used for some series."""
        found = []
        for one in self.groups:
            if isinstance(one, TitleGroup):
                new = [
                    name for i, name in enumerate(table.ids) if one.short(table, i) and one.reduced(table, i) is None
                ]
                if new:
                    found.append(f"no title is known for {listed(new)}, which are forecast without its effect; pass "
                                 "static=... with their titles")  # fmt: skip
        for group in self.windows.groups if self.windows is not None else ():
            if isinstance(group, StaticGroup):
                new = [name for i, name in enumerate(table.ids) if group.cell(table, i) is None]
                if new:
                    found.append(f"static covariate {group.name!r} is not known for {listed(new)}, which are forecast "
                                 "without its effect; pass static=... with their rows")  # fmt: skip
        return found

    def scale(self, table: SeriesTable, index: int) -> float:
        """Return the unit of the effects on a series."""
        return 1.0 if self.link == "multiplicative" else self.unit(table, index)

    def unit(self, table: SeriesTable, index: int) -> float:
        """Return the standard deviation of a series."""
        known = self.scales.get(table.ids[index])
        if known is not None:
            return known
        return float(fit_scaler([table.values[index]], [len(table.values[index])], [table.observed[index]]).std[0])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name, for a checkpoint."""
        found = {"beta": self.beta, "scales": np.array(list(self.scales.values()))}
        found |= {} if self.own is None else {"own": self.own}
        for group in self.groups:
            found |= group.arrays() if isinstance(group, NotesGroup | TitleGroup) else {}
        return found if self.windows is None else {**found, WINDOWS: self.windows.beta}

    def record(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {
            "link": self.link,
            "groups": [group.record() for group in self.groups],
            "series": list(self.scales),
            "gains": dict(self.gains),
            "left_out": dict(self.left_out),
            "error": self.error,
            "own_error": self.own_error,
            **({} if self.windows is None else {WINDOWS: self.windows.record()}),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Restore effects from `record` and `to_arrays`.

        Raises
        ------
        CheckpointError
            Something is missing, or has an impossible value.
        """
        try:
            groups = tuple(restore_group(one, arrays) for one in record["groups"])
            beta, scales = np.asarray(arrays["beta"], np.float64), np.asarray(arrays["scales"], np.float64)
            names = [str(one) for one in record["series"]]
            gains, left_out = ({str(k): float(v) for k, v in record[one].items()} for one in ("gains", "left_out"))
            width, link, error = sum(group.width for group in groups), record["link"], float(record["error"])
            own = np.asarray(arrays["own"], np.float64) if "own" in arrays else None
            own_error = float(record.get("own_error", 1.0))
            windows = WindowEffects.from_record(record[WINDOWS], arrays[WINDOWS]) if WINDOWS in record else None
        except (KeyError, TypeError, ValueError, AttributeError) as reason:
            raise CheckpointError(f"{DAMAGED}: {type(reason).__name__} {reason}") from None
        sound = (
            link in ("additive", "multiplicative")
            and beta.shape == (width,)
            and np.isfinite(beta).all()
            and scales.shape == (len(names),)
            and (scales > 0).all()
            and np.isfinite(scales).all()
            and (own is None or (own.shape == (len(names), width) and bool(np.isfinite(own).all())))
        )
        if not sound:
            raise CheckpointError(DAMAGED)
        return cls(groups, link, beta, dict(zip(names, scales.tolist(), strict=True)), gains, left_out, error, own,
                   own_error, windows)  # fmt: skip

    def lines(self) -> list[str]:
        """Describe the effects, one line for each covariate."""
        names, lines = [group.name for group in self.groups], list[str]()
        if names or self.left_out or self.windows is None:
            lines = describe(
                "covariates", f"{self.link} effects", names, gains=self.gains, left_out=self.left_out, error=self.error
            )
        if self.own is not None:
            lines.append(
                f"  each series has effects of its own around the common ones: {self.own_error - 1:+.1%} of the error"
            )
        if self.windows is not None:
            one = self.windows
            kept = [group.name for group in one.groups]
            lines += describe(WINDOWED, "effects", kept, gains=one.gains, left_out=one.left_out, error=one.error)
        return lines


def describe(
    what: str, how: str, kept: list[str], *, gains: Mapping[str, float], left_out: Mapping[str, float], error: float
) -> list[str]:
    """Describe effects, one line for each covariate."""
    if not kept:
        lines = [f"{what}: none lowers the error on held-out folds by enough, so none has an effect"]
    else:
        lines = [
            f"{what}: {how}, which lower the squared error on held-out folds by {1 - error:.1%}; without "
            "one of them it is higher (share of what they explain together):"
        ]
    total = sum(max(gains[name], 0.0) for name in kept) or 1.0
    for name in sorted(kept, key=lambda one: -gains[one]):
        lines.append(f"  {name:28} {1 / max(1 - gains[name], 1e-9) - 1:+7.1%}  {max(gains[name], 0.0) / total:5.0%}")
    lines += [f"  {name:28} left out ({gain:+.2%} of the error)" for name, gain in left_out.items()]
    return lines


@dataclass(frozen=True)
class Apart:
    """A table and its effects, apart.

    Attributes
    ----------
    effects : Effects
    table : SeriesTable
        As given.
    rest : SeriesTable
        Its values without effects.
    sizes : tuple of N arrays
        ``F b`` of the rows of each series.
    """

    effects: Effects
    table: SeriesTable
    rest: SeriesTable
    sizes: tuple[np.ndarray, ...]
    features: Features

    @classmethod
    def split(cls, effects: Effects, table: SeriesTable, combine: Any) -> Self:
        """Take effects off a table; ``combine`` maps a series and the features to ``F b`` of its rows."""
        features = Features(table, effects.groups)
        sizes = tuple(np.asarray(combine(index, features)) for index in range(len(table.ids)))
        values = []
        for index, size in enumerate(sizes):
            offset, factor = _apply(effects.link, size, effects.scale(table, index))
            values.append((table.values[index] - offset) / factor)
        return cls(effects, table, replace(table, values=tuple(values)), sizes, features)

    def ahead(self, pairs: np.ndarray, horizon: int, needed: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and factors of the effects on the rows after origins, (M, H) each.

        Rows after the end of a series have none if they are more than the ``needed`` ones (by default all) ahead.

        Raises
        ------
        TableError
            A covariate is not known there.
        """
        offsets, factors = np.zeros((len(pairs), horizon)), np.ones((len(pairs), horizon))
        places = self.effects.places
        for number, (index, origin) in enumerate(pairs.tolist()):
            rows = len(self.sizes[index])
            stop = origin + horizon
            if needed is not None:
                stop = min(stop, max(origin + needed, rows))
            if stop <= len(self.sizes[index]):
                size = self.sizes[index][origin:stop]
            else:
                beta = self.effects.coefficients(self.table.ids[index], places)
                size = self.features.combine(index, origin, stop, beta)
            steps = stop - origin
            offsets[number, :steps], factors[number, :steps] = _apply(
                self.effects.link, size, self.effects.scale(self.table, index)
            )
        return offsets, factors

    def restore(self, pairs: np.ndarray, forecasts: np.ndarray, needed: int | None = None) -> np.ndarray:
        """Put the effects on forecasts (M, H) of the rest; what was never negative does not become so."""
        offsets, factors = self.ahead(pairs, forecasts.shape[1], needed)
        windows = self.effects.windows
        if windows is not None and windows.groups:
            units = np.array([self.effects.unit(self.table, index) for index in range(len(self.table.ids))])
            forecasts = forecasts + windows.change(self.rest, pairs, units[pairs[:, 0]])
        found = forecasts * factors + offsets
        floors = np.where(never_negative(known_values(self.table, pairs)), 0.0, -np.inf)
        bounded: np.ndarray = np.maximum(found, floors[:, None])
        return bounded


def _apply(link: Link, size: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Offset and factor of effects."""
    if link == "additive":
        return size * scale, np.ones_like(size)
    return np.zeros_like(size), np.exp(np.clip(size, -LARGEST_LOG, LARGEST_LOG))
