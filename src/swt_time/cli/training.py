"""``swt-time train``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swt_time.cli.beside import NotesOption, StaticOption
from swt_time.cli.forecasting import read_to_fit
from swt_time.cli.logging_runs import LogToOption, make_callbacks
from swt_time.cli.options import (
    INTERRUPTED,
    OUTPUT,
    TRAINING,
    ConfigOptions,
    DataOption,
    DeviceOption,
    TableOptions,
    expand_groups,
    given,
    key_option,
    option,
    parse_context,
    parse_duration,
    stderr,
)
from swt_time.cli.outputs import backbone_folder, check_outputs
from swt_time.cli.parts import train_parts
from swt_time.cli.streams import Said
from swt_time.config import Config
from swt_time.errors import ConfigError

if TYPE_CHECKING:
    from swt_time.checkpoints import Start


@expand_groups
def train(
    data: DataOption,
    out: Annotated[Path, option("--out", help="Checkpoint folder to write.")],
    options: ConfigOptions,
    table: TableOptions,
    horizon: Annotated[int | None, key_option("data.horizon", "--horizon")] = None,
    context: Annotated[str | None, key_option("data.context", "--context")] = None,
    split: Annotated[str | None, key_option("data.split", "--split")] = None,
    backbone: Annotated[str | None, key_option("backbone.name", "--backbone")] = None,
    description: Annotated[str | None, key_option("data.description", "--description")] = None,
    train_fraction: Annotated[float | None, key_option("data.train_fraction", "--train-fraction", TRAINING)] = None,
    static: StaticOption = None,
    notes: NotesOption = None,
    seed: Annotated[int | None, key_option("training.seed", "--seed", TRAINING)] = None,
    max_steps: Annotated[int | None, key_option("training.max_steps", "--max-steps", TRAINING)] = None,
    max_time: Annotated[
        str | None,
        key_option(
            "training.max_seconds",
            "--max-time",
            TRAINING,
            help="Time budget such as 90s, 20m or 1h30m; none by default.",
        ),
    ] = None,
    precision: Annotated[str | None, key_option("backbone.precision", "--precision", TRAINING)] = None,
    tune: Annotated[str | None, key_option("backbone.tune", "--tune", TRAINING)] = None,
    device: DeviceOption = None,
    compile_: Annotated[bool, key_option("training.compile", "--compile", TRAINING, default=False)] = False,
    keep_branch: Annotated[bool, key_option("training.keep_branch", "--keep-branch", TRAINING, default=False)] = False,
    from_: Annotated[
        Path | None,
        option(
            "--from",
            help="Checkpoint folder whose trained weights the run starts from; its configuration is the default.",
            panel=TRAINING,
        ),
    ] = None,
    log_to: LogToOption = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace the checkpoint in --out.", panel=OUTPUT)] = False,
    resume: Annotated[
        bool,
        option("--resume", help="Resume the run that was stopped in --out, with its own options.", panel=OUTPUT),
    ] = False,
) -> None:
    """Train a model on a table and write a checkpoint folder.

    A folder of Parquet files (--data), which may be larger than memory, is fitted by the closed form alone (--preset
    fast), some series at a time.
    """
    flags = {
        "data.horizon": horizon,
        "data.context": None if context is None else parse_context(context),
        "data.split": split,
        "data.train_fraction": train_fraction,
        "data.description": description,
        "backbone.name": backbone,
        "backbone.precision": precision,
        "backbone.tune": tune,
        "training.seed": seed,
        "training.max_steps": max_steps,
        "training.max_seconds": None if max_time is None else parse_duration(max_time),
        "training.device": device,
        "training.compile": compile_ or None,
        "training.keep_branch": keep_branch or None,
    }
    if overwrite and resume:
        raise ConfigError("--overwrite starts a new run and --resume continues one: pass one of them")
    if from_ is not None and resume:
        raise ConfigError("--from starts a new run and --resume continues one: pass one of them")
    start = None if from_ is None else _read_start(from_)
    former = _config_to_resume(out) if resume else None if start is None else start.checkpoint.config
    if resume and former is None and not (given(flags) or table.changes() or options.given()):
        raise ConfigError(f"--resume: no run was started in {out} yet; give the options of the run to start")
    config = options.build(flags, table, former)

    inputs = {"--data": data, "--static": static, "--notes": notes, "--config": options.config}
    check_outputs({"--out": out}, {**inputs, "--backbone": backbone_folder(config)}, {"--from": from_})
    if os.path.isdir(data):
        lone = {"--static": static, "--notes": notes, "--from": from_, "--resume": resume or None}
        lone |= {"--log-to": ", ".join(log_to) if log_to else None}
        train_parts(Path(data), out, config, overwrite, lone)
        return

    from swt_time.checkpoints import check_output_folder
    from swt_time.checkpoints.branch_record import describe_branch
    from swt_time.cli.progress import format_seconds, training_progress
    from swt_time.forecaster import Forecaster

    check_output_folder(out, overwrite or resume)
    callbacks = make_callbacks(log_to or (), out)
    frame, fixed, told = read_to_fit(data, static, notes, config.data)
    forecaster = Forecaster.from_config(config)
    with training_progress(stderr()) as report:
        try:
            forecaster.fit(
                frame,
                static=fixed,
                notes=told,
                out=out,
                resume=resume,
                start=start,
                report=report,
                callbacks=callbacks,
            )
        except (KeyboardInterrupt, SystemExit):
            if forecaster.result is None:  # before training
                raise
    result = forecaster.result
    assert result is not None
    best = "" if result.best_loss is None else f", best validation {config.training.loss} {result.best_loss:.4f}"
    at = f" at step {result.best_step}" if best else ""
    typer.echo(f"{result.ended} after {result.steps} steps in {format_seconds(result.seconds)}{best}{at}")
    effects = forecaster.trained.effects
    for line in effects.lines() if effects is not None else []:
        typer.echo(line)
    branch = describe_branch(forecaster.trained.checkpoint.provenance)
    if branch is not None:
        typer.echo(branch)
    typer.echo(f"model: {out}")
    if result.ended == "interrupted":
        typer.echo(f"to continue: the same command {'and' if from_ is None else 'without --from, and'} --resume")
        raise typer.Exit(Said(INTERRUPTED))


def _read_start(folder: Path) -> "Start":
    """Return the checkpoint that a run starts from, whose configuration is the default."""
    from swt_time.checkpoints import Start

    return Start.read(folder)


def _config_to_resume(out: Path) -> Config | None:
    """Return the configuration of the run in a folder, whose options need not be repeated; None where there is none."""
    from swt_time.checkpoints import holds_checkpoint, read_checkpoint, read_run
    from swt_time.checkpoints.branch import as_asked

    run = read_run(out)
    if run is not None:
        return run.config
    return as_asked(read_checkpoint(out))[0] if holds_checkpoint(out) else None
