"""What a study searches: ranges and choices of configuration keys."""

import json
import re
import types
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from swt_time.config import Config, dotted_keys, read_config_file
from swt_time.config.identity import NEVER_MATTER, config_hash
from swt_time.config.keys import did_you_mean
from swt_time.errors import ConfigError, SWTTimeWarning
from swt_time.evaluation.ablation import parse_axis
from swt_time.evaluation.ablation.variants import flatten
from swt_time.model import build_embedding

OF_DATA = {"data.context", "data.train_fraction", "data.description"}
"""Keys of the section ``data`` that can be searched: the others change the rows or the targets that are scored."""

RANGE = re.compile(
    r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*"
    r"\.\.\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(:\s*log\s*)?"
)

EXPECTED = "section.key=low..high, section.key=low..high:log or section.key=value,value"


@dataclass(frozen=True)
class Range:
    """All numbers from ``low`` to ``high``, of an integer key all integers.

    Attributes
    ----------
    low, high : float or int
        Both belong to the range.
    log : bool
        Whether the logarithm is searched evenly rather than the number.
    """

    low: float
    high: float
    log: bool = False

    @property
    def integer(self) -> bool:
        """Whether the range is one of integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def record(self) -> Any:
        """Return the range as plain values."""
        return {"low": self.low, "high": self.high, "log": self.log}

    def value(self, parameter: Any) -> Any:
        """Return the value of the key for a parameter of a trial."""
        return parameter

    def parameter(self, value: Any) -> Any:
        """Return the parameter of a trial for a value of the key; None if the range does not hold it."""
        known = isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high
        return value if known else None


@dataclass(frozen=True)
class Choices:
    """Several values of a key.

    Attributes
    ----------
    values : tuple
        As the configuration holds them.
    """

    values: tuple[Any, ...]

    def record(self) -> Any:
        """Return the choices as plain values: their names."""
        return [name_of(value) for value in self.values]

    def value(self, parameter: Any) -> Any:
        """Return the value of the key for a parameter of a trial, which is the name of the value."""
        return self.values[self.record().index(parameter)]

    def parameter(self, value: Any) -> Any:
        """Return the parameter of a trial for a value of the key; None if it is not among the choices."""
        name = name_of(value)
        return name if name in self.record() else None


Dimension = Range | Choices
Space = Mapping[str, Dimension]
"""What is searched, by dotted key."""


def name_of(value: Any) -> str:
    """Return a value as it is written after ``section.key=``: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def parse_search(text: str) -> tuple[str, Range | Sequence[Any]]:
    """Parse ``section.key=low..high``, with ``:log`` for a logarithmic scale, or ``section.key=value,value``.

    Raises
    ------
    ConfigError

    Examples
    --------
    >>> parse_search("training.learning_rate=1e-4..1e-2:log")
    ('training.learning_rate', Range(low=0.0001, high=0.01, log=True))
    >>> parse_search("embedding.wavelet=haar,db4")
    ('embedding.wavelet', ('haar', 'db4'))
    """
    key, equals, values = text.partition("=")
    key, match = key.strip(), RANGE.fullmatch(values)
    if not equals or "." not in key or not values.strip():
        raise ConfigError(f"space=...: expected {EXPECTED}, got {text!r}")
    if match is None:
        axis = parse_axis(text)
        return key, tuple(variant.changes[key] for variant in axis.variants)
    return key, Range(_number(match[1]), _number(match[2]), match[3] is not None)


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else float(text)


def read_space(path: Path) -> dict[str, Range | Sequence[Any]]:
    """Read a TOML file with the sections and keys of a configuration, whose values are lists or texts ``low..high``.

    Raises
    ------
    ConfigError
        The file is not TOML, or holds something else.
    """
    found = {}
    for key, value in flatten(read_config_file(path)):
        if isinstance(value, str) and RANGE.fullmatch(value):
            _, found[key] = parse_search(f"{key}={value}")
        elif isinstance(value, list):
            found[key] = tuple(value)
        else:
            raise ConfigError(
                f'{path}: {key}: expected a list of values or a range such as "1e-4..1e-2:log", got {value!r}'
            )
    return found


