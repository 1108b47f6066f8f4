"""A checkpoint whose branch was judged on held-out blocks: kept, or left out with a record of what was asked for.

The record is ``branch`` in ``provenance.json``: the name of the branch, whether it was kept, why, and the test that was
made (`swt_time.selection.keeping`). A checkpoint without its branch is that of the linear forecast alone: its
configuration names no language model. The record then holds the values that were asked for (``asked``) and the identity
of the language model.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from swt_time.checkpoints.checkpoint import Checkpoint
from swt_time.config import Config
from swt_time.config.branch import without_branch
from swt_time.errors import CheckpointError
from swt_time.language import BackboneIdentity
from swt_time.model import SWTTime

RECORD = "branch"
"""Key of the record in the provenance."""

NAMES = {"none": "head on the patches", "attention": "attention stand-in", "transformer": "transformer stand-in"}


def kept(checkpoint: Checkpoint, reason: str, test: Mapping[str, Any] | None) -> Checkpoint:
    """Return a checkpoint with the record that its branch was kept."""
    return _recorded(checkpoint, _record(checkpoint.config, True, reason, test))


def left_out(
    checkpoint: Checkpoint, reduced: SWTTime, asked: Config, reason: str, test: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Return the checkpoint of a network without its branch.

    Parameters
    ----------
    checkpoint : Checkpoint
        What it holds beside the network is kept.
    reduced : SWTTime
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
    own = {name: weight.clone() for name, weight in reduced.trained_state().items()}
    return replace(_recorded(checkpoint, record), config=config, weights={**beside, **own}, backbone=None)


def _record(config: Config, kept: bool, reason: str, test: Mapping[str, Any] | None) -> dict[str, Any]:
    name = config.backbone.name
    return {"name": NAMES.get(name, f"language model {name}"), "kept": kept, "reason": reason, "test": test}


def _recorded(checkpoint: Checkpoint, record: Mapping[str, Any]) -> Checkpoint:
    return replace(checkpoint, provenance={**checkpoint.provenance, RECORD: record})


def is_judged(checkpoint: Checkpoint) -> bool:
    """Whether it is recorded what became of the branch of a checkpoint."""
    return RECORD in checkpoint.provenance


def is_left_out(checkpoint: Checkpoint) -> bool:
    """Whether the branch that was asked for is not in a checkpoint."""
    record = checkpoint.provenance.get(RECORD)
    return isinstance(record, Mapping) and not record.get("kept")


def as_asked(checkpoint: Checkpoint) -> tuple[Config, BackboneIdentity | None]:
    """Return the configuration that was asked for, and the language model; those of the checkpoint, if its branch was
    kept or it has none.

    Raises
    ------
    CheckpointError
        The record of the branch is damaged.
    """
    if not is_left_out(checkpoint):
        return checkpoint.config, checkpoint.backbone
    record = checkpoint.provenance[RECORD]
    try:
        backbone = record.get("backbone")
        return checkpoint.config.replace(record["asked"]), None if backbone is None else BackboneIdentity(**backbone)
    except (KeyError, TypeError, AttributeError):
        raise CheckpointError("the record of the branch in provenance.json is damaged") from None


def describe_branch(provenance: Mapping[str, Any]) -> str | None:
    """Describe in one line what became of the branch of a checkpoint; None if its provenance has no record of one."""
    record = provenance.get(RECORD)
    if not isinstance(record, Mapping):
        return None
    return f"branch ({record.get('name')}): {'kept' if record.get('kept') else 'left out'}, {record.get('reason')}"
