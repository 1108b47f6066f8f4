"""Names of configuration options: dotted keys, bare names, suggestions for unknown ones, and errors that name them."""

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from swt_time.errors import ConfigError


def dotted_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """All keys of a configuration model, as ``section.name``."""
    keys = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += dotted_keys(kind, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def describe_key(model: type[BaseModel], key: str) -> tuple[str, Any]:
    """Return the description (in one line) and default of a dotted key."""
    section, _, name = key.partition(".")
    kind = model.model_fields[section].annotation
    assert isinstance(kind, type)
    assert issubclass(kind, BaseModel)
    field = kind.model_fields[name]
    return " ".join((field.description or "").split()), field.default


def nearest_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to three known names similar to ``name``; names with the same last part (``horizon``) come first."""
    known = list(known)
    tail = name.rpartition(".")[2]
    same = [k for k in known if k.rpartition(".")[2] == tail]
    return list(dict.fromkeys(same + difflib.get_close_matches(name, known, n=3)))[:3]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the text ``; did you mean ...?`` with the nearest known names; empty if there are none."""
    close = nearest_names(name, known)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def resolve_names(model: type[BaseModel], options: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve options given by bare name (``wavelet="haar"``) or section (``model={"dropout": 0.3}``) to dotted keys.

    Raises
    ------
    ConfigError
        An unknown name, or one that occurs in several sections.
    """
    keys = dotted_keys(model)
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name in model.model_fields:
            values = value.model_dump() if isinstance(value, BaseModel) else dict(value)
            found |= {f"{name}.{key}": one for key, one in values.items()}
            continue
        matches = [key for key in keys if key.partition(".")[2] == name]
        if len(matches) > 1:
            places = " or ".join(f"{key.partition('.')[0]}={{{name!r}: ...}}" for key in matches)
            raise ConfigError(f"option {name!r} occurs in several sections; write {places}")
        if not matches:
            hint = did_you_mean(name, [key.partition(".")[2] for key in keys])
            raise ConfigError(f"unknown option {name!r}{hint}")
        found[matches[0]] = value
    return found


_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 80


def explain_error(error: Any, model: type[BaseModel]) -> str:
    """One error of pydantic as a clause that names the key, what was expected and what was found."""
    key = ".".join(str(part) for part in error["loc"] if part != "function-after")
    if error["type"] == "extra_forbidden":
        return f"unknown configuration key {key!r}{did_you_mean(key, dotted_keys(model))}"
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    return f"{key}: {message}, got {_shown.repr(error['input'])}" if key else message
