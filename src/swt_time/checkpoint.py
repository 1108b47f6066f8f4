"""A trained model as a folder: weights, configuration, scaler, provenance, history. Never pickle.

======================  ==========================================================================
``config.json``         the whole configuration
``model.safetensors``   trained weights only; the frozen backbone is named by id and hash
``scaler.json``         what the model was trained on: series, means, deviations, columns, frequency
``provenance.json``     backbone identity, versions, commit, seed, data hash, steps, scores
``history.csv``         losses of the run
======================  ==========================================================================

A folder is written beside its place and renamed into it, so that a reader never sees half of one.
"""

import csv
import io
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from swt_time.backbones import BackboneIdentity
from swt_time.config import Config
from swt_time.errors import CheckpointError
from swt_time.model import SWTTime, build_embedding, build_model

FILES = ("config.json", "model.safetensors", "scaler.json", "provenance.json", "history.csv")


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

    layout: str
    frequency: str | None
    ids: list[str]
    mean: list[float]
    deviation: list[float]

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.mean) == len(self.deviation):
            raise ValueError("ids, means and deviations differ in number")
        if not all(isinstance(one, str) for one in self.ids):
            raise ValueError("ids must be text")
        if not all(isinstance(one, int | float) and math.isfinite(one) for one in (*self.mean, *self.deviation)):
            raise ValueError("means and deviations must be finite numbers")
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
    history: list[dict[str, Any]] = field(default_factory=list)

    def build(self) -> SWTTime:
        """Rebuild the model with its trained weights, in eval mode.

        Raises
        ------
        CheckpointError
            The weights do not belong to the configuration, or the backbone is not the recorded one.
        BackboneError
            The backbone cannot be had.
        """
        model = build_model(self.config, start=False)
        found = model.language_model.identity if model.language_model else None
        if found is not None and self.backbone is not None and found.sha256 != self.backbone.sha256:
            raise CheckpointError(
                f"the model was trained on a backbone {self.backbone.name!r} with weights {self.backbone.sha256[:12]}, "
                f"but {found.name!r} here has {found.sha256[:12]}; provide the same backbone"
            )
        load_trained_state(model, self.weights)
        return model.eval()

    def build_embedding(self) -> nn.Module:
        """Rebuild the patch embedding alone with its trained weights; needs no backbone."""
        embedding = build_embedding(self.config.embedding, self.config.data.context)
        own = {name.removeprefix("embed."): w for name, w in self.weights.items() if name.startswith("embed.")}
        _copy_weights(dict(embedding.named_parameters()), own)
        return embedding.eval()


def load_trained_state(model: SWTTime, weights: Mapping[str, Tensor]) -> None:
    """Copy trained weights into a model; names and shapes must agree exactly, and every value must be finite."""
    _copy_weights(model.trained_state(), weights)


def _copy_weights(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    wrong = [f"missing {name}" for name in own if name not in weights]
    wrong += [f"unknown {name}" for name in weights if name not in own]
    wrong += [
        f"{name} has shape {tuple(weights[name].shape)}, expected {tuple(p.shape)}"
        for name, p in own.items()
        if name in weights and weights[name].shape != p.shape
    ]
    wrong += [
        f"{name} holds values that are not finite"
        for name in own
        if name in weights and not torch.isfinite(weights[name]).all()
    ]
    if wrong:
        raise CheckpointError(
            f"the weights do not fit the configuration: {'; '.join(wrong[:3])}{'; ...' if len(wrong) > 3 else ''}"
        )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(weights[name])


def check_output_folder(folder: Path, overwrite: bool) -> None:
    """Refuse, before any work is done, an output folder that exists or cannot be made.

    Raises
    ------
    CheckpointError
    """
    if folder.exists() and not overwrite:
        raise CheckpointError(f"the output folder {folder} exists; choose another one or pass --overwrite")
    if folder.is_dir() and overwrite and not (folder / "config.json").is_file() and any(folder.iterdir()):
        raise CheckpointError(f"the output folder {folder} is not a checkpoint; --overwrite replaces checkpoints only")
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"the output {folder} is a file; a checkpoint is a folder")
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    probe = parent / f".{folder.name}.probe-{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise CheckpointError(f"cannot write the output folder {folder}: {error.strerror} ({parent})") from None


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder, in place of the one that may be there.

    All files are written and flushed under a temporary name beside the folder, which is then renamed.
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
        "history.csv": _csv(checkpoint.history),
    }
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    former = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    try:
        fresh.mkdir()
        for name, data in content.items():
            with (fresh / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if folder.exists():
            folder.rename(former)
        try:
            fresh.rename(folder)
        except OSError:
            if former.exists():
                former.rename(folder)
            raise
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint folder.

    Raises
    ------
    CheckpointError
        Not a folder, a file is missing or damaged.
    ConfigError
        The configuration has unknown keys or values.
    """
    if not folder.is_dir():
        raise CheckpointError(f"no checkpoint folder at {folder}; make one with: swt-time train --out {folder} ...")
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(f"the checkpoint {folder} is incomplete: {', '.join(missing)} missing")
    config = Config.parse(_read_json(folder / "config.json"))
    provenance = _read_json(folder / "provenance.json")
    try:
        weights = load_tensors((folder / "model.safetensors").read_bytes())
        trained_on = TrainedOn(**_read_json(folder / "scaler.json"))
        identity = provenance.pop("backbone", None)
        backbone = BackboneIdentity(**identity) if identity else None
        with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
            history: list[dict[str, Any]] = list(csv.DictReader(file))
    except (SafetensorError, TypeError, ValueError, csv.Error) as error:
        raise CheckpointError(f"the checkpoint {folder} is damaged: {error}") from None
    return Checkpoint(config, weights, trained_on, backbone, provenance, history)


def _json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


def _csv(rows: list[dict[str, Any]]) -> bytes:
    if not rows:
        return b""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"cannot read {path}: expected an object, got {type(values).__name__}")
    return values
