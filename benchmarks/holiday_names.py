"""Names of holidays as notes, beside a flag: does a language model know which holidays are alike?

    pip install holidays
    python benchmarks/holiday_names.py --data FOLDER --clone FOLDER --out benchmarks/results/holiday_names.csv

Daily series of four countries, the last fifth is the test part, horizon 14, every window; ``--clone`` is the folder
``data`` of skforecast/skforecast-datasets. Each public holiday is a note of one day, whose text is its English name.
Arms differ in the vectors of the notes: no notes, the same one for all (``flag``), one-hot of the name (``name``), and
MiniLM's of the name. ``alone``: each series has a model of its own; ``together``: one model learns the effects of all.
"""

import argparse
import csv
import datetime
import platform
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from notes import unit, with_told
from swt_time import Forecaster
from swt_time.data.notes import read_notes
from swt_time.data.series import SeriesTable, to_series
from swt_time.language import load_language_model
from swt_time.language.sentences import SentenceReader
from swt_time.provenance import package_versions, source_commit

HORIZON, CONTEXT, TEST = 14, 140, 0.2
ARMS = ("no notes", "flag", "name", "MiniLM")
SERIES = {
    "bicycles, Washington": ("US", "DC"),
    "electricity, Victoria": ("AU", "VIC"),
    "flights, UK": ("GB", "ENG"),
    "public transport, Madrid": ("ES", "MD"),
}


def daily(data: Path, clone: Path) -> dict[str, pd.Series]:
    """Daily values by day, of each series."""
    bikes = pd.read_csv(data / "bike_sharing.csv", parse_dates=["date_time"])
    power = pd.read_csv(clone / "vic_electricity.csv")
    flights = pd.read_csv(clone / "uk_daily_flights.csv", encoding="utf-8-sig")
    metro = pd.read_csv(clone / "public-transport-madrid.csv", parse_dates=["date"])
    counts = power.groupby("Date")["Demand"].agg(["mean", "size"])
    found = {
        "bicycles, Washington": bikes.groupby(bikes.date_time.dt.normalize())["users"].sum(),
        "electricity, Victoria": counts["mean"][counts["size"] >= 46],
        "flights, UK": flights.set_index(pd.to_datetime(flights["Date"], dayfirst=True))["Number of flights"],
        "public transport, Madrid": metro.set_index("date")["total"],
    }
    return {name: one.set_axis(pd.DatetimeIndex(one.index)).sort_index().asfreq("D") for name, one in found.items()}


def calendar(series: dict[str, pd.Series]) -> pd.DataFrame:
    """All holidays as notes; several on one day are several notes."""
    import holidays

    rows = []
    for name, one in series.items():
        country, part = SERIES[name]
        years = range(one.index[0].year, one.index[-1].year + 1)
        for day, text in holidays.country_holidays(country, subdiv=part, years=years, language="en_US").items():
            if one.index[0] <= pd.Timestamp(day) <= one.index[-1]:
                rows += [(name, pd.Timestamp(day), each) for each in text.split("; ")]
    return pd.DataFrame(rows, columns=["unique_id", "ds", "text"])


def errors(table: SeriesTable, held: np.ndarray, days: dict[str, set[pd.Timestamp]]) -> dict[str, list[np.ndarray]]:
    """Scaled squared errors of all test windows of each series: on holidays and the days beside, and elsewhere."""
    forecaster = Forecaster(horizon=HORIZON, context=CONTEXT, preset="fast", split="none")
    forecaster.fit_series(table.cut(held.tolist()))
    found = {}
    for index, name in enumerate(table.ids):
        rows = np.arange(held[index], len(table.values[index]) - HORIZON + 1)
        pairs = np.stack([np.full_like(rows, index), rows], axis=1)
        steps = rows[:, None] + np.arange(HORIZON)
        squares = (forecaster.trained.forecast_origins(table, pairs) - table.values[index][steps]) ** 2
        near = np.array(
            [any(day + pd.Timedelta(days=k) in days[name] for k in (-1, 0, 1)) for day in table.times[index]]
        )
        found[name] = [squares[near[steps]], squares[~near[steps]]]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--data", "--clone", "--out"):
        parser.add_argument(name, type=Path, required=True)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    series = daily(asked.data, asked.clone)
    told = calendar(series)
    days = {name: set(told.ds[told.unique_id == name]) for name in series}
    reader = SentenceReader(load_language_model("minilm", precision="float32"))
    scaled = []
    for name, one in series.items():
        known = one[: int(len(one) * (1 - TEST))]
        scaled.append(
            pd.DataFrame({"unique_id": name, "ds": one.index, "y": ((one - known.mean()) / known.std()).to_numpy()})
        )
    together = to_series(pd.concat(scaled), fill="linear")
    stamp = {
        "date": datetime.date.today().isoformat(),
        "commit": source_commit(),
        "machine": platform.machine(),
        "versions": "; ".join(f"{name} {package_versions().get(name, '')}" for name in ("swt-time", "numpy", "torch")),
    }
    with asked.out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["series", "model", "arm", "mse_near_holidays", "mse_elsewhere", *stamp])
        for arm in ARMS:
            for model, tables in (
                ("alone", [together.select([i]) for i in range(len(series))]),
                ("together", [together]),
            ):
                for table in tables:
                    held = (table.lengths * (1 - TEST)).astype(int)
                    if arm != "no notes":
                        notes = read_notes(told[told.unique_id.isin(table.ids)], table)
                        names = sorted(set(notes.texts))
                        vectors = {
                            "flag": np.ones((len(notes), 1)),
                            "name": np.eye(len(names))[[names.index(text) for text in notes.texts]],
                            "MiniLM": unit(reader(notes.texts).astype(np.float64)),
                        }[arm]
                        table = with_told(replace(table), notes, vectors)
                    for name, (near, far) in errors(table, held, days).items():
                        row = [name, model, arm, f"{near.mean():.5f}", f"{far.mean():.5f}"]
                        print(row, flush=True)
                        writer.writerow([*row, *stamp.values()])


if __name__ == "__main__":
    main()
