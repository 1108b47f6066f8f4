"""Checks of an output folder before any work, so that a run is not lost when its result cannot be written."""

import os
from pathlib import Path

from swt_time.checkpoints.checkpoint import FILES
from swt_time.checkpoints.locking import LOCK, check_unlocked
from swt_time.checkpoints.run_state import FOLDER, check_run_entries
from swt_time.checkpoints.storage import NEW, NEXT, Location, check_entries
from swt_time.errors import CheckpointError
from swt_time.folders import explained

TRANSIENT = {LOCK, NEW, NEXT, FOLDER}
"""Names that a run creates in its output folder while it works; a killed run may leave them."""

OWN = {"config.json", "scaler.json"}
"""Names that tell a checkpoint, also an incomplete one, from other folders: many programs have a ``config.json``."""


def check_output_folder(folder: Path, overwrite: bool | None) -> None:
    """Raise if an output folder exists, is locked by another process, or cannot be created.

    Nothing in the folder is changed.

    Parameters
    ----------
    folder : Path
    overwrite : bool or None
        None for a command that never overwrites: its message offers no such option.

    Raises
    ------
    CheckpointError
    """
    with explained(f"cannot use the output folder {folder}", CheckpointError, "choose another one"):
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(f"the output {folder} is a file; a checkpoint is a folder")
        check_unlocked(folder)
        if folder.exists() and overwrite is None:
            raise CheckpointError(f"the output folder {folder} exists; choose another one, or remove it before")
        if folder.exists() and not overwrite:
            unfinished = ", pass resume=True to continue its run," if (folder / FOLDER).is_dir() else ""
            raise CheckpointError(
                f"the output folder {folder} exists; choose another one{unfinished} or pass overwrite=True"
            )
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
        if names - TRANSIENT and not names.issuperset(OWN) and NEXT not in names:
            raise CheckpointError(
                f"the output folder {folder} is not a checkpoint; overwrite=True and resume=True need a checkpoint"
            )
        check_output_entries(folder)
        _check_writable(folder)


def check_output_entries(folder: Path) -> None:
    """Raise if an entry that a run would replace in its output folder is a link, or of another kind.

    Raises
    ------
    CheckpointError
    """
    check_entries(Location(folder), FILES)
    check_run_entries(folder)


def _check_writable(folder: Path) -> None:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise CheckpointError(f"cannot write the output folder {folder}: {place} is not a folder; choose another one")
    if not os.access(place, os.W_OK | os.X_OK):
        raise CheckpointError(f"cannot write the output folder {folder}: {place} is not writable; choose another one")
