"""Size and speed of exported models beside `Forecaster.predict`: one series, and a thousand.

Run as ``OMP_NUM_THREADS=1 python benchmarks/exported.py``. Both compute the forecast and intervals of 80 and 95 % of
hourly series from their values, in one thread, in turns; medians of several calls, in CPU time. ``predict`` also reads
the table and makes a frame; ``without tables`` does not.
"""

import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch

from swt_time import Forecaster
from swt_time.data.origins import ends
from swt_time.evaluation.uncertainty import LEVELS, Uncertainty
from swt_time.exporting import export_onnx

ROWS, TURNS = 1500, 9
MODELS = {
    "closed form": {"preset": "fast"},
    "head on wavelet patches": {"backbone": "none", "max_steps": 20, "keep_branch": True},
}


def table(count: int) -> pd.DataFrame:
    """A wide table of hourly series."""
    hours, noise = np.arange(ROWS), np.random.default_rng(0)
    season = 10 + 3 * np.sin(2 * np.pi * hours / 24)[:, None]
    values = season + 0.3 * noise.standard_normal((ROWS, count))
    dates = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=ROWS, freq="h")})
    return pd.concat([dates, pd.DataFrame(values, columns=[f"s{i:04}" for i in range(count)])], axis=1)


def long(frame: pd.DataFrame) -> pd.DataFrame:
    """The same as a long table."""
    return frame.melt("date", var_name="unique_id", value_name="y")


def main() -> None:
    """Print one line for each model and number of series."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for name, changes in MODELS.items():
        forecaster = Forecaster(horizon=96, context=512, **changes).fit(long(table(3)))
        with tempfile.TemporaryDirectory() as folder:
            path = export_onnx(forecaster, Path(folder) / "model.onnx")
            size, session = path.stat().st_size, onnxruntime.InferenceSession(path, options)
            forecaster.save(Path(folder) / "model")
            saved = sum(one.stat().st_size for one in (Path(folder) / "model").rglob("*") if one.is_file())
        print(f"{name}: {size / 1024:.0f} KiB, checkpoint {saved / 1024:.0f} KiB")
        for count in (1, 1000):
            compare(forecaster, session, table(count))


def compare(forecaster: Forecaster, session: onnxruntime.InferenceSession, frame: pd.DataFrame) -> None:
    """Time both on one table."""
    ids = list(frame.columns[1:])
    many = long(frame)
    series = forecaster.read_series(many)
    scales = json.loads(session.get_modelmeta().custom_metadata_map.get("deviation", "{}"))
    feed = {"history": frame[ids].to_numpy()[None]}
    if scales:
        feed["deviation"] = np.array([[scales.get(one, frame[one].std(ddof=0)) for one in ids]])
    calls = {
        "onnxruntime": lambda: session.run(None, feed),
        "without tables": lambda: Uncertainty(LEVELS).columns(
            forecaster.trained, series, ends(series), forecaster.predict_series(series)
        ),
        "predict": lambda: forecaster.predict(many),
    }
    seconds: dict[str, list[float]] = {one: [] for one in calls}
    for turn in range(TURNS + 1):
        for one, call in calls.items():
            begin = time.process_time()
            call()
            if turn:
                seconds[one].append(time.process_time() - begin)
    medians = {one: statistics.median(times) for one, times in seconds.items()}
    shown = ", ".join(f"{one} {1000 * value:.2f} ms" for one, value in medians.items())
    base = medians["onnxruntime"]
    print(
        f"  {len(ids)} series: {shown}; ratios {medians['without tables'] / base:.1f}, {medians['predict'] / base:.1f}"
    )


if __name__ == "__main__":
    main()
