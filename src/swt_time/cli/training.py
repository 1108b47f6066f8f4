"""``swt-time train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swt_time.cli.options import (
    INTERRUPTED,
    ColumnsOption,
    DataOption,
    DeviceOption,
    FillOption,
    FrequencyOption,
    IdOption,
    PresetOption,
    TargetOption,
    TimeOption,
    build_config,
    column_flags,
    parse_duration,
    stderr,
)
from swt_time.errors import ConfigError

if TYPE_CHECKING:
    from swt_time.config import Config


def train(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    horizon: Annotated[int | None, typer.Option(help="Steps to forecast.  [default: 96]")] = None,
    context: Annotated[int | None, typer.Option(help="Steps the model sees.  [default: 512]")] = None,
    split: Annotated[
        str | None, typer.Option(help="etth, ettm, none, or train/validation/test shares.  [default: 0.7/0.1/0.2]")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="minilm, a folder, a hub id, or a twin: none, attention, transformer.  [default: minilm]"),
    ] = None,
    description: Annotated[str | None, typer.Option(help="What the data are, in words; begins every prompt.")] = None,
    preset: PresetOption = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file, TOML or JSON; flags win over it.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
    train_fraction: Annotated[
        float | None, typer.Option(help="Few-shot: share of the training windows that is used, from the oldest on.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and dropout.  [default: 0]")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Training steps; else ten epochs.")] = None,
    max_time: Annotated[str | None, typer.Option(help="Time budget such as 90s, 20m, 1h30m.")] = None,
    precision: Annotated[str | None, typer.Option(help="Of the frozen model: auto, float32 or bfloat16.")] = None,
    device: DeviceOption = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Compile the training step; may pay on a GPU.")] = False,
    target: TargetOption = None,
    columns: ColumnsOption = None,
    time_column: TimeOption = None,
    id_column: IdOption = None,
    frequency: FrequencyOption = None,
    fill: FillOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint in --out.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that was stopped in --out, by its own options.")
    ] = False,
) -> None:
    """Train a model on a table and write a checkpoint folder."""
    flags = {
        "data.horizon": horizon,
        "data.context": context,
        "data.split": split,
        "data.train_fraction": train_fraction,
        "data.description": description,
        "backbone.name": backbone,
        "backbone.precision": precision,
        "training.seed": seed,
        "training.max_steps": max_steps,
        "training.max_seconds": None if max_time is None else parse_duration(max_time),
        "training.device": device,
        "training.compile": compile_ or None,
        **column_flags(target, columns, time_column, id_column, frequency, fill),
    }
    if overwrite and resume:
        raise ConfigError("--overwrite starts anew and --resume goes on: pass one of them")
    settings = build_config(config, set_ or [], flags, preset, _config_to_resume(out) if resume else None)

    from swt_time.checkpoint import check_output_folder
    from swt_time.data.reading import read_table
    from swt_time.forecaster import Forecaster
    from swt_time.progress import format_seconds, training_progress

    check_output_folder(out, overwrite or resume)
    table = read_table(data, id_column=settings.data.id_column)
    forecaster = Forecaster.from_config(settings)
    with training_progress(stderr()) as report:
        forecaster.fit(table, out=out, resume=resume, report=report)
    result = forecaster.result
    assert result is not None
    best = "" if result.best_loss is None else f", best validation {settings.training.loss} {result.best_loss:.4f}"
    at = f" at step {result.best_step}" if best else ""
    typer.echo(f"{result.ended} after {result.steps} steps in {format_seconds(result.seconds)}{best}{at}")
    typer.echo(f"model: {out}")
    if result.ended == "interrupted":
        typer.echo("go on with: the same command and --resume")
        raise typer.Exit(INTERRUPTED)


def _config_to_resume(out: Path) -> "Config | None":
    """The configuration of the run in a folder, so that its options need not be repeated; None where there is none."""
    from swt_time.checkpoint import holds_checkpoint, read_checkpoint
    from swt_time.training_state import read_run

    run = read_run(out)
    if run is not None:
        return run.config
    return read_checkpoint(out).config if holds_checkpoint(out) else None
