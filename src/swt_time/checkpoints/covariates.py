"""Effects of covariates in a checkpoint."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from swt_time.checkpoints.branch_record import is_left_out
from swt_time.checkpoints.checkpoint import Checkpoint
from swt_time.config import STAND_INS
from swt_time.effects import Effects
from swt_time.effects.effects import PREFIX
from swt_time.effects.groups import READ
from swt_time.errors import CheckpointError
from swt_time.language.finding import absolute_name


def with_effects(checkpoint: Checkpoint, effects: Effects) -> Checkpoint:
    """Return a checkpoint with effects of covariates, which its forecasts are without."""
    arrays = {PREFIX + name: np.array(one) for name, one in effects.to_arrays().items()}
    return replace(
        checkpoint,
        weights={**checkpoint.weights, **arrays},
        provenance={**checkpoint.provenance, "effects": effects.record()},
    )


def moved_backbone(checkpoint: Checkpoint, backbone: str | Path | None) -> Checkpoint:
    """Return a checkpoint that looks elsewhere for its language models: its backbone, and the reader of its texts.

    Raises
    ------
    CheckpointError
        See `Checkpoint.with_backbone`; a model without a language model takes one for its texts.
    """
    record = checkpoint.provenance.get("effects")
    groups = record.get("groups") if isinstance(record, Mapping) else None
    told = [isinstance(one, Mapping) and one.get("kind") in READ for one in groups or []]
    if backbone is None or record is None or groups is None or not any(told):
        return checkpoint.with_backbone(backbone)
    name = absolute_name(str(backbone))
    moved = [{**one, "backbone": name} if notes else one for one, notes in zip(groups, told, strict=True)]
    found = replace(checkpoint, provenance={**checkpoint.provenance, "effects": {**record, "groups": moved}})
    if checkpoint.config.backbone.name in STAND_INS or is_left_out(checkpoint.provenance):
        return found
    return found.with_backbone(backbone)


def effects_of(checkpoint: Checkpoint) -> Effects | None:
    """Effects of covariates; None if nothing is known beside the values.

    Raises
    ------
    CheckpointError
        They are damaged, or the training was ended before they were saved.
    """
    arrays = {k.removeprefix(PREFIX): w for k, w in checkpoint.weights.items() if k.startswith(PREFIX)}
    record = checkpoint.provenance.get("effects")
    if not arrays and record is None:
        if checkpoint.config.data.has_covariates:
            raise CheckpointError("the training was ended before the effects of covariates were saved: train it again")
        return None
    return Effects.from_record(record if isinstance(record, Mapping) else {}, arrays)