def check_space(asked: Mapping[str, Range | Sequence[Any]], base: Config) -> dict[str, Dimension]:
    """Return a space whose every bound and choice gives a configuration.

    The base's own value of a key becomes a choice if it is not among them.

    Parameters
    ----------
    asked : mapping
        By dotted key a `Range`, or a sequence of values.
    base : Config

    Raises
    ------
    ConfigError
        A key is unknown or cannot be searched, or a value is out of range.
    """
    if not asked:
        raise ConfigError("space=...: nothing is searched; name at least one key, such as data.context=168,336,512")
    for key in asked:
        _check_key(key)
    typed = {key: _as_typed(key, one) if isinstance(one, Range) else tuple(one) for key, one in asked.items()}
    ends = {key: (one.low, one.high) if isinstance(one, Range) else one for key, one in typed.items()}
    found: dict[str, Dimension] = {}
    for key, one in typed.items():
        own = value_of(base, key)
        # a value may need others that are searched too: it is tried beside the base, and beside their first and last
        beside = [base, *(_with(base, {other: values[i] for other, values in ends.items()}) for i in (0, -1))]
        allowed = [_first_that_works(beside, key, value) for value in ends[key]]
        if isinstance(one, Range):
            found[key] = one
        else:
            distinct = {name_of(value): value for value in (own, *(value_of(config, key) for config in allowed))}
            if len(distinct) < 2:
                raise ConfigError(f"space=...: {key} has the single value {name_of(own)}, that of the base")
            found[key] = Choices(tuple(distinct.values()))
        changed = [_with(base, {key: value}) for value in (own, *ends[key])]
        if len({None if config is None else config_hash(config) for config in changed}) < 2:
            warnings.warn(f"{key} has no effect beside the base configuration", SWTTimeWarning, stacklevel=3)
    return found


def _with(base: Config, changes: Mapping[str, Any]) -> Config | None:
    """Return the base with all changes that are possible together; None if they are not."""
    try:
        return base.replace(changes)
    except ConfigError:
        return None


def _first_that_works(beside: Sequence[Config | None], key: str, value: Any) -> Config:
    """Return the first of some configurations that can have a value; otherwise raise the error of the first one."""
    errors = []
    for config in beside:
        if config is not None:
            try:
                return configured(config, key, value)
            except ConfigError as error:
                errors.append(error)
    raise errors[0]


def _check_key(key: str) -> None:
    known = dotted_keys(Config)
    if key not in known:
        raise ConfigError(f"unknown configuration key {key!r} to search{did_you_mean(key, known)}")
    if key == "training.seed":
        raise ConfigError("space=...: training.seed cannot be searched: a lucky seed says nothing about later rows")
    if key.startswith("data.") and key not in OF_DATA:
        raise ConfigError(
            f"space=...: {key} cannot be searched, because trials would be scored on different values; "
            f"of the section data only {', '.join(sorted(OF_DATA))} can"
        )
    if key in NEVER_MATTER:
        raise ConfigError(f"space=...: {key} cannot be searched, because it does not change what is computed")


def _as_typed(key: str, one: Range) -> Range:
    """Return a range with the number type of its key."""
    kinds = _kinds(key)
    if not kinds & {int, float}:
        raise ConfigError(f"space=...: {key} is not a number, so it has no range; expected {key}=value,value")
    if float in kinds:
        one = Range(float(one.low), float(one.high), one.log)
    elif not one.integer:
        raise ConfigError(f"space=...: {key} is an integer; expected bounds such as 2..8, got {one.low}..{one.high}")
    if not one.low < one.high:
        raise ConfigError(f"space=...: {key}: expected low < high, got {one.low}..{one.high}")
    if one.log and one.low <= 0:
        raise ConfigError(f"space=...: {key}: a logarithmic range begins above 0, got {one.low}..{one.high}")
    return one


def _kinds(key: str) -> set[Any]:
    """Return the types that a key takes."""
    section, _, name = key.partition(".")
    kind: Any = Config.model_fields[section].annotation
    left, found = [kind.model_fields[name].annotation], set()
    while left:
        one = left.pop()
        if get_origin(one) in (Union, types.UnionType):
            left += get_args(one)
        elif get_origin(one) is Annotated:
            left.append(get_args(one)[0])
        else:
            found.add(one)
    return found


def configured(base: Config, key: str, value: Any) -> Config:
    """Return the base with one key changed, or explain why that is no configuration."""
    try:
        config = base.replace({key: value})
        if not config.automatic:
            build_embedding(config.embedding, config.data.steps)
    except ConfigError as error:
        raise ConfigError(f"space=...: {key}={name_of(value)}: {error}") from None
    return config


def value_of(config: Config, key: str) -> Any:
    """Return the value of a dotted key."""
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name)


def configuration(base: Config, space: Space, parameters: Mapping[str, Any]) -> Config:
    """Return the configuration of a trial.

    Raises
    ------
    ConfigError
        The values contradict each other.
    """
    return base.replace({key: space[key].value(one) for key, one in parameters.items()})


def parameters_of(base: Config, space: Space) -> dict[str, Any]:
    """Return the parameters of a trial that stand for the base, without those that a range does not hold."""
    found = {key: one.parameter(value_of(base, key)) for key, one in space.items()}
    return {key: parameter for key, parameter in found.items() if parameter is not None}
