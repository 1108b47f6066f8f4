"""Scores over every window of a part, for anything that forecasts windows."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from swt_time.baselines import SeasonalNaive, WindowForecaster, season_length
from swt_time.data.parts import PartWindows, split_table
from swt_time.data.series import SeriesTable
from swt_time.errors import ConfigError, TableError
from swt_time.metrics import ErrorSums

BATCH = 512


@dataclass(frozen=True)
class Scores:
    """Errors on scaled data over all points of all windows.

    Attributes
    ----------
    mse, mae : float
    windows : int
        Forecast origins: the columns of a wide table share a window, the series of a long table have their own.
    horizon, series : int
    per_series : dict
        ``{id: {"mse": ..., "mae": ...}}``.
    """

    mse: float
    mae: float
    windows: int
    horizon: int
    series: int
    per_series: dict[str, dict[str, float]]


def score(
    forecaster: WindowForecaster,
    part: PartWindows,
    ids: tuple[str, ...],
    *,
    layout: str,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Scores:
    """Score every window of a part, none left out.

    Parameters
    ----------
    forecaster : WindowForecaster
    part : PartWindows
    ids : tuple of str
        Names of the series, in the part's order.
    layout : {"long", "wide"}
        Whether windows are counted once for all columns (wide) or once a series (long).
    report : callable
        Told how many windows are done, and of how many.
    """
    total = len(part)
    sums = ErrorSums(part.windows.horizon, len(ids))
    for begin in range(0, total, BATCH):
        numbers = np.arange(begin, min(begin + BATCH, total))
        contexts, targets = part.gather(numbers)
        sums.update(forecaster.forecast_windows(contexts), targets, part.series_of(numbers))
        report(int(numbers[-1]) + 1, total)
    by_series = sums.per_channel()
    return Scores(
        mse=sums.mse,
        mae=sums.mae,
        windows=int(part.windows.counts.max()) if layout == "wide" else total,
        horizon=part.windows.horizon,
        series=len(ids),
        per_series={
            name: {"mse": float(by_series["mse"][i]), "mae": float(by_series["mae"][i])} for i, name in enumerate(ids)
        },
    )


@dataclass(frozen=True)
class Evaluation:
    """A model's scores beside those of seasonal naive on the same windows."""

    model: Scores
    seasonal_naive: Scores
    season: int
    split: str

    def as_json(self) -> dict[str, object]:
        """Plain values; the model's scores stand at the top."""
        naive = {"mse": self.seasonal_naive.mse, "mae": self.seasonal_naive.mae, "season": self.season}
        return {**asdict(self.model), "split": self.split, "seasonal_naive": naive}


def evaluate_table(
    forecaster: WindowForecaster,
    series: SeriesTable,
    split: str,
    context: int,
    horizon: int,
    *,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Score a forecaster on every test window of a table, beside seasonal naive.

    The scaler is fitted on this table's own train part, so that a model can be scored on a table it never saw.

    Raises
    ------
    ConfigError
        The split has no test part.
    TableError
        The test part is too short for a single window.
    """
    parts = split_table(series, split, context, horizon)
    if len(parts.test) == 0:
        if split == "none":
            raise ConfigError("the split 'none' has no test part; name one with --split, such as 0.7/0.1/0.2")
        raise TableError(
            f"the test part of split {split} holds no window of horizon {horizon}; provide more rows or another --split"
        )
    season = season_length(series.frequency)
    naive = score(SeasonalNaive(season, horizon), parts.test, series.ids, layout=series.layout)
    model = score(forecaster, parts.test, series.ids, layout=series.layout, report=report)
    return Evaluation(model, naive, season, split)
