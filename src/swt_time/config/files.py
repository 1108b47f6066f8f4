"""Read configuration files and ``section.key=value`` assignments."""

import re
import tomllib
from pathlib import Path
from typing import Any

from swt_time.errors import ConfigError
from swt_time.files import MEBIBYTE, parse_json, read_bytes

FILE_LIMIT = MEBIBYTE
"""Most bytes of a configuration file."""

LONG_KEY = re.compile(r"(?:\.\s*+[\w\"'-]++\s*+){16}")
"""A dotted name of more than 16 parts; the time of Python's parser grows with the square of the parts."""


def read_config_file(path: Path) -> dict[str, Any]:
    """Read a ``.toml`` or ``.json`` file as nested values, to be checked by `Config.parse`."""
    raw = read_bytes(path, FILE_LIMIT, ConfigError)
    what = f"the configuration file {path}"
    if path.suffix == ".json":
        return parse_json(raw, what, ConfigError)
    try:
        text = raw.decode()
        if LONG_KEY.search(text):
            raise ConfigError(f"{what} names a key of more than 16 parts; expected section.key")
        return tomllib.loads(text)
    except UnicodeDecodeError:
        raise ConfigError(f"{what} is not UTF-8 text") from None
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{what} is not valid TOML: {error}") from None


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split ``section.key=value``; the value is parsed as TOML where possible, else taken as text."""
    key, equals, value = text.partition("=")
    if not equals or "." not in key:
        raise ConfigError(f"expected section.key=value, got {text!r}; for example training.learning_rate=0.0005")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return key.strip(), value
