"""Forecasts that are appended to their table and forecast again, for frequencies, time zones, files and libraries."""

import contextlib
import io
import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.cli import run
from swt_time.errors import SWTTimeWarning

pl = pytest.importorskip("polars")
pytest.importorskip("pyarrow")

pytestmark = pytest.mark.usefixtures("claims_on_record")

CLAIMS = {
    "test_every_forecast_can_be_appended_and_continued": (
        "time zones",
        "a forecast appended to its table is read back and continued across a change of daylight saving, for every "
        "frequency, zone, file format and library",
    ),
}

HORIZON = 3
FREQUENCIES = ["h", "15min", "D", "W", "MS", "B"]
CHANGES = {
    "UTC": "2024-03-31",
    "America/New_York": "2024-03-10",
    "America/Santiago": "2024-09-08",
    "Africa/Cairo": "2024-04-26",
    "Asia/Beirut": "2024-03-31",
    "Europe/Berlin": "2024-03-31",
    "Asia/Kolkata": "2024-03-31",
    "+05:30": "2024-03-31",
    "-03:00": "2024-03-31",
    "": "2024-03-31",
}
"""Days on which daylight saving begins, by time zone (any day where it never does)."""

WAYS = [
    "command line, CSV",
    "command line, Parquet",
    "pandas, CSV",
    "pandas, Parquet",
    "polars, CSV",
    "polars, Parquet",
]
FAST = {
    "D": WAYS,
    "h": ["command line, CSV", "polars, Parquet"],
    "MS": ["command line, Parquet", "polars, CSV"],
    "W": ["pandas, CSV"],
    "B": ["polars, CSV"],
    "15min": ["pandas, Parquet"],
}
"""Ways of each frequency that the suite takes; the others are slow in sum."""


def stamps(frequency: str, zone: str, before: int) -> pd.DatetimeIndex:
    """Timestamps by pandas; ``before`` of them lie before the change of daylight saving, the last ones after it.

    They begin more than a year before it, so that the UTC offsets in text tell the time zone.
    """
    tz = zone or None
    change = pd.Timestamp(CHANGES[zone])
    if frequency in ("h", "15min"):
        middle = change if tz is None else change.tz_localize(tz, nonexistent="shift_forward").tz_convert("UTC")
        step = pd.Timedelta(1, "h") if frequency == "h" else pd.Timedelta(15, "min")
        times = pd.DatetimeIndex([middle + (i - before) * step for i in range(before + 12)])
        return times if tz is None else times.tz_convert(tz)
    alias = f"W-{change.strftime('%a').upper()}" if frequency == "W" else frequency
    whole = pd.date_range(
        change - pd.DateOffset(days=700 if frequency == "MS" else 400), change + pd.DateOffset(years=2), freq=alias
    )
    first = int(whole.searchsorted(change))
    wall = whole[: first + 12]
    return wall if tz is None else wall.tz_localize(tz, nonexistent="shift_forward", ambiguous=np.ones(len(wall), bool))


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    sizes = {"d_model": 4, "patch_len": 2, "stride": 1, "wavelet": "haar", "level": 1, "device": "cpu", "split": "none"}
    frame = pd.DataFrame({"unique_id": "s", "ds": pd.date_range("2020-01-01", periods=30), "y": np.arange(30) % 4})
    return Forecaster(horizon=HORIZON, context=4, backbone="none", max_steps=0, **sizes).fit(frame)


@pytest.fixture(scope="module")
def checkpoint(forecaster: Forecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("continued") / "model"
    forecaster.save(folder)
    return folder


class PandasFiles:
    @staticmethod
    def write(frame: Any, path: Path) -> None:
        frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)

    @staticmethod
    def read(path: Path) -> Any:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)

    @staticmethod
    def append(table: Any, forecast: Any) -> Any:
        return pd.concat([table, forecast.rename(columns={"yhat": "y"})], ignore_index=True)


