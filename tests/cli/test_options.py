"""Options of the command line: declared once, with the help and default of the configuration's fields."""

import re
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from swt_time import cli
from swt_time.cli.options import FLAGS, ConfigOptions, TableOptions, expand_groups, option
from swt_time.config import Config, dotted_keys
from swt_time.config.keys import describe_key
from swt_time.errors import ConfigError

COMMANDS = ("train", "update", "forecast", "evaluate", "backtest", "report", "ablate", "import", "bands", "info")
COMMANDS += ("data get", "backbone convert", "export", "tune")


def plain_help(command: str) -> str:
    """The help of a command as one line of words, without frames."""
    result = CliRunner().invoke(cli.app, [*command.split(), "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.output).split())


def parameters(command: str) -> dict:
    """The options of a command by flag."""
    group = typer.main.get_command(cli.app)
    for word in command.split():
        group = group.commands[word]
    return {flag: parameter for parameter in group.params for flag in parameter.opts}


SWITCHES = ("training.compile", "training.keep_branch", "data.calendar")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_every_default(command):
    shown, found = plain_help(command), 0
    for flag, key in {flag: key for key, flag in FLAGS.items()}.items():
        # A switch has no default to show; a model has its own split and backbone, import the originals' sizes.
        if flag not in parameters(command) or key in SWITCHES or command in ("evaluate", "import"):
            continue
        if command in ("forecast", "backtest", "report", "export") and flag in ("--backbone", "--horizon"):
            continue
        if command == "tune" and flag in ("--context", "--split", "--backbone"):  # those of the preset auto
            continue
        _, default = describe_key(Config, key)
        if default not in (None, ""):
            found += 1
            assert re.search(rf"{flag} .*?\[default: {re.escape(str(default))}\]", shown), flag
    own = [one for one in parameters(command).values() if one.default not in (None, False, ()) and not one.required]
    for one in own:
        found += 1
        assert f"[default: {one.default}]" in shown, one.name
    none = ("info", "data get", "update", "forecast", "evaluate", "backtest", "backbone convert", "export")
    assert found or command in none


def test_brackets_are_shown():
    assert "TOML file of [[variant]] tables" in plain_help("ablate")
    assert "[default: the user's cache]" in plain_help("data get")


def test_help_is_the_description_of_the_field():
    assert FLAGS.keys() <= set(dotted_keys(Config))
    text = plain_help("train")
    for key in ("data.horizon", "data.split", "backbone.name", "training.seed", "backbone.precision"):
        description, _ = describe_key(Config, key)
        assert " ".join(description.replace("``", "").split()) in text


@pytest.mark.parametrize("command", ["train", "forecast", "evaluate", "ablate", "bands"])
def test_table_options_stand_in_a_panel_of_their_own(command):
    panels = {flag: parameter.rich_help_panel for flag, parameter in parameters(command).items()}
    own = [flag for flag, panel in panels.items() if panel == "Table"]
    expected = {"--time-column", "--id-column", "--freq", "--encoding", "--memory-limit", "--fill", "--date-format"}
    series = {"--short", "--target", "--columns", "--known", "--past", "--titles", "--calendar", "--holidays"}
    assert set(own) == expected | (set() if command == "bands" else series)


def test_every_key_is_described():
    for key in dotted_keys(Config):
        description, _ = describe_key(Config, key)
        assert description.endswith("."), key


def test_groups_are_expanded_and_collected():
    @dataclass(frozen=True)
    class Size:
        """Two numbers."""

        width: Annotated[int, option("--width", help="W.")]
        height: Annotated[int, option("--height", help="H.")] = 2

    seen = []
    app = typer.Typer()

    @app.command()
    @expand_groups
    def draw(name: Annotated[str, typer.Option()], size: Size) -> None:
        seen.append((name, size))

    assert CliRunner().invoke(app, ["--name", "a", "--width", "3"]).exit_code == 0
    assert seen == [("a", Size(3, 2))]
    assert CliRunner().invoke(app, ["--name", "a"]).exit_code == 2


def test_only_what_was_given_changes_the_configuration():
    table = TableOptions(fill="linear", columns=["a, b,"])
    assert table.changes() == {"data.fill": "linear", "data.columns": ("a", "b"), "data.target": None}
    config = ConfigOptions(preset="fast", set_=["embedding.level=4"]).build(
        {"data.horizon": 5, "data.context": None}, TableOptions()
    )
    assert (config.data.horizon, config.data.context, config.embedding.level) == (5, 512, 4)
    with pytest.raises(ConfigError, match="--preset and --config"):
        ConfigOptions(preset="fast", config="run.toml").build({}, TableOptions())
