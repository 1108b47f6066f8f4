"""Static covariates: what is known of a series as a whole, such as its kind or its region."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from swt_time.data.covariates import Covariate, read_cells
from swt_time.errors import TableError


def read_static(
    names: Sequence[str], table: nw.DataFrame[Any], numbers: np.ndarray, codes: np.ndarray | None, ids: Sequence[str]
) -> list[Covariate]:
    """Read columns with one value for each series.

    Parameters
    ----------
    names : sequence of str
    table : nw.DataFrame
    numbers : (R,) int array
        Row numbers for messages.
    codes : (R,) int array, optional
        Series of each row; -1 for a series that is not read. None if every row is one of all series.
    ids : sequence of N str

    Raises
    ------
    TableError
        A series has no value, or several ones.
    """
    found = []
    for name in names:
        cells, values = read_cells(table[name], numbers), []
        rows = np.flatnonzero(~np.asarray(pd.isna(cells)))
        begin, end = np.zeros(len(ids), np.int64), np.full(len(ids), len(rows))
        if codes is not None:
            rows = rows[np.argsort(codes[rows], kind="stable")]
            begin, end = (np.searchsorted(codes[rows], np.arange(len(ids)), side) for side in ("left", "right"))
        for index, series in enumerate(ids):
            own = cells[rows[begin[index] : end[index]]]
            if not len(own):
                raise TableError(f"static covariate {name!r} has no value for series {series!r}; add its row")
            if (own != own[0]).any():
                raise TableError(
                    f"static covariate {name!r} has several values for series {series!r}, {own[0]!r} among them; "
                    "expected one: name a column that changes in time in data.known or data.past"
                )
            values.append(own[:1])
        found.append(Covariate(name, tuple(values), "static"))
    return found
