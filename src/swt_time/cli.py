"""The command line: a thin shell over the library.

Exit codes: 0 done (``--resume`` of a run that had ended included), 2 the user's input is wrong (one line: what, where,
remedy; nothing is written), 130 interrupted by Ctrl-C or SIGTERM (``train`` saves the best weights so far and the state
of the run, and ``--resume`` goes on), 1 anything else, such as a full disk (what was saved before is whole).
Results go to standard output, everything else to standard error.
"""

import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from swt_time import __version__
from swt_time.errors import ConfigError, InputError, SWTTimeError, SWTTimeWarning

if TYPE_CHECKING:
    from rich.console import Console

    from swt_time.ablation import Table
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
data_app = typer.Typer(help="Public benchmark tables.", no_args_is_help=True)
app.add_typer(data_app, name="data")

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
BackboneChangeOption = Annotated[
    bool, typer.Option("--allow-backbone-change", help="Use another backbone than the recorded one; with a note.")
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
    train_fraction: Annotated[
        float | None, typer.Option(help="Few-shot: share of the training windows that is used, from the oldest on.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and dropout.  [default: 0]")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Training steps; else ten epochs.")] = None,
    max_time: Annotated[str | None, typer.Option(help="Time budget such as 90s, 20m, 1h30m.")] = None,
    precision: Annotated[str | None, typer.Option(help="Of the frozen model: auto, float32 or bfloat16.")] = None,
    device: DeviceOption = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Compile the training step; may pay on a GPU.")] = False,
    target: TargetOption = None,
    columns: ColumnsOption = None,
    time_column: TimeOption = None,
    id_column: IdOption = None,
    frequency: FrequencyOption = None,
    fill: FillOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint in --out.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that was stopped in --out, by its own options.")
    ] = False,
) -> None:
    """Train a model on a table and write a checkpoint folder."""
    flags = {
        "data.horizon": horizon,
        "data.context": context,
        "data.split": split,
        "data.train_fraction": train_fraction,
        "data.description": description,
        "backbone.name": backbone,
        "backbone.precision": precision,
        "training.seed": seed,
        "training.max_steps": max_steps,
        "training.max_seconds": None if max_time is None else parse_duration(max_time),
        "training.device": device,
        "training.compile": compile_ or None,
        **_column_flags(target, columns, time_column, id_column, frequency, fill),
    }
    if overwrite and resume:
        raise ConfigError("--overwrite starts anew and --resume goes on: pass one of them")
    settings = _build_config(config, set_ or [], flags, preset, _config_to_resume(out) if resume else None)

    from swt_time.checkpoint import check_output_folder
    from swt_time.data.reading import read_table
    from swt_time.forecaster import Forecaster
    from swt_time.progress import format_seconds, training_progress

    check_output_folder(out, overwrite or resume)
    table = read_table(data, id_column=settings.data.id_column)
    forecaster = Forecaster.from_config(settings)
    with training_progress(_stderr()) as report:
        forecaster.fit(table, out=out, resume=resume, report=report)
    result = forecaster.result
    assert result is not None
    best = "" if result.best_loss is None else f", best validation {settings.training.loss} {result.best_loss:.4f}"
    at = f" at step {result.best_step}" if best else ""
    typer.echo(f"{result.ended} after {result.steps} steps in {format_seconds(result.seconds)}{best}{at}")
    typer.echo(f"model: {out}")
    if result.ended == "interrupted":
        typer.echo("go on with: the same command and --resume")
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
    flags = _column_flags(target, columns, time_column, id_column, frequency, fill)
    forecaster = _load(model, device, flags, allow_backbone_change)
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
    allow_backbone_change: BackboneChangeOption = False,
) -> None:
    """Score a model on every test window of a table, beside seasonal naive."""
    from swt_time.evaluation import evaluate_table
    from swt_time.progress import counting_progress

    flags = _column_flags(target, columns, time_column, id_column, frequency, fill)
    forecaster = _load(model, device, flags, allow_backbone_change)
    _, series = _read(forecaster, data)
    settings = forecaster.config.data
    with counting_progress(_stderr(), "windows") as report:
        scores = evaluate_table(
            forecaster, series, split or settings.split, settings.context, settings.horizon, report=report
        )
    if as_json:
        typer.echo(json.dumps(scores.as_json()))
        return
    for line in scores.as_text():
        typer.echo(line)


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
    missing = ablation.missing_cells(cells, ablation.read_rows(out), with_test=not no_test)
    if list_:
        for cell in cells:
            typer.echo(f"{'missing' if cell in missing else 'finished':8}  {cell.hash}  {cell.describe()}")
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    say = partial(_stderr().print, highlight=False, markup=False, soft_wrap=True)
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


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="etth1, etth2, ettm1, ettm2, exchange, ili or weather.")],
    folder: Annotated[Path | None, typer.Option(help="Take the file from this folder, not from the network.")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder to put it in.  [default: the user's cache]")] = None,
) -> None:
    """Fetch a benchmark table from its public home, and hold it to its known hash."""
    from swt_time.data.sources import file_hash, find_source, get_table
    from swt_time.progress import counting_progress

    source = find_source(name)
    with counting_progress(_stderr(), "bytes") as report:
        path = get_table(name, folder=folder, to=to, report=report)
    typer.echo(f"table: {path}")
    typer.echo(f"{source.what}; sha256 {file_hash(path)}")
    typer.echo(f"source: {source.url}")
    typer.echo(f"licence: {source.licence}")
    typer.echo(f"usual split: --split {source.split}")
    if source.note:
        typer.echo(f"note: {source.note}")


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
    from swt_time.locking import locked
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
    with locked(out):
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


benchmarks = typer.Typer(help="Measure our speed against peers, in one run on this machine.", no_args_is_help=True)
app.add_typer(benchmarks, name="benchmark")

RowsOption = Annotated[Path | None, typer.Option("--out", help="Also write the rows to this CSV file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON array.")]
MachineOption = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
RepeatsOption = Annotated[int, typer.Option(help="Runs of each contender; the median counts.", min=1)]
SmallOption = Annotated[bool, typer.Option("--quick", help="Small shapes: whether it runs, not how fast.")]
BackboneOption = Annotated[
    str, typer.Option("--backbone", help="minilm, or random weights: gpt2 (6 layers), gpt2-small, llama-7b, bert-1024.")
]
WindowsOption = Annotated[int, typer.Option(help="Windows of seven channels in a batch.", min=1)]
AgainstOption = Annotated[str, typer.Option(help="reference, neuralforecast, or both, separated by a comma.")]
GrowthOption = Annotated[
    str | None,
    typer.Option(help="Instead, how our cost grows with: windows, channels, context, description, layers; or all."),
]


@benchmarks.command("embedding")
def benchmark_embedding(
    out: RowsOption = None,
    device: MachineOption = "cpu",
    repeats: RepeatsOption = 15,
    quick: Annotated[bool, typer.Option("--quick", help="The shapes of the design only, without the sweep.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The wavelet patch embedding against ptwt, unfold and Conv1d."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler that sums up memory chatters
    from swt_time.benchmarks import embedding
    from swt_time.training import resolve_device

    shapes = embedding.SHAPES if quick else (*embedding.SHAPES, *embedding.SWEEP)
    report = _row_report(embedding.describe, as_json)
    _give_rows(embedding.run(resolve_device(device), shapes, repeats=repeats, report=report), out, as_json)


@benchmarks.command("step")
def benchmark_step(
    out: RowsOption = None,
    backbone: BackboneOption = "minilm",
    windows: WindowsOption = 8,
    against: AgainstOption = "reference,neuralforecast",
    growth: GrowthOption = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Also ours through torch.compile.")] = False,
    device: MachineOption = "cpu",
    repeats: RepeatsOption = 5,
    quick: SmallOption = False,
    as_json: JsonOption = False,
) -> None:
    """A training step against a plain path that does what Time-LLM does, and against neuralforecast's TimeLLM."""
    _benchmark_path("step", out, backbone, windows, against, growth, compile_, device, repeats, quick, as_json)


@benchmarks.command("inference")
def benchmark_inference(
    out: RowsOption = None,
    backbone: BackboneOption = "minilm",
    windows: WindowsOption = 8,
    against: AgainstOption = "reference,neuralforecast",
    growth: GrowthOption = None,
    device: MachineOption = "cpu",
    repeats: RepeatsOption = 5,
    quick: SmallOption = False,
    as_json: JsonOption = False,
) -> None:
    """A batch of forecasts against a plain path that does what Time-LLM does, and against neuralforecast's TimeLLM."""
    _benchmark_path("inference", out, backbone, windows, against, growth, False, device, repeats, quick, as_json)


def _benchmark_path(
    kind: Literal["step", "inference"],
    out: Path | None,
    backbone: str,
    windows: int,
    against: str,
    growth: str | None,
    compiled: bool,
    device: str,
    repeats: int,
    quick: bool,
    as_json: bool,
) -> None:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from swt_time.benchmarks import llm
    from swt_time.benchmarks.cases import BACKBONES, Case
    from swt_time.benchmarks.contenders import PEER, REFERENCE, peer_is_installed
    from swt_time.training import resolve_device

    if backbone not in BACKBONES:
        raise ConfigError(f"--backbone: expected one of {', '.join(BACKBONES)}, got {backbone!r}")
    case = Case(backbone, windows, device=str(resolve_device(device)))
    if quick:
        case = replace(case, windows=1, channels=2, context=64, layers=1)
    report = _row_report(llm.describe, as_json)
    if growth is not None:
        names = list(llm.CURVES) if growth == "all" else _names("--growth", growth, llm.CURVES)
        curves = {name: llm.CURVES[name][: 2 if quick else None] for name in names}
        _give_rows(llm.grow(case, kind, curves, repeats=repeats, report=report), out, as_json)
        return
    others = _names("--against", against, (REFERENCE, PEER))
    if PEER in others and not peer_is_installed():
        others.remove(PEER)
        note = "neuralforecast is not installed, so its row is left out; install it with: pip install 'swt-time[bench]'"
        warnings.warn(note, SWTTimeWarning, stacklevel=2)
    _give_rows(llm.measure(case, kind, others, repeats=repeats, compiled=compiled, report=report), out, as_json)


def _names(option: str, text: str, known: Iterable[str]) -> list[str]:
    """Names separated by commas, each one known."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ConfigError(f"{option}: expected {', '.join(known)}, got {name!r}")
    return names


def _row_report(describe: Callable[[dict[str, Any]], str], as_json: bool) -> Callable[[dict[str, Any]], None]:
    return (lambda row: None) if as_json else (lambda row: typer.echo(describe(row)))


def _give_rows(rows: list[dict[str, Any]], out: Path | None, as_json: bool) -> None:
    from swt_time.benchmarks.measuring import write_rows

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


def _config_to_resume(out: Path) -> "Config | None":
    """The configuration of the run in a folder, so that its options need not be repeated; None where there is none."""
    from swt_time.checkpoint import holds_checkpoint, read_checkpoint
    from swt_time.training_state import read_run

    run = read_run(out)
    if run is not None:
        return run.config
    return read_checkpoint(out).config if holds_checkpoint(out) else None


def _build_config(
    file: Path | None, assignments: list[str], flags: dict[str, Any], preset: str | None, base: "Config | None" = None
) -> "Config":
    """Preset or file (or else ``base``), then ``--set``, then flags; the later one wins."""
    from swt_time.config import Config, parse_assignment, read_config_file
    from swt_time.presets import read_preset

    if preset is not None and file is not None:
        raise ConfigError("--preset and --config both name a whole configuration; give one of them")
    base = (base or Config()) if file is None else Config.parse(read_config_file(file))
    if preset is not None:
        base = Config.parse(read_preset(preset))
    changes = dict(parse_assignment(text) for text in assignments)
    return base.replace(changes | _given(flags))


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that were given."""
    return {key: value for key, value in flags.items() if value is not None}


def _load(model: Path, device: str | None, flags: dict[str, Any], allow_backbone_change: bool) -> "Forecaster":
    from swt_time.forecaster import Forecaster

    forecaster = Forecaster.load(model, device=device or "auto", allow_backbone_change=allow_backbone_change)
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
