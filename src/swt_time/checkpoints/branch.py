"""A checkpoint whose branch was judged on held-out blocks: kept, or left out with a record of what was asked for.

A checkpoint without its branch is that of the linear forecast alone: its configuration names no language model. The
record (`swt_time.checkpoints.branch_record`) then holds the values that were asked for and the identity of the language
model too.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from swt_time.checkpoints.branch_record import RECORD, is_left_out
from swt_time.checkpoints.checkpoint import Checkpoint
from swt_time.config import Config
from swt_time.config.branch import without_branch
from swt_time.errors import CheckpointError, ConfigError
from swt_time.language import BackboneIdentity
from swt_time.model.alone import ClosedForm, stored_weights
from swt_time.model.weights import to_arrays

if TYPE_CHECKING:
    from swt_time.model import SWTTime

NAMES = {"none": "head on the patches", "attention": "attention stand-in", "transformer": "transformer stand-in"}


def kept(checkpoint: Checkpoint, reason: str, test: Mapping[str, Any] | None) -> Checkpoint:
    """Return a checkpoint with the record that its branch was kept."""
    return _recorded(checkpoint, _record(checkpoint.config, True, reason, test))


def left_out(
    checkpoint: Checkpoint,
    reduced: "SWTTime | ClosedForm",
    asked: Config,
    reason: str,
    test: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Return the checkpoint of a network without its branch.

    Parameters
    ----------
    checkpoint : Checkpoint
        What it holds beside the network is kept.
    reduced : SWTTime or ClosedForm
        The network without the branch.
    asked : Config
        The configuration with the branch.
    reason : str
    test : mapping, optional
        The record of the test, if one was made.
    """
    config = without_branch(asked)
    before, after = asked.model_dump(mode="json"), config.model_dump(mode="json")
    changed = {
        f"{section}.{name}": value
        for section, values in before.items()
        for name, value in values.items()
        if value != after[section][name]
    }
    record = {**_record(asked, False, reason, test), "asked": changed}
    if checkpoint.backbone is not None:
        record["backbone"] = asdict(checkpoint.backbone)
    beside = {name: weight for name, weight in checkpoint.weights.items() if name not in checkpoint.trained_weights}
    own = stored_weights(config, to_arrays(reduced.trained_state()))
    return replace(_recorded(checkpoint, record), config=config, weights={**beside, **own}, backbone=None)


def _record(config: Config, kept: bool, reason: str, test: Mapping[str, Any] | None) -> dict[str, Any]:
    name = config.backbone.name
    return {"name": NAMES.get(name, f"language model {name}"), "kept": kept, "reason": reason, "test": test}


def _recorded(checkpoint: Checkpoint, record: Mapping[str, Any]) -> Checkpoint:
    return replace(checkpoint, provenance={**checkpoint.provenance, RECORD: record})


def as_asked(checkpoint: Checkpoint) -> tuple[Config, BackboneIdentity | None]:
    """Return the configuration that was asked for, and the language model.

    They are those of the checkpoint, if its branch was kept or it has none.

    Raises
    ------
    CheckpointError
        The record of the branch is damaged.
    """
    if not is_left_out(checkpoint.provenance):
        return checkpoint.config, checkpoint.backbone
    record = checkpoint.provenance[RECORD]
    try:
        backbone = record.get("backbone")
        return checkpoint.config.replace(record["asked"]), None if backbone is None else BackboneIdentity(**backbone)
    except (KeyError, TypeError, AttributeError, ConfigError):
        raise CheckpointError("the record of the branch in provenance.json is damaged") from None
