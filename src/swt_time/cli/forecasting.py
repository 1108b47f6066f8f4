"""``swt-time forecast`` and ``evaluate``."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swt_time.cli.options import (
    OUTPUT,
    DataOption,
    ModelOptions,
    TableOptions,
    expand_groups,
    option,
    stderr,
)
from swt_time.cli.outputs import check_outputs

if TYPE_CHECKING:
    from swt_time.data.series import SeriesTable
    from swt_time.forecaster import Forecaster


@expand_groups
def forecast(
    options: ModelOptions,
    data: DataOption,
    out: Annotated[
        Path, option("--out", help="Forecast to write: .csv, .csv.gz or .parquet; - for CSV on standard output.")
    ],
    table: TableOptions,
    plot: Annotated[
        Path | None,
        option("--plot", help="Picture to draw: context, truth where it is known, forecast.", panel=OUTPUT),
    ] = None,
    cutoff: Annotated[
        str | None,
        option("--cutoff", help="Forecast as if the table ended at this time; what follows is drawn as truth."),
    ] = None,
    strict: Annotated[
        bool, option("--strict", help="Refuse a table with a series that is too short, instead of leaving it out.")
    ] = False,
) -> None:
    """Forecast the steps after the end of every series of a table."""
    from swt_time.cli.pictures import check_picture, plot_forecasts, series_panels
    from swt_time.data.forecasts import forecast_frame
    from swt_time.data.series import cut_series
    from swt_time.data.writing import check_output, is_standard_output, write_table

    check_outputs({"--out": out, "--plot": plot}, {"--data": data}, {"--model": options.model})
    check_output(out)
    if plot is not None:
        check_picture(plot)
    forecaster = _load(options)
    frame, series = _read(forecaster, data, table)
    known = forecaster.forecastable(series if cutoff is None else cut_series(series, cutoff), strict=strict)
    yhat = forecaster.predict_series(known)
    write_table(forecast_frame(known, yhat, frame), out)
    # standard output then holds the table and nothing else
    say = partial(typer.echo, err=is_standard_output(out))
    say(f"forecast: {out} ({len(known.ids)} series, {yhat.shape[1]} steps each)")
    if plot is not None:
        plot_forecasts(series_panels(series, known, yhat), plot)
        say(f"picture: {plot}")


@expand_groups
def evaluate(
    options: ModelOptions,
    data: DataOption,
    table: TableOptions,
    split: Annotated[
        str | None,
        option("--split", help="Another split than the model's.  [default: the model's]"),
    ] = None,
    as_json: Annotated[bool, option("--json", help="Print one JSON object.", panel=OUTPUT)] = False,
) -> None:
    """Score a model on every test window of a table, and seasonal naive beside it."""
    from swt_time.cli.progress import counting_progress
    from swt_time.evaluation.scoring import evaluate_table

    forecaster = _load(options)
    _, series = _read(forecaster, data, table)
    settings = forecaster.config.data
    with counting_progress(stderr(), "windows") as report:
        scores = evaluate_table(
            forecaster, series, split or settings.split, settings.context, settings.horizon, report=report
        )
    if as_json:
        typer.echo(json.dumps(scores.as_json()))
        return
    for line in scores.as_text():
        typer.echo(line)


def _load(options: ModelOptions) -> "Forecaster":
    from swt_time.forecaster import Forecaster

    return Forecaster.load(
        options.model,
        backbone=options.backbone,
        device=options.device or "auto",
        allow_backbone_change=options.allow_backbone_change,
    )


def _read(forecaster: "Forecaster", data: str, table: TableOptions) -> tuple[Any, "SeriesTable"]:
    """Read a table as a frame and as series; columns, frequency and encoding as in training unless flags differ."""
    from swt_time.cli.progress import reading_progress
    from swt_time.data.reading import read_table

    reading = table.values()
    trained = forecaster.config.data
    with reading_progress(stderr()):
        frame = read_table(
            data,
            id_column=reading.get("id_column", trained.id_column),
            encoding=reading.get("encoding"),
            former_encoding=trained.encoding,
            memory_limit=reading.get("memory_limit"),  # not the model's, which may be a stranger's
        )
        return frame, forecaster.read_series(frame, **reading)
