"""What the rows say: mean and spread over seeds, and differences from the base, paired by seed."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Rows = Sequence[tuple[str, Mapping[str, str]]]
"""Runs: what each stands for in the comparison, and its row."""

T_975 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t at 97.5 % for 1 to 30 degrees of freedom; beyond, the last one serves and is on the wide side."""

RULE = (
    "Differences are to the base, paired: for each seed the mean over the cells (tables and horizons) that both have, "
    "then mean and 95 % t-interval over seeds. Better or worse is said only where that interval leaves out 0."
)


@dataclass(frozen=True)
class Measurement:
    """One number of one run, and what it is paired by."""

    contender: str
    place: str
    seed: int
    value: float


@dataclass(frozen=True)
class Difference:
    """A contender's values, and its difference from the base.

    Attributes
    ----------
    contender : str
    mean, spread : float
        Over seeds, of the means over places; ``spread`` is the sample standard deviation, nan for a single seed.
    seeds, places : int
    difference : float or None
        Contender less base over the pairs that both have; None without any.
    half_width : float or None
        Of the 95 % t-interval over seeds; None with fewer than two paired seeds.
    """

    contender: str
    mean: float
    spread: float
    seeds: int
    places: int
    difference: float | None
    half_width: float | None

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` (of an error) where the interval leaves out 0."""
        if self.difference is None:
            return ""
        if self.half_width is None:
            return "one seed"
        if abs(self.difference) <= self.half_width:
            return "within seed noise"
        return "better" if self.difference < 0 else "worse"


def differences(measurements: Iterable[Measurement], base: str) -> list[Difference]:
    """Every contender against the base, in the order in which they appear."""
    values: dict[str, dict[tuple[str, int], float]] = {}
    for one in measurements:
        values.setdefault(one.contender, {})[one.place, one.seed] = one.value
    return [_compare(name, own, values.get(base, {}), name == base) for name, own in values.items()]


def _compare(
    name: str, own: Mapping[tuple[str, int], float], base: Mapping[tuple[str, int], float], is_base: bool
) -> Difference:
    means = list(_by_seed(own).values())
    spread = statistics.stdev(means) if len(means) > 1 else math.nan
    pairs = {key: own[key] - base[key] for key in own if key in base}
    shared = list(_by_seed(pairs).values())
    difference = half_width = None
    if shared and not is_base:
        difference = statistics.mean(shared)
        if len(shared) > 1:
            half_width = T_975[min(len(shared) - 1, len(T_975)) - 1] * statistics.stdev(shared) / math.sqrt(len(shared))
    places = len({place for place, _ in own})
    return Difference(name, statistics.mean(means), spread, len(means), places, difference, half_width)


def _by_seed(values: Mapping[tuple[str, int], float]) -> dict[int, float]:
    """Mean over places for each seed; only seeds that have every place count, lest an easy place decide."""
    places = {place for place, _ in values}
    seeds = sorted({seed for _, seed in values})
    whole = [seed for seed in seeds if all((place, seed) in values for place in places)]
    return {seed: statistics.mean(values[place, seed] for place in places) for seed in whole or seeds}


def compare(rows: Rows, base: str, column: str | None = None) -> list[Difference]:
    """Every contender against the base by one column, its own rows given by its name.

    By default by the test score where every row has one, else by the validation score.
    """
    by = column or score_column(rows)
    return differences((Measurement(n, _place(r), int(r["seed"]), float(r[by])) for n, r in rows if r[by]), base)


def score_column(rows: Rows) -> str:
    """``mse`` where every row has a test score, else ``validation_mse``."""
    return "mse" if all(row["mse"] for _, row in rows) else "validation_mse"


def summarize(rows: Rows, base: str) -> str:
    """A text of tables, one for each table and horizon and one for all of them."""
    if not rows:
        return "no cell is finished yet"
    by = score_column(rows)
    places: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    for name, row in rows:
        places.setdefault(_place(row), []).append((name, row))
    width = max(len(name) for name, _ in rows)
    blocks = [_block(place, own, base, by, width) for place, own in places.items()]
    if len(places) > 1:
        blocks.append(_block(f"mean of {len(places)} cells", rows, base, by, width))
    return "\n\n".join([*blocks, RULE])


def _place(row: Mapping[str, str]) -> str:
    on = "" if row["dataset"] == row["trained_on"] else f" from {row['trained_on']}"
    return f"{row['dataset']}{on} {row['horizon']}"


def _block(title: str, rows: Rows, base: str, by: str, width: int) -> str:
    columns = ["validation_mse", "mse", "mae"] if by == "mse" else ["validation_mse"]
    tables = {column: {one.contender: one for one in compare(rows, base, column)} for column in columns}
    heads = {"validation_mse": "validation", "mse": "test MSE", "mae": "test MAE"}
    lines = [
        f"{title}\n{'':{width}}  seeds  "
        + "  ".join(f"{heads[column]:>17}" for column in columns)
        + f"  {'difference of ' + heads[by]:>28}"
    ]
    for name, found in tables[by].items():
        numbers = "  ".join(f"{_number(tables[column].get(name)):>17}" for column in columns)
        lines.append(f"{name:{width}}  {found.seeds:5}  {numbers}  {describe(found):>28}".rstrip())
    return "\n".join(lines)


def _number(found: Difference | None) -> str:
    if found is None:
        return ""
    return f"{found.mean:.4f}" + ("" if math.isnan(found.spread) else f" ± {found.spread:.4f}")


def describe(found: Difference) -> str:
    """``-0.0012 ± 0.0004 better``."""
    if found.difference is None:
        return ""
    half = "" if found.half_width is None else f" ± {found.half_width:.4f}"
    return f"{found.difference:+.4f}{half} {found.verdict}"
