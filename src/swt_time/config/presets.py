"""Configurations that ship with the package, by name."""

import tomllib
from importlib.resources import files
from typing import Any

from swt_time.config.keys import nearest_names
from swt_time.errors import ConfigError

FOLDER = files("swt_time.config") / "shipped"

REFERENCE = "reference"
"""The fixed configuration that results are described by; not a preset."""


def preset_names() -> dict[str, str]:
    """Names of the presets, with the first line of each, which describes it."""
    found = {}
    for file in sorted(FOLDER.iterdir(), key=lambda file: file.name):
        name, _, suffix = file.name.rpartition(".")
        if suffix == "toml" and name != REFERENCE:
            found[name] = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    return found


def read_preset(name: str) -> dict[str, Any]:
    """Read the values of a preset, by section; keys that it leaves out keep their defaults.

    Raises
    ------
    ConfigError
        No such preset.
    """
    known = preset_names()
    if name not in known:
        near = nearest_names(name, known)
        hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(known)}"
        raise ConfigError(f"unknown preset {name!r}; {hint}")
    return _read(name)


def read_reference() -> dict[str, Any]:
    """Read the values of the reference configuration, by section."""
    return _read(REFERENCE)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
