"""Compare forecasts and choices of two source trees, the present one and a former commit, table by table.

git worktree add /tmp/former d8adaea
python benchmarks/compare.py --former /tmp/former/src --data DATA --out benchmarks/results/compare.csv

``DATA`` holds ETTh1.csv, ETTh2.csv, bike_sharing.csv and national_illness.csv. Every tree runs in a process of its own.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

PANELS = 6


def tables(data: Path) -> dict[str, tuple[pd.DataFrame, int, str]]:
    """Tables by name, with the horizon and the preset of each: ten of the folder, and random panels."""
    ett1, ett2 = (pd.read_csv(data / f"ETTh{i}.csv", parse_dates=["date"]) for i in (1, 2))
    bike = pd.read_csv(data / "bike_sharing.csv")
    ill = pd.read_csv(data / "national_illness.csv", parse_dates=["date"])
    hours = pd.date_range("2011-01-01", periods=len(bike), freq="h")
    count = bike["cnt"] if "cnt" in bike else bike.select_dtypes("number").iloc[:, -1]
    riders = pd.DataFrame({"date": hours, "count": count})
    daily = ett1.set_index("date").resample("D").mean().reset_index()
    weekly = ett2.set_index("date").resample("W").mean().reset_index()
    found = {
        "ETTh1, last 700 hours of OT": (ett1[["date", "OT"]].tail(700), 24, "auto"),
        "ETTh1, 2,000 hours": (ett1.head(2000), 24, "auto"),
        "ETTh1, 3,000 hours, closed form": (ett1.head(3000), 96, "fast"),
        "ETTh2, 1,500 hours": (ett2.head(1500), 48, "auto"),
        "ETTh2, 3,000 hours, closed form": (ett2.tail(3000), 24, "fast"),
        "ETTh1 by day": (daily, 14, "auto"),
        "ETTh2 by week": (weekly, 8, "auto"),
        "bike sharing, 2,000 hours": (riders.tail(2000), 24, "auto"),
        "bike sharing, 3,000 hours, closed form": (riders.head(3000), 48, "fast"),
        "illness": (ill, 24, "auto"),
    }
    for seed in range(PANELS):
        found[f"random panel {seed}"] = (random_panel(seed), 6 + 4 * (seed % 3), "auto")
    return found


def random_panel(seed: int) -> pd.DataFrame:
    """Series of unequal length with seasons, walks and noise; in every second panel some values are missing."""
    rng = np.random.default_rng(seed)
    frequency, season = [("MS", 12), ("D", 7), ("h", 24)][seed % 3]
    frames = []
    for i in range(20):
        rows = int(rng.integers(5 * season, 16 * season))
        t = np.arange(rows)
        values = 20 + 5 * rng.random() * np.sin(2 * np.pi * t / season) + rng.normal(size=rows).cumsum() * rng.random()
        values += rng.normal(size=rows)
        if seed % 2:
            values[rng.random(rows) < 0.03] = np.nan
        dates = pd.date_range("2015-01-01", periods=rows, freq=frequency)
        frames.append(pd.DataFrame({"unique_id": f"s{i}", "ds": dates, "y": values}))
    return pd.concat(frames, ignore_index=True)


def forecast_all(data: Path, out: Path) -> None:
    """Forecast every table with the source tree of this process, and write what was found."""
    from swt_time import Forecaster

    warnings.simplefilter("ignore")
    found = {}
    for name, (table, horizon, preset) in tables(data).items():
        options = {"fill": "linear"} if table.isna().any().any() else {}
        forecaster = Forecaster(horizon=horizon, preset=preset, **options).fit(table)
        numbers = forecaster.predict(table, levels=None)["yhat"].to_numpy()
        choice, form = forecaster.choice, forecaster.result.closed_form or {}
        found[name] = {
            "forecast": numbers.tolist(),
            "size": float(np.abs(numbers).max()),
            "choice": [
                forecaster.config.data.context,
                forecaster.config.embedding.wavelet,
                None if choice is None else dict(choice.weights),
                [form.get(key) for key in ("prior", "strength", "tilt", "structure", "centre", "exponent")],
            ],
            "errors": {} if choice is None else dict(choice.errors),
            "map": forecaster.model.skip.weight.tolist(),
        }
    out.write_text(json.dumps(found))


def run(source: Path, data: Path, out: Path) -> dict[str, dict]:
    """Run `forecast_all` with a source tree."""
    words = [sys.executable, __file__, "--child", str(out), "--data", str(data)]
    subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(source)})
    return json.loads(out.read_text())


def main() -> None:
    """Compare both trees and write one row a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--former", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child is not None:
        forecast_all(asked.data, asked.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        present = run(Path(__file__).resolve().parents[1] / "src", asked.data, Path(folder) / "present.json")
        former = run(asked.former, asked.data, Path(folder) / "former.json")
    rows = []
    for name, one in present.items():
        other = former[name]
        difference = np.abs(np.array(one["forecast"]) - np.array(other["forecast"])).max() / other["size"]
        errors = [abs(one["errors"][key] / value - 1) for key, value in other["errors"].items() if value]
        former_map = np.array(other["map"])
        maps = np.abs(np.array(one["map"]) - former_map).max() / max(np.abs(former_map).max(), 1e-30)
        weight = (one["choice"][2] or {"closed form": 1.0})["closed form"]
        rows.append(
            {
                "table": name,
                "same_choice": one["choice"] == other["choice"] and one["errors"].keys() == other["errors"].keys(),
                "weight_of_the_closed_form": weight,
                "largest_relative_difference": f"{difference:.1e}",
                "largest_relative_difference_of_maps": f"{maps:.1e}",
                "largest_relative_difference_of_errors": f"{max(errors, default=0.0):.1e}",
            }
        )
        print(rows[-1])
    with asked.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
