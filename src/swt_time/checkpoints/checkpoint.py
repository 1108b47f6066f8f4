"""A trained model as a folder: weights, configuration, scaler, provenance, history. Never pickle.

======================  ==========================================================================
``config.json``         the whole configuration
``model.safetensors``   trained weights only; the frozen backbone is named by id and hash
``scaler.json``         what the model was trained on: series, means, deviations, columns, frequency
``provenance.json``     backbone identity, versions, commit, seed, data hash, steps, scores
``history.csv``         losses of the run
``manifest.json``       size and sha256 of every file; verified by every reader
======================  ==========================================================================

The files are replaced together, by one rename (`swt_time.checkpoints.storage`): a reader never sees half of them.
Equal runs write equal weight files, byte for byte; what differs between them (times, machine) is in
``provenance.json`` and ``history.csv``.
"""

import csv
import io
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from swt_time.checkpoints.locking import LOCK, check_unlocked
from swt_time.checkpoints.run_state import FOLDER as RUN_FOLDER
from swt_time.checkpoints.run_state import discard_run
from swt_time.checkpoints.storage import NEW, NEXT, holds_files, read_files, replace_files
from swt_time.config import MOST_WEIGHTS, STAND_INS, Config
from swt_time.config.files import FILE_LIMIT
from swt_time.data.parts import Parts
from swt_time.errors import CheckpointError, SWTTimeWarning
from swt_time.files import HEADER_LIMIT, MEBIBYTE, check_tensor_bytes, parse_json
from swt_time.language import BackboneIdentity
from swt_time.model import SWTTime, build_embedding, build_model
from swt_time.model.embedding import WaveletPatchEmbedding
from swt_time.model.patching import PatchEmbedding
from swt_time.model.weights import copy_weights, load_trained_state
from swt_time.training import TrainingResult, Validation

FILES = {
    "config.json": FILE_LIMIT,
    "model.safetensors": 4 * MOST_WEIGHTS + HEADER_LIMIT,
    "scaler.json": 64 * MEBIBYTE,  # a million series
    "provenance.json": MEBIBYTE,
    "history.csv": 16 * MEBIBYTE,
}
"""The files of a checkpoint, and the most bytes of each that are read."""

TRANSIENT = {LOCK, NEW, NEXT, RUN_FOLDER}
"""What a run has in its output folder while it goes on, or where it was killed."""

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class TrainedOn:
    """The table a model was trained on, as far as forecasting needs it.

    Attributes
    ----------
    layout : {"long", "wide", "unknown"}
    frequency : str or None
        Pandas offset alias; None where it is not known.
    ids : list of str
        Series of a long table, columns of a wide one.
    mean, deviation : list of float
        Of each series' training part; forecasts are made on ``(x - mean) / deviation``.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    layout: str
    frequency: str | None
    ids: list[str]
    mean: list[float]
    deviation: list[float]

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.mean) == len(self.deviation):
            raise ValueError("ids, means and deviations differ in number")
        if not all(one > 0 for one in self.deviation):
            raise ValueError("deviations must be positive")

    @classmethod
    def unknown(cls) -> Self:
        """Nothing is known of the table (imported weights): any columns, any frequency, each series' own scale."""
        return cls("unknown", None, [], [], [])


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a checkpoint folder holds."""

    config: Config
    weights: Mapping[str, Tensor]
    trained_on: TrainedOn
    backbone: BackboneIdentity | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Validation] = ()

    def build(self, *, allow_backbone_change: bool = False) -> SWTTime:
        """Rebuild the model with its trained weights, in eval mode.

        Parameters
        ----------
        allow_backbone_change : bool
            Where the backbone is not the recorded one, warn instead of refusing it.

        Raises
        ------
        CheckpointError
            The weights do not belong to the configuration, or the backbone is not the recorded one.
        BackboneError
            The backbone cannot be had.
        """
        self._check_size()
        model = build_model(self.config, start=False)
        found = model.language_model.identity if model.language_model else None
        if found is not None and self.backbone is not None and found.sha256 != self.backbone.sha256:
            change = (
                f"the model was trained on a backbone {self.backbone.name!r} with weights {self.backbone.sha256[:12]}, "
                f"but {found.name!r} here has {found.sha256[:12]}"
            )
            if not allow_backbone_change:
                raise CheckpointError(
                    f"{change}; provide the same backbone, or pass --allow-backbone-change for forecasts that nobody "
                    "has tested"
                )
            warnings.warn(f"{change}: its forecasts are not those that were tested", SWTTimeWarning, stacklevel=2)
        load_trained_state(model, self.weights)
        return model.eval()

    def build_embedding(self) -> PatchEmbedding | WaveletPatchEmbedding:
        """Rebuild the patch embedding alone with its trained weights; needs no backbone."""
        self._check_size()
        embedding = build_embedding(self.config.embedding, self.config.data.context)
        own = {name.removeprefix("embed."): w for name, w in self.weights.items() if name.startswith("embed.")}
        copy_weights(dict(embedding.named_parameters()), own)
        return embedding.eval()

    def _check_size(self) -> None:
        """Refuse a configuration that asks for more than there is, before memory is taken for it."""
        held, least = sum(weight.numel() for weight in self.weights.values()), self.config.least_weights
        if held < least:
            raise CheckpointError(
                f"the weights do not fit the configuration: its sizes mean at least {least:,}, model.safetensors holds "
                f"{held:,}"
            )


def make_checkpoint(
    config: Config, model: SWTTime, parts: Parts, provenance: Mapping[str, Any], result: TrainingResult
) -> Checkpoint:
    """What a training run left behind, with a copy of the model's present weights.

    Parameters
    ----------
    config : Config
    model : SWTTime
    parts : Parts
        The table that it was trained on.
    provenance : mapping
        Where the data and the code come from; how training went is added.
    result : TrainingResult
    """
    table, scaler = parts.table, parts.scaler
    outcome = {
        "steps": result.steps,
        "best_step": result.best_step,
        "best_validation_loss": result.best_loss,
        "ended": result.ended,
        "seconds": round(result.seconds, 3),
    }
    language_model = model.language_model
    return Checkpoint(
        config,
        {name: tensor.clone() for name, tensor in model.trained_state().items()},
        TrainedOn(table.layout, table.frequency, list(table.ids), scaler.mean.tolist(), scaler.std.tolist()),
        language_model.identity if language_model else None,
        {**provenance, "training": outcome},
        tuple(result.history),
    )


def result_of(checkpoint: Checkpoint) -> TrainingResult | None:
    """How the training went that made a checkpoint; None where it does not say."""
    try:
        training = checkpoint.provenance["training"]
        return TrainingResult(
            training["steps"],
            training["best_step"],
            training["best_validation_loss"],
            training["ended"],
            training["seconds"],
            list(checkpoint.history),
        )
    except (KeyError, TypeError):
        return None


def check_output_folder(folder: Path, overwrite: bool) -> None:
    """Refuse, before any work is done, an output folder that exists, is being written, or cannot be made.

    Raises
    ------
    CheckpointError
    """
    check_unlocked(folder)
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"the output {folder} is a file; a checkpoint is a folder")
    if folder.exists() and not overwrite:
        unfinished = ", --resume to go on with its run," if (folder / RUN_FOLDER).is_dir() else ""
        raise CheckpointError(f"the output folder {folder} exists; choose another one{unfinished} or pass --overwrite")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names - TRANSIENT and names.isdisjoint({"config.json", NEXT}):
        raise CheckpointError(
            f"the output folder {folder} is not a checkpoint; --overwrite and --resume write into checkpoints only"
        )
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    probe = parent / f".{folder.name}.probe-{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise CheckpointError(f"cannot write the output folder {folder}: {error.strerror} ({parent})") from None


def write_checkpoint(folder: Path, checkpoint: Checkpoint, *, unfinished: bool = False) -> None:
    """Write a checkpoint folder, all files at once, in place of the one that may be there.

    The caller holds the folder's lock. Unless the run that made the checkpoint is ``unfinished``, a training state in
    the folder is removed: there is nothing left to go on with.

    Raises
    ------
    SaveError
        The operating system refused something; the former checkpoint is whole.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(checkpoint.weights.items())}
    provenance = {
        **checkpoint.provenance,
        "backbone": asdict(checkpoint.backbone) if checkpoint.backbone else None,
    }
    content = {
        "config.json": checkpoint.config.to_json().encode(),
        "model.safetensors": save_tensors(weights),
        "scaler.json": _json(asdict(checkpoint.trained_on)),
        "provenance.json": _json(provenance),
        "history.csv": _write_history(checkpoint.history),
    }
    replace_files(folder, content, "checkpoint")
    if not unfinished:
        discard_run(folder)


