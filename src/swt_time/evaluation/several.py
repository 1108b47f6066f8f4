"""A fit in several processes: what the first one decides, and how the others follow it.

All read the table. The first process chooses, and tells the others the configuration and, where effects of covariates
were taken off the series, what is left. All train. The first process then judges the branch, makes intervals, writes
the checkpoint and sends it to the others.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from swt_time.checkpoints import Checkpoint, content_of, fit_beside, parse_content
from swt_time.checkpoints.branch_record import is_left_out
from swt_time.checkpoints.checkpoint import result_of
from swt_time.config import Config
from swt_time.data.parts import split_table
from swt_time.data.series import SeriesTable, series_sha256
from swt_time.errors import ConfigError
from swt_time.evaluation.trained import Trained
from swt_time.model.alone import ClosedForm
from swt_time.processes import Processes
from swt_time.selection import Choice
from swt_time.training import TrainingResult


def check_same(processes: Processes, table: SeriesTable, asked: Config) -> None:
    """Raise in all processes if one of them has another table or configuration than the first.

    Raises
    ------
    ConfigError
    """
    if processes.alone:
        return
    own = {"tables": series_sha256(table).encode(), "options": hashlib.sha256(asked.to_json().encode()).digest()}
    first = processes.share(own)
    differ = processes.sum(*(own[name] != first[name] for name in own))
    for name, count in zip(own, differ, strict=True):
        if count:
            raise ConfigError(
                f"{int(count)} of {processes.size} processes have other {name} than the first; start every process "
                "with the same command on the same files"
            )


def tell_choice(processes: Processes, config: Config, table: SeriesTable, rest: SeriesTable) -> None:
    """Tell the others the configuration, and the series without effects where there are any."""
    if not processes.alone:
        values = b"" if rest is table else np.concatenate(rest.values).astype(np.float64).tobytes()
        processes.share({"config": config.to_json().encode(), "values": values})


def tell_checkpoint(processes: Processes, checkpoint: Checkpoint) -> None:
    """Send the others the checkpoint at the end of a fit."""
    if not processes.alone:
        processes.share(content_of(checkpoint))


def follow(
    processes: Processes, table: SeriesTable, device: str
) -> tuple[Config, Trained, TrainingResult, Choice | None]:
    """Fit with the first process; return the same configuration, forecaster, result and choice as it does."""
    told = processes.share({})
    config = Config.parse(json.loads(told["config"]))
    if told["values"]:
        values = np.split(np.frombuffer(told["values"]), np.cumsum(table.lengths)[:-1])
        table = replace(table, values=tuple(values))
    data = config.data
    parts = split_table(
        table, data.split, data.steps, data.horizon, train_fraction=data.train_fraction, pad=config.short == "pad"
    )
    model, result = fit_beside(config, parts, processes)
    checkpoint = parse_content(processes.share({}), Path("of the first process"))
    found = Trained.build(checkpoint, device) if model is None else None
    left_out = is_left_out(checkpoint.provenance)
    if found is None:
        same = isinstance(model, ClosedForm) or not left_out
        found = Trained(checkpoint, model, device) if same and model is not None else Trained.build(checkpoint, device)
    result = result_of(checkpoint) if result is None else result
    assert result is not None
    choice = checkpoint.provenance.get("choice")
    return checkpoint.config if left_out else config, found, result, None if choice is None else Choice(**choice)
