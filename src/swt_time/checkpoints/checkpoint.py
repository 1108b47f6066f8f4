"""Checkpoints: a trained model as a folder of weights, configuration, scaler, provenance and history, never pickled.

======================  ==========================================================================
``config.json``         the whole configuration
``model.safetensors``   trained weights, the panel and the intervals; the frozen backbone is recorded by id and hash
``scaler.json``         the training table (`TrainedOn`): layout, frequency, series, their means and stds
``provenance.json``     backbone identity, versions, commit, seed, data hash, steps, scores
``history.csv``         losses of the run
``manifest.json``       size and SHA-256 of every file; verified by every reader
======================  ==========================================================================

The files are replaced together by one rename (`swt_time.checkpoints.storage`), so a reader never sees some of the old
and some of the new ones. Equal runs write equal weight files, byte for byte; what differs between them (times, machine)
is in ``provenance.json`` and ``history.csv``.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from swt_time.checkpoints.branch_record import takes_no_backbone
from swt_time.checkpoints.history import read_history, write_history
from swt_time.checkpoints.run_state import discard_run
from swt_time.checkpoints.storage import Location, content_hash, holds_files, read_files, replace_files
from swt_time.checkpoints.trained_on import TrainedOn
from swt_time.config import MOST_WEIGHTS, STAND_INS, Config
from swt_time.config.files import FILE_LIMIT
from swt_time.data.parts import Parts
from swt_time.effects.effects import PREFIX as EFFECTS
from swt_time.errors import CheckpointError, ConfigError, SWTTimeWarning
from swt_time.files import HEADER_LIMIT, MEBIBYTE, check_tensor_bytes, parse_json
from swt_time.folders import explained
from swt_time.intervals import Calibration
from swt_time.language import BackboneIdentity
from swt_time.language.finding import BackboneNotFoundError, absolute_name, is_path
from swt_time.model.alone import WEIGHT, ClosedForm, is_alone, stored_weights
from swt_time.model.closed_form import PREFIX as SUMS
from swt_time.model.weights import check_weights, copy_weights, to_arrays
from swt_time.selection import Blend, Choice
from swt_time.selection.blend import PREFIX
from swt_time.training import TrainingResult, Validation

if TYPE_CHECKING:
    from swt_time.model import SWTTime
    from swt_time.model.embedding import WaveletPatchEmbedding
    from swt_time.model.patching import PatchEmbedding

FILES = {
    "config.json": FILE_LIMIT,
    "model.safetensors": 4 * MOST_WEIGHTS + HEADER_LIMIT,
    "scaler.json": 32 * MEBIBYTE,  # half a million series
    "provenance.json": MEBIBYTE,
    "history.csv": 8 * MEBIBYTE,  # a hundred thousand validations
}
"""The files of a checkpoint, and the maximum size of each in bytes."""

MOST_UNTRAINED = 2**26
"""Most weights of a model whose layers were not trained, and are therefore initialised again (256 MiB)."""

INTERVALS = "intervals."
"""Prefix of the arrays of the intervals among the weights."""

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint folder."""

    config: Config
    weights: Mapping[str, np.ndarray]
    trained_on: TrainedOn
    backbone: BackboneIdentity | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Validation] = ()

    def with_backbone(self, backbone: str | Path | None) -> Self:
        """Return a checkpoint that looks for its backbone elsewhere; None for the recorded name. Warn if it needs none.

        Raises
        ------
        CheckpointError
            The model has no language model, or the backbone is a stand-in for one.
        """
        if backbone is None or takes_no_backbone(self.provenance):
            return self
        name, former = absolute_name(str(backbone)), self.config.backbone.name
        if former in STAND_INS:
            raise CheckpointError(f"the model was trained without a language model ({former}), so it takes no backbone")
        if name in STAND_INS:
            raise CheckpointError(f"the model was trained with a language model, the backbone {name!r} is none")
        return replace(self, config=self.config.replace({"backbone.name": name}))

    def with_choice(self, choice: Choice, blend: Blend) -> Self:
        """Return a checkpoint with what was chosen on held-out blocks, and the panel beside the network."""
        return replace(
            self,
            weights={**self.weights, **blend.to_arrays()},
            provenance={**self.provenance, "choice": asdict(choice)},
        )

    def with_intervals(self, calibration: Calibration, described: Mapping[str, Any]) -> Self:
        """Return a checkpoint with intervals, and how they were made."""
        arrays = calibration.to_arrays()
        return replace(
            self,
            weights={**self.weights, **{INTERVALS + k: np.array(v) for k, v in arrays.items()}},
            provenance={**self.provenance, "intervals": dict(described)},
        )

    @property
    def calibration(self) -> Calibration | None:
        """What intervals are made of; None if the model has none.

        Raises
        ------
        CheckpointError
            An array is missing, or holds impossible values.
        """
        arrays = {k.removeprefix(INTERVALS): w for k, w in self.weights.items() if k.startswith(INTERVALS)}
        return Calibration.from_arrays(arrays) if arrays else None

    @property
    def trained_weights(self) -> dict[str, np.ndarray]:
        """The weights of the network, without the panel and the intervals beside it and the sums of its closed form."""
        return {
            name: one for name, one in self.weights.items() if not name.startswith((PREFIX, SUMS, INTERVALS, EFFECTS))
        }

    def build(self, *, backbone: str | Path | None = None, allow_backbone_change: bool = False) -> "SWTTime":
        """Build the model with its trained weights, in eval mode.

        Parameters
        ----------
        backbone : str or path, optional
            Where the backbone is, by default under its recorded name; its weights must be the recorded ones.
        allow_backbone_change : bool
            Warn instead of raising if the backbone's weights are not the recorded ones.

        Raises
        ------
        CheckpointError
            The weights do not fit the configuration, or the backbone is not the recorded one.
        BackboneError
            The backbone is not available.
        """
        if backbone is not None:
            return self.with_backbone(backbone).build(allow_backbone_change=allow_backbone_change)
        from swt_time.model import build_model
        from swt_time.training import initial_weights

        self._check_size()
        try:
            with initial_weights(self.config.training.seed):  # of what is not stored
                model = build_model(self.config, start=False)
        except BackboneNotFoundError as error:
            name = self.config.backbone.name
            reason = f"there is no folder {name!r} here" if is_path(name) else str(error)
            sha256 = "" if self.backbone is None else f" (sha256 {self.backbone.sha256[:12]})"
            raise BackboneNotFoundError(
                f"the backbone of the model is not available: {reason}; pass backbone=PATH, where PATH is a folder "
                f"or a hub id with the same weights{sha256}"
            ) from None
        found = model.language_model.identity if model.language_model else None
        if found is not None and self.backbone is not None and found.sha256 != self.backbone.sha256:
            change = (
                f"the model was trained on a backbone {self.backbone.name!r} with weights {self.backbone.sha256[:12]}, "
                f"but {found.name!r} here has {found.sha256[:12]}"
            )
            if not allow_backbone_change:
                raise CheckpointError(
                    f"{change}; provide the same backbone (backbone=PATH), or pass allow_backbone_change=True to get "
                    "forecasts that were never tested"
                )
            warnings.warn(f"{change}: its forecasts are not those that were tested", SWTTimeWarning, stacklevel=2)
        self.load_into(model)
        return model.eval()

    def load_into(self, model: "SWTTime") -> None:
        """Copy the trained weights into a model of the configuration; of a closed form alone, its map."""
        own = model.trained_state()
        copy_weights({WEIGHT: own[WEIGHT]} if self.closed_form is not None else own, self.trained_weights)

    @property
    def closed_form(self) -> ClosedForm | None:
        """The map of a closed form alone; None for other models, and where the layers are stored too.

        Raises
        ------
        CheckpointError
            It does not fit the configuration.
        """
        data, weights = self.config.data, self.trained_weights
        if not is_alone(self.config) or weights.keys() != {WEIGHT}:
            return None
        check_weights({WEIGHT: np.empty((data.horizon, data.steps), dtype=np.float32)}, weights)
        return ClosedForm(weights[WEIGHT])

    def build_embedding(self) -> "PatchEmbedding | WaveletPatchEmbedding":
        """Build only the patch embedding with its trained weights; needs no backbone."""
        from swt_time.model import build_embedding

        self._check_size()
        embedding = build_embedding(self.config.embedding, self.config.data.steps)
        own = {name.removeprefix("embed."): w for name, w in self.weights.items() if name.startswith("embed.")}
        if self.closed_form is None:
            copy_weights(dict(embedding.named_parameters()), own)
        return embedding.eval()

    def _check_size(self) -> None:
        """Raise if the configuration describes more weights than there are, before memory is allocated for it."""
        held, least = sum(weight.size for weight in self.weights.values()), self.config.least_weights
        if self.closed_form is not None:
            held = max(held, MOST_UNTRAINED)
        if held < least:
            raise CheckpointError(
                f"the weights do not fit the configuration: its sizes need at least {least:,}, model.safetensors holds "
                f"{held:,}"
            )


