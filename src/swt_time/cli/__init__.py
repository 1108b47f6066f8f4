"""The command line: a thin shell over the library.

Exit codes:

- 0: done, also where ``--resume`` finds a run that has ended;
- 2: the user's input is wrong; one line says what, where and how to fix it, and nothing is written;
- 130: interrupted by Ctrl-C or SIGTERM; ``train`` saves its best weights and the state of the run for ``--resume``;
- 1: any other failure, such as a full disk; files that were saved before are intact.

Results go to standard output, everything else to standard error.
"""

import functools
import os
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from swt_time import __version__
from swt_time.cli.ablating import ablate
from swt_time.cli.backbones import backbone_convert
from swt_time.cli.backtesting import backtest
from swt_time.cli.exporting import export
from swt_time.cli.forecasting import evaluate, forecast
from swt_time.cli.launching import is_reported_elsewhere, over_processes
from swt_time.cli.messages import to_flags
from swt_time.cli.models import import_, info
from swt_time.cli.options import INTERRUPTED
from swt_time.cli.reporting import report
from swt_time.cli.serving import serve
from swt_time.cli.streams import Said, discard_output, prepare_streams, say
from swt_time.cli.tables import bands, data_get
from swt_time.cli.training import train
from swt_time.cli.tuning import tune
from swt_time.cli.updating import update
from swt_time.errors import InputError, SWTTimeError, SWTTimeWarning, first_line, one_line

# Torch, pandas and transformers are imported inside the commands, so that --help is fast.

# Depending on its version, Typer uses the installed click or a copy of its own; its public error class leads to both.
_ClickException = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

LIMITS: dict[type[Exception], str] = {
    MemoryError: "out of memory; use a smaller table or a smaller model",
    RecursionError: "the input is nested too deeply",
    OverflowError: "a number of the input is too large",
    UnicodeError: "text of the input cannot be represented",
}
"""Errors that show a limit of Python or of the machine. Input that is not refused before can exceed it."""

RUNTIME_LIMITS = {
    "allocate memory": LIMITS[MemoryError],  # PyTorch
    "Symlink loop": "a path cannot be followed",  # pathlib
    "Could not determine home directory": "a path begins with ~ and the home folder is unknown",
}
"""The same for errors that are a ``RuntimeError``, by a part of their message."""

BUG = "This is a defect of swt-time. Please report it, with this text and the command."
"""Note below the traceback of any other error."""

app = typer.Typer(
    name="swt-time",
    help="Forecast time series with a frozen language model and a wavelet view of the series.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="Public benchmark datasets.", no_args_is_help=True)
data.command("get")(data_get)
backbone = typer.Typer(help="Language models on this machine.", no_args_is_help=True)
backbone.command("convert")(backbone_convert)

for _command in (train, update, forecast, evaluate, backtest, report, ablate, tune, export, serve):
    app.command()(_command)
app.command("import")(import_)
app.command()(bands)
app.command()(info)
app.add_typer(data, name="data")
app.add_typer(backbone, name="backbone")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@functools.cache
def root_command() -> Any:
    """Return the command line as an object of click; building it takes longer than to refuse a command."""
    return typer.main.get_command(app)


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    if issubclass(category, SWTTimeWarning):
        say(f"note: {one_line(to_flags(str(message), _flags(sys.argv[1:])))}")


def main() -> None:
    """Run the command line and exit."""
    prepare_streams()
    if not os.environ.get("TERMINAL_WIDTH", "0").isdecimal():
        del os.environ["TERMINAL_WIDTH"]  # Typer would raise a ValueError
    warnings.simplefilter("always", SWTTimeWarning)
    warnings.showwarning = _show_warning
    try:
        code = run(sys.argv[1:])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Python shuts down: Ctrl-C changes nothing any more
    except KeyboardInterrupt:
        code = _fail("interrupted", INTERRUPTED)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit code; errors are printed as one line on standard error."""
    arguments = [_expand(word) for word in arguments]
    try:
        with over_processes(arguments):
            code = root_command().main(arguments, prog_name="swt-time", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED and not isinstance(code, Said):  # Typer returns it in place of a KeyboardInterrupt
            return _fail("interrupted", INTERRUPTED)
        return code if isinstance(code, int) else 0
    except BrokenPipeError:  # the reader of the output has closed it
        discard_output()
        return 1
    except OSError as error:
        discard_output()
        where = f" {error.filename}" if error.filename else ""
        return _fail(f"the operating system refused a file operation{where}: {error.strerror or error}", 1)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("interrupted", INTERRUPTED)
    except SWTTimeError as error:
        message = to_flags(str(error), _flags(arguments))
        return _fail(message, 2 if isinstance(error, InputError) else 1)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            return 0  # the help was shown
        if isinstance(error, _ClickException):
            return _fail(str(error.format_message()), 2)  # type: ignore[attr-defined]  # every exception of click has it
        limit = _limit(error)
        if limit is not None:
            return _fail(limit, 1)
        error.add_note(BUG)
        raise


def _limit(error: Exception) -> str | None:
    """Return the message of an error that is in `LIMITS`, with the place in the source; None for other errors."""
    said = [text for kind, text in LIMITS.items() if isinstance(error, kind)]
    if isinstance(error, RuntimeError):
        said += [text for part, text in RUNTIME_LIMITS.items() if part in str(error)]
    if not said:
        return None
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if "swt_time" in frame.filename), frames[-1])
    return f"{said[0]} ({first_line(error)}, at {'/'.join(Path(place.filename).parts[-2:])}:{place.lineno})"


def _expand(word: str) -> str:
    """Expand ``~`` at the start of a path, also in ``--flag=~/path``, where the shell leaves it."""
    flag, equals, path = word.partition("=") if word.startswith("--") else ("", "", word)
    return flag + equals + (os.path.expanduser(path) if path == "~" or path.startswith("~/") else path)


def _fail(message: str, code: int) -> int:
    if not is_reported_elsewhere():
        say(f"error: {one_line(message)}")
    return code


def _flags(arguments: list[str]) -> set[str]:
    """Return the flags that the command of these arguments has."""
    command = root_command()
    for word in arguments:
        command = getattr(command, "commands", {}).get(word, command)
    return {flag for parameter in command.params for flag in parameter.opts}
