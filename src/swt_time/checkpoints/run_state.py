"""The state of a training run, from which it is resumed: a folder inside the output folder, never pickled.

======================  =========================================================================
``run.json``            what identifies the run: its id, configuration, hashes of table and backbone
``progress.json``       plan, counts, losses, history
``state.safetensors``   weights, best weights, moments of the optimiser, states of the random generators
======================  =========================================================================

All three are replaced together (`swt_time.checkpoints.storage`). They are first written when the run starts, without
progress and tensors, so that a run that is killed before its first save can be started again with its configuration.
The folder is removed when the run has ended.
"""

import contextlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from swt_time.checkpoints.storage import Location, check_entries, holds_files, read_files, remove_files, replace_files
from swt_time.config import MOST_WEIGHTS, Config
from swt_time.errors import CheckpointError
from swt_time.files import HEADER_LIMIT, MEBIBYTE, check_tensor_bytes, parse_json
from swt_time.language import BackboneIdentity

if TYPE_CHECKING:
    from swt_time.training import TrainingState

FOLDER = ".training"
FILES = {
    "run.json": MEBIBYTE,
    "progress.json": 64 * MEBIBYTE,
    "state.safetensors": 16 * MOST_WEIGHTS + HEADER_LIMIT,  # weights, the best ones, two moments
}
WHAT = "training state"

ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")


def new_id() -> str:
    """Return an id for a new run: the time in UTC and eight random digits."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class SavedRun:
    """What identifies a training run, and its state.

    Attributes
    ----------
    config : Config
    data_sha256 : str
        Hash of the series of the table.
    backbone : BackboneIdentity or None
        None without a language model, and before the first save.
    state : TrainingState or None
        None before the first save.
    started_from : mapping or None
        Folder and hash of the checkpoint that the run started from (`swt_time.checkpoints.start.Start.record`).
    id : str
        By which trackers outside of the folder recognise a run that is resumed.
    """

    config: Config
    data_sha256: str
    backbone: BackboneIdentity | None = None
    state: "TrainingState | None" = None
    started_from: Mapping[str, str] | None = None
    id: str = field(default_factory=new_id)


def write_run(folder: Path, run: SavedRun) -> None:
    """Write the training state of a run into its output folder; an existing state is replaced.

    Raises
    ------
    SaveError
        The operating system reported an error; the previous state is intact.
    """
    from safetensors.torch import save as save_tensors

    from swt_time.training import TrainingState

    state = TrainingState({}, {}) if run.state is None else run.state
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(state.tensors.items())}
    identity = {
        "config": run.config.model_dump(),
        "data_sha256": run.data_sha256,
        "backbone": asdict(run.backbone) if run.backbone else None,
        "started_from": run.started_from,
        "id": run.id,
    }
    content = {
        "run.json": _json(identity),
        "progress.json": _json(state.progress),
        "state.safetensors": save_tensors(tensors),
    }
    replace_files(Location(folder, FOLDER), content, WHAT)


def read_run(folder: Path) -> SavedRun | None:
    """Read what is recorded of the run in an output folder; None if none was started there.

    Raises
    ------
    CheckpointError
        The state is damaged.
    """
    if not holds_files(Location(folder, FOLDER)):
        return None
    from safetensors.torch import load as load_tensors

    from swt_time.training import TrainingState

    content = read_files(Location(folder, FOLDER), FILES, WHAT)
    try:
        identity = parse_json(content["run.json"], "run.json", CheckpointError)
        progress = parse_json(content["progress.json"], "progress.json", CheckpointError)
        check_tensor_bytes(content["state.safetensors"], "state.safetensors", CheckpointError)
        config = Config.parse(identity["config"])
        backbone = BackboneIdentity(**identity["backbone"]) if identity["backbone"] else None
        tensors = load_tensors(content["state.safetensors"])
        state = TrainingState(progress, tensors) if progress or tensors else None
        held = sum(tensor.numel() for name, tensor in tensors.items() if name.startswith("weights/"))
        if state is not None and held < config.least_weights:  # before memory is allocated for the configuration
            raise CheckpointError(f"its sizes need at least {config.least_weights:,} weights, it holds {held:,}")
        found = identity.get("started_from")
        started_from = None if found is None else {key: str(found[key]) for key in ("folder", "sha256")}
        own = identity.get("id", "")  # a run of an older version has none
        if own and ID.fullmatch(str(own)) is None:
            raise CheckpointError("its id is not a time and eight digits")
        return SavedRun(config, str(identity["data_sha256"]), backbone, state, started_from, str(own) or new_id())
    except (SafetensorError, CheckpointError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"the {WHAT} {folder / FOLDER} is damaged: {error}; start a new run with overwrite=True"
        ) from None


@contextlib.contextmanager
def recorded(folder: Path, run: SavedRun) -> Iterator[Callable[[], None]]:
    """Record a run before its model is built, so that a run that is killed can be started again.

    Yields a function to call at the first save. An error before it means that the run was refused: its record is
    removed then, and the state that a former run left is restored.

    Raises
    ------
    SaveError
        The operating system reported an error.
    """
    former, refused = _stored(folder), True

    def keep() -> None:
        nonlocal former, refused
        former, refused = None, False

    write_run(folder, run)
    try:
        yield keep
    except Exception:
        if refused and former is not None:
            replace_files(Location(folder, FOLDER), former, WHAT)
        elif refused:
            discard_run(folder)
        raise


def _stored(folder: Path) -> dict[str, bytes] | None:
    """Return the files of a training state as they are; None if there are none, or they are damaged."""
    try:
        return read_files(Location(folder, FOLDER), FILES, WHAT) if holds_files(Location(folder, FOLDER)) else None
    except CheckpointError:
        return None


def check_run_entries(folder: Path) -> None:
    """Check that a training state can be written into an output folder, and removed from it; see `check_entries`."""
    check_entries(Location(folder, FOLDER), FILES)


def discard_run(folder: Path) -> None:
    """Remove the training state from an output folder, if there is one."""
    remove_files(Location(folder, FOLDER), FILES)


def _json(values: Mapping[str, Any]) -> bytes:
    # JSON has no NaN and no infinity, so a loss that overflowed is written as a string, which float() can parse.
    plain = json.loads(json.dumps(values), parse_constant=str)
    return (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode()
