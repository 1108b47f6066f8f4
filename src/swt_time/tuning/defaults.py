"""What is searched if nothing is named: a few keys that matter for the kind of the base configuration."""

from collections.abc import Sequence
from typing import Any

from swt_time.config import STAND_INS, Config
from swt_time.errors import ConfigError
from swt_time.tuning.space import Range, configured, name_of, value_of

RATES = 10.0
"""Factor by which the learning rate may be lower or higher than that of the base."""


def default_space(base: Config, contexts: Sequence[int]) -> dict[str, Range | Sequence[Any]]:
    """Return a few keys to search, without values that the base does not allow.

    Parameters
    ----------
    base : Config
    contexts : sequence of int
        Contexts that fit the table, see `swt_time.selection.contexts.feasible_contexts`.
    """
    choices: dict[str, Sequence[Any]] = {"data.context": contexts}
    ranges: dict[str, Range] = {}
    if base.embedding.kind == "wavelet":
        choices["embedding.wavelet"] = ("haar", "db4")
    if base.training.max_steps == 0:
        choices["model.closed_form"] = (("blocks",), ("blocks", "season"), ("blocks", "season", "structure"))
        choices["model.panel"] = (False, True)
    else:
        rate = base.training.learning_rate
        choices["embedding.patch_len"] = (8, 16, 32)
        ranges["training.learning_rate"] = Range(rate / RATES, rate * RATES, log=True)
        ranges["model.dropout"] = Range(0.0, 0.5)
        if base.backbone.name in STAND_INS:
            ranges["embedding.d_model"] = Range(8, 64, log=True)
        else:
            ranges["model.n_prototypes"] = Range(100, 1000, log=True)
    allowed = {key: tuple(one for one in values if _fits(base, key, one)) for key, values in choices.items()}
    several = {key: one for key, one in allowed.items() if {*map(name_of, one)} - {name_of(value_of(base, key))}}
    return {**several, **ranges}


def _fits(base: Config, key: str, value: Any) -> bool:
    try:
        configured(base, key, value)
    except ConfigError:
        return False
    return True
