"""Titles of series: do texts that were never seen tell the course of a series with little history?

    OMP_NUM_THREADS=1 python benchmarks/titles.py --out benchmarks/results/titles.csv
    python benchmarks/titles.py --out FILE --seeds 0,1 --arms none,MiniLM

Monthly sales of products of seven kinds (`titles.json`): five peak in a part of the year, one declines, one has no
course. A model (preset ``auto``) is fitted to the series with 20 to 32 rows, and forecasts six months of other series
with 4 to 10 rows, whose titles do not occur among those that were fitted; and of the fitted ones. Every arm has the
same series and differs in the vectors of the titles only:

- ``none``: no titles;
- ``kind``: which of the seven kinds, one-hot, the upper bound;
- ``bag of words``: of the words of the fitted titles, scaled to length 1;
- ``random weights``: the architecture of MiniLM;
- ``MiniLM``;
- ``shuffled``: MiniLM's vectors of other titles, by a random permutation of the fitted ones.

Errors are squared, in units of the level of each series.
"""

import argparse
import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swt_time import Forecaster
from swt_time.data.covariates import Covariates
from swt_time.data.series import SeriesTable, to_series
from swt_time.data.titles import Titles
from swt_time.effects.titles import TitleGroup
from text_vectors import TextVectors, write_stamped

PLAN = Path(__file__).with_name("titles.json")
ARMS = ("none", "kind", "bag of words", "random weights", "MiniLM", "shuffled")


def planted(plan: dict[str, Any], part: str, seed: int) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Series of a part as a long table, with the months to be forecast, and what is known of each."""
    random = np.random.default_rng([seed, part == "new"])
    told = np.random.default_rng(seed)  # both parts must agree on the phrasings
    rows, found = [], []
    for kind, one in plan["kinds"].items():
        phrasings = told.permutation(one["phrasings"]).tolist()
        before = plan["phrasings_per_kind"]["known"]
        phrasings = phrasings[:before] if part == "known" else phrasings[before:]
        for number in range(plan["series_per_kind"][part]):
            length = int(random.integers(*plan["rows"][part], endpoint=True))
            months = pd.date_range(f"2021-{random.integers(1, 13):02d}-01", periods=length + plan["horizon"], freq="MS")
            away = np.abs((months.month.to_numpy() - one["peak"] + 6) % 12 - 6)
            size = one["size"] * np.exp(plan["spread"] * random.standard_normal())
            drift = one["drift"] * np.exp(plan["spread"] * random.standard_normal())
            level = np.exp(random.normal(3, 1))
            course = 1 + size * np.exp(-((away / one["width"]) ** 2) / 2) + drift * np.arange(len(months)) / 12
            noise = plan["noise"] * random.standard_normal(len(months))
            values = level * np.maximum(course + noise, 0.02)
            name = f"{kind} {part} {number}"
            rows.append(pd.DataFrame({"unique_id": name, "ds": months, "y": values}))
            title = phrasings[number % len(phrasings)]
            found.append({"name": name, "kind": kind, "title": title, "level": level, "rows": length})
    return pd.concat(rows, ignore_index=True), found


def arm_vectors(
    read: TextVectors, arm: str, known: Sequence[Any], new: Sequence[Any], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the titles of the fitted series and of the new ones."""
    both = [*known, *new]
    found = read(arm, [one["title"] for one in both], [one["kind"] for one in both], len(known))
    before, after = found[: len(known)], found[len(known) :]
    if arm == "shuffled":  # series with the same title keep the same vector
        distinct = sorted({one["title"] for one in known})
        other = dict(zip(distinct, np.random.default_rng(seed).permutation(distinct), strict=True))
        of = {one["title"]: vector for one, vector in zip(known, before, strict=True)}
        before = np.stack([of[str(other[one["title"]])] for one in known])
    return before, after


def with_titles(table: SeriesTable, found: Sequence[Any], vectors: np.ndarray) -> SeriesTable:
    place = {one["name"]: i for i, one in enumerate(found)}
    order = [place[name] for name in table.ids]
    texts = tuple(found[i]["title"] for i in order)
    return replace(table, covariates=Covariates(titles=Titles(texts, vectors[order], "benchmark", "0" * 64)))


def run(plan: dict[str, Any], seed: int, arms: Sequence[str], read: TextVectors) -> list[dict[str, Any]]:
    """Rows of results of one seed."""
    horizon, parts = plan["horizon"], {}
    for part in ("known", "new"):
        frame, found = planted(plan, part, seed)
        whole = to_series(frame)
        place = {one["name"]: one for one in found}
        lengths = [place[name]["rows"] for name in whole.ids]
        truth = np.stack([values[n:] for values, n in zip(whole.values, lengths, strict=True)])
        level = np.array([place[name]["level"] for name in whole.ids])
        parts[part] = (whole.cut(lengths), found, truth, level)
    rows = []
    for arm in arms:
        began, tables = time.process_time(), {part: one[0] for part, one in parts.items()}
        if arm != "none":
            vectors = arm_vectors(read, arm, parts["known"][1], parts["new"][1], seed)
            for part, some in zip(("known", "new"), vectors, strict=True):
                tables[part] = with_titles(tables[part], parts[part][1], some)
        forecaster = Forecaster(horizon=horizon, seed=seed).fit_series(tables["known"])
        errors = {}
        for part, (_, _, truth, level) in parts.items():
            yhat = forecaster.predict_series(forecaster.forecastable(tables[part], strict=True))
            errors[part] = float((((yhat - truth) / level[:, None]) ** 2).mean())
        effects = forecaster.trained.effects
        used = effects is not None and any(isinstance(group, TitleGroup) for group in effects.groups)
        rows.append(
            {
                "seed": seed,
                "arm": arm,
                "mse_new": f"{errors['new']:.6f}",
                "mse_known": f"{errors['known']:.6f}",
                "used": int(used),
                "seconds": f"{time.process_time() - began:.1f}",
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds")
    parser.add_argument("--arms", default=",".join(ARMS))
    asked = parser.parse_args()
    plan: dict[str, Any] = json.loads(PLAN.read_text())
    read = TextVectors(plan["kinds"])
    seeds = range(plan["seeds"]) if asked.seeds is None else map(int, asked.seeds.split(","))
    warnings.simplefilter("ignore")
    write_stamped(asked.out, (row for seed in seeds for row in run(plan, seed, asked.arms.split(","), read)))


if __name__ == "__main__":
    main()
