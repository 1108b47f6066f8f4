"""The command line: a thin shell over the library.

Exit codes: 0 done, 2 the user's input is wrong (one line: what, where, remedy), 130 interrupted by Ctrl-C or SIGTERM
(the best weights so far are kept), 1 anything else. Results go to standard output, everything else to standard error.
"""

import contextlib
import json
import os
import re
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swt_time import __version__
from swt_time.errors import ConfigError, InputError, SWTTimeError, SWTTimeWarning

if TYPE_CHECKING:
    from rich.console import Console

    from swt_time.ablation import Cell, Table
    from swt_time.config import Config
    from swt_time.data.series import SeriesTable
    from swt_time.forecaster import Forecaster

# Torch, pandas and transformers load inside the commands, so that --help answers at once.

INTERRUPTED = 130

# Typer carries its own copy of click or uses the installed one, by version; its public error leads to either.
_ClickException = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

app = typer.Typer(
    name="swt-time",
    help="Forecast time series with a frozen language model and a wavelet view of the series.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DataOption = Annotated[Path, typer.Option("--data", help="Table: CSV or Parquet, long or wide.")]
ModelOption = Annotated[Path, typer.Option("--model", help="Checkpoint folder made by train.")]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]
TargetOption = Annotated[str | None, typer.Option(help="The one column to forecast.")]
ColumnsOption = Annotated[str | None, typer.Option(help="Columns to forecast, separated by commas (wide tables).")]
TimeOption = Annotated[str | None, typer.Option(help="Column with the timestamps.")]
IdOption = Annotated[str | None, typer.Option(help="Column that names the series (long tables).")]
FrequencyOption = Annotated[str | None, typer.Option("--freq", help="Pandas alias such as h, D, W, MS; else inferred.")]
PresetOption = Annotated[
    str | None, typer.Option("--preset", help="Shipped configuration (swt-time info lists them); flags win over it.")
]
FillOption = Annotated[str | None, typer.Option(help="Repair gaps and missing values: linear or ffill.")]


@app.command()
def train(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    horizon: Annotated[int | None, typer.Option(help="Steps to forecast.  [default: 96]")] = None,
    context: Annotated[int | None, typer.Option(help="Steps the model sees.  [default: 512]")] = None,
    split: Annotated[
        str | None, typer.Option(help="etth, ettm, none, or train/validation/test shares.  [default: 0.7/0.1/0.2]")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="minilm, a folder, a hub id, or a twin: none, attention, transformer.  [default: minilm]"),
    ] = None,
    description: Annotated[str | None, typer.Option(help="What the data are, in words; begins every prompt.")] = None,
    preset: PresetOption = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file, TOML or JSON; flags win over it.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and dropout.  [default: 0]")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Training steps; else ten epochs.")] = None,
    max_time: Annotated[str | None, typer.Option(help="Time budget such as 90s, 20m, 1h30m.")] = None,
    precision: Annotated[str | None, typer.Option(help="Of the frozen model: auto, float32 or bfloat16.")] = None,
    device: DeviceOption = None,
    target: TargetOption = None,
    columns: ColumnsOption = None,
    time_column: TimeOption = None,
    id_column: IdOption = None,
    frequency: FrequencyOption = None,
    fill: FillOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint in --out.")] = False,
) -> None:
    """Train a model on a table and write a checkpoint folder."""
    flags = {
        "data.horizon": horizon,
        "data.context": context,
        "data.split": split,
        "data.description": description,
        "backbone.name": backbone,
        "backbone.precision": precision,
        "training.seed": seed,
        "training.max_steps": max_steps,
        "training.max_seconds": None if max_time is None else parse_duration(max_time),
        "training.device": device,
        **_column_flags(target, columns, time_column, id_column, frequency, fill),
    }
    settings = _build_config(config, set_ or [], flags, preset)

    from swt_time.checkpoint import check_output_folder
    from swt_time.data.reading import read_table
    from swt_time.forecaster import Forecaster
    from swt_time.progress import format_seconds, training_progress

    check_output_folder(out, overwrite)
    table = read_table(data, id_column=settings.data.id_column)
    forecaster = Forecaster.from_config(settings)
    with training_progress(_stderr()) as report:
        forecaster.fit(table, out=out, report=report)
    result = forecaster.result
    assert result is not None
    best = "" if result.best_loss is None else f", best validation {settings.training.loss} {result.best_loss:.4f}"
    at = f" at step {result.best_step}" if best else ""
    typer.echo(f"{result.ended} after {result.steps} steps in {format_seconds(result.seconds)}{best}{at}")
    typer.echo(f"model: {out}")
    if result.ended == "interrupted":
        raise typer.Exit(INTERRUPTED)


