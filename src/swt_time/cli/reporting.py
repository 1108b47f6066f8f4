"""``swt-time report``."""

from pathlib import Path
from typing import Annotated

import typer

from swt_time.cli.beside import FutureOption, NotesOption, StaticOption, StrictOption
from swt_time.cli.forecasting import load_forecaster, read_for
from swt_time.cli.options import (
    OUTPUT,
    DataOption,
    ModelOptions,
    TableOptions,
    TrainedOption,
    expand_groups,
    option,
    parse_levels,
)
from swt_time.cli.outputs import check_outputs


@expand_groups
def report(
    model: TrainedOption,
    data: DataOption,
    out: Annotated[Path, option("--out", help="Report to write: one .html file of less than 1 MB.")],
    options: ModelOptions,
    table: TableOptions,
    levels: Annotated[
        str | None,
        option(
            "--levels",
            help="Intervals in percent, separated by commas; or none.  [default: 80,95]",
            panel=OUTPUT,
        ),
    ] = None,
    windows: Annotated[
        int,
        option(
            "--windows",
            help="Past cutoffs of each series that are forecast to measure the errors; fewer where it is short.",
            min=1,
        ),
    ] = 3,
    step: Annotated[int | None, option("--step", help="Rows between cutoffs.  [default: the horizon]", min=1)] = None,
    title: Annotated[str, option("--title", help="Heading of the report.", panel=OUTPUT)] = "Forecast report",
    static: StaticOption = None,
    notes: NotesOption = None,
    future: FutureOption = None,
    strict: StrictOption = False,
) -> None:
    """Write what there is to know about a forecast as one HTML file, to be opened in a browser or mailed.

    It holds the data and their repairs, the forecast with its intervals, errors on past cutoffs beside those of
    seasonal naive and the last value, the coverage of the intervals, what was chosen and why, the wavelet bands, and
    the provenance. A model of closed forms that has seen the rows after a cutoff is fitted again on those before.
    """
    from swt_time.evaluation.uncertainty import LEVELS, Uncertainty
    from swt_time.report import check_report, write_series_report
    from swt_time.report.facts import collected

    asked = LEVELS if levels is None else Uncertainty(parse_levels(levels)).levels
    inputs = {"--data": data, "--future": future, "--static": static, "--notes": notes}
    check_outputs({"--out": out}, inputs, {"--model": model})
    check_report(out)
    forecaster = load_forecaster(model, options, table)
    remarks: list[str] = []
    with collected(remarks):
        _, series = read_for(forecaster, data, table, future=future, notes=notes, static=static)
    write_series_report(
        forecaster.trained,
        series,
        out,
        levels=asked,
        windows=windows,
        step=step,
        strict=strict,
        title=title,
        remarks=remarks,
        report=lambda line: typer.echo(line, err=True),
    )
    typer.echo(f"report: {out}")
