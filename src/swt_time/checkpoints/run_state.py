"""A training run that can go on: its state as a folder inside the output folder. Never pickle.

======================  =========================================================================
``run.json``            what the run is made of: configuration, hashes of table and backbone
``progress.json``       plan, counts, losses, history
``state.safetensors``   weights, best weights, the optimiser's moments, states of the generators
======================  =========================================================================

All three are replaced together (`swt_time.checkpoints.storage`). The folder is gone when the run has ended.
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
    """What a run is made of, and how far it has come."""

    config: Config
    data_sha256: str
    backbone: BackboneIdentity | None
    state: TrainingState


def write_run(folder: Path, run: SavedRun) -> None:
    """Write the training state of a run into its output folder, in place of the one that may be there.

    Raises
    ------
    SaveError
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(run.state.tensors.items())}
    made_of = {
        "config": run.config.model_dump(),
        "data_sha256": run.data_sha256,
        "backbone": asdict(run.backbone) if run.backbone else None,
    }
    content = {
        "run.json": _json(made_of),
        "progress.json": _json(run.state.progress),
        "state.safetensors": save_tensors(tensors),
    }
    replace_files(folder / FOLDER, content, WHAT)


def read_run(folder: Path) -> SavedRun | None:
    """Read the training state in an output folder; None where none was completed.

    Raises
    ------
    CheckpointError
        It is damaged.
    """
    if not holds_files(folder / FOLDER):
        return None
    content = read_files(folder / FOLDER, FILES, WHAT)
    try:
        made_of, progress = (parse_json(content[name], name, CheckpointError) for name in ("run.json", "progress.json"))
        check_tensor_bytes(content["state.safetensors"], "state.safetensors", CheckpointError)
        config = Config.parse(made_of["config"])
        backbone = BackboneIdentity(**made_of["backbone"]) if made_of["backbone"] else None
        state = TrainingState(dict(progress), load_tensors(content["state.safetensors"]))
        return SavedRun(config, str(made_of["data_sha256"]), backbone, state)
    except (SafetensorError, CheckpointError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"the {WHAT} {folder / FOLDER} is damaged: {error}; start anew with --overwrite"
        ) from None


def discard_run(folder: Path) -> None:
    """Remove the training state in an output folder, if there is one."""
    remove_files(folder / FOLDER, FILES)


def _json(values: Mapping[str, Any]) -> bytes:
    # JSON has no NaN and no infinity; a loss that overflowed is kept as their name, which reads as a number again.
    plain = json.loads(json.dumps(values), parse_constant=str)
    return (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode()
