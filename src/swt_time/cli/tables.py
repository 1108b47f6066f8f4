"""``swt-time data get`` and ``bands``: download a benchmark dataset; draw a series and its wavelet bands."""

from pathlib import Path
from typing import Annotated

import typer

from swt_time.cli.options import DataOption, ReadingOptions, expand_groups, key_option, option, stderr
from swt_time.cli.outputs import check_outputs
from swt_time.config import Config
from swt_time.errors import ConfigError


def data_get(
    name: Annotated[str, typer.Argument(help="etth1, etth2, ettm1, ettm2, exchange, ili or weather.")],
    folder: Annotated[
        Path | None, option("--folder", help="Take the file from this folder, not from the network.")
    ] = None,
    to: Annotated[Path | None, option("--to", help="Folder to put it in.  [default: the user's cache]")] = None,
) -> None:
    """Download a benchmark dataset and verify its hash."""
    from swt_time.cli.progress import counting_progress
    from swt_time.data.sources import find_source, get_dataset
    from swt_time.files import file_sha256

    source = find_source(name)
    with counting_progress(stderr(), "bytes") as report:
        path = get_dataset(name, folder=folder, to=to, report=report)
    typer.echo(f"table: {path}")
    typer.echo(f"{source.what}; sha256 {file_sha256(path, ConfigError)}")
    typer.echo(f"source: {source.url}")
    typer.echo(f"licence: {source.licence}")
    typer.echo(f"usual split: --split {source.split}")
    if source.note:
        typer.echo(f"note: {source.note}")


@expand_groups
def bands(
    data: DataOption,
    out: Annotated[Path, option("--out", help="Picture to draw.")],
    reading: ReadingOptions,
    series: Annotated[str | None, option("--series", help="Which series; the first by default.")] = None,
    model: Annotated[
        Path | None, option("--model", help="Checkpoint folder to take the wavelet and the band weights from.")
    ] = None,
    wavelet: Annotated[str | None, key_option("embedding.wavelet", "--wavelet")] = None,
    level: Annotated[int | None, key_option("embedding.level", "--level")] = None,
    boundary: Annotated[str | None, key_option("embedding.boundary", "--boundary")] = None,
    rows: Annotated[int, option("--rows", help="Last rows of the series to look at.", min=2)] = 512,
) -> None:
    """Draw a series and its wavelet bands on one time axis."""
    from swt_time.checkpoints import read_checkpoint
    from swt_time.cli.progress import reading_progress
    from swt_time.data.reading import read_table
    from swt_time.data.series import read_series
    from swt_time.data.zones import wall_times
    from swt_time.evaluation.bands import decompose
    from swt_time.hub import find_checkpoint
    from swt_time.model.embedding import WaveletPatchEmbedding
    from swt_time.pictures import check_picture, plot_bands

    check_outputs({"--out": out}, {"--data": data}, {"--model": model})
    check_picture(out)
    settings, filters, weights = Config().embedding, None, None
    if model is not None:
        checkpoint = read_checkpoint(find_checkpoint(model.as_posix()))
        settings, embedding = checkpoint.config.embedding, checkpoint.build_embedding()
        if not isinstance(embedding, WaveletPatchEmbedding):
            raise ConfigError(f"the model {model} has a plain patch embedding and no bands; leave out --model")
        filters, weights = embedding.filter_bank(), embedding.weights()
    how = Config().data.model_copy(update=reading.values())
    with reading_progress(stderr()):
        frame = read_table(data, id_column=how.id_column, encoding=how.encoding, memory_limit=how.memory_limit)
        table = read_series(frame, how)
    index = 0 if series is None else table.index(series)
    times, values = table.times[index][-rows:], table.values[index][-rows:]
    parts = decompose(
        values,
        wavelet=wavelet or filters or settings.wavelet,
        level=level or settings.levels,
        boundary=boundary or settings.boundary,
    )
    stamps = wall_times(times)
    shown = weights.tolist() if weights is not None and len(weights) == len(parts.names) else None
    plot_bands(parts, stamps, values, out, title=table.ids[index], weights=shown)
    for name, share in zip(parts.names, parts.share, strict=True):
        typer.echo(f"{name:5} {share:7.2%} of the energy")
    typer.echo(f"reconstruction error {parts.error:.1e} standard deviations")
    typer.echo(f"picture: {out}")
