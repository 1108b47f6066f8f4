"""Effects of covariates in a checkpoint."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from swt_time.checkpoints.checkpoint import Checkpoint
from swt_time.effects import Effects
from swt_time.effects.effects import PREFIX
from swt_time.errors import CheckpointError


def with_effects(checkpoint: Checkpoint, effects: Effects) -> Checkpoint:
    """Return a checkpoint with effects of covariates, which its forecasts are without."""
    arrays = {PREFIX + name: np.array(one) for name, one in effects.to_arrays().items()}
    return replace(
        checkpoint,
        weights={**checkpoint.weights, **arrays},
        provenance={**checkpoint.provenance, "effects": effects.record()},
    )


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
