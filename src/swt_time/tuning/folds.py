"""The objective of a study: the error of a configuration on held-out blocks of the rows before the test part.

Every block is forecast by a model that was fitted, as `swt_time.Forecaster.fit` does, on the rows before it. The
validation part that such a fit needs, to stop and to choose weights, lies before the block too, so the errors are those
on rows that decided nothing in the fit.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from swt_time.config import Config
from swt_time.data.frequency import season_length
from swt_time.data.series import SeriesTable, too_short
from swt_time.data.splits import parse_split
from swt_time.data.windows import plan_split
from swt_time.errors import ConfigError, SWTTimeWarning, TableError
from swt_time.evaluation.fitting import fit_table
from swt_time.panel import longest_history
from swt_time.selection.blocks import Block, held_out_blocks
from swt_time.selection.choosing import without_test
from swt_time.selection.contexts import feasible_contexts
from swt_time.selection.errors import HeldOut
from swt_time.training import raise_as_usual


@dataclass(frozen=True)
class FoldErrors:
    """Errors of a configuration on one held-out block, in units of seasonal naive before the block.

    Attributes
    ----------
    error : float
        Mean absolute error; series have equal shares.
    stretches : tuple of float
        The same of each stretch of the block in which forecasts begin within one horizon.
    """

    error: float
    stretches: tuple[float, ...]


class Folds:
    """Held-out blocks of a table, the latest first.

    Parameters
    ----------
    series : SeriesTable
        The test part of ``split`` is cut off first.
    config : Config
        The base configuration; names horizon and split.
    count : int

    Attributes
    ----------
    table : SeriesTable
        The rows before the test part.
    blocks : list of Block

    Raises
    ------
    TableError
        The table has fewer blocks.
    """

    def __init__(self, series: SeriesTable, config: Config, count: int) -> None:
        self.split, horizon = config.data.split, config.data.horizon
        self.table = series if self.split == "auto" else without_test(series, self.split)
        self.season = season_length(self.table.frequency)
        history = min(longest_history(self.season), int(self.table.lengths.max()))
        found = held_out_blocks(self.table.lengths, horizon, history, count=count)
        if len(found) < count:
            raise TableError(
                f"the rows before the test part have {len(found)} held-out blocks of data.horizon {horizon} and "
                f"{count} are asked for; provide more rows, or set folds=... to at most {max(len(found), 1)}"
            )
        self.blocks = [_forecastable(block, config, self.table) for block in found]
        self._held_out = [HeldOut(self.table, [block], horizon, self.season) for block in self.blocks]

    def __len__(self) -> int:
        return len(self.blocks)

    def contexts(self, config: Config) -> list[int]:
        """Return the contexts to try that a configuration can have on the rows before every block."""
        rows, horizon = [block.rows for block in self.blocks], config.data.horizon
        return [one for one in feasible_contexts(rows, horizon, self.season) if self._holds(config, one)]

    def _holds(self, config: Config, context: int) -> bool:
        split, horizon = self._before(config).data.split, config.data.horizon
        try:
            for block in self.blocks:
                if split != "auto":
                    plan_split(block.rows, split, context, horizon, pad=config.short == "pad")
        except TableError:
            return False
        return True

    def _before(self, config: Config) -> Config:
        """Return a configuration with the split of rows that have no test part."""
        return config.replace({"data.split": split_before(self.split)})

    def errors(self, config: Config, fold: int) -> FoldErrors:
        """Fit a configuration on the rows before a block, and return its errors on the block.

        Raises
        ------
        SWTTimeError
            The configuration cannot be fitted there, or its forecasts are not finite.
        KeyboardInterrupt, SystemExit
            Ctrl-C or SIGTERM.
        """
        block, held_out = self.blocks[fold], self._held_out[fold]
        used = self.table.select(block.series.tolist())
        known = used.cut(block.rows.tolist())
        try:
            fitted = fit_table(known, self._before(config))
        except TableError as error:
            raise TableError(f"on the rows before held-out block {fold + 1} of {len(self)}: {error}") from None
        if fitted.result.ended == "interrupted":
            raise_as_usual(fitted.result.signal)
        forecasts = fitted.trained.forecast_origins(used, _places(block))
        return FoldErrors(held_out.error(forecasts), tuple(held_out.absolute_by_group(forecasts).tolist()))


def _forecastable(block: Block, config: Config, table: SeriesTable) -> Block:
    """Return a block without the series that the base leaves out, because they are shorter than its context."""
    least = config.data.steps if config.short == "skip" and config.data.context != "auto" else 1
    kept = block.series[block.rows >= least]
    short = np.setdiff1d(block.series, kept)
    if len(kept) and len(short):
        reason = f"the base has a context of {least} rows"
        warnings.warn(too_short(table, short.tolist(), reason), SWTTimeWarning, stacklevel=4)
        pairs = block.pairs[np.isin(block.pairs[:, 0], kept)]
        block = replace(block, series=kept, rows=block.rows[block.rows >= least], pairs=pairs)
    return replace(block, later=block.later[:0])


def _places(block: Block) -> np.ndarray:
    """Return the origins of a block, with the index of each series among those of the block."""
    return np.stack([np.searchsorted(block.series, block.pairs[:, 0]), block.pairs[:, 1]], axis=1)


def split_before(split: str) -> str:
    """Return the split of rows without a test part: train and validation in the proportion of a split.

    Examples
    --------
    >>> split_before("0.7/0.1/0.2"), split_before("etth")
    ('0.875/0.125/0', '0.75/0.25/0')
    """
    if split in ("auto", "none"):
        return split
    train, validation, _ = parse_split(split) or (0.75, 0.25, 0.0)
    share = round(validation / (train + validation), 4)
    return f"{round(1 - share, 4):g}/{share:g}/0"


def check_count(folds: int) -> None:
    """Raise if so many folds say nothing about the spread between them."""
    if folds < 2:
        raise ConfigError(f"folds=...: expected at least 2, got {folds}: one block alone says nothing about chance")


def mean_error(folds: Sequence[FoldErrors]) -> float:
    """Return the mean of the errors over folds."""
    return float(np.mean([one.error for one in folds]))
