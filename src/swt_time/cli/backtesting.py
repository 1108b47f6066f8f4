"""``swt-time backtest``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swt_time.cli.beside import NotesOption, StaticOption
from swt_time.cli.forecasting import (
    FITTING,
    HorizonOption,
    fit_forecaster,
    load_forecaster,
    read_for,
    start_forecaster,
)
from swt_time.cli.options import (
    OUTPUT,
    BySeriesOption,
    ConfigOptions,
    DataOption,
    IntervalOptions,
    JsonOption,
    ModelOptions,
    TableOptions,
    expand_groups,
    option,
)
from swt_time.cli.outputs import check_outputs, printer, write_json
from swt_time.errors import ConfigError

if TYPE_CHECKING:
    from swt_time.data.series import SeriesTable
    from swt_time.evaluation.trained import Trained
    from swt_time.forecaster import Forecaster


@expand_groups
def backtest(
    data: DataOption,
    options: ModelOptions,
    table: TableOptions,
    configuration: ConfigOptions,
    intervals: IntervalOptions,
    windows: Annotated[
        int,
        option("--windows", help="Cutoffs of each series; the last one lies a horizon before its end.", min=1),
    ] = 3,
    step: Annotated[int | None, option("--step", help="Rows between cutoffs.  [default: the horizon]", min=1)] = None,
    model: Annotated[
        Path | None,
        option(
            "--model",
            help="Checkpoint folder made by train, or owner/name of the hub, used as it is; without it a "
            "forecaster is fitted to the rows before the first cutoff.",
        ),
    ] = None,
    horizon: HorizonOption = None,
    refit: Annotated[bool, option("--refit", help="Fit before every cutoff instead of once.", panel=FITTING)] = False,
    out: Annotated[
        Path | None,
        option(
            "--out",
            help="Forecasts to write, with their cutoffs and the true values: .csv, .csv.gz or .parquet; - for CSV on "
            "standard output.",
            panel=OUTPUT,
        ),
    ] = None,
    by_series: BySeriesOption = None,
    static: StaticOption = None,
    notes: NotesOption = None,
    plot: Annotated[
        Path | None, option("--plot", help="Picture to draw: truth, cutoffs and forecasts.", panel=OUTPUT)
    ] = None,
    plot_calibration: Annotated[
        Path | None,
        option(
            "--plot-calibration",
            help="Picture to draw: the share of true values in each tenth of their forecast distribution.",
            panel=OUTPUT,
        ),
    ] = None,
    report: Annotated[
        Path | None, option("--report", help="Report to write: one .html file of less than 1 MB.", panel=OUTPUT)
    ] = None,
    flag: Annotated[
        float | None,
        option(
            "--flag",
            help="List the observed values outside their interval of so many percent one step ahead, such as 99: every "
            "row after the first cutoff is forecast from the rows before it.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score forecasts from several cutoffs inside a table (rolling origin), beside seasonal naive and the last value.

    Intervals of 80 and 95 %, or of --levels, are scored beside those of seasonal naive. Nothing after a cutoff changes
    the forecasts from it. The cutoffs of each series are counted back from its own end.
    """
    from swt_time import pictures
    from swt_time.data.forecasts import series_frame
    from swt_time.data.writing import check_output, write_table
    from swt_time.evaluation import backtesting
    from swt_time.evaluation.fold_scores import score_folds
    from swt_time.evaluation.outliers import find_outliers
    from swt_time.evaluation.uncertainty import LEVELS
    from swt_time.report import Past, as_it_is, check_report, write_backtest_report

    wanted = intervals.asked()
    asked = wanted if report is None else intervals.asked(LEVELS)  # a report shows intervals in any case
    if model is not None and (horizon is not None or refit or configuration.given()):
        raise ConfigError("--model is fitted already: leave out --horizon, --refit, --preset, --config and --set")
    if model is None and horizon is None:
        raise ConfigError("give --model, or --horizon to fit a forecaster for that many steps")
    outputs = {"--out": out, "--by-series": by_series, "--plot": plot, "--plot-calibration": plot_calibration}
    outputs |= {"--report": report}
    inputs = {"--data": data, "--static": static, "--notes": notes, "--config": configuration.config}
    check_outputs(outputs, inputs, {"--model": model})
    say = printer(out, by_series)
    for path in (out, by_series):
        if path is not None:
            check_output(path)
    for path in (plot, plot_calibration):
        if path is not None:
            pictures.check_picture(path)
    if report is not None:
        check_report(report)

    def start() -> "Forecaster":
        return start_forecaster(options, configuration, table, horizon)

    def fit(known: "SeriesTable") -> "Trained":
        typer.echo(f"fitting on the rows up to {known.last.max()}", err=True)
        forecaster = start()
        fit_forecaster(forecaster, known, None)
        fitted.append(forecaster.trained)
        return forecaster.trained

    fitted: list[Trained] = []
    forecaster = start() if model is None else load_forecaster(model, options, table)
    frame, series = read_for(forecaster, data, table, notes=notes, static=static)
    if model is None:
        folds = backtesting.backtest(
            fit, series, forecaster.config.data.horizon, windows, step, refit=refit, asked=asked
        )
        how = f"fitted before {'every' if refit else 'the first'} cutoff"
        used = f"The forecasts are by models that were {how}, on the rows before it."
    else:
        folds = backtesting.cross_validate(forecaster.trained, series, windows, step, asked=asked)
        fitted.append(forecaster.trained)
        how = f"model {model} as it is"
        used = as_it_is(forecaster.trained, series, folds)
    scores = score_folds(folds, LEVELS if intervals.levels is None else asked.levels)
    # what can be refused comes before what is written
    pits = {} if plot_calibration is None else scores.pits()
    outliers = None if flag is None else find_outliers(fitted[0], folds.series, folds.origins[:, 0], flag)
    if out is not None:
        write_table(replace(folds, around=folds.around if asked is wanted else {}).frame(frame), out)
    if by_series is not None:
        write_table(series_frame(folds.series, scores.by_series(), frame), by_series)
    if plot is not None:
        pictures.plot_folds(folds, plot)
    if plot_calibration is not None:
        pictures.plot_calibration(pits, plot_calibration)
    if report is not None:
        write_backtest_report(fitted[0], Past(folds, scores, used), report)
    if as_json:
        found = {} if outliers is None else {"outliers": outliers.as_json()}
        say(write_json({**scores.as_json(), **found, "fitted": how}))
        return
    say(how)
    for line in [*scores.as_text(), *([] if outliers is None else outliers.as_text())]:
        say(line)
    written = {"forecasts": out, "errors by series": by_series, "picture": plot, "calibration": plot_calibration}
    written |= {"report": report}
    for what, path in written.items():
        if path is not None:
            say(f"{what}: {path}")