def make_checkpoint(
    config: Config, model: "SWTTime | ClosedForm", parts: Parts, provenance: Mapping[str, Any], result: TrainingResult
) -> Checkpoint:
    """Make a checkpoint of a training run, with a copy of the current weights of the model.

    Parameters
    ----------
    config : Config
        A backbone that is a folder is recorded by its absolute path.
    model : SWTTime or ClosedForm
        Of a closed form alone only the map is kept.
    parts : Parts
        Of the training table.
    provenance : mapping
        Origin of the data and the code; the outcome of the training is added.
    result : TrainingResult
    """
    table, scaler = parts.table, parts.scaler
    outcome = {
        "steps": result.steps,
        "best_step": result.best_step,
        "best_validation_loss": result.best_loss,
        "ended": result.ended,
        "seconds": round(result.seconds, 3),
        "closed_form": result.closed_form,
    }
    language_model = None if isinstance(model, ClosedForm) else model.language_model
    if language_model is not None:
        config = config.replace({"backbone.name": language_model.identity.name})
    return Checkpoint(
        config,
        stored_weights(config, to_arrays(model.trained_state())),
        TrainedOn(table.layout, table.frequency, list(table.ids), scaler.mean.tolist(), scaler.std.tolist()),
        language_model.identity if language_model else None,
        {**provenance, "training": outcome},
        tuple(result.history),
    )


