"""Time and memory of forecasting and fitting a Parquet folder of many series, beside the path of a single table.

OMP_NUM_THREADS=1 python benchmarks/scaling.py --ray --series 10000 --out benchmarks/results/scaling.csv
OMP_NUM_THREADS=1 python benchmarks/scaling.py --series 100000 --runs 1 --out benchmarks/results/scaling.csv

Every run is a fresh process on hourly series of 200 rows. ``plain`` reads the folder as one frame, forecasts it by
``Forecaster.load(model).predict`` and writes one file. The others are ``forecast_folder``, in this process (one worker)
or in others, of which one is killed when half of the buckets are finished in the case of that name. Peak memory is that
of the largest process that forecasts. ``fit`` and ``fit_folder`` are the closed form with a context of 48 rows, in
memory and bucket by bucket. Medians over runs in turns; ``load`` is the load average of the machine before a run.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet

from many_series import hourly
from swt_time import Forecaster
from swt_time.machine import describe_processor
from swt_time.provenance import package_versions, source_commit

ROOT = Path(__file__).parent.parent
ROWS, HORIZON, CONTEXT, PART_SERIES = 200, 24, 48, 5000

CODE = """
import json, multiprocessing, os, resource, signal, sys, time, warnings

def main():
    case, data, model, out, workers = sys.argv[1:]
    import pandas as pd
    from swt_time import Forecaster
    from swt_time.scaling import fit_folder, forecast_folder
    load = os.getloadavg()[0]
    killed = []
    def kill(done, total):
        if not killed and 2 * done >= total:
            killed.append(multiprocessing.active_children()[0])
            os.kill(killed[0].pid, signal.SIGKILL)
    began = time.perf_counter()
    if case == "plain":
        Forecaster.load(model).predict(pd.read_parquet(data)).to_parquet(out, index=False)
    elif case.startswith("fit"):
        asked = Forecaster(24, 48, preset="fast", level=4, split="0.8/0.2/0")
        if case == "fit":
            asked.fit(pd.read_parquet(data)).save(out)
        else:
            fit_folder(data, out, asked.config)
    else:
        engine = "ray" if case == "ray" else "local"
        report = kill if case == "killed" else lambda done, total: None
        found = forecast_folder(data, model, out, engine=engine, workers=int(workers), report=report)
        assert (case == "killed") == bool(killed) and found.left_out == 0
    for one in multiprocessing.active_children():
        one.join()
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    status = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    mine = int(status.split()[1]) / 1024
    print(json.dumps({
        "seconds": time.perf_counter() - began,
        "cpu_s": own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime,
        "peak_mib": max(others.ru_maxrss / 1024, 0 if int(workers) > 1 else mine),
        "load": load,
    }))

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
"""

CASES = [("plain", 1), ("local", 1), ("local", 2), ("killed", 2), ("fit", 1), ("fit_folder", 1)]


def write(folder: Path, series: int) -> Path:
    """Write a folder of parts of `PART_SERIES` series."""
    folder.mkdir()
    table = hourly(series, ROWS)
    for begin in range(0, series, PART_SERIES):
        some = table.iloc[begin * ROWS : (begin + PART_SERIES) * ROWS]
        some.to_parquet(folder / f"part-{begin:06}.parquet", index=False, row_group_size=PART_SERIES * ROWS // 4)
    return folder


def run(script: Path, case: str, data: Path, model: Path, out: Path, workers: int) -> dict[str, float]:
    """One run in a fresh process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, script, case, data, model, out, workers]
    done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def count_rows(out: Path) -> int:
    """Rows of the forecasts."""
    files = [out] if out.is_file() else sorted(out.glob("*.parquet"))
    return sum(pyarrow.parquet.read_metadata(one).num_rows for one in files)


def main() -> None:
    """Measure all cases, and write the results as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--series", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--ray", action="store_true", help="Also two workers of Ray.")
    given = parser.parse_args()
    cases = CASES + ([("ray", 2)] if given.ray else [])
    rows: list[dict[str, object]] = []
    if given.out.exists():  # sizes that are not measured again stay
        with given.out.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if int(row["series"]) not in given.series]
    with tempfile.TemporaryDirectory() as name:
        folder, script = Path(name), Path(name) / "run.py"
        script.write_text(CODE)
        model = folder / "model"
        Forecaster(HORIZON, CONTEXT, preset="fast", level=4, split="0.8/0.2/0").fit(hourly(500, ROWS)).save(model)
        for series in given.series:
            data = write(folder / f"data-{series}", series)
            found: dict[tuple[str, int], list[dict[str, float]]] = {one: [] for one in cases}
            for number in range(given.runs):
                for case, workers in cases:
                    out = folder / f"{series}-{number}-{case}-{workers}"
                    found[case, workers].append(run(script, case, data, model, out, workers))
                    assert case.startswith("fit") or count_rows(out) == series * HORIZON
            plain = {"fit_folder": "fit", "fit": "fit"}
            for (case, workers), times in found.items():
                row: dict[str, object] = {"case": case, "workers": workers, "series": series, "rows": ROWS}
                for key in ("seconds", "cpu_s", "peak_mib", "load"):
                    row[key] = round(statistics.median(one[key] for one in times), 2)
                base = found[plain.get(case, "plain"), 1]
                for key in ("seconds", "peak_mib"):
                    ratios = [one[key] / other[key] for one, other in zip(times, base, strict=True)]
                    row[f"{key}_ratio"] = round(statistics.median(ratios), 3)
                row |= {"runs": given.runs, "commit": source_commit(), "machine": describe_processor()}
                row |= {"cpus": os.cpu_count(), "pyarrow": package_versions(("pyarrow",))["pyarrow"]}
                rows.append(row)
                print({key: row[key] for key in list(row)[:10]}, flush=True)
            with given.out.open("w", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main()
