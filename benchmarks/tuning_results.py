"""The section of ``RESULTS.md`` on tuning a little of the language model."""

import statistics
from collections.abc import Sequence

from notes_results import T975

Rows = Sequence[dict[str, str]]

FROZEN, OWN, RANDOM = "none", "MiniLM", "random weights"
HEADS = [
    "",
    "",
    "steps",
    "contender",
    "error",
    "change by tuning, %",
    "change by its own weights, %",
    "gate",
    "training, CPU s",
]


def split(contender: str) -> tuple[str, str]:
    """Weights and tuning of a contender; without a language model its name and nothing."""
    weights, _, tune = contender.partition(", ")
    return weights, tune


def paired(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Mean change of errors in percent, paired by seed, and the half width of its 95 % interval."""
    changes = [100 * (one / other - 1) for one, other in zip(ours, theirs, strict=True)]
    if len(changes) < 2:
        return f"{changes[0]:+.1f}"
    half = T975[len(changes)] * statistics.stdev(changes) / len(changes) ** 0.5
    return f"{statistics.mean(changes):+.1f} ± {half:.1f}"


def lines_of(rows: Rows) -> list[list[str]]:
    """The lines of the table under `HEADS`."""
    groups: dict[tuple[str, str, str, str], Rows] = {}
    for row in sorted(rows, key=lambda row: int(row["seed"])):
        key = row["task"], row["place"], row["steps"], row["contender"]
        groups[key] = [*groups.get(key, ()), row]
    errors = {key: [float(row["error"]) for row in mine] for key, mine in groups.items()}
    lines = []
    for (*where, contender), mine in groups.items():
        task, place, steps = where
        values, (weights, tune) = errors[task, place, steps, contender], split(contender)
        frozen = errors.get((task, place, steps, f"{weights}, {FROZEN}"))
        control = errors.get((task, place, steps, f"{RANDOM}, {tune}"))
        deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
        gates = [float(row["gate"]) for row in mine if row["gate"]]
        lines.append(
            [
                f"{task}, {mine[0]['metric']}",
                place,
                steps,
                contender,
                f"{statistics.mean(values):.4f}{deviation}",
                paired(values, frozen) if tune not in ("", FROZEN) and frozen else "",
                paired(values, control) if weights == OWN and control else "",
                f"{statistics.mean(gates):+.3f}" if gates else "",
                f"{statistics.mean(float(row['cpu_seconds']) for row in mine):.0f}",
            ]
        )
    return lines


EXPLANATION = (
    "Two layers of MiniLM, some steps of 16 windows, in place of the closed form and beside it: frozen (`none`), with "
    "its normalisations and positions trained (`norms`), or with low-rank adapters (`lora`). ETTh1 is trained on a "
    "tenth or 5 % of its windows. Mean ± standard deviation over three seeds; changes of the error are paired by seed, "
    "with 95 % t-intervals: by tuning against the same weights frozen, by its own weights against random ones tuned in "
    "the same way. `head` has no language model. Beside the closed form a gate of zero is that of a branch with which "
    "no validation was better."
)
