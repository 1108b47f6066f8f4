"""What a request asks for, from the query of its address or the fields of its JSON object."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Self

from starlette.datastructures import QueryParams

from swt_time.evaluation.uncertainty import LEVELS, Uncertainty
from swt_time.serve.json_tables import kind_of
from swt_time.serve.problems import READING, Problem

FIELDS = ("model", "levels", "quantiles", *READING)
"""What may be asked in a query and in JSON."""

TABLES = ("table", "future", "notes", "static")
"""Fields of JSON that are tables."""

MOST_NUMBERS = 100
"""Levels, and quantiles."""

LONGEST = 1000
"""Characters of a text."""


DEFAULT = Uncertainty(LEVELS)
"""What stands around a forecast of which nothing is asked."""


@dataclass(frozen=True)
class Asked:
    """A checked request, without its tables.

    Attributes
    ----------
    model : str or None
    around : Uncertainty
        Intervals and quantiles.
    reading : dict
        Keys of the section ``data`` that differ from those of the model.
    """

    model: str | None = None
    around: Uncertainty = DEFAULT
    reading: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: QueryParams) -> Self:
        """Read a query: numbers are separated by commas, and ``levels=none`` asks for no interval.

        Raises
        ------
        Problem, ConfigError
            A field is unknown, occurs twice, or has a wrong value.
        """
        fields: dict[str, Any] = {}
        for name, text in query.multi_items():
            if name in fields:
                raise _wrong(name, "one value", "two")
            fields[name] = text
        _refuse_unknown(fields, FIELDS)
        for name in ("levels", "quantiles"):
            if name in fields:
                text = fields[name].strip()
                parts = [] if text.lower() == "none" else [one for one in text.split(",") if one.strip()]
                try:
                    fields[name] = [float(one) for one in parts]
                except ValueError:
                    raise _wrong(name, "numbers separated by commas, such as 80,95", repr(text[:100])) from None
        return cls._from(fields)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Read the fields of a JSON object; null is the same as to leave a field out.

        Raises
        ------
        Problem, ConfigError
            A field is unknown or has a wrong value.
        """
        _refuse_unknown(fields, (*FIELDS, *TABLES))
        return cls._from({name: value for name, value in fields.items() if name not in TABLES and value is not None})

    @classmethod
    def _from(cls, fields: Mapping[str, Any]) -> Self:
        for name in ("model", *READING):
            if name in fields and not (isinstance(fields[name], str) and 0 < len(fields[name]) <= LONGEST):
                raise _wrong(name, f"text of 1 to {LONGEST:,} characters", kind_of(fields[name]))
        levels, quantiles = _numbers("levels", fields), _numbers("quantiles", fields)
        if levels is None:
            levels = () if quantiles else LEVELS
        reading = {name: fields[name] for name in READING if name in fields}
        if "target" in reading:
            reading["columns"] = None  # the target replaces the columns of the model
        return cls(fields.get("model"), Uncertainty(levels, quantiles or ()), reading)


def _numbers(name: str, fields: Mapping[str, Any]) -> tuple[float, ...] | None:
    found = fields.get(name)
    if found is None:
        return None
    expected = f"at most {MOST_NUMBERS} numbers, such as [80, 95]"
    if not isinstance(found, list):
        raise _wrong(name, expected, kind_of(found))
    if len(found) > MOST_NUMBERS:
        raise _wrong(name, expected, f"{len(found):,}")
    for one in found:
        if isinstance(one, bool) or not isinstance(one, int | float) or not math.isfinite(one):
            raise _wrong(name, expected, kind_of(one))
    return tuple(found)


def _refuse_unknown(fields: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in fields:
        if name not in known:
            near = get_close_matches(name[:LONGEST], known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(known)}"
            raise Problem(422, "UnknownField", f"there is no field {name[:100]!r}; {hint}")


def _wrong(name: str, expected: str, got: str) -> Problem:
    return Problem(422, "WrongField", f"{name}: expected {expected}; got {got}")
