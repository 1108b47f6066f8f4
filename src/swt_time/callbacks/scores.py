"""What is recorded of a training run, as plain numbers and texts by name."""

import json
from typing import Any

from swt_time.callbacks.callback import Outcome
from swt_time.config import Config
from swt_time.training import Run, Validation

MEASURED = ("train_loss", "validation_loss", "learning_rate", "gate", "windows_per_second")
"""Fields of a validation that are recorded by step, where they have a value."""


def measured(validation: Validation) -> dict[str, float]:
    """Return the numbers of a validation by name; what the model or the table does not have is left out."""
    found = {name: getattr(validation, name) for name in MEASURED}
    return {name: float(value) for name, value in found.items() if value is not None}


def final_scores(result: Outcome) -> dict[str, float]:
    """Return the numbers of a run that has ended.

    ``best_validation_loss``, ``best_step``, ``steps`` and ``seconds``; ``held_out_mse`` of the closed form; and
    ``choice_error``, the lowest error of a candidate on held-out blocks in units of seasonal naive.
    """
    found: dict[str, Any] = {
        "best_validation_loss": result.best_loss,
        "best_step": result.best_step,
        "steps": result.steps,
        "seconds": result.seconds,
        "held_out_mse": (result.closed_form or {}).get("held_out_mse"),
    }
    choice = {} if result.checkpoint is None else result.checkpoint.provenance.get("choice", {})
    found["choice_error"] = min(choice.get("errors", {}).values(), default=None)
    return {name: float(value) for name, value in found.items() if value is not None}


def flat(config: Config) -> dict[str, Any]:
    """Return every value of a configuration by its dotted key."""
    sections = config.model_dump(mode="json")
    return {f"{section}.{name}": value for section, values in sections.items() for name, value in values.items()}


def changed(config: Config) -> dict[str, Any]:
    """Return the values that differ from the defaults, by key."""
    defaults = flat(Config())
    return {key: value for key, value in flat(config).items() if value != defaults[key]}


def origin(run: Run) -> dict[str, str]:
    """Return where a run comes from as texts by name: versions as ``version.NAME``, and all other provenance."""
    found: dict[str, Any] = {"run": run.id, **run.provenance}
    versions = found.pop("versions", {})
    found |= {f"version.{name}": version for name, version in versions.items()}
    found |= {name: getattr(run, name) for name in ("series", "train_windows", "validation_windows")}
    return {name: text(value) for name, value in found.items() if value is not None}


def text(value: object) -> str:
    """Return a value as JSON, a text as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
