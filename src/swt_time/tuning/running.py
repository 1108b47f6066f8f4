"""The trials of a study: draw a configuration, fit and score it on every fold, and prune it where others are better."""

import contextlib
import json
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from swt_time.config import Config
from swt_time.config.identity import config_hash
from swt_time.errors import ConfigError, SWTTimeError, first_line
from swt_time.tuning.folds import FoldErrors, Folds, mean_error
from swt_time.tuning.result import State, Trial
from swt_time.tuning.space import Range, Space, configuration, parameters_of

FEWEST = 5
"""Finished trials before the first one is pruned."""

DRAWS = 20
"""Most draws of a trial whose configuration was tried before, the second half of them evenly over the space; the last
one counts, at no cost."""

FAILURES = (SWTTimeError, MemoryError, RuntimeError)
"""What a trial may fail by: PyTorch raises a RuntimeError where memory is short."""

TINY = 1e-12
"""Smallest error that others are divided by."""


class Runner:
    """Runs the trials of a study one after the other.

    Every trial is drawn from those before it, in a study of its own and by a generator that is seeded for it. So a
    study that was interrupted goes on as if it had not been.

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
        self._distributions = {key: distribution(optuna, one) for key, one in space.items()}
        self._former = list(former)
        self._known: dict[str, list[FoldErrors]] = {}
        self._tried: set[str] = set()
        self._said: set[str] = set()
        self.trials = [self._described(one) for one in former]
        for one in self.trials:
            self._tried.add(self._name(one.parameters) if one.number else config_hash(base))
            if one.folds:
                known = self._known.setdefault(config_hash(self._configuration(one)), [])
                known += one.folds[len(known) :]

    def run(self) -> Any:
        """Run the next trial, and return it as one of Optuna."""
        with self._each_warning_once():
            found = self._run() if self.trials else self._run_base()
        self._former.append(found)
        self.trials.append(self._described(found))
        return found

    def _run_base(self) -> Any:
        """Score the base, whose failure is an error of the study."""
        began = time.monotonic()
        found = [self._errors(self._base, fold) for fold in range(len(self._blocks))]
        # a value that a range does not hold (auto, or none) is no parameter of Optuna
        parameters = parameters_of(self._base, self._space)
        study = self._optuna.create_study(direction="minimize")
        study.add_trial(
            self._optuna.trial.create_trial(
                params=parameters,
                distributions={key: self._distributions[key] for key in parameters},
                value=mean_error(found),
                intermediate_values=dict.fromkeys(range(len(found)), 1.0),
                user_attrs=_attributes(found, "", time.monotonic() - began),
            )
        )
        self._tried.add(config_hash(self._base))
        return study.trials[-1]

    def _draw(self) -> tuple[Any, Any]:
        """Draw a trial from those before it, again if it was tried before; return it with the study that it is in."""
        optuna, number = self._optuna, len(self.trials)
        for attempt in range(DRAWS):
            seed = np.random.SeedSequence([self._base.training.seed, number, attempt]).generate_state(1)
            samplers = optuna.samplers
            sampler = samplers.TPESampler if 2 * attempt < DRAWS else samplers.RandomSampler
            study = optuna.create_study(
                direction="minimize",
                sampler=sampler(seed=int(seed[0])),
                pruner=optuna.pruners.MedianPruner(n_startup_trials=FEWEST),
            )
            study.add_trials(self._former)
            trial = study.ask(self._distributions)
            if self._name(trial.params) not in self._tried:
                break
        self._tried.add(self._name(trial.params))
        return study, trial

    def _name(self, parameters: Mapping[str, Any]) -> str:
        """Return what is equal for trials that compute the same."""
        try:
            return config_hash(configuration(self._base, self._space, parameters))
        except ConfigError:
            return json.dumps(dict(parameters), sort_keys=True)

    def _run(self) -> Any:
        states = self._optuna.trial.TrialState
        (study, trial), began = self._draw(), time.monotonic()
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
        study.tell(trial, mean_error(found) if state == states.COMPLETE else None, state=state)
        return study.trials[-1]

    def _errors(self, config: Config, fold: int) -> FoldErrors:
        """Errors on a fold; those of a configuration that had its turn are not computed again."""
        known = self._known.setdefault(config_hash(config), [])
        if fold == len(known):
            known.append(self._blocks.errors(config, fold))
        return known[fold]

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
