"""What a report is about: a model, a table, its forecast, and how good such forecasts were."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from swt_time.data.frequency import season_length
from swt_time.data.origins import ends, values_after
from swt_time.data.series import SeriesTable
from swt_time.data.windows import evenly
from swt_time.errors import SWTTimeWarning, TableError
from swt_time.evaluation.backtesting import Folds, backtest, cross_validate, seen_rows
from swt_time.evaluation.fitting import fit_table
from swt_time.evaluation.fold_scores import BASELINES, MODEL, FoldScores, score_folds
from swt_time.evaluation.metrics import ErrorSums
from swt_time.evaluation.naive import naive_forecasts
from swt_time.evaluation.scoring import mase_scales
from swt_time.evaluation.short_series import forecastable
from swt_time.evaluation.told import from_ends
from swt_time.evaluation.trained import Trained
from swt_time.evaluation.uncertainty import LEVELS, Uncertainty
from swt_time.report.words import count

MOST_SCORED = 1000
"""Most series that are forecast from past cutoffs; of more an even sample."""


UNSEEN = "The model was used as it is; it was not trained on the rows that are scored."
REFITTED = (
    "The model was trained on rows after the first cutoff, so these forecasts are by a model of the same configuration "
    "that was fitted on the rows before the first cutoff."
)
SEEN = (
    "The model was used as it is, and it was, or may have been, trained on rows that are scored here: on new rows the "
    "errors are likely to be higher."
)


@dataclass(frozen=True)
class Ahead:
    """The forecast after the end of a table.

    Attributes
    ----------
    series : SeriesTable
        The ``N`` series that are forecast.
    yhat : (N, H) array
    around : mapping of str to (N, H) array
        Columns of intervals, by name; see `swt_time.evaluation.uncertainty`.
    """

    series: SeriesTable
    yhat: np.ndarray
    around: Mapping[str, np.ndarray]

    @property
    def levels(self) -> list[str]:
        """Levels of the intervals, the widest first."""
        names = [name.removeprefix("yhat-lo-") for name in self.around if name.startswith("yhat-lo-")]
        return sorted(names, key=float, reverse=True)


@dataclass(frozen=True)
class Past:
    """Forecasts from past cutoffs and their errors.

    Attributes
    ----------
    folds : Folds
    scores : FoldScores
    how : str
        Sentences that say which model made the forecasts, and what it had seen.
    """

    folds: Folds
    scores: FoldScores
    how: str

    def by_step(self) -> tuple[dict[str, np.ndarray], str]:
        """Return the errors of each step, (H,), by method, and what they are.

        They are absolute errors in the units of the table, and scaled ones (MASE) where there are several series.
        """
        series, pairs, (many, _, horizon) = self.folds.series, self.folds.pairs, self.folds.yhat.shape
        target = values_after(series, pairs, horizon)
        forecasts = {
            MODEL: self.folds.yhat.reshape(-1, horizon),
            BASELINES[0]: naive_forecasts(series, pairs, season_length(series.frequency), horizon),
            BASELINES[1]: naive_forecasts(series, pairs, 1, horizon),
        }
        scales = mase_scales(series, self.folds.origins[:, 0].tolist())
        scaled = many > 1 and bool((np.nan_to_num(scales) > 0).any())
        found = {}
        for name, yhat in forecasts.items():
            sums = ErrorSums(horizon, many, scales)
            sums.update(yhat, target, pairs[:, 0])
            found[name] = sums.per_step()["mase" if scaled else "mae"]
        return found, "Mean absolute scaled error (MASE)" if scaled else "Mean absolute error"


@dataclass(frozen=True)
class Facts:
    """Everything that a report says.

    Attributes
    ----------
    title : str
    trained : Trained
    series : SeriesTable
        The table.
    ahead : Ahead or None
        None in the report of a backtest.
    past : Past or None
        None if no series is long enough.
    remarks : tuple of str
        Notes on the table and on the model that came up on the way.
    """

    title: str
    trained: Trained
    series: SeriesTable
    ahead: Ahead | None = None
    past: Past | None = None
    remarks: tuple[str, ...] = field(default=())


@contextmanager
def collected(remarks: list[str]) -> Iterator[None]:
    """Add the warnings of swt-time to a list; they are shown all the same, afterwards."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", SWTTimeWarning)
        yield
    for one in found:
        if issubclass(one.category, SWTTimeWarning) and str(one.message) not in remarks:
            remarks.append(str(one.message))
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def look_ahead(trained: Trained, series: SeriesTable, levels: Sequence[float], *, strict: bool = False) -> Ahead:
    """Forecast the steps after the end of every series, with intervals of the levels that the model has."""
    known = forecastable(trained, from_ends(series), strict=strict)
    yhat = trained.forecast_origins(known, ends(known))
    asked = Uncertainty(levels if trained.calibration is not None else ())
    return Ahead(known, yhat, asked.columns(trained, known, ends(known), yhat))


