"""A training run in an output folder, where its best weights and its state are saved so that it can be resumed."""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swt_time.checkpoints.branch import as_asked
from swt_time.checkpoints.checkpoint import (
    Checkpoint,
    holds_checkpoint,
    make_checkpoint,
    read_checkpoint,
    result_of,
    write_checkpoint,
)
from swt_time.checkpoints.output import check_output_entries
from swt_time.checkpoints.run_state import SavedRun, discard_run, new_id, read_run, recorded, write_run
from swt_time.checkpoints.start import Start
from swt_time.checkpoints.updating import with_sums
from swt_time.config import STAND_INS, Config
from swt_time.data.parts import Parts
from swt_time.errors import CheckpointError, SWTTimeWarning
from swt_time.language import BackboneIdentity
from swt_time.language.finding import absolute_name
from swt_time.machine import resolve_device
from swt_time.model.alone import ClosedForm
from swt_time.processes import ALONE, Processes
from swt_time.training import Event, Run, TrainingResult, leave_unsolved, solve_alone, solves_alone

if TYPE_CHECKING:
    from swt_time.model import SWTTime
    from swt_time.training import TrainingState


NONE, CLOSED_FORM, LAYERS = b"none", b"closed form", b"layers"
"""What the first of several processes tells the others that it trains."""


def fit_in_folder(
    config: Config,
    parts: Parts,
    provenance: Mapping[str, Any],
    folder: Path,
    *,
    resume: bool,
    report: Callable[[Event], None],
    start: Start | None = None,
    processes: Processes = ALONE,
) -> tuple["SWTTime", Checkpoint, TrainingResult]:
    """Train a model, saving its best weights and the state of the run in a folder whose lock the caller holds.

    Parameters
    ----------
    config : Config
    parts : Parts
    provenance : mapping
        Recorded in the checkpoint; ``data_sha256`` identifies the table.
    folder : Path
    resume : bool
        Continue the run that was stopped in the folder. If there is none, start one; if it has ended, load its result;
        both give a warning.
    report : callable
        Called with every event.
    start : Start, optional
        The checkpoint whose weights a new run starts from. A run that is resumed needs none.
    processes : Processes
        Those that train together. This is the first one; the others call `fit_beside`.

    Returns
    -------
    model, checkpoint, result

    Raises
    ------
    CheckpointError
        The run to resume is damaged, or has another configuration, table or backbone.
    SaveError
        The operating system reported an error while saving; what was saved before is intact.
    """
    from swt_time.model import build_model
    from swt_time.training import check_memory, seeded, train_model

    check_output_entries(folder)
    check_memory(config, len(parts.train))
    config = config.replace({"backbone.name": absolute_name(config.backbone.name)})
    sha256 = str(provenance["data_sha256"])
    saved = None
    if resume:
        saved = read_run(folder)
        if saved is not None:
            _check_same(
                saved.config,
                config,
                backbone=saved.backbone,
                saved_sha256=saved.data_sha256,
                data_sha256=sha256,
                folder=folder,
            )
        else:
            ended = _load_ended(config, sha256, folder)
            if ended is not None:
                processes.share({"training": NONE})
                return ended
        if saved is None or saved.state is None:
            _warn(f"no training state has been completed in {folder} yet: the run starts from the beginning")
    processes.share({"training": LAYERS})
    state = None if saved is None else saved.state
    origin = saved.started_from if saved is not None else start.record() if start is not None else None
    if origin is not None:
        provenance = {**provenance, "started_from": origin}
        if state is None and start is None:
            start = Start.again(origin)
    run = SavedRun(config, sha256, started_from=origin, id=new_id() if saved is None else saved.id)
    with contextlib.ExitStack() as stack:
        keep = stack.enter_context(recorded(folder, run)) if state is None else _nothing
        random = stack.enter_context(seeded(config.training))
        with random.active():
            model = build_model(config, start=state is None).to(random.device)
        if start is not None and state is None:
            start.load_into(model, config)
        backbone = model.language_model.identity if model.language_model else None
        if saved is not None and state is not None and _weights(saved.backbone) != _weights(backbone):
            raise CheckpointError(
                f"the run in {folder} was started with the backbone {_named(saved.backbone)}, not with "
                f"{_named(backbone)}; provide the same one, or start a new run with overwrite=True"
            )

        def save_best(result: TrainingResult) -> None:
            checkpoint = make_checkpoint(config, model, parts, provenance, result)
            write_checkpoint(folder, checkpoint, unfinished=True)
            keep()

        def save_state(state: "TrainingState") -> None:
            write_run(folder, replace(run, backbone=backbone, state=state))
            keep()

        result = train_model(
            model,
            parts.train,
            parts.validation,
            config.training,
            random=random,
            resume=state,
            begin=_reporting(report, run.id, config, provenance, parts),
            report=report,
            save_best=save_best,
            save_state=save_state,
            processes=processes,
        )
    checkpoint = _ended(config, model, parts, provenance, result)
    write_checkpoint(folder, checkpoint, unfinished=result.ended == "interrupted")
    return model, checkpoint, result