@app.command()
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
) -> None:
    """Forecast the steps after the end of every series of a table."""
    from swt_time.data.forecasts import forecast_frame
    from swt_time.data.series import cut_series
    from swt_time.data.writing import check_output, write_table
    from swt_time.plots import check_picture, plot_forecasts, series_panels

    check_output(out)
    if plot is not None:
        check_picture(plot)
    flags = _column_flags(target, columns, time_column, id_column, frequency, fill)
    forecaster = _load(model, device, flags)
    table, series = _read(forecaster, data)
    known = series if cutoff is None else cut_series(series, cutoff)
    yhat = forecaster.predict_series(known)
    write_table(forecast_frame(known, yhat, table), out)
    typer.echo(f"forecast: {out} ({len(known.ids)} series, {yhat.shape[1]} steps each)")
    if plot is not None:
        plot_forecasts(series_panels(series, known, yhat), plot)
        typer.echo(f"picture: {plot}")


@app.command()
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
) -> None:
    """Score a model on every test window of a table, beside seasonal naive."""
    from swt_time.evaluation import evaluate_table
    from swt_time.progress import counting_progress

    flags = _column_flags(target, columns, time_column, id_column, frequency, fill)
    forecaster = _load(model, device, flags)
    _, series = _read(forecaster, data)
    settings = forecaster.config.data
    with counting_progress(_stderr(), "windows") as report:
        scores = evaluate_table(
            forecaster, series, split or settings.split, settings.context, settings.horizon, report=report
        )
    if as_json:
        typer.echo(json.dumps(scores.as_json()))
        return
    typer.echo(f"{scores.model.windows} test windows, {scores.model.series} series, horizon {scores.model.horizon}")
    typer.echo(f"{'':16}  {'MSE':>8}  {'MAE':>8}   (scaled data)")
    typer.echo(f"{'swt-time':16}  {scores.model.mse:8.4f}  {scores.model.mae:8.4f}")
    naive = f"seasonal naive {scores.season}"
    typer.echo(f"{naive:16}  {scores.seasonal_naive.mse:8.4f}  {scores.seasonal_naive.mae:8.4f}")


@app.command()
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
        **_column_flags(target, columns, time_column, id_column, frequency, fill),
    }
    base = _build_config(config, set_ or [], flags, preset)

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
    failed = _run_cells(cells, out, jobs, threads, no_test, list_)
    done = ablation.finished(ablation.read_rows(out))
    rows = [(cell.variant, done[cell.key]) for cell in cells if cell.key in done]
    if not list_:
        typer.echo(ablation.summarize(rows, ablation.BASE))
        typer.echo(f"results: {out}")
    if plot is not None:
        plot_differences(ablation.compare(rows, ablation.BASE), plot)
        typer.echo(f"picture: {plot}")
    if failed:
        raise typer.Exit(1)


def _run_cells(cells: "list[Cell]", out: Path, jobs: int, threads: int, no_test: bool, only_list: bool) -> int:
    """Run what is not finished, a row and a line for each; the number of cells that failed."""
    from swt_time import ablation

    done = ablation.finished(ablation.read_rows(out))
    missing = [cell for cell in cells if cell.key not in done or not (no_test or done[cell.key]["mse"])]
    if only_list:
        for cell in cells:
            typer.echo(f"{'missing' if cell in missing else 'finished':8}  {cell.key[1]}  {cell.describe()}")
        return 0
    console = _stderr()
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    say(f"{len(cells)} cells, {len(cells) - len(missing)} finished before")
    failed = 0
    outcomes = ablation.run_parallel(
        ablation.run_cell, [(cell, not no_test) for cell in missing], jobs=min(jobs, len(missing) or 1), threads=threads
    )
    # Closed at once on Ctrl-C, so that the workers end with us.
    with contextlib.closing(outcomes):
        for number, outcome in enumerate(outcomes, 1):
            cell = missing[outcome.number]
            if outcome.error is None:
                ablation.append_row(out, outcome.result)
                row = outcome.result
                scores = f"validation {row['validation_mse']}" + (f", test {row['mse']}" if row["mse"] else "")
                note = f"{scores}, {row['seconds']} s"
            else:
                failed += 1
                note = f"failed: {outcome.error}"
            console.print(
                f"{number}/{len(missing)}  {cell.describe()}: {note}", highlight=False, markup=False, soft_wrap=True
            )
    if failed:
        _fail(f"{failed} of {len(missing)} cells failed; the same command runs them again", 1)
    return failed


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


