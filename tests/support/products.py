"""Monthly sales of products, whose titles say in which part of the year they sell."""

import numpy as np
import pandas as pd

SUMMER = ("ice cream tub", "beach towel", "sun cream", "inflatable swimming pool", "swimming trunks", "sun hat",
          "parasol for the beach", "water ice lollies")  # fmt: skip
WINTER = ("woollen scarf", "snow shovel", "warm winter gloves", "sledge for snow", "thermal underwear", "winter boots",
          "ski jacket", "ice scraper for frost")  # fmt: skip
NEW_SUMMER, NEW_WINTER = "frozen ice popsicles for the beach", "warm mittens for snow"
ROWS = 23


def products(seed: int = 0, rows: int = ROWS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Three series for each title, which begin in different months; and the table of their titles."""
    draws, parts, titles = np.random.default_rng(seed), [], []
    for number, title in enumerate((*SUMMER, *WINTER) * 3):
        name = f"p{number:02d}"
        parts.append(product(name, title in SUMMER, int(draws.integers(12)), rows, draws))
        titles.append((name, title))
    return pd.concat(parts, ignore_index=True), pd.DataFrame(titles, columns=["unique_id", "title"])


def product(name: str, summer: bool, begin: int, rows: int, draws: np.random.Generator) -> pd.DataFrame:
    """Sales of one product from a month on."""
    months = pd.date_range("2021-01-01", periods=begin + rows, freq="MS")[begin:]
    away = np.abs((months.month.to_numpy() - (7 if summer else 1) + 6) % 12 - 6)
    sales = np.exp(draws.normal(3, 1)) * (1 + 2 * np.exp(-(away**2) / 3) + 0.1 * draws.normal(size=rows))
    return pd.DataFrame({"unique_id": name, "ds": months, "y": sales})
