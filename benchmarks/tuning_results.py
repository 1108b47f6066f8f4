"""The section of ``RESULTS.md`` on tuning a little of the language model."""

import statistics
from collections.abc import Sequence

from notes_results import T975

Rows = Sequence[dict[str, str]]

FROZEN, OWN, RANDOM = "none", "MiniLM", "random weights"
HEADS = ["", "", "contender", "error", "change by tuning, %", "change by its own weights, %", "gate", "training, CPU s"]


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
    errors: dict[tuple[str, str, str], list[float]] = {}
    for row in sorted(rows, key=lambda row: int(row["seed"])):
        errors.setdefault((row["task"], row["place"], row["contender"]), []).append(float(row["error"]))
    lines = []
    for (task, place, contender), values in errors.items():
        mine = [row for row in rows if (row["task"], row["place"], row["contender"]) == (task, place, contender)]
        weights, tune = split(contender)
        frozen = errors.get((task, place, f"{weights}, {FROZEN}"))
        control = errors.get((task, place, f"{RANDOM}, {tune}"))
        deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
        gates = [float(row["gate"]) for row in mine if row["gate"]]
        lines.append(
            [
                f"{task}, {mine[0]['metric']}",
                place,
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
    "Two layers of MiniLM, 120 steps of 16 windows, in place of the closed form and beside it: frozen (`none`), with "
    "its normalisations and positions trained (`norms`), or with low-rank adapters (`lora`). ETTh1 is trained on a "
    "tenth of its windows. Mean ± standard deviation over three seeds; changes of the error are paired by seed, with "
    "95 % t-intervals: by tuning against the same weights frozen, by its own weights against random ones tuned in the "
    "same way. `head` has no language model. Beside the closed form a gate of zero is that of a branch with which no "
    "validation was better."
)
