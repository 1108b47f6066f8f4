"""What the provenance of a checkpoint records of the branch beside its linear forecast.

The record is ``branch`` in ``provenance.json``: the ``name`` of the branch, whether it was ``kept``, the ``reason``,
and the ``test`` that was made (`swt_time.selection.keeping`). Of a branch that was left out it also holds the
configuration values that were ``asked`` for, and the ``backbone``.
"""

import warnings
from collections.abc import Mapping
from typing import Any

from swt_time.errors import SWTTimeWarning

RECORD = "branch"
"""Key of the record in the provenance."""


def is_left_out(provenance: Mapping[str, Any]) -> bool:
    """Whether the branch that was asked for is not in a checkpoint."""
    record = provenance.get(RECORD)
    return isinstance(record, Mapping) and not record.get("kept")


def describe_branch(provenance: Mapping[str, Any]) -> str | None:
    """Describe in one line what became of the branch of a checkpoint; None if its provenance has no record of one."""
    record = provenance.get(RECORD)
    if not isinstance(record, Mapping):
        return None
    return f"branch ({record.get('name')}): {'kept' if record.get('kept') else 'left out'}, {record.get('reason')}"


def takes_no_backbone(provenance: Mapping[str, Any]) -> bool:
    """Warn that a backbone is given to a checkpoint whose branch was left out, and return True; else return False."""
    if not is_left_out(provenance):
        return False
    warnings.warn(
        "the backbone given is ignored: the model needs none, since its branch did not earn its place and was left out",
        SWTTimeWarning,
        stacklevel=4,
    )
    return True
