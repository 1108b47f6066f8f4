"""A configuration as a TOML file, with a comment on how it was chosen."""

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from swt_time.config import Config
from swt_time.errors import ConfigError, SWTTimeError, one_line
from swt_time.folders import check_place, explained, replace_file


def check_config_output(path: Path, base: Config) -> None:
    """Check that a configuration like the base can be written to a path, before any work.

    Raises
    ------
    ConfigError
    """
    if path.suffix != ".toml":
        raise ConfigError(f"cannot write the configuration {path}: expected a name ending in .toml")
    check_place(path, f"cannot write the configuration {path}", ConfigError)
    config_toml(base).encode()


def config_toml(config: Config, comment: Iterable[str] = ()) -> str:
    """Return every value of a configuration as TOML, below lines of comment.

    Raises
    ------
    ConfigError
        A key that has a default has no value, which TOML cannot express.
    """
    lines = [f"# {one_line(line)}".rstrip() for line in comment]
    for section, values in config.model_dump().items():
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]
    text = "\n".join(lines).lstrip("\n") + "\n"
    found = Config.parse(tomllib.loads(text))
    if found != config:
        lost = ", ".join(one.split()[0] for one in config.differences(found))
        raise ConfigError(f"TOML has no value for {lost} without a value; set a number instead")
    return text


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    # what JSON writes is TOML, but for one character that only TOML escapes
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_config(path: Path, config: Config, comment: Iterable[str] = ()) -> None:
    """Write a configuration file that `swt_time.config.read_config_file` reads.

    Raises
    ------
    ConfigError
        As `check_config_output`.
    SWTTimeError
        The operating system refused to write the file; a former one is kept.
    """
    check_config_output(path, config)
    with explained(f"cannot write the configuration {path}", SWTTimeError):
        replace_file(path, config_toml(config, comment).encode(), ConfigError)
