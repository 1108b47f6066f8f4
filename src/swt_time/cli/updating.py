"""``swt-time update``."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from swt_time.cli.forecasting import read_for
from swt_time.cli.options import OUTPUT, DataOption, TableOptions, TrainedOption, expand_groups, option
from swt_time.cli.outputs import check_outputs


@expand_groups
def update(
    model: TrainedOption,
    data: DataOption,
    table: TableOptions,
    out: Annotated[
        Path | None,
        option("--out", help="Checkpoint folder to write.  [default: the model is replaced]", panel=OUTPUT),
    ] = None,
) -> None:
    """Take new rows of a table into a model that was trained with --set training.keep_sums=true.

    The closed form becomes the one of all rows. The table holds the new rows, and before them the last context +
    horizon - 1 rows that the model was trained on; rows before those are not read.
    """
    from swt_time.checkpoints import check_output_folder, locked, read_checkpoint, write_checkpoint
    from swt_time.forecaster import Forecaster

    check_outputs({"--out": out}, {"--data": data}, {"--model": model})
    if out is None:
        check_outputs({"--model": model}, {"--data": data})
    read_checkpoint(model)  # what is no checkpoint is refused before its folder is locked
    if out is not None:
        check_output_folder(out, overwrite=None)
    with locked(model) if out is None else contextlib.nullcontext():
        forecaster = Forecaster.load(model, device="cpu")
        _, series = read_for(forecaster, data, table)
        forecaster.update_series(series)
        if out is None:
            write_checkpoint(model, forecaster.trained.checkpoint)
        else:
            forecaster.save(out)
    typer.echo(f"model: {out or model}")
