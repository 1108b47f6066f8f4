"""A long table of daily series, and folders of Parquet files."""

from itertools import pairwise

import numpy as np
import pandas as pd

SERIES, ROWS, CONTEXT, HORIZON = 24, 60, 16, 3


def daily(series=SERIES, rows=ROWS, seed=0):
    draw = np.random.default_rng(seed)
    cycle = np.sin(2 * np.pi * np.arange(rows) / 7)
    values = draw.normal(10, 3, (series, 1)) + draw.gamma(2, 1, (series, 1)) * cycle + draw.normal(size=(series, rows))
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"shop {i}" for i in range(series)], rows),
            "ds": np.tile(pd.date_range("2024-01-01", periods=rows), series),
            "y": values.ravel(),
        }
    )


def write_parts(table, folder, parts=3, **options):
    """Write a table as parts whose borders lie inside series."""
    folder.mkdir()
    edges = np.linspace(0, len(table), parts + 1).astype(int)
    for number, (begin, end) in enumerate(pairwise(edges)):
        table.iloc[begin:end].to_parquet(folder / f"part-{number}.parquet", index=False, **options)
    return folder


def in_order(frame):
    """Rows by series and time."""
    names = list(frame.columns[:2])
    return frame.astype({names[0]: object}).sort_values(names, ignore_index=True)