def result_of(checkpoint: Checkpoint) -> TrainingResult | None:
    """Return the outcome of the training that made a checkpoint; None if it is not recorded."""
    try:
        training = checkpoint.provenance["training"]
        return TrainingResult(
            training["steps"],
            training["best_step"],
            training["best_validation_loss"],
            training["ended"],
            training["seconds"],
            list(checkpoint.history),
            closed_form=training.get("closed_form"),
        )
    except (KeyError, TypeError):
        return None


def content_of(checkpoint: Checkpoint) -> dict[str, bytes]:
    """Return the files of a checkpoint, by name."""
    weights = {name: np.asarray(one, order="C") for name, one in sorted(checkpoint.weights.items())}
    provenance = {
        **checkpoint.provenance,
        "backbone": asdict(checkpoint.backbone) if checkpoint.backbone else None,
    }
    return {
        "config.json": checkpoint.config.to_json().encode(),
        "model.safetensors": save_arrays(weights),
        "scaler.json": _json(asdict(checkpoint.trained_on)),
        "provenance.json": _json(provenance),
        "history.csv": write_history(checkpoint.history),
    }


def write_checkpoint(folder: Path, checkpoint: Checkpoint, *, unfinished: bool = False) -> None:
    """Write a checkpoint folder atomically; an existing checkpoint is replaced.

    The caller holds the lock of the folder. A training state in the folder is removed, unless the run that made the
    checkpoint is ``unfinished``.

    Raises
    ------
    SaveError
        The operating system reported an error; the previous checkpoint is intact.
    """
    replace_files(Location(folder), content_of(checkpoint), "checkpoint")
    if not unfinished:
        discard_run(folder)


def holds_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a checkpoint, which may be damaged or of a format that is no longer supported."""
    return holds_files(Location(folder)) or holds_files(Location(folder), "config.json")


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint folder and verify every file in it.

    Raises
    ------
    CheckpointError
        There is no such folder, or a file is missing or not what was written.
    ConfigError
        The configuration has unknown keys or values.
    """
    return read_identified(folder)[0]


def read_identified(folder: Path) -> tuple[Checkpoint, str]:
    """Read a checkpoint as `read_checkpoint`, and return it with the hash of its files, as in its manifest."""
    with explained(f"cannot read the checkpoint {folder}", CheckpointError):
        if not folder.is_dir():
            raise CheckpointError(f"no checkpoint folder at {folder}; train a model and save it there first")
    content = read_files(Location(folder), FILES, "checkpoint")
    return parse_content(content, folder), content_hash(content)


def parse_content(content: Mapping[str, bytes], folder: Path) -> Checkpoint:
    """Make a checkpoint of its files; ``folder`` stands in messages."""

    def parsed(name: str) -> dict[str, Any]:
        return parse_json(content[name], str(folder / name), CheckpointError)

    try:
        config = Config.parse(parsed("config.json"))
    except ConfigError as error:
        raise ConfigError(f"{folder / 'config.json'}: {error}") from None
    trained_on = _parse(TrainedOn, parsed("scaler.json"), folder / "scaler.json")
    provenance = parsed("provenance.json")
    identity = provenance.pop("backbone", None)
    backbone = None if identity is None else _parse(BackboneIdentity, identity, folder / "provenance.json")
    if backbone is None and config.backbone.name not in STAND_INS:
        raise CheckpointError(
            f"the checkpoint {folder} names the backbone {config.backbone.name!r} without the hash of its weights "
            "(in provenance.json), so the backbone cannot be verified; copy or make the checkpoint again"
        )
    check_tensor_bytes(content["model.safetensors"], str(folder / "model.safetensors"), CheckpointError)
    try:
        weights = load_arrays(content["model.safetensors"])
        history = read_history(content["history.csv"])
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"the checkpoint {folder} is damaged: {error}") from None
    except KeyError as kind:  # of numbers that NumPy does not have
        raise CheckpointError(
            f"the checkpoint {folder} is damaged: weights of the kind {kind}, expected float32"
        ) from None
    return Checkpoint(config, weights, trained_on, backbone, provenance, history)


def _parse(kind: type[Kind], values: object, path: Path) -> Kind:
    """Convert plain values to a dataclass and check their types."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{path} is damaged: {where + ': ' if where else ''}{first['msg']}") from None


def _json(values: Mapping[str, Any]) -> bytes:
    # JSON has no NaN and no infinity, so a loss that overflowed is written as null.
    finite = json.loads(json.dumps(values), parse_constant=lambda word: None)
    return (json.dumps(finite, indent=2, ensure_ascii=False) + "\n").encode()
