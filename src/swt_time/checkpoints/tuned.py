"""What a checkpoint holds of its language model: the values that were tuned; the rest is frozen, and not in it."""

from swt_time.checkpoints.checkpoint import Checkpoint

BACKBONE = "branch.backbone."
"""Prefix of the tuned values among the weights."""


def describe_tuning(checkpoint: Checkpoint) -> str | None:
    """Say in one line what of the language model is tuned, and how many values; None without a language model."""
    if checkpoint.backbone is None:
        return None
    values = sum(weight.size for name, weight in checkpoint.weights.items() if name.startswith(BACKBONE))
    what = {
        "none": "frozen",
        "norms": "frozen but for its normalisations and learned positions",
        "lora": "frozen beside low-rank adapters",
    }[checkpoint.config.backbone.tune]
    return f"language model {checkpoint.backbone.name}: {what}, {values:,} tuned values"
