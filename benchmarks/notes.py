"""Notes in words: do sentences that were never seen tell what an event does to a series?

    OMP_NUM_THREADS=1 python benchmarks/notes.py --data FOLDER --out benchmarks/results/notes.csv
    python benchmarks/notes.py --data FOLDER --out FILE --seeds 0,1 --only bike --arms 'no text,kind,MiniLM'

Events of seven kinds are planted into real series (`planting.py`, `notes_events.json`). Those of the test part, the
last fifth, are told in phrasings that do not occur before it. Every arm has the same notes at the same times, and the
same model (preset ``fast``, fitted on the rows before the test part); it differs in the vectors of the texts only:

- ``no text``: no notes at all;
- ``kind``: which of the seven kinds, one-hot, the upper bound;
- ``bag of words``, ``TF-IDF``: of the words before the test part, scaled to length 1;
- ``random weights``: the architecture of MiniLM;
- ``MiniLM``;
- ``shuffled``: MiniLM's vectors of other notes, by a random permutation of the notes before the test part;
- ``empty``: blank texts.

Errors are of all windows of the test part, in squared standard deviations of the rows before it: on the steps of events
(and as long after those with an effect afterwards), and on all other steps.
"""

import argparse
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from planting import Event, plant, read_plan
from swt_time import Forecaster
from swt_time.data.covariates import Covariates
from swt_time.data.notes import read_notes
from swt_time.data.series import SeriesTable, to_series
from swt_time.data.told import Notes, Told
from swt_time.effects.notes import NotesGroup
from text_vectors import TextVectors, write_stamped

ARMS = ("no text", "kind", "bag of words", "TF-IDF", "random weights", "MiniLM", "shuffled", "empty")
CONTEXT = 336


def arm_vectors(read: TextVectors, arm: str, events: Sequence[Event], before: int, seed: int) -> np.ndarray:
    """(n, L) vectors; ``before`` is the number of events before the test part."""
    if arm == "empty":
        return np.zeros((len(events), 1))
    found = read(arm, [event.text for event in events], [event.kind for event in events], before)
    if arm == "shuffled":
        found[:before] = found[np.random.default_rng(seed).permutation(before)]
    return found


def with_told(table: SeriesTable, notes: Notes, vectors: np.ndarray) -> SeriesTable:
    return replace(table, covariates=Covariates(told=Told(notes, vectors, "benchmark", "0" * 64)))


def run(
    plan: dict[str, Any], one: dict[str, str], data: Path, seed: int, arms: Sequence[str], read: TextVectors
) -> list[dict[str, Any]]:
    """Rows of results of one series and seed."""
    frame, horizon = pd.read_csv(data / one["file"]), plan["horizon"]
    values, times = frame[one["target"]].to_numpy(float), pd.to_datetime(frame.iloc[:, 0])
    test = int(len(values) * (1 - plan["test_share"]))
    planted, events = plant(values, test, plan, seed)
    table = to_series(pd.DataFrame({"ds": times, "y": planted / planted[:test].std()}))
    told = pd.DataFrame(
        {
            "ds": times.iloc[[event.start for event in events]].to_numpy(),
            "text": [event.text for event in events],
            "end": times.iloc[[event.stop - 1 for event in events]].to_numpy(),
        }
    )
    notes = read_notes(told, table)
    on = np.zeros(len(values), dtype=bool)
    for event in events:
        length = event.stop - event.start
        on[event.start : event.stop + (length if plan["kinds"][event.kind]["after"] else 0)] = True
    rows = np.arange(test, len(values) - horizon + 1)
    pairs = np.stack([np.zeros_like(rows), rows], axis=1)
    steps = rows[:, None] + np.arange(horizon)
    before = sum(event.start < test for event in events)
    found = []
    for arm in arms:
        began = time.process_time()
        series = table if arm == "no text" else with_told(table, notes, arm_vectors(read, arm, events, before, seed))
        forecaster = Forecaster(horizon=horizon, context=CONTEXT, preset="fast", split="none", seed=seed)
        forecaster.fit_series(series.cut([test]))
        errors = (forecaster.trained.forecast_origins(series, pairs) - table.values[0][steps]) ** 2
        effects = forecaster.trained.effects
        used = effects is not None and any(isinstance(group, NotesGroup) for group in effects.groups)
        found.append(
            {
                "series": one["name"],
                "seed": seed,
                "arm": arm,
                "mse_events": f"{errors[on[steps]].mean():.6f}",
                "mse_elsewhere": f"{errors[~on[steps]].mean():.6f}",
                "used": int(used),
                "seconds": f"{time.process_time() - began:.1f}",
            }
        )
        print(found[-1], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds")
    parser.add_argument("--only", default="")
    parser.add_argument("--arms", default=",".join(ARMS))
    asked = parser.parse_args()
    plan = read_plan()
    read, arms = TextVectors(plan["kinds"]), asked.arms.split(",")
    seeds = range(plan["seeds"]) if asked.seeds is None else map(int, asked.seeds.split(","))
    some = [one for one in plan["series"] if asked.only in one["name"]]
    warnings.simplefilter("ignore")
    rows = (row for seed in seeds for one in some for row in run(plan, one, asked.data, seed, arms, read))
    write_stamped(asked.out, rows)


if __name__ == "__main__":
    main()
