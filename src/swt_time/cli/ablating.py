"""``swt-time ablate``."""

import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swt_time.cli.options import (
    OUTPUT,
    ConfigOptions,
    DeviceOption,
    TableOptions,
    expand_groups,
    key_option,
    option,
    parse_numbers,
    stderr,
)
from swt_time.cli.outputs import check_outputs
from swt_time.config import Config
from swt_time.data.opening import STANDARD_INPUT
from swt_time.errors import ConfigError, SWTTimeError, TableError
from swt_time.files import expand_user
from swt_time.folders import explained

if TYPE_CHECKING:
    from swt_time.evaluation.ablation import Dataset

VARIANTS, EXPERIMENT, RUNNING = "Variants", "Experiment", "Running"
"""Panels of the help."""


@expand_groups
def ablate(
    data: Annotated[list[str], option("--data", help="Table, or NAME=table; may be repeated.")],
    out: Annotated[Path, option("--out", help="Results, CSV: finished cells are kept, new rows appended.")],
    options: ConfigOptions,
    table: TableOptions,
    axis: Annotated[
        list[str] | None,
        option(
            "--axis", help="section.key=value,value,...: alternatives to the base; may be repeated.", panel=VARIANTS
        ),
    ] = None,
    variant: Annotated[
        list[str] | None,
        option(
            "--variant", help="'name: section.key=value, ...': several keys at once; may be repeated.", panel=VARIANTS
        ),
    ] = None,
    axes: Annotated[
        Path | None,
        option(
            "--axes",
            help="TOML file of [[variant]] tables; 'all' is the shipped list of every option.",
            panel=VARIANTS,
        ),
    ] = None,
    baselines: Annotated[
        str | None,
        option("--baselines", help="Baselines on the same windows, separated by commas.", panel=VARIANTS),
    ] = None,
    grid: Annotated[
        bool, option("--grid", help="Every combination; else one change at a time.", panel=VARIANTS)
    ] = False,
    seeds: Annotated[str, option("--seeds", help="Separated by commas.", panel=EXPERIMENT)] = "0,1,2",
    horizons: Annotated[
        str | None,
        option("--horizons", help="Separated by commas.  [default: the base's]", panel=EXPERIMENT),
    ] = None,
    context: Annotated[int | None, key_option("data.context", "--context", EXPERIMENT)] = None,
    split: Annotated[str | None, key_option("data.split", "--split", EXPERIMENT)] = None,
    train_fraction: Annotated[float | None, key_option("data.train_fraction", "--train-fraction", EXPERIMENT)] = None,
    trained_on: Annotated[
        str | None,
        option(
            "--trained-on",
            help="Train on this table and score on --data (zero-shot); may be NAME=table.",
            panel=EXPERIMENT,
        ),
    ] = None,
    no_test: Annotated[
        bool, option("--no-test", help="Leave the test part alone, to choose first.", panel=EXPERIMENT)
    ] = False,
    jobs: Annotated[int, option("--jobs", help="Processes.", min=1, panel=RUNNING)] = 1,
    threads: Annotated[int, option("--threads", help="Threads of each process.", min=1, panel=RUNNING)] = 1,
    device: DeviceOption = None,
    list_: Annotated[
        bool,
        option("--list", help="Show the cells and whether they are finished; run none.", panel=RUNNING),
    ] = False,
    plot: Annotated[
        Path | None,
        option("--plot", help="Picture to draw of the differences and their intervals.", panel=OUTPUT),
    ] = None,
) -> None:
    """Train and score variants of a base configuration, and baselines, over several seeds; resumable."""
    flags = {
        "data.context": context,
        "data.split": split,
        "data.train_fraction": train_fraction,
        "training.device": device,
    }
    base = options.build(flags, table)
    sources = {f"--data {text}": _split_table(text)[1] for text in data}
    if trained_on is not None:
        sources["--trained-on"] = _split_table(trained_on)[1]
    check_outputs({"--out": out, "--plot": plot}, {**sources, "--config": options.config, "--axes": axes})

    from swt_time.evaluation import ablation
    from swt_time.pictures import check_picture, plot_differences

    found = ablation.read_axes(ablation.EVERY_AXIS if str(axes) == "all" else axes) if axes is not None else []
    found += [ablation.parse_axis(text) for text in axis or []]
    if variant:
        found.append(ablation.Axis("variant", tuple(ablation.parse_variant(text) for text in variant)))
    names = [name.strip() for name in (baselines or "").split(",") if name.strip()]
    ablation.check_baselines(names)
    variants = ablation.expand(base, found, grid=grid)
    if plot is not None:
        check_picture(plot)
    cells = ablation.make_cells(
        variants,
        [_open_dataset(text, base) for text in data],
        horizons=parse_numbers("--horizons", horizons) if horizons else [base.data.horizon],
        seeds=parse_numbers("--seeds", seeds),
        preset=options.preset or "",
        baselines=names,
        trained_on=None if trained_on is None else _open_dataset(trained_on, base),
    )
    missing = ablation.missing_cells(cells, ablation.read_rows(out), with_test=not no_test)
    if list_:
        for cell in cells:
            typer.echo(f"{'missing' if cell in missing else 'finished':8}  {cell.hash}  {cell.describe()}")
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # handled like Ctrl-C
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


def _open_dataset(text: str, base: Config) -> "Dataset":
    """Open a table given as a path or as NAME=path; an existing path is taken as a path, even with ``=`` in it."""
    from swt_time.evaluation.ablation import open_dataset

    name, path = _split_table(text)
    if str(path) == STANDARD_INPUT:
        raise ConfigError("--data - is not possible here: an ablation reads its tables several times; name a file")
    return open_dataset(name, path, base.data)


def _split_table(text: str) -> tuple[str, Path]:
    """Name and path of ``path`` or ``NAME=path``."""
    name, equals, path = text.partition("=")
    with explained(f"cannot read {text}", TableError):
        if not equals or "://" in name or Path(text).exists():
            return Path(text).stem, Path(text)
    return name, expand_user(path, TableError)
