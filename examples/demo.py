"""Forecast weekly carbon dioxide at Mauna Loa a year ahead with a frozen MiniLM.

Run by `make demo`. Every step is a command of the public command line, which is printed before it runs.
"""

import argparse
import importlib.util
import json
import shlex
import subprocess
import sys
from pathlib import Path

DESCRIPTION = "Weekly carbon dioxide in the air at Mauna Loa, Hawaii, in parts per million."
LAST_SEEN = "2000-12-30"
"""The picture shows the forecast of the last year of the table, whose true values are known."""


def find_table() -> Path:
    """Return the path of the dataset inside the package statsmodels, which is not imported."""
    spec = importlib.util.find_spec("statsmodels")
    if spec is None or spec.origin is None:
        sys.exit("the dataset of the demo is part of statsmodels; install it with: pip install --no-deps statsmodels")
    return Path(spec.origin).parent / "datasets" / "co2" / "co2.csv"


def swt_time(*words: object, capture: bool = False) -> str:
    """Run a command of the command line; exit if it fails."""
    arguments = [str(word) for word in words]
    print(f"\n$ swt-time {shlex.join(arguments)}", flush=True)
    run = subprocess.run(
        [sys.executable, "-m", "swt_time", *arguments], stdout=subprocess.PIPE if capture else None, text=True
    )
    if run.returncode != 0:
        sys.exit(run.returncode)
    return run.stdout or ""


def main() -> None:
    """Train, evaluate and forecast, and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), help="folder for everything that is written (default: %(default)s)"
    )
    parser.add_argument("--max-steps", type=int, default=200, help="training steps (default: %(default)s)")
    parser.add_argument(
        "--max-time", default="150s", help="most training time, for slow machines (default: %(default)s)"
    )
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    table, model, csv, png = find_table(), out / "model", out / "forecast.csv", out / "forecast.png"
    report = out / "report.html"

    swt_time(
        *("train", "--data", table, "--out", model, "--horizon", 52, "--context", 208, "--fill", "linear"),
        *("--description", DESCRIPTION),
        *("--max-steps", arguments.max_steps, "--max-time", arguments.max_time, "--overwrite"),
    )
    facts = swt_time("info", "--model", model, capture=True).splitlines()
    judged = next(line for line in facts if line.startswith("branch ("))
    scores = json.loads(swt_time("evaluate", "--model", model, "--data", table, "--json", capture=True))
    swt_time(
        *("forecast", "--model", model, "--data", table, "--cutoff", LAST_SEEN, "--out", csv, "--plot", png),
    )
    swt_time(*("report", "--model", model, "--data", table, "--out", report, "--title", "Carbon dioxide at Mauna Loa"))

    ours, naive = scores["mse"], scores["seasonal_naive"]["mse"]
    verdict = "better" if ours < naive else "NOT better"
    print(f"\n{scores['windows']} test windows, {scores['horizon']} weeks ahead, mean squared error (scaled):")
    print(f"  swt-time        {ours:.4f}")
    print(f"  seasonal naive  {naive:.4f}")
    print(f"swt-time is {verdict} than seasonal naive: {ours / naive:.2f} times its error.")
    earned = "earned its place" if "): kept, " in judged else "did NOT earn its place, and is not in the saved model"
    print(f"The language model {earned}:\n  {judged}")
    print(f"\nforecast: {csv}\npicture:  {png}\nmodel:    {model}\nreport:   {report}")


if __name__ == "__main__":
    main()
