"""Run a study: draw configurations, fit and score them on held-out blocks, and compare the best with the base."""

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swt_time.config import Config
from swt_time.config.identity import config_hash
from swt_time.data.series import SeriesTable
from swt_time.data.splits import filled_parts
from swt_time.errors import ConfigError, InputError, SWTTimeError, first_line
from swt_time.evaluation.told import tell
from swt_time.evaluation.trained import read_noted
from swt_time.files import expand_user
from swt_time.tuning.defaults import default_space
from swt_time.tuning.folds import FoldErrors, Folds, check_count, mean_error
from swt_time.tuning.result import State, Trial, Tuned, best_of, is_clear
from swt_time.tuning.space import Range, Space, check_space, configuration, parameters_of
from swt_time.tuning.study import identity, import_optuna, open_study, quiet

FOLDS, TRIALS = 3, 20

FEWEST = 5
"""Finished trials before the first one is pruned."""

FAILURES = (SWTTimeError, MemoryError, RuntimeError)
"""What a trial may fail by: PyTorch raises a RuntimeError where memory is short."""

TINY = 1e-12
"""Smallest error that others are divided by."""


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


class Runner:
    """Runs the trials of a study one after the other.

    Trials are drawn in memory, from those before them and from a generator that is seeded for each trial. So a study
    that was interrupted goes on as if it had not been.

    Parameters
    ----------
    optuna : module
    blocks : Folds
    base : Config
    space : mapping
    former : sequence
        Trials of Optuna that ran before.

    Attributes
    ----------
    trials : list of Trial
    """

    def __init__(self, optuna: Any, blocks: Folds, base: Config, space: Space, former: Sequence[Any]) -> None:
        self._optuna, self._blocks, self._base, self._space = optuna, blocks, base, space
        pruner = optuna.pruners.MedianPruner(n_startup_trials=FEWEST)
        self._study = optuna.create_study(direction="minimize", pruner=pruner)
        self._study.add_trials(former)
        self._distributions = {key: distribution(optuna, one) for key, one in space.items()}
        self._known: dict[str, list[FoldErrors]] = {}
        self._said: set[str] = set()
        self.trials = [self._described(one) for one in former]
        for one in self.trials:
            if one.folds:
                self._remember(self._configuration(one), one.folds)

    def run(self) -> Any:
        """Run the next trial, and return it as one of Optuna."""
        with self._each_warning_once():
            found = self._run() if self.trials else self._run_base()
        self.trials.append(self._described(found))
        return found

    def _run_base(self) -> Any:
        """Score the base, whose failure is an error of the study."""
        began = time.monotonic()
        found = [self._errors(self._base, fold) for fold in range(len(self._blocks))]
        # a value that a range does not hold (auto, or none) is no parameter of Optuna
        parameters = parameters_of(self._base, self._space)
        self._study.add_trial(
            self._optuna.trial.create_trial(
                params=parameters,
                distributions={key: self._distributions[key] for key in parameters},
                value=mean_error(found),
                intermediate_values=dict.fromkeys(range(len(found)), 1.0),
                user_attrs=_attributes(found, "", time.monotonic() - began),
            )
        )
        return self._study.trials[-1]

    def _run(self) -> Any:
        number, states = len(self.trials), self._optuna.trial.TrialState
        seed = np.random.SeedSequence([self._base.training.seed, number]).generate_state(1)
        self._study.sampler = self._optuna.samplers.TPESampler(seed=int(seed[0]))
        trial, began = self._study.ask(self._distributions), time.monotonic()
        found: list[FoldErrors] = []
        state, message = states.COMPLETE, ""
        try:
            config = configuration(self._base, self._space, trial.params)
            for fold in range(len(self._blocks)):
                found.append(self._errors(config, fold))
                # in units of the base, so that easy and hard folds count alike
                ratios = [
                    ours.error / max(theirs.error, TINY)
                    for ours, theirs in zip(found, self.trials[0].folds, strict=False)
                ]
                trial.report(float(np.mean(ratios)), fold)
                if fold + 1 < len(self._blocks) and trial.should_prune():
                    state = states.PRUNED
                    break
        except FAILURES as error:
            state, message = states.FAIL, first_line(error, longest=500)
        for name, value in _attributes(found, message, time.monotonic() - began).items():
            trial.set_user_attr(name, value)
        self._study.tell(trial, mean_error(found) if state == states.COMPLETE else None, state=state)
        return self._study.trials[-1]

    def _errors(self, config: Config, fold: int) -> FoldErrors:
        """Errors on a fold; those of a configuration that had its turn are not computed again."""
        known = self._known.setdefault(config_hash(config), [])
        if fold == len(known):
            known.append(self._blocks.errors(config, fold))
        return known[fold]

    def _remember(self, config: Config, folds: Sequence[FoldErrors]) -> None:
        known = self._known.setdefault(config_hash(config), [])
        known += folds[len(known) :]

    def _configuration(self, trial: Trial) -> Config:
        return self._base if trial.number == 0 else configuration(self._base, self._space, trial.parameters)

    def _described(self, trial: Any) -> Trial:
        names: dict[str, State] = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
        attributes = trial.user_attrs
        return Trial(
            number=trial.number,
            parameters=dict(trial.params),
            state=names[trial.state.name],
            folds=tuple(FoldErrors(error, tuple(stretches)) for error, stretches in attributes["folds"]),
            message=attributes["message"],
            seconds=attributes["seconds"],
        )

    @contextlib.contextmanager
    def _each_warning_once(self) -> Iterator[None]:
        """Show a warning once in a study rather than for every fit."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for one in caught:
            if str(one.message) not in self._said:
                self._said.add(str(one.message))
                warnings.warn(one.message, one.category, stacklevel=4)


def _attributes(folds: Sequence[FoldErrors], message: str, seconds: float) -> dict[str, Any]:
    """Return what a trial of Optuna keeps beside its parameters and value."""
    return {
        "folds": [[one.error, list(one.stretches)] for one in folds],
        "message": message,
        "seconds": round(seconds, 3),
    }


def distribution(optuna: Any, one: Any) -> Any:
    """Return a dimension of a space as a distribution of Optuna."""
    if not isinstance(one, Range):
        return optuna.distributions.CategoricalDistribution(one.record())
    kind = optuna.distributions.IntDistribution if one.integer else optuna.distributions.FloatDistribution
    return kind(one.low, one.high, log=one.log)
