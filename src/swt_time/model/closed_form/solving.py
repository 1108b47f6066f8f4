"""Choose the form of the linear forecast on held-out windows, and solve it on the training windows.

Notes
-----
Every part of the form is a candidate. Of the season prior with and without the structural map, the form with the lower
mean log error over the folds is taken. The wavelet prior with its tilts, the last value as the centre of a window, and
weights of the windows are taken only for a gain of at least `LEAST_GAIN`, because they adapt to the blocks at hand: a
level that stays where it was last, for example, or windows that are alike.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np

from swt_time.config.choices import ClosedFormPart
from swt_time.data.windows import Windows, evenly
from swt_time.machine import one_thread
from swt_time.model.closed_form.folds import Blocks, Fold, completed
from swt_time.model.closed_form.lags import sum_moments
from swt_time.model.closed_form.moments import Moments, moments
from swt_time.model.closed_form.priors import Penalty, Prior, season_penalty, wavelet_penalties
from swt_time.model.closed_form.ridge import STRENGTHS, Equations, lowest, path
from swt_time.model.closed_form.structure import structural_map
from swt_time.processes import ALONE, Processes

MOST_WINDOWS = 2**17
"""Most windows that the sums run over where values are missing or windows are weighted. They are evenly spaced;
neighbouring windows share all but one sample."""

FOLDS = 5
"""Folds over contiguous training windows, where there are no blocks and no validation windows."""

LEAST_GAIN = 0.02
"""Share of the error on the folds that a part which adapts to the blocks at hand must gain to be taken."""

EXPONENTS = (1, 2)
"""Exponents of the window weights that are tried; see `moments`."""


class Gain(NamedTuple):
    """Share of the error on the folds that one part of the form gained, and whether it was taken."""

    part: str
    gain: float
    taken: bool


@dataclass(frozen=True)
class Solution:
    """The solved map, its form, and its errors.

    Attributes
    ----------
    weight : ndarray, (H, T)
        Double precision.
    prior : {"season", "wavelet", "plain"}
    strength, tilt : float
        The members of `STRENGTHS` and `TILTS` with the lowest error on the folds.
    structure : bool
        Whether the map is shrunk towards the structural map instead of zero.
    centre : {"mean", "last"}
        What a window and its forecast are relative to.
    exponent : int
        Windows weigh ``(std + 0.1)^-exponent``.
    train_mse : float
        Mean squared error on the training windows.
    held_out_mse : float
        Geometric mean of the mean squared errors on the held-out windows of the folds.
    folds : int
        Number of folds; 1 if the validation part alone was held out.
    gains : tuple of Gain
        What each part gained on the folds.
    """

    weight: np.ndarray
    prior: str
    strength: float
    tilt: float
    structure: bool
    centre: str
    exponent: int
    train_mse: float
    held_out_mse: float
    folds: int
    gains: tuple[Gain, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return the form, the errors and the gains as plain values, without the map."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("weight", "gains")}
        return {**values, "gains": [gain._asdict() for gain in self.gains]}

    def describe(self) -> str:
        """Describe the form, the errors and the gains in one line."""
        form = [f"{self.prior} prior", f"strength {self.strength:.3g}"]
        if self.prior == "wavelet":
            form.append(f"tilt {self.tilt:g}")
        if self.structure:
            form.append("shrunk towards the structural map")
        if self.centre == "last":
            form.append("relative to the last value")
        if self.exponent:
            form.append(f"windows weighted by their deviation to the power of -{self.exponent}")
        gains = "; ".join(f"{g.part} {g.gain:+.1%}{'' if g.taken else ' (left out)'}" for g in self.gains)
        held_out = f"held out {self.held_out_mse:.4f}" + (f" in {self.folds} folds" if self.folds > 1 else "")
        return f"{', '.join(form)}; train {self.train_mse:.4f}  {held_out}" + (f"; gains: {gains}" if gains else "")


class _Candidates(NamedTuple):
    """The priors that are tried first, and those that must gain on the best of them."""

    first: Sequence[Penalty]
    others: Sequence[Penalty]


class _Form(NamedTuple):
    """A form of the map, with its score (mean log error over the folds) and its best strength."""

    score: float
    strength: float
    penalty: Penalty
    structure: bool
    last: bool = False
    exponent: int = 0


@one_thread()
def solve(
    windows: Windows,
    validation: Windows | None,
    context: int,
    prior: Prior | None,
    parts: Sequence[ClosedFormPart] = (),
    *,
    processes: Processes = ALONE,
) -> Solution:
    """Solve the linear forecast in the form with the lowest error on held-out windows.

    Parameters
    ----------
    windows : Windows
        Training windows.
    validation : Windows, optional
        Held-out windows.
    context : int
        ``T``.
    prior : Prior, optional
        The transform of the wavelet prior; None gives plain ridge regression.
    parts : sequence of ClosedFormPart
        What is tried beside the wavelet prior. With ``blocks``, the form is chosen on blocks of training and validation
        windows (`swt_time.model.closed_form.folds`). Without it, or where the windows are too few for blocks, it is
        chosen on the validation windows, or on contiguous training windows if there are none.
    processes : Processes
        Those that divide the windows of every sum among them, and all solve.

    Returns
    -------
    Solution
        Fitted on all training windows, and on no others.
    """
    horizon = windows.gather(np.arange(1))[1].shape[1]
    season = windows.season
    others = list(wavelet_penalties(context, prior))
    candidates = (
        _Candidates([season_penalty(context, season)], others) if "season" in parts else _Candidates(others, [])
    )
    plain = sum_moments(windows, context, horizon, MOST_WINDOWS, processes)
    folds_of = _folds(windows, validation, plain, "blocks" in parts, processes)
    form, gains, count = _choose(folds_of, candidates, season, parts)
    used = evenly(len(windows), MOST_WINDOWS)
    train = moments(windows, used, form.exponent, processes=processes) if form.exponent else plain
    weight = _solve(train, form, season)
    return Solution(
        weight,
        form.penalty.name,
        form.strength,
        form.penalty.tilt,
        form.structure,
        "last" if form.last else "mean",
        form.exponent,
        plain.mse(weight),
        math.exp(form.score),
        count,
        gains,
    )


@dataclass(frozen=True)
class FormRecord:
    """The form of a map, as `Solution.record` gives it beside its errors."""

    prior: Literal["season", "wavelet", "plain"]
    strength: float
    tilt: float
    structure: bool
    centre: Literal["mean", "last"]
    exponent: int


@one_thread()
def solve_again(train: Moments, record: FormRecord, prior: Prior | None, season: int) -> np.ndarray:
    """Solve the linear forecast in a form that was chosen before; double precision, (H, T).

    Parameters
    ----------
    train : Moments
        Of training windows that are weighted as the form says.
    record : FormRecord
    prior : Prior, optional
        The transform of the wavelet prior.
    season : int

    Raises
    ------
    ValueError
        There is no such prior.
    """
    context = len(train.inputs)
    season_only = record.prior == "season"
    for penalty in [season_penalty(context, season)] if season_only else wavelet_penalties(context, prior):
        if (penalty.name, penalty.tilt) == (record.prior, record.tilt):
            last = record.centre == "last"
            return _solve(train, _Form(0.0, record.strength, penalty, record.structure, last), season)
    raise ValueError(f"no {record.prior} prior with tilt {record.tilt}")


def _solve(train: Moments, form: _Form, season: int) -> np.ndarray:
    mean = _prior_mean(train, season, form.structure, form.last)
    ((_, weight),) = path(train, form.penalty, 1e-9, mean=mean, last=form.last, strengths=[form.strength])
    return weight


def _folds(
    windows: Windows, validation: Windows | None, plain: Moments, wanted: bool, processes: Processes
) -> Callable[[int], list[Fold]]:
    """Return a function from the exponent of the window weights to the folds.

    With exponent 0 the moments of all training windows are ``plain``.
    """
    context, horizon = plain.products.shape
    held_out = validation if validation is not None and len(validation) else None
    if wanted:
        blocks = Blocks.divide([windows] if held_out is None else [windows, held_out], horizon)
        if blocks is not None:
            return partial(blocks.folds, processes=processes)
    indices = evenly(len(windows), MOST_WINDOWS)
    sums = partial(moments, windows, processes=processes)
    if held_out is not None:
        judged = sum_moments(held_out, context, horizon, MOST_WINDOWS, processes)
        return lambda exponent: [Fold(sums(indices, exponent) if exponent else plain, judged)]
    pieces = np.array_split(indices, min(FOLDS, len(indices)))
    if len(pieces) == 1:
        return lambda exponent: [Fold(sums(indices, exponent), sums(indices))]

    def contiguous(exponent: int) -> list[Fold]:
        rests = [np.concatenate([other for other in pieces if other is not piece]) for piece in pieces]
        return [Fold(sums(rest, exponent), sums(piece)) for rest, piece in zip(rests, pieces, strict=True)]

    return contiguous


def _choose(
    folds_of: Callable[[int], list[Fold]], candidates: _Candidates, season: int, parts: Sequence[ClosedFormPart]
) -> tuple[_Form, tuple[Gain, ...], int]:
    """Return the chosen form, the gains of the parts that were tried beside the first form, and the number of folds."""
    structures = (False, True) if "structure" in parts else (False,)
    folds = [completed(fold, candidates.first[0]) for fold in folds_of(0)]
    forms = _scored(folds, candidates.first, structures, season)
    best = min(forms, key=_score)
    gains = []
    if "structure" in parts:
        without, with_map = (min((f for f in forms if f.structure == one), key=_score) for one in structures)
        gains.append(Gain("structure", 1 - math.exp(with_map.score - without.score), best.structure))
    if candidates.others:
        best = _if_better(_outermost_first(folds, candidates.others, best, season), best, gains)
    if "last" in parts:
        forms = _scored(folds, [best.penalty], structures, season, near=best.strength, last=True)
        best = _if_better(forms, best, gains, "last")
    if "weights" in parts:
        best = _if_better(_weighted(folds, folds_of, best, season), best, gains, "weights")
    return best, tuple(gains), len(folds)


def _outermost_first(folds: Sequence[Fold], others: Sequence[Penalty], best: _Form, season: int) -> list[_Form]:
    """Score the first and the last of some priors, and those between if either is better than the present form."""
    ends, between = {0: others[0], len(others) - 1: others[-1]}.values(), others[1:-1]
    forms = _scored(folds, list(ends), [best.structure], season, near=best.strength)
    nearest = min(forms, key=_score)
    if nearest.score < best.score:
        forms += _scored(folds, between, [best.structure], season, near=nearest.strength)
    return forms


def _weighted(folds: Sequence[Fold], folds_of: Callable[[int], list[Fold]], best: _Form, season: int) -> list[_Form]:
    """Score exponents of the window weights, up to the first that is not better than the one before it."""
    forms = [best]
    for exponent in EXPONENTS:
        train = [completed(fold, best.penalty).train for fold in folds_of(exponent)]
        weighted = [Fold(new, old.held_out) for new, old in zip(train, folds, strict=True)]
        forms += _scored(
            weighted, [best.penalty], [best.structure], season, near=best.strength, last=best.last, exponent=exponent
        )
        if forms[-1].score >= forms[-2].score:
            break
    return forms[1:]


def _score(form: _Form) -> float:
    return form.score


def _if_better(forms: Sequence[_Form], best: _Form, gains: list[Gain], part: str | None = None) -> _Form:
    """Return the best of some forms if it gains enough, else the present one; record its gain."""
    found = min(forms, key=_score)
    gain = 1 - math.exp(found.score - best.score)
    gains.append(Gain(part or found.penalty.name, gain, gain >= LEAST_GAIN))
    return found if gain >= LEAST_GAIN else best


def _scored(
    folds: Sequence[Fold],
    candidates: Sequence[Penalty],
    structures: Sequence[bool],
    season: int,
    *,
    near: float = STRENGTHS[len(STRENGTHS) // 2],
    last: bool = False,
    exponent: int = 0,
) -> list[_Form]:
    """Score every prior with and without the structural map; each form with its best strength (see `lowest`)."""
    means = [[_prior_mean(fold.train, season, structure, last) for structure in structures] for fold in folds]
    found = []
    for candidate in candidates:
        equations = [Equations(fold.train, candidate, some, last) for fold, some in zip(folds, means, strict=True)]
        scores = cache(partial(_scores, folds, equations))
        for j, structure in enumerate(structures):
            near = lowest(near, _member(scores, j))
            found.append(_Form(scores(near)[j], near, candidate, structure, last, exponent))
    return found


def _scores(folds: Sequence[Fold], equations: Sequence[Equations], strength: float) -> list[float]:
    """Return the mean log error over the folds of the map of each prior mean."""
    pairs = zip(folds, equations, strict=True)
    errors = [[fold.held_out.mse(weight) for weight in one.maps(strength)] for fold, one in pairs]
    logs = np.log(np.maximum(errors, np.finfo(float).tiny))
    return [float(one) for one in logs.mean(axis=0)]


def _member(scores: Callable[[float], list[float]], j: int) -> Callable[[float], float]:
    return lambda strength: scores(strength)[j]


def _prior_mean(train: Moments, season: int, structure: bool, last: bool) -> np.ndarray | None:
    """Return the map that the solution is shrunk towards; None for zero, the mean of the window."""
    anchor = None
    if last:
        anchor = np.zeros(train.products.T.shape)
        anchor[:, -1] = 1
    return structural_map(train, season, anchor) if structure else anchor
