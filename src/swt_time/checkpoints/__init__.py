"""Trained models and training runs as folders: written atomically, verified when read, never pickled.

- ``locking``, ``storage``: one writer per folder; files replaced together;
- ``checkpoint``, ``trained_on``, ``origin``: a trained model, its training table, and where both come from;
- ``output``: checks of an output folder before any work;
- ``run_state``, ``run``: the state of a stopped run; a training run in a folder;
- ``start``: the checkpoint that a run starts from;
- ``updating``: new rows added to the closed form of a model;
- ``originals``: state dicts of Time-LLM and SWT-Time.
"""

from swt_time.checkpoints.checkpoint import (
    Checkpoint,
    content_of,
    holds_checkpoint,
    make_checkpoint,
    parse_content,
    read_checkpoint,
    write_checkpoint,
)
from swt_time.checkpoints.covariates import effects_of, moved_backbone, with_effects
from swt_time.checkpoints.locking import locked
from swt_time.checkpoints.origin import describe_training
from swt_time.checkpoints.output import check_output_folder
from swt_time.checkpoints.run import fit_beside, fit_in_folder, fit_in_memory
from swt_time.checkpoints.run_state import read_run
from swt_time.checkpoints.start import Start, read_start
from swt_time.checkpoints.trained_on import TrainedOn
from swt_time.checkpoints.updating import updated

__all__ = [
    "Checkpoint",
    "Start",
    "TrainedOn",
    "check_output_folder",
    "content_of",
    "describe_training",
    "effects_of",
    "fit_beside",
    "fit_in_folder",
    "fit_in_memory",
    "holds_checkpoint",
    "locked",
    "make_checkpoint",
    "moved_backbone",
    "parse_content",
    "read_checkpoint",
    "read_run",
    "read_start",
    "updated",
    "with_effects",
    "write_checkpoint",
]
