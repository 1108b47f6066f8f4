"""Series that follow what was measured before, and series whose kind decides how they go on."""

import numpy as np
import pandas as pd


def lagging(rows: int = 500, seed: int = 0) -> pd.DataFrame:
    """Daily sales that follow the inquiries of a week before, which are noise; rain has no effect."""
    draws = np.random.default_rng(seed)
    inquiries = draws.normal(size=rows + 7)
    sales = 20 + 3 * np.sin(2 * np.pi * np.arange(rows) / 7) + 3 * inquiries[:rows] + 0.5 * draws.normal(size=rows)
    days = pd.date_range("2022-01-03", periods=rows)
    return pd.DataFrame({"ds": days, "sales": sales, "inquiries": inquiries[7:], "rain": draws.normal(size=rows)})


def kinds(series: int = 12, rows: int = 200, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Daily series with a table of their kinds: those of one keep their level, in those of the other a shock passes."""
    draws, parts = np.random.default_rng(seed), []
    for number in range(series):
        level, values = 0.0, []
        for _ in range(rows):
            level = (0.98 if number % 2 else 0.0) * level + draws.normal()
            values.append(50 + level)
        days = pd.date_range("2022-01-03", periods=rows)
        parts.append(pd.DataFrame({"unique_id": f"s{number:02d}", "ds": days, "y": values}))
    names = [f"s{number:02d}" for number in range(series)]
    kind = ["lasting" if number % 2 else "passing" for number in range(series)]
    return pd.concat(parts, ignore_index=True), pd.DataFrame({"unique_id": names, "kind": kind})
