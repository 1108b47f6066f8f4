"""The main job on a real table: weekly carbon dioxide at Mauna Loa, forecast a year ahead through a frozen MiniLM.

Run by `make demo`. Every step is the public command line; what is run is printed.
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
"""The picture forecasts the last year of the table, so that the truth can be drawn beside it."""


def find_table() -> Path:
    """The table that ships inside the package statsmodels; the package itself is not imported."""
    spec = importlib.util.find_spec("statsmodels")
    if spec is None or spec.origin is None:
        sys.exit("the demo's table ships with statsmodels: pip install --no-deps statsmodels")
    return Path(spec.origin).parent / "datasets" / "co2" / "co2.csv"


def swt_time(*words: object, capture: bool = False) -> str:
    """Run one command of the command line; stop the demo if it fails."""
    arguments = [str(word) for word in words]
    print(f"\n$ swt-time {shlex.join(arguments)}", flush=True)
    run = subprocess.run(
        [sys.executable, "-m", "swt_time", *arguments], stdout=subprocess.PIPE if capture else None, text=True
    )
    if run.returncode != 0:
        sys.exit(run.returncode)
    return run.stdout or ""


def main() -> None:
    """Train, evaluate, forecast; say how good it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for model, forecast and picture")
    parser.add_argument("--max-steps", type=int, default=200, help="training steps")
    parser.add_argument("--max-time", default="150s", help="training budget, should the machine be slow")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    table, model, csv, png = find_table(), out / "model", out / "forecast.csv", out / "forecast.png"

    swt_time(
        *("train", "--data", table, "--out", model, "--horizon", 52, "--context", 208, "--fill", "linear"),
        *("--description", DESCRIPTION),
        *("--max-steps", arguments.max_steps, "--max-time", arguments.max_time, "--overwrite"),
    )
    scores = json.loads(swt_time("evaluate", "--model", model, "--data", table, "--json", capture=True))
    swt_time(
        *("forecast", "--model", model, "--data", table, "--cutoff", LAST_SEEN, "--out", csv, "--plot", png),
    )

    ours, naive = scores["mse"], scores["seasonal_naive"]["mse"]
    verdict = "better" if ours < naive else "NOT better"
    print(f"\n{scores['windows']} held-out windows, {scores['horizon']} weeks ahead, mean squared error (scaled):")
    print(f"  swt-time        {ours:.4f}")
    print(f"  seasonal naive  {naive:.4f}")
    print(f"swt-time is {verdict} than seasonal naive: {ours / naive:.2f} times its error.")
    print(f"\nforecast: {csv}\npicture:  {png}\nmodel:    {model}")


if __name__ == "__main__":
    main()
