"""Effects of what is known beside the values, as a fit learns them."""

import time
from collections.abc import Callable

from swt_time.config import Config
from swt_time.data.series import SeriesTable
from swt_time.data.splits import series_borders
from swt_time.effects import FittedEffects, add_titles, add_windows, covariate_groups, fit_effects
from swt_time.effects.notes import NotesGroup
from swt_time.errors import TableError
from swt_time.selection.choosing import choose_split
from swt_time.training import Compared


def choose_effects(
    table: SeriesTable, config: Config, report: Callable[[Compared], None] = lambda event: None
) -> FittedEffects | None:
    """Learn the effects of covariates on the training rows; None if nothing is known beside the values.

    Groups without a gain on held-out folds are left out.
    """
    if not config.data.has_covariates and table.covariates.empty:
        return None
    missing = [name for name in config.data.static or () if name not in table.covariates]
    if missing:
        raise TableError(f"there is no static covariate {missing[0]!r}; add it to the table, or pass static=...")
    if config.data.titles is not None and not any(table.covariates.titles.texts if table.covariates.titles else ()):
        raise TableError(f"no series has a title (data.titles {config.data.titles!r}); add the column to the table, or "
                         "pass static=...")  # fmt: skip
    split = config.data.split
    if split == "auto":
        split = choose_split(table.lengths, config)
    rows = [one.train[1] for one in series_borders(table.lengths, split, pad=config.short == "pad")]
    began = time.perf_counter()
    groups = covariate_groups(table, config, rows)
    told = NotesGroup.fit(table, config.data.horizon, rows)
    fitted = fit_effects(table, config.data.horizon, rows, [*groups, *([] if told is None else [told])])
    fitted = add_titles(fitted, table, config.data.horizon, rows)
    fitted = add_windows(fitted, table, config.data.horizon, rows)
    report(Compared("effects of covariates", fitted.effects.error, time.perf_counter() - began))
    return fitted


def apart_from(table: SeriesTable, fitted: FittedEffects | None) -> tuple[SeriesTable, SeriesTable]:
    """Return a table without effects, and as candidates are compared on it; the table itself where there are none."""
    if fitted is None or not fitted.effects.groups:
        return table, table
    return fitted.effects.apart(table).rest, fitted.out_of_fold.rest
