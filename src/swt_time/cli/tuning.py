"""``swt-time tune``."""

import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swt_time.cli.beside import NotesOption, StaticOption
from swt_time.cli.forecasting import read_to_fit
from swt_time.cli.options import (
    INTERRUPTED,
    OUTPUT,
    ConfigOptions,
    DataOption,
    DeviceOption,
    TableOptions,
    expand_groups,
    given,
    key_option,
    option,
    parse_context,
    stderr,
)
from swt_time.cli.outputs import backbone_folder, check_outputs
from swt_time.cli.streams import Said
from swt_time.config import Config, read_preset

if TYPE_CHECKING:
    from swt_time.tuning import Trial

SEARCH = "Search"
"""Panel of the help."""


@expand_groups
def tune(
    data: DataOption,
    study: Annotated[
        Path, option("--study", help="File of the study, a journal of Optuna; the same command goes on with it.")
    ],
    options: ConfigOptions,
    table: TableOptions,
    trials: Annotated[
        int,
        option(
            "--trials",
            help="Trials in all, the base and those that ran before included.",
            panel=SEARCH,
            min=1,
            max=100_000,
        ),
    ] = 20,
    search: Annotated[
        list[str] | None,
        option(
            "--search",
            help="section.key=low..high, section.key=low..high:log or section.key=value,value,...; may be repeated.  "
            "[default: a few keys for the kind of the base]",
            panel=SEARCH,
        ),
    ] = None,
    space: Annotated[
        Path | None,
        option(
            "--space",
            help='TOML file with sections and keys of a configuration, each with a list of values or "low..high:log"; '
            "--search wins over it.",
            panel=SEARCH,
        ),
    ] = None,
    folds: Annotated[
        int, option("--folds", help="Held-out blocks of the rows before the test part.", min=2, panel=SEARCH)
    ] = 3,
    horizon: Annotated[int | None, key_option("data.horizon", "--horizon")] = None,
    context: Annotated[str | None, key_option("data.context", "--context", default=False)] = None,
    split: Annotated[str | None, key_option("data.split", "--split", default=False)] = None,
    backbone: Annotated[str | None, key_option("backbone.name", "--backbone", default=False)] = None,
    seed: Annotated[
        int | None,
        key_option("training.seed", "--seed", help="Seed of the study, and of every fit in it."),
    ] = None,
    max_steps: Annotated[int | None, key_option("training.max_steps", "--max-steps")] = None,
    device: DeviceOption = None,
    static: StaticOption = None,
    notes: NotesOption = None,
    out: Annotated[
        Path | None,
        option("--out", help="Recommended configuration to write, a .toml file for train --config.", panel=OUTPUT),
    ] = None,
) -> None:
    """Search configurations, judged by forecasts of held-out blocks of the rows before the test part.

    Needs Optuna. Every block is forecast by a model that is fitted on the rows before it; the test part is not read.
    The first trial is the base: --preset, --config, --set and flags, by default the preset auto. The base is
    recommended unless the best trial is clearly better.
    """
    flags = {
        "data.horizon": horizon,
        "data.context": None if context is None else parse_context(context),
        "data.split": split,
        "backbone.name": backbone,
        "training.seed": seed,
        "training.max_steps": max_steps,
        "training.device": device,
    }
    base = options.build(flags, table, Config.parse(read_preset("auto")))
    inputs = {"--data": data, "--static": static, "--notes": notes, "--config": options.config, "--space": space}
    check_outputs({"--study": study, "--out": out}, {**inputs, "--backbone": backbone_folder(base)})

    from swt_time.tuning import tune_table
    from swt_time.tuning.space import parse_search, read_space
    from swt_time.tuning.study import check_study, import_optuna
    from swt_time.tuning.writing import check_config_output, write_config

    import_optuna()
    searched: dict[str, Any] = {} if space is None else read_space(space)
    searched |= dict(parse_search(text) for text in search or [])
    check_study(study)
    if out is not None:
        check_config_output(out, base)
    frame, fixed, told = read_to_fit(data, static, notes, base.data)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # handled like Ctrl-C
    say = partial(stderr().print, highlight=False, markup=False, soft_wrap=True)

    def report(trial: "Trial") -> None:
        say(f"{trial.number + 1}/{trials}  {trial.describe()}")

    asked = given({"space": searched or None, "static": fixed, "notes": told})
    try:
        found = tune_table(frame, base, trials=trials, study=study, folds=folds, report=report, **asked)
    except (KeyboardInterrupt, SystemExit):
        kept = f"the trials that have ended are in {study}: the same command goes on"
        typer.echo(f"interrupted; {kept if study.exists() else 'no trial has ended'}", err=True)
        raise typer.Exit(Said(INTERRUPTED)) from None
    lines = found.lines()
    for line in lines:
        typer.echo(line)
    if out is not None:
        write_config(out, found.config, [f"Chosen by swt-time tune on {data} from {len(found.trials)} trials.", *lines])
        typer.echo(f"configuration: {out}")
