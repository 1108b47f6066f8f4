"""The configuration, its files and its named presets.

- ``schema``: the configuration, every field with its default and description;
- ``choices``: the choices of options that are names;
- ``covariates``, ``tuning``: groups of options of a section;
- ``keys``, ``files``: names of options; configuration files and assignments;
- ``presets``, ``identity``: shipped configurations; the hash by which two configurations are compared;
- ``asking``: the configuration that keyword arguments ask for.
"""

from swt_time.config.asking import asked_config
from swt_time.config.choices import (
    STAND_INS,
    Fill,
    Loss,
    Precision,
    PromptAttention,
    Schedule,
    StandIn,
    Template,
    Tune,
)
from swt_time.config.files import parse_assignment, read_config_file
from swt_time.config.keys import dotted_keys, nearest_names, resolve_names
from swt_time.config.presets import preset_names, read_preset
from swt_time.config.schema import (
    MOST_WEIGHTS,
    BackboneConfig,
    Config,
    DataConfig,
    EmbeddingConfig,
    ModelConfig,
    PromptConfig,
    TrainingConfig,
)

__all__ = [
    "MOST_WEIGHTS",
    "STAND_INS",
    "BackboneConfig",
    "Config",
    "DataConfig",
    "EmbeddingConfig",
    "Fill",
    "Loss",
    "ModelConfig",
    "Precision",
    "PromptAttention",
    "PromptConfig",
    "Schedule",
    "StandIn",
    "Template",
    "TrainingConfig",
    "Tune",
    "asked_config",
    "dotted_keys",
    "nearest_names",
    "parse_assignment",
    "preset_names",
    "read_config_file",
    "read_preset",
    "resolve_names",
]