def look_back(
    trained: Trained,
    series: SeriesTable,
    windows: int,
    *,
    step: int | None = None,
    levels: Sequence[float] = LEVELS,
    report: Callable[[str], None] = lambda line: None,
) -> Past | None:
    """Forecast from past cutoffs, by a model that has not seen the rows after them where there can be one.

    A model of closed forms that was trained on rows after the first cutoff is fitted again, with its configuration, on
    the rows before it. One that is trained by gradients is used as it is, and the report says what it has seen.

    Parameters
    ----------
    trained : Trained
    series : SeriesTable
    windows : int
        Cutoffs of each series; fewer where no series is long enough.
    step : int, optional
        Rows between cutoffs; by default the horizon.
    levels : sequence of float
        Intervals that are scored.
    report : callable
        Called with what is being done, in words.
    """
    sample = evenly(len(series.ids), MOST_SCORED).tolist()
    some = series if len(sample) == len(series.ids) else series.select(sample)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SWTTimeWarning)  # the report says the same in its own words
        folds = _roll(trained, some, windows, step)
        if folds is None:
            return None
        how = as_it_is(trained, series, folds)
        if how == SEEN and trained.is_closed_form and some.covariates.told is None:
            report("fitting on the rows before the first cutoff, to measure the errors")
            again = _refit(trained, some, folds.origins.shape[1], step)
            folds, how = (folds, how) if again is None else (again, REFITTED)
        scores = score_folds(folds, levels)
    if len(folds.series.ids) < len(series.ids):
        how += f" {len(folds.series.ids):,} of {count(len(series.ids), 'series', 'series')} were scored, which "
        how += (
            "are spread evenly over the table and long enough."
            if len(some.ids) < len(series.ids)
            else "are long enough."
        )
    return Past(folds, scores, how)


def as_it_is(trained: Trained, series: SeriesTable, folds: Folds) -> str:
    """Return what a model that forecast from past cutoffs had seen of the rows after them."""
    return UNSEEN if seen_rows(trained, series, folds.series.lengths, folds.origins[:, 0]) is None else SEEN


def _roll(trained: Trained, series: SeriesTable, windows: int, step: int | None) -> Folds | None:
    """Forecasts from as many cutoffs as the table allows, at most ``windows``."""
    for number in range(windows, 0, -1):
        try:
            return cross_validate(trained, series, number, step)
        except TableError:
            continue
    return None


def _refit(trained: Trained, series: SeriesTable, windows: int, step: int | None) -> Folds | None:
    """Return forecasts by a model of the same configuration that is fitted on the rows before the first cutoff.

    None if they are too few.
    """
    config = trained.checkpoint.config
    for number in range(windows, 0, -1):
        try:
            return backtest(lambda known: fit_table(known, config).trained, series, config.data.horizon, number, step)
        except TableError:
            continue
    return None
