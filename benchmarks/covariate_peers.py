"""Forecasts of bike sharing with known covariates, beside AutoARIMA, NHITS and TFT: ``results/covariate_peers.csv``.

All of them get observed weather, holiday and working day, and forecast 24 hours. The test part is the last 20 %;
errors are in standard deviations of the rows before it. ``sample`` are 20 evenly spaced origins of the test part,
``every`` are all of its windows. One method a call, since they need different environments (statsforecast;
neuralforecast):

    python benchmarks/covariate_peers.py --data FOLDER --method swt-time
    python benchmarks/covariate_peers.py --data FOLDER --method AutoARIMA
    python benchmarks/covariate_peers.py --data FOLDER --method NHITS --seconds 600

swt-time, NHITS and TFT are fitted once, on the rows before the test part, within ``--seconds`` of wall time on one
thread. AutoARIMA is fitted before every origin, to the `ARIMA_ROWS` rows before it and by conditional sums of
squares, as R does for such series: exact likelihoods take minutes an origin.
NHITS and TFT have neuralforecast's defaults but for what `neural` names; the last tenth of the rows before the test
part stops their training.
"""

import argparse
import csv
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results" / "covariate_peers.csv"
HORIZON, SAMPLE, SPLIT = 24, 20, "0.8/0/0.2"
ARIMA_ROWS = 8 * 7 * 24
WEATHER = ("temp", "atemp", "hum", "windspeed", "weather", "holiday", "workingday")
PACKAGES = {"swt-time": "swt-time", "AutoARIMA": "statsforecast", "NHITS": "neuralforecast", "TFT": "neuralforecast"}


def load(folder: Path) -> tuple[pd.DataFrame, int]:
    """The table, and the number of its rows before the test part."""
    frame = pd.read_csv(folder / "bike_sharing.csv")[["date_time", "users", *WEATHER]]
    return frame, len(frame) - int(len(frame) * 0.2)


def origins(rows: int, first: int) -> np.ndarray:
    """The sampled origins."""
    return np.round(np.linspace(first, rows - HORIZON, SAMPLE)).astype(int)


def ours(frame: pd.DataFrame, first: int, known: tuple[str, ...], seconds: float) -> dict[int, np.ndarray]:
    """Forecasts of swt-time by origin."""
    from swt_time import Forecaster

    table = frame[["date_time", "users", *known]]
    forecaster = Forecaster(horizon=HORIZON, split=SPLIT, target="users", preset="auto", known=known).fit(table)
    series = forecaster.read_series(table)
    rows = np.arange(first, len(frame) - HORIZON + 1)
    pairs = np.stack([np.zeros_like(rows), rows], axis=1)
    return dict(zip(rows.tolist(), forecaster.trained.forecast_origins(series, pairs), strict=True))


def coded(frame: pd.DataFrame, known: tuple[str, ...]) -> pd.DataFrame:
    """The covariates as numbers: of a category a column of zeros and ones for each level but the first."""
    if not known:
        return frame[[]]
    return pd.get_dummies(frame[list(known)], drop_first=True, dtype=float).astype(float)


def arima(frame: pd.DataFrame, first: int, known: tuple[str, ...], seconds: float) -> dict[int, np.ndarray]:
    """Forecasts of AutoARIMA by origin."""
    from statsforecast.models import AutoARIMA

    values, covariates = frame["users"].to_numpy(float), coded(frame, known).to_numpy()
    found = {}
    for row in origins(len(frame), first).tolist():
        past, ahead = slice(row - ARIMA_ROWS, row), slice(row, row + HORIZON)
        # a column that is constant in the rows of the fit has no coefficient
        used = covariates[past].std(axis=0) > 0
        given = (covariates[past][:, used], covariates[ahead][:, used]) if used.any() else (None, None)
        began = time.monotonic()
        found[row] = _mean(AutoARIMA(season_length=24, approximation=True), values[past], *given)
        print(f"origin {row}: {time.monotonic() - began:.0f} s", flush=True)
    return found


def _mean(model, values: np.ndarray, covariates: np.ndarray | None, ahead: np.ndarray | None) -> np.ndarray:
    with warnings.catch_warnings(action="ignore"):  # of convergence, for models that the search leaves
        return model.forecast(values, HORIZON, X=covariates, X_future=ahead)["mean"]


def neural(name: str, seconds: float):
    """Forecasts of a model of neuralforecast by origin."""

    def forecast(frame: pd.DataFrame, first: int, known: tuple[str, ...], _: float) -> dict[int, np.ndarray]:
        from datetime import timedelta

        import neuralforecast
        from neuralforecast import models

        covariates = coded(frame, known)
        table = covariates.assign(unique_id="users", ds=pd.to_datetime(frame["date_time"]), y=frame["users"])
        model = getattr(models, name)(
            h=HORIZON,
            input_size=168,
            futr_exog_list=list(covariates.columns) or None,
            scaler_type="standard",
            max_steps=2000,
            early_stop_patience_steps=5,
            random_seed=1,
            accelerator="cpu",
            max_time=timedelta(seconds=seconds),
            enable_progress_bar=False,
            logger=False,
        )
        run = neuralforecast.NeuralForecast(models=[model], freq="h")
        found = run.cross_validation(table, n_windows=None, test_size=len(frame) - first, step_size=1,
                                     val_size=first // 10)  # fmt: skip
        rows = {time: row for row, time in enumerate(table["ds"])}
        parts = found.groupby("cutoff", sort=True)
        return {rows[cutoff] + 1: part.sort_values("ds")[name].to_numpy() for cutoff, part in parts}

    return forecast


def score(frame: pd.DataFrame, first: int, forecasts: dict[int, np.ndarray]) -> tuple[float, float]:
    """Mean squared and mean absolute error, in standard deviations of the rows before the test part."""
    values = frame["users"].to_numpy(float)
    deviation = values[:first].std()
    errors = np.stack([values[row : row + HORIZON] - one for row, one in forecasts.items()]) / deviation
    return float((errors**2).mean()), float(np.abs(errors).mean())


def main() -> None:
    """Run one method, and replace its rows of the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--method", choices=list(PACKAGES), required=True)
    parser.add_argument("--seconds", type=float, default=600.0)
    arguments = parser.parse_args()
    from swt_time.provenance import source_commit

    method = arguments.method
    run = {"swt-time": ours, "AutoARIMA": arima}.get(method) or neural(method, arguments.seconds)
    frame, first = load(arguments.data)
    sample = origins(len(frame), first).tolist()
    made = []
    for covariates, known in (("none", ()), ("known", WEATHER)):
        began, cpu = time.monotonic(), time.process_time()
        forecasts = run(frame, first, known, arguments.seconds)
        spent = time.monotonic() - began, time.process_time() - cpu
        for windows, chosen in (("sample", {row: forecasts[row] for row in sample}), ("every", forecasts)):
            if windows == "every" and len(forecasts) == SAMPLE:
                continue
            mse, mae = score(frame, first, chosen)
            made.append({
                "method": method, "covariates": covariates, "windows": windows, "origins": len(chosen),
                "mse": round(mse, 5), "mae": round(mae, 5), "seconds": round(spent[0]), "cpu_seconds": round(spent[1]),
                "versions": f"{PACKAGES[method]} {version(PACKAGES[method])}", "commit": source_commit(),
            })  # fmt: skip
            print(made[-1], flush=True)
    rows = []
    if RESULTS.is_file():
        with RESULTS.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["method"] != method]
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(made[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, *made])


if __name__ == "__main__":
    main()
