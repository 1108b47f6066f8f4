"""Options that several commands share, and how they become a configuration.

A group of options is a dataclass. A command takes the group as one parameter, and `expand_groups` replaces it by the
fields of the dataclass for Typer. An option that sets a configuration key takes its help and default from that field.
"""

import csv
import functools
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from swt_time.config import Config, parse_assignment, read_config_file, read_preset
from swt_time.config.keys import describe_key
from swt_time.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from swt_time.evaluation.uncertainty import Uncertainty

INTERRUPTED = 130
"""Exit code of a command that was ended by Ctrl-C or SIGTERM."""

TABLE, CONFIGURATION, TRAINING, OUTPUT = "Table", "Configuration", "Training", "Output"
"""Panels of the help."""

FLAGS: dict[str, str] = {}
"""Flags by configuration key."""


def option(*flags: str, help: str, panel: str | None = None, **settings: Any) -> Any:
    """Declare an option of a command; brackets in its help are shown literally."""
    return typer.Option(*flags, help=help.replace("[", r"\["), rich_help_panel=panel, **settings)


def key_option(key: str, flag: str, panel: str | None = None, *, help: str | None = None, default: bool = True) -> Any:
    """Declare the option that sets a configuration key.

    Parameters
    ----------
    key : str
        Dotted.
    flag : str
    panel : str, optional
    help : str, optional
        By default the description of the field.
    default : bool
        Whether the help shows the default of the field.
    """
    FLAGS[key] = flag
    description, value = describe_key(Config, key)
    text = (help or description).replace("``", "")
    shown = f"  [default: {value}]" if default and value not in (None, "") else ""
    return option(flag, help=text + shown, panel=panel)


@dataclass(frozen=True)
class ReadingOptions:
    """How the columns of a table are read."""

    time_column: Annotated[str | None, key_option("data.time_column", "--time-column", TABLE)] = None
    id_column: Annotated[
        str | None,
        key_option(
            "data.id_column",
            "--id-column",
            TABLE,
            help="Column that names the series of a long table, or several that do so together, separated by commas "
            "(a name with a comma stands in double quotes); by default unique_id, or the columns of text that tell the "
            "series apart.",
        ),
    ] = None
    frequency: Annotated[str | None, key_option("data.frequency", "--freq", TABLE)] = None
    encoding: Annotated[str | None, key_option("data.encoding", "--encoding", TABLE)] = None
    memory_limit: Annotated[int | None, key_option("data.memory_limit", "--memory-limit", TABLE)] = None
    fill: Annotated[str | None, key_option("data.fill", "--fill", TABLE)] = None
    date_format: Annotated[str | None, key_option("data.date_format", "--date-format", TABLE)] = None

    def values(self) -> dict[str, Any]:
        """Return the given options, by key of the section ``data``."""
        found = given(vars(self))
        if self.id_column is not None:
            names = split_names("--id-column", self.id_column)
            found["id_column"] = tuple(names) if len(names) > 1 else "".join(names)
        return found


@dataclass(frozen=True)
class TableOptions(ReadingOptions):
    """How a table is read, and which of its columns are forecast."""

    short: Annotated[str | None, key_option("data.short", "--short", TABLE)] = None
    known: Annotated[
        str | None,
        key_option(
            "data.known",
            "--known",
            TABLE,
            help="Columns that are known in advance, separated by commas, such as a weather forecast or a promotion; a "
            "name with a comma stands in double quotes.",
            default=False,
        ),
    ] = None
    past: Annotated[
        str | None,
        key_option(
            "data.past",
            "--past",
            TABLE,
            help="Columns that are known as far as the series and not in advance, separated by commas, such as a "
            "measured temperature.",
            default=False,
        ),
    ] = None
    titles: Annotated[str | None, key_option("data.titles", "--titles", TABLE)] = None
    calendar: Annotated[bool, key_option("data.calendar", "--calendar", TABLE)] = False
    holidays: Annotated[str | None, key_option("data.holidays", "--holidays", TABLE)] = None
    target: Annotated[str | None, key_option("data.target", "--target", TABLE)] = None
    columns: Annotated[
        list[str] | None,
        key_option(
            "data.columns",
            "--columns",
            TABLE,
            help="Columns of a wide table to forecast, separated by commas; all numeric columns by default. May be "
            "repeated; a name with a comma stands in double quotes.",
        ),
    ] = None

    def values(self) -> dict[str, Any]:
        """Return the given options, by key of the section ``data``."""
        found = super().values()
        for key, names in ("known", self.known), ("past", self.past):
            if names is not None:
                found[key] = tuple(split_names(f"--{key}", names))
        if not self.calendar:
            found.pop("calendar", None)
        if self.columns:
            found["columns"] = tuple(name for text in self.columns for name in split_names("--columns", text))
        # Each of the two replaces the other, where a model or a file holds it.
        if self.columns and self.target is None:
            found["target"] = None
        if self.target is not None and not self.columns:
            found["columns"] = None
        return found

    def changes(self) -> dict[str, Any]:
        """Return the given options, by dotted key."""
        return {f"data.{key}": value for key, value in self.values().items()}


@dataclass(frozen=True)
class IntervalOptions:
    """What is written around a forecast."""

    levels: Annotated[
        str | None,
        option(
            "--levels",
            help="Intervals in percent, separated by commas: 80 gives yhat-lo-80 and yhat-hi-80; none for no interval.",
            panel=OUTPUT,
        ),
    ] = None
    quantiles: Annotated[
        str | None,
        option(
            "--quantiles",
            help="Quantiles between 0 and 1, separated by commas: 0.1 gives the column 0.1.",
            panel=OUTPUT,
        ),
    ] = None

    def asked(self, default: Sequence[float] = (), samples: int = 0) -> "Uncertainty":
        """Return what is asked for; the ``default`` levels if there is no option."""
        from swt_time.evaluation.uncertainty import Uncertainty

        levels = tuple(default) if self.levels is None and self.quantiles is None and not samples else ()
        if self.levels is not None:
            levels = parse_levels(self.levels)
        return Uncertainty(levels, numbers("--quantiles", self.quantiles or ""), samples)


