"""The state of a training run, from which it is resumed: a folder inside the output folder, never pickled.

======================  =========================================================================
``run.json``            what identifies the run: configuration, hashes of table and backbone
``progress.json``       plan, counts, losses, history
``state.safetensors``   weights, best weights, moments of the optimiser, states of the random generators
======================  =========================================================================

All three are replaced together (`swt_time.checkpoints.storage`). The folder is removed when the run has ended.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from swt_time.checkpoints.storage import holds_files, read_files, remove_files, replace_files
from swt_time.config import MOST_WEIGHTS, Config
from swt_time.errors import CheckpointError
from swt_time.files import HEADER_LIMIT, MEBIBYTE, check_tensor_bytes, parse_json
from swt_time.language import BackboneIdentity
from swt_time.training import TrainingState

FOLDER = ".training"
FILES = {
    "run.json": MEBIBYTE,
    "progress.json": 64 * MEBIBYTE,
    "state.safetensors": 16 * MOST_WEIGHTS + HEADER_LIMIT,  # weights, the best ones, two moments
}
WHAT = "training state"


@dataclass(frozen=True)
class SavedRun:
    """What identifies a training run, and its state."""

    config: Config
    data_sha256: str
    backbone: BackboneIdentity | None
    state: TrainingState


def write_run(folder: Path, run: SavedRun) -> None:
    """Write the training state of a run into its output folder; an existing state is replaced.

    Raises
    ------
    SaveError
        The operating system reported an error; the previous state is intact.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(run.state.tensors.items())}
    identity = {
        "config": run.config.model_dump(),
        "data_sha256": run.data_sha256,
        "backbone": asdict(run.backbone) if run.backbone else None,
    }
    content = {
        "run.json": _json(identity),
        "progress.json": _json(run.state.progress),
        "state.safetensors": save_tensors(tensors),
    }
    replace_files(folder / FOLDER, content, WHAT)


def read_run(folder: Path) -> SavedRun | None:
    """Read the training state in an output folder; None if no state was completed.

    Raises
    ------
    CheckpointError
        The state is damaged.
    """
    if not holds_files(folder / FOLDER):
        return None
    content = read_files(folder / FOLDER, FILES, WHAT)
    try:
        identity = parse_json(content["run.json"], "run.json", CheckpointError)
        progress = parse_json(content["progress.json"], "progress.json", CheckpointError)
        check_tensor_bytes(content["state.safetensors"], "state.safetensors", CheckpointError)
        config = Config.parse(identity["config"])
        backbone = BackboneIdentity(**identity["backbone"]) if identity["backbone"] else None
        state = TrainingState(progress, load_tensors(content["state.safetensors"]))
        return SavedRun(config, str(identity["data_sha256"]), backbone, state)
    except (SafetensorError, CheckpointError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"the {WHAT} {folder / FOLDER} is damaged: {error}; start a new run with overwrite=True"
        ) from None


def discard_run(folder: Path) -> None:
    """Remove the training state from an output folder, if there is one."""
    remove_files(folder / FOLDER, FILES)


def _json(values: Mapping[str, Any]) -> bytes:
    # JSON has no NaN and no infinity, so a loss that overflowed is written as a string, which float() can parse.
    plain = json.loads(json.dumps(values), parse_constant=str)
    return (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode()
