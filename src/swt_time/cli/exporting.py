"""``swt-time export``."""

from pathlib import Path
from typing import Annotated

import typer

from swt_time.cli.options import IntervalOptions, TrainedOption, expand_groups, option
from swt_time.cli.outputs import check_outputs
from swt_time.errors import ConfigError


@expand_groups
def export(
    out: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="File to write: .onnx for an ONNX graph, .pt2 for a program of PyTorch."),
    ],
    model: TrainedOption,
    intervals: IntervalOptions,
    backbone: Annotated[
        str | None,
        option(
            "--backbone", help="Folder or hub id of the language model, for .pt2.  [default: where it was in training]"
        ),
    ] = None,
) -> None:
    """Write a model for use without swt-time: forecasts and intervals as an ONNX graph, or its network for PyTorch.

    The graph takes values in the units of the table; its properties say what it expects. A model with a language model
    is written as .pt2, without intervals.
    """
    from swt_time.evaluation.uncertainty import LEVELS
    from swt_time.exporting import SUFFIXES, export_onnx
    from swt_time.exporting.files import check_target
    from swt_time.hub import find_checkpoint

    asked = intervals.asked(LEVELS)
    check_outputs({"FILE": out}, {"--backbone": backbone}, {"--model": model})
    check_target(out, *SUFFIXES)
    model = find_checkpoint(model.as_posix())
    if out.suffix.lower() == ".onnx":
        if backbone is not None:
            raise ConfigError("--backbone is for a .pt2 file: an ONNX graph holds no language model")
        export_onnx(model, out, levels=asked.levels, quantiles=asked.quantiles)
    else:
        if intervals.levels is not None or intervals.quantiles is not None:
            raise ConfigError("--levels and --quantiles are for an .onnx file: a .pt2 file holds the network alone")
        from swt_time.exporting.programs import export_program  # imports torch
        from swt_time.forecaster import Forecaster

        export_program(Forecaster.load(model, backbone=backbone, device="cpu"), out)
    typer.echo(f"exported: {out} ({out.stat().st_size:,} bytes)")
