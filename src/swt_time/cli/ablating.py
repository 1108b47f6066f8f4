"""``swt-time ablate``."""

import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swt_time.cli.options import (
    ColumnsOption,
    DeviceOption,
    FillOption,
    FrequencyOption,
    IdOption,
    PresetOption,
    TargetOption,
    TimeOption,
    build_config,
    column_flags,
    stderr,
)
from swt_time.errors import ConfigError, SWTTimeError

if TYPE_CHECKING:
    from swt_time.ablation import Table
    from swt_time.config import Config


def ablate(
    data: Annotated[list[str], typer.Option("--data", help="Table, or NAME=table; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Table of results, CSV: finished cells are kept, new rows appended.")],
    axis: Annotated[
        list[str] | None, typer.Option(help="section.key=value,value,...: alternatives to the base; may be repeated.")
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="'name: section.key=value, ...': several keys at once; may be repeated.")
    ] = None,
    axes: Annotated[
        Path | None, typer.Option(help="TOML file of [[variant]] tables; 'all' is the shipped list of every option.")
    ] = None,
    rivals: Annotated[str | None, typer.Option(help="Rivals on the same windows, separated by commas.")] = None,
    grid: Annotated[bool, typer.Option("--grid", help="Every combination; else one change at a time.")] = False,
    seeds: Annotated[str, typer.Option(help="Separated by commas.")] = "0,1,2",
    horizons: Annotated[str | None, typer.Option(help="Separated by commas.  [default: the base's]")] = None,
    context: Annotated[int | None, typer.Option(help="Steps the model sees.")] = None,
    split: Annotated[str | None, typer.Option(help="etth, ettm, or train/validation/test shares.")] = None,
    train_fraction: Annotated[float | None, typer.Option(help="Share of the training part to use (few-shot).")] = None,
    trained_on: Annotated[
        str | None, typer.Option(help="Train on this table and score on --data (zero-shot); may be NAME=table.")
    ] = None,
    preset: PresetOption = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file of the base, TOML or JSON.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value of the base.")] = None,
    no_test: Annotated[bool, typer.Option("--no-test", help="Leave the test part alone, to choose first.")] = False,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each process.", min=1)] = 1,
    plot: Annotated[Path | None, typer.Option(help="Picture to draw of the differences and their intervals.")] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Show the cells and whether they are finished; run none.")
    ] = False,
    device: DeviceOption = None,
    target: TargetOption = None,
    columns: ColumnsOption = None,
    time_column: TimeOption = None,
    id_column: IdOption = None,
    frequency: FrequencyOption = None,
    fill: FillOption = None,
) -> None:
    """Measure variants of a base configuration, and rivals, over seeds; one row a run, resumable."""
    flags = {
        "data.context": context,
        "data.split": split,
        "data.train_fraction": train_fraction,
        "training.device": device,
        **column_flags(target, columns, time_column, id_column, frequency, fill),
    }
    base = build_config(config, set_ or [], flags, preset)

    from swt_time import ablation
    from swt_time.plots import check_picture, plot_differences

    found = ablation.read_axes(ablation.EVERY_AXIS if str(axes) == "all" else axes) if axes is not None else []
    found += [ablation.parse_axis(text) for text in axis or []]
    if variant:
        found.append(ablation.Axis("variant", tuple(ablation.parse_variant(text) for text in variant)))
    names = [name.strip() for name in (rivals or "").split(",") if name.strip()]
    ablation.check_rivals(names)
    variants = ablation.expand(base, found, grid=grid)
    if plot is not None:
        check_picture(plot)
    cells = ablation.make_cells(
        variants,
        [_open_table(text, base) for text in data],
        horizons=_numbers("--horizons", horizons) if horizons else [base.data.horizon],
        seeds=_numbers("--seeds", seeds),
        preset=preset or "",
        rivals=names,
        trained_on=None if trained_on is None else _open_table(trained_on, base),
    )
    missing = ablation.missing_cells(cells, ablation.read_rows(out), with_test=not no_test)
    if list_:
        for cell in cells:
            typer.echo(f"{'missing' if cell in missing else 'finished':8}  {cell.hash}  {cell.describe()}")
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    say = partial(stderr().print, highlight=False, markup=False, soft_wrap=True)
    say(f"{len(cells)} cells, {len(cells) - len(missing)} finished before")
    failed = ablation.run_cells(missing, out, jobs=jobs, threads=threads, with_test=not no_test, say=say)
    done = ablation.finished(ablation.read_rows(out))
    rows = [(cell.variant, done[cell.key]) for cell in cells if cell.key in done]
    typer.echo(ablation.summarize(rows, ablation.BASE))
    typer.echo(f"results: {out}")
    if plot is not None:
        plot_differences(ablation.compare(rows, ablation.BASE), plot)
        typer.echo(f"picture: {plot}")
    if failed:
        raise SWTTimeError(f"{failed} of {len(missing)} cells failed; the same command runs them again")


def _open_table(text: str, base: "Config") -> "Table":
    """A table given as a path or as NAME=path; a path that exists is a path, whatever it holds."""
    from swt_time.ablation import open_table

    name, equals, path = text.partition("=")
    if Path(text).exists() or not equals:
        name, path = Path(text).stem, text
    return open_table(name, Path(path), base.data)


def _numbers(flag: str, text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{flag}: expected whole numbers separated by commas, got {text!r}") from None
    return list(dict.fromkeys(found))
