"""Trained models and runs as folders: written all at once, verified when read, never pickle.

- ``locking``, ``storage``: one writer a folder; files replaced together;
- ``checkpoint``: a trained model;
- ``run_state``, ``run``: the state of a run that was stopped; a run in a folder;
- ``originals``: state dicts of Time-LLM and SWT-Time.
"""

from swt_time.checkpoints.checkpoint import (
    Checkpoint,
    TrainedOn,
    check_output_folder,
    holds_checkpoint,
    make_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from swt_time.checkpoints.locking import locked
from swt_time.checkpoints.run import fit_in_folder
from swt_time.checkpoints.run_state import read_run

__all__ = [
    "Checkpoint",
    "TrainedOn",
    "check_output_folder",
    "fit_in_folder",
    "holds_checkpoint",
    "locked",
    "make_checkpoint",
    "read_checkpoint",
    "read_run",
    "write_checkpoint",
]