@app.command("import")
def import_(
    state_dict: Annotated[
        Path, typer.Argument(metavar="STATE_DICT", help="What torch.save(model.state_dict()) wrote.")
    ],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    backbone: Annotated[str, typer.Option(help="Language model it was trained with: minilm, a folder, or a hub id.")],
    embedding: Annotated[str, typer.Option(help="patch (Time-LLM) or wavelet (SWT-Time).")] = "patch",
    wavelet: Annotated[str, typer.Option(help="Of the wavelet embedding.")] = "db4",
    level: Annotated[int, typer.Option(help="Of the wavelet embedding.")] = 3,
    context: Annotated[int, typer.Option(help="Steps the model sees (seq_len).")] = 512,
    horizon: Annotated[int, typer.Option(help="Steps to forecast (pred_len).")] = 96,
    patch_len: Annotated[int, typer.Option(help="Steps in a patch.")] = 16,
    stride: Annotated[int, typer.Option(help="Steps between patches.")] = 8,
    d_model: Annotated[int, typer.Option(help="Width of a patch token.")] = 32,
    d_ff: Annotated[int, typer.Option(help="Width of each reprogramming head.")] = 128,
    n_heads: Annotated[int, typer.Option(help="Reprogramming heads.")] = 8,
    layers: Annotated[
        int | None, typer.Option(help="Layers of the backbone that were kept (llm_layers); else all.")
    ] = None,
    description: Annotated[
        str | None, typer.Option(help="What its prompts say of the data.  [default: the originals' ETT sentence]")
    ] = None,
    prototypes: Annotated[str, typer.Option(help="mapping, or free: equal forecasts, many fewer weights.")] = "mapping",
    precision: Annotated[str, typer.Option(help="Of the frozen model: auto, float32 or bfloat16.")] = "float32",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint in --out.")] = False,
) -> None:
    """Make a checkpoint of a Time-LLM or SWT-Time state dict; give the sizes it was trained with."""
    from swt_time.checkpoint import check_output_folder, write_checkpoint
    from swt_time.compat import ETT_DESCRIPTION, import_checkpoint, time_llm_config
    from swt_time.provenance import package_versions, source_commit

    check_output_folder(out, overwrite)
    config = time_llm_config(
        backbone=backbone,
        embedding=embedding,
        wavelet=wavelet,
        level=level,
        context=context,
        horizon=horizon,
        patch_len=patch_len,
        stride=stride,
        d_model=d_model,
        d_ff=d_ff,
        n_heads=n_heads,
        layers=layers,
        description=ETT_DESCRIPTION if description is None else description,
        prototypes=prototypes,
        precision=precision,
    )
    checkpoint = import_checkpoint(state_dict, config, {"versions": package_versions(), "commit": source_commit()})
    write_checkpoint(out, checkpoint)
    weights = sum(tensor.numel() for tensor in checkpoint.weights.values())
    typer.echo(f"imported {weights:,} trained weights of {state_dict}")
    typer.echo(f"model: {out}")


@app.command()
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
    flags = _column_flags(None, None, time_column, id_column, frequency, fill)
    reading = Config().replace(_given(flags)).data
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


