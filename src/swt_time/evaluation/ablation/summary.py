"""Summaries of results: mean and standard deviation over seeds, and differences from the base, paired by seed."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from swt_time.evaluation.ablation.results import Row

Rows = Sequence[tuple[str, Row]]
"""Runs, each with the name of its contender in the comparison."""

Values = Mapping[tuple[str, int | None], float]
"""Values of a contender by place and seed; the seed None stands for every seed."""

T_975 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t at 97.5 % for 1 to 30 degrees of freedom; for more, the last value is used, which is slightly larger."""

RULE = (
    "Differences from the base are paired: for each seed, the mean over the cells (datasets and horizons) that both "
    "have, then mean and 95 % t-interval over seeds. A run without randomness is paired with every seed. Better or "
    "worse: the interval excludes 0."
)


@dataclass(frozen=True)
class Measurement:
    """One value of one run; values of the same place and seed are paired.

    Without a seed, the value is that of every seed (`Row.deterministic`): it is paired with each seed of the other.
    """

    contender: str
    place: str
    seed: int | None
    value: float


@dataclass(frozen=True)
class Difference:
    """The mean of a contender, and its difference from the base.

    Attributes
    ----------
    contender : str
    mean, spread : float
        Mean and sample standard deviation over seeds, of the means over places; ``spread`` is NaN for a single run.
    seeds, places : int
        Seeds that the mean is over, 1 for a run without randomness; and places.
    difference : float or None
        Contender minus base, over the pairs that both have; None if there is none, and for the base itself.
    half_width : float or None
        Half the width of the 95 % t-interval over seeds; None with fewer than two paired seeds.
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
        """``better`` or ``worse`` (lower is better) if the interval excludes 0, else ``within seed noise``."""
        if self.difference is None:
            return ""
        if self.half_width is None:
            return "one seed"
        if abs(self.difference) <= self.half_width:
            return "within seed noise"
        return "better" if self.difference < 0 else "worse"


def differences(measurements: Iterable[Measurement], base: str) -> list[Difference]:
    """Compare every contender with the base, in order of appearance."""
    values: dict[str, dict[tuple[str, int | None], float]] = {}
    for one in measurements:
        values.setdefault(one.contender, {})[one.place, one.seed] = one.value
    return [_compare(name, own, values.get(base, {}), name == base) for name, own in values.items()]


def _compare(name: str, own: Values, base: Values, is_base: bool) -> Difference:
    means = list(_by_seed(own).values())
    spread = statistics.stdev(means) if len(means) > 1 else math.nan
    both = {key: (_at(own, *key), _at(base, *key)) for key in (*own, *base)}
    pairs = {key: ours - theirs for key, (ours, theirs) in both.items() if ours is not None and theirs is not None}
    shared = list(_by_seed(pairs).values())
    difference = half_width = None
    if shared and not is_base:
        difference = statistics.mean(shared)
        if len(shared) > 1:
            half_width = T_975[min(len(shared) - 1, len(T_975)) - 1] * statistics.stdev(shared) / math.sqrt(len(shared))
    places = len({place for place, _ in own})
    return Difference(name, statistics.mean(means), spread, len(means), places, difference, half_width)


def _at(values: Values, place: str, seed: int | None) -> float | None:
    """Return the value of a place and seed, by default the one of every seed; None if there is neither."""
    return values.get((place, seed), values.get((place, None)))


def _by_seed(values: Values) -> dict[int | None, float]:
    """Return the mean over places of each seed; of the seed None if all values are those of every seed.

    Seeds that lack a place are left out, since the other places may be easier; if every seed lacks one, all count.
    """
    places = {place: None for place, _ in values}
    seeds: list[int | None] = [*sorted({seed for _, seed in values if seed is not None})]
    if values and not seeds:
        seeds = [None]
    found = {seed: [v for place in places if (v := _at(values, place, seed)) is not None] for seed in seeds}
    whole = [seed for seed in seeds if len(found[seed]) == len(places)]
    return {seed: statistics.mean(found[seed]) for seed in whole or seeds}


def compare(rows: Rows, base: str, column: str | None = None) -> list[Difference]:
    """Compare every contender with the base by one column.

    Parameters
    ----------
    rows : sequence of (str, Row)
    base : str
        Name of the base among the contenders.
    column : str, optional
        By default ``mse`` if every row has a test score, else ``validation_mse``.
    """
    by = column or score_column(rows)
    found = ((name, row, _value(row, by)) for name, row in rows)
    return differences((Measurement(name, _place(r), _seed(r), v) for name, r, v in found if v is not None), base)


def score_column(rows: Rows) -> str:
    """Return ``mse`` if every row has a test score, else ``validation_mse``."""
    return "validation_mse" if any(row.mse is None for _, row in rows) else "mse"


def summarize(rows: Rows, base: str) -> str:
    """Return text tables: one for each dataset and horizon, and one for all of them together."""
    if not rows:
        return "no cell is finished yet"
    by = score_column(rows)
    places: dict[str, list[tuple[str, Row]]] = {}
    for name, row in rows:
        places.setdefault(_place(row), []).append((name, row))
    width = max(len(name) for name, _ in rows)
    blocks = [_block(place, own, base, by, width) for place, own in places.items()]
    if len(places) > 1:
        blocks.append(_block(f"mean of {len(places)} cells", rows, base, by, width))
    return "\n\n".join([*blocks, RULE])


def _value(row: Row, column: str) -> float | None:
    value: float | None = getattr(row, column)
    return value


def _seed(row: Row) -> int | None:
    return None if row.deterministic else row.seed


def _place(row: Row) -> str:
    on = "" if row.dataset == row.trained_on else f" from {row.trained_on}"
    return f"{row.dataset}{on} {row.horizon}"


HEADS = {
    "validation_mse": "validation",
    "mse": "test MSE",
    "mae": "test MAE",
    "crps": "test CRPS",
    "coverage_80": "inside 80 %",
    "coverage_95": "inside 95 %",
}
"""Columns that are shown, with their titles; those of a test part and of intervals where there are any."""


def _block(title: str, rows: Rows, base: str, by: str, width: int) -> str:
    columns = ["validation_mse"]
    if by == "mse":
        columns = [one for one in HEADS if any(_value(row, one) is not None for _, row in rows)]
    tables = {column: {one.contender: one for one in compare(rows, base, column)} for column in columns}
    lines = [
        f"{title}\n{'':{width}}  seeds  "
        + "  ".join(f"{HEADS[column]:>{_width(column)}}" for column in columns)
        + f"  {'difference of ' + HEADS[by]:>28}"
    ]
    for name, found in tables[by].items():
        numbers = "  ".join(
            f"{_number(column, tables[column].get(name), found):>{_width(column)}}" for column in columns
        )
        lines.append(f"{name:{width}}  {found.seeds:5}  {numbers}  {describe(found):>28}".rstrip())
    return "\n".join(lines)


def _width(column: str) -> int:
    return len(HEADS[column]) if column.startswith("coverage") else 17


def _number(column: str, found: Difference | None, whole: Difference) -> str:
    """Return mean and spread; of a coverage the mean in percent.

    The text is empty if it is over fewer runs than ``whole``, as rows of an earlier version have no intervals.
    """
    if found is None or found.seeds < whole.seeds or found.places < whole.places:
        return ""
    if column.startswith("coverage"):
        return f"{100 * found.mean:.1f}"
    return f"{found.mean:.4f}" + ("" if math.isnan(found.spread) else f" ± {found.spread:.4f}")


def describe(found: Difference) -> str:
    """Return text such as ``-0.0012 ± 0.0004 better``."""
    if found.difference is None:
        return ""
    half = "" if found.half_width is None else f" ± {found.half_width:.4f}"
    return f"{found.difference:+.4f}{half} {found.verdict}"
