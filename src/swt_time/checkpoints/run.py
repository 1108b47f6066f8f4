"""A training run in an output folder: its best weights and its state are kept there, so that it can be resumed."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swt_time.checkpoints.checkpoint import (
    Checkpoint,
    holds_checkpoint,
    make_checkpoint,
    read_checkpoint,
    result_of,
    write_checkpoint,
)
from swt_time.checkpoints.run_state import SavedRun, discard_run, read_run, write_run
from swt_time.config import Config
from swt_time.data.parts import Parts
from swt_time.errors import CheckpointError, SWTTimeWarning
from swt_time.language import BackboneIdentity
from swt_time.machine import resolve_device
from swt_time.model import SWTTime, build_model
from swt_time.training import Event, TrainingResult, TrainingState, seeded, train_model


def fit_in_folder(
    config: Config,
    parts: Parts,
    provenance: Mapping[str, Any],
    folder: Path,
    *,
    resume: bool,
    report: Callable[[Event], None],
) -> tuple[SWTTime, Checkpoint, TrainingResult]:
    """Train a model and keep its best weights, and the state of the run, in a folder. The caller holds its lock.

    Parameters
    ----------
    config : Config
    parts : Parts
    provenance : mapping
        To be recorded in the checkpoint; ``data_sha256`` tells the table from another one.
    folder : Path
    resume : bool
        Go on with the run that was stopped there; begin one where there is none, with a warning; load what it made
        where it has ended, with a warning.
    report : callable

    Returns
    -------
    model, checkpoint, result

    Raises
    ------
    CheckpointError
        What is to be resumed is damaged, or of another configuration, table or backbone.
    SaveError
        The operating system refused to save something; what was saved before is whole.
    """
    sha256 = str(provenance["data_sha256"])
    saved = None
    if resume:
        saved = read_run(folder)
        if saved is not None:
            _check_same(saved.config, config, saved.data_sha256, sha256, folder)
        else:
            ended = _load_ended(config, sha256, folder)
            if ended is not None:
                return ended
            _note(f"no training state has been completed in {folder} yet: the run starts from the beginning")
    with seeded(config.training) as device:
        model = build_model(config, start=saved is None).to(device)
        backbone = model.language_model.identity if model.language_model else None
        if saved is None:
            discard_run(folder)
        elif saved.backbone != backbone:
            raise CheckpointError(
                f"the run in {folder} was begun on the backbone {_named(saved.backbone)}, here is {_named(backbone)}; "
                "provide the same one, or start a new run with overwrite=True"
            )

        def save_best(result: TrainingResult) -> None:
            checkpoint = make_checkpoint(config, model, parts, provenance, result)
            write_checkpoint(folder, checkpoint, unfinished=True)

        def save_state(state: TrainingState) -> None:
            write_run(folder, SavedRun(config, sha256, backbone, state))

        result = train_model(
            model,
            parts.train,
            parts.validation,
            config.training,
            resume=None if saved is None else saved.state,
            report=report,
            save_best=save_best,
            save_state=save_state,
        )
    checkpoint = make_checkpoint(config, model, parts, provenance, result)
    write_checkpoint(folder, checkpoint, unfinished=result.ended == "interrupted")
    return model, checkpoint, result


def _load_ended(config: Config, data_sha256: str, folder: Path) -> tuple[SWTTime, Checkpoint, TrainingResult] | None:
    """What a run that has ended left in a folder; None where there is no such thing."""
    if not holds_checkpoint(folder):
        return None
    checkpoint = read_checkpoint(folder)
    _check_same(checkpoint.config, config, str(checkpoint.provenance.get("data_sha256")), data_sha256, folder)
    result = result_of(checkpoint)
    if result is None:
        raise CheckpointError(
            f"the checkpoint {folder} does not say how it was trained, so there is nothing to resume; start a new run "
            "with overwrite=True"
        )
    if result.ended in ("running", "interrupted"):
        return None
    model = checkpoint.build().to(resolve_device(config.training.device))
    discard_run(folder)  # what is left of it where the run was killed while it removed it
    _note(f"the run in {folder} has ended ({result.ended} after {result.steps} steps): nothing to resume")
    return model, checkpoint, result


def _check_same(begun: Config, wanted: Config, begun_sha256: str, data_sha256: str, folder: Path) -> None:
    """Refuse to go on with a run of another configuration or table."""
    differences = begun.differences(wanted)
    if differences:
        raise CheckpointError(
            f"the run in {folder} was begun with {', '.join(differences)}; repeat its options, or start a new run with "
            "overwrite=True"
        )
    if begun_sha256 != data_sha256:
        raise CheckpointError(
            f"the run in {folder} was begun on another table (its series have the hash {begun_sha256[:12]}, those of "
            f"this one {data_sha256[:12]}); give the same one, or start a new run with overwrite=True"
        )


def _named(backbone: BackboneIdentity | None) -> str:
    return "none" if backbone is None else f"{backbone.name!r} with weights {backbone.sha256[:12]}"


def _note(message: str) -> None:
    warnings.warn(message, SWTTimeWarning, stacklevel=4)
