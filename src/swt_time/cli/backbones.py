"""``swt-time backbone convert``: pickled weights of a language model to safetensors."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from swt_time.cli.options import OUTPUT, option, stderr


def backbone_convert(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Folder with pytorch_model.bin or its parts, or a hub id.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    overwrite: Annotated[
        bool, option("--overwrite", help="Replace a converted backbone in OUT.", panel=OUTPUT)
    ] = False,
) -> None:
    """Convert a language model whose weights are pickles to safetensors, without running code in a pickle."""
    from swt_time.cli.progress import counting_progress
    from swt_time.language.conversion import convert_backbone

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # handled like Ctrl-C
    with counting_progress(stderr(), "bytes") as report:
        names = convert_backbone(source, out, overwrite=overwrite, report=report)
    typer.echo(f"converted {len(names):,} tensors of {source}")
    typer.echo(f"backbone: {out}")
