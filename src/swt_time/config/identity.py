"""Compare configurations by the options that change what is computed."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from swt_time.config.choices import STAND_INS
from swt_time.config.presets import read_reference
from swt_time.config.schema import Config

NEVER_MATTER = {
    "training.device",
    "training.micro_batch",
    "training.checkpoint_every",
    "data.memory_limit",
    "training.keep_sums",
    "training.keep_branch",
}
"""Options that change where and how a run is executed, but not what it computes."""


def options_of(config: Config) -> dict[str, Any]:
    """Return the options that differ from the reference configuration, by dotted key; `config_of` is the inverse.

    Options without effect beside the others (such as the layers of a language model that is not used) are left out.
    Unlike the defaults, the reference never changes, so that rows of results keep their meaning when a default does. A
    key that was added after the reference is listed where it differs from its default.
    """
    fixed, defaults = _reference(), _dotted(Config().model_dump(mode="json"))
    values = _dotted(config.model_dump(mode="json"))
    idle = _without_effect(config)
    return {
        key: value
        for key, value in sorted(values.items())
        if key not in idle and value != fixed.get(key, defaults[key])
    }


def config_of(options: Mapping[str, Any]) -> Config:
    """Return the configuration with these options of `options_of`."""
    return Config().replace({**_reference(), **options})


def config_hash(config: Config) -> str:
    """Hash of `options_of`, 12 hexadecimal digits; equal for two configurations that compute the same."""
    return hashlib.sha256(json.dumps(options_of(config)).encode()).hexdigest()[:12]


def _without_effect(config: Config) -> set[str]:
    """Keys that have no effect on what this configuration computes."""
    embedding, backbone, idle = config.embedding, config.backbone, set(NEVER_MATTER)
    if embedding.kind == "wavelet":
        idle |= {"embedding.kernel_size", "embedding.receptive_field"}
    else:
        names = ["norm", "bands", "band_weights", "shrink", "projection", "semantic", "learnable", "pad"]
        if embedding.receptive_field == "patch":
            names += ["wavelet", "level", "boundary"]
        idle |= {f"embedding.{name}" for name in names}
    if embedding.kind == "patch" or embedding.learnable != "free":
        idle.add("training.reconstruction_weight")
    if backbone.name in STAND_INS:
        idle |= {"data.description", "prompt.template", "model.prototypes", "model.n_prototypes"}
        idle |= {"model.attention_dropout", "backbone.random_init", "backbone.precision", "backbone.prompt_attention"}
        idle.add("backbone.tune")
    if config.model.skip != "ridge":
        idle.add("model.closed_form")
    if backbone.name == "none":
        idle.add("model.n_heads")
        idle |= {"model.skip"} if config.model.skip in ("linear", "none") else set()
    if backbone.name in ("none", "attention"):
        idle |= {"backbone.layers", "model.d_ff"}
    if config.prompt.template == "none":
        idle.add("data.description")
    if config.training.max_steps is not None:
        idle.add("training.epochs")
    return idle


@cache
def _reference() -> dict[str, Any]:
    return _dotted(read_reference())


def _dotted(sections: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{section}.{key}": value for section, values in sections.items() for key, value in values.items()}
