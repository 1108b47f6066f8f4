"""Search configurations: a table and a base configuration in, the recommended configuration out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from swt_time.config import Config
from swt_time.data.series import SeriesTable
from swt_time.data.splits import filled_parts
from swt_time.errors import ConfigError, InputError
from swt_time.evaluation.told import tell
from swt_time.evaluation.trained import read_noted
from swt_time.files import expand_user
from swt_time.tuning.defaults import default_space
from swt_time.tuning.folds import Folds, check_count
from swt_time.tuning.result import Trial, Tuned, best_of, is_clear
from swt_time.tuning.running import Runner
from swt_time.tuning.space import Range, check_space, configuration
from swt_time.tuning.study import identity, import_optuna, open_study, quiet

FOLDS, TRIALS = 3, 20


def tune_table(
    table: Any,
    config: Config,
    *,
    trials: int = TRIALS,
    study: str | Path | None = None,
    space: Mapping[str, Range | Sequence[Any]] | None = None,
    folds: int = FOLDS,
    static: Any = None,
    notes: Any = None,
    report: Callable[[Trial], None] = lambda trial: None,
) -> Tuned:
    """Search configurations with Optuna, judged by forecasts of held-out blocks of the rows before the test part.

    Every block is forecast by a model that is fitted on the rows before it. The first trial is the base configuration,
    and the base is recommended unless the best trial is clearly better: by at least 1 %, with a p-value of at most
    0.05 over stretches of a horizon, multiplied by the number of trials, and in every fold.

    Parameters
    ----------
    table : DataFrame
        As in `Forecaster.fit`.
    config : Config
        The base, such as ``Forecaster(horizon=24, preset="fast").config``. Its ``training.seed`` is also that of the
        study.
    trials : int
        Number of trials in all, those of a study that is continued included.
    study : path, optional
        File of the study, in Optuna's journal format. If it exists, the study is continued.
    space : mapping, optional
        What is searched, by dotted key: a `Range`, or a sequence of values. By default a few keys that matter for the
        kind of the base.
    folds : int
        Number of held-out blocks, at least 2.
    static, notes : DataFrame, optional
        As in `Forecaster.fit`.
    report : callable
        Called with each trial when it has ended.

    Returns
    -------
    Tuned
        With ``config`` (recommended), ``trials``, ``best`` and ``lines()``.

    Raises
    ------
    ConfigError
        The space is not valid, or the study belongs to another table, base or space (the message names which).
    TableError
        The table has too few rows for the folds, or for the base.
    MissingDependencyError
        Optuna is not installed.
    """
    import_optuna()
    series = tell(read_noted(table, config.data, static=static), notes, config)
    return tune_series(series, config, trials=trials, study=study, space=space, folds=folds, report=report)


def tune_series(
    series: SeriesTable,
    base: Config,
    *,
    trials: int = TRIALS,
    study: str | Path | None = None,
    space: Mapping[str, Range | Sequence[Any]] | None = None,
    folds: int = FOLDS,
    report: Callable[[Trial], None] = lambda trial: None,
) -> Tuned:
    """Search configurations for a table that was read before; otherwise as `tune_table`."""
    optuna = import_optuna()
    if trials < 1:
        raise ConfigError(f"trials=...: expected at least 1, got {trials}")
    check_count(folds)
    blocks = Folds(series, base, folds)
    searched = check_space(default_space(base, blocks.contexts(base)) if space is None else space, base)
    path, own = None if study is None else expand_user(study, InputError), identity(blocks.table, base, searched, folds)
    with quiet(optuna), open_study(optuna, path, own) as journal:
        runner = Runner(optuna, blocks, base, searched, journal.trials)
        while len(runner.trials) < trials:
            journal.add(runner.run())
            report(runner.trials[-1])
        found = tuple(runner.trials)
    best = configuration(base, searched, best_of(found).parameters) if best_of(found).number else base
    return Tuned(base, found, best if is_clear(found) else base, best, _rows(base.data.split))


def _rows(split: str) -> str:
    if split != "auto" and "test" in filled_parts(split):
        return f"rows:        those before the test part (data.split {split}), which was not read"
    return f"rows:        all, since data.split {split} has no test part: errors on these rows are not independent"
