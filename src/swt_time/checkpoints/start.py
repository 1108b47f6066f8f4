"""Warm starts: a training run that starts from the trained weights of a checkpoint.

The new model has the shape and the backbone of the checkpoint's, as with its configuration:
``Forecaster.load(folder).fit(table, start=folder)``. The closed form is solved anew on the new table. A stopped run is
resumed without the checkpoint, once its own weights have been saved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from swt_time.checkpoints.branch_record import is_left_out
from swt_time.checkpoints.checkpoint import Checkpoint, read_identified
from swt_time.config import STAND_INS, Config
from swt_time.config.branch import has_branch
from swt_time.errors import CheckpointError, ConfigError
from swt_time.files import expand_user

if TYPE_CHECKING:
    from swt_time.model import SWTTime

SECTIONS = ("embedding.", "model.", "backbone.")
"""Sections that determine what the trained weights mean, except for `FREE`."""

FREE = frozenset(
    {
        *("embedding.dropout", "model.dropout", "model.attention_dropout", "model.closed_form", "model.panel"),
        *("backbone.name", "backbone.precision"),  # the weights of a language model are compared instead of its name
    }
)


@dataclass(frozen=True)
class Start:
    """A checkpoint whose trained weights a run starts from.

    Attributes
    ----------
    folder : Path
    sha256 : str
        Hash of the checkpoint, as in its manifest.
    checkpoint : Checkpoint
    """

    folder: Path
    sha256: str
    checkpoint: Checkpoint

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read and verify a checkpoint.

        Raises
        ------
        CheckpointError
        """
        path = expand_user(folder, CheckpointError)
        checkpoint, sha256 = read_identified(path)
        return cls(path.absolute(), sha256, checkpoint)

    @classmethod
    def again(cls, record: Mapping[str, Any]) -> Self:
        """Read the checkpoint of a `record` again, for a run that was killed before its own weights were saved.

        Raises
        ------
        CheckpointError
            It is not there, or another one than when the run was started.
        """
        start = cls.read(str(record["folder"]))
        if start.sha256 != record["sha256"]:
            raise CheckpointError(
                f"the run was started from the checkpoint {start.folder} with the hash {str(record['sha256'])[:12]}, "
                f"which now has {start.sha256[:12]}; start a new run with overwrite=True"
            )
        return start

    def record(self) -> dict[str, str]:
        """Return folder and hash, for the provenance."""
        return {"folder": str(self.folder), "sha256": self.sha256}

    def load_into(self, model: "SWTTime", config: Config) -> None:
        """Copy the trained weights into a new model of the same shape and backbone.

        Raises
        ------
        CheckpointError
            The configurations describe other models (the message names the keys), or the backbones differ.
        """
        former = self.checkpoint.config
        if is_left_out(self.checkpoint.provenance) and has_branch(config):
            raise CheckpointError(
                f"the checkpoint {self.folder} holds no branch to start from, since it did not earn its place there; "
                "train without start=folder, or train that checkpoint again with training.keep_branch true"
            )
        wrong = [one for one in former.differences(config) if _determines_weights(one.partition(" ")[0])]
        if former.backbone.name != config.backbone.name and set(STAND_INS) & {
            former.backbone.name,
            config.backbone.name,
        }:
            wrong.append(f"backbone.name {former.backbone.name!r} (not {config.backbone.name!r})")
        if former.training.loss != config.training.loss and "quantile" in (former.training.loss, config.training.loss):
            wrong.append(f"training.loss {former.training.loss!r} (not {config.training.loss!r})")
        if wrong:
            raise CheckpointError(
                f"the checkpoint {self.folder} has another model: {', '.join(wrong)}; use its values, or train without "
                "start=folder"
            )
        recorded, found = self.checkpoint.backbone, model.language_model.identity if model.language_model else None
        if recorded is not None and found is not None and recorded.sha256 != found.sha256:
            raise CheckpointError(
                f"the checkpoint {self.folder} was trained on weights {recorded.sha256[:12]} of backbone.name "
                f"{recorded.name!r}, but {found.name!r} has {found.sha256[:12]}; set backbone.name to the same "
                "backbone, or train without start=folder"
            )
        self.checkpoint.load_into(model)


def read_start(folder: str | Path | Start | None, out: Path | None, *, resume: bool) -> Start | None:
    """Read the checkpoint that a run in the folder ``out`` starts from, unless it was read before; None without one.

    Raises
    ------
    ConfigError
        The run is to be resumed from a checkpoint, without a folder, or would replace the checkpoint.
    CheckpointError
        There is no such checkpoint, or it is damaged.
    """
    if resume and out is None:
        raise ConfigError("resume=True needs the folder of the run; pass out=folder as well")
    if folder is None:
        return None
    if resume:
        raise ConfigError("start=folder begins a new run and resume=True continues one: pass one of them")
    start = folder if isinstance(folder, Start) else Start.read(folder)
    if out is not None and out.exists() and out.samefile(start.folder):
        raise ConfigError(
            f"start=folder: the run would replace the checkpoint {out} that it starts from; write to another folder"
        )
    return start


def _determines_weights(key: str) -> bool:
    return key in ("data.context", "data.horizon") or (key.startswith(SECTIONS) and key not in FREE)
