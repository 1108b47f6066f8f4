"""Small models with the paper configuration, and windows for them."""

import torch

from swt_time.config import Config
from swt_time.model import build_model

TINY = {"d_model": 8, "level": 2, "d_ff": 8, "n_heads": 2, "n_prototypes": 16, "precision": "float32", "batch_size": 16}
TINY |= {"keep_branch": True}
"""Options of `swt_time.Forecaster` for a network that trains in seconds, and is kept whether it gains or not."""

PAPER = {
    "data": {"context": 96, "horizon": 24, "description": "Oil temperature of a transformer, hourly."},
    "embedding": {"d_model": 16, "level": 2, "wavelet": "db4", "pad": "coefficient"},
    "prompt": {"template": "paper"},
    "backbone": {"precision": "float32", "prompt_attention": "full"},
    "model": {
        "d_ff": 16,
        "n_heads": 4,
        "prototypes": "mapping",
        "n_prototypes": 20,
        "skip": "none",
        "dropout": 0.0,
    },
}


def make_model(folder, **changes):
    """Build a model in eval mode with the backbone in a folder; changes are configuration values by key."""
    torch.manual_seed(0)
    model = build_model(Config.parse(PAPER).replace({"backbone.name": str(folder), **changes}))
    # The gate starts at zero; set it to another value, so that the forecast depends on the language model.
    if model.gate is not None:
        torch.nn.init.constant_(model.gate, 0.7)
    return model.eval()


def windows(count, context=96, channels=1, seed=3):
    """Random walks of different scale and level, (count, T, N)."""
    steps = torch.randn(count, context, channels, generator=torch.Generator().manual_seed(seed))
    size = torch.logspace(-1, 2, count).reshape(-1, 1, 1)
    return steps.cumsum(dim=1) * size + 10 * size
