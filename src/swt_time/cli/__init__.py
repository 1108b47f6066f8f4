"""The command line: a thin shell over the library.

Exit codes: 0 done (``--resume`` of a run that had ended included), 2 the user's input is wrong (one line: what, where,
remedy; nothing is written), 130 interrupted by Ctrl-C or SIGTERM (``train`` saves the best weights so far and the state
of the run, and ``--resume`` goes on), 1 anything else, such as a full disk (what was saved before is whole).
Results go to standard output, everything else to standard error.
"""

import sys
import warnings
from typing import Annotated, Any

import typer

from swt_time import __version__
from swt_time.cli.ablating import ablate
from swt_time.cli.benchmarking import benchmark_embedding, benchmark_inference, benchmark_step
from swt_time.cli.forecasting import evaluate, forecast
from swt_time.cli.models import import_, info
from swt_time.cli.options import INTERRUPTED
from swt_time.cli.tables import bands, data_get
from swt_time.cli.training import train
from swt_time.errors import InputError, SWTTimeError, SWTTimeWarning

# Torch, pandas and transformers load inside the commands, so that --help answers at once.

# Typer carries its own copy of click or uses the installed one, by version; its public error leads to either.
_ClickException = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

app = typer.Typer(
    name="swt-time",
    help="Forecast time series with a frozen language model and a wavelet view of the series.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="Public benchmark tables.", no_args_is_help=True)
data.command("get")(data_get)
benchmark = typer.Typer(help="Measure our speed against peers, in one run on this machine.", no_args_is_help=True)
benchmark.command("embedding")(benchmark_embedding)
benchmark.command("step")(benchmark_step)
benchmark.command("inference")(benchmark_inference)

for _command in (train, forecast, evaluate, ablate):
    app.command()(_command)
app.command("import")(import_)
app.command()(bands)
app.command()(info)
app.add_typer(data, name="data")
app.add_typer(benchmark, name="benchmark")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


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