def fit_in_memory(
    config: Config,
    parts: Parts,
    provenance: Mapping[str, Any],
    *,
    trains: bool,
    report: Callable[[Event], None],
    start: Start | None = None,
    processes: Processes = ALONE,
) -> tuple["SWTTime | ClosedForm", Checkpoint, TrainingResult]:
    """Train a model without saving anything, or leave it untrained if its forecast has no weight (``trains`` False).

    Parameters, result and errors are otherwise those of `fit_in_folder`. PyTorch is left alone where a closed form is
    all that the configuration asks for.
    """
    model: SWTTime | ClosedForm
    alone = solves_alone(config) and start is None
    if trains and start is not None:
        provenance = {**provenance, "started_from": start.record()}
    processes.share({"training": NONE if not trains else CLOSED_FORM if alone else LAYERS})
    begin = _reporting(report, new_id(), config, provenance, parts)
    if not trains:
        begin(TrainingResult(0, 0, None, "running", 0.0))
    if alone:
        model, result = solve_alone(config, parts, report, processes, begin=begin) if trains else leave_unsolved(config)
        return model, _ended(config, model, parts, provenance, result), result
    from swt_time.training import fit_model, leave_untrained

    if not trains:
        model, result = leave_untrained(config)
    elif start is None:
        model, result = fit_model(config, parts, begin=begin, report=report, processes=processes)
    else:
        weights = start.load_into
        model, result = fit_model(config, parts, start=weights, begin=begin, report=report, processes=processes)
    return model, _ended(config, model, parts, provenance, result), result


def fit_beside(
    config: Config, parts: Parts, processes: Processes
) -> tuple["SWTTime | ClosedForm | None", TrainingResult | None]:
    """Train with the first process, which calls `fit_in_folder` or `fit_in_memory`, and save nothing.

    Returns
    -------
    model, result
        None if the first process trains nothing, because its run has ended or the forecast has no weight.
    """
    kind = processes.share({})["training"]
    if kind == NONE:
        return None, None
    if kind == CLOSED_FORM:
        return solve_alone(config, parts, processes=processes)
    from swt_time.training import fit_model

    return fit_model(config, parts, processes=processes)


def _reporting(
    report: Callable[[Event], None], id: str, config: Config, provenance: Mapping[str, Any], parts: Parts
) -> Callable[[TrainingResult], None]:
    """Return a function that reports that a run begins, or continues from what it has done so far."""
    sizes = len(parts.table.ids), len(parts.train), len(parts.validation)
    run = Run(id, config, provenance, *sizes)
    return lambda so_far: report(replace(run, steps=so_far.steps, history=tuple(so_far.history)))


def _ended(
    config: Config, model: "SWTTime | ClosedForm", parts: Parts, provenance: Mapping[str, Any], result: TrainingResult
) -> Checkpoint:
    """Return the checkpoint of a run that has ended, with the sums of its closed form if they are to be kept."""
    checkpoint = make_checkpoint(config, model, parts, provenance, result)
    if config.training.keep_sums and result.closed_form is not None:
        return with_sums(checkpoint, parts)
    return checkpoint


def _load_ended(config: Config, data_sha256: str, folder: Path) -> tuple["SWTTime", Checkpoint, TrainingResult] | None:
    """Load the result of a run that has ended in a folder; None if there is none."""
    if not holds_checkpoint(folder):
        return None
    checkpoint = read_checkpoint(folder)
    recorded_sha256 = str(checkpoint.provenance.get("data_sha256"))
    asked, backbone = (config, None) if checkpoint.config == config else as_asked(checkpoint)
    _check_same(asked, config, backbone=backbone, saved_sha256=recorded_sha256, data_sha256=data_sha256, folder=folder)
    result = result_of(checkpoint)
    if result is None:
        raise CheckpointError(
            f"the checkpoint {folder} does not record how it was trained, so it cannot be resumed; start a new run "
            "with overwrite=True"
        )
    if result.ended in ("running", "interrupted"):
        if checkpoint.provenance.get("started_from") is not None:
            raise CheckpointError(
                f"the run in {folder} was started from another checkpoint and its training state is missing, so it "
                "cannot be resumed; start it again with start=folder"
            )
        return None
    if checkpoint.backbone is not None:
        checkpoint = checkpoint.with_backbone(config.backbone.name)
    model = checkpoint.build().to(resolve_device(config.training.device))
    discard_run(folder)  # the run may have been killed while it removed its state
    _warn(f"the run in {folder} has ended ({result.ended} after {result.steps} steps): nothing to resume")
    return model, checkpoint, result


def _check_same(
    saved: Config,
    config: Config,
    *,
    backbone: BackboneIdentity | None,
    saved_sha256: str,
    data_sha256: str,
    folder: Path,
) -> None:
    """Raise if the run to resume has another configuration or table.

    A language model with another name passes, if the ``backbone`` of the run is known: its weights are compared later.
    """
    if backbone is not None and config.backbone.name not in STAND_INS:
        saved = saved.replace({"backbone.name": config.backbone.name})
    differences = saved.differences(config)
    if differences:
        raise CheckpointError(
            f"the run in {folder} was started with {', '.join(differences)}; repeat its options, or start a new run "
            "with overwrite=True"
        )
    if saved_sha256 != data_sha256:
        raise CheckpointError(
            f"the run in {folder} was started with another table (its series have the hash {saved_sha256[:12]}, those "
            f"of this one {data_sha256[:12]}); provide the same one, or start a new run with overwrite=True"
        )


def _weights(backbone: BackboneIdentity | None) -> str | None:
    return None if backbone is None else backbone.sha256


def _named(backbone: BackboneIdentity | None) -> str:
    return "none" if backbone is None else f"{backbone.name!r} with weights {backbone.sha256[:12]}"


def _nothing() -> None:
    """Stand in for the function that keeps the record of a new run."""


def _warn(message: str) -> None:
    warnings.warn(message, SWTTimeWarning, stacklevel=4)
