"""What tuning a little of the language model is worth, beside random weights, a head alone and a small transformer.

    python benchmarks/tuning.py --data FOLDER --out benchmarks/results/tuning.csv
    python benchmarks/tuning.py --data FOLDER --out FILE --only 'ETTh1*' --seeds 0
    python benchmarks/tuning.py --data FOLDER --out FILE --steps 720 --only '*monthly/beside/*'

FOLDER holds ETTh1.csv; Tourism and M3 are in the development environment, and adapters need peft (``pip install
'swt-time[lora]'``). Two layers of MiniLM with its own weights or with random ones; frozen, with its normalisations and
positions trained (``norms``), or with adapters (``lora``); in place of the closed form and beside it. Everything is
trained in the same number of steps, chosen before the test part was read; the weights are those of the best validation.
"""

import argparse
import csv
import datetime
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import panels
from swt_time.config import Config
from swt_time.config.presets import read_preset
from swt_time.data.parts import Parts, split_table
from swt_time.data.reading import read_table
from swt_time.data.series import read_series
from swt_time.data.windows import evenly
from swt_time.machine import describe_processor
from swt_time.model import SWTTime
from swt_time.model.inference import forecast_windows
from swt_time.provenance import package_versions, source_commit
from swt_time.training import fit_model

SEEDS = (0, 1, 2)
TEST_WINDOWS = 512
"""Windows of the test part of ETTh1 that are scored, evenly spread."""

STEPS, VALIDATIONS = 120, 4
"""Steps of training, and how often the validation part is scored in them."""

SHARED = {
    "training.batch_size": 16,
    "training.validation_windows": 256,
    "model.n_prototypes": 200,
    "model.dropout": 0.1,
}
MINILM = {"backbone.name": "minilm", "backbone.layers": 2}
CONTENDERS: dict[str, dict[str, Any]] = {
    "head": {},
    "transformer": {"backbone.name": "transformer"},
    **{
        f"{weights}, {tune}": {**MINILM, "backbone.random_init": weights == "random weights", "backbone.tune": tune}
        for weights in ("MiniLM", "random weights")
        for tune in ("none", "norms", "lora")
    },
}
"""Changes of the configuration by contender."""

PLACES = {"in place": "none", "beside": "ridge"}
"""``model.skip`` of a network in place of the closed form, and of one beside it."""

Score = Callable[[SWTTime], float]
Task = tuple[Config, Parts, str, Score]


def etth1(folder: Path, fraction: float) -> Task:
    """A share of the training windows of ETTh1, horizon 96; the mean squared error of scaled values."""
    changes = {"data.split": "etth", "data.train_fraction": fraction, "embedding.patch_len": 32, "embedding.stride": 32}
    config = Config.parse(read_preset("fast")).replace({**SHARED, **changes})
    data = config.data
    series = read_series(read_table(folder / "ETTh1.csv"), data)
    parts = split_table(series, data.split, data.steps, data.horizon, train_fraction=data.train_fraction)
    indices = evenly(len(parts.test), TEST_WINDOWS)

    def score(model: SWTTime) -> float:
        return float(
            np.mean((forecast_windows(model, parts.test.contexts(indices)) - parts.test.gather(indices)[1]) ** 2)
        )

    return config, parts, "MSE", score


def panel(folder: Path, name: str) -> Task:
    """Monthly series with their official test parts; MASE."""
    train, test, season, horizon = panels.load(name)
    dates = pd.date_range("1900-01-01", periods=max(map(len, train)), freq="MS")
    frames = [pd.DataFrame({"unique_id": f"{i:04d}", "ds": dates[-len(y) :], "y": y}) for i, y in enumerate(train)]
    changes = {
        "data.split": "0.7/0.3/0",
        "data.horizon": horizon,
        "data.context": 48,
        "embedding.level": 2,
        "embedding.patch_len": 12,
        "embedding.stride": 12,
    }
    config = Config.parse(read_preset("fast")).replace({**SHARED, **changes})
    series = read_series(pd.concat(frames, ignore_index=True), config.data)
    parts = split_table(series, config.data.split, config.data.steps, horizon)
    contexts = np.stack([y[-config.data.steps :] for y in train])
    mean, deviation = parts.scaler.mean[:, None], parts.scaler.std[:, None]

    def score(model: SWTTime) -> float:
        forecasts = forecast_windows(model, (contexts - mean) / deviation) * deviation + mean
        return panels.mase(train, test, forecasts, season)

    return config, parts, "MASE", score


TASKS: dict[str, Callable[[Path], Task]] = {
    "ETTh1-96, few-shot": partial(etth1, fraction=0.1),
    "ETTh1-96, 5 %": partial(etth1, fraction=0.05),
    "Tourism monthly": partial(panel, name="Tourism monthly"),
    "M3 monthly": partial(panel, name="M3 monthly"),
}


def runs(task: Task, name: str, only: str, steps: int, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Train and score every contender, and yield its row; the closed form alone is scored with the first seed."""
    base, parts, metric, score = task
    base = base.replace({"training.max_steps": steps, "training.validate_every": steps // VALIDATIONS})
    for place, skip in PLACES.items():
        for contender, changes in {**CONTENDERS, "closed form": {"training.max_steps": 0}}.items():
            if (contender == "closed form" and place == "in place") or not fnmatchcase(
                f"{name}/{place}/{contender}", only
            ):
                continue
            for seed in seeds[:1] if contender == "closed form" else seeds:
                config = base.replace({**changes, "model.skip": skip, "training.seed": seed})
                began = time.process_time()
                model, result = fit_model(config, parts)
                seconds = time.process_time() - began
                tuned = model.language_model.parameters() if model.language_model else ()
                yield {
                    "task": name,
                    "place": place,
                    "contender": contender,
                    "steps": steps,
                    "seed": seed,
                    "metric": metric,
                    "error": f"{score(model):.5f}",
                    "validation": "" if result.best_loss is None else f"{result.best_loss:.5f}",
                    "best_step": result.best_step,
                    "gate": "" if model.gate is None else f"{model.gate.item():.4f}",
                    "tuned_values": sum(p.numel() for p in tuned if p.requires_grad),
                    "cpu_seconds": f"{seconds:.1f}",
                    "machine": describe_processor(),
                    "threads": torch.get_num_threads(),
                    "commit": source_commit(),
                    "versions": " ".join(f"{k}={v}" for k, v in package_versions(VERSIONS).items()),
                    "finished": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                }


VERSIONS = ("torch", "transformers", "peft", "numpy")


def main() -> None:
    """Run all contenders and write their rows as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="*", help="pattern of task/place/contender")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    seeds = [int(seed) for seed in given.seeds.split(",")]
    for name, make in TASKS.items():
        if not any(fnmatchcase(f"{name}/{place}/{one}", given.only) for place in PLACES for one in CONTENDERS):
            continue
        for row in runs(make(given.data), name, given.only, given.steps, seeds):
            rows.append(row)
            print(*(row[key] for key in list(row)[:12]), file=sys.stderr, flush=True)
            with given.out.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=list(row), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main()
