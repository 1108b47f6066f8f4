"""``swt-time forecast`` and ``train`` with a folder of Parquet files as ``--data``."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from swt_time.cli.options import ModelOptions, TableOptions, option, stderr
from swt_time.cli.outputs import check_outputs
from swt_time.config import Config
from swt_time.config.choices import Engine
from swt_time.errors import ConfigError

if TYPE_CHECKING:
    from swt_time.evaluation.uncertainty import Uncertainty

PARTS = "Folders of Parquet files"
"""Panel of the help."""

EngineOption = Annotated[
    str | None,
    option(
        "--engine",
        help="Where the series of a folder are forecast: local, in processes of this machine, or ray (extra ray; the "
        "cluster of RAY_ADDRESS, or one that is started here).  [default: local]",
        panel=PARTS,
    ),
]
WorkersOption = Annotated[
    int | None,
    option(
        "--workers",
        help="Processes at most.  [default: one for each CPU; one with a language model]",
        panel=PARTS,
        min=1,
    ),
]


def is_parts(data: str, engine: str | None, workers: int | None) -> bool:
    """Whether a table is a folder of parts.

    Raises
    ------
    ConfigError
        It is not, but an option of a folder is given, or the engine is unknown.
    """
    if engine is not None and engine not in get_args(Engine):
        raise ConfigError(f"--engine {engine}: expected {' or '.join(get_args(Engine))}; for Spark see docs/scaling.md")
    if os.path.isdir(data):  # unlike that of a Path, False for a name that cannot be used
        return True
    for flag, value in {"--engine": engine, "--workers": workers}.items():
        if value is not None:
            raise ConfigError(f"{flag} needs a folder of Parquet files, but --data {data} is none; leave {flag} out")
    return False


def forecast_parts(
    data: Path,
    out: Path,
    model: Path | None,
    options: ModelOptions,
    table: TableOptions,
    *,
    asked: "Uncertainty",
    strict: bool,
    engine: str | None,
    workers: int | None,
    lone: Mapping[str, Any],
) -> None:
    """Forecast a folder by a saved model; ``lone`` are options of a single table, by flag."""
    from swt_time.cli.progress import counting_progress
    from swt_time.hub import find_checkpoint
    from swt_time.scaling import forecast_folder

    if model is None:
        raise ConfigError(
            f"the folder --data {data} is forecast by a saved model: give --model (of swt-time train --data with this "
            "folder, or with a table of some of its series)"
        )
    _refuse(lone, data, " (rows of the future, without a value, may end the parts)")
    check_outputs({"--out": out}, {}, {"--model": model, "--data": data})
    reading = table.values()
    short = reading.pop("short", None)
    with counting_progress(stderr(), "buckets") as report:
        found = forecast_folder(
            data,
            find_checkpoint(model.as_posix()),
            out,
            engine=engine or "local",  # type: ignore[arg-type]  # checked by `is_parts`
            workers=workers,
            report=report,
            levels=asked.levels,
            quantiles=asked.quantiles,
            samples=asked.samples,
            strict=strict,
            short=short,
            backbone=options.backbone,
            device=options.device or "auto",
            allow_backbone_change=options.allow_backbone_change,
            reading=reading,
        )
    skipped = f", {found.skipped} of them finished before" if found.skipped else ""
    left_out = f", {found.left_out} left out" if found.left_out else ""
    typer.echo(f"forecast: {out} ({found.series} series{left_out}; {found.buckets} buckets{skipped})")


def train_parts(data: Path, out: Path, config: Config, overwrite: bool, lone: Mapping[str, Any]) -> None:
    """Fit the closed form to a folder; ``lone`` are options of a single table, by flag."""
    from swt_time.cli.progress import counting_progress, format_seconds, training_progress
    from swt_time.scaling import fit_folder

    _refuse(lone, data)
    check_outputs({"--out": out}, {}, {"--data": data})
    with counting_progress(stderr(), "buckets") as progress, training_progress(stderr()) as report:
        result = fit_folder(data, out, config, overwrite=overwrite, report=report, progress=progress)
    best = "" if result.best_loss is None else f", validation mse {result.best_loss:.4f}"
    typer.echo(f"{result.ended} in {format_seconds(result.seconds)} after the rows were read{best}")
    typer.echo(f"model: {out}")


def _refuse(lone: Mapping[str, Any], data: Path, instead: str = "") -> None:
    for flag, value in lone.items():
        if value is not None:
            raise ConfigError(f"{flag} is for a single table, and --data {data} is a folder; leave it out{instead}")
