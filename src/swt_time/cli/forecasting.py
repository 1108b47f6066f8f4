"""``swt-time forecast`` and ``evaluate``: what a trained model is used for."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swt_time.cli.options import (
    BackboneChangeOption,
    ColumnsOption,
    DataOption,
    DeviceOption,
    FillOption,
    FrequencyOption,
    IdOption,
    ModelOption,
    TargetOption,
    TimeOption,
    column_flags,
    given,
    stderr,
)

if TYPE_CHECKING:
    from swt_time.data.series import SeriesTable
    from swt_time.forecaster import Forecaster


def forecast(
    model: ModelOption,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Forecast to write: .csv, .csv.gz or .parquet.")],
    plot: Annotated[Path | None, typer.Option(help="Picture to draw: context, truth where known, forecast.")] = None,
    cutoff: Annotated[
        str | None, typer.Option(help="Forecast as if the table ended at this time; what follows is drawn as truth.")
    ] = None,
    device: DeviceOption = None,
    target: TargetOption = None,
    columns: ColumnsOption = None,
    time_column: TimeOption = None,
    id_column: IdOption = None,
    frequency: FrequencyOption = None,
    fill: FillOption = None,
    allow_backbone_change: BackboneChangeOption = False,
) -> None:
    """Forecast the steps after the end of every series of a table."""
    from swt_time.data.forecasts import forecast_frame
    from swt_time.data.series import cut_series
    from swt_time.data.writing import check_output, write_table
    from swt_time.plots import check_picture, plot_forecasts, series_panels

    check_output(out)
    if plot is not None:
        check_picture(plot)
    flags = column_flags(target, columns, time_column, id_column, frequency, fill)
    forecaster = _load(model, device, flags, allow_backbone_change)
    table, series = _read(forecaster, data)
    known = series if cutoff is None else cut_series(series, cutoff)
    yhat = forecaster.predict_series(known)
    write_table(forecast_frame(known, yhat, table), out)
    typer.echo(f"forecast: {out} ({len(known.ids)} series, {yhat.shape[1]} steps each)")
    if plot is not None:
        plot_forecasts(series_panels(series, known, yhat), plot)
        typer.echo(f"picture: {plot}")


def evaluate(
    model: ModelOption,
    data: DataOption,
    split: Annotated[str | None, typer.Option(help="Another split than the model was trained with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    device: DeviceOption = None,
    target: TargetOption = None,
    columns: ColumnsOption = None,
    time_column: TimeOption = None,
    id_column: IdOption = None,
    frequency: FrequencyOption = None,
    fill: FillOption = None,
    allow_backbone_change: BackboneChangeOption = False,
) -> None:
    """Score a model on every test window of a table, beside seasonal naive."""
    from swt_time.evaluation import evaluate_table
    from swt_time.progress import counting_progress

    flags = column_flags(target, columns, time_column, id_column, frequency, fill)
    forecaster = _load(model, device, flags, allow_backbone_change)
    _, series = _read(forecaster, data)
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


def _load(model: Path, device: str | None, flags: dict[str, Any], allow_backbone_change: bool) -> "Forecaster":
    from swt_time.forecaster import Forecaster

    forecaster = Forecaster.load(model, device=device or "auto", allow_backbone_change=allow_backbone_change)
    forecaster.config = forecaster.config.replace(given(flags))
    return forecaster


def _read(forecaster: "Forecaster", data: Path) -> tuple[Any, "SeriesTable"]:
    from swt_time.data.reading import read_table

    table = read_table(data, id_column=forecaster.config.data.id_column)
    return table, forecaster.read_series(table)
