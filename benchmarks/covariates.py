"""Compare forecasts with known covariates, without them, and with permuted ones: ``results/covariates.csv``.

The test part is the last 20 % of each table, every window is scored, and everything is chosen on the rows before it.

    python benchmarks/covariates.py --data FOLDER
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import pandas as pd

from swt_time import Forecaster
from swt_time.evaluation.scoring import evaluate_table

SPLIT = "0.8/0/0.2"
RESULTS = Path(__file__).parent / "results" / "covariates.csv"


def bike_sharing(folder: Path) -> tuple[pd.DataFrame, str, int, tuple[str, ...]]:
    """Hourly rentals, with weather, holiday and working day."""
    known = ("temp", "atemp", "hum", "windspeed", "weather", "holiday", "workingday")
    return pd.read_csv(folder / "bike_sharing.csv")[["date_time", "users", *known]], "users", 24, known


def ett(folder: Path) -> tuple[pd.DataFrame, str, int, tuple[str, ...]]:
    """Oil temperature of a transformer with its six loads, as if they were known in advance."""
    known = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL")
    return pd.read_csv(folder / "ETTh1.csv"), "OT", 24, known


def victoria(folder: Path) -> tuple[pd.DataFrame, str, int, tuple[str, ...]]:
    """Hourly demand for electricity in Victoria, with the temperature of Melbourne and public holidays.

    ``vic_electricity.csv`` of github.com/skforecast/skforecast-datasets (of the R package tsibbledata), half-hourly.
    """
    frame = pd.read_csv(folder / "vic_electricity.csv", parse_dates=["Time"]).set_index("Time")
    hours = frame.resample("h").agg({"Demand": "mean", "Temperature": "mean", "Holiday": "max"})
    return hours.reset_index(), "Demand", 24, ("Temperature", "Holiday")


TABLES = {"bike sharing": bike_sharing, "ETTh1 oil temperature": ett, "Victoria electricity": victoria}


def permuted(frame: pd.DataFrame, known: tuple[str, ...], seed: int) -> pd.DataFrame:
    """The rows of the covariates in another order."""
    order = np.random.default_rng(seed).permutation(len(frame))
    return frame.assign(**{name: frame[name].to_numpy()[order] for name in known})


def score(frame: pd.DataFrame, target: str, horizon: int, known: tuple[str, ...]) -> dict[str, object]:
    """Errors of the test part."""
    began = time.process_time()
    forecaster = Forecaster(horizon=horizon, split=SPLIT, target=target, preset="auto", known=known).fit(frame)
    seconds = time.process_time() - began
    series = forecaster.read_series(frame)
    context, calibration = forecaster.config.data.steps, forecaster.trained.calibration
    found = evaluate_table(forecaster, series, SPLIT, context, horizon, calibration=calibration).model
    effects = forecaster.trained.effects
    kept = [] if effects is None else [group.name for group in effects.groups]
    assert found.intervals is not None
    return {
        "mse": round(found.mse, 5),
        "mae": round(found.mae, 5),
        "crps": round(float(found.intervals.scaled["crps"]), 5),
        "inside_80": round(float(found.intervals.coverage[0]), 4),
        "kept": " ".join(kept),
        "link": effects.link if effects is not None and kept else "",
        "cpu_seconds": round(seconds, 1),
    }


def main() -> None:
    """Run all rows of the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    arguments = parser.parse_args()
    rows = []
    for name in arguments.tables:
        frame, target, horizon, known = TABLES[name](arguments.data)
        arms = {"none": (frame, ()), "known": (frame, known)}
        arms |= {f"permuted, seed {seed}": (permuted(frame, known, seed), known) for seed in range(3)}
        for arm, (table, used) in arms.items():
            shown = table if used else table[[table.columns[0], target]]
            rows.append({"table": name, "horizon": horizon, "covariates": arm, **score(shown, target, horizon, used)})
            print(rows[-1], flush=True)
            with RESULTS.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main()
