"""Write ``golden_theta.json``: parameters and forecasts of statsforecast's Theta models.

python tests/support/golden_theta.py   # needs statsforecast; written with 2.0.3
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

HORIZON = 15
FILE = Path(__file__).with_name("golden_theta.json")


def examples():
    """Return series by name, each with its season length."""
    random = np.random.default_rng(7)
    time = np.arange(60)
    wave = np.sin(time * np.pi / 6)
    return {
        "random walk": (100 + np.cumsum(random.normal(size=40)), 1),
        "trend": (50 + 2 * time[:25] + random.normal(size=25), 1),
        "growing season": ((100 + 3 * time) * (1 + 0.3 * wave) * np.exp(0.05 * random.normal(size=60)), 12),
        "season around zero": (5 * wave + random.normal(size=60), 12),
        "quarters without a season": (20 + random.normal(size=30), 4),
        "short": (np.array([12.0, 15.0, 11.0, 18.0, 17.0, 21.0, 19.0]), 1),
    }


def main():
    """Fit every example with both models."""
    from statsforecast.theta import auto_theta, forecast_theta

    entries = []
    for name, (values, season) in examples().items():
        for model in ("STM", "DOTM"):
            fitted = auto_theta(y=values, m=season, model=model)
            entries.append(
                {
                    "name": name,
                    "season": season,
                    "dynamic": model == "DOTM",
                    "values": values.tolist(),
                    "parameters": {key: float(value) for key, value in fitted["par"].items()},
                    "forecast": forecast_theta(fitted, HORIZON)["mean"].tolist(),
                }
            )
    written = {"source": f"statsforecast {version('statsforecast')}, auto_theta", "entries": entries}
    FILE.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
