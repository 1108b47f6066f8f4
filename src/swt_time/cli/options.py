"""What the commands share: options, and how they become a configuration."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swt_time.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from swt_time.config import Config

INTERRUPTED = 130
"""The exit code of what Ctrl-C or SIGTERM has ended."""

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


def column_flags(
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


def build_config(
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
    return base.replace(changes | given(flags))


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that were given."""
    return {key: value for key, value in flags.items() if value is not None}


def stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True)