@dataclass(frozen=True)
class ConfigOptions:
    """A whole configuration, and changes of it."""

    preset: Annotated[
        str | None,
        option(
            "--preset",
            help="Shipped configuration to start from (swt-time info lists them); flags win over it.",
            panel=CONFIGURATION,
        ),
    ] = None
    config: Annotated[
        Path | None,
        option("--config", help="Configuration file, TOML or JSON; flags win over it.", panel=CONFIGURATION),
    ] = None
    set_: Annotated[
        list[str] | None,
        option("--set", help="section.key=value; may be repeated.", panel=CONFIGURATION),
    ] = None

    def given(self) -> bool:
        """Whether any of these options is given."""
        return any(value for value in vars(self).values())

    def build(self, flags: dict[str, Any], table: TableOptions, base: Config | None = None) -> Config:
        """Build a configuration from preset or file (by default ``base``), then ``--set``, then flags; later ones win.

        Raises
        ------
        ConfigError
        """
        if self.preset is not None and self.config is not None:
            raise ConfigError("--preset and --config both name a whole configuration; give one of them")
        if self.config is not None:
            base = Config.parse(read_config_file(self.config))
        elif self.preset is not None:
            base = Config.parse(read_preset(self.preset))
        changes = dict(parse_assignment(text) for text in self.set_ or [])
        return (base or Config()).replace(changes | given(flags) | table.changes())


@dataclass(frozen=True)
class ModelOptions:
    """Where the backbone of a trained model is, and its device."""

    backbone: Annotated[
        str | None,
        option(
            "--backbone",
            help="Folder or hub id of the model's backbone, with the weights it was trained with.  "
            "[default: where it was in training]",
        ),
    ] = None
    device: Annotated[str | None, option("--device", help="auto, cpu or cuda.  [default: auto]")] = None
    allow_backbone_change: Annotated[
        bool,
        option("--allow-backbone-change", help="Use another backbone than the recorded one, with a note."),
    ] = False


TrainedOption = Annotated[Path, option("--model", help="Checkpoint folder made by train, or owner/name of the hub.")]
DataOption = Annotated[
    str,
    option(
        "--data",
        help="Table, long or wide: a CSV, Parquet or Excel file, also compressed; - for standard input; or an address "
        "such as https://host/table.csv. A folder of Parquet files for train and forecast --model.",
    ),
]
JsonOption = Annotated[bool, option("--json", help="Print one JSON object.", panel=OUTPUT)]
BySeriesOption = Annotated[
    Path | None,
    option(
        "--by-series",
        help="Table to write with the errors of each series, scaled and in the units of the table, one row each: .csv, "
        ".csv.gz or .parquet; - for CSV on standard output.",
        panel=OUTPUT,
    ),
]
DeviceOption = Annotated[str | None, key_option("training.device", "--device")]


def expand_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the option groups among a command's parameters by their fields."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if is_dataclass(kind):
            groups[name] = kind
            own = get_type_hints(kind, include_extras=True)
            parameters += [_parameter(f.name, f.default, own[f.name]) for f in fields(kind)]
        else:
            parameters.append(_parameter(name, parameter.default, kind))

    @functools.wraps(command)
    def run(**values: Any) -> None:
        grouped = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            for name, kind in groups.items()
        }
        command(**values, **grouped)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by `inspect.signature`
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameter(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    missing = default is inspect.Parameter.empty or type(default).__name__ == "_MISSING_TYPE"
    shown = inspect.Parameter.empty if missing else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=shown, annotation=annotation)


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Return the items whose value is not None."""
    return {key: value for key, value in values.items() if value is not None}


def numbers(flag: str, text: str) -> tuple[float, ...]:
    """Split an option's text into numbers.

    Raises
    ------
    ConfigError
    """
    try:
        return tuple(float(one) for one in text.split(",") if one.strip())
    except ValueError:
        raise ConfigError(f"{flag} {text}: expected numbers separated by commas, such as 80,95") from None


def parse_levels(text: str) -> tuple[float, ...]:
    """Parse percentages separated by commas, or ``none``.

    Raises
    ------
    ConfigError
    """
    return () if text.strip().lower() == "none" else numbers("--levels", text)


def split_names(flag: str, text: str) -> list[str]:
    """Names separated by commas, without surrounding blanks; a name in double quotes may hold commas.

    Raises
    ------
    ConfigError
        A quotation mark is not closed.
    """
    try:
        rows = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error:
        raise ConfigError(f"{flag}: a quotation mark is not closed in {text!r}") from None
    return [name.strip() for row in rows for name in row if name.strip()]


def parse_context(text: str) -> int | str:
    """Parse a number of steps, or ``auto``.

    Raises
    ------
    ConfigError
    """
    if text.strip() == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"--context: expected a number of steps or auto, got {text!r}") from None


def parse_duration(text: str) -> float:
    """Parse a duration such as ``90``, ``90s``, ``20m`` or ``1h30m`` to seconds.

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


def parse_numbers(flag: str, text: str) -> list[int]:
    """Parse whole numbers separated by commas; duplicates are dropped.

    Raises
    ------
    ConfigError
    """
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{flag}: expected whole numbers separated by commas, got {text!r}") from None
    return list(dict.fromkeys(found))


def stderr() -> "Console":
    """Return a rich console on standard error."""
    from rich.console import Console

    return Console(stderr=True)