class PolarsFiles:
    @staticmethod
    def write(frame: Any, path: Path) -> None:
        frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)

    @staticmethod
    def read(path: Path) -> Any:
        return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)

    @staticmethod
    def append(table: Any, forecast: Any) -> Any:
        return pl.concat([table, forecast.rename({"yhat": "y"})])


def make_table(times: pd.DatetimeIndex, way: str, path: Path) -> None:
    """Write a table with these times, as the library writes it; text for polars, which has no fixed offsets."""
    frame = pd.DataFrame({"unique_id": "a", "ds": times, "y": np.sin(np.arange(len(times)))})
    if way.startswith("polars") and path.suffix == ".parquet":
        utc = times if times.tz is None else times.tz_convert("UTC").tz_localize(None)
        column = pl.Series("ds", utc.to_numpy().astype("datetime64[us]"))
        if times.tz is not None:
            column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(str(times.tz))
        pl.DataFrame({"unique_id": ["a"] * len(times), "ds": column, "y": frame["y"].to_numpy()}).write_parquet(path)
    elif path.suffix == ".csv":
        frame.assign(ds=[time.isoformat() for time in times]).to_csv(path, index=False)
    else:
        frame.to_parquet(path)


def forecast_and_append(
    forecaster: Forecaster, checkpoint: Path, way: str, folder: Path, path: Path
) -> list[pd.Timestamp]:
    """Forecast the table in a file, append the forecast to the file, and return the times of the forecast."""
    out = folder / f"forecast{path.suffix}"
    files: Any = PolarsFiles if way.startswith("polars") else PandasFiles
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SWTTimeWarning)
        if way.startswith("command line"):
            stderr = io.StringIO()
            words = ("forecast", "--model", checkpoint, "--data", path, "--out", out, "--levels", "none")
            with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
                assert run([str(word) for word in words]) == 0, stderr.getvalue()
        else:
            files.write(forecaster.predict(files.read(path), levels=None), out)
    files.write(files.append(files.read(path), files.read(out)), path)
    return [pd.Timestamp(time) for time in files.read(out)["ds"].to_list()]


def check(
    forecaster: Forecaster, checkpoint: Path, folder: Path, frequency: str, zone: str, way: str, before: int
) -> None:
    whole = stamps(frequency, zone, 40)
    change = pd.Timestamp(CHANGES[zone])
    first = int(np.argmax(whole >= (change if not zone else change.tz_localize(zone, nonexistent="shift_forward"))))
    rows = first - before
    path = folder / ("table.csv" if "CSV" in way else "table.parquet")
    make_table(whole[:rows], way, path)
    found = [
        *forecast_and_append(forecaster, checkpoint, way, folder, path),
        *forecast_and_append(forecaster, checkpoint, way, folder, path),
    ]
    expected = whole[rows : rows + 2 * HORIZON].tolist()
    assert found == expected
    if "Parquet" in way and zone:
        offsets = [time.utcoffset() for time in found]
        assert offsets == [time.utcoffset() for time in expected]


def possible(zone: str, way: str) -> bool:
    return not (way == "polars, Parquet" and zone[:1] in ("+", "-"))  # polars has no fixed offsets


CELLS = [cell for cell in itertools.product(FREQUENCIES, CHANGES, WAYS) if possible(*cell[1:])]


@pytest.mark.parametrize(("frequency", "zone", "way"), [cell for cell in CELLS if cell[2] in FAST[cell[0]]])
def test_a_forecast_can_be_appended_and_continued(forecaster, checkpoint, tmp_path, frequency, zone, way):
    """The forecast reaches the day on which daylight saving begins, and its continuation goes beyond."""
    check(forecaster, checkpoint, tmp_path, frequency, zone, way, before=2)


@pytest.mark.slow
@pytest.mark.parametrize("before", [5, 2, 0, -1])
@pytest.mark.parametrize(("frequency", "zone", "way"), CELLS)
def test_every_forecast_can_be_appended_and_continued(forecaster, checkpoint, tmp_path, frequency, zone, way, before):
    """The table ends at several distances from the change; with -1 its last row is the first one after it."""
    check(forecaster, checkpoint, tmp_path, frequency, zone, way, before)
