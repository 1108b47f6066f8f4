"""Variants of a base configuration: axes of named changes, applied one at a time or as a grid."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swt_time.config import Config, parse_assignment, read_config_file
from swt_time.config.identity import config_hash
from swt_time.errors import ConfigError
from swt_time.model import build_embedding

BASE = "base"

EVERY_AXIS = Path(__file__).with_name("axes.toml")
"""The shipped file of axes: every option of the embedding, the prompt, the backbone and the head."""


@dataclass(frozen=True)
class Variant:
    """A named change to the configuration."""

    name: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """A named set of alternatives; a grid combines one of each axis."""

    name: str
    variants: tuple[Variant, ...]


def parse_axis(text: str) -> Axis:
    """Parse ``section.key=value,value,...``; commas inside brackets, braces or quotes do not separate values.

    Raises
    ------
    ConfigError
    """
    key, equals, values = text.partition("=")
    key = key.strip()
    if not equals or not values.strip():
        raise ConfigError(
            f"axis: expected section.key=value,value,..., got {text!r}; for example embedding.wavelet=haar,db4"
        )
    variants = []
    for value in _divide(values):
        name, parsed = parse_assignment(f"{key}={value}")
        variants.append(Variant(f"{key}={value}", {name: parsed}))
    return Axis(key, tuple(variants))


def parse_variant(text: str) -> Variant:
    """Parse ``name: section.key=value, section.key=value``, which changes several keys at once.

    Raises
    ------
    ConfigError
    """
    name, colon, assignments = text.partition(":")
    if not colon or not name.strip() or "=" in name:
        raise ConfigError(
            f"variant: expected name: section.key=value, ..., got {text!r}; "
            "for example 'plain: embedding.kind=patch, embedding.receptive_field=wavelet'"
        )
    return Variant(name.strip(), dict(parse_assignment(part) for part in _divide(assignments)))


def read_axes(path: Path) -> list[Axis]:
    """Read a TOML file of ``[[variant]]`` tables with ``axis``, ``name`` and ``set``, a table of dotted keys.

    Raises
    ------
    ConfigError
        The file is not TOML, or a variant does not have exactly these three.
    """
    values = read_config_file(path)
    found: dict[str, list[Variant]] = {}
    unknown = set(values) - {"variant"}
    entries = values.get("variant", [])
    if unknown or not isinstance(entries, list) or not entries:
        what = f"got {', '.join(sorted(unknown))}" if unknown else "it has none"
        raise ConfigError(f"{path}: expected [[variant]] tables with axis, name and set; {what}")
    for number, entry in enumerate(entries, 1):
        fits = isinstance(entry, dict) and set(entry) == {"axis", "name", "set"} and isinstance(entry["set"], dict)
        if not fits:
            raise ConfigError(f"{path}: [[variant]] {number}: expected exactly axis, name and set = {{...}}")
        found.setdefault(str(entry["axis"]), []).append(Variant(str(entry["name"]), dict(flatten(entry["set"]))))
    return [Axis(name, tuple(variants)) for name, variants in found.items()]


def expand(base: Config, axes: Sequence[Axis], *, grid: bool) -> dict[str, Config]:
    """Return every configuration to run by the name of its variant, the base first.

    With ``grid=False`` these are the base and each variant alone; with ``grid=True``, the base and every combination
    of one variant per axis. A variant whose configuration equals an earlier one is left out.

    Raises
    ------
    ConfigError
        A change is invalid, or two different changes have the same name.
    """
    if grid:
        choices = [_join(choice) for choice in itertools.product(*(axis.variants for axis in axes))] if axes else []
    else:
        choices = [variant for axis in axes for variant in axis.variants]
    build_embedding(base.embedding, base.data.steps)
    found = {BASE: base}
    seen = {config_hash(base)}
    for variant in choices:
        try:
            config = base.replace(variant.changes)
            build_embedding(config.embedding, config.data.steps)
        except ConfigError as error:
            raise ConfigError(f"variant {variant.name!r}: {error}") from None
        key = config_hash(config)
        if key in seen:
            continue
        if variant.name in found:
            raise ConfigError(f"two variants have the name {variant.name!r}; rename one of them")
        seen.add(key)
        found[variant.name] = config
    return found


def _join(variants: Iterable[Variant]) -> Variant:
    variants = tuple(variants)
    changes: dict[str, Any] = {}
    for variant in variants:
        changes |= variant.changes
    return Variant(", ".join(variant.name for variant in variants), changes)


def _divide(text: str) -> list[str]:
    """Split at the commas outside brackets, braces and quotes."""
    parts = re.findall(r"""(?:\[[^\[\]]*\]|\{[^{}]*\}|"[^"]*"|'[^']*'|[^,])+""", text)
    return [part.strip() for part in parts if part.strip()]


def flatten(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield dotted keys, whether they were written with dots or as tables."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", one) for name, one in flatten(value))
        else:
            yield key, value
