"""Sales with promotions, whose effect is known."""

import numpy as np
import pandas as pd


def promoted(rows: int = 500, seed: int = 0, *, factor: bool = False) -> pd.DataFrame:
    """Daily sales with a weekly season: a promotion adds 4, or doubles them; rain has no effect."""
    draws = np.random.default_rng(seed)
    days = pd.date_range("2022-01-03", periods=rows)
    season = 10 + 3 * np.sin(2 * np.pi * np.arange(rows) / 7)
    promotion = (draws.random(rows) < 0.2).astype(float)
    noise = draws.normal(size=rows)
    sales = season * np.exp(np.log(2) * promotion + 0.05 * noise) if factor else season + 4 * promotion + 0.5 * noise
    return pd.DataFrame({"ds": days, "sales": sales, "promotion": promotion, "rain": draws.normal(size=rows)})
