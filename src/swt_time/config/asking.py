"""The configuration that keyword arguments ask for."""

from collections.abc import Mapping
from typing import Any

from swt_time.config.keys import resolve_names
from swt_time.config.presets import read_preset
from swt_time.config.schema import Config


def asked_config(named: Mapping[str, Any], options: Mapping[str, Any], preset: str | None) -> Config:
    """Build a configuration from a preset and what was given beside it.

    Parameters
    ----------
    named : mapping
        Values by dotted key; None where the argument was not given.
    options : mapping
        Values by bare name or by section; see `resolve_names`.
    preset : str or None
        By default ``auto``, if nothing but the seed and options of the table (section ``data``) is given.

    Raises
    ------
    ConfigError
        An unknown option, or a value out of range.
    """
    given = {key: value for key, value in named.items() if value is not None}
    given |= resolve_names(Config, options)
    if preset is None and all(key.startswith("data.") or key == "training.seed" for key in given):
        preset = "auto"
    return Config.parse({} if preset is None else read_preset(preset)).replace(given)