@app.command()
def benchmark(
    what: Annotated[str, typer.Argument(help="embedding", metavar="WHAT")],
    out: Annotated[Path | None, typer.Option(help="Also write the rows to this CSV file.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    repeats: Annotated[int, typer.Option(help="Runs of each contender; the median counts.", min=1)] = 15,
    quick: Annotated[bool, typer.Option("--quick", help="The shapes of the design only, without the sweep.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Measure our speed against peers, in one run on this machine."""
    if what != "embedding":
        raise ConfigError(f"unknown benchmark {what!r}; expected embedding")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler that sums up memory chatters
    from swt_time.benchmarks import embedding
    from swt_time.benchmarks.measuring import write_rows
    from swt_time.training import resolve_device

    shapes = embedding.SHAPES if quick else (*embedding.SHAPES, *embedding.SWEEP)
    report = (lambda row: None) if as_json else (lambda row: typer.echo(embedding.describe(row)))
    rows = embedding.run(resolve_device(device), shapes, repeats=repeats, report=report)
    if as_json:
        typer.echo(json.dumps(rows))
    if out is not None:
        write_rows(rows, out)


@app.command()
def info(
    model: Annotated[Path | None, typer.Option("--model", help="Describe a checkpoint folder.")] = None,
) -> None:
    """Show versions, devices and backbones, or what a checkpoint holds."""
    from swt_time.forecaster import machine_facts
    from swt_time.presets import preset_names
    from swt_time.provenance import package_versions, source_commit

    if model is not None:
        from swt_time.checkpoint import read_checkpoint

        checkpoint = read_checkpoint(model)
        weights = sum(tensor.numel() for tensor in checkpoint.weights.values())
        typer.echo(f"trained weights: {weights:,}")
        on = checkpoint.trained_on
        table = f"{len(on.ids)} series ({on.layout} table), frequency {on.frequency}"
        typer.echo(f"trained on: {'an unknown table (imported weights)' if on.layout == 'unknown' else table}")
        typer.echo(json.dumps({"config": checkpoint.config.model_dump(), **checkpoint.provenance}, indent=2))
        return
    for name, number in package_versions().items():
        typer.echo(f"{name:14} {number}")
    typer.echo(f"{'source commit':14} {source_commit() or 'installed package'}")
    for name, value in machine_facts().items():
        typer.echo(f"{name:14} {value}")
    for name, purpose in preset_names().items():
        typer.echo(f"{'preset ' + name:14} {purpose}")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def parse_duration(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``20m``, ``1h30m``.

    Raises
    ------
    ConfigError
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip())
    hours, minutes, seconds = (float(part or 0) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    duration = 3600 * hours + 60 * minutes + seconds
    if duration <= 0:
        raise ConfigError(f"--max-time: expected a duration such as 90s, 20m or 1h30m, got {text!r}")
    return duration


def _column_flags(
    target: str | None,
    columns: str | None,
    time_column: str | None,
    id_column: str | None,
    frequency: str | None,
    fill: str | None,
) -> dict[str, Any]:
    names = None if columns is None else tuple(name.strip() for name in columns.split(",") if name.strip())
    return {
        "data.target": target,
        "data.columns": names,
        "data.time_column": time_column,
        "data.id_column": id_column,
        "data.frequency": frequency,
        "data.fill": fill,
    }


def _build_config(file: Path | None, assignments: list[str], flags: dict[str, Any], preset: str | None) -> "Config":
    """Preset or file, then ``--set``, then flags; the later one wins."""
    from swt_time.config import Config, parse_assignment, read_config_file
    from swt_time.presets import read_preset

    if preset is not None and file is not None:
        raise ConfigError("--preset and --config both name a whole configuration; give one of them")
    base = Config.parse({} if file is None else read_config_file(file))
    if preset is not None:
        base = Config.parse(read_preset(preset))
    changes = dict(parse_assignment(text) for text in assignments)
    return base.replace(changes | _given(flags))


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that were given."""
    return {key: value for key, value in flags.items() if value is not None}


def _load(model: Path, device: str | None, flags: dict[str, Any]) -> "Forecaster":
    from swt_time.forecaster import Forecaster

    forecaster = Forecaster.load(model, device=device or "auto")
    forecaster.config = forecaster.config.replace(_given(flags))
    return forecaster


def _read(forecaster: "Forecaster", data: Path) -> tuple[Any, "SeriesTable"]:
    from swt_time.data.reading import read_table

    table = read_table(data, id_column=forecaster.config.data.id_column)
    return table, forecaster.read_series(table)


def _stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    if issubclass(category, SWTTimeWarning):
        print(f"note: {_one_line(str(message))}", file=sys.stderr)


def main() -> None:
    """Run the command line and exit."""
    warnings.simplefilter("always", SWTTimeWarning)
    warnings.showwarning = _show_warning
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line; errors become one line on standard error and an exit code."""
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="swt-time", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (typer.Abort, KeyboardInterrupt):
        return _fail("interrupted", INTERRUPTED)
    except SWTTimeError as error:
        return _fail(str(error), 2 if isinstance(error, InputError) else 1)
    except Exception as error:
        if isinstance(error, _ClickException):
            return _fail(str(error.format_message()), 2)  # type: ignore[attr-defined]
        raise


def _fail(message: str, code: int) -> int:
    print(f"error: {_one_line(message)}", file=sys.stderr)
    return code


def _one_line(message: str) -> str:
    """One line of at most 1,000 characters, none of which moves a terminal's cursor, whatever it quotes."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(message.split()))
    return line if len(line) <= 1000 else f"{line[:700]} ... {line[-295:]}"
