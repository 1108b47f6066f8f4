"""Trials of a study, and the comparison of the best one with the base."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from swt_time.config import Config
from swt_time.evaluation.ablation.summary import T_975
from swt_time.selection.keeping import LEVEL, MARGIN, Judgement, compare
from swt_time.tuning.folds import FoldErrors, mean_error

State = Literal["finished", "pruned", "failed"]

UNITS = "stretches of a horizon"


@dataclass(frozen=True)
class Trial:
    """One configuration of a study.

    Attributes
    ----------
    number : int
        0 is the base.
    parameters : mapping
        Values by dotted key, those of choices by their name.
    state : {"finished", "pruned", "failed"}
        A pruned trial has errors on the first folds only.
    folds : tuple of FoldErrors
        The latest block first.
    message : str
        Why it failed.
    seconds : float
        Wall time.
    """

    number: int
    parameters: Mapping[str, Any]
    state: State
    folds: tuple[FoldErrors, ...] = ()
    message: str = ""
    seconds: float = 0.0

    @property
    def error(self) -> float:
        """Mean of the errors over folds."""
        return mean_error(self.folds)

    @property
    def spread(self) -> float:
        """Sample standard deviation of the errors over folds."""
        return statistics.stdev(one.error for one in self.folds)

    def settings(self) -> str:
        """Return the parameters as ``key=value, key=value``."""
        values = (f"{one:.4g}" if isinstance(one, float) else one for one in self.parameters.values())
        return ", ".join(f"{key}={value}" for key, value in zip(self.parameters, values, strict=True))

    def describe(self) -> str:
        """Describe the trial in one line."""
        what = "the base configuration" if self.number == 0 else self.settings()
        if self.state == "failed":
            return f"failed: {self.message} ({what})"
        if self.state == "pruned":
            return f"pruned after {len(self.folds)} of the folds ({what})"
        return f"error {self.error:.4f} ({what}; {self.seconds:.1f} s)"


@dataclass(frozen=True)
class Tuned:
    """What a study found.

    Attributes
    ----------
    base : Config
    trials : tuple of Trial
        The first one is the base.
    config : Config
        The recommended configuration: the base, unless the best trial is clearly better.
    best_config : Config
        The configuration of the best trial, whether it is clearly better or not.
    rows : str
        Which rows the study has read.
    """

    base: Config
    trials: tuple[Trial, ...]
    config: Config
    best_config: Config
    rows: str

    @property
    def best(self) -> Trial:
        """The trial with the lowest error; the base where no other is lower."""
        return best_of(self.trials)

    @property
    def judgement(self) -> Judgement | None:
        """The paired comparison of the best trial with the base; None if the base is the best."""
        return judge(self.trials)

    @property
    def clear(self) -> bool:
        """Whether the best trial is clearly better than the base."""
        return is_clear(self.trials)

    def lines(self) -> list[str]:
        """Describe the study in a few lines."""
        return [*self._found(), self.rows]

    def _found(self) -> Iterator[str]:
        base, best = self.trials[0], self.best
        states = [one.state for one in self.trials]
        counts = [f"{states.count(state)} {state}" for state in ("finished", "pruned", "failed") if state in states]
        many = "trial" if len(self.trials) == 1 else "trials"
        yield f"{len(self.trials)} {many} ({', '.join(counts)}), {len(base.folds)} folds"
        yield f"base:        {_errors(base)}"
        judgement = self.judgement
        if judgement is None:
            yield "recommended: the base; no trial has a lower error"
            return
        yield f"best:        {_errors(best)}, trial {best.number}: {best.settings()}"
        lower = sum(ours.error < theirs.error for ours, theirs in zip(best.folds, base.folds, strict=True))
        yield (
            f"difference:  {_interval(judgement)} of the base's error over {judgement.blocks} {UNITS}; p = "
            f"{judgement.p:.2g} for the best of {judgement.validations} trials; lower in {lower} of {len(base.folds)} "
            "folds"
        )
        rule = f"a gain of {MARGIN:.0%} with p up to {LEVEL:g}, and a lower error in every fold"
        if self.clear:
            yield f"recommended: the best trial, which is clearly better than the base ({rule})"
        else:
            yield f"recommended: the base; the gain is not clear (it would be with {rule})"


def best_of(trials: Sequence[Trial]) -> Trial:
    """Return the finished trial with the lowest error, the first of several."""
    return min((one for one in trials if one.state == "finished"), key=lambda one: one.error)


def judge(trials: Sequence[Trial]) -> Judgement | None:
    """Compare the best trial with the base; see `swt_time.selection.keeping.compare`.

    The p-value is multiplied by the number of trials, among which the best was chosen.
    """
    base, best = trials[0], best_of(trials)
    if best.number == 0:
        return None
    errors = [[one for fold in trial.folds for one in fold.stretches] for trial in (base, best)]
    return compare(np.array(errors).T, UNITS, len(errors[0]), len(trials))


def is_clear(trials: Sequence[Trial]) -> bool:
    """Whether the best trial earns its place by the rule for branches, and has a lower error in every fold."""
    judgement, base, best = judge(trials), trials[0], best_of(trials)
    if judgement is None or not judgement.earned:
        return False
    return all(ours.error < theirs.error for ours, theirs in zip(best.folds, base.folds, strict=True))


def _errors(trial: Trial) -> str:
    folds = ", ".join(f"{one.error:.4f}" for one in trial.folds)
    return f"error {trial.error:.4f} ± {trial.spread:.4f} over folds ({folds})"


def _interval(judgement: Judgement) -> str:
    half = T_975[min(judgement.blocks - 1, len(T_975)) - 1] * judgement.standard_error
    return f"{-judgement.gain:+.1%} (95 % interval {-judgement.gain - half:+.1%} to {-judgement.gain + half:+.1%})"
