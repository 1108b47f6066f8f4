"""The demo on its dataset with MiniLM and a small budget."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent


def test_demo_forecasts_and_reports_its_scores(tmp_path):
    run = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py", "--out", tmp_path / "demo", "--max-steps", "12"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    forecast = pd.read_csv(tmp_path / "demo" / "forecast.csv", parse_dates=["date"])
    assert len(forecast) == 52
    assert forecast["date"].iloc[0] == pd.Timestamp("2001-01-06")
    assert forecast["yhat"].between(350, 390).all()
    assert (tmp_path / "demo" / "forecast.png").stat().st_size > 10_000
    assert "Carbon dioxide at Mauna Loa" in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    scores = {
        name: float(line.split()[-1])
        for line in run.stdout.splitlines()
        for name in ("swt-time ", "seasonal naive ")
        if line.startswith(f"  {name}")
    }
    better = scores["swt-time "] < scores["seasonal naive "]
    assert ("is better than seasonal naive" in run.stdout) == better
    assert ("is NOT better than seasonal naive" in run.stdout) == (not better)
    kept = "): kept, " in run.stdout
    assert ("The language model earned its place:\n  branch (language model " in run.stdout) == kept
    assert ("The language model did NOT earn its place, and is not in the saved model:" in run.stdout) == (not kept)
    asked = json.loads((tmp_path / "demo" / "model" / "config.json").read_text())
    assert (asked["backbone"]["name"] == "none") == (not kept)
