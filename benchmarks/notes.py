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
import csv
import datetime
import platform
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
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
from swt_time.language import load_language_model
from swt_time.language.sentences import SentenceReader
from swt_time.provenance import package_versions, source_commit

ARMS = ("no text", "kind", "bag of words", "TF-IDF", "random weights", "MiniLM", "shuffled", "empty")
VERSIONS = ("swt-time", "numpy", "torch", "transformers")
CONTEXT = 336


def unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))


class Arms:
    """Vectors of the texts of events, for each arm."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.kinds = list(plan["kinds"])
        self.readers = {
            name: SentenceReader(load_language_model("minilm", precision="float32", random_init=name != "MiniLM"))
            for name in ("MiniLM", "random weights")
        }

    def vectors(self, arm: str, events: Sequence[Event], before: int, seed: int) -> np.ndarray:
        """(n, L) vectors; ``before`` is the number of events before the test part."""
        texts = [event.text for event in events]
        if arm == "empty":
            return np.zeros((len(events), 1))
        if arm == "kind":
            return np.eye(len(self.kinds))[[self.kinds.index(event.kind) for event in events]]
        if arm in ("bag of words", "TF-IDF"):
            from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

            words = (CountVectorizer if arm == "bag of words" else TfidfVectorizer)().fit(texts[:before])
            return unit(words.transform(texts).toarray().astype(np.float64))
        found = unit(self.readers["random weights" if arm == "random weights" else "MiniLM"](texts).astype(np.float64))
        if arm == "shuffled":
            found[:before] = found[np.random.default_rng(seed).permutation(before)]
        return found


def with_told(table: SeriesTable, notes: Notes, vectors: np.ndarray) -> SeriesTable:
    return replace(table, covariates=Covariates(told=Told(notes, vectors, "benchmark", "0" * 64)))


def run(
    plan: dict[str, Any], one: dict[str, str], data: Path, seed: int, arms: Sequence[str], readers: Arms
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
        series = table if arm == "no text" else with_told(table, notes, readers.vectors(arm, events, before, seed))
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
    readers, arms = Arms(plan), asked.arms.split(",")
    seeds = range(plan["seeds"]) if asked.seeds is None else map(int, asked.seeds.split(","))
    stamp = {
        "date": datetime.date.today().isoformat(),
        "commit": source_commit(),
        "machine": f"{platform.machine()}, one thread",
        "versions": "; ".join(f"{name} {package_versions()[name]}" for name in VERSIONS)
        + f"; scikit-learn {version('scikit-learn')}",
    }
    warnings.simplefilter("ignore")
    writer = None
    with asked.out.open("w", newline="") as file:
        for seed in seeds:
            for one in plan["series"]:
                if asked.only in one["name"]:
                    for row in run(plan, one, asked.data, seed, arms, readers):
                        writer = writer or csv.DictWriter(file, [*row, *stamp], lineterminator="\n")
                        if file.tell() == 0:
                            writer.writeheader()
                        writer.writerow({**row, **stamp})
                    file.flush()


if __name__ == "__main__":
    main()
