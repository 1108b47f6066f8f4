"""Measure the speed of swt-time and of other implementations, in one run on this machine.

python benchmarks/measure_speed.py embedding      the wavelet patch embedding, compared with ptwt
python benchmarks/measure_speed.py step           a training step, compared with Time-LLM's method and neuralforecast
python benchmarks/measure_speed.py inference      a batch of forecasts, compared with the same

Exit codes are those of ``swt-time``: 0 done, 2 wrong input, 130 interrupted, 1 any other error.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from swt_time.cli.messages import to_flags
from swt_time.errors import ConfigError, InputError, SWTTimeError, SWTTimeWarning, one_line

RowsOption = Annotated[Path | None, typer.Option("--out", help="CSV file to write the rows to.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON array.")]
MachineOption = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
RepeatsOption = Annotated[int, typer.Option(help="Runs of each contender; the median is reported.", min=1)]
SmallOption = Annotated[bool, typer.Option("--quick", help="Small shapes, to check that it runs.")]
BackboneOption = Annotated[
    str,
    typer.Option("--backbone", help="minilm, or random weights: gpt2 (6 layers), gpt2-small, llama-7b, bert-1024."),
]
LayersOption = Annotated[
    int | None, typer.Option(help="Layers of the backbone to keep; by default all.", min=1, show_default=False)
]
WindowsOption = Annotated[int, typer.Option(help="Windows of seven channels in a batch.", min=1)]
AgainstOption = Annotated[
    str, typer.Option(help="Contenders beside swt-time: reference, neuralforecast, or both, separated by a comma.")
]
GrowthOption = Annotated[
    str | None,
    typer.Option(
        help="Measure how the cost of swt-time grows with windows, channels, context, description, layers, or all; "
        "no other contender is run."
    ),
]

app = typer.Typer(
    help="Measure the speed of swt-time and of other implementations, in one run on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command("embedding")
def benchmark_embedding(
    out: RowsOption = None,
    device: MachineOption = "cpu",
    repeats: RepeatsOption = 15,
    quick: Annotated[bool, typer.Option("--quick", help="The shapes of the design only, without the sweep.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the wavelet patch embedding with ptwt, unfold and Conv1d."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silences the profiler that records memory
    from speed import embedding
    from swt_time.machine import resolve_device

    shapes = embedding.SHAPES if quick else (*embedding.SHAPES, *embedding.SWEEP)
    report = _row_report(embedding.describe, as_json)
    _give_rows(embedding.run(resolve_device(device), shapes, repeats=repeats, report=report), out, as_json)


@app.command("step")
def benchmark_step(
    out: RowsOption = None,
    backbone: BackboneOption = "minilm",
    layers: LayersOption = None,
    windows: WindowsOption = 8,
    against: AgainstOption = "reference,neuralforecast",
    growth: GrowthOption = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Also measure swt-time with torch.compile.")] = False,
    device: MachineOption = "cpu",
    repeats: RepeatsOption = 5,
    quick: SmallOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare a training step with a reference implementation of Time-LLM and with neuralforecast's TimeLLM."""
    model = (backbone, layers, windows)
    _benchmark_path("step", out, *model, against, growth, compile_, device, repeats, quick, as_json)


@app.command("inference")
def benchmark_inference(
    out: RowsOption = None,
    backbone: BackboneOption = "minilm",
    layers: LayersOption = None,
    windows: WindowsOption = 8,
    against: AgainstOption = "reference,neuralforecast",
    growth: GrowthOption = None,
    device: MachineOption = "cpu",
    repeats: RepeatsOption = 5,
    quick: SmallOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare a batch of forecasts with a reference implementation of Time-LLM and with neuralforecast's TimeLLM."""
    model = (backbone, layers, windows)
    _benchmark_path("inference", out, *model, against, growth, False, device, repeats, quick, as_json)


def _benchmark_path(
    kind: Literal["step", "inference"],
    out: Path | None,
    backbone: str,
    layers: int | None,
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
    from speed import llm
    from speed.cases import BACKBONES, Case
    from speed.contenders import PEER, REFERENCE, peer_is_installed
    from swt_time.machine import resolve_device

    if backbone not in BACKBONES:
        raise ConfigError(f"--backbone: expected one of {', '.join(BACKBONES)}, got {backbone!r}")
    case = Case(backbone, windows, layers=layers, device=str(resolve_device(device)))
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
        note = "neuralforecast is not installed and is left out; install it with: pip install 'swt-time[bench]'"
        warnings.warn(note, SWTTimeWarning, stacklevel=2)
    _give_rows(llm.measure(case, kind, others, repeats=repeats, compiled=compiled, report=report), out, as_json)


def _names(option: str, text: str, known: Iterable[str]) -> list[str]:
    """Split names at commas; raise an error for an unknown name."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ConfigError(f"{option}: expected {', '.join(known)}, got {name!r}")
    return names


def _row_report(describe: Callable[[dict[str, Any]], str], as_json: bool) -> Callable[[dict[str, Any]], None]:
    return (lambda row: None) if as_json else (lambda row: typer.echo(describe(row)))


def _give_rows(rows: list[dict[str, Any]], out: Path | None, as_json: bool) -> None:
    from speed.measuring import write_rows

    if as_json:
        typer.echo(json.dumps(rows))
    if out is not None:
        write_rows(rows, out)


def main(arguments: list[str]) -> int:
    """Run the program and return the exit code; errors and notes are printed as one line each on standard error."""
    warnings.simplefilter("always", SWTTimeWarning)
    warnings.showwarning = _show_warning
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="measure_speed.py", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (typer.Abort, KeyboardInterrupt):
        return _fail("interrupted", 130)
    except SWTTimeError as error:
        return _fail(str(error), 2 if isinstance(error, InputError) else 1)
    except Exception as error:
        if not hasattr(error, "format_message"):  # a usage error of click
            raise
        message = str(error.format_message())
        return _fail(message, 2) if message else 2  # without arguments, click has printed the help


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    if issubclass(category, SWTTimeWarning):
        print(f"note: {_in_flags(str(message))}", file=sys.stderr)


def _fail(message: str, code: int) -> int:
    print(f"error: {_in_flags(message)}", file=sys.stderr)
    return code


def _in_flags(message: str) -> str:
    return one_line(to_flags(message, {"--backbone", "--device"}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
