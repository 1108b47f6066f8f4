"""Score a Forecaster on configurations of GIFT-Eval, as rows of the ``all_results.csv`` of its leaderboard.

    export GIFT_EVAL=FOLDER    # of the downloaded datasets
    python examples/gift_eval_scores.py --properties dataset_properties.json --out all_results.csv m4_weekly/short

A configuration is the folder of a dataset and a term: ``m4_weekly/short``, ``bizitobs_l2c/H/long``. For each one a
forecaster is fitted on the rows before all test windows, without options, and then forecasts every window from the rows
before it. GIFT-Eval counts such a model as trained on its training split, without leakage.
"""

import argparse
import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import gluonts.ev.metrics as of
import numpy as np
import pandas as pd
from gift_eval.data import Dataset
from gluonts.model import evaluate_model
from gluonts.model.forecast import QuantileForecast
from gluonts.time_feature import get_seasonality

from swt_time import Forecaster
from swt_time.compat.complete import fill_ends, forecast_all

QUANTILES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
LONGEST = 10_000
"""Rows of a series that are used, the last ones."""
BATCH = 256
"""Windows that are forecast at once."""

METRICS = {
    "MSE[mean]": of.MSE(forecast_type="mean"),
    "MSE[0.5]": of.MSE(forecast_type=0.5),
    "MAE[0.5]": of.MAE(),
    "MASE[0.5]": of.MASE(),
    "MAPE[0.5]": of.MAPE(),
    "sMAPE[0.5]": of.SMAPE(),
    "MSIS": of.MSIS(),
    "RMSE[mean]": of.RMSE(),
    "NRMSE[mean]": of.NRMSE(),
    "ND[0.5]": of.ND(),
    "mean_weighted_sum_quantile_loss": of.MeanWeightedSumQuantileLoss(quantile_levels=QUANTILES),
}
"""In the order of the leaderboard's columns."""

SHOWN = {
    "saugeenday": "saugeen",
    "temperature_rain_with_missing": "temperature_rain",
    "kdd_cup_2018_with_missing": "kdd_cup_2018",
    "car_parts_with_missing": "car_parts",
}
"""Names of datasets on the leaderboard that differ from their folders."""


def read(entries: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return entries of gluonts as a long table; the ids are their positions."""
    frames = []
    for position, entry in enumerate(entries):
        values = np.asarray(entry["target"], dtype=np.float64)[-LONGEST:]
        start = entry["start"] + (len(entry["target"]) - len(values))
        times = pd.period_range(start, periods=len(values), freq=start.freq).to_timestamp()
        frames.append(pd.DataFrame({"unique_id": str(position), "ds": times, "y": values}))
    return fill_ends(pd.concat(frames, ignore_index=True), "unique_id", "y")


class Predictor:
    """A fitted forecaster as a predictor of gluonts."""

    def __init__(self, forecaster: Forecaster):
        self.forecaster = forecaster

    def predict(self, dataset: Iterable[dict[str, Any]], **_: Any) -> Iterator[QuantileForecast]:
        """Forecast the steps after each entry."""
        entries = list(dataset)
        for first in range(0, len(entries), BATCH):
            yield from self._batch(entries[first : first + BATCH])

    def _batch(self, entries: list[dict[str, Any]]) -> Iterator[QuantileForecast]:
        found = forecast_all(self.forecaster, read(entries), QUANTILES)
        for entry, arrays in zip(entries, found.values(), strict=True):
            yield QuantileForecast(
                forecast_arrays=arrays,
                forecast_keys=["mean", *map(str, QUANTILES)],
                start_date=entry["start"] + len(entry["target"]),
                item_id=entry["item_id"],
            )


def score(configuration: str, properties: dict[str, Any]) -> list[Any]:
    """Return the row of a configuration."""
    folder, _, term = configuration.rpartition("/")
    univariate = Dataset(folder, term).target_dim > 1
    dataset = Dataset(folder, term, to_univariate=univariate)
    options = {"id_column": "unique_id", "target": "y", "fill": "linear"}
    forecaster = Forecaster(horizon=dataset.prediction_length, **options).fit(read(dataset.validation_dataset))
    found = evaluate_model(
        Predictor(forecaster),
        test_data=dataset.test_data,
        metrics=list(METRICS.values()),
        batch_size=512,
        axis=None,
        mask_invalid_label=True,
        allow_nan_forecast=False,
        seasonality=get_seasonality(dataset.freq),
    )
    name, _, frequency = folder.partition("/")
    key = SHOWN.get(name.lower(), name.lower())
    known = properties[key]
    label = f"{key}/{frequency or known['frequency']}/{term}"
    return [label, "swt-time", *(found[one].iloc[0] for one in METRICS), known["domain"], known["num_variates"]]


def main() -> None:
    """Score the configurations and write their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configurations", nargs="+")
    parser.add_argument("--properties", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    properties = json.loads(arguments.properties.read_text(encoding="utf-8"))
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["dataset", "model", *(f"eval_metrics/{one}" for one in METRICS), "domain", "num_variates"])
        for configuration in arguments.configurations:
            writer.writerow(score(configuration, properties))
            file.flush()


if __name__ == "__main__":
    main()