def holds_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint in a folder, be it a damaged one or one of a form that is no longer read."""
    return holds_files(folder) or (folder / "config.json").is_file()


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint folder, and verify every file of it.

    Raises
    ------
    CheckpointError
        Not a folder, a file is missing, or not what was written.
    ConfigError
        The configuration has unknown keys or values.
    """
    if not folder.is_dir():
        raise CheckpointError(f"no checkpoint folder at {folder}; make one with: swt-time train --out {folder} ...")
    content = read_files(folder, FILES, "checkpoint")

    def parsed(name: str) -> dict[str, Any]:
        return parse_json(content[name], str(folder / name), CheckpointError)

    config = Config.parse(parsed("config.json"))
    trained_on = _parse(TrainedOn, parsed("scaler.json"), folder / "scaler.json")
    provenance = parsed("provenance.json")
    identity = provenance.pop("backbone", None)
    backbone = None if identity is None else _parse(BackboneIdentity, identity, folder / "provenance.json")
    if backbone is None and config.backbone.name not in STAND_INS:
        raise CheckpointError(
            f"the checkpoint {folder} names the backbone {config.backbone.name!r} without the hash of its weights "
            "(in provenance.json); a backbone that cannot be told from another one is not loaded"
        )
    check_tensor_bytes(content["model.safetensors"], str(folder / "model.safetensors"), CheckpointError)
    try:
        weights = load_tensors(content["model.safetensors"])
        history = _read_history(content["history.csv"])
    except (SafetensorError, ValueError, csv.Error) as error:
        raise CheckpointError(f"the checkpoint {folder} is damaged: {error}") from None
    return Checkpoint(config, weights, trained_on, backbone, provenance, history)


def _parse(kind: type[Kind], values: object, path: Path) -> Kind:
    """Plain values as a dataclass, each of its type."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{path} is damaged: {where + ': ' if where else ''}{first['msg']}") from None


def _json(values: Mapping[str, Any]) -> bytes:
    # A loss that overflowed is written as null: JSON has no NaN and no infinity.
    finite = json.loads(json.dumps(values), parse_constant=lambda word: None)
    return (json.dumps(finite, indent=2, ensure_ascii=False) + "\n").encode()


def _write_history(rows: Sequence[Validation]) -> bytes:
    if not rows:
        return b""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=[field.name for field in fields(Validation)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode()


def _read_history(content: bytes) -> list[Validation]:
    """The rows of a loss history; an empty cell is None.

    Raises
    ------
    ValueError
    """
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""))
    return TypeAdapter(list[Validation]).validate_python([{k: v or None for k, v in row.items()} for row in rows])
