"""``swt-time forecast`` and ``evaluate``."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swt_time.cli.beside import FutureOption, NotesOption, StaticOption, StrictOption
from swt_time.cli.options import (
    OUTPUT,
    BySeriesOption,
    ConfigOptions,
    DataOption,
    IntervalOptions,
    JsonOption,
    ModelOptions,
    TableOptions,
    TrainedOption,
    expand_groups,
    key_option,
    option,
    parse_levels,
    stderr,
)
from swt_time.cli.outputs import check_outputs, printer, write_json
from swt_time.cli.parts import EngineOption, WorkersOption, forecast_parts, is_parts
from swt_time.config import Config, read_preset
from swt_time.errors import ConfigError, SWTTimeWarning

FITTING = "Fitting without --model"
"""Panel of the help."""

HorizonOption = Annotated[
    int | None,
    key_option("data.horizon", "--horizon", FITTING, help="Steps to forecast; needed without --model.", default=False),
]

if TYPE_CHECKING:
    from swt_time.config import DataConfig
    from swt_time.data.series import SeriesTable
    from swt_time.forecaster import Forecaster


@expand_groups
def forecast(
    data: DataOption,
    out: Annotated[
        Path,
        option(
            "--out",
            help="Forecast to write: .csv, .csv.gz or .parquet; - for CSV on standard output; of a folder a folder.",
        ),
    ],
    options: ModelOptions,
    table: TableOptions,
    configuration: ConfigOptions,
    intervals: IntervalOptions,
    model: Annotated[
        Path | None,
        option("--model", help="Checkpoint folder made by train, or owner/name of the hub; without it one is fitted."),
    ] = None,
    horizon: HorizonOption = None,
    save: Annotated[
        Path | None, option("--save", help="Folder to save the fitted model in, for --model.", panel=FITTING)
    ] = None,
    plot: Annotated[
        Path | None,
        option(
            "--plot", help="Picture to draw: context, truth where it is known, forecast and intervals.", panel=OUTPUT
        ),
    ] = None,
    samples: Annotated[
        int,
        option(
            "--samples",
            help="Number of sample paths: columns yhat-sample-1 and so on, whose sums over the steps are honest.",
            panel=OUTPUT,
        ),
    ] = 0,
    static: StaticOption = None,
    notes: NotesOption = None,
    cutoff: Annotated[
        str | None,
        option("--cutoff", help="Forecast as if the table ended at this time; what follows is drawn as truth."),
    ] = None,
    future: FutureOption = None,
    strict: StrictOption = False,
    engine: EngineOption = None,
    workers: WorkersOption = None,
) -> None:
    """Forecast the steps after the end of every series of a table, by a trained model or in one command.

    Without --model a forecaster is fitted first: the closed form and simple forecasters are compared on held-out blocks
    of the table (preset auto). A row after --cutoff is never read. Intervals of 80 and 95 % stand beside the forecast,
    made of errors on rows that were held out.

    A folder of Parquet files (--data) with a long table is forecast by --model in buckets of series, by several
    processes of this machine or by Ray (--engine), into a folder of Parquet files (--out). The same command again goes
    on with what is missing.
    """
    if is_parts(data, engine, workers):
        lone = {"--horizon": horizon, "--save": save, "--plot": plot, "--static": static, "--notes": notes}
        lone |= {"--cutoff": cutoff, "--future": future, "--preset, --config or --set": configuration.given() or None}
        asked_of_parts = intervals.asked((80, 95), samples)
        forecast_parts(
            Path(data),
            out,
            model,
            options,
            table,
            asked=asked_of_parts,
            strict=strict,
            engine=engine,
            workers=workers,
            lone=lone,
        )
        return
    from swt_time.checkpoints import check_output_folder
    from swt_time.data.forecasts import forecast_frame
    from swt_time.data.origins import ends
    from swt_time.data.series import cut_series
    from swt_time.data.writing import check_output, write_table
    from swt_time.evaluation.told import from_ends
    from swt_time.evaluation.uncertainty import LEVELS
    from swt_time.pictures import check_picture, plot_forecasts, series_panels

    asked = intervals.asked(LEVELS, samples)
    if model is not None and (horizon is not None or save is not None or configuration.given()):
        raise ConfigError("--model is fitted already: leave out --horizon, --save, --preset, --config and --set")
    if model is None and horizon is None:
        raise ConfigError("give --model, or --horizon to fit a forecaster for that many steps in one command")
    beside = {"--future": future, "--static": static, "--notes": notes}
    inputs = {"--data": data, **beside, "--config": configuration.config}
    check_outputs({"--out": out, "--plot": plot, "--save": save}, inputs, {"--model": model})
    check_output(out)
    if plot is not None:
        check_picture(plot)
    if save is not None:
        check_output_folder(save, overwrite=None)
    forecaster = (
        load_forecaster(model, options, table)
        if model is not None
        else start_forecaster(options, configuration, table, horizon)
    )
    frame, series = read_for(forecaster, data, table, future=future, notes=notes, static=static)
    known = series if cutoff is None else cut_series(series, cutoff)
    if model is None:
        fit_forecaster(forecaster, known, save)
    known = forecaster.forecastable(from_ends(known), strict=strict)
    yhat = forecaster.predict_series(known)
    around = asked.columns(forecaster.trained, known, ends(known), yhat)
    write_table(forecast_frame(known, yhat, frame, around), out)
    say = printer(out)
    say(f"forecast: {out} ({len(known.ids)} series, {yhat.shape[1]} steps each)")
    if plot is not None:
        plot_forecasts(series_panels(series, known, yhat, around), plot)
        say(f"picture: {plot}")


@expand_groups
def evaluate(
    model: TrainedOption,
    data: DataOption,
    options: ModelOptions,
    table: TableOptions,
    split: Annotated[
        str | None,
        option("--split", help="Another split than the model's.  [default: the model's]"),
    ] = None,
    levels: Annotated[
        str | None,
        option(
            "--levels",
            help="Intervals that are scored, in percent, separated by commas; or none.  [default: 80,95]",
            panel=OUTPUT,
        ),
    ] = None,
    static: StaticOption = None,
    notes: NotesOption = None,
    as_json: JsonOption = False,
    by_series: BySeriesOption = None,
) -> None:
    """Score a model and its intervals on every test window of a table, and seasonal naive beside it."""
    from swt_time.cli.progress import counting_progress
    from swt_time.data.forecasts import series_frame
    from swt_time.data.writing import check_output, write_table
    from swt_time.evaluation.backtesting import SEEN
    from swt_time.evaluation.scoring import evaluate_table
    from swt_time.evaluation.uncertainty import LEVELS, Uncertainty

    scored = LEVELS if levels is None else Uncertainty(parse_levels(levels)).levels
    inputs = {"--data": data, "--static": static, "--notes": notes}
    check_outputs({"--by-series": by_series}, inputs, {"--model": model})
    say = printer(by_series)
    if by_series is not None:
        check_output(by_series)
    forecaster = load_forecaster(model, options, table)
    frame, series = read_for(forecaster, data, table, notes=notes, static=static)
    settings = forecaster.config.data
    if settings.split == "none" and split is not None:
        warnings.warn(SEEN, SWTTimeWarning, stacklevel=1)
    with counting_progress(stderr(), "windows") as report:
        scores = evaluate_table(
            forecaster.trained,
            series,
            split or settings.split,
            settings.steps,
            settings.horizon,
            pad=forecaster.config.short == "pad",
            calibration=forecaster.trained.calibration,
            levels=scored,
            report=report,
        )
    if by_series is not None:
        write_table(series_frame(series, scores.by_series(), frame), by_series)
    if as_json:
        say(write_json(scores.as_json()))
        return
    for line in scores.as_text():
        say(line)
    if by_series is not None:
        say(f"errors by series: {by_series}")


def start_forecaster(
    options: ModelOptions, configuration: ConfigOptions, table: TableOptions, horizon: int | None
) -> "Forecaster":
    """Return a forecaster to fit, of preset ``auto`` unless another configuration is named."""
    from swt_time.forecaster import Forecaster

    flags = {"data.horizon": horizon, "training.device": options.device, "backbone.name": options.backbone}
    return Forecaster.from_config(configuration.build(flags, table, Config.parse(read_preset("auto"))))


def fit_forecaster(forecaster: "Forecaster", series: "SeriesTable", save: Path | None) -> None:
    """Fit a forecaster and say what was chosen."""
    from swt_time.checkpoints.branch_record import describe_branch
    from swt_time.cli.progress import training_progress

    with training_progress(stderr()) as report:
        forecaster.fit_series(series, report=report)
    effects = forecaster.trained.effects
    for line in effects.lines() if effects is not None else []:
        typer.echo(line, err=True)
    for line in forecaster.choice.lines() if forecaster.choice is not None else []:
        typer.echo(line, err=True)
    branch = describe_branch(forecaster.trained.checkpoint.provenance)
    if branch is not None:
        typer.echo(branch, err=True)
    typer.echo(forecaster.trained.describe_intervals(), err=True)
    if save is not None:
        forecaster.save(save)
        typer.echo(f"model: {save}", err=True)


def load_forecaster(model: Path, options: ModelOptions, table: TableOptions) -> "Forecaster":
    """Load a model with the options of the command."""
    from swt_time.forecaster import Forecaster

    return Forecaster.load(
        model.as_posix(),
        backbone=options.backbone,
        device=options.device or "auto",
        allow_backbone_change=options.allow_backbone_change,
        short=table.short,
    )


def read_for(
    forecaster: "Forecaster",
    data: str,
    table: TableOptions,
    *,
    future: str | None = None,
    notes: str | None = None,
    static: str | None = None,
) -> tuple[Any, "SeriesTable"]:
    """Read a table as a frame and as series, and notes on it, with the columns of training unless flags differ."""
    from swt_time.cli.progress import reading_progress
    from swt_time.data.reading import read_table

    reading = table.values()
    trained = forecaster.config.data
    with reading_progress(stderr()):
        frame, later, fixed = (
            None
            if path is None
            else read_table(
                path,
                id_column=reading.get("id_column", trained.id_column),
                encoding=reading.get("encoding"),
                former_encoding=trained.encoding,
                memory_limit=reading.get("memory_limit"),  # not the model's, which may be a stranger's
            )
            for path in (data, future, static)
        )
        told = read_told(notes, reading.get("memory_limit"))
        return frame, forecaster.read_series(frame, later, told, fixed, **reading)


def read_to_fit(data: str, static: str | None, notes: str | None, how: "DataConfig") -> tuple[Any, Any, Any]:
    """Read a table to fit, the table of what is fixed for its series, and notes on it, as frames."""
    from swt_time.cli.progress import reading_progress
    from swt_time.data.reading import read_table

    with reading_progress(stderr()):
        frame, fixed = (
            None
            if path is None
            else read_table(path, id_column=how.id_column, encoding=how.encoding, memory_limit=how.memory_limit)
            for path in (data, static)
        )
        return frame, fixed, read_told(notes, how.memory_limit)


def read_told(notes: str | None, memory_limit: int | None) -> Any:
    """Read a table of notes, as a frame."""
    from swt_time.data.reading import read_table

    return None if notes is None else read_table(notes, memory_limit=memory_limit)
