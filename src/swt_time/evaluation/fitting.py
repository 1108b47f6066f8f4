"""Fit a forecaster to a table: what is open is chosen on held-out blocks, then it is trained and given intervals."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from swt_time.callbacks import Callback, Calls
from swt_time.checkpoints import (
    Start,
    check_output_folder,
    describe_training,
    fit_in_folder,
    fit_in_memory,
    locked,
    read_start,
    with_effects,
    write_checkpoint,
)
from swt_time.checkpoints.branch import left_out
from swt_time.checkpoints.branch_record import is_left_out
from swt_time.config import Config
from swt_time.config.branch import without_branch
from swt_time.data.parts import split_table
from swt_time.data.series import SeriesTable, remember_ids
from swt_time.data.windows import plan_split
from swt_time.effects import FittedEffects
from swt_time.errors import CheckpointError
from swt_time.evaluation.calibrating import calibrate
from swt_time.evaluation.earning import judged, why_not_trained
from swt_time.evaluation.effects import apart_from, choose_effects
from swt_time.evaluation.several import check_same, follow, tell_checkpoint, tell_choice
from swt_time.evaluation.trained import Trained
from swt_time.files import expand_user
from swt_time.processes import Processes, joined
from swt_time.selection import CLOSED_FORM, Choice, choose, fit_blend
from swt_time.training import Event, TrainingResult


@dataclass(frozen=True)
class Fitted:
    """What a fit gave.

    Attributes
    ----------
    config : Config
        With the values that were chosen in place of ``auto``.
    trained : Trained
    result : TrainingResult
    choice : Choice or None
        None if the configuration left nothing open.
    effects : FittedEffects or None
        Of what is known beside the values; None if nothing is.
    """

    config: Config
    trained: Trained
    result: TrainingResult
    choice: Choice | None
    effects: FittedEffects | None = None


class FitOptions(TypedDict, total=False):
    """How a table is fitted; see `swt_time.forecaster.Forecaster.fit`."""

    out: str | Path | None
    resume: bool
    start: str | Path | Start | None
    report: Callable[[Event], None]
    callbacks: Sequence[Callback]


def fit_table(
    series: SeriesTable,
    asked: Config,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    start: str | Path | Start | None = None,
    report: Callable[[Event], None] = lambda event: None,
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Fit a forecaster; parameters and errors are those of `swt_time.forecaster.Forecaster.fit`.

    A training that was stopped by a signal gives a result that says so, and no intervals yet. In processes that a
    launcher started, all train together and return the same; the first one writes, reports and calls the callbacks.
    """
    calls = Calls(callbacks, report)
    with joined() as processes:
        check_same(processes, series, asked)
        if not processes.first:
            return Fitted(*follow(processes, series, asked.training.device))
        try:
            found = _fit(series, asked, out=out, resume=resume, start=start, report=calls, processes=processes)
        except BaseException as error:
            calls.failed(error)
            raise
        calls.ended(found.result, found.trained.checkpoint)
        return found


def _fit(
    series: SeriesTable,
    asked: Config,
    *,
    out: str | Path | None,
    resume: bool,
    start: str | Path | Start | None,
    report: Callable[[Event], None],
    processes: Processes,
) -> Fitted:
    folder = None if out is None else expand_user(out, CheckpointError)
    if folder is not None:
        check_output_folder(folder, overwrite=True)
    begin = read_start(start, folder, resume=resume)
    effects = choose_effects(series, asked, report)
    rest, compared = apart_from(series, effects)
    config, choice, residuals = asked, None, None
    if asked.automatic or asked.model.panel:
        config, choice, residuals = choose(compared, asked, report)
        effects = None if effects is None else effects.beside(residuals)
    config = remember_ids(config, series)
    data, pad, device = config.data, config.short == "pad", config.training.device
    trains = choice is None or choice.weights[CLOSED_FORM] > 0
    if trains:
        plan_split(series.lengths, data.split, data.steps, data.horizon, pad=pad)
    parts = split_table(rest, data.split, data.steps, data.horizon, train_fraction=data.train_fraction, pad=pad)
    asked_branch, not_trained = config, why_not_trained(config, parts, weighed=trains, starts=begin is not None)
    if not_trained is not None:
        config, begin = without_branch(config), None
    tell_choice(processes, config, series, rest)
    provenance = describe_training(series, config.training.seed)
    with contextlib.nullcontext() if folder is None else locked(folder):
        written = None
        if folder is None or not trains:
            model, checkpoint, result = fit_in_memory(
                config, parts, provenance, trains=trains, report=report, start=begin, processes=processes
            )
        else:
            model, checkpoint, result = fit_in_folder(
                config, parts, provenance, folder, resume=resume, report=report, start=begin, processes=processes
            )
            written = checkpoint
        interrupted = result.ended == "interrupted"
        if not_trained is not None:
            checkpoint = left_out(checkpoint, model, asked_branch, not_trained)
        elif not interrupted:
            checkpoint, model = judged(checkpoint, model, parts, result)
        if choice is not None:
            blend, choice = fit_blend(rest, config, choice)
            checkpoint = checkpoint.with_choice(choice, blend)
        if effects is not None:
            checkpoint = with_effects(checkpoint, effects.effects)
        if not interrupted:
            checkpoint = calibrate(Trained(checkpoint, model, device), parts, residuals, series, effects)
        if folder is not None and checkpoint is not written:
            write_checkpoint(folder, checkpoint, unfinished=interrupted)
    tell_checkpoint(processes, checkpoint)
    if is_left_out(checkpoint.provenance):
        config = checkpoint.config
    return Fitted(config, Trained(checkpoint, model, device), result, choice, effects)
