"""Print exact forecasts of several kinds of pandas tables, to compare two versions of pandas."""

import datetime
import hashlib
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swt_time import Forecaster
from swt_time.data.reading import read_table
from swt_time.data.writing import write_table

ROWS = 80
VALUES = np.sin(np.arange(ROWS) / 3) + np.arange(ROWS) / 50


def wide(freq: str = "h", start: str = "2024-03-30", tz: str | None = None) -> pd.DataFrame:
    times = pd.date_range(start, periods=ROWS, freq=freq, tz=tz)
    return pd.DataFrame({"date": times, "a": VALUES, "b": VALUES**2})


def long() -> pd.DataFrame:
    return wide().melt(id_vars="date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})


def through_a_file(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        write_table(frame, Path(folder) / name)
        return read_table(Path(folder) / name)


TABLES: dict[str, Callable[[], Any]] = {
    "wide": wide,
    "long": long,
    "days": lambda: wide("D"),
    "month ends": lambda: wide("ME"),
    "before 1900": lambda: wide("D", "1850-01-01"),
    "time zone with a daylight saving change": lambda: wide(tz="Europe/Berlin"),
    "time zone with an underscore in its name": lambda: wide(tz="America/New_York"),
    "local days without a midnight": lambda: wide("D").assign(
        date=lambda t: (
            t["date"].dt.tz_localize("Africa/Cairo", nonexistent="shift_forward").map(lambda d: d.isoformat())
        )
    ),
    "text times": lambda: wide().assign(date=lambda t: t["date"].dt.strftime("%Y-%m-%d %H:%M")),
    "text times with offsets": lambda: wide(tz="Europe/Berlin").assign(
        date=lambda t: t["date"].map(lambda d: d.isoformat())
    ),
    "days first": lambda: wide("D").assign(date=lambda t: t["date"].dt.strftime("%d/%m/%Y")),
    "Python dates": lambda: wide("D").assign(
        date=[datetime.date(2024, 1, 1) + datetime.timedelta(i) for i in range(ROWS)]
    ),
    "periods as index": lambda: wide("D").set_index(pd.period_range("2024-01-01", periods=ROWS, freq="D"))[["a", "b"]],
    "periods as column": lambda: wide("D").assign(date=pd.period_range("2024-01", periods=ROWS, freq="M")),
    "quarters": lambda: wide("D").assign(date=[f"{2000 + i // 4}Q{i % 4 + 1}" for i in range(ROWS)]),
    "months first": lambda: wide("MS").assign(date=lambda t: t["date"].dt.strftime("%m/%d/%Y")),
    "nanoseconds": lambda: wide().assign(date=lambda t: t["date"].astype("datetime64[ns]")),
    "seconds": lambda: wide().assign(date=lambda t: t["date"].astype("datetime64[s]")),
    "nullable": lambda: wide().assign(a=lambda t: t["a"].astype("Float64")),
    "categories": lambda: long().assign(unique_id=lambda t: t["unique_id"].astype("category")),
    "text ids": lambda: long().assign(unique_id=lambda t: t["unique_id"].astype("string")),
    "shuffled": lambda: long().sample(frac=1, random_state=0),
    "CSV": lambda: through_a_file(wide(), "t.csv"),
    "CSV with zone": lambda: through_a_file(wide(tz="Europe/Berlin"), "t.csv.gz"),
    "Parquet": lambda: through_a_file(long(), "t.parquet"),
}


def describe(frame: Any) -> dict[str, Any]:
    """Forecast a table and describe the result exactly: values in hexadecimal, weights by SHA-256."""
    options = {"d_model": 4, "patch_len": 4, "stride": 2, "wavelet": "haar", "level": 1, "device": "cpu"}
    forecaster = Forecaster(horizon=3, context=12, backbone="none", max_steps=2, **options).fit(frame)
    forecast = forecaster.predict(frame)
    weights = hashlib.sha256()
    for name, weight in sorted(forecaster.model.trained_state().items()):
        weights.update(name.encode() + weight.numpy().tobytes())
    return {
        "ids": forecast["unique_id"].tolist(),
        "times": [stamp.isoformat() for stamp in forecast[forecast.columns[1]]],
        "yhat": [value.hex() for value in forecast["yhat"]],
        "weights": weights.hexdigest(),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    json.dump({"pandas": pd.__version__, **{name: describe(make()) for name, make in TABLES.items()}}, sys.stdout)
