"""``swt-time data get`` and ``bands``: a table fetched, a series looked at."""

from pathlib import Path
from typing import Annotated

import typer

from swt_time.cli.options import (
    DataOption,
    FillOption,
    FrequencyOption,
    IdOption,
    TimeOption,
    column_flags,
    given,
    stderr,
)
from swt_time.errors import ConfigError


def data_get(
    name: Annotated[str, typer.Argument(help="etth1, etth2, ettm1, ettm2, exchange, ili or weather.")],
    folder: Annotated[Path | None, typer.Option(help="Take the file from this folder, not from the network.")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder to put it in.  [default: the user's cache]")] = None,
) -> None:
    """Fetch a benchmark table from its public home, and hold it to its known hash."""
    from swt_time.data.sources import file_hash, find_source, get_table
    from swt_time.progress import counting_progress

    source = find_source(name)
    with counting_progress(stderr(), "bytes") as report:
        path = get_table(name, folder=folder, to=to, report=report)
    typer.echo(f"table: {path}")
    typer.echo(f"{source.what}; sha256 {file_hash(path)}")
    typer.echo(f"source: {source.url}")
    typer.echo(f"licence: {source.licence}")
    typer.echo(f"usual split: --split {source.split}")
    if source.note:
        typer.echo(f"note: {source.note}")


def bands(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Picture to draw.")],
    series: Annotated[str | None, typer.Option(help="Which series; else the first.")] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Take the wavelet and band weights from a model.")
    ] = None,
    wavelet: Annotated[str | None, typer.Option(help="Any discrete wavelet of PyWavelets.  [default: db4]")] = None,
    level: Annotated[int | None, typer.Option(help="Levels of the transform.  [default: 3]")] = None,
    boundary: Annotated[
        str | None, typer.Option(help="periodic, reflect, replicate, zero or causal.  [default: periodic]")
    ] = None,
    rows: Annotated[int, typer.Option(help="Last rows of the series to look at.", min=2)] = 512,
    time_column: TimeOption = None,
    id_column: IdOption = None,
    frequency: FrequencyOption = None,
    fill: FillOption = None,
) -> None:
    """Draw a series and its wavelet bands on one time axis."""
    from swt_time.bands import take_apart
    from swt_time.checkpoint import read_checkpoint
    from swt_time.config import Config
    from swt_time.data.reading import read_table
    from swt_time.data.series import to_series
    from swt_time.layers import WaveletPatchEmbedding
    from swt_time.plots import check_picture, plot_bands

    check_picture(out)
    settings, filters, weights = Config().embedding, None, None
    if model is not None:
        checkpoint = read_checkpoint(model)
        settings, embedding = checkpoint.config.embedding, checkpoint.build_embedding()
        if not isinstance(embedding, WaveletPatchEmbedding):
            raise ConfigError(f"the model {model} has a plain patch embedding and no bands; leave out --model")
        filters, weights = embedding.filter_bank(), embedding.weights()
    flags = column_flags(None, None, time_column, id_column, frequency, fill)
    reading = Config().replace(given(flags)).data
    table = to_series(
        read_table(data, id_column=id_column),
        id_column=reading.id_column,
        time_column=reading.time_column,
        frequency=reading.frequency,
        fill=reading.fill,
    )
    number = 0 if series is None else table.number(series)
    times, values = table.times[number][-rows:], table.values[number][-rows:]
    parts = take_apart(
        values,
        wavelet=wavelet or filters or settings.wavelet,
        level=level or settings.level,
        boundary=boundary or settings.boundary,
    )
    stamps = times.tz_localize(None).to_numpy()
    shown = weights.tolist() if weights is not None and len(weights) == len(parts.names) else None
    plot_bands(parts, stamps, values, out, title=table.ids[number], weights=shown)
    for name, share in zip(parts.names, parts.share, strict=True):
        typer.echo(f"{name:5} {share:7.2%} of the energy")
    typer.echo(f"reconstruction error {parts.error:.1e} standard deviations")
    typer.echo(f"picture: {out}")
